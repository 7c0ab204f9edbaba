"""The map of the first page shows the book that there is."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import yaml

from pixgrad.plots import book_map

ROOT = Path(__file__).parent.parent.parent
CONFIG = yaml.safe_load((ROOT / "_quarto.yml").read_text("utf-8"))
TEXTS = {
    int(page.name[:2]): page.read_text("utf-8") for page in (ROOT / "chapters").glob("[0-9]*.qmd")
}
PAIRS = (*book_map.NEEDED, *book_map.MEASURED)


def test_every_chapter_stands_in_the_row_of_its_part() -> None:
    parts = [part for part in CONFIG["book"]["chapters"] if isinstance(part, dict)]
    assert tuple(part["part"] for part in parts) == book_map.PARTS
    rows = {
        int(path.stem[:2]): row
        for row, part in enumerate(parts)
        for path in map(Path, part["chapters"])
        if path.stem[0].isdigit()
    }
    assert {number: place.row for number, place in book_map.CHAPTERS.items()} == rows


@pytest.mark.parametrize(("first", "then"), PAIRS)
def test_an_arrow_is_a_link_of_the_text(first: int, then: int) -> None:
    def links(one: int, other: int) -> bool:
        labels = re.findall(r"(?:\{#|label: )((?:eq|sec|fig|tbl)-[\w-]+)", TEXTS[other])
        return any(re.search(rf"@{label}(?![\w-])", TEXTS[one]) for label in labels)

    assert links(then, first) or links(first, then)


def test_boxes_do_not_overlap_and_letters_are_readable() -> None:
    places = [(place.row, place.x) for place in book_map.CHAPTERS.values()]
    assert len(set(places)) == len(places)
    in_rows = sorted(places)
    gaps = [b[1] - a[1] for a, b in itertools.pairwise(in_rows) if a[0] == b[0]]
    assert min(gaps) > book_map.WIDTH
    figure = book_map.draw()
    width = figure.get_size_inches()[0]
    sizes = [text.get_fontsize() * 390 / (72 * width) for text in figure.axes[0].texts]
    plt.close(figure)
    assert min(sizes) > 9  # pixels on a phone of 390
