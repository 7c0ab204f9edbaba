"""Prose: formulas, captions of prose figures and tables, headings, Russian typography."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from subprocess import run

import pypandoc

from pixgrad.book.checking.pages import LINK, MATH, Book, Finding, Page
from pixgrad.book.source.project import load_yaml

_SHORTCODE = re.compile(r"\{\{<.*?>\}\}", re.S)
_STRAY_DOLLAR = re.compile(r"(?<!\\)\$")
_RAW_TEX = re.compile(r"\\begin\{(?P<name>\w+\*?)\}")
_FAILED = re.compile(r'<span\s+class="math (?:inline|display)">')
_ENGLISH_QUOTES = re.compile(r"[\"”]|“")
_HYPHEN_DASH = re.compile(r"(?<=[^\s|]) - (?=[^\s|])|(?<=[^\s|]) -$", re.M)
_DECIMAL_POINT = re.compile(
    r"(?<![\w.,/:-])(?<![A-Za-z]\s)(?<!§\s)(?<![пcс]\.\s)(?P<number>\d+\.\d+)(?!\w|\.\d|-\w)"
)
_NUMBERED = re.compile(
    r"(?:разд|гл|рис|табл|верси|формул|уравнени|пункт|приложени|часть|листинг|теорем)[а-яё]*\.?\s$",
    re.I,
)
_TABLE_RULE = re.compile(r"^\|?\s*:?-{2,}:?\s*(?:\|\s*:?-+:?\s*)+\|?\s*$")
_TABLE_CAPTION = re.compile(r"^\s*(?:[Tt]able)?: *\S")


def broken_latex(book: Book) -> Iterator[Finding]:
    """A formula that does not parse is published as its source."""
    formulas = list(_formulas(book))
    for (page, line, _, _), reason in _unparsable(formulas):
        yield page.finding(line, f"формула не разбирается{reason}")
    for page in book.pages:
        for line, _ in page.find(_STRAY_DOLLAR, page.plain):
            yield page.finding(line, "знак $ без пары: закройте формулу или напишите \\$")
        for line, match in page.find(_RAW_TEX, page.text):
            yield page.finding(
                line, f"\\begin{{{match['name']}}} вне $$…$$: в HTML такая формула пропадает"
            )


def prose_images(book: Book) -> Iterator[Finding]:
    """Quarto takes figures without a caption and pictures without alternative text."""
    for page in book.pages:
        for line, link in page.find(LINK, page.text):
            if not link["image"]:
                continue
            figure = _stands_alone(page.text, link)
            has_alt = bool(re.search(r"\bfig-alt=[\"'][^\"']", link["attributes"] or ""))
            if figure and not link["text"].strip():
                yield page.finding(line, f"рисунок {link['target']} без подписи")
            if not has_alt and (figure or not link["text"].strip()):
                yield page.finding(
                    line, f"у картинки {link['target']} нет описания для незрячих (fig-alt)"
                )


def prose_tables(book: Book) -> Iterator[Finding]:
    """Quarto takes tables without a caption."""
    for page in book.pages:
        lines = page.text.split("\n")
        for number, line in enumerate(lines):
            if _TABLE_RULE.match(line) and not _has_caption(lines, number):
                yield page.finding(max(number, 1), "таблица без подписи («: Подпись {#tbl-…}»)")


def headings(book: Book) -> Iterator[Finding]:
    """A skipped level gives numbers like 1.0.1 and a hole in the contents."""
    for page in book.pages:
        previous = int(_has_title(page))
        for line, level in _structure(page):
            if level > previous + 1:
                yield page.finding(
                    line,
                    f"заголовок уровня {level} сразу после уровня {previous}: уровень пропущен",
                )
            previous = level


def english_quotes(book: Book) -> Iterator[Finding]:
    """Straight quotes become “…” in HTML; Russian prose takes «ёлочки» (inside them „…“)."""
    for page in book.pages:
        for line, text in page.readable():
            for match in _ENGLISH_QUOTES.finditer(text):
                if match[0] == "“" and _closes_paw(text, match.start()):
                    continue
                yield page.finding(
                    line + text.count("\n", 0, match.start()),
                    f"английская кавычка {match[0]}: нужны «ёлочки», внутри них „лапки“",
                )


def hyphen_dashes(book: Book) -> Iterator[Finding]:
    """A lone hyphen stays a hyphen."""
    for page in book.pages:
        for line, text in page.readable():
            for match in _HYPHEN_DASH.finditer(text):
                yield page.finding(
                    line + text.count("\n", 0, match.start()), "дефис вместо тире: нужно «—»"
                )


def decimal_points(book: Book) -> Iterator[Finding]:
    """Russian prose has the decimal comma; versions and section numbers keep the point."""
    for page in book.pages:
        for line, text in page.readable():
            for match in _DECIMAL_POINT.finditer(text):
                if _NUMBERED.search(text, 0, match.start()):
                    continue
                number = match["number"]
                yield page.finding(
                    line + text.count("\n", 0, match.start()),
                    f"десятичная точка в {number}: нужна запятая (номер версии — в `{number}`)",
                )


RULES = (
    broken_latex,
    prose_images,
    prose_tables,
    headings,
    english_quotes,
    hyphen_dashes,
    decimal_points,
)

Formula = tuple[Page, int, str, str]


def count_formulas(book: Book) -> int:
    """Formulas of prose and captions."""
    return sum(1 for _ in _formulas(book))


def _formulas(book: Book) -> Iterator[Formula]:
    """(page, line, kind for pandoc, TeX) of each formula."""
    for page in book.pages:
        texts = [(1, page.uncoded), *(text for cell in page.cells for text in cell.texts())]
        for first, text in texts:
            for match in MATH.finditer(text):
                kind = "InlineMath" if match["display"] is None else "DisplayMath"
                tex = _SHORTCODE.sub("0", match["display"] or match["inline"])
                yield page, first + text.count("\n", 0, match.start()), kind, tex


def _unparsable(formulas: list[Formula]) -> Iterator[tuple[Formula, str]]:
    """Formulas that pandoc cannot turn into MathML, with the reason; one call for the book."""
    paragraphs = [
        {"t": "Para", "c": [{"t": "Math", "c": [{"t": kind}, tex]}]} for _, _, kind, tex in formulas
    ]
    document = {"pandoc-api-version": [1, 23], "meta": {}, "blocks": paragraphs}
    command = [pypandoc.get_pandoc_path(), "-f", "json", "-t", "html", "--mathml"]
    done = run(command, input=json.dumps(document), capture_output=True, text=True, check=True)
    bad = [
        formula
        for formula, html in zip(formulas, done.stdout.split("<p>")[1:], strict=True)
        if _FAILED.search(html)
    ]
    warnings = done.stderr.split("[WARNING]")[1:]
    reasons = [re.search(r"unexpected ([^\n]+)", warning) for warning in warnings]
    if len(reasons) != len(bad):  # pandoc tells the same complaint once
        reasons = [None] * len(bad)
    for formula, reason in zip(bad, reasons, strict=True):
        yield formula, f": лишнее {reason[1]}" if reason else ""


def _stands_alone(text: str, link: re.Match) -> bool:
    """Whether a picture is a paragraph of its own (pandoc makes it a figure)."""
    before = text[: link.start()].rsplit("\n", 2)
    after = text[link.end() :].split("\n", 2)
    lines = [before[-1], after[0]]
    around = [before[-2] if len(before) > 1 else "", after[1] if len(after) > 1 else ""]
    return not any(line.strip() for line in lines) and all(
        not line.strip() or line.lstrip().startswith(":::") for line in around
    )


def _has_caption(lines: list[str], rule: int) -> bool:
    """Whether the table whose rule is ``lines[rule]`` has a caption or lies in a labelled div."""
    end = rule
    while end < len(lines) and "|" in lines[end]:
        end += 1
    start = rule
    while start > 0 and "|" in lines[start - 1]:
        start -= 1
    near = [*lines[end : end + 2], *lines[max(0, start - 2) : start]]
    if any(_TABLE_CAPTION.match(line) for line in near if not line.startswith(":::")):
        return True
    opened = [line for line in lines[:start] if line.startswith(":::")]
    return bool(opened) and "#tbl-" in opened[-1]


def _has_title(page: Page) -> bool:
    front = page.chapter.document.front_matter
    return bool(front) and "title" in load_yaml(front, page.file, 2)[0]


def _structure(page: Page) -> Iterator[tuple[int, int]]:
    """(line, level) of the headings outside divs: in divs they are titles of callouts and tabs."""
    inside, depth = set(), 0
    for number, line in enumerate(page.prose.split("\n"), 1):
        if re.match(r"^ {0,3}:{3,}", line):
            depth += 1 if line.strip().strip(":").strip() else -1
        elif depth:
            inside.add(number)
    for heading in page.chapter.document.headings():
        if heading.line not in inside:
            yield heading.line, heading.level


def _closes_paw(text: str, position: int) -> bool:
    """Whether “ ends a „quote“ (the Russian inner quotes)."""
    before = text[:position]
    return before.rfind("„") > before.rfind("“")
