"""What pandoc reads in a chapter: each element with the line of the ``.qmd`` where it stands.

pandoc tells no positions, but what it reads comes in the order of the text: each word, formula and
address is looked for right after the one before it.
"""

from __future__ import annotations

import json
import re
import subprocess
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
_UNCLOSED = re.compile(r"Div at line (\d+) column \d+ unclosed")
_FOOTNOTE = re.compile(r"\[\^[^\]]+\]")
_HTML_ID = re.compile(r"\b(?:id|name)=[\"']([^\"']+)[\"']")
_READ_ATTRIBUTES = {"fig-alt", "fig-cap", "tbl-cap", "lst-cap", "title", "alt"}
_ATTR_PLACE = {"Header": 1} | dict.fromkeys(
    ("Div", "Span", "Code", "CodeBlock", "Link", "Image", "Figure", "Table"), 0
)
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
    id: str
    classes: Sequence[str]
    attributes: Mapping[str, str]
    line: int = 0
    is_written: bool = False
    """Whether the author wrote its identifier; whether a word stands there as it is."""

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
    lines: list[int] = field(default_factory=list)
    """Where each character stands."""


class Tree:
    """A parsed chapter.

    Parameters
    ----------
    captions : (line, markdown) of texts besides the prose: captions of cells.
    """

    def __init__(self, document: qmd.Document, captions: Iterable[tuple[int, str]] = ()) -> None:
        lines = list(_prose(document))
        for number, text in captions:
            shown = pandoc.SHORTCODE.sub("0", text)
            lines += [(number, line) for line in ["", *shown.split("\n"), ""]]
        self.elements: list[Element] = []
        """In document order; what contains others comes before them."""
        self.texts = [Text()]
        self._lines = [number for number, _ in lines]
        self._source = pandoc.read_as_quarto("\n".join(line for _, line in lines))
        self._ends = [end.start() for end in re.finditer("\n", self._source)]
        self._cursor = 0
        tree, warnings = _json(self._source)
        self.unclosed = [self._lines[int(line) - 1] for line in _UNCLOSED.findall(warnings)]
        """Where the divs begin that nothing closes."""
        self._walk(json.loads(tree)["blocks"], None)

    def of(self, kind: str) -> Iterator[Element]:
        """The elements of a kind."""
        return (element for element in self.elements if element.kind == kind)

    @property
    def labels(self) -> Iterator[tuple[int, str]]:
        """(line, id) of what the author has labelled."""
        for element in self.elements:
            equation = _EQUATION.match(element.content) if element.kind == "Str" else None
            if equation or (element.id and element.is_written):
                yield element.line, equation[1] if equation else element.id

    @property
    def ids(self) -> set[str]:
        """All anchors, those of headings without a label and of raw HTML included."""
        raw = [one.content[1] for one in self.elements if one.kind in ("RawInline", "RawBlock")]
        found = {name for text in raw for name in _HTML_ID.findall(text)}
        return found.union((one.id for one in self.elements), (label for _, label in self.labels))

    def _walk(self, node: Any, parent: Element | None) -> None:
        if isinstance(node, list):
            for inner in node:
                self._walk(inner, parent)
        elif isinstance(node, dict) and "c" in node:
            self._element(node["t"], node["c"], parent)
        elif isinstance(node, dict) and node.get("t") in ("Space", "SoftBreak", "LineBreak"):
            self._read(" " if node["t"] == "Space" else "\n")

    def _element(self, kind: str, content: Any, parent: Element | None) -> None:
        id, classes, attributes = (
            content[_ATTR_PLACE[kind]] if kind in _ATTR_PLACE else ("", (), ())
        )
        element = Element(kind, content, parent, id, classes, dict(attributes))
        self.elements.append(element)
        start, line = self._cursor, self._line
        if kind in ("Para", "Plain", "Header"):
            self.texts.append(Text())
        if kind in ("Div", "CodeBlock"):
            self._find_attr(element)
        self._content(element)
        if kind == "Figure":  # what pandoc took from its picture stands before the picture's end
            end, self._cursor = self._cursor, start
            self._find_attr(element, end - start + _NEAR)
            self._cursor = max(end, self._cursor)
        elif kind in _ATTR_PLACE and kind not in ("Div", "CodeBlock"):
            self._find_attr(element)
        element.line = element.line or line
        if parent is not None:
            parent.line = parent.line or element.line

    def _content(self, element: Element) -> None:
        kind, content = element.kind, element.content
        if kind == "Str":
            found = self._find(element, content)
            element.is_written = found and self._source[self._cursor - len(content) - 1] != "\\"
            self._read(content)
        elif kind == "Quoted":
            mark = '"' if content[0]["t"] == "DoubleQuote" else "'"
            for part in (mark, content[1], mark):
                self._walk({"t": "Str", "c": part} if part == mark else part, element)
        elif kind == "Note":
            self._note(element)
        elif kind == "Table":
            self._walk([*content[3:], content[1]], element)
        elif kind in ("Code", "Math", "RawInline", "CodeBlock", "RawBlock"):
            separator = None if kind == "Code" else "\n"  # its line ends have become spaces
            first, *others = content[1].strip("\n").split(separator) or [""]
            for line in [f"{{={content[0]}}}"] * (kind == "RawBlock") + [first, *others[-1:]]:
                self._find(element, line, len(content[1]) + _NEAR)
            self._read(HOLE if kind in ("Code", "Math") else "")
        elif kind != "Image" or all(one.kind != "Figure" for one in element.around()):
            self._walk([part for part in content if isinstance(part, (list, dict))], element)
        if kind in ("Link", "Image"):
            self._find(element, element.target)

    def _note(self, element: Element) -> None:
        """A footnote stands in the text, or at some other place after ``[^mark]:``."""
        mark = _FOOTNOTE.match(self._source, self._cursor)
        paragraph = self.texts.pop()
        if mark:
            self._cursor = max(self._source.find(f"\n{mark[0]}:"), 0)
        self._walk(element.content, element)
        if mark:
            self._cursor = mark.end()
        self.texts.append(paragraph)

    def _find_attr(self, element: Element, reach: int = _NEAR) -> None:
        start = self._cursor
        if element.kind == "Header":  # an id on another line is pandoc's own
            reach = self._source.find("\n", start) - start
        element.is_written = bool(element.id) and self._find(element, f"#{element.id}", reach)
        ends = [self._cursor]
        for name, value in [*enumerate(element.classes), *element.attributes.items()]:
            self._cursor = start
            self._find(element, value)
            ends.append(self._cursor)
            if name in _READ_ATTRIBUTES:  # the paragraph around it goes on
                self.texts.insert(-1, Text(value, [self._line] * len(value)))
        self._cursor = max(ends)

    def _find(self, element: Element, text: str, reach: int = _NEAR) -> bool:
        """Move to the end of the next ``text``; whether there is one near."""
        near = self._cursor + len(text) + (reach if len(text) > 1 else min(reach, 20))
        start = self._source.find(text, self._cursor, near) if text else -1
        if start >= 0:
            self._cursor = start + len(text)
            element.line = element.line or self._line
        return start >= 0

    def _read(self, text: str) -> None:
        self.texts[-1].text += text
        self.texts[-1].lines += [self._line] * len(text)

    @property
    def _line(self) -> int:
        """Of the ``.qmd``, where the cursor stands."""
        return self._lines[bisect_left(self._ends, self._cursor)]


@lru_cache(64)
def _json(text: str) -> tuple[bytes, str]:
    """The tree as pandoc writes it, and its warnings."""
    command = [pandoc.executable(), "--from=markdown", "--to=json"]
    answer = subprocess.run(command, input=text.encode("utf-8"), capture_output=True)
    pandoc.require_alive(answer)
    return answer.stdout, answer.stderr.decode("utf-8", "replace")


def _prose(document: qmd.Document) -> Iterator[tuple[int, str]]:
    """(number, line) of the text, cells emptied; a variable is as long as a digit."""
    number = 1
    for _ in document.head.split("\n")[:-1]:
        yield number, ""
        number += 1
    text = ""
    for block in document.blocks:
        if isinstance(block, qmd.Cell):
            inside = "\n" * (block.text.count("\n", 0, -1) - 1)
            text += f"{block.indent}```\n{inside}{block.indent}```\n"
        else:
            is_run = isinstance(block, qmd.Inline) and document.cells
            text += "0" if is_run else block.text
    for line, fence in qmd.fenced_lines(text):
        if not fence:
            line = pandoc.SHORTCODE.sub("0", line)
        elif fence == "open":
            line = pandoc.listing(line)
        yield number, line.rstrip("\n")
        number += 1
