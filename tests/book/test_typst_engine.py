"""The PDF against real Quarto's, against pandoc's own symbols and against what a page must hold."""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_books import write, write_book

from pixgrad.book.rendering import pandoc, typst_engine
from pixgrad.book.source import project as books
from pixgrad.errors import SourceError

REFERENCE = Path(__file__).parent.parent / "quarto-reference"
MARGIN_MM = 29

needs_poppler = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="нет poppler (pdftotext, pdftoppm)"
)


def build(root: Path) -> Path:
    pdf = root / "book.pdf"
    typst_engine.build_pdf(books.load(root), pdf)
    return pdf


def one_chapter(folder: Path, *blocks: str, files: dict[str, str] | None = None) -> Path:
    text = "\n\n".join(["# Глава", *blocks]) + "\n"
    return write_book(folder, {"chapter.qmd": text}, files)


def pages(pdf: Path) -> list[str]:
    """Text of each page."""
    text = subprocess.run(
        ["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True
    ).stdout
    return text.split("\f")[:-1]


def picture(pdf: Path, page: int, dpi: int = 72) -> np.ndarray:
    """A page as RGB, (H, W, 3)."""
    prefix = pdf.with_suffix("")
    command = ["pdftoppm", "-r", str(dpi), "-f", str(page), "-l", str(page), "-singlefile", "-png"]
    subprocess.run([*command, pdf, prefix], check=True)
    return np.asarray(Image.open(prefix.with_suffix(".png")).convert("RGB"))


# Against Quarto's own PDF --------------------------------------------------------------------

# (Quarto's words, ours, why ours differ). Everything else in the two books is the same.
DIFFERENCES = [
    ("1.;", "1;", "a dot after the number of a chapter"),
    ("2.. I", "2.", "a dot after the number of a chapter; parts have no number on the site"),
    ("1.", "1 Дескрипторы SIFT 2 Сети и градиенты Глава 1", "a part lists its chapters"),
    ("[1, с. 95]", "(Lowe 2004 г., 95)", "citations as on the site"),
    ("D. G.", "", "citations as on the site"),
    ("[1].", "(2004 г.).", "citations as on the site"),
    ("𝑦2", "𝑦 2", "how poppler reads the exponent"),
    ("2.", "Глава 2", "the chapter's word and number stand above its title"),
    ("!", "", "callouts without icons"),
    ("2.1a", "2.1 (a)", "sub-figures are named as on the site"),
    ("2.2", "□", "a tab is no section; a proof has an end"),
    ("2.3", "", "a tab is no section"),
    ("3.", "Глава 3", "the chapter's word and number stand above its title"),
    ("A..", "A.", "a dot after the number of an appendix"),
    ("• ☒", "✓", "no bullet beside the box of a task"),
    ("• ☐", "", "no bullet beside the box of a task (drawn, not written)"),
    ("A.", "A Приложение о воспроизводимости Приложение A", "a part lists its chapters"),
]
LIST_OF_SOURCES = (
    "Lowe, David G. 2004 г. «Distinctive Image Features from Scale-Invariant Keypoints». "
    "International Journal of Computer Vision 60 (2): 91–110."
)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Quarto's sample rendered by this engine."""
    root = tmp_path_factory.mktemp("reference") / "book"
    shutil.copytree(REFERENCE, root, ignore=shutil.ignore_patterns(".cache"))
    return build(root)


def words(text: str) -> list[str]:
    """Words of the pages after the contents, without page numbers, running heads and icons."""
    text = unicodedata.normalize("NFC", text[text.index("Начните с") :])
    lines = (" ".join(re.sub(r"[\ue000-\uf8ff]", "", line).split()) for line in text.split("\n"))
    running_head = re.compile(r"\d+|\d+ \f?(глава|Глава) .*|\d+ A\. .*|.*(\. ){3,}.*")
    return " ".join(line for line in lines if not running_head.fullmatch(line.strip("\f"))).split()


@needs_poppler
def test_reads_as_quartos_pdf(reference: Path) -> None:
    theirs = words((REFERENCE / "expected-pdf.txt").read_text("utf-8"))
    ours = words("\f".join(pages(reference)))
    # Quarto: an empty «Литература», then «Библиография» after the appendices.
    start = theirs.index("Библиография")
    assert "Библиография" not in ours
    assert LIST_OF_SOURCES in " ".join(ours)
    theirs = theirs[:start]
    ours = " ".join(ours).replace(LIST_OF_SOURCES, "").split()
    matcher = difflib.SequenceMatcher(None, theirs, ours, autojunk=False)
    found = [
        (" ".join(theirs[a:b]), " ".join(ours[c:d]))
        for kind, a, b, c, d in matcher.get_opcodes()
        if kind != "equal"
    ]
    assert found == [(quarto, mine) for quarto, mine, _ in DIFFERENCES]


@needs_poppler
def test_contents_lead_to_every_chapter(reference: Path) -> None:
    listed = [line.split() for line in pages(reference)[1].split("\n") if line.strip()]
    titles = [" ".join(word for word in line if word != ".") for line in listed]
    assert titles[:-1] == [
        "Содержание",
        "Предисловие 3",
        "Часть первая",
        "1 Дескрипторы SIFT 5",
        "1.1 Разность гауссианов 5",
        "1.1.1 Подподраздел без метки 6",
        "2 Сети и градиенты 7",
        "2.1 Пара рисунков 7",
        "3 Выводы 9",
        "Литература 10",
        "Приложения",
        "A Приложение о воспроизводимости 12",
    ]
    for title in titles[1:-1]:
        name, _, page = re.sub(r"^[\dA]\S* ", "", title).rpartition(" ")
        if page.isdigit():
            assert name in " ".join(pages(reference)[int(page) - 1].split())


@needs_poppler
def test_same_book_same_bytes(reference: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.pdf"
    root = tmp_path / "elsewhere"
    shutil.copytree(REFERENCE, root, ignore=shutil.ignore_patterns(".cache"))
    typst_engine.build_pdf(books.load(root), again)
    assert again.read_bytes() == reference.read_bytes()


@needs_poppler
def test_opens_with_the_outline_and_its_table_of_objects_is_whole(reference: Path) -> None:
    pdf = reference.read_bytes()
    (root,) = re.findall(rb"/Root (\d+) 0 R", pdf)
    (table,) = re.findall(rb"startxref\n(\d+)\n%%EOF$", pdf)
    places = re.findall(rb"(\d{10}) 00000 n", pdf[int(table) :])
    assert pdf[int(table) :].startswith(b"xref\n")
    for number, place in enumerate(places, start=1):
        assert pdf[int(place) :].startswith(b"%d 0 obj" % number)
    assert b"/PageMode/UseOutlines" in pdf[int(places[int(root) - 1]) : int(table)]


def test_title_author_language_and_fonts(reference: Path) -> None:
    about = subprocess.run(["pdfinfo", reference], capture_output=True, text=True).stdout
    assert re.search(r"^Title:\s+Эталонная книга$", about, re.M)
    assert re.search(r"^Author:\s+Авторы проекта$", about, re.M)
    assert re.search(r"^Tagged:\s+yes$", about, re.M)
    assert re.search(r"^Page size:.*A4", about, re.M)
    assert b"/Lang(ru)" in reference.read_bytes()
    fonts = subprocess.run(["pdffonts", reference], capture_output=True, text=True).stdout
    families = {line.split()[0].partition("+")[2].split("-")[0] for line in fonts.split("\n")[2:-1]}
    assert families <= {"LibertinusSerif", "DejaVuSansMono", "NewCMMath"}


# Formulas ------------------------------------------------------------------------------------


def typst_of(markdown: str) -> str:
    """What the filter makes of one-line paragraphs; the first two lines are the chapter's head."""
    settings = {"path": "a.qmd", "title": "", "chapter": "", "titles": {}, "sources": "a.qmd"}
    settings |= {"strict": True}
    answer = subprocess.run(
        [
            pandoc.executable(),
            *("--from=markdown", "--to=typst", "--wrap=none"),
            f"--lua-filter={pandoc.FILTERS / 'typst.lua'}",
        ],
        input=markdown,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, pandoc.SETTINGS: json.dumps(settings)},
    )
    return answer.stdout


def formulas(*tex: str) -> list[str]:
    text = typst_of("\n\n".join(f"$${one}$$" for one in tex))
    found = re.findall(r'#tex\("(?:[^"\\]|\\.)*", \$(.*?)\$\)\s*(?=#tex|$)', text, re.S)
    return [part.strip() for part in found]


def test_every_symbol_of_pandoc_is_one_of_typst() -> None:
    """Pandoc knows an older Typst: names dropped since are renamed."""
    import typst

    blocks = [(0x2190, 0x2400), (0x27C0, 0x2800), (0x2900, 0x2B00), (0x391, 0x3D0), (0xA1, 0xC0)]
    symbols = [chr(code) for start, stop in blocks for code in range(start, stop)]
    symbols = [one for one in symbols if unicodedata.category(one)[0] in "SL" and one not in "√∛∜"]
    source = typst_of("\n\n".join(f"${one}$" for one in [*symbols, "ħ", "ϗ", "‖"]))
    assert source.count("#tex(") == len(symbols) + 3
    source = source[source.index("#tex(") :]  # without the head of the chapter
    source = "#let tex(source, body) = body\n" + source
    compiler = typst.Compiler(ignore_system_fonts=True)
    assert compiler.compile(source.encode(), format="pdf").startswith(b"%PDF")


@pytest.mark.parametrize(
    ("tex", "typst"),
    [
        (r"0{,}5", '0","5'),
        (r"a\;b", "a thick b"),
        (r"a\!b", "a #h(-0.17em) b"),
        (r"\|x\|_2", "‖x‖_2"),
        (r"|x|", r"\|x\|"),
        (r"\operatorname{softmax} z", 'op("softmax") z'),
        (r"\operatorname*{argmax}_i z", 'op("argmax", limits: #true)_i z'),
        (r"\text{где } x", 'upright("где ") x'),
        (r"\overset{!}{=}", "limits( = )^(!)"),
        (r"\underset{x}{\min} f", "limits( min )_x f"),
        (r"\left.\frac{a}{b}\right|_{x=0}", "lr( a / b|)_(x = 0)"),
        (r"\bigl[ x \bigr]", r"lr(\[, size: #1.2em) x lr(\], size: #1.2em)"),
        (r"\bigl( x \bigr)", r"lr(\(, size: #1.2em) x lr(\), size: #1.2em)"),
        (r"\begin{vmatrix} a & b \\ c & d \end{vmatrix}", 'mat(delim: "|", a, b; c, d)'),
        (r"y = \begin{matrix} a \\ b \end{matrix}", "y = vec(delim: #none, a, b)"),
        (r"\left(\begin{array}{c} a \\ b \end{array}\right)", "vec(a, b)"),
        (
            r"L = \begin{aligned} a &= b \\ c &= d \end{aligned}",
            "L = mat(delim: #none, a, = b; c, = d)",
        ),
        (
            r"\begin{cases} x, & x > 0 \\ 0, & \text{иначе} \end{cases}",
            r'cases(delim: "{", x \, & quad x > 0, 0 \, & quad upright("иначе"))',
        ),
    ],
)
def test_formula_is_written_as_meant(tex: str, typst: str) -> None:
    assert formulas(tex) == [typst]


def test_formula_that_cannot_be_printed_is_named(tmp_path: Path) -> None:
    tex = r"\frac{1}{2} \wrongcommand{x}"
    root = one_chapter(tmp_path, "Текст.", f"$$\n{tex}\n$$")
    with pytest.raises(SourceError, match="не разбирается") as caught:
        build(root)
    assert (caught.value.file, caught.value.line) == ("chapter.qmd", 6)
    assert tex in str(caught.value)


def test_formula_that_typst_refuses_is_named(tmp_path: Path) -> None:
    """√ without what is under it: pandoc lets it pass."""
    root = one_chapter(tmp_path, "Текст $a$ и $b$.", "Вот $x + √$ и $c$.")
    with pytest.raises(SourceError, match=r"формулу «x \+ √» нельзя напечатать") as caught:
        build(root)
    assert (caught.value.file, caught.value.line) == ("chapter.qmd", 5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Знаки 漢字, ☃ и 漢.", "chapter.qmd:5: в шрифтах PDF нет знаков: 漢, 字; замените их"),
        ("Формула $x + ꙮ$.", "chapter.qmd:5: в шрифтах PDF нет знаков: ꙮ; замените их"),
        ("```\n→ █ ✓ 漢\n```", "chapter.qmd:6: в шрифтах PDF нет знаков: 漢; замените их"),
    ],
)
def test_character_without_a_glyph_is_named(tmp_path: Path, text: str, told: str) -> None:
    root = one_chapter(tmp_path, "Текст.", text)
    with pytest.raises(SourceError) as caught:
        build(root)
    assert str(caught.value) == told


