"""Everything that points somewhere: pictures, links, labels, references, citations, variables."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath
from urllib.parse import unquote

from pixgrad.book.checking.pages import Book, Finding, Page
from pixgrad.book.rendering import pandoc
from pixgrad.book.rendering.tree import is_crossref
from pixgrad.book.source import embedded
from pixgrad.errors import PixgradError, SourceError

_EXTERNAL = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)", re.I)


def missing_images(book: Book) -> Iterator[Finding]:
    """Quarto publishes a page with a broken picture."""
    for page, image in book.of("Image"):
        path = unquote(image.target.split("#")[0])
        extension = pandoc.picture_extension(book.project, page.chapter)
        if extension and not PurePosixPath(path).suffix:
            path += f".{extension}"
        if re.match(r"(https?:)?//", path, re.I):
            what = f"картинка {path} лежит на другом сайте: в PDF будет её адрес"
            yield page.finding(image.line, what, is_note=not book.project.is_strict)
        elif not _EXTERNAL.match(path) and not book.project.file(page.chapter, path).is_file():
            yield page.finding(image.line, f"нет картинки {path}")


def broken_links(book: Book) -> Iterator[Finding]:
    """Quarto publishes links to pages that do not exist and to anchors that nothing carries."""
    for page, link in book.of("Link"):
        fault = _link_fault(book, page, unquote(link.target))
        if fault:
            yield page.finding(link.line, fault)


def duplicate_labels(book: Book) -> Iterator[Finding]:
    """Quarto sends all references to one of the two places."""
    first: dict[str, tuple[Page, int]] = {}
    for page in book.pages:
        for line, label in page.labels:
            key = label if is_crossref(label) else f"{page.file}#{label}"
            if key in first:
                where = f"{first[key][0].file}:{first[key][1]}"
                yield page.finding(line, f"метка {label} уже есть: {where}")
            first.setdefault(key, (page, line))


def unresolved_references(book: Book) -> Iterator[Finding]:
    """Quarto warns in passing and publishes «?@fig-x»."""
    for page, line, key in _keys(book):
        if is_crossref(key) and key[0].lower() + key[1:] not in book.ids:
            yield page.finding(line, f"ссылка @{key} никуда не ведёт: такой метки в книге нет")


def citations(book: Book) -> Iterator[Finding]:
    """Quarto prints «(key?)» in HTML with a warning, the PDF fails; of two entries one is taken."""
    known: dict[str, str] = {}
    for place, path, line in _bibliographies(book):
        try:
            keys = pandoc.bibliography_keys(path) if path.is_file() else []
        except PixgradError as error:
            yield Finding(place, line, str(error))
            continue
        file = os.path.relpath(path, book.project.root)
        if not path.is_file():
            yield Finding(place, line, f"нет файла библиографии {file}")
        for key in keys:
            for number in _lines_of_entry(path, key):
                if key in known:
                    yield Finding(file, number, f"источник {key} уже описан: {known[key]}")
                known.setdefault(key, f"{file}:{number}")
    for page, line, key in _keys(book):
        if not is_crossref(key) and key not in known and key not in book.ids:
            yield page.finding(line, f"источника @{key} нет в библиографии")


def glued_citations(book: Book) -> Iterator[Finding]:
    """pandoc takes «[@cite]» right after «@fig-x» for a locator, and the citation is lost."""
    for page, cite in book.of("Cite"):
        if cite.is_mixed and cite.is_glued:
            message = f"после @{cite.keys[0]} вплотную стоит [@…]: вставьте слово или запятую"
            yield page.finding(cite.line, message)


def variables(book: Book) -> Iterator[Finding]:
    """Quarto prints «?var:name» in the text."""
    for page in book.pages:
        captions = [text for cell in page.cells for text in cell.texts()]
        for line, text in [*page.chapter.document.prose_lines, *captions]:
            for code in pandoc.SHORTCODE.finditer(text):
                is_known = code["name"] in pandoc.SHORTCODES and code["value"]
                if is_known and pandoc.shortcode(book.project, page.chapter, code) is None:
                    yield page.finding(line, pandoc.shortcode_fault(code))


def embedded_cells(book: Book) -> Iterator[Finding]:
    """Quarto stops at a document or a cell that is not there."""
    for page in book.pages:
        for line, one in embedded.in_document(page.chapter.document):
            fault = embedded.fault(book.project, page.chapter, one)
            if fault:
                yield page.finding(line, fault.message)


RULES = (
    missing_images,
    broken_links,
    duplicate_labels,
    unresolved_references,
    citations,
    glued_citations,
    variables,
    embedded_cells,
)


def count_references(book: Book) -> int:
    """Links, references and citations of the book."""
    return len([*_keys(book), *book.of("Link")])


def _keys(book: Book) -> Iterator[tuple[Page, int, str]]:
    """(page, line, key) of every «@key» of the prose and of the captions."""
    return ((page, cite.line, key) for page, cite in book.of("Cite") for key in cite.keys)


def _link_fault(book: Book, page: Page, target: str) -> str | None:
    path, _, anchor = target.partition("#")
    if _EXTERNAL.match(target):
        return None
    if not path:
        known = not anchor or anchor in page.ids or (is_crossref(anchor) and anchor in book.ids)
        return None if known else f"якоря #{anchor} на этой странице нет"
    file = PurePosixPath(
        normpath(path.lstrip("/") if path.startswith("/") else page.chapter.path.parent / path)
    )
    linked = book.by_file.get(str(file))
    if linked is None and file.suffix == ".html":
        linked = next((one for one in book.pages if str(one.chapter.html_path) == str(file)), None)
    if linked is None and file.suffix not in (".qmd", ".html"):
        exists = book.project.file(page.chapter, path).exists()
        return None if exists else f"ссылка на {path}: такого файла нет"
    if linked is None:
        return f"ссылка на {path}: такой страницы в книге нет"
    return f"якоря #{anchor} в {path} нет" if anchor and anchor not in linked.ids else None


def _bibliographies(book: Book) -> Iterator[tuple[str, Path, int]]:
    """(file that names it, path, line) of each bibliography."""
    listed = book.project.get("bibliography", default=[])
    lines = book.project.config_lines
    for index, path in enumerate(listed if isinstance(listed, list) else [listed]):
        line = lines.get(("bibliography", index), lines.get(("bibliography",), 1))
        yield "_quarto.yml", book.project.root / path, line
    seen = set()
    for page in book.pages:
        try:
            paths = pandoc.own_bibliographies(book.project, page.chapter)
        except SourceError:
            continue  # the engine's own finding
        for path in paths:
            if path not in seen:
                yield page.file, path, 1
            seen.add(path)


def _lines_of_entry(path: Path, key: str) -> list[int]:
    """Where BibTeX, JSON or YAML describes a source; 1 where that cannot be told."""
    entry = re.compile(
        rf"""(?:^\s*@\w+\s*[{{(]\s*|\bid["']?\s*:\s*["']?){re.escape(key)}(?=["'\s,}}]|$)""", re.M
    )
    text = path.read_text("utf-8")
    return [text.count("\n", 0, one.end()) + 1 for one in entry.finditer(text)] or [1]
