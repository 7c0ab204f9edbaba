"""The executed markdown of a chapter, and which part of it came from which cell."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from pixgrad.book.ledger import frozen, qmd
from pixgrad.book.source.project import Chapter, Project, cell_options
from pixgrad.errors import SourceError

Format = Literal["html", "typ"]

_SHOWN_CELL = re.compile(
    r"^[ \t]*(?:(?P<div>:{3,}) \{[^}\n]*\.cell[ }]|`{3,} ?\{[^}\n]*\.cell-code[ }]).*$", re.M
)
_EXECUTION_COUNT = re.compile(r"execution_count=(\d+)\}$")


def markdown(project: Project, chapter: Chapter, fmt: Format) -> str:
    """The executed markdown of a chapter; of one without cells, its own text.

    Raises
    ------
    SourceError : the chapter was not executed, or was edited since.
    """
    if not chapter.document.cells:
        return chapter.document.text
    found = frozen.read(project.results(chapter), fmt)
    if found is None and not project.is_strict:  # Quarto freezes only what it was asked for
        found = frozen.read(project.results(chapter), "html")
    if found is None:
        raise SourceError("глава ещё не исполнена; выполните pixgrad freeze", chapter.path)
    if found["hash"] != chapter.document.md5:
        raise SourceError("глава изменена после исполнения; выполните pixgrad freeze", chapter.path)
    return re.sub("\r\n?", "\n", found["result"]["markdown"])  # a browser shows it so


@dataclass(frozen=True)
class Piece:
    """Part of the executed markdown: of cell ``cell`` (0-based), or prose if None."""

    text: str
    cell: int | None = None


def split(chapter: Chapter, text: str) -> list[Piece]:
    """Cut the executed markdown; the pieces' texts put together give it back.

    Every cell has exactly one piece, an empty one if it shows nothing. What cells print as it is
    (``output: asis``) has no marks: of neighbours the last has the text of all.

    Raises
    ------
    SourceError : the prose of the chapter is not in the markdown.
    """
    pieces: list[Piece] = []
    position = count = number = 0
    owner: int | None = None  # the piece that has the text without marks
    for is_cell, group in groupby(chapter.document.blocks, lambda one: isinstance(one, qmd.Cell)):
        blocks = list(group)
        for cell in blocks if is_cell else ():
            number += bool(cell.source.strip())
            start, end = _shown_cell(text, position, cell, number)
            _free_text(text[position:start], pieces, owner)
            pieces.append(Piece(text[start:end], count))
            as_is = cell_options(cell, chapter.path)[0].get("output") == "asis"
            if start < end or as_is or owner is None:
                owner = len(pieces) - 1
            count += 1
            position = end
        if not is_cell and any(block.text.strip() for block in blocks):
            start, end = _prose(chapter, text, position, blocks)
            _free_text(text[position:start], pieces, owner)
            pieces.append(Piece(text[start:end]))
            owner, position = None, end
    _free_text(text[position:], pieces, owner)
    return pieces


def _shown_cell(text: str, position: int, cell: qmd.Cell, number: int) -> tuple[int, int]:
    """Where the div of the cell, or its code without a div, stands; (position, position) if not."""
    found = _SHOWN_CELL.search(text, position)
    if not found:
        return position, position
    start = found.start()
    end = start + _length(text[start:])
    if found["div"]:
        count = _EXECUTION_COUNT.search(found[0])
        own = count and int(count[1]) == number
    else:
        shown = re.sub(rf"^{cell.indent}", "", text[start:end], flags=re.M)
        own = shown.rstrip("` \n").endswith("\n" + cell.source.strip().rstrip("` \n"))
    return (start, end) if own else (position, position)


def _free_text(text: str, pieces: list[Piece], owner: int | None) -> None:
    """Text that is neither prose nor marked as a cell's: of the piece ``owner``, if any."""
    if owner is not None:
        pieces[owner] = Piece(pieces[owner].text + text, pieces[owner].cell)
    elif text:
        pieces.append(Piece(text))


def _prose(
    chapter: Chapter, whole: str, position: int, blocks: Sequence[qmd.Block]
) -> tuple[int, int]:
    """Where a stretch of prose stands as whole lines, values in the place of its code."""
    text = "".join(re.escape(one.text) if isinstance(one, qmd.Prose) else "\0" for one in blocks)
    # re.escape puts a backslash before each line end
    pattern = re.sub(r"^(?:\\\n)+|(?:\\\n)+$", "", text).replace("\0", "(?s:.*?)")
    found = re.compile(rf"(?<![^\n]){pattern}(?![^\n])").search(whole, position)
    if found:
        return found.span()
    raise SourceError(
        "в _freeze нет этого места главы; выполните pixgrad freeze", chapter.path, blocks[0].line
    )


def _length(text: str) -> int:
    """Characters of the div or the code block that the text begins with."""
    depth = length = 0
    for line, fence in qmd.fenced_lines(text):
        length += len(line)
        step = 0 if fence else qmd.div_step(line)
        depth += step
        if depth == 0 and (step or fence == "close"):
            break
    return length
