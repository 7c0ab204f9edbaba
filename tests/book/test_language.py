"""The Russian of the book: spelling, «ё», repeated words, numerals, long sentences.

Read are the paragraphs, captions and descriptions of all pages as pandoc's tree has them, without
code, formulas and citations, and the Russian strings of the cells and of
what the package writes on figures and in tables.
"""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from pixgrad.book.checking.pages import Book
from pixgrad.book.rendering.tree import HOLE
from pixgrad.book.source import project

ROOT = Path(__file__).parent.parent.parent
OWN_WORDS = Path(__file__).parent.parent / "data" / "words.txt"
WORD = re.compile(r"[А-Яа-яЁё]+(?:-[А-Яа-яЁё]+)*")
CITED = re.compile(r"\[?-?@[\w:-]+\]?")
GAP = "\N{MIDDLE DOT}"
"""In place of a number or a word that the cell puts in."""
BOTH = {
    *WORD.findall(
        "все всем зерна чем осел небо нем узнает узнаем темы мел черта поем признает берет"
    )
}
"""Words with «е» that are other words than those with «ё»."""
NOUNS = (
    ("вес", "веса", "весов"),
    ("слой", "слоя", "слоёв"),
    ("пиксель", "пикселя", "пикселей"),
    ("канал", "канала", "каналов"),
    ("точка", "точки", "точек"),
    ("карта", "карты", "карт"),
    ("шаг", "шага", "шагов"),
    ("эпоха", "эпохи", "эпох"),
    ("фотография", "фотографии", "фотографий"),
    ("сеть", "сети", "сетей"),
    ("класс", "класса", "классов"),
    ("раз", "раза", "раз"),
    ("рамка", "рамки", "рамок"),
    ("число", "числа", "чисел"),
    ("блок", "блока", "блоков"),
    ("изображение", "изображения", "изображений"),
    ("пункт", "пункта", "пунктов"),
    ("запуск", "запуска", "запусков"),
    ("зерно", "зерна", "зёрен"),
    ("пример", "примера", "примеров"),
    ("умножение", "умножения", "умножений"),
    ("нейрон", "нейрона", "нейронов"),
    ("секунда", "секунды", "секунд"),
    ("минута", "минуты", "минут"),
    ("строка", "строки", "строк"),
    ("столбец", "столбца", "столбцов"),
    ("клетка", "клетки", "клеток"),
    ("ядро", "ядра", "ядер"),
    ("ветвь", "ветви", "ветвей"),
    ("дескриптор", "дескриптора", "дескрипторов"),
    ("пакет", "пакета", "пакетов"),
    ("токен", "токена", "токенов"),
)
"""With one, with two, with five."""
NUMBER = re.compile(
    r"(?P<before>[А-Яа-яё]*)[\s(«—]*(?<![\w,.–×·/+-])(?P<number>\d{1,3}(?: \d{3})+|\d+)"
    r"(?= (?P<noun>[а-яё]+))"
)
GENITIVE = {
    *WORD.findall(
        "из до от с для около без у после кроме больше меньше более менее среди всех каждой каждых "
        "против порядка примерно вместо числу числа того выше ниже этих тех двух трёх дальше ближе"
    )
}
"""After these a number and its noun stand in the genitive."""
YO = {
    *WORD.findall(
        "ещё её своё моё твоё чьё счёт учёт учёба отчёт жёлтый чёрный зелёный тёмный лёгкий причём "
        "нём своём трёх четырёх идёт даёт начнём возьмём"
    )
}
"""Written with «ё» even where the book has them once."""
TWICE = {"чуть", "едва"}
"""Words that may stand twice."""
SHOWN = ("claims", "plots", "results", "data")
"""Parts of the package whose words the book shows."""
LONG = 40
"""Words of a sentence that is too long to be read at once."""


class Paragraph(NamedTuple):
    page: str
    line: int
    text: str


