"""Small books after public reports of what other tools lose: verdicts of ``check`` and the engine.

Other kinds have tests of their own: output folders (test_outputs), staleness (test_staleness),
streams and terminals (test_to_markdown), constructs of the text (test_constructs).
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pdf_pages import overprinted, words
from tiny_books import write_files

from pixgrad.book import render
from pixgrad.book.checking import check
from pixgrad.book.checking.pages import Book
from pixgrad.book.rendering import html_engine, notebooks, scripts, typst_engine
from pixgrad.book.source import project as books
from pixgrad.errors import PixgradError

CONFIG = """\
project:
  type: book
  execute-dir: project
lang: ru
pixgrad: {}
book:
  title: "Пробная книга"
  author: "И. Пробный"
  chapters:
    - index.qmd
    - a.qmd
"""
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"></svg>'


@dataclass(frozen=True)
class Case:
    chapter: str
    """``a.qmd``."""
    more: str = ""
    """Added to ``_quarto.yml``."""
    files: dict[str, str] = field(default_factory=dict)
    findings: tuple[str, ...] = ()
    """What ``check`` says, from the place on: beginnings."""
    notes: tuple[str, ...] = ()
    html: tuple[str, ...] = ()
    """Texts of the page ``a.html``."""
    pdf: tuple[str, ...] = ()


def wide(columns: int) -> str:
    head = "| " + " | ".join(f"столбец {n}" for n in range(columns)) + " |\n"
    return head + "|---" * columns + "|\n" + "| 100000000 " * columns + "|\n\n: Много {#tbl-w}\n"


CASES = {
    "01 glued": Case(
        "# Склейки\n\nКласс [torch](https://e.org).Dataset, файл *config*.yml, слово[^1].часть\n\n"
        "[^1]: Сноска.\n",
        html=("</a>.Dataset", "</em>.yml"),
        pdf=("torch.Dataset", "config.yml", ".часть"),
    ),
    "09 wide table": Case("# Таблица\n\n" + wide(18), pdf=("столбец 17",)),
    "15 example list": Case(
        "# Примеры\n\n$$ e = mc $$ {#eq-mass}\n\n(@good) Первый.\n\n"
        "В (@good) и [@x] по @eq-mass.\n",
        more="bibliography: refs.bib\n",
        files={"refs.bib": "@misc{x, title={Имя}, author={Иванов, И.}, year={2020}}\n"},
        html=("(1)", "Иванов"),
        pdf=("Первый", "Иванов"),
    ),
    "16 options of Typst": Case(
        "# Глава\n\nТекст.\n",
        more="format:\n  typst:\n    papersize: a5\n    include-in-header: hdr.typ\n",
        findings=("_quarto.yml:15: параметр «format: typst: include-in-header»",),
        notes=("_quarto.yml:14: параметр «format: typst: papersize»",),
    ),
    "19 metadata of a folder": Case(
        "# Режим\n\n## Раздел\n\n{{< env MODE >}}\n",
        files={
            "_metadata.yml": "number-sections: false\n",
            "_environment": "MODE=общий\n",
            "_environment.local": "MODE=местный\n",
        },
        html=("местный", ">Раздел</h2>"),
        pdf=("местный",),
    ),
    "22 names": Case(
        "# Имена\n\n![Раз](<рисунки книги/край (1).svg>){#fig-a fig-alt='а'}\n\n"
        "![Два](100%25.svg){#fig-b fig-alt='б'}\n\n[сюда](<b, два.qmd>)\n",
        files={
            "рисунки книги/край (1).svg": PICTURE,
            "100%.svg": PICTURE,
            "b, два.qmd": "# Вторая\n\nТекст.\n",
            "_quarto.yml": CONFIG + "    - 'b, два.qmd'\n",
        },
        html=("<img", "сюда"),
        pdf=("Рисунок 1.1", "Рисунок 1.2"),
    ),
    "24 sources in CSL JSON": Case(
        "# Источники\n\nСм. [@lowe04].\n",
        more="bibliography: [refs.json]\n",
        files={
            "refs.json": '[{"id": "lowe04", "type": "book", "title": "Имя",'
            ' "author": [{"family": "Лоу"}], "issued": {"date-parts": [[2004]]}}]'
        },
        html=("Лоу",),
        pdf=("Лоу",),
    ),
    "06 macros": Case(
        "# Обозначения\n\n\\newcommand{\\R}{\\mathbb{R}}\n"
        "\\newcommand{\\norm}[1]{\\lVert #1 \\rVert}\n\n"
        "Пусть $x \\in \\R$ и $\\norm{x} < 1$.\n",
        html=("ℝ",),
        pdf=("ℝ",),
    ),
    "25 line ends of Windows": Case("# Глава\r\n\r\nТекст.\r\n", html=("<p>Текст.</p>",)),
    "27 formulas": Case(
        "# Формулы\n\n$A \\& B$, $\\color{red}{x}+y$, $\\cfrac{1}{2}$\n\n"
        "$$ E = m \\tag{закон} $$\n",
        notes=("a.qmd:3: цвет в формуле",),
        html=("(закон)", "<mi>A</mi>"),
        pdf=("(закон)", "&"),
    ),
    "29 template": Case(
        "# Глава\n\nТекст.\n",
        more="format:\n  html:\n    theme: [cosmo, brand]\n  pdf:\n    documentclass: scrreprt\n",
        notes=("_quarto.yml:15: формат «pdf»",),
        html=("Текст",),
        pdf=("Текст",),
    ),
    "29 execution": Case(
        "# Глава\n\nТекст.\n",
        more="execute:\n  enabled: false\n  cache: true\n  неведомое: да\n",
        notes=("_quarto.yml:15: параметра «execute: неведомое»",),
    ),
    "second unclosed block": Case(
        "# Глава\n\n::: {.callout-note}\nтекст\n", findings=("a.qmd:3: блок «:::» не закрыт",)
    ),
}


def write(folder: Path, case: Case) -> Path:
    index = "# Предисловие {.unnumbered}\n\nНачало книги.\n"
    config = CONFIG + case.more
    files = {"_quarto.yml": config, "index.qmd": index, "a.qmd": case.chapter, **case.files}
    return write_files(folder, files)


def render_both(root: Path) -> tuple[str, str]:
    """(HTML of the chapter, text of the PDF)."""
    project = books.load(root)
    (root / "site").mkdir()
    html_engine.build_html(project, root / "site")
    typst_engine.build_pdf(project, root / "book.pdf")
    done = subprocess.run(["pdftotext", "-layout", root / "book.pdf", "-"], capture_output=True)
    return (root / "site/a.html").read_text("utf-8"), done.stdout.decode()


@pytest.mark.parametrize("name", CASES)
def test_check_says_what_is_lost_and_nothing_else(tmp_path, name):
    case = CASES[name]
    found = check.findings(Book(books.load(write(tmp_path, case))))
    for is_note, wanted in ((False, case.findings), (True, case.notes)):
        told = [str(one) for one in found if one.is_note == is_note]
        told = [line for line in told if "в Quarto книга исполнится дважды" not in line]
        assert len(told) == len(wanted), told
        assert all(line.startswith(start) for line, start in zip(told, wanted, strict=True)), told


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_engine_agrees_with_check(tmp_path, name):
    case = CASES[name]
    root = write(tmp_path, case)
    if case.findings:
        with pytest.raises(PixgradError) as caught:
            render_both(root)
        assert str(caught.value).startswith(case.findings[0])
        return
    page, printed = render_both(root)
    assert [text for text in case.html if text not in page] == []
    assert [text for text in case.pdf if text not in " ".join(printed.split())] == []
    assert not any(map(overprinted, words(root / "book.pdf")))
    notebooks.write_notebooks(root)


def test_scripts_of_the_user_run_before_and_after(tmp_path):
    """Quarto's own order: pre-render, chapters, post-render on the new output."""
    script = "import os; open('_variables.yml', 'w').write('made: ' + os.environ['WORD'] + '\\n')\n"
    after = (
        "import os, pathlib as p\np.Path(os.environ['QUARTO_PROJECT_OUTPUT_DIR'], 'x').touch()\n"
    )
    config = "  pre-render: make.py\n  post-render: [after.py]\n"
    case = Case(
        "# Глава\n\nТекст {{< var made >}}.\n",
        files={
            "_quarto.yml": CONFIG.replace("  type: book\n", "  type: book\n" + config),
            "make.py": script,
            "after.py": after,
            "_environment": "WORD=сделано\n",
        },
    )
    root = write(tmp_path, case)
    render.render_book(root, engine="pandoc", formats=("html",))
    assert "Текст сделано." in (root / "_book/a.html").read_text("utf-8")
    assert (root / "_book/x").is_file()
    (root / "make.py").write_text("raise SystemExit(3)\n")
    with pytest.raises(PixgradError, match=r"^_quarto.yml:3: pre-render: .*кодом 3"):
        render.render_book(root, engine="pandoc", formats=("html",))


def test_our_own_step_is_not_run_by_our_own_engine(tmp_path):
    step = "  type: book\n  pre-render: python -m pixgrad.book.prerender\n"
    case = Case("# А\n", files={"_quarto.yml": CONFIG.replace("  type: book\n", step)})
    assert not scripts.before(books.load(write(tmp_path, case)))


def test_notebooks_of_chapters_with_one_stem_are_two(tmp_path):
    listed = CONFIG.replace("    - a.qmd\n", "    - sift/obzor.qmd\n    - cnn/obzor.qmd\n")
    texts = {"sift/obzor.qmd": "# Раз\n\nОдин.\n", "cnn/obzor.qmd": "# Два\n\nДва.\n"}
    root = write_files(tmp_path, {"_quarto.yml": listed, "index.qmd": "# П\n", **texts})
    made = notebooks.write_notebooks(root)
    assert len(set(made)) == 3
    told = {re.search(r'"source": "(.*?\.qmd)"', path.read_text("utf-8"))[1] for path in made}
    assert told == {"index.qmd", *texts}
