"""The pages of the PDF: nothing overprints, nothing is torn apart, few are empty."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from pdf_pages import bookmarks, nearly_empty, overprinted, share_of_code, words
from tiny_books import write_book

from pixgrad.book.rendering import typst_engine
from pixgrad.book.source import project as books
from pixgrad.errors import SourceError

ROOT = Path(__file__).parent.parent.parent
LEFT, RIGHT = 82.0, 513.5
"""Edges of the text, points."""
LONG = ["нормализация", "регуляризация", "дифференцируемость", "наибольшая", "последовательность"]

pytestmark = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="нет poppler (pdftotext, pdftohtml)"
)


def build(root: Path, *blocks: str, config: str = "", files: dict | None = None) -> Path:
    text = "\n\n".join(["# Глава", *blocks]) + "\n"
    write_book(root, {"chapter.qmd": text}, files, config)
    pdf = root / "book.pdf"
    typst_engine.build_pdf(books.load(root), pdf)
    return pdf


def table(header: list[str], rows: int, cell: str) -> str:
    lines = [header, [":--"] * len(header), *[[cell] * len(header)] * rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n: Таблица {#tbl-x}"


def texts(pdf: Path) -> list[str]:
    return [" ".join(word.text for word in page) for page in words(pdf)]


def test_words_that_lie_on_each_other_are_found(tmp_path: Path) -> None:
    import typst

    typst.compile(
        b"#place(dx: 20pt)[first]#place(dx: 30pt)[second]#place(dy: 40pt, $sqrt(hat(x)_2 + y)$)",
        output=tmp_path / "a.pdf",
    )
    assert overprinted(words(tmp_path / "a.pdf")[0]) == [("first", "second")]


@pytest.mark.parametrize(
    ("columns", "cell"),
    [
        (4, "слово"),
        (5, "−0,363\u00a0±\u00a0**0,118**"),
        (8, "слово $2{,}4 \\cdot 10^{-11}$"),
        (9, "слово"),
        (14, "слово"),
    ],
)
def test_columns_of_a_wide_table_do_not_overprint(tmp_path: Path, columns: int, cell: str) -> None:
    header = (LONG * 3)[:columns]
    found = words(build(tmp_path, table(header, 12, cell)))
    assert [overprinted(page) for page in found if overprinted(page)] == []
    (page,) = [page for page in found if any(word.text == "Таблица" for word in page)]
    assert all(word.left > LEFT and word.right < RIGHT for word in page)
    whole = " ".join(word.text for word in page)
    upright = columns < 9  # poppler cuts words that stand on their side
    assert not upright or whole.count("нормализация") == header.count("нормализация")


def test_narrow_table_keeps_its_cells_in_one_line(tmp_path: Path) -> None:
    found = words(build(tmp_path, table(["имя", "значение"], 3, "два слова")))[-1]
    lines = {round(word.bottom) for word in found if word.text in ("два", "слова")}
    assert len(lines) == 3


@pytest.mark.parametrize("widths", ["", ' tbl-colwidths="[70,30]"'])
@pytest.mark.parametrize("before", [0, 16, 25, 26, 27, 28])
def test_table_is_never_split_after_one_row(tmp_path: Path, before: int, widths: str) -> None:
    prose = [f"Строка {number}." for number in range(before)]
    long = table(["первый", "второй"], 45, "ряд").replace("#tbl-x}", f"#tbl-x{widths}}}")
    pdf = build(tmp_path, *prose, long)
    rows = [text.count("ряд") // 2 for text in texts(pdf)]
    assert sum(rows) == 45
    assert all(count >= 2 for count in rows if count)


@pytest.mark.parametrize("terms", [4, 9, 13, 14, 15, 16, 22])
def test_number_of_a_formula_has_its_own_place(tmp_path: Path, terms: int) -> None:
    formula = " + ".join(["0{,}04 xyz"] * terms)
    page = words(build(tmp_path, f"$$\n{formula}\n$$ {{#eq-x}}"))[-1]
    assert overprinted(page) == []
    (number,) = [word for word in page if word.text == "(1.1)"]
    assert abs(number.right - RIGHT) < 2
    assert all(word.right < RIGHT + 1 for word in page)
    assert sum(word.text.count("0,04") for word in page) == terms  # one number, not «0, 04»


def test_text_goes_on_past_a_heading_while_figures_wait(tmp_path: Path) -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="500"/>'
    lines = [f"Строка {number}." for number in range(14)]
    picture = "![Подпись](a.svg){#fig-%s}"
    pdf = build(
        tmp_path, *lines, picture % "free", "Потом.", "## Раздел", picture % "own", "Конец.",
        files={"a.svg": svg},
    )  # fmt: skip
    chapter = [text.replace("\u00a0", " ") for text in texts(pdf)[3:]]
    assert "Потом. 1.1 Раздел Конец." in chapter[0]
    assert [re.findall(r"Рисунок 1\.\d", text) for text in chapter] == [
        [], ["Рисунок 1.1"], ["Рисунок 1.2"],
    ]  # fmt: skip


def test_short_figure_stays_below_the_heading_that_leads_up_to_it(tmp_path: Path) -> None:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="100"/>'
    picture = "![Подпись](a.svg){#fig-own}"
    pdf = build(tmp_path, "## Раздел", picture, "Конец.", files={"a.svg": svg})
    top = {word.text: word.top for word in words(pdf)[-1]}
    assert top["Раздел"] < top["Подпись"] < top["Конец."]


@pytest.mark.parametrize(("lines", "whole"), [(40, True), (80, False)])
def test_listing_floats_like_a_figure_unless_it_is_long(
    tmp_path: Path, lines: int, whole: bool
) -> None:
    prose = [f"Строка {number}." for number in range(20)]
    code = "\n".join(f"step_{n} = {n}" for n in range(lines))
    listing = f'```{{#lst-x .python lst-cap="Подпись"}}\n{code}\n```'
    pages = texts(build(tmp_path, *prose, listing, "Потом."))[3:]
    counts = [page.count("step_") for page in pages if "step_" in page]
    assert (sum(counts), len(counts) == 1) == (lines, whole)
    assert ("Потом." in pages[0]) is whole


@pytest.mark.parametrize(("length", "rows"), [(90, 1), (100, 1), (102, 1), (104, 2)])
def test_code_somewhat_too_wide_is_made_smaller(tmp_path: Path, length: int, rows: int) -> None:
    line = ("word " * 30)[: length - 3] + "end"
    found = words(build(tmp_path, f"```python\n{line}\n```"))[-1]
    code = [word for word in found if word.text in ("word", "end") or word.text[-3:] == "end"]
    assert len({round(word.bottom) for word in code}) == rows
    assert max(word.right for word in code) < RIGHT


@pytest.mark.parametrize(("lines", "whole"), [(12, True), (80, False)])
@pytest.mark.parametrize("kind", ["code", "output"])
def test_short_code_is_whole_on_its_page(
    tmp_path: Path, kind: str, lines: int, whole: bool
) -> None:
    prose = [f"Строка {number}." for number in range(24)]
    code = "```python\n" + "\n".join(f"step_{n} = {n}" for n in range(lines)) + "\n```"
    if kind == "output":
        code = f"::: {{.cell}}\n::: {{.cell-output .cell-output-display}}\n{code}\n:::\n:::"
    counts = [text.count("step_") for text in texts(build(tmp_path, *prose, code))]
    assert sum(counts) == lines
    assert (len([count for count in counts if count]) == 1) is whole


def test_no_line_begins_with_a_dash(tmp_path: Path) -> None:
    prose = " ".join(f"{'а' * number} — слово" for number in range(1, 20))
    found = words(build(tmp_path, *[f"{'б' * number} {prose}" for number in range(1, 9)]))
    dashes = [word for page in found for word in page if word.text == "—"]
    assert len(dashes) == 8 * 19
    assert all(word.left > LEFT + 5 for word in dashes)


def test_bookmarks_are_a_tree_and_the_contents_have_two_levels(tmp_path: Path) -> None:
    chapters = {
        "one.qmd": "# Первая\n\n## Раздел\n\n### Глубже\n",
        "two.qmd": "# Вторая\n",
        "end.qmd": "# Конец\n",
    }
    write_book(tmp_path, chapters, config="format:\n  typst:\n    toc-depth: 2\n")
    config = tmp_path / "_quarto.yml"
    parts = "    - part: Часть\n      chapters: [one.qmd, two.qmd]\n"
    config.write_text(
        config.read_text("utf-8").replace("    - one.qmd\n    - two.qmd\n", parts), "utf-8"
    )
    pdf = tmp_path / "book.pdf"
    typst_engine.build_pdf(books.load(tmp_path), pdf)
    assert bookmarks(pdf).split("\n") == [
        "Предисловие",
        "Часть",
        "  1 Первая",
        "    1.1 Раздел",
        "      1.1.1 Глубже",
        "  2 Вторая",
        "3 Конец",
    ]
    contents = texts(pdf)[1]
    assert "Раздел" in contents
    assert "Глубже" not in contents


def test_date_keywords_and_alternatives(tmp_path: Path) -> None:
    config = "keywords: [первое, второе]\n"
    write_book(
        tmp_path, {"chapter.qmd": "# Глава\n\nСумма $a + \\bigl(b\\bigr)$.\n"}, config=config
    )
    path = tmp_path / "_quarto.yml"
    dated = path.read_text("utf-8").replace("book:\n", 'book:\n  date: "2026-11-27"\n')
    path.write_text(dated, "utf-8")
    pdf = tmp_path / "book.pdf"
    typst_engine.build_pdf(books.load(tmp_path), pdf)
    content = pdf.read_bytes()
    assert b"<pdf:Keywords>\xd0\xbf" in content
    assert b"2026-11-27" in content
    assert b"<pdfuaid:part>1<" in content  # a formula without its alternative would not pass
    path.write_text(dated.replace("2026-11-27", "вчера"), "utf-8")
    typst_engine.build_pdf(books.load(tmp_path), pdf)  # what is no date stands as it is
    assert any(word.text == "вчера" for word in words(pdf)[0])


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed book."""
    pdf = tmp_path_factory.mktemp("book") / "book.pdf"
    try:
        typst_engine.build_pdf(books.load(ROOT), pdf)
    except SourceError as error:
        if re.search("pixgrad freeze", error.message):
            pytest.skip(str(error))
        raise
    return pdf


def test_nothing_in_the_book_overprints(book: Path) -> None:
    found = {number: overprinted(page) for number, page in enumerate(words(book), 1)}
    assert {number: pairs for number, pairs in found.items() if pairs} == {}


def test_nothing_in_the_book_leaves_the_text(book: Path) -> None:
    beyond = [
        (number, word.text)
        for number, page in enumerate(words(book), 1)
        for word in page
        if word.right > RIGHT + 8 or word.left < LEFT - 8
    ]
    assert beyond == []


def test_no_page_of_the_book_is_nearly_empty(book: Path) -> None:
    assert nearly_empty(words(book)) == []


def test_print_is_not_a_listing(book: Path) -> None:
    assert share_of_code(book) < 0.12