def test_character_of_the_title_without_a_glyph_is_named(tmp_path: Path) -> None:
    root = one_chapter(tmp_path, "Текст.")
    config = root / "_quarto.yml"
    write(config, config.read_text("utf-8").replace('title: "Проба"', 'title: "漢"'))
    with pytest.raises(SourceError, match=r"^_quarto\.yml: в шрифтах PDF нет знаков: 漢;"):
        build(root)


# Pictures, tables, code ----------------------------------------------------------------------

FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}"><rect x="4" y="4" '
    'width="{rw}" height="{rh}" fill="none" stroke="red" stroke-width="8"/></svg>'
)


def frame(width: int, height: int) -> str:
    """An SVG whose very edge is red: what is cut off shows."""
    return FRAME.format(w=width, h=height, rw=width - 8, rh=height - 8)


@needs_poppler
@pytest.mark.parametrize(
    ("size", "attributes", "width_mm"),
    [
        ((2000, 500), "", 152),  # wider than the text: as wide as the text
        ((200, 100), "", 200 * 0.75 / 72 * 25.4),  # small: at its own size
        ((400, 2400), "", None),  # taller than the page: as tall as fits
        ((400, 200), "width=50%", 76),
    ],
)
def test_picture_is_whole_and_no_wider_than_the_text(
    tmp_path: Path, size: tuple[int, int], attributes: str, width_mm: float | None
) -> None:
    figure = f"![Рамка](frame.svg){{#fig-frame {attributes}}}"
    pdf = build(one_chapter(tmp_path, figure, files={"frame.svg": frame(*size)}))
    (page,) = [number for number, text in enumerate(pages(pdf), 1) if "Рисунок" in text]
    dpi = 96
    red = np.all(picture(pdf, page, dpi) == (255, 0, 0), axis=2)
    rows, columns = np.nonzero(red.any(axis=1))[0], np.nonzero(red.any(axis=0))[0]
    width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
    assert width / height == pytest.approx(size[0] / size[1], rel=0.03)
    for side in (red[rows[0]], red[rows[-1]], red[:, columns[0]], red[:, columns[-1]]):
        assert side.sum() > 0.9 * min(width, height)
    in_mm = 25.4 / dpi
    assert columns[0] * in_mm >= MARGIN_MM - 0.5
    assert columns[-1] * in_mm <= 210 - MARGIN_MM + 0.5
    if width_mm is not None:
        assert width * in_mm == pytest.approx(width_mm, abs=0.6)
    assert rows[-1] * in_mm < 297 - 27
    images = subprocess.run(["pdfimages", "-list", pdf], capture_output=True, text=True).stdout
    assert len(images.splitlines()) == 2  # the head alone: the picture is drawn, not painted


