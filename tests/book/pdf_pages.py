"""What stands where on the pages of a PDF, by poppler's tools."""

from __future__ import annotations

import html
import re
import subprocess
import unicodedata
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

PAGE_HEIGHT, HEAD, FOOT = 842.0, 85.0, 765.0
"""Points: of the page, and where the running head ends and the text may."""
_WORD = re.compile(
    r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>'
)
_LINE = re.compile(r'<text top="([\d.-]+)"[^>]* height="([\d.-]+)" font="(\d+)">(.*?)</text>', re.S)


class Word(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float
    text: str


def words(pdf: Path) -> list[list[Word]]:
    """The words of each page with their boxes (points from the upper left corner)."""
    return [
        [Word(*map(float, box), html.unescape(text)) for *box, text in _WORD.findall(page)]
        for page in _output("pdftotext", "-bbox", pdf, "-").split("<page ")[1:]
    ]


def overprinted(page: list[Word]) -> list[tuple[str, str]]:
    """Pairs of words that lie on each other; marks over letters and roots do so by design."""
    found = []
    for one, other in combinations([word for word in page if not _is_mark(word.text)], 2):
        across = min(one.right, other.right) - max(one.left, other.left)
        down = min(one.bottom, other.bottom) - max(one.top, other.top)
        if across > 2 and down > 0.5 * min(one.bottom - one.top, other.bottom - other.top):
            found.append((one.text, other.text))
    return found


def _is_mark(text: str) -> bool:
    """Nothing but marks and signs, or an accent of the word before with what follows it."""
    return unicodedata.category(text[0]) == "Mn" or all(
        unicodedata.category(char) in ("Mn", "Sk", "Sm", "Zs", "Lm") or char in "√′"
        for char in text
    )


def nearly_empty(pages: list[list[Word]]) -> list[int]:
    """Pages (from 1) whose lower two thirds are empty, ends of chapters apart."""
    short = []
    for number, (page, after) in enumerate(zip(pages, [*pages[1:], []], strict=True), 1):
        lowest = max((word.bottom for word in page if word.bottom < FOOT), default=0)
        begins = all(word.bottom > HEAD for word in after)  # no running head
        if lowest < HEAD + (FOOT - HEAD) / 3 and not begins:
            short.append(number)
    return short


def share_of_code(pdf: Path) -> float:
    """Lines in the typeface of code among all lines."""
    answer = _output("pdftohtml", "-xml", "-stdout", "-i", "-hidden", "-noroundcoord", pdf)
    fonts = dict(re.findall(r'<fontspec id="(\d+)"[^>]*family="([^"]*)"', answer))
    total = code = 0
    for page in answer.split("<page ")[1:]:
        lines: dict[int, list[tuple[bool, int]]] = {}
        for top, height, font, text in _LINE.findall(page):
            length = len(re.sub("<[^>]*>", "", text).strip())
            line = round((float(top) + float(height)) / 5)
            lines.setdefault(line, []).append(("Mono" in fonts[font], length))
        filled = [line for line in lines.values() if any(length for _, length in line)]
        total += len(filled)
        code += sum(
            sum(length for is_code, length in line if is_code)
            > sum(length for _, length in line) / 2
            for line in filled
        )
    return code / total


def bookmarks(pdf: Path) -> str:
    """The outline: a line a bookmark, indented by its depth."""
    answer = _output("pdftohtml", "-xml", "-stdout", "-i", pdf)
    depth, lines = -1, []
    for tag, title in re.findall(r"<(/?outline|item)[^>]*>([^<]*)", answer):
        depth += {"outline": 1, "/outline": -1, "item": 0}[tag]
        if tag == "item":
            lines.append("  " * depth + html.unescape(title))
    return "\n".join(lines)


def _output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
