"""The book as the rules see it: masked prose in which line k is line k of the ``.qmd``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from pixgrad.book.ledger import qmd
from pixgrad.book.source import executed
from pixgrad.book.source.project import Chapter, Project, cell_options
from pixgrad.errors import SourceError

CROSSREF = r"(?:fig|tbl|eq|sec|lst|thm|lem|cor|prp|cnj|def|exm|exr|sol|rem|alg|nte|tip|wrn|imp|cau)"
"""Prefixes of labels that Quarto numbers."""
HOLE = "\ufffc"
"""Stands for a character of inline code or of a formula."""

_COMMENT = re.compile(r"<!--.*?-->", re.S)
_CODE = re.compile(r"(?<!`)(?P<ticks>`+)(?!`)(?:(?!\n[ \t]*\n).)+?(?<!`)(?P=ticks)(?!`)", re.S)
_WITHIN = r"(?:(?!\n[ \t]*\n)(?:\\.|[^$\\]))"
MATH = re.compile(
    rf"(?<!\\)\$\$(?P<display>{_WITHIN}+?)\$\$"
    rf"|(?<![\\$])\$(?=[^\s$])(?P<inline>{_WITHIN}+?)(?<=\S)\$(?!\d)",
    re.S,
)
_BRACKETED = r"(?:[^\[\]]|\[(?:[^\[\]]|\[[^\[\]]*\])*\])*"
LINK = re.compile(
    rf"(?P<image>!?)\[(?=(?P<text>{_BRACKETED})\])(?P=text)\]"
    r"\(\s*<?(?P<target>[^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)(?P<attributes>\{[^{}]*\})?"
)
_TARGET = re.compile(r"(?<=\])\([^)]*\)|^\s*\[[^\]]+\]:\s*\S+|<\w+:[^>]*>|https?://[^\s)>]+", re.M)
_MARKUP = re.compile(r"\{\{<.*?>\}\}|\{[^{}]*\}|</?[A-Za-z][^>]*>|^:{3,}.*$", re.S | re.M)
_FENCE_LABEL = re.compile(r"^[ ]{0,3}(?:`{3,}|~{3,})\s*\{[^}]*?#(?P<id>[^\s}]+)")
_ATTRIBUTE_ID = re.compile(r"\{[^{}]*?#(?P<id>[^\s{}]+)[^{}]*\}")
_TEXT_ATTRIBUTE = re.compile(r"\b(?:fig-alt|fig-cap|tbl-cap|lst-cap|title)=\"(?P<text>[^\"]*)\"")
_CAPTIONS = ("fig-cap", "fig-subcap", "fig-alt", "tbl-cap", "tbl-subcap", "lst-cap")


@dataclass(frozen=True, order=True)
class Finding:
    """One line of the linter's report."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True)
class PageCell:
    """A cell with its parsed options, none if they are not YAML."""

    cell: qmd.Cell
    options: dict[str, Any]
    option_lines: dict[str, int]

    @property
    def label(self) -> str:
        label = self.options.get("label", "")
        return label if isinstance(label, str) else ""

    def line_of(self, option: str) -> int:
        return self.option_lines.get(option, self.cell.line)

    def texts(self) -> Iterator[tuple[int, str]]:
        """(line, text) of its captions and alternative texts."""
        for option in _CAPTIONS:
            value = self.options.get(option)
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str):
                    yield self.line_of(option), text


