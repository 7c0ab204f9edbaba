"""Which part of a chapter's executed markdown came from which cell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pixgrad.book.ledger.qmd import Cell, Prose
from pixgrad.book.source.project import Chapter, cell_options
from pixgrad.errors import SourceError

_SHOWN_CELL = re.compile(
    r"^(?:(?P<div>:{3,}) \{[^}\n]*\.cell[ }]|`{3,} ?\{[^}\n]*\.cell-code[ }]).*$", re.M
)
_EXECUTION_COUNT = re.compile(r"execution_count=(\d+)\}$")
_FENCE = re.compile(r"^[ ]{0,3}(?P<mark>`{3,}|~{3,})(?P<info>[^`\n]*)$")
_DIV = re.compile(r"^[ ]{0,3}:{3,}(?P<attributes>.*)$")


@dataclass(frozen=True)
class Piece:
    """Part of the executed markdown: of cell ``cell`` (0-based), or prose if None."""

    text: str
    cell: int | None = None


def split(chapter: Chapter, markdown: str) -> list[Piece]:
    """Cut the executed markdown; the pieces' texts put together give it back.

    Every cell has exactly one piece, an empty one if it shows nothing. What cells print as it is
    (``output: asis``) has no marks: of neighbours the last has the text of all.

    Raises
    ------
    SourceError : the prose of the chapter is not in the markdown.
    """
    pieces: list[Piece] = []
    position = count = 0
    owner: int | None = None  # the piece that has the text without marks
    for block in chapter.document.blocks:
        if isinstance(block, Cell):
            start, end = _shown_cell(markdown, position, block, count)
            _free_text(markdown[position:start], pieces, owner)
            pieces.append(Piece(markdown[start:end], count))
            as_is = cell_options(block, chapter.path)[0].get("output") == "asis"
            if start < end or as_is or owner is None:
                owner = len(pieces) - 1
            count += 1
        elif block.text.strip():
            start, end = _prose(chapter, markdown, position, block)
            _free_text(markdown[position:start], pieces, owner)
            pieces.append(Piece(markdown[start:end]))
            owner = None
        else:
            continue
        position = end
    _free_text(markdown[position:], pieces, owner)
    return pieces


def _shown_cell(markdown: str, position: int, cell: Cell, index: int) -> tuple[int, int]:
    """Where the div of the cell, or its code without a div, stands; (position, position) if not."""
    found = _SHOWN_CELL.search(markdown, position)
    if not found:
        return position, position
    start = found.start()
    if found["div"]:
        count = _EXECUTION_COUNT.search(found[0])
        end = _div_end(markdown, start)
        own = count and int(count[1]) == index + 1
    else:
        end = _fence_end(markdown, start)
        own = markdown[start:end].rstrip("` \n").endswith("\n" + cell.source.strip().rstrip("` \n"))
    return (start, end) if own else (position, position)


def _free_text(text: str, pieces: list[Piece], owner: int | None) -> None:
    """Text that is neither prose nor marked as a cell's: of the piece ``owner``, if any."""
    if owner is not None:
        pieces[owner] = Piece(pieces[owner].text + text, pieces[owner].cell)
    elif text:
        pieces.append(Piece(text))


def _prose(chapter: Chapter, markdown: str, position: int, block: Prose) -> tuple[int, int]:
    """Where the block stands as whole lines."""
    text = block.text.strip("\n")
    while (start := markdown.find(text, position)) >= 0:
        end = start + len(text)
        if markdown[start - 1 : start] in ("", "\n") and markdown[end : end + 1] in ("", "\n"):
            return start, end
        position = start + 1
    raise SourceError(
        "в _freeze нет этого места главы; выполните pixgrad freeze", chapter.path, block.line
    )


def _div_end(markdown: str, start: int) -> int:
    depth, position = 0, start
    for line, fenced in _lines(markdown[start:]):
        position += len(line)
        div = None if fenced else _DIV.match(line.rstrip("\n"))
        if div:
            depth += 1 if div["attributes"].strip().strip(":").strip() else -1
            if depth == 0:
                return position
    return position


def _fence_end(markdown: str, start: int) -> int:
    position = start
    for number, (line, fenced) in enumerate(_lines(markdown[start:])):
        if number and not fenced:
            return position
        position += len(line)
    return position


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """(line with its end, does it belong to a code block) of each line."""
    opened = ""
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        fence = _FENCE.match(line.rstrip("\n"))
        if not opened:
            opened = fence["mark"] if fence else ""
            yield line, bool(opened)
        else:
            yield line, True
            if fence and fence["mark"].startswith(opened) and not fence["info"].strip():
                opened = ""
