"""The first code cell of a notebook: it makes the others run, on this machine and in Colab.

It knows nothing of the book's own code: what to install stands in ``_quarto.yml`` (``pixgrad:
notebooks``, import name -> pinned requirement); only what is missing is installed, so that Colab
keeps the torch it came with, and a chapter that does without torch does not fetch it.
"""

import json
import re
import string
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from pixgrad.book.ledger.ledger import Ledger
from pixgrad.book.source.project import Chapter, Project

_IMPORT = re.compile(r"^(?:from|import) (\w+)", re.M)
_START = """\
# Подготовка: находит книгу, ставит недостающие пакеты, открывает доступ к коду книги.
import contextlib
import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path

from IPython import get_ipython
from IPython.display import Markdown, display

os.environ.setdefault("OMP_NUM_THREADS", "1")  # как в книге: суммы те же на любом числе ядер
here = Path.cwd()
book = next((f for f in [$places] if (f / "_quarto.yml").is_file()), None)
$colab
if book is None:
    raise SystemExit("$absent")
"""
_CLONE = """\
if book is None and "google.colab" in sys.modules:  # в Colab: выпуск $release книги
    clone = ["git", "clone", "--depth", "1", "--branch", "$release", "$url", "$name"]
    subprocess.run(clone, check=True)
    book = here / "$name\""""
_NO_ADDRESS = """\
# У этого выпуска нет адреса репозитория (book: repo-url в _quarto.yml): скачать книгу неоткуда."""
_ABSENT = "Нет папки книги (в ней лежит _quarto.yml): откройте блокнот внутри неё."
_ABSENT_IN_COLAB = (
    " В Colab загрузите архив книги, распакуйте его (!unzip) и перейдите в её папку (%cd)."
)
_INSTALL = """\
needed = {
$needed
}
missing = [pinned for name, pinned in needed.items() if importlib.util.find_spec(name) is None]
if missing:  # что уже есть (torch в Colab), остаётся как есть
    pip = [sys.executable, "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, *missing], check=True)
"""
_SOURCES = """\
# Данные, на которых исполнена книга: если взяты другие, об этом будет сказано.
recorded = $recorded


def tell_other_data(event, arguments):
    if event == "pixgrad.source" and recorded.get(arguments[0], arguments[1]) != arguments[1]:
        name, origin = arguments
        display(Markdown(
            f"> **Другие данные.** Вместо «{name}» ({recorded.pop(name)}) здесь взяты «{name}» "
            f"из {origin}: рисунки и числа ниже свои, а слова вокруг — о данных книги."
        ))


sys.addaudithook(tell_other_data)
"""
_AS_IS = """\
# Ячейка с %%asis печатает текст книги: он показан с формулами и словами вместо ссылок.
references = $references


def asis(line, cell):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = get_ipython().run_cell(cell)
    result.raise_error()
    text = printed.getvalue()
    for reference in sorted(references, key=len, reverse=True):
        text = text.replace(reference, references[reference])
    display(Markdown(text))


get_ipython().register_magic_function(asis, "cell")
"""


def setup_code(
    project: Project, chapter: Chapter, references: Mapping[str, str], prints_text: bool
) -> str:
    """The source of the cell.

    Parameters
    ----------
    references : what stands in printed text (``@tbl-x``) -> what a reader sees instead.
    prints_text : does the notebook have cells that begin with ``%%asis``?

    Raises
    ------
    SourceError : ``book: repo-url`` without ``pixgrad: release``.
    """
    folder = chapter.path.parent.as_posix()
    in_root = folder == "." or project.get("project", "execute-dir") == "project"
    record = Ledger(project.root).records.get(chapter.path.as_posix(), {})
    needed = _packages(project, chapter, record)
    sources = record.get("sources")
    environment = dict(project.environment)
    folders = environment.pop("PYTHONPATH", "").split(":")
    parts = [
        _start(project),
        string.Template(_INSTALL).substitute(needed=_lines(needed)) if needed else "",
        "\n".join(
            [
                f"os.chdir(book{'' if in_root else f' / {json.dumps(folder)}'})",
                *(f'sys.path.insert(0, str(book / "{path}"))' for path in folders if path),
                *(
                    f"os.environ.setdefault({json.dumps(name)}, {json.dumps(value)})"
                    for name, value in environment.items()
                ),
            ]
        )
        + "\n",
        string.Template(_SOURCES).substitute(recorded=_dict(sources)) if sources else "",
        string.Template(_AS_IS).substitute(references=_dict(references)) if prints_text else "",
    ]
    return "\n".join(part for part in parts if part).replace("\n\n\n\n", "\n\n\n").rstrip("\n")


def _packages(project: Project, chapter: Chapter, record: Mapping[str, Any]) -> dict[str, str]:
    """Import name -> requirement: for every notebook, and what this chapter imports."""
    modules = [
        project.root / name.removeprefix("project:")
        for name in record.get("files", ())
        if name.startswith("project:") and name.endswith(".py")
    ]
    texts = [cell.source for cell in chapter.document.cells]
    texts += [path.read_text("utf-8") for path in modules if path.is_file()]
    imported = {name for text in texts for name in _IMPORT.findall(text)}
    importing = project.get("pixgrad", "notebooks", "importing") or {}
    return {
        **(project.get("pixgrad", "notebooks", "every") or {}),
        **{name: pinned for name, pinned in importing.items() if name in imported},
    }


def _start(project: Project) -> str:
    url = str(project.get("book", "repo-url", default="") or "").rstrip("/")
    if not url:
        return string.Template(_START).substitute(
            places="here, *here.parents", colab=_NO_ADDRESS, absent=_ABSENT + _ABSENT_IN_COLAB
        )
    release = project.get("pixgrad", "release")
    if not release:
        raise project.error("к repo-url нужен выпуск (pixgrad: release)", "book", "repo-url")
    name = PurePosixPath(url).name.removesuffix(".git")
    clone = string.Template(_CLONE).substitute(url=url, release=release, name=name)
    places = f'here, here / "{name}", *here.parents'
    return string.Template(_START).substitute(places=places, colab=clone, absent=_ABSENT)


def _dict(values: Mapping[str, str]) -> str:
    return f"{{\n{_lines(values)}\n}}" if values else "{}"


def _lines(values: Mapping[str, str]) -> str:
    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    return "\n".join(f"    {quoted(key)}: {quoted(value)}," for key, value in values.items())
