"""Build the site, the PDF and the notebooks, with Quarto where it is installed."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pixgrad import files
from pixgrad.book.checking import check
from pixgrad.book.executing import freeze
from pixgrad.book.rendering import frame, github, outputs, scripts, supported
from pixgrad.book.source import embedded
from pixgrad.book.source import project as books
from pixgrad.book.source.project import Project
from pixgrad.errors import PixgradError

FORMATS = {"html": "сайт", "pdf": "PDF", "ipynb": "блокноты", "gfm": "страницы для GitHub"}
ENGINES = ("auto", "quarto", "pandoc")
OLDEST_QUARTO = (1, 9)  # the first with Typst books
_STAMPS, _SECONDS = "stamps.json", "seconds"
_NO_SOURCES = ("__pycache__", "site_libs")

_console = Console(highlight=False, soft_wrap=True)


def render_book(
    root: Path | str = ".",
    engine: str = "auto",
    formats: Sequence[str] = ("html", "pdf"),
    page: Path | None = None,
    dry_run: bool = False,
) -> None:
    """Render the book in ``root``; the result replaces the previous one whole or not at all.

    Formats that are not asked for, or whose sources have not changed, stay as they are.

    Parameters
    ----------
    root : folder with ``_quarto.yml``.
    engine : ``quarto``, ``pandoc`` (the embedded one), or ``auto``: Quarto if it is new enough.
    formats : any of ``html``, ``pdf``, ``ipynb``, ``gfm``.
    page : a ``.qmd`` outside the book, for ``gfm`` alone; by default the reports of the book.
    dry_run : only say what would be done and why.

    Raises
    ------
    PixgradError : unknown format or engine, a stale chapter that cannot be executed here,
        anything in the book that cannot be rendered.
    """
    wanted = _known_formats(formats)
    if page is not None and wanted != ["gfm"]:
        raise PixgradError(f"{page}: отдельный файл собирается только с --to gfm")
    of_book = [name for name in wanted if name != "gfm"]
    if dry_run:
        return _plan(books.load(root), engine, wanted, page)
    if of_book:
        _render_whole(books.load(root), engine, of_book)
    if "gfm" in wanted:
        github.write_pages(root, page)


def _plan(project: Project, engine: str, wanted: Sequence[str], page: Path | None) -> None:
    """Say what would be executed and built; scripts before the rendering are not run."""
    version = quarto_version() if _uses_quarto(engine) else None
    try:
        freeze.freeze_book(project.root, check=True, only=_chapters(project))
        behind = False
    except PixgradError as error:
        _tell([error])
        behind = True
    _, stale, _ = _judged(project, version, [name for name in wanted if name != "gfm"])
    for name in wanted:
        if name == "gfm":
            pages = [str(page)] if page else [one.path.as_posix() for one in project.reports]
            _tell([f"{FORMATS[name]}: будут записаны: {', '.join(pages) or 'ни одной'}"])
        elif behind or name in stale:
            why = "устарели главы" if behind else "изменились исходники или сама сборка"
            _tell([f"{FORMATS[name]}: {_shown(project, name)} будет собран заново: {why}"])
        else:
            _tell([f"{FORMATS[name]}: {_shown(project, name)} (без изменений)"])


def _chapters(project: Project) -> list[str]:
    pages = (*project.chapters, *embedded.pages(project))
    return [page.path.as_posix() for page in pages]


def _judged(project: Project, version: str | None, wanted: Sequence[str]):
    """Digest of all that goes in; the formats made from something else; the stamps of before."""
    inputs = _digest([_input_digest(project, version), str(_has_pdf(project, wanted))])
    stamps = files.read_json(project.cache_dir / _STAMPS)
    stale = [name for name in wanted if stamps.get(name) != [inputs, _output_digest(project, name)]]
    return inputs, stale, stamps


def _render_whole(project: Project, engine: str, wanted: Sequence[str]) -> None:
    version = quarto_version() if _uses_quarto(engine) else None
    outputs.require_place(project)
    if version is None and scripts.before(project):
        project = books.load(project.root)
    freeze.freeze_book(project.root, only=_chapters(project))
    with files.workshop(project.output_dir) as workshop:
        files.clean(project.cache_dir)
        inputs, stale, stamps = _judged(project, version, wanted)
        seconds = stamps.get(_SECONDS, {})
        has_pdf = _has_pdf(project, wanted)
        if version is None and {"html", "pdf"} & set(stale):
            _tell(supported.notes(project) if project.is_strict else check.faults(project))
        for name in stale:
            started = time.monotonic()
            shows_own = version is not None or name == "ipynb"
            with _progress(FORMATS[name], seconds.get(name), quiet=shows_own):
                _build(project, name, workshop / name, version, has_pdf)
            seconds[name] = round(time.monotonic() - started, 1)
        _publish(project, stale, workshop, version is not None)
        if stale:
            stamps |= {name: [inputs, _output_digest(project, name)] for name in stale}
            stamps[_SECONDS] = seconds
            files.write(project.cache_dir / _STAMPS, json.dumps(stamps))
    for name in wanted:
        unchanged = "" if name in stale else " (без изменений)"
        _console.print(f"{FORMATS[name]}: {_shown(project, name)}{unchanged}", markup=False)


def _has_pdf(project: Project, wanted: Sequence[str]) -> bool:
    """Whether the site has a PDF to link to."""
    return "pdf" in wanted or (project.output_dir / pdf_name(project)).is_file()


def _tell(lines: Iterable[object]) -> None:
    for line in lines:
        _console.print(str(line), markup=False)


def pdf_name(project: Project) -> str:
    """File name of the PDF: ``book: output-file``, else the title, as Quarto makes it."""
    stem = project.get("book", "output-file") or project.title or project.root.name
    return re.sub(r"[ <>()|\\:&;#?*']", "-", str(stem)) + ".pdf"


def _known_formats(formats: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(name.strip() for name in formats))
    for name in wanted:
        if name not in FORMATS:
            known = ", ".join(FORMATS)
            raise PixgradError(f"неизвестный формат «{name}»; есть {known} (через запятую в --to)")
    return wanted


def _uses_quarto(engine: str) -> bool:
    if engine not in ENGINES:
        raise PixgradError(f"неизвестный движок «{engine}»; есть {', '.join(ENGINES)}")
    if engine == "pandoc":
        return False
    version = quarto_version()
    if version is not None and version_numbers(version) >= OLDEST_QUARTO:
        return True
    needed = ".".join(map(str, OLDEST_QUARTO))
    found = "Quarto не найден на PATH" if version is None else f"Quarto {version} старше {needed}"
    if engine == "quarto":
        raise PixgradError(f"{found}; установите Quarto {needed} или новее либо --engine pandoc")
    if version is not None:
        _console.print(f"{found}: собираю встроенным движком")
    return False


def quarto_version() -> str | None:
    """What the ``quarto`` on PATH says of itself, None if there is none."""
    if shutil.which("quarto") is None:
        return None
    answer = subprocess.run(["quarto", "--version"], capture_output=True, text=True)
    return answer.stdout.strip() if answer.returncode == 0 else None


def version_numbers(version: str) -> tuple[int, ...]:
    """(major, minor) of a version."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _build(project: Project, name: str, out: Path, quarto: str | None, has_pdf: bool) -> None:
    """Build one format into the new folder ``out``; notebooks go where they live."""
    if name == "ipynb":
        from pixgrad.book.rendering import notebooks

        notebooks.write_notebooks(project.root)
    elif quarto is not None:
        _run_quarto(project, {"html": "html", "pdf": "typst"}[name], out)
    elif name == "html":
        from pixgrad.book.rendering import html_engine

        out.mkdir()
        html_engine.build_html(project, out, pdf_name(project) if has_pdf else None)
    else:
        from pixgrad.book.rendering import typst_engine

        out.mkdir()
        _tell(typst_engine.build_pdf(project, out / pdf_name(project)))


