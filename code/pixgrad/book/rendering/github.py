"""``pixgrad render --to gfm``: pages outside the book, such as a report, as GitHub shows them.

``reports/lab1/README.qmd`` becomes ``README.md`` beside it, its figures as files beside that. The
cells are executed and frozen as those of a chapter.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

import typer

from pixgrad import files
from pixgrad.book.executing import freeze
from pixgrad.book.ledger import qmd
from pixgrad.book.rendering import crossref, frame, notebooks, pandoc, supported
from pixgrad.book.source import project as projects
from pixgrad.book.source.project import Chapter, Project
from pixgrad.errors import PixgradError, SourceError

_FIRST_LINES = """\
<!-- Сделано из {} командой pixgrad render --to gfm; правки здесь пропадут.
Рисунки: {} -->
"""
_MARK = re.compile(_FIRST_LINES.format(".*", "(?P<figures>.*)"))
_REFUSED = {
    r"\\(?P<what>mbox|phantom|(re)?newcommand|def|require|href|class|style)\b": (
        "формулу с \\{} GitHub не показывает"
    ),
    r"(?P<what>[\w-]+\$`[^`]+`\$|\$`[^`]+`\$\w+)": (
        "{}: формулу вплотную к букве GitHub не узнаёт; поставьте пробел"
    ),
}


def write_pages(root: Path | str, file: Path | None = None) -> None:
    """Write one page, or every page that ``pixgrad: reports`` of ``_quarto.yml`` names.

    A page that would not change is left alone. Figures that the page does not show any more are
    removed; which files are ours its first lines tell.

    Parameters
    ----------
    root : folder of the book that lends its settings, bibliography and labels.
    file : a ``.qmd`` of the project that is not in the book.

    Raises
    ------
    PixgradError : nothing to write; a stale page that cannot be executed here; a construct that
        GitHub does not show; a file of somebody else's in the place of ours.
    """
    project = projects.load(root)
    if file is None:
        pages = project.reports
    elif not file.resolve().is_relative_to(project.root):
        raise PixgradError(f"{file} лежит вне папки книги {project.root}")
    else:
        pages = [project.outside(file.resolve().relative_to(project.root))]
    if not pages:
        raise project.error("в pixgrad: reports нет ни одного отчёта; назовите файл .qmd")
    for page in pages:
        supported.require_page(page)
    freeze.freeze_book(project.root, only=[page.path.as_posix() for page in pages])
    files.clean(project.cache_dir)
    for page in pages:
        source = project.root / page.path
        changed = _write(source, *contents(project, page))
        unchanged = "" if changed else " (без изменений)"
        typer.echo(f"GitHub: {source.with_suffix('.md')}{unchanged}")


def contents(project: Project, page: Chapter) -> tuple[str, dict[str, bytes]]:
    """The text of an executed page and the figures that lie beside it, by name.

    Raises
    ------
    SourceError : a dangling reference or citation, a formula that GitHub does not show.
    """
    figures: dict[str, bytes] = {}

    def place(match: re.Match) -> str:
        path = notebooks.picture_path(project, page, match["src"])
        if not path.is_relative_to(project.results(page)):
            return f"]({quote(crossref.relative(path, (project.root / page.path).parent))})"
        name = re.sub(r"-output-1(?=\.\w+$)", "", path.name)
        figures[name] = path.read_bytes()
        return f"]({name})"

    return notebooks.PICTURE.sub(place, _markdown(project, page)), figures


def whole(source: Path, text: str, names: Iterable[str]) -> bytes:
    """The page with its first lines, which name its figures."""
    return f"{_FIRST_LINES.format(source.name, ' '.join(names))}\n{text}".encode()


def _markdown(project: Project, page: Chapter) -> str:
    """The page, addresses of pictures marked with ``pixgrad-image:``."""
    index = crossref.Index(project, [page])
    if not index.is_complete(page):
        index = crossref.Index(project, [*project.chapters, page])
    settings = index.settings(page, "gfm")
    settings["pages"] = {
        crossref.relative(chapter.path, page.path.parent): _address(project, page, chapter)
        for chapter in project.chapters
    }
    for name, target in settings["refs"].items():
        target["href"] = _href(project, page, index.labels[name])
    text = index.convert(page, pandoc.markdown(project, page, "html"), "gfm:github", settings)
    text = text.replace("&nbsp;", "\u00a0")
    _refuse_unseen(page, text)
    return text


def _href(project: Project, page: Chapter, label: crossref.Label) -> str:
    """Own sections have anchors on GitHub, own figures have none."""
    if label.chapter.path != page.path:
        return _address(project, page, label.chapter)
    return f"#{label.id}" if label.kind == "sec" else ""


def _address(project: Project, page: Chapter, chapter: Chapter) -> str:
    """Of a chapter: GitHub shows its notebook with the outputs, the source without."""
    shown = frame.notebook_path(project, chapter) or chapter.path
    return crossref.relative(Path(shown), page.path.parent)


def _refuse_unseen(page: Chapter, text: str) -> None:
    prose = "".join(line for line, fence in qmd.fenced_lines(text) if fence in ("", "open"))
    formulas = re.findall(r"^``` math\n.*?^```$", text, re.M | re.S)
    for pattern, message in _REFUSED.items():
        found = re.search(pattern, "\n".join([prose, *formulas]))
        if found:
            line = pandoc.find_line(page, re.escape(found["what"].replace("`", "")))
            raise SourceError(message.format(found["what"]), page.path, line)


def _write(source: Path, text: str, figures: Mapping[str, bytes]) -> bool:
    """Figures first, then the page, then former figures go; False if there was nothing to do.

    What is ours the first lines of the page say at any moment: the next run finishes a killed one.
    """
    folder, target = source.parent, source.with_suffix(".md").name
    files.clean(folder)
    mark = _MARK.match((_content(folder / target) or b"").decode("utf-8", "replace"))
    ours = {target, *(Path(name).name for name in mark["figures"].split())} if mark else set()
    former = sorted(ours - figures.keys() - {target})
    wanted = {**figures, target: whole(source, text, figures)}
    changed = {name: raw for name, raw in wanted.items() if _content(folder / name) != raw}
    for name in changed.keys() - ours:
        if (folder / name).exists():
            raise PixgradError(f"{folder / name} написан не нами; переименуйте его")
    if former:
        changed[target] = whole(source, text, [*figures, *former])
    for name, raw in changed.items():
        files.write(folder / name, raw)
    for name in former:
        (folder / name).unlink(missing_ok=True)
    if former:
        files.write(folder / target, wanted[target])
    return bool(changed)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
