"""A number that a cell computes is printed by a cell: typed by hand, it would stay when it changes.

Looked at are numbers of two significant digits with a comma and of three or more without, in
prose, captions and descriptions. Allowed are those that the cells themselves are given, those of
a sentence with a citation, those of exercises, and `GIVEN`, each with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pixgrad.book.checking.pages import Book, Page
from pixgrad.book.source import project

ROOT = Path(__file__).parent.parent.parent
NUMBER = re.compile(
    r"(?<![\w,.×/·–-])(?:\d{1,3}(?:[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE} ]\d{3})+|\d+)"
    r"(?:,\d+)?(?![\w,]*\d)"
)
NO_PROSE = re.compile(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)|\[?-?@[\w:-]+\]?", re.S)
CITATION = re.compile(r"@\w+\d{4}")
SENTENCE = re.compile(r"(?<=[.!?…])\s+(?=[А-ЯЁA-Z«])")
DEFINITIONS = {"128", "255", "360", "180", "100", "200", "1000"}
"""Numbers of a descriptor, levels of a byte, degrees, percent, round counts: they cannot change."""
GIVEN = {
    ("02-sift-anatomy", "512"): "the length to which readers of the data shrink",
    ("02-sift-anatomy", "1,60"): "the scale of the first layer, by definition",
    ("09-architectures", "2010"): "years",
    ("09-architectures", "2015"): "years",
    ("09-architectures", "2017"): "years",
    ("10-regularisation", "0,38"): "an example by hand, checked by its cell",
    ("13-vanishing-gradients", "2,30"): "the logarithm of ten",
    ("14-resnet50-adam", "10000"): "the bootstrap's own setting",
    ("15-vit", "2021"): "the year of the paper",
    ("15-vit", "512"): "the paper's image size",
    ("15-vit", "384"): "the paper's image size",
    ("16-ssd", "150"): "epochs, from a README",
    ("16-ssd", "0,55"): "the second of COCO's thresholds",
    ("16-ssd", "0,95"): "the last of COCO's thresholds, in the name of the measure",
    ("16-ssd", "0,80"): "the goal, set by the protocol",
    ("17-spinenet", "224"): "the authors' image size",
    ("17-spinenet", "350"): "the authors' epochs",
    ("17-spinenet", "0,95"): "the last threshold, by definition",
}
"""(chapter, number) → why it is right to type it."""


def plain(number: str) -> str:
    return re.sub(r"[^\d,]", "", number)


def is_telling(number: str) -> bool:
    digits = plain(number).replace(",", "").lstrip("0")
    return len(digits) >= (2 if "," in number else 3) and plain(number) not in DEFINITIONS


def numbers(text: str) -> set[str]:
    return {plain(one) for one in NUMBER.findall(text) if is_telling(one)}


def settings(page: Page) -> set[str]:
    """Numbers written in the cells' own code."""
    code = "\n".join(cell.cell.source for cell in page.cells)
    return {one.replace("_", "").replace(".", ",") for one in re.findall(r"\d[\d_]*\.?\d*", code)}


def exercises(page: Page) -> int:
    """The line where they begin."""
    lines = (one.line for one in page.tree.of("Header") if "exercises" in one.id)
    return min(lines, default=10**9)


def typed(page: Page) -> Iterator[tuple[int, str]]:
    """(line, number) of what stands in prose and in an output of the same page."""
    known = set().union(*map(numbers, page.executed)) - settings(page)
    for text in page.tree.texts:
        line = text.lines[0] if text.lines else 0
        for sentence in SENTENCE.split(text.text):
            if not CITATION.search(sentence):
                yield from ((line, one) for one in numbers(NO_PROSE.sub(" ", sentence)) & known)


def test_no_computed_number_is_typed_by_hand() -> None:
    example = "Ошибка 12,7 %, весов 1\N{NO-BREAK SPACE}205, слоёв 20, по 128 чисел"
    assert numbers(example) == {"12,7", "1205"}
    found = {
        f"{page.file}:{line}": number
        for page in Book(project.load(ROOT)).pages
        for line, number in typed(page)
        if line < exercises(page) and (Path(page.file).stem, number) not in GIVEN
    }
    assert found == {}