def _run_quarto(project: Project, to: str, out: Path) -> None:
    place = os.path.relpath(out, project.root)
    command = ["quarto", "render", ".", "--to", to, "--output-dir", place]
    code = subprocess.run(command, cwd=project.root).returncode
    if code != 0:
        raise PixgradError(
            f"«{' '.join(command)}» завершилась с кодом {code} (её сообщение выше); "
            f"прежняя сборка в {project.output_dir.name} не тронута"
        )


def _publish(project: Project, built: Sequence[str], workshop: Path, quarto: bool) -> None:
    if not {"html", "pdf"} & set(built):
        return
    new, name = workshop / "html", pdf_name(project)
    new.mkdir(exist_ok=True)
    if "pdf" in built:
        (pdf,) = (workshop / "pdf").glob("*.pdf")
        pdf.rename(new / name)
    for kept in outputs.unchanged(project):
        if ("html" not in built or kept == name) and not (new / kept).exists():
            outputs.link(project.output_dir / kept, new / kept)
    if not quarto:
        scripts.after(project, new)
    outputs.publish(project, new)


def _shown(project: Project, name: str) -> Path:
    places = {
        "html": project.output_dir / "index.html",
        "pdf": project.output_dir / pdf_name(project),
        "ipynb": project.root / frame.NOTEBOOKS,
    }
    return places[name]


@contextmanager
def _progress(title: str, before: float | None, quiet: bool) -> Iterator[None]:
    """A spinner with a clock and what is left of the time that it took before.

    Quarto and the notebooks show their own progress.
    """
    if quiet:
        yield
        return
    from rich.progress import Progress, SpinnerColumn, Task, TextColumn, TimeElapsedColumn

    class Left(TextColumn):
        def render(self, task: Task) -> Text:
            left = (before or 0) - (task.elapsed or 0)
            return Text(f"осталось около {left:.0f} с" if left >= 1 else "")

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), Left(""))
    with Progress(*columns, console=_console, transient=True) as progress:
        progress.add_task(title, total=None)
        yield


# What was rendered last time: a digest of everything that goes in and of what came out.


def _input_digest(project: Project, quarto: str | None) -> str:
    """Of every file in the project (but hidden ones and results) and of this generator."""
    own = {project.output_dir / name for name in (*outputs.listed(project), outputs.LIST)}
    state = [f"quarto {quarto}", *_state(Path(__file__).parent, own)]
    for path in sorted(project.root.iterdir()):
        if not (path.name.startswith(".") or path.name == frame.NOTEBOOKS):
            state += _state(path, own)
    return _digest(state)


def _output_digest(project: Project, name: str) -> str:
    if name == "ipynb":
        return _digest(_state(project.root / frame.NOTEBOOKS))
    pdf = pdf_name(project)
    built = [pdf] if name == "pdf" else sorted({*outputs.listed(project)} - {pdf})
    return _digest(line for one in built for line in _state(project.output_dir / one))


def _state(path: Path, own: Collection[Path] = ()) -> Iterator[str]:
    """Path, size and time of change of a file or of every file in a folder that is not our own."""
    if path.is_dir():
        for inner in sorted(path.iterdir()):
            if inner.name not in _NO_SOURCES:
                yield from _state(inner, own)
    elif path.exists() and path not in own:
        status = path.stat()
        yield f"{path} {status.st_size} {status.st_mtime_ns}"


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()
