"""Split a ``.qmd`` file into front matter, prose and executable cells, losing nothing.

``parse(text).text == text`` always holds.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple, Union

from pixgrad.errors import SourceError

_FENCE = re.compile(r"^(?P<indent>[ ]{0,3})(?P<mark>`{3,}|~{3,})(?P<info>.*)$")
_CELL_INFO = re.compile(r"^\s*\{(?P<language>[A-Za-z]\w*)(?P<rest>[^}]*)\}\s*$")
_DIV = re.compile(r"^[ ]{0,3}:{3,}[ \t]*(?P<attributes>.*?)[ \t]*:*[ \t]*$")
_OPTION = re.compile(r"^#\|(?P<yaml>.*)$")
_HEADING = re.compile(
    r"^(?P<marks>#{1,6})[ \t]+(?P<title>.*?)[ \t]*(?P<attributes>\{[^{}]*\})?[ \t]*$"
)


@dataclass(frozen=True)
class Prose:
    """Markdown between cells. ``line`` is the 1-based number of its first line."""

    text: str
    line: int


@dataclass(frozen=True)
class Cell:
    """An executable cell, fences included in ``text``."""

    text: str
    line: int
    language: str
    source: str
    """What the kernel runs: the body without its leading ``#|`` lines, no final newline."""
    options_yaml: str
    """The ``#|`` lines as YAML text; line k of it stands at ``options_line + k`` of the file."""

    @property
    def options_line(self) -> int:
        return self.line + 1

    @property
    def source_line(self) -> int:
        """Line of the file where ``source`` begins."""
        return self.line + 1 + self.options_yaml.count("\n")


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
    """A parsed chapter."""

    front_matter: str
    """The YAML between the ``---`` lines (without them), "" if there is none."""
    blocks: Tuple[Union[Prose, Cell], ...]
    head: str = ""
    """The front matter with its ``---`` lines."""
    prose_lines: Tuple[Tuple[int, str], ...] = ()
    """(1-based line number, line) of the prose, code blocks and HTML comments left out."""

    @property
    def text(self) -> str:
        return self.head + "".join(block.text for block in self.blocks)

    @property
    def cells(self) -> List[Cell]:
        return [block for block in self.blocks if isinstance(block, Cell)]

    @property
    def md5(self) -> str:
        """Quarto's freeze hash: md5 of the text with LF line ends."""
        return hashlib.md5(self.text.encode("utf-8")).hexdigest()

    def headings(self) -> Iterator[Heading]:
        for number, line in self.prose_lines:
            found = _HEADING.match(line)
            if found:
                yield Heading(
                    len(found["marks"]), found["title"].strip(), found["attributes"] or "", number
                )


def read(path: Union[str, Path], shown_as: Union[str, Path, None] = None) -> Document:
    """Read and parse a chapter.

    Raises
    ------
    SourceError : missing file, not UTF-8, a BOM, CR line ends, unclosed fence, div or front matter.
    """
    name = shown_as if shown_as is not None else path
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise SourceError(f"файл не читается: {error.strerror}", name) from None
    if raw.startswith(b"\xef\xbb\xbf"):
        raise SourceError("файл начинается с BOM; сохраните его как UTF-8 без BOM", name, 1)
    if b"\r" in raw:
        line = raw[: raw.index(b"\r")].count(b"\n") + 1
        raise SourceError("концы строк Windows (CR); сохраните файл с концами строк LF", name, line)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SourceError(f"не UTF-8 (байт {raw[error.start]:#04x})", name, line) from None
    return parse(text, name)


def parse(text: str, file: Union[str, Path, None] = None) -> Document:
    """Parse the text of a chapter; ``file`` is named in errors."""
    lines = _split_lf(text)
    head_lines, front_matter = _front_matter(lines, file)
    blocks: List[Union[Prose, Cell]] = []
    prose_start = number = head_lines
    divs: List[Tuple[int, str]] = []
    prose_lines: List[Tuple[int, str]] = []
    while number < len(lines):
        line = lines[number].rstrip("\n")
        fence = _FENCE.match(line)
        if fence and not _is_inline(fence):
            close = _closing_fence(lines, number, fence, file)
            cell = _CELL_INFO.match(fence["info"])
            if cell:
                if number > prose_start:
                    blocks.append(Prose("".join(lines[prose_start:number]), prose_start + 1))
                blocks.append(_cell(lines, number, close, cell, file))
                prose_start = close + 1
            number = close + 1
            continue
        if line.lstrip().startswith("<!--"):
            number = _comment_end(lines, number, file) + 1
            continue
        step = div_step(line)
        if step > 0:
            divs.append((number, f"::: {_DIV.match(line)['attributes']}"))
        elif step and not divs:
            message = "лишняя строка «:::»: она ничего не закрывает"
            raise SourceError(message, file, number + 1)
        elif step:
            divs.pop()
        number += 1
        prose_lines.append((number, line))
    if divs:
        raise SourceError(
            f"блок «{divs[-1][1]}» не закрыт: не хватает строки «:::»", file, divs[-1][0] + 1
        )
    if len(lines) > prose_start:
        blocks.append(Prose("".join(lines[prose_start:]), prose_start + 1))
    return Document(front_matter, tuple(blocks), "".join(lines[:head_lines]), tuple(prose_lines))


def fenced_lines(text: str) -> Iterator[Tuple[str, str]]:
    """(line with its LF, its part in a code block) of each line: open, code, close, or ""."""
    mark = ""
    for line in _split_lf(text):
        fence = _FENCE.match(line.rstrip("\n"))
        if not mark:
            mark = fence["mark"] if fence and not _is_inline(fence) else ""
            yield line, "open" if mark else ""
        elif fence and fence["mark"].startswith(mark) and not fence["info"].strip():
            mark = ""
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


def _closing_fence(lines: List[str], start: int, fence, file) -> int:
    mark = fence["mark"]
    close = re.compile(r"^[ ]{0,3}" + re.escape(mark[0]) + "{" + str(len(mark)) + r",}[ \t]*$")
    for number in range(start + 1, len(lines)):
        if close.match(lines[number].rstrip("\n")):
            return number
    raise SourceError(
        f"блок кода «{mark}{fence['info'].rstrip()}» не закрыт: не хватает строки «{mark}»",
        file,
        start + 1,
    )


def _comment_end(lines: List[str], start: int, file) -> int:
    for number in range(start, len(lines)):
        if "-->" in lines[number]:
            return number
    raise SourceError("комментарий «<!--» не закрыт: не хватает «-->»", file, start + 1)


def _cell(lines: List[str], start: int, close: int, info, file) -> Cell:
    if info["rest"].strip():
        raise SourceError(
            f"параметры в «{{{info['language']}{info['rest']}}}» не поддерживаются; "
            "запишите их строками «#| ключ: значение»",
            file,
            start + 1,
        )
    body = [line.rstrip("\n") for line in lines[start + 1 : close]]
    options = []
    for line in body:
        option = _OPTION.match(line)
        if not option:
            break
        options.append(option["yaml"].removeprefix(" "))
    return Cell(
        text="".join(lines[start : close + 1]),
        line=start + 1,
        language=info["language"],
        source="\n".join(body[len(options) :]),
        options_yaml="".join(option + "\n" for option in options),
    )
