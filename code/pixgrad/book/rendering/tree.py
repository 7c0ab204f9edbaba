"""What pandoc reads in a chapter: each element with the line of the ``.qmd`` where it stands.

pandoc tells no positions, but what it reads comes in the order of the text: each word, formula and
address is looked for right after the one before it.
"""

from __future__ import annotations

import json
import re
import subprocess
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from pixgrad.book.ledger import qmd
from pixgrad.book.rendering import pandoc

HOLE = "\ufffc"
"""Stands for inline code and for a formula in the text of a paragraph."""

_CROSSREF = re.compile(
    r"(?:fig|tbl|eq|sec|lst|thm|lem|cor|prp|cnj|def|exm|exr|sol|rem|alg|nte|tip|wrn|imp|cau)-", re.I
)
_EQUATION = re.compile(r"\{#(eq-[^\s}]+)")
_HTML_ID = re.compile(r"\b(?:id|name)=[\"']([^\"']+)[\"']")
_READ_ATTRIBUTES = ("fig-alt", "fig-cap", "tbl-cap", "lst-cap", "title", "alt")
_ATTR_PLACE = {"Header": 1} | dict.fromkeys(
    ("Div", "Span", "Code", "CodeBlock", "Link", "Image", "Figure", "Table"), 0
)
_SMART = str.maketrans({"—": "---", "–": "--", "…": "...", "’": "'", "\u00a0": " "})
_NEAR = 300
"""Characters: markup between one word and the next is shorter."""


def is_crossref(key: str) -> bool:
    """Whether ``@key`` refers to a figure, a table, …: else it cites a source."""
    return bool(_CROSSREF.match(key))


@dataclass
class Element:
    """An element of pandoc's tree under its name there (``Header``, ``Math``, ``Cite``, …)."""

    kind: str
    content: Any
    parent: Element | None
    line: int = 0
    is_written: bool = False
    """Whether the author wrote its identifier; whether a word stands there as it is."""

    @property
    def _attr(self) -> list:
        place = _ATTR_PLACE.get(self.kind)
        return ["", [], []] if place is None else self.content[place]

    @property
    def id(self) -> str:
        return self._attr[0]

    @property
    def classes(self) -> list[str]:
        return self._attr[1]

    @property
    def attributes(self) -> Mapping[str, str]:
        return dict(self._attr[2])

    @property
    def target(self) -> str:
        """The address of a Link or an Image."""
        return self.content[2][0]

    @property
    def keys(self) -> list[str]:
        """What a Cite refers to or cites."""
        return [one["citationId"] for one in self.content[0]]

    @property
    def is_mixed(self) -> bool:
        """Whether a Cite both refers and cites: then the citation is lost."""
        return len({is_crossref(key) for key in self.keys}) == 2

    @property
    def is_glued(self) -> bool:
        """Whether a Cite is «@fig-x [@key]»: pandoc takes the brackets for a locator."""
        return self.content[0][0]["citationMode"]["t"] == "AuthorInText" and len(self.keys) > 1

    def around(self) -> Iterator[Element]:
        """What it stands in, from inside out."""
        if self.parent:
            yield self.parent
            yield from self.parent.around()


@dataclass
class Text:
    """What the reader reads of a paragraph, a caption or an alternative text."""

    text: str = ""
    places: list[tuple[int, int]] = field(default_factory=list)
    """(offset in the text, line)."""

    def line(self, offset: int) -> int:
        """The line of the ``.qmd`` where the character at ``offset`` stands."""
        return self.places[max(0, bisect_right(self.places, (offset, 10**9)) - 1)][1]


