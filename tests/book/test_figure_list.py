"""The page of figures and tables lists every one with its caption's first sentence.

``python tests/book/test_figure_list.py`` (also ``make pictures``) writes it anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pixgrad.book.checking.pages import Book, Page
from pixgrad.book.source import project

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "chapters" / "figures.qmd"
WRITTEN = re.compile(r"^: (?P<caption>.+?) \{#(?P<label>tbl-[\w-]+)\}$", re.M)
"""A table in prose."""
LONG = 100
OPENING = """# Рисунки и таблицы {#sec-figures}

Всё, на что ссылаются главы: номер ведёт к рисунку или таблице, рядом — начало подписи.
"""


def captions(page: Page) -> Iterator[tuple[int, str, str]]:
    """(line, label, caption) of a page's figures and tables."""
    for cell in page.cells:
        kind = cell.label.partition("-")[0]
        caption = cell.options.get(f"{kind}-cap")
        if kind in ("fig", "tbl") and isinstance(caption, str):
            yield cell.cell.line, cell.label, caption
    text = page.chapter.document.text
    for one in WRITTEN.finditer(text):
        yield text.count("\n", 0, one.start()) + 1, one["label"], one["caption"]


def first_sentence(caption: str) -> str:
    """Up to the first full stop outside of formulas and brackets; a long one up to its colon."""
    whole = next(filter(is_whole, cuts(r"[.!?](?=\s+[А-ЯЁA-Z«]|$)", caption)), caption.rstrip("."))
    if len(whole) <= LONG:
        return whole
    return next(filter(is_whole, cuts(r"[:;](?=\s)", whole)), whole)


def cuts(end: str, text: str) -> Iterator[str]:
    return (text[: stop.start()] for stop in re.finditer(end, text))


def is_whole(text: str) -> bool:
    """Whether each formula, bracket and quotation mark of it is closed."""
    pairs = zip("([«", ")]»", strict=True)
    return text.count("$") % 2 == 0 and all(text.count(a) == text.count(b) for a, b in pairs)


def listed() -> str:
    book = project.load(ROOT)
    parts = [OPENING]
    for page in Book(book).pages:
        found = sorted(captions(page))
        if found and page.chapter not in book.reports:
            parts.append(f"## {page.chapter.title} {{.unnumbered .unlisted}}\n")
            parts += [f"- @{label} — {first_sentence(caption)}." for _, label, caption in found]
            parts.append("")
    return "\n".join(parts)


def test_every_figure_and_table_is_listed() -> None:
    assert first_sentence("Пирамида. В октаве") == "Пирамида"
    assert first_sentence("Вес $a. B$ (см. рис. 2). Дальше") == "Вес $a. B$ (см. рис. 2)"
    text = listed()
    assert PAGE.read_text("utf-8") == text, "make pictures"
    book = project.load(ROOT)
    page = next(page for page in Book(book).pages if page.file == "chapters/figures.qmd")
    referred = {key for one in page.tree.of("Cite") for key in one.keys}
    assert referred == set(re.findall(r"^- @([\w-]+)", text, re.M))


if __name__ == "__main__":
    PAGE.write_text(listed(), "utf-8", newline="\n")
