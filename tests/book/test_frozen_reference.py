"""Frozen markdown against what Quarto 1.10.18 itself has written of forms of cells and outputs."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from pixgrad.book.executing import freeze
from pixgrad.book.rendering import scripts
from pixgrad.book.source import project as books

REFERENCE = Path(__file__).parents[1] / "quarto-reference-2"
CHAPTERS = [
    (path.relative_to(REFERENCE).parts[0], Path(*path.parts[path.parts.index("_freeze") + 1 : -1]))
    for path in sorted(REFERENCE.glob("*/_freeze/**/execute-results"))
]
FAST = ("inline", "indent")
OUR_OWN: list[tuple[str, str, str]] = [
    # Quarto keeps control characters; we show what a terminal would.
    ("streams", r"(\rшаг \d)+", "шаг 3"),
    ("streams", "a\bb", "b"),
    ("streams", r"\x1b\[[0-9;]*m", ""),
    ("eval", "оболочка\r", "оболочка"),
    # An address; a file that Quarto lays beside the chapter while it runs.
    ("streams", r"TMP/ipykernel_N", "/tmp/ipykernel_1"),
    ("same", ", 'same.quarto_ipynb'", ""),
    # Quarto shows the name of a Python class.
    ("rich", r"<IPython.core.display.JSON object>", '{\n  "a": 1\n}'),
    ("rich", r"(?<=```\n)<IPython.core.display.HTML object>", "жирный из HTML"),
]
"""(chapter, what Quarto writes, what we write) where we mean to differ."""
RANDOM = ((r"#[0-9a-f]{8} ", "#ID "), (r"\b[\d.]+ (µs|μs|ms|ns)", "TIME"))
"""What differs from run to run: ids of cells, and times."""


@pytest.mark.parametrize(
    ("book", "chapter"),
    [pytest.param(*one, marks=() if one[1].name in FAST else pytest.mark.slow) for one in CHAPTERS],
    ids=[f"{book}-{chapter}" for book, chapter in CHAPTERS],
)
def test_chapter_equals_quartos(tmp_path, monkeypatch, book, chapter):
    """Byte for byte, what is random and what we mean to do better apart."""
    for name in ("WORD", "QUARTO_PROFILE"):
        monkeypatch.delitem(os.environ, name, raising=False)
    root = shutil.copytree(
        REFERENCE / book, tmp_path / "book", ignore=shutil.ignore_patterns("_freeze")
    )
    scripts.before(books.load(root))
    results = chapter / "execute-results"
    freeze.freeze_book(root, only=[f"{chapter.as_posix()}.qmd"])
    for path in sorted((REFERENCE / book / "_freeze" / results).glob("*.json")):
        theirs = json.loads(path.read_text("utf-8"))
        ours = json.loads((root / "_freeze" / results / path.name).read_text("utf-8"))
        assert ours["hash"] == theirs["hash"]
        wanted, got = theirs["result"]["markdown"], ours["result"]["markdown"]
        for name, old, new in OUR_OWN:
            if name == chapter.name:
                wanted = re.sub(old, new.replace("\\", r"\\"), wanted)
        for pattern, one in RANDOM:
            got, wanted = (re.sub(pattern, one, text) for text in (got, wanted))
        assert got == wanted


def test_the_reference_has_every_executed_chapter():
    assert len(CHAPTERS) == 17