class Tree:
    """A parsed chapter.

    Parameters
    ----------
    captions : (line, markdown) of texts besides the prose: captions of cells.
    """

    def __init__(self, document: qmd.Document, captions: Iterable[tuple[int, str]] = ()) -> None:
        lines = list(_prose(document))
        for number, text in captions:
            lines += [
                (number, one) for one in ["", *pandoc.SHORTCODE.sub("0", text).split("\n"), ""]
            ]
        self.elements: list[Element] = []
        """In document order; what contains others comes before them."""
        self.texts: list[Text] = []
        self._lines = [number for number, _ in lines]
        self._source = "\n".join(line for _, line in lines)
        self._starts = [0]
        for _, line in lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._cursor = 0
        self._walk(json.loads(_json(self._source))["blocks"], None)

    def of(self, *kinds: str) -> Iterator[Element]:
        """The elements of these kinds."""
        return (element for element in self.elements if element.kind in kinds)

    @property
    def labels(self) -> Iterator[tuple[int, str]]:
        """(line, id) of what the author has labelled."""
        for element in self.elements:
            equation = element.kind == "Str" and _EQUATION.match(element.content)
            if equation:
                yield element.line, equation[1]
            elif element.is_written and element.id:
                yield element.line, element.id

    @property
    def ids(self) -> set[str]:
        """All anchors, those of headings without a label and of raw HTML included."""
        raw = (element.content[1] for element in self.of("RawInline", "RawBlock"))
        found = {name for text in raw for name in _HTML_ID.findall(text)}
        found |= {element.id for element in self.elements if element.id}
        return found | {label for _, label in self.labels}

    def _walk(self, node: Any, parent: Element | None) -> None:
        if isinstance(node, list):
            for inner in node:
                self._walk(inner, parent)
        if not isinstance(node, dict) or "c" not in node:
            if isinstance(node, dict) and node.get("t") in ("Space", "SoftBreak", "LineBreak"):
                self._read(" " if node["t"] == "Space" else "\n")
            return
        element = Element(node["t"], node["c"], parent)
        self.elements.append(element)
        before = self._cursor
        if element.kind in ("Para", "Plain", "Header"):
            self.texts.append(Text())
        {
            "Str": self._str,
            "Quoted": self._quoted,
            "Note": self._note,
            "Table": self._table,
        }.get(element.kind, self._other)(element)
        element.line = element.line or self._line(before)
        if parent is not None and not parent.line:
            parent.line = element.line

    def _str(self, element: Element) -> None:
        start = self._cursor
        element.is_written = self._find(element, element.content) and (
            self._source[start : self._cursor].removesuffix(element.content)[-1:] != "\\"
        )
        self._read(element.content, element)

    def _quoted(self, element: Element) -> None:
        mark = '"' if element.content[0]["t"] == "DoubleQuote" else "'"
        for end in (False, True):
            self._find(element, mark)
            self._read(mark, element)
            if not end:
                self._walk(element.content[1], element)

    def _note(self, element: Element) -> None:
        """A footnote stands in the text, or at some other place after ``[^mark]:``."""
        first = re.search(r'"Str", "c": ("(?:[^"\\]|\\.)*")', json.dumps(element.content))
        word = re.escape(json.loads(first[1])) if first else ""
        after, definition = self._cursor, re.compile(rf"^\[\^[^\]]+\]:\s*{word}", re.M)
        found = definition.search(self._source)
        if self._source.startswith("^[", after) or not found:
            self._walk(element.content, element)
            return
        texts, self.texts = self.texts, []
        self._cursor = found.start()
        self._walk(element.content, element)
        self.texts, self._cursor = [*self.texts, *texts], after

    def _table(self, element: Element) -> None:
        attr, caption, _, *rows = element.content
        self._walk(rows, element)
        self._walk(caption, element)
        self._find_attr(element, attr)

    def _other(self, element: Element) -> None:
        kind, content = element.kind, element.content
        if kind in ("Div", "CodeBlock"):
            self._find_attr(element, content[0])
        if kind == "RawBlock":
            self._find(element, f"{{={content[0]}}}")
        start = self._cursor
        if kind in ("Code", "Math", "RawInline", "CodeBlock", "RawBlock"):
            first, *others = content[1].strip("\n").split("\n")
            self._find(element, first)
            if others:
                self._find(element, others[-1], len(content[1]) + _NEAR)
            self._read(HOLE if kind in ("Code", "Math") else "", element)
        elif kind != "Image" or not self._is_in_figure(element):  # its caption is the figure's
            self._walk([part for part in content if isinstance(part, (list, dict))], element)
        if kind in ("Link", "Image"):
            self._find(element, element.target)
        if kind in ("Header", "Span", "Code", "Link", "Image"):
            self._find_attr(element, element._attr)
        elif kind == "Figure":  # what pandoc took from its picture stands before the picture's end
            end, self._cursor = self._cursor, start
            self._find_attr(element, content[0], end - start + _NEAR)
            self._cursor = max(end, self._cursor)

    def _is_in_figure(self, image: Element) -> bool:
        return any(one.kind == "Figure" for one in image.around())

    def _find_attr(self, element: Element, attr: list, reach: int = _NEAR) -> None:
        id, classes, attributes = attr
        start = self._cursor
        if element.kind == "Header":  # an id on another line is pandoc's own
            reach = self._source.find("\n", start) - start
        element.is_written = bool(id) and self._find(element, f"#{id}", reach)
        ends = [self._cursor]
        for value in [*classes, *(value for _, value in attributes)]:
            self._cursor = start
            self._find(element, value)
            ends.append(self._cursor)
        self._cursor = max(ends)
        for name, value in attributes:
            if name in _READ_ATTRIBUTES:
                self.texts.append(Text())
                self._read(value, element)

    def _find(self, element: Element, text: str, reach: int = _NEAR) -> bool:
        """Move to the end of the next ``text``; whether there is one near."""
        for form in dict.fromkeys((text, text.translate(_SMART))):
            near = reach if len(form) > 1 else min(reach, 20)
            start = self._source.find(form, self._cursor, self._cursor + near + len(form))
            if form and start >= 0:
                self._cursor = start + len(form)
                element.line = element.line or self._line(start)
                return True
        return False

    def _read(self, text: str, element: Element | None = None) -> None:
        if not self.texts:
            self.texts.append(Text())
        current = self.texts[-1]
        line = element.line if element else self._line(self._cursor)
        current.places.append((len(current.text), line or self._line(self._cursor)))
        current.text += text

    def _line(self, offset: int) -> int:
        return self._lines[min(bisect_right(self._starts, offset), len(self._lines)) - 1]


@lru_cache(64)
def _json(text: str) -> bytes:
    """The tree as pandoc writes it."""
    command = [pandoc.executable(), "--from=markdown", "--to=json"]
    return subprocess.run(command, input=text.encode("utf-8"), capture_output=True).stdout


def _prose(document: qmd.Document) -> Iterator[tuple[int, str]]:
    """(number, line) of the text, cells emptied; a variable is as long as a digit."""
    number = 1
    for _ in document.head.split("\n")[:-1]:
        yield number, ""
        number += 1
    for block in document.blocks:
        is_cell = isinstance(block, qmd.Cell)
        for line, fence in qmd.fenced_lines(block.text):
            if is_cell:
                line = "" if fence == "code" else "```"
            elif not fence:
                line = pandoc.SHORTCODE.sub("0", line)
            yield number, line.rstrip("\n")
            number += 1