@dataclass(frozen=True)
class Page:
    """A chapter, masked step by step; every view keeps the line numbers of the file."""

    project: Project
    chapter: Chapter

    @property
    def file(self) -> str:
        return self.chapter.path.as_posix()

    @property
    def folder(self) -> PurePosixPath:
        return PurePosixPath(self.file).parent

    @cached_property
    def prose(self) -> str:
        """The text without cells, code blocks, front matter and comments."""
        document = self.chapter.document
        kept = dict(document.prose_lines())
        lines = (kept.get(n, "") for n in range(1, document.text.count("\n") + 2))
        return _mask(_COMMENT, "\n".join(lines), " ")

    @cached_property
    def uncoded(self) -> str:
        """``prose`` without inline code."""
        return _mask(_CODE, self.prose, HOLE)

    @cached_property
    def text(self) -> str:
        """``prose`` without inline code and formulas."""
        return _mask(MATH, self.uncoded, HOLE)

    @cached_property
    def words(self) -> str:
        """``text`` without addresses."""
        return _mask(_TARGET, self.text, " ")

    @cached_property
    def plain(self) -> str:
        """``words`` without attributes, shortcodes and HTML tags: what the reader reads."""
        return _mask(_MARKUP, self.words, " ")

    @cached_property
    def cells(self) -> list[PageCell]:
        return [_page_cell(cell, self.file) for cell in self.chapter.document.cells]

    @cached_property
    def frozen(self) -> str:
        """The executed markdown, "" where there is none or it is out of date."""
        try:
            return executed.markdown(self.project, self.chapter, "html")
        except SourceError:
            return ""

    @cached_property
    def executed(self) -> list[str]:
        """What each cell put out; [] where that is not known."""
        try:
            found = executed.split(self.chapter, self.frozen) if self.frozen else []
        except SourceError:
            return []
        return [piece.text for piece in found if piece.cell is not None]

    def at(self, text: str, offset: int) -> int:
        """The line of an offset in one of the views."""
        return text.count("\n", 0, offset) + 1

    def finding(self, line: int, message: str) -> Finding:
        return Finding(self.file, line, message)

    def find(self, pattern: re.Pattern, text: str) -> Iterator[tuple[int, re.Match]]:
        """(line, match) of a pattern in one of the views."""
        for match in pattern.finditer(text):
            yield self.at(text, match.start()), match

    def readable(self) -> Iterator[tuple[int, str]]:
        """(first line, text) of all that a reader reads: prose, captions, alternative texts."""
        yield 1, self.plain
        for line, match in self.find(_TEXT_ATTRIBUTE, self.text):
            yield line, match["text"]
        for cell in self.cells:
            for line, text in cell.texts():
                yield line, _mask(MATH, _mask(_CODE, text, HOLE), HOLE)

    @cached_property
    def labels(self) -> list[tuple[int, str]]:
        """(line, id) of every explicit id: headings, equations, divs, images, listings, cells."""
        found = [(line, match["id"]) for line, match in self.find(_ATTRIBUTE_ID, self.text)]
        for block in self.chapter.document.blocks:
            if isinstance(block, qmd.Prose):
                for number, line in enumerate(block.text.split("\n"), block.line):
                    fence = _FENCE_LABEL.match(line)
                    if fence:
                        found.append((number, fence["id"]))
        for cell in self.cells:
            found += [(cell.line_of("label"), label) for label in _cell_labels(cell)]
        return sorted(found)

    @cached_property
    def ids(self) -> set[str]:
        """All anchors of the page, those of headings without a label included."""
        ids = {label for _, label in self.labels}
        ids |= set(re.findall(r"\b(?:id|name)=[\"']([^\"']+)[\"']", self.text))
        ids |= set(re.findall(rf"#({CROSSREF}-[\w-]+)", self.frozen))
        headings = [(h.title, h.id) for h in self.chapter.document.headings()]
        return ids | set(heading_ids(headings))


@dataclass(frozen=True)
class Book:
    """All pages of a project, its reports included."""

    project: Project

    @cached_property
    def pages(self) -> list[Page]:
        listed = (*self.project.chapters, *self.project.reports)
        return [Page(self.project, chapter) for chapter in listed]

    @cached_property
    def by_file(self) -> dict[str, Page]:
        return {page.file: page for page in self.pages}

    @cached_property
    def ids(self) -> set[str]:
        return set().union(*(page.ids for page in self.pages))


Rule = Callable[[Book], Iterator[Finding]]


def heading_ids(headings: list[tuple[str, str | None]]) -> list[str]:
    """The ids that pandoc's ``auto_identifiers`` gives the headings of one page.

    Parameters
    ----------
    headings : (title as written, explicit id or None) in order.
    """
    used: set[str] = set()
    ids = []
    for title, explicit in headings:
        base = explicit or _heading_id(title)
        id, count = base, 0
        while explicit is None and id in used:
            count += 1
            id = f"{base}-{count}"
        used.add(id)
        ids.append(id)
    return ids


def names(text: str) -> tuple[str, ...]:
    """The words of a text, as a tuple."""
    return tuple(text.split())


def _heading_id(title: str) -> str:
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", title)
    text = re.sub(r"\[\^[^\]]*\]|[*`$]|\.\.\.|---?", "", text)  # smart dots and dashes go
    text = re.sub(r"(?<!\w)(_+)(\w[^_]*|\w)\1(?!\w)", r"\2", text)  # _emphasis_
    text = "".join(c for c in text.lower() if c.isalnum() or c in "_-. \t")
    text = "-".join(text.split())
    return re.sub(r"^[^a-zа-яё]+", "", text) or "section"


def _cell_labels(cell: PageCell) -> Iterator[str]:
    if cell.label:
        yield cell.label
    subcaptions = cell.options.get("fig-subcap") or cell.options.get("tbl-subcap")
    if isinstance(subcaptions, list):
        yield from (f"{cell.label}-{number}" for number in range(1, len(subcaptions) + 1))
    if isinstance(cell.options.get("lst-label"), str):
        yield cell.options["lst-label"]


def _page_cell(cell: qmd.Cell, file: str) -> PageCell:
    try:
        options, lines = cell_options(cell, file)
    except SourceError:
        return PageCell(cell, {}, {})
    return PageCell(cell, options, lines)


def _mask(pattern: re.Pattern, text: str, hole: str) -> str:
    """Replace what matches by holes, line ends kept."""
    return pattern.sub(lambda match: re.sub(r"[^\n]", hole, match[0]), text)