def test_missing_picture_is_named(tmp_path: Path) -> None:
    root = one_chapter(tmp_path, "![Нет](absent.svg){#fig-absent}")
    with pytest.raises(SourceError, match=r"absent\.svg") as caught:
        build(root)
    assert (caught.value.file, caught.value.line) == ("chapter.qmd", 3)


@needs_poppler
def test_long_table_breaks_across_pages_and_repeats_its_head(tmp_path: Path) -> None:
    rows = "\n".join(f"| строка{number} | {number} |" for number in range(120))
    table = f"| Первый | Второй |\n|:--|--:|\n{rows}\n\n: Длинная {{#tbl-long}}"
    found = pages(build(one_chapter(tmp_path, table)))
    holding = [page for page in found if "строка" in page]
    assert len(holding) > 2
    assert all("Первый" in page for page in holding)
    assert re.findall(r"строка\d+", "".join(found)) == [f"строка{number}" for number in range(120)]
    caption = next(page for page in found if "Таблица 1.1" in page)
    assert "строка0 " in caption  # the caption is not left alone on its page


@needs_poppler
def test_row_that_the_cells_above_cover_is_no_fault(tmp_path: Path) -> None:
    """The first table's cell spans both rows; pandoc reads the second so: a word is too long."""
    spans = "+---+---+\n| span  |\n|       |\n+---+---+\n| left | right |\n+---+---+"
    long = "+---+---+\n| a | b |\n+===+===+\n| zq11w | c |\n+---+---+"
    text = " ".join(pages(build(one_chapter(tmp_path, "# Глава", spans, long))))
    assert "span" in text and "zq11w" in text


