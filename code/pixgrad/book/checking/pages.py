"""The book as the rules see it: pages as pandoc reads them, cells with their options."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pixgrad.book.ledger import qmd
from pixgrad.book.rendering import diagrams
from pixgrad.book.rendering.tree import Element, Tree, is_crossref
from pixgrad.book.source import embedded, executed
from pixgrad.book.source.project import Chapter, Project, cell_options
from pixgrad.errors import SourceError

_CAPTIONS = ("fig-cap", "fig-subcap", "fig-alt", "tbl-cap", "tbl-subcap", "lst-cap")


@dataclass(frozen=True, order=True)
class Finding:
    """One line of the linter's report."""

    file: str
    line: int
    message: str
    is_note: bool = False
    """Whether nothing is wrong: the reader is only told."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True)
class PageCell:
    """A cell with its parsed options, none if they are not YAML."""

    cell: qmd.Cell
    options: dict[str, Any]
    option_lines: dict[str, int]

    @classmethod
    def of(cls, cell: qmd.Cell, file: str) -> PageCell:
        try:
            return cls(cell, *cell_options(cell, file))
        except SourceError:
            return cls(cell, {}, {})

    @property
    def label(self) -> str:
        label = self.options.get("label", "")
        return label if isinstance(label, str) else ""

    @property
    def labels(self) -> Iterator[str]:
        """Of the cell, its sub-figures and its listing."""
        if self.label:
            yield self.label
        subcaptions = self.options.get("fig-subcap") or self.options.get("tbl-subcap")
        if isinstance(subcaptions, list):
            yield from (f"{self.label}-{number}" for number in range(1, len(subcaptions) + 1))
        if isinstance(self.options.get("lst-label"), str):
            yield self.options["lst-label"]

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
    """A chapter."""

    project: Project
    chapter: Chapter

    @property
    def file(self) -> str:
        return self.chapter.path.as_posix()

    @cached_property
    def cells(self) -> list[PageCell]:
        return [PageCell.of(cell, self.file) for cell in self.chapter.document.cells]

    @cached_property
    def tree(self) -> Tree:
        """Prose and captions as pandoc reads them."""
        captions = (text for cell in self.cells for text in cell.texts())
        return Tree(self.chapter.document, captions)

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
        return self._pieces(self.frozen)

    @cached_property
    def printed(self) -> list[str]:
        """The same as the print shows it."""
        try:
            return self._pieces(executed.markdown(self.project, self.chapter, "typ"))
        except SourceError:
            return []

    def _pieces(self, markdown: str) -> list[str]:
        try:
            found = executed.split(self.chapter, markdown) if markdown else []
        except SourceError:
            return []
        return [piece.text for piece in found if piece.cell is not None]

    def finding(self, line: int, message: str, is_note: bool = False) -> Finding:
        error = self.chapter.document.located(SourceError(message, self.file, line))
        return Finding(error.file or self.file, error.line or line, message, is_note)

    @cached_property
    def labels(self) -> list[tuple[int, str]]:
        """(line, id) of every explicit id: headings, equations, divs, images, listings, cells."""
        of_cells = ((cell.line_of("label"), one) for cell in self.cells for one in cell.labels)
        of_diagrams = (
            (block.line + one.line, one.options["label"])
            for block in self.chapter.document.blocks
            for one in diagrams.found(block.text, self.file)
            if "label" in one.options
        )
        of_others = embedded.labels(self.project, self.chapter)
        return sorted([*self.tree.labels, *of_cells, *of_diagrams, *of_others])

    @cached_property
    def ids(self) -> set[str]:
        """All anchors of the page, those of headings without a label included."""
        printed = filter(is_crossref, re.findall(r"#([a-z]+-[\w-]+)", self.frozen))
        return {label for _, label in self.labels} | self.tree.ids | set(printed)


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

    def of(self, kind: str) -> Iterator[tuple[Page, Element]]:
        """The elements of a kind on all pages."""
        return ((page, element) for page in self.pages for element in page.tree.of(kind))

    @cached_property
    def ids(self) -> set[str]:
        return set().union(*(page.ids for page in self.pages))


Rule = Callable[[Book], Iterator[Finding]]
