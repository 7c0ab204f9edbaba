"""Which part of the executed markdown is whose: cells with nothing but text around them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_books import cell

from pixgrad.book.ledger import qmd
from pixgrad.book.source import executed
from pixgrad.book.source.project import Chapter


def as_is(text: str) -> str:
    """A cell that shows nothing but what it prints."""
    return cell(f"print({text!r})", "output: asis", "echo: false")


SILENT = cell("x = 1", "echo: false")
EXCLUDED = cell("y = 1", "include: false")
VISIBLE = cell("1 + 1")
LISTED = cell('print("в")', "output: asis")
BLANK = "\n\n"
LISTED_SHOWN = '``` {.python .cell-code}\nprint("в")\n```\nв\n\n\n'


def visible_shown(number: int) -> str:
    return (
        f"::: {{#a1 .cell execution_count={number}}}\n``` {{.python .cell-code}}\n1 + 1\n```\n\n"
        f"::: {{.cell-output .cell-output-display execution_count={number}}}\n```\n2\n```\n:::\n"
        ":::\n\n\n"
    )


@pytest.mark.parametrize(
    ("cells", "shown", "expected"),
    [
        # Nothing in the text tells where the first output ends: the last cell has both.
        ([as_is("а"), as_is("б")], ["а\n\n\n", "б\n\n\n"], ["", "а б"]),
        (
            [as_is("а"), as_is("б"), VISIBLE],
            ["а\n\n\n", "б\n\n\n", visible_shown(3)],
            ["", "а б", 3],
        ),
        ([as_is("а"), as_is("б"), LISTED], ["а\n\n\n", "б\n\n\n", LISTED_SHOWN], ["", "а б", "в"]),
        ([LISTED, as_is("а")], [LISTED_SHOWN, "а\n\n\n"], ["print", "в а"]),
        # Cells that show nothing have nothing.
        ([as_is("а"), EXCLUDED], ["а\n\n\n", "\n"], ["а", ""]),
        ([as_is("а"), SILENT], ["а\n\n\n", BLANK], ["а", ""]),
        ([SILENT, as_is("а")], [BLANK, "а\n\n\n"], ["", "а"]),
        ([SILENT, VISIBLE], [BLANK, visible_shown(2)], ["", 2]),
        ([SILENT, LISTED], [BLANK, LISTED_SHOWN], ["", "в"]),
        ([as_is("а"), SILENT, VISIBLE], ["а\n\n\n", BLANK, visible_shown(3)], ["а", "", 3]),
        # A line of the next prose inside an output is not that prose.
        (
            [VISIBLE, VISIBLE],
            [visible_shown(1).replace("2\n", "После.\n"), visible_shown(2)],
            [1, 2],
        ),
    ],
)
@pytest.mark.parametrize("after", ["После.\n", "", "После.\n\n" + VISIBLE])
def test_neighbours_without_prose_between_them(cells, shown, expected, after):
    text = "# Глава\n\n" + "\n".join(cells) + "\n" + after
    shown_text = "# Глава\n\n" + "\n".join(shown) + "\n"
    shown_text += after.replace(VISIBLE, visible_shown(len(cells) + 1))
    document = qmd.parse(text)
    chapter = Chapter(Path("a.qmd"), document, "chapter", "1", None, "Глава", None)
    cut = executed.split(chapter, shown_text)
    assert "".join(piece.text for piece in cut) == shown_text
    of_cells = [piece for piece in cut if piece.cell is not None]
    assert [piece.cell for piece in of_cells] == list(range(len(document.cells)))
    for piece, wanted in zip(of_cells, expected, strict=False):
        if isinstance(wanted, int):
            assert f"execution_count={wanted}}}" in piece.text
        elif not wanted:
            assert not piece.text.strip()
        else:
            assert all(word in piece.text for word in wanted.split())