def test_tables_stay_in_order_and_their_rows_whole(tmp_path: Path) -> None:
    short = "| а | б |\n|:--|--:|\n| 1 | 2 |\n\n: Короткая {#tbl-short}"
    text = "слово " * 60
    rows = "\n".join(
        f"| начало{number}х {text} конец{number}х | {number} |" for number in range(40)
    )
    table = f"| Первый | Второй |\n|:-----|-:|\n{rows}\n\n: Длинная {{#tbl-long}}"
    filler = "Абзац текста. " * 200
    found = pages(build(one_chapter(tmp_path, filler, short, table)))
    page_of = {
        word: next(number for number, page in enumerate(found) if word in page)
        for word in ("Короткая", "Длинная")
    }
    assert page_of["Короткая"] <= page_of["Длинная"]
    for number in range(40):
        assert any(f"начало{number}х" in page and f"конец{number}х" in page for page in found)


def test_table_of_html_output_is_a_table(tmp_path: Path) -> None:
    import typst

    html = "<table><thead><tr><th>имя</th></tr></thead><tbody><tr><td>1,5</td></tr></tbody></table>"
    source = typst_of(f"```{{=html}}\n<!-- note -->\n```\n\n```{{=html}}\n<div>{html}</div>\n```")
    assert "table.header([имя],)" in source.replace("\n", "")
    assert "note" not in source
    source = source[source.index("#fitted") :].replace("#fitted", "#table")
    assert typst.compile(source.encode(), format="pdf")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        typst_of("```{=html}\n<video></video>\n```")
    assert "в PDF не поддерживается HTML «<video>" in caught.value.stderr


