"""``{{< embed notebook.ipynb#label >}}``: what cells of another notebook or ``.qmd`` put out.

As in Quarto a cell is found by its id, its label or its tag, several are separated by commas, and
without any the whole notebook stands here; code and warnings only with ``echo=true`` and
``warning=true``. Figures keep label and caption. The other document is executed and frozen like a
chapter, a notebook with the outputs that it has.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from pixgrad.book.ledger import include, notebook, qmd
from pixgrad.book.source import executed
from pixgrad.book.source.metadata import texts
from pixgrad.book.source.project import Chapter, Project, cell_options
from pixgrad.errors import SourceError

_EMBED = re.compile(
    r"^(?P<indent>[ \t]*)\{\{<\s*embed\s+(?P<address>\"[^\"]+\"|'[^']+'|[^\s>]+)(?P<options>[^>]*)"
    r">\}\}\s*$"
)
_OPTION = re.compile(r"\b(echo|warning)\s*=\s*[\"']?(true|yes)\b", re.I)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n(---|\.\.\.)\n", re.S)


@dataclass(frozen=True)
class Embedding:
    """One shortcode."""

    file: str
    """As written, relative to the chapter."""
    names: tuple[str, ...]
    """Ids, labels or tags of cells; none is the whole document."""
    options: frozenset[str]
    """``echo``, ``warning``."""
    indent: str


def parse(line: str) -> Embedding | None:
    """What a line of prose embeds."""
    found = _EMBED.match(line)
    if not found:
        return None
    file, _, names = unquote(found["address"].strip("\"'")).partition("#")
    options = frozenset(one[1].lower() for one in _OPTION.finditer(found["options"]))
    listed = tuple(name.strip() for name in names.split(",") if name.strip())
    return Embedding(file, listed, options, found["indent"])


def in_document(document: qmd.Document) -> Iterator[tuple[int, Embedding]]:
    """(line, what it embeds) of a chapter."""
    for number, line in document.prose_lines:
        found = parse(line)
        if found:
            yield number, found


def pages(project: Project) -> list[Chapter]:
    """The documents that are embedded and are no chapters, in the order of their first use.

    Raises
    ------
    SourceError : one cannot be read (the line that embeds it).
    """
    found: dict[str, Chapter] = {}
    for chapter in (*project.chapters, *project.reports):
        for line, one in in_document(chapter.document):
            page = _page(project, chapter, one, line)
            if page.kind == "outside":
                found.setdefault(page.path.as_posix(), page)
    return list(found.values())


def fault(project: Project, chapter: Chapter, one: Embedding) -> SourceError | None:
    """Why it cannot be embedded; what only the execution tells is not looked at."""
    try:
        page = _page(project, chapter, one, None)
        for name in one.names:
            _cell(project, page, name)
    except SourceError as error:
        return error
    return None


def labels(project: Project, chapter: Chapter) -> Iterator[tuple[int, str]]:
    """(line, label) of the cells that a chapter embeds."""
    for line, one in in_document(chapter.document):
        try:
            page = _page(project, chapter, one, line)
            cells = page.document.cells
            if one.names:
                places = [_cell(project, page, name) for name in one.names]
                cells = [cells[place] for place in places if isinstance(place, int)]
            for cell in cells:
                label = cell_options(cell, page.path)[0].get("label")
                if isinstance(label, str):
                    yield line, label
        except SourceError:
            continue  # told by ``fault``


def inserted(project: Project, chapter: Chapter, text: str, fmt: executed.Format) -> str:
    """The executed markdown of a chapter with what it embeds in its place.

    Raises
    ------
    SourceError : there is no such document or no such cell, or it has put out nothing.
    """
    if "embed" not in text:
        return text
    result, in_comment = "", False
    for line, fence in qmd.fenced_lines(text):
        in_comment = in_comment or (not fence and line.lstrip().startswith("<!--"))
        one = None if fence or in_comment else parse(line)
        in_comment = in_comment and "-->" not in line
        result += _markdown(project, chapter, one, fmt) if one else line
    return result


def _markdown(project: Project, chapter: Chapter, one: Embedding, fmt: executed.Format) -> str:
    line = next((place for place, its in in_document(chapter.document) if its == one), None)
    page = _page(project, chapter, one, line)
    try:
        places = [_cell(project, page, name) for name in one.names]
    except SourceError as error:
        raise SourceError(error.message, chapter.path, line) from None
    markdown = executed.markdown(project, page, fmt)
    if not one.names:
        text = _shown(_FRONT_MATTER.sub("", markdown), one.options)
    else:
        pieces = [p.text for p in executed.split(page, markdown) if p.cell is not None]
        parts = []
        for name, place in zip(one.names, places, strict=True):
            part = place if isinstance(place, str) else _shown(pieces[place], one.options)
            if not re.sub(r"^:{3,}.*$", "", part, flags=re.M).strip():
                message = f"embed: ячейка «{name}» из {one.file} ничего не вывела"
                raise SourceError(message, chapter.path, line)
            parts.append(part)
        text = "\n\n".join(parts)
    away = os.path.relpath(project.results(page), project.results(chapter))
    own, here = f"]({page.stem}_files/", f"]({chapter.stem}_files/{away}/".replace(os.sep, "/")
    text = f"\n\n{text.replace(own, here).strip()}\n\n"
    return re.sub(r"^(?=.)", one.indent, text, flags=re.M)


def _page(project: Project, chapter: Chapter, one: Embedding, line: int | None) -> Chapter:
    """The document, one of the book's chapters if it is such.

    Raises
    ------
    SourceError : it is missing or of another kind (the chapter's ``line``), or is broken.
    """
    path = os.path.relpath(project.file(chapter, one.file), project.root)
    known = {page.path.as_posix(): page for page in project.chapters}
    if path in known:
        return known[path]
    if not path.endswith((".qmd", notebook.SUFFIX)):
        message = f"embed: {one.file}: встроить можно ячейки блокнота .ipynb или файла .qmd"
        raise SourceError(message, chapter.path, line)
    if not (project.root / path).is_file():
        raise SourceError(f"embed: файла {one.file} нет", chapter.path, line)
    return project.outside(path, is_strict=False)


def _cell(project: Project, page: Chapter, name: str) -> int | str:
    """The number of a cell among those of the document; of one that is prose, its text.

    Raises
    ------
    SourceError : there is none.
    """
    of_cells = [dict(cell_options(cell, page.path)[0]) for cell in page.document.cells]
    prose: dict[str, str] = {}
    if page.path.suffix == notebook.SUFFIX:
        raw = include.read_text(project.root / page.path, page.path)
        for own, cell in zip(of_cells, notebook.code_cells(raw, page.path), strict=True):
            _add_metadata(own, cell)
        for cell in notebook.cells(raw, page.path):
            if cell["cell_type"] == "markdown" and cell.get("id"):
                prose[cell["id"]] = cell["source"]
    for key in ("id", "label", "tags"):
        for number, own in enumerate(of_cells):
            if name in map(str, texts(own.get(key))):
                return number
        if key == "id" and name in prose:
            return prose[name]
    raise SourceError(f"embed: в {page.path.as_posix()} нет ячейки «{name}»", page.path)


def _add_metadata(own: dict[str, Any], cell: Mapping[str, Any]) -> None:
    """What a notebook keeps beside the source of a cell."""
    kept = cell.get("metadata", {})
    own.setdefault("id", cell.get("id"))
    own.setdefault("label", kept.get("label"))
    own["tags"] = [*texts(own.get("tags")), *texts(kept.get("tags"))]


def _shown(text: str, options: frozenset[str]) -> str:
    """The markdown of cells without their code and warnings, as far as not asked for."""
    result, depth, is_code = "", 0, False
    for line, fence in qmd.fenced_lines(text):
        is_code = is_code or (fence == "open" and ".cell-code" in line)
        step = 0 if fence else qmd.div_step(line)
        if depth or (step > 0 and ".cell-output-stderr" in line and "warning" not in options):
            depth += step
        elif not is_code or "echo" in options:
            result += line
        is_code = is_code and fence != "close"
    return result
