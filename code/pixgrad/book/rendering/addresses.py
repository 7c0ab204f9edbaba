"""The addresses on a page: which files go with it, and which lead nowhere."""

import re
from collections.abc import Collection
from html.parser import HTMLParser
from pathlib import PurePosixPath
from urllib.parse import unquote

from pixgrad.book.rendering import pandoc
from pixgrad.book.rendering.crossref import relative
from pixgrad.book.source.project import Chapter, Project
from pixgrad.errors import SourceError

_EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.I)
_IMAGE = re.compile(r'(?P<before><img src=)"(?P<address>[^"]*)"')


class _Addresses(HTMLParser):
    """(tag, address) of everything that a page loads or links to."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href", "poster", "data") and value:
                self.found.append((tag, value))


def resolved(project: Project, chapter: Chapter, body: str) -> tuple[str, list[str]]:
    """The page with its addresses as Quarto has them, and the files to be copied beside it.

    What leads nowhere stays as it is written.

    Raises
    ------
    SourceError : in a strict book, an address that leads nowhere.
    """
    body = _IMAGE.sub(_readable, body)
    pages = {other.html_path.as_posix() for other in project.chapters}
    files = []
    for tag, address in dict.fromkeys(_Addresses(body).found):
        path = address.split("#")[0].split("?")[0]
        is_external = not path or bool(_EXTERNAL.match(address))
        fault = _address_fault(project, chapter, pages, tag, address)
        if fault and project.is_strict:
            raise SourceError(fault, chapter.path, _line_of(chapter, address))
        target = relative(chapter.path.parent / unquote(path), ".")
        if not (fault or is_external or target in pages):
            files.append(path)
    return body, files


def _address_fault(
    project: Project, chapter: Chapter, pages: Collection[str], tag: str, address: str
) -> str | None:
    if tag != "a" and re.match(r"(https?:)?//", address, re.I):
        return f"{address} лежит на другом сайте; сохраните файл в папке книги"
    path = address.split("#")[0].split("?")[0]
    target = PurePosixPath(relative(chapter.path.parent / unquote(path), "."))
    if not path or _EXTERNAL.match(address) or target.as_posix() in pages:
        return None
    if target.suffix == ".html" and not (project.root / target).exists():
        return f"ссылка на {target.with_suffix('.qmd')}, которой нет в списке глав"
    if target.as_posix().startswith("../"):
        return f"файл {unquote(path)} лежит вне книги, рядом с сайтом его не положить"
    return None if project.file(chapter, path).is_file() else f"файла {unquote(path)} нет"


def _line_of(chapter: Chapter, address: str) -> int | None:
    path = unquote(address.split("#")[0])
    stem = path.removesuffix(".html").rsplit("../", 1)[-1]
    return pandoc.find_line(chapter, re.escape(stem))


def _readable(image: re.Match) -> str:
    """The address of a picture of the book as Quarto has it: its letters as they are."""
    address = unquote(image["address"])
    is_plain = not _EXTERNAL.match(address) and not re.search(r"[%?#&\"'<>]", address)
    return f'{image["before"]}"{address if is_plain else image["address"]}"'
