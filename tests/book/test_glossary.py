"""Appendix «Словарь терминов», and one word for one thing in the chapters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pixgrad.book.ledger import qmd
from pixgrad.book.rendering.tree import Tree

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted((ROOT / "chapters").glob("*.qmd"))
GLOSSARY = ROOT / "chapters" / "glossary.qmd"
CHAPTERS = [page for page in PAGES if page.name[0].isdigit()]
ROW = re.compile(
    r"^\| (?P<term>[^|]+?) \| (?P<english>[^|]+?) \| (?P<what>[^|]+?) \| @(?P<link>[\w-]+) \|$",
    re.M,
)
OTHER_WORDS = {
    r"\bстади[яиюей]": "ступень (сети) или этап (алгоритма)",
    r"одностадийн": "одноступенчатый",
    r"\b[Mm]acro[ -]F1": "макро-F1",
    r"\bрешётк": "сетка",
    r"\bпрунинг|\bобрезк\w+ (?:весов|каналов)": "прореживание",
    r"\bостаточн\w+ (?:связ|соединени)|\bпропускн\w+ соединени|[Ss]kip-связ": "пропускная связь",
    r"\bисчез(?:ающ|новени)\w+ градиент": "затухание градиента",
    r"\bкарт\w* (?:особенностей|активаций)": "карта признаков",
    r"\bстрайд|\bпаддинг|\bпод(?:выборк|дискретизаци)": "шаг, дополнение, пулинг",
    r"\bбатч|\bмини-пакет": "пакет",
    r"\b(?:тонк\w+ настройк|файнтюн)": "дообучение",
    r"\bособ\w+ точ(?:ек|к)": "ключевая точка",
    r"\b(?:темп\w*|шаг\w*) обучения\b(?= (?:α|равен|\$\\alpha))": "скорость обучения",
    r"\b(?:лосс|датасет|инференс|эмбеддинг|фич[аи])\b": "русское слово из словаря",
    r"\bпереподгон": "переобучение",
}
"""What is not written: the pattern, and the word that is."""


def text_of(page: Path) -> str:
    """A page, its captions and what its cells print; without formulas and code in the prose."""
    text = page.read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")
    return re.sub(r"\$\$.*?\$\$|\$[^$\n]*\$|(?<!`)`[^`\n]+`(?!`)", " ", text, flags=re.S)


@pytest.fixture(scope="module")
def rows() -> list[re.Match]:
    return list(ROW.finditer(GLOSSARY.read_text("utf-8")))


def test_the_rows_are_a_table(rows: list[re.Match]) -> None:
    (table,) = Tree(qmd.read(GLOSSARY)).of("Table")
    assert sum(len(body[3]) for body in table.content[4]) == len(rows)


def test_terms_are_many_and_in_order(rows: list[re.Match]) -> None:
    terms = [row["term"] for row in rows]
    keys = [(term.isascii(), term.lower().replace("ё", "е").replace("-", " ")) for term in terms]
    assert len(terms) == len(set(terms)) >= 120
    assert keys == sorted(keys)


def test_terms_are_words_of_the_book(rows: list[re.Match]) -> None:
    """In some case and number: the beginnings of the words stand side by side."""
    text = "\n".join(map(text_of, CHAPTERS)).lower()

    def stem(word: str) -> str:
        return re.escape(word[: max(3, len(word) - 2 - (len(word) > 7))].lower()) + r"[\w-]*"

    def stands(term: str) -> bool:
        return bool(re.search(r"\b" + r"\W+".join(map(stem, term.split())), text))

    assert [row["term"] for row in rows if not all(map(stands, row["term"].split(" и ")))] == []


def test_terms_lead_to_their_places(rows: list[re.Match]) -> None:
    labels = {
        label
        for page in PAGES
        for label in re.findall(r"\{#((?:eq|sec)-[\w-]+)", page.read_text("utf-8"))
    }
    assert [row["term"] for row in rows if row["link"] not in labels] == []


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != GLOSSARY], ids=lambda page: page.stem
)
def test_one_word_for_one_thing(page: Path) -> None:
    text = text_of(page)
    found = {
        text[max(0, one.start() - 40) : one.end() + 20]: word
        for pattern, word in OTHER_WORDS.items()
        for one in re.finditer(pattern, text)
    }
    assert found == {}
