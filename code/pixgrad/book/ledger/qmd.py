"""Split a ``.qmd`` file into front matter, prose and executable cells, losing nothing.

``parse(text).text == text`` always holds. What is a cell is decided by Quarto's own rule: a line of
three or more backticks and ``{python}``, at any indentation, in a comment too; not in a quotation,
nor in a list item's first line.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple, Union

from pixgrad.book.ledger import include, notebook
from pixgrad.errors import SourceError

_FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<item>(?:(?:[-*+]|\d{1,9}[.)]|#\.)[ \t]+)*)"
    r"(?P<mark>`{3,}|~{3,})(?P<info>.*)$"
)
_CELL_INFO = re.compile(r"^\s*\{(?P<language>python)(?P<rest> *[ ,].*)?\}\s*$")
_DIV = re.compile(r"^[ \t]*:{3,}[ \t]*(?P<attributes>.*?)[ \t]*:*[ \t]*$")
_OPTION = re.compile(r"^#[ \t]*\|(?P<yaml>.*)$")
_INLINE = re.compile(r"(?P<before>^|[^`])`\{python\}[ \t](?P<source>[^`]+)`")
_HEADING = re.compile(
    r"^(?P<marks>#{1,6})[ \t]+(?P<title>.*?)[ \t]*(?P<attributes>\{[^{}]*\})?[ \t]*$"
)


@dataclass(frozen=True)
class Prose:
    """Markdown between cells. ``line`` is the 1-based number of its first line."""

    text: str
    line: int


@dataclass(frozen=True)
class Inline:
    """Code in a line of prose, `` `{python} x` `` (``text``): its value takes its place."""

    text: str
    line: int
    source: str


@dataclass(frozen=True)
class Cell:
    """An executable cell, fences and indentation included in ``text``."""

    text: str
    line: int
    language: str
    source: str
    """What the kernel runs: the body without its leading ``#|`` lines, no final newline."""
    options_yaml: str
    """The ``#|`` lines as YAML text; line k of it stands at ``options_line + k`` of the file."""
    indent: str = ""
    attributes: str = ""
    """What stands after ``python`` in the braces; as in Quarto it has no effect."""

    @property
    def options_line(self) -> int:
        return self.line + 1

    @property
    def source_line(self) -> int:
        """Line of the file where ``source`` begins."""
        return self.line + 1 + self.options_yaml.count("\n")


Block = Union[Prose, Inline, Cell]


@dataclass(frozen=True)
class Heading:
    """An ATX heading of the prose (headings inside code are not headings)."""

    level: int
    title: str
    attributes: str
    line: int

    @property
    def id(self) -> Optional[str]:
        found = re.search(r"#([^\s}]+)", self.attributes)
        return found.group(1) if found else None

    @property
    def unnumbered(self) -> bool:
        return bool(re.search(r"(^|[\s{])(\.unnumbered|-)(?=[\s}]|$)", self.attributes))


@dataclass(frozen=True)
class Document:
    """A parsed chapter, what it includes in its place."""

    front_matter: str
    """The YAML between the ``---`` lines (without them), "" if there is none."""
    blocks: Tuple[Block, ...]
    head: str = ""
    """The front matter with its ``---`` lines."""
    prose_lines: Tuple[Tuple[int, str], ...] = ()
    """(1-based line number, line) of the prose, code blocks and HTML comments left out."""
    written: str = ""
    """The text of the file itself, where that includes others."""
    places: Tuple[include.Place, ...] = ()
    """Where each line comes from, if others are included."""

    @property
    def text(self) -> str:
        return self.head + "".join(block.text for block in self.blocks)

    @property
    def cells(self) -> List[Cell]:
        return [block for block in self.blocks if isinstance(block, Cell)]

    @property
    def runs(self) -> List[Union[Cell, Inline]]:
        """All that is executed, in order; without a cell nothing is, as in Quarto."""
        found = [block for block in self.blocks if not isinstance(block, Prose)]
        return found if self.cells else []

    @property
    def md5(self) -> str:
        """Quarto's freeze hash: md5 of the file's text with LF line ends."""
        return hashlib.md5((self.written or self.text).encode("utf-8")).hexdigest()

    def located(self, error: SourceError) -> SourceError:
        """An error of this chapter with the file and the line that were written."""
        if not self.places or not error.line or error.line > len(self.places):
            return error
        return SourceError(error.message, *self.places[error.line - 1])

    def headings(self) -> Iterator[Heading]:
        """The headings that stand in no div."""
        depth = 0
        for number, line in self.prose_lines:
            depth = max(depth + div_step(line), 0)
            found = _HEADING.match(line) if depth == 0 else None
            if found:
                yield Heading(
                    len(found["marks"]), found["title"].strip(), found["attributes"] or "", number
                )


def read(path: Union[str, Path], shown_as: Union[str, Path, None] = None) -> Document:
    """Read and parse a chapter: a ``.qmd``, a ``.md`` or a notebook.

    Parameters
    ----------
    shown_as : its path in the project: so errors name it, and so ``{{< include /x >}}`` is found.

    Raises
    ------
    SourceError : missing file, not UTF-8, unclosed fence, comment or front matter, an inclusion
        that cannot be read.
    """
    name = shown_as if shown_as is not None else path
    text = include.read_text(Path(path), name)
    if Path(name).suffix == notebook.SUFFIX:
        whole, places = notebook.as_qmd(text, name)
    else:
        whole, places = include.expanded(text, Path(path), Path(name))
    if whole == text:
        return parse(text, name)
    try:
        document = parse(whole, name)
    except SourceError as error:
        raise Document("", (), places=places).located(error) from None
    return Document(
        document.front_matter, document.blocks, document.head, document.prose_lines, text, places
    )