def strings(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of the Russian strings of a program; what is put into them is a gap."""
    try:
        tree = ast.parse(re.sub(r"^%.*$", "", source, flags=re.M))
    except SyntaxError:
        return
    joined = [one for one in ast.walk(tree) if isinstance(one, ast.JoinedStr)]
    parts = {id(part) for one in joined for part in ast.walk(one)}
    for one in ast.walk(tree):
        text = ""
        if isinstance(one, ast.JoinedStr):
            text = "".join(
                part.value if isinstance(part, ast.Constant) else GAP for part in one.values
            )
        elif isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in parts:
            text = one.value
        if WORD.search(text):
            yield one.lineno, text


def clean(text: str) -> str:
    """Prose alone: no formulas, code, links and citations."""
    text = (
        text.replace("\N{NO-BREAK SPACE}", " ")
        .replace("\N{COMBINING ACUTE ACCENT}", "")
        .replace(HOLE, GAP)
    )
    text = re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)", GAP, text, flags=re.S)
    return CITED.sub(GAP, text).replace("*", "").replace("-\n", "")


@pytest.fixture(scope="module")
def paragraphs() -> list[Paragraph]:
    found = []
    for page in Book(project.load(ROOT)).pages:
        found += [
            (page.file, one.lines[0], one.text) for one in page.tree.texts if one.text.strip()
        ]
        for cell in page.cells:
            first = cell.cell.source_line - 1
            found += [(page.file, first + line, text) for line, text in strings(cell.cell.source)]
    package = ROOT / "code" / "pixgrad"
    for module in sorted(one for part in SHOWN for one in (package / part).rglob("*.py")):
        name = module.relative_to(ROOT).as_posix()
        found += [(name, line, text) for line, text in strings(module.read_text("utf-8"))]
    return [Paragraph(page, line, clean(text)) for page, line, text in found]


def words(paragraph: Paragraph) -> Iterator[str]:
    """Whole words: those that a cell completes are left out."""
    text = paragraph.text
    for one in WORD.finditer(text):
        around = text[max(0, one.start() - 1) : one.start()] + text[one.end() : one.end() + 1]
        if not re.search(rf"[{GAP}\w{{}}_-]", around):
            yield one[0]


def misspelt(found: set[str]) -> set[str]:
    """Words that neither the dictionary of Russian nor the book's own list knows in any form."""
    command = ["hunspell", "-d", "ru_RU", "-i", "utf-8", "-p", str(OWN_WORDS), "-l"]
    given = "\n".join(sorted(found))
    return set(
        subprocess.run(
            command, input=given, capture_output=True, text=True, check=True
        ).stdout.split()
    )


@pytest.fixture(scope="module")
def places(paragraphs: list[Paragraph]) -> dict[str, list[str]]:
    """Where each word stands."""
    found = defaultdict(list)
    for paragraph in paragraphs:
        for word in words(paragraph):
            found[word].append(f"{paragraph.page}:{paragraph.line}")
    return found


@pytest.mark.skipif(
    not shutil.which("hunspell") or not Path("/usr/share/hunspell/ru_RU.dic").exists(),
    reason="нет словаря: apt-get install hunspell hunspell-ru",
)
def test_words_are_spelt_right(places: dict[str, list[str]]) -> None:
    assert misspelt({"градиент", "градеент", "пулингом"}) == {"градеент"}
    unknown = misspelt({word for word in places if len(word) > 1})
    assert {word: places.get(word, [])[:1] for word in sorted(unknown)} == {}


def test_a_word_with_yo_is_never_written_without(places: dict[str, list[str]]) -> None:
    """The book itself says which words have it; some are well known."""
    with_yo = {word.lower() for word in places if "ё" in word.lower()} | YO
    without = {word.replace("ё", "е") for word in with_yo} - BOTH
    assert {word: found[0] for word, found in places.items() if word.lower() in without} == {}


def test_no_word_stands_twice(paragraphs: list[Paragraph]) -> None:
    twice = re.compile(r"\b([А-Яа-яЁё]+) +\1\b", re.I)
    found = {
        f"{one.page}:{one.line}": match[0]
        for one in paragraphs
        for match in twice.finditer(one.text)
        if match[1].lower() not in TWICE
    }
    assert found == {}


def test_no_word_mixes_two_alphabets(paragraphs: list[Paragraph]) -> None:
    mixed = re.compile(r"\w*(?:[А-Яа-яЁё][A-Za-z]|[A-Za-z][А-Яа-яЁё])\w*")
    found = {f"{one.page}:{one.line}": mixed.findall(one.text) for one in paragraphs}
    assert {place: words for place, words in found.items() if words} == {}


def disagreement(text: str) -> Iterator[str]:
    """«5 веса», «21 слоёв», «3 точек»: a numeral with a wrong form of its noun."""
    forms = {form: kind for kind in NOUNS for form in kind}
    for one in NUMBER.finditer(text):
        kind = forms.get(one["noun"])
        if kind is None or one["before"].lower() in GENITIVE:
            continue
        number = int(one["number"].replace(" ", ""))
        last, teens = number % 10, 10 < number % 100 < 20
        right = kind[0 if last == 1 and not teens else 1 if 2 <= last <= 4 and not teens else 2]
        others = kind[2] if right == kind[0] else kind[0] if right == kind[1] else kind[1]
        if one["noun"] != right and (one["noun"] == others or right != kind[2]):
            yield f"{one['number']} {one['noun']}"


def test_numerals_agree(paragraphs: list[Paragraph]) -> None:
    assert list(disagreement("Всего 5 504 весов, 21 слоёв, 11 канала и 2 карты из 32 карт")) == [
        "5 504 весов",
        "21 слоёв",
        "11 канала",
    ]
    found = {f"{one.page}:{one.line}": list(disagreement(one.text)) for one in paragraphs}
    assert {place: wrong for place, wrong in found.items() if wrong} == {}


def test_long_sentences_are_counted(
    paragraphs: list[Paragraph], request: pytest.FixtureRequest, capsys: pytest.CaptureFixture
) -> None:
    """Reported, not forbidden."""
    long = [
        (len(WORD.findall(sentence)), f"{one.page}:{one.line}: {sentence[:60]}…")
        for one in paragraphs
        for sentence in re.split(r"(?<=[.!?…])\s+(?=[А-ЯЁA-Z«·])|\n(?=[-\n|\d])", one.text)
        if len(WORD.findall(sentence)) > LONG
    ]
    report = request.config.get_terminal_writer()
    with capsys.disabled():
        report.line(f"\nпредложений длиннее {LONG} слов: {len(long)}; самые длинные:")
        for count, shown in sorted(long, reverse=True)[:5]:
            report.line(f"  {count}: {shown}")
    assert len(long) < 100
