"""Which part of a chapter's executed markdown came from which cell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pixgrad.book.project import Chapter, cell_options
from pixgrad.book.qmd import Cell, Prose
from pixgrad.errors import SourceError

_CELL_DIV = re.compile(r"^:{3,} \{[^}\n]*\.cell[ }].*$", re.M)
_CELL_CODE = re.compile(r"^`{3,} ?\{[^}\n]*\.cell-code[ }].*$", re.M)
_FENCE = re.compile(r"^[ ]{0,3}(?P<mark>`{3,}|~{3,})(?P<info>[^`\n]*)$")
_DIV = re.compile(r"^[ ]{0,3}:{3,}(?P<attributes>.*)$")
_BLANK = re.compile(r"\n*")


@dataclass(frozen=True)
class Piece:
    """Part of the executed markdown: of cell ``cell`` (0-based), or prose if None."""

    text: str
    cell: int | None = None


def split(chapter: Chapter, markdown: str) -> list[Piece]:
    """Cut the executed markdown; the pieces' texts put together give it back.

    Every cell has exactly one piece, an empty one if it shows nothing.

    Raises
    ------
    SourceError : the prose of the chapter is not in the markdown.
    """
    pieces: list[Piece] = []
    waiting: list[int] = []
    position = count = 0
    for block in chapter.document.blocks:
        if isinstance(block, Cell):
            waiting.append(count)
            count += 1
        elif block.text.strip():
            end = _after_cells(chapter, markdown, position, waiting, pieces)
            start = _find_prose(chapter, markdown, end, block)
            _free_text(markdown[end:start], pieces, bool(waiting))
            position = start + len(block.text.strip("\n"))
            pieces.append(Piece(markdown[start:position]))
            waiting = []
    end = _after_cells(chapter, markdown, position, waiting, pieces)
    _free_text(markdown[end:], pieces, bool(waiting))
    return pieces


def _after_cells(
    chapter: Chapter, markdown: str, position: int, waiting: Sequence[int], pieces: list[Piece]
) -> int:
    """Take the pieces of the waiting cells; where their text ends, as far as its form tells."""
    for index in waiting:
        cell = chapter.document.cells[index]
        start = _BLANK.match(markdown, position).end()
        if cell_options(cell, chapter.path)[0].get("include") is False:
            end = position
        elif _CELL_DIV.match(markdown, start):
            end = _div_end(markdown, start)
        elif _CELL_CODE.match(markdown, start):
            end = _fence_end(markdown, start)
            end = end if index == waiting[-1] else _next_cell(markdown, end)
        else:
            end = position if index == waiting[-1] else _next_cell(markdown, position)
        pieces.append(Piece(markdown[position:end], index))
        position = end
    return position


def _free_text(text: str, pieces: list[Piece], after_cell: bool) -> None:
    """Text before the next prose: ``output: asis`` of the last cell, or blank lines."""
    if after_cell:
        pieces[-1] = Piece(pieces[-1].text + text, pieces[-1].cell)
    elif text:
        pieces.append(Piece(text))


def _find_prose(chapter: Chapter, markdown: str, position: int, block: Prose) -> int:
    """Where the block stands as whole lines."""
    text = block.text.strip("\n")
    while (start := markdown.find(text, position)) >= 0:
        end = start + len(text)
        if markdown[start - 1 : start] in ("", "\n") and markdown[end : end + 1] in ("", "\n"):
            return start
        position = start + 1
    raise SourceError(
        "в _freeze нет этого места главы; выполните pixgrad freeze", chapter.path, block.line
    )


def _next_cell(markdown: str, position: int) -> int:
    starts = [
        found.start() for p in (_CELL_DIV, _CELL_CODE) if (found := p.search(markdown, position))
    ]
    return min(starts, default=len(markdown))


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
