"""Prose: formulas, captions of prose figures and tables, headings, Russian typography."""

import json
import re
from collections.abc import Iterator
from subprocess import run
from urllib.parse import unquote

from pixgrad.book.checking.pages import Book, Finding, Page
from pixgrad.book.rendering import pandoc
from pixgrad.book.rendering.tree import Element
from pixgrad.book.source.metadata import load_yaml

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

Formula = tuple[Page, Element]


def broken_latex(book: Book) -> Iterator[Finding]:
    """A formula that does not parse is published as its source."""
    for (page, math), reason in _unparsable(list(book.of("Math"))):
        yield page.finding(math.line, f"формула не разбирается{reason}")
    for page, word in book.of("Str"):
        if "$" in word.content and word.is_written:
            what = "знак $ без пары: закройте формулу или напишите \\$"
            yield page.finding(word.line, what, is_note=not book.project.is_strict)


def prose_images(book: Book) -> Iterator[Finding]:
    """Quarto takes figures without a caption and pictures without alternative text."""
    for page, image in book.of("Image"):
        parent, path = image.parent, unquote(image.target)
        is_alone = parent.kind == "Para" and len(parent.content) == 1
        is_figure = is_alone or any(one.kind == "Figure" for one in image.around())
        if is_alone and not image.content[1]:
            yield page.finding(image.line, f"рисунок {path[:80]} без подписи")
        if not image.attributes.get("fig-alt") and (is_figure or not image.content[1]):
            message = f"у картинки {path[:80]} нет описания для незрячих (fig-alt)"
            yield page.finding(image.line, message)


def prose_tables(book: Book) -> Iterator[Finding]:
    """Quarto takes tables without a caption."""
    for page, table in book.of("Table"):
        _, caption = table.content[1]
        if not caption and not any(one.id.startswith("tbl-") for one in table.around()):
            yield page.finding(table.line, "таблица без подписи («: Подпись {#tbl-…}»)")


def headings(book: Book) -> Iterator[Finding]:
    """A skipped level gives numbers like 1.0.1 and a hole in the contents."""
    for page in book.pages:
        previous = int(_has_title(page))
        for heading in page.tree.of("Header"):
            if heading.parent:  # of a callout or a tab
                continue
            level = heading.content[0]
            if level > previous + 1:
                yield page.finding(
                    heading.line,
                    f"заголовок уровня {level} сразу после уровня {previous}: уровень пропущен",
                )
            previous = level


def english_quotes(book: Book) -> Iterator[Finding]:
    """Straight quotes become “…” in HTML; Russian prose takes «ёлочки» (inside them „…“)."""
    for page, line, match in _find(book, _ENGLISH_QUOTES):
        before = match.string[: match.start()]
        closes_paw = match[0] == "“" and before.rfind("„") > before.rfind("“")
        if not closes_paw:
            yield page.finding(
                line, f"английская кавычка {match[0]}: нужны «ёлочки», внутри них „лапки“"
            )


def hyphen_dashes(book: Book) -> Iterator[Finding]:
    """A lone hyphen stays a hyphen."""
    for page, line, _ in _find(book, _HYPHEN_DASH):
        yield page.finding(line, "дефис вместо тире: нужно «—»")


def decimal_points(book: Book) -> Iterator[Finding]:
    """Russian prose has the decimal comma; versions and section numbers keep the point."""
    for page, line, match in _find(book, _DECIMAL_POINT):
        if not _NUMBERED.search(match.string, 0, match.start()):
            number = match["number"]
            yield page.finding(
                line, f"десятичная точка в {number}: нужна запятая (номер версии — в `{number}`)"
            )


RUSSIAN = (english_quotes, hyphen_dashes, decimal_points)
"""Rules of Russian typography."""
RULES = (
    broken_latex,
    prose_images,
    prose_tables,
    headings,
    *RUSSIAN,
)


def _find(book: Book, pattern: re.Pattern) -> Iterator[tuple[Page, int, re.Match]]:
    """(page, line, match) in all that a reader reads: prose, captions, alternative texts."""
    for page in book.pages:
        for text in page.tree.texts:
            for match in pattern.finditer(text.text):
                yield page, text.lines[match.start()], match


def _unparsable(formulas: list[Formula]) -> Iterator[tuple[Formula, str]]:
    """Formulas that pandoc cannot turn into MathML, with the reason; one call for the book."""
    paragraphs = [{"t": "Para", "c": [{"t": "Math", "c": math.content}]} for _, math in formulas]
    document = {"pandoc-api-version": [1, 23], "meta": {}, "blocks": paragraphs}
    known = f"--lua-filter={pandoc.FILTERS / 'math.lua'}"
    command = [pandoc.executable(), "-f", "json", "-t", "html", "--mathml", known]
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


def _has_title(page: Page) -> bool:
    front = page.chapter.document.front_matter
    return bool(front) and "title" in load_yaml(front, page.file, 2)[0]