def parse(text: str, file: Union[str, Path, None] = None) -> Document:
    """Parse the text of a chapter; ``file`` is named in errors."""
    lines = _split_lf(text)
    head_lines, front_matter = _front_matter(lines, file)
    blocks: List[Block] = []
    prose_start = number = head_lines
    prose_lines: List[Tuple[int, str]] = []
    comment: Optional[int] = None  # the line where the open one begins
    while number < len(lines):
        line = lines[number].rstrip("\n")
        fence = _FENCE.match(line)
        cell = (
            fence
            and not fence["item"]
            and fence["mark"][0] == "`"
            and _CELL_INFO.match(fence["info"])
        )
        if cell or (fence and comment is None and not _is_inline(fence)):
            close = _closing_fence(lines, number, fence)
            if close is None and cell:
                raise SourceError(unclosed(line), file, number + 1)
            if cell:
                blocks += _prose(lines, prose_start, number)
                blocks.append(_cell(lines, number, close, cell, fence["indent"]))
                prose_start = close + 1
            if close is not None:
                number = close + 1
                continue
        number += 1
        if comment is None and line.lstrip().startswith("<!--"):
            comment = number
        if comment is None:
            prose_lines.append((number, line))
        elif "-->" in line:
            comment = None
    if comment is not None:
        raise SourceError("комментарий «<!--» не закрыт: не хватает «-->»", file, comment)
    blocks += _prose(lines, prose_start, len(lines))
    return Document(front_matter, tuple(blocks), "".join(lines[:head_lines]), tuple(prose_lines))


def fenced_lines(text: str) -> Iterator[Tuple[str, str]]:
    """(line with its LF, its part in a code block) of each line: open, code, close, or ""."""
    opened = None
    for line in _split_lf(text):
        fence = _FENCE.match(line.rstrip("\n"))
        if opened is None:
            opened = fence if fence and not _is_inline(fence) else None
            yield line, "open" if opened else ""
        elif fence and _closes(fence, opened):
            opened = None
            yield line, "close"
        else:
            yield line, "code"


def div_step(line: str) -> int:
    """1 for a line that opens a fenced div, -1 for one that closes a div, 0 for others."""
    div = _DIV.match(line.rstrip("\n"))
    return 0 if div is None else 1 if div["attributes"] else -1


def _split_lf(text: str) -> List[str]:
    """Lines with their LF; ``str.splitlines`` would also split at U+2028 and form feeds."""
    lines = text.split("\n")
    return [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])


def _front_matter(lines: List[str], file) -> Tuple[int, str]:
    if not lines or lines[0].rstrip() != "---":
        return 0, ""
    for number in range(1, len(lines)):
        if lines[number].rstrip() in ("---", "..."):
            return number + 1, "".join(lines[1:number])
    raise SourceError("заголовок YAML не закрыт: не хватает строки «---»", file, 1)


def _is_inline(fence) -> bool:
    return fence["mark"][0] == "`" and "`" in fence["info"]


def _closes(fence, opened) -> bool:
    deeper = len(fence["indent"].expandtabs(4)) - len(
        (opened["indent"] + opened["item"]).expandtabs(4)
    )
    return (
        not fence["item"]
        and fence["mark"].startswith(opened["mark"])
        and not fence["info"].strip()
        and deeper < 4
    )


def _closing_fence(lines: List[str], start: int, opened) -> Optional[int]:
    for number in range(start + 1, len(lines)):
        fence = _FENCE.match(lines[number].rstrip("\n"))
        if fence and _closes(fence, opened):
            return number
    return None


def unclosed(line: str) -> Optional[str]:
    """What to say of a line of prose that begins a block of code: nothing closes it."""
    fence = _FENCE.match(line)
    if not fence or _is_inline(fence) or len(fence["indent"].expandtabs(4)) >= 4:
        return None
    mark = fence["mark"]
    return f"блок кода «{mark}{fence['info'].rstrip()}» не закрыт: не хватает строки «{mark}»"


def _prose(lines: List[str], start: int, stop: int) -> Iterator[Union[Prose, Inline]]:
    """The lines as prose, cut at the code in them."""
    text, line = "", start + 1
    for number, (content, fence) in enumerate(fenced_lines("".join(lines[start:stop])), start + 1):
        position = 0
        for found in _INLINE.finditer(content) if fence in ("", "open") else ():
            begin = found.end("before")
            if text + content[position:begin]:
                yield Prose(text + content[position:begin], line)
            yield Inline(content[begin : found.end()], number, found["source"].strip())
            text, line, position = "", number, found.end()
        text += content[position:]
    if text:
        yield Prose(text, line)


def _cell(lines: List[str], start: int, close: int, info, indent: str) -> Cell:
    body = [_without(indent, line.rstrip("\n")) for line in lines[start + 1 : close]]
    options: List[str] = []
    pending = 0  # empty lines that only count if the first option follows
    for line in body:
        option = _OPTION.match(line)
        if option:
            options += [""] * pending + [option["yaml"].removeprefix(" ")]
            pending = 0
        elif line.strip() or options:
            break
        else:
            pending += 1
    return Cell(
        text="".join(lines[start : close + 1]),
        line=start + 1,
        language=info["language"],
        source="\n".join(body[len(options) :]),
        options_yaml="".join(option + "\n" for option in options),
        indent=indent,
        attributes=(info["rest"] or "").strip(" ,"),
    )


def _without(indent: str, line: str) -> str:
    """The line without as much of the cell's indentation as it has."""
    common = 0
    while common < len(indent) and line[common : common + 1] == indent[common]:
        common += 1
    return line[common:]
