"""Everything that points somewhere: pictures, links, labels, references, citations, variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from posixpath import normpath
from urllib.parse import unquote

from pixgrad.book.checking.pages import CROSSREF, LINK, Book, Finding, Page

_EXTERNAL = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)", re.I)
_DEFINITION = re.compile(r"^[ ]{0,3}\[(?!\^)[^\]]+\]:\s*<?(?P<target>[^\s>]+)", re.M)
_KEY = r"[A-Za-zА-яЁё0-9_](?:\w|[:.#$%&\-+?<>~/](?=\w))*"
_CITE = re.compile(rf"(?<![\w\\@/])@\{{?(?P<key>{_KEY})")
_GLUED = re.compile(rf"@{CROSSREF}-[\w-]+\s+\[[^\]]*(?<![\w\\])@")
_IS_CROSSREF = re.compile(rf"{CROSSREF}-", re.I)
_VARIABLE = re.compile(r"(?<!\{)\{\{<\s*var\s+(?P<name>\S+?)\s*>\}\}")
_BIB_ENTRY = re.compile(r"^[ \t]*@(?P<type>\w+)\s*[{(]\s*(?P<key>[^\s,{}()]+)\s*,", re.M)


def missing_images(book: Book) -> Iterator[Finding]:
    """Quarto publishes a page with a broken picture."""
    for page in book.pages:
        for line, link in page.find(LINK, page.text):
            path = _local(link["target"]) if link["image"] else None
            if path and not (book.project.root / _resolve(page, path)).is_file():
                yield page.finding(line, f"нет картинки {link['target']}")


def broken_links(book: Book) -> Iterator[Finding]:
    """Quarto publishes links to pages that do not exist and to anchors that nothing carries."""
    for page in book.pages:
        links = [m for m in page.find(LINK, page.text) if not m[1]["image"]]
        for line, link in [*links, *page.find(_DEFINITION, page.text)]:
            fault = _link_fault(book, page, unquote(link["target"]))
            if fault:
                yield page.finding(line, fault)


def duplicate_labels(book: Book) -> Iterator[Finding]:
    """Quarto sends all references to one of the two places."""
    first: dict[str, tuple[Page, int]] = {}
    for page in book.pages:
        for line, label in page.labels:
            key = label if _IS_CROSSREF.match(label) else f"{page.file}#{label}"
            if key in first:
                where = f"{first[key][0].file}:{first[key][1]}"
                yield page.finding(line, f"метка {label} уже есть: {where}")
            first.setdefault(key, (page, line))


def unresolved_references(book: Book) -> Iterator[Finding]:
    """Quarto warns in passing and publishes «?@fig-x»."""
    for page in book.pages:
        for line, key in _keys(page):
            if _IS_CROSSREF.match(key) and key[0].lower() + key[1:] not in book.ids:
                yield page.finding(line, f"ссылка @{key} никуда не ведёт: такой метки в книге нет")


def missing_citations(book: Book) -> Iterator[Finding]:
    """Quarto prints «(key?)» in HTML with a warning; the PDF fails."""
    known = {key for _, _, key in _bib_entries(book)}
    for page in book.pages:
        for line, key in _keys(page):
            if not _IS_CROSSREF.match(key) and key not in known:
                yield page.finding(line, f"источника @{key} нет в библиографии")


def glued_citations(book: Book) -> Iterator[Finding]:
    """pandoc takes «[@cite]» right after «@fig-x» for a locator, and the citation is lost."""
    for page in book.pages:
        for line, match in page.find(_GLUED, page.words):
            reference = match[0].split()[0]
            yield page.finding(
                line, f"после {reference} вплотную стоит [@…]: вставьте слово или запятую"
            )


def bibliography(book: Book) -> Iterator[Finding]:
    """Of two entries with one key one is taken silently."""
    for path, line in _bib_files(book):
        if not (book.project.root / path).is_file():
            yield Finding("_quarto.yml", line, f"нет файла библиографии {path}")
    first: dict[str, str] = {}
    for path, line, key in _bib_entries(book):
        if key in first:
            yield Finding(path, line, f"источник {key} уже описан: {first[key]}")
        first.setdefault(key, f"{path}:{line}")


def variables(book: Book) -> Iterator[Finding]:
    """Quarto prints «?var:name» in the text."""
    for page in book.pages:
        for line, match in page.find(_VARIABLE, page.prose):
            yield from _no_value(book, page, line, match["name"])
        for cell in page.cells:
            for line, text in cell.texts():
                for match in _VARIABLE.finditer(text):
                    yield from _no_value(book, page, line, match["name"])


RULES = (
    missing_images,
    broken_links,
    duplicate_labels,
    unresolved_references,
    missing_citations,
    glued_citations,
    bibliography,
    variables,
)


def count_references(book: Book) -> int:
    """Links, references and citations of the book."""
    return sum(
        len(list(_keys(page))) + sum(not link["image"] for link in LINK.finditer(page.text))
        for page in book.pages
    )


def _no_value(book: Book, page: Page, line: int, name: str) -> Iterator[Finding]:
    if book.project.variable(name) is None:
        yield page.finding(line, f"у переменной {name} нет значения в _variables.yml")


def _keys(page: Page) -> Iterator[tuple[int, str]]:
    """(line, key) of every «@key» of the prose and of the captions."""
    for line, match in page.find(_CITE, page.words):
        yield line, match["key"]
    for cell in page.cells:
        for line, text in cell.texts():
            for match in _CITE.finditer(text):
                yield line, match["key"]


def _local(target: str) -> str | None:
    """The path of a link into the project, None for another host."""
    return None if _EXTERNAL.match(target) else unquote(target).split("#")[0]


def _resolve(page: Page, path: str) -> str:
    """Relative to the project; Quarto takes a leading slash for the project's folder."""
    return normpath(path.lstrip("/") if path.startswith("/") else str(page.folder / path))


def _link_fault(book: Book, page: Page, target: str) -> str | None:
    path, _, anchor = target.partition("#")
    if _EXTERNAL.match(target):
        return None
    if not path:
        known = not anchor or anchor in page.ids
        return None if known else f"якоря #{anchor} на этой странице нет"
    file = _resolve(page, path)
    if PurePosixPath(file).suffix not in (".qmd", ".html"):
        exists = (book.project.root / file).exists()
        return None if exists else f"ссылка на {path}: такого файла нет"
    linked = book.by_file.get(str(PurePosixPath(file).with_suffix(".qmd")))
    if linked is None:
        return f"ссылка на {path}: такой страницы в книге нет"
    return f"якоря #{anchor} в {path} нет" if anchor and anchor not in linked.ids else None


def _bib_files(book: Book) -> Iterator[tuple[str, int]]:
    listed = book.project.get("bibliography", default=[])
    lines: Mapping[tuple, int] = book.project.config_lines
    for index, path in enumerate(listed if isinstance(listed, list) else [listed]):
        key = ("bibliography", index) if isinstance(listed, list) else ("bibliography",)
        yield str(path), lines.get(key, 1)


def _bib_entries(book: Book) -> Iterator[tuple[str, int, str]]:
    """(file, line, key) of the BibTeX entries."""
    for path, _ in _bib_files(book):
        file = book.project.root / path
        text = file.read_text("utf-8") if file.is_file() else ""
        for match in _BIB_ENTRY.finditer(text):
            if match["type"].lower() not in ("comment", "string", "preamble"):
                yield path, text.count("\n", 0, match.start("type")) + 1, match["key"]