@needs_poppler
def test_code_is_shown_in_full_and_apart_from_output(tmp_path: Path) -> None:
    code = "x = 1  # комментарий\nprint('`' * 4, \"\\\\n\")"
    cell = (
        "::: {.cell}\n``` {.python .cell-code code-fold=true}\n"
        f"{code}\n```\n\n::: {{.cell-output .cell-output-stdout}}\n```\nвыведено\n```\n:::\n:::"
    )
    text = "".join(pages(build(one_chapter(tmp_path, cell))))
    for line in code.split("\n"):
        assert " ".join(line.split()) in " ".join(text.split())
    assert '#output(raw(block: true, "выведено"))' in typst_of(cell)
    assert typst_of(cell).count("#code(") == 1


@needs_poppler
def test_notes_beside_the_text_stay_in_it(tmp_path: Path) -> None:
    notes = "Слово[сноской]{.aside}.", "::: {.column-margin}\nНа поле.\n:::", "Дальше."
    shown = " ".join(pages(build(one_chapter(tmp_path, *notes)))[-1].split())
    assert re.search(r"Слово *1?\.? *1?\.? На поле\. Дальше\. 1? *сноской", shown), shown


def test_running_heads_and_page_numbers(tmp_path: Path) -> None:
    long = "\n\n".join(["Слово за словом. " * 60] * 12)
    found = pages(build(one_chapter(tmp_path, "## Раздел {#sec-one}", long)))
    (opening,) = [number for number, page in enumerate(found) if "Глава 1\n" in page]
    assert "Раздел" in found[opening]
    assert found[opening].strip().split("\n")[-1].strip() == str(opening + 1)
    for number, page in list(enumerate(found, 1))[opening + 1 :]:
        head = " ".join(page.split("\n")[0].split())
        even, odd = f"{number} Глава 1. Глава", f"1.1 Раздел {number}"
        assert head == (odd if number % 2 else even)


@needs_poppler
def test_links_inside_the_book_lead_somewhere(tmp_path: Path) -> None:
    chapters = {
        "one.qmd": "# Первая\n\n[Вторая](two.qmd), [раздел](two.qmd#далёкий), @sec-two, "
        "[сюда](#sec-own).\n\n## Свой {#sec-own}\n",
        "two.qmd": "# Вторая {#sec-two}\n\n## Далёкий\n",
    }
    pdf = build(write_book(tmp_path, chapters))
    (line,) = [line for line in "".join(pages(pdf)).split("\n") if "сюда" in line]
    assert " ".join(line.split()) == "Вторая, раздел, Глава 2, сюда."
    write(tmp_path / "two.qmd", "# Вторая {#sec-two}\n")
    with pytest.raises(SourceError, match=r"two\.qmd#далёкий") as caught:
        build(tmp_path)
    assert caught.value.file == "one.qmd"
