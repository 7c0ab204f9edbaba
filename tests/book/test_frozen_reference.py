"""Frozen markdown against what Quarto 1.10.18 itself has written of forms of cells and outputs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pixgrad.book.executing import freeze

REFERENCE = Path(__file__).parents[1] / "quarto-reference-2"

OUR_OWN: list[tuple[str, str, str]] = [
    # Quarto keeps control characters; we show what a terminal would.
    ("streams", r"(\rшаг \d)+", "шаг 3"),
    ("streams", "a\bb", "b"),
    ("streams", r"\x1b\[[0-9;]*m", ""),
    ("streams", r"TMP/ipykernel_N", "/tmp/ipykernel_1"),  # an address
    # Quarto shows the name of a Python class.
    ("rich", r"<IPython.core.display.JSON object>", '{\n  "a": 1\n}'),
    ("rich", r"(?<=```\n)<IPython.core.display.HTML object>", "жирный из HTML"),
]
"""(chapter, what Quarto writes, what we write) where we mean to differ."""


@pytest.fixture(scope="module")
def frozen(tmp_path_factory) -> Callable[[str], Path]:
    root = tmp_path_factory.mktemp("reference") / "book"
    shutil.copytree(REFERENCE, root, ignore=shutil.ignore_patterns("_freeze"))

    def execute(chapter: str) -> Path:
        config = (root / "_quarto.yml").read_text("utf-8")
        others = rf"    - chapters/(?!{chapter}\.)\w+\.qmd\n"
        (root / "_quarto.yml").write_text(re.sub(others, "", config), "utf-8")
        freeze.freeze_book(root)
        (root / "_quarto.yml").write_text(config, "utf-8")
        return root / "_freeze"

    return execute


@pytest.mark.parametrize(
    "chapter",
    [
        "inline",
        "indent",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("rich", "streams", "figures")),
    ],
)
def test_chapter_equals_quartos(frozen, chapter):
    """Byte for byte, the random ids of the cells and what we mean to do better apart."""
    folder = frozen(chapter)
    for fmt in ("html", "typ"):
        path = Path("chapters", chapter, "execute-results", f"{fmt}.json")
        theirs = json.loads((REFERENCE / "_freeze" / path).read_text("utf-8"))
        ours = json.loads((folder / path).read_text("utf-8"))
        assert ours["hash"] == theirs["hash"]
        wanted = theirs["result"]["markdown"]
        for its_chapter, old, new in OUR_OWN:
            wanted = (
                re.sub(old, new.replace("\\", r"\\"), wanted) if its_chapter == chapter else wanted
            )
        got, wanted = (
            re.sub(r"#[0-9a-f]{8} ", "#ID ", text) for text in (ours["result"]["markdown"], wanted)
        )
        assert got == wanted
