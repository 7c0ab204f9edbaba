"""Small books of our own with what public ones in German, Spanish and Chinese are written with.

After teaching material on pandas, a book on macroeconometrics, a course of linear algebra and one
of Python: nothing of them is copied but the names of keys and classes.
"""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import bs4
import nbformat
import pytest
from tiny_books import write_files

from pixgrad.book.checking import check
from pixgrad.book.checking.pages import Book
from pixgrad.book.executing import freeze
from pixgrad.book.rendering import front, html_engine, typst_engine
from pixgrad.book.source import project as books
from pixgrad.errors import PixgradError

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"></svg>'

GERMAN = {
    "_quarto.yml": """\
project: {type: book}
lang: de
book: {title: Baustein, author: [A, B], date: 2024-03-05, chapters: [index.qmd, skript/eins.qmd]}
language:
  de:
    crossref-lst-title: Quelltext
    crossref-nte-title: Beispiel
    crossref-nte-prefix: Beispiel
format:
  html: {default-image-extension: svg, include-in-header: {text: '<meta name="mine">'}}
  pdf: {default-image-extension: pdf}
cap-location: bottom
""",
    "index.qmd": "# Vorspann {.unnumbered}\n\nWorte.\n",
    "skript/kreis.svg": SVG,
    "skript/eins.qmd": """\
# Rechnen

Siehe @fig-kreis, @nte-art, @tip-drei und @lst-code.

![Ein Kreis](kreis){#fig-kreis}

::: {#nte-art .callout-note collapse = "true"}
## je nach Art

:::: {.panel-tabset}
## Liste
Worte zur Liste.

## Feld
Worte zum Feld.
::::
:::

::: {#tip-drei .callout-tip title = "a = b" collapse=true}
Ein Tipp.
:::

```{#lst-code .python lst-cap="Ein Stück"}
y = 2
```
""",
}
SPANISH = {
    "_quarto.yml": """\
project: {type: book}
lang: es
book:
  title: Macro
  author: [{name: Rita}]
  date: 2024-03-05
  date-format: "D [de] MMMM [de] YYYY"
  chapters: [index.qmd, uno.qmd, dos.qmd]
soluciones: true
crossref:
  cnj-title: Supuesto
  cnj-prefix: Supuesto
  tbl-prefix: ""
  custom:
    - {kind: float, key: met, reference-prefix: Receta, caption-prefix: Método,
       caption-location: top}
filters: [quarto]
knitr: false
format: {html: {crossref: {eq-prefix: ""}, toc-title: "En esta página"}}
""",
    "index.qmd": "# Bienvenida {.unnumbered}\n\nTexto.\n",
    "uno.qmd": """\
# Vectores {#sec-uno}

Con @tbl-c, @cnj-a, la @eq-a, @met-a y @alg-a.

::: {#cnj-a}
Supongamos.
:::

$$ Y = X. $$ {#eq-a}

| a |
|---|
| 1 |

: Conteo {#tbl-c}

::: {#met-a}
1. Paso

Un método.
:::

::: {#alg-a}
## Euclides
Pasos.
:::

::: {.content-visible when-meta="soluciones"}
Solución.
:::
""",
    "dos.qmd": """\
---
title: Segundo
date: 2024-03-05
date-format: "MMM YYYY"
---

Véase @met-a.

\\begin{equation}
\\label{eq:uno}
\\cos(x) = x
\\end{equation}

$$
\\left[\\begin{array}{cc|c} 1 & 1 & 6 \\end{array}\\right]
\\xrightarrow[R_3 \\leftarrow R_3 - R_1]{R_2 \\leftarrow R_2} \\boxed{x}
$$

[▶ Abrir](https://example.org/colab){.btn .btn-outline-primary}
""",
}


def build(root: Path, files: dict[str, str]) -> Path:
    project = books.load(write_files(root, files))
    freeze.freeze_book(root)
    (root / "site").mkdir()
    html_engine.build_html(project, root / "site")
    errors = [str(one) for one in check.findings(Book(project)) if not one.is_note]
    assert errors == []
    return root / "site"


def words(page: Path) -> str:
    main = bs4.BeautifulSoup(page.read_text("utf-8"), "lxml").find("main")
    for one in main.select("annotation, script, style, .visually-hidden"):
        one.extract()
    return " ".join(main.get_text(" ").replace("\u00a0", " ").split())


def printed(root: Path) -> str:
    told = typst_engine.build_pdf(books.load(root), root / "book.pdf")
    assert told == []
    done = subprocess.run(["pdftotext", root / "book.pdf", "-"], capture_output=True, check=True)
    return " ".join(done.stdout.decode().replace("\u00a0", " ").split())


def test_german_material(tmp_path):
    site = build(tmp_path, GERMAN)
    text = words(site / "skript/eins.html")
    assert "Siehe Abbildung 1.1 , Beispiel 1.1 , Tip 1.1 und Quelltext 1.1" in text
    for shown in ("Beispiel 1.1: je nach Art", "Tipp 1.1: a = b", "Quelltext 1.1: Ein Stück"):
        assert shown in text, (shown, text)
    assert ":::" not in text and (site / "skript/kreis.svg").is_file()
    assert "5. März 2024" in words(site / "index.html")
    assert "Ein Kreis" in printed(tmp_path)


def test_spanish_book(tmp_path):
    site = build(tmp_path, SPANISH)
    text = words(site / "uno.html")
    assert "Con 1.1 , Supuesto 1.1 , la 1.1 , Receta 1.1 y Algorithm 1.1" in text
    for shown in (
        "Método 1.1: Un método.",
        "Supuesto 1.1",
        "Algorithm 1.1 (Euclides)",
        "Solución.",
    ):
        assert shown in text, (shown, text)
    assert text.index("Un método") < text.index("Paso")
    second = words(site / "dos.html")
    assert "mar 2024" in second and "Receta 1.1" in second and "eq:uno" not in second
    assert "5 de marzo de 2024" in words(site / "index.html")
    paper = printed(tmp_path)
    assert "Método 1.1" in paper and "Algorithm 1.1" in paper and "eq:uno" not in paper


def test_chinese_notes(tmp_path):
    new = nbformat.v4
    part = new.new_notebook(cells=[new.new_markdown_cell("# 第2部分\n\n简介。")])
    files = {
        "_quarto.yml": "project: {type: book}\nlang: zh\nbook:\n  title: 书\n  author: L\n"
        '  date: 2024-03-05\n  chapters:\n    - index.qmd\n    - part: "parts/index.ipynb"\n'
        '      chapters: ["parts/0.5-(旧).qmd"]\nformat: {html: {theme: Flatly}}\n',
        "index.qmd": "# 前言\n\n文字。\n",
        "parts/index.ipynb": nbformat.writes(part),
        "parts/0.5-(旧).qmd": "# 循环\n\n::: callout-note\n内容\n:::\n\n"
        '<iframe width="800" src="https://example.org/frame#a=%20"> </iframe>\n\n'
        "```{.python}\nx\n```\n提示：\n- 没有空行\n",
    }
    site = build(tmp_path, files)
    assert "2024年3月5日" in words(site / "index.html") and "简介" in words(
        site / "parts/index.html"
    )
    page = site / "parts/0.5-(旧).html"
    assert "内容" in words(page) and "<iframe" in page.read_text("utf-8")


def test_a_block_of_code_that_nothing_closes_is_shown_and_told(tmp_path):
    files = {
        "_quarto.yml": "project: {type: book}\n"
        "book: {title: K, author: A, chapters: [index.qmd]}\n",
        "index.qmd": "# One\n\nBefore.\n\n```text\nwords of it\n",
    }
    project = books.load(write_files(tmp_path, files))
    (line,) = [str(one) for one in check.faults(project) if not one.is_note]
    assert line.startswith("index.qmd:5: блок кода «```text» не закрыт")
    (tmp_path / "site").mkdir()
    html_engine.build_html(project, tmp_path / "site")
    assert "Before. ```text words of it" in words(tmp_path / "site/index.html")


def test_polish_words_below_the_format(tmp_path):
    files = {
        "_quarto.yml": "project: {type: book}\nbook: {title: K, author: A, chapters: [index.qmd]}\n"
        "format:\n  html:\n    execute: {warning: false}\n    crossref: {fig-title: Rysunek,"
        ' title-delim: ". ", fig-prefix: rys., tip-prefix: rada}\n',
        "index.qmd": "# Wstęp\n\nNa @fig-a i @tip-b.\n\n![Koło](k.svg){#fig-a}\n\n"
        "::: {#tip-b .callout-tip}\n## Uwaga\nTekst.\n:::\n",
        "k.svg": SVG,
    }
    text = words(build(tmp_path, files) / "index.html")
    for shown in ("Na rys. 1.1 i rada 1.1", "Rysunek 1.1. Koło", "Tip 1.1. Uwaga"):
        assert shown in text, (shown, text)


@pytest.mark.parametrize(
    ("lang", "form", "shown"),
    [
        ("de", None, "5. März 2024"),
        ("fr", None, "5 mars 2024"),
        ("pt-BR", None, "5 de março de 2024"),
        ("pl", None, "5 marca 2024"),
        ("ja", None, "2024年3月5日"),
        ("ru", None, "5 марта 2024 г."),
        ("tlh", None, "March 5, 2024"),
        ("en", "dddd, MMM Do, YYYY", "Tuesday, Mar 5th, 2024"),
        ("en", "full", "Tuesday, March 5, 2024"),
        ("en", "medium", "Mar 5, 2024"),
        ("de", "iso", "2024-03-05"),
        ("pt", "D/MM/YYYY", "5/03/2024"),
        ("es", "MMMM [de] YYYY", "marzo de 2024"),
    ],
)
def test_a_date_is_written_in_the_language_of_the_book(lang, form, shown):
    """What CLDR says, and dayjs of its tokens."""
    assert front.day(datetime.date(2024, 3, 5), lang, form) == shown


def test_without_babel_dates_are_russian_or_english_and_others_are_told(monkeypatch):
    """The light set has no Babel."""
    monkeypatch.setitem(sys.modules, "babel", None)
    date = datetime.date(2024, 3, 5)
    assert front.day(date, "ru", None) == "5 марта 2024 г."
    assert front.day(date, "en-US", "long") == "March 5, 2024"
    for lang, form in (("de", None), ("en-GB", None), ("ru", "D.MM")):
        with pytest.raises(PixgradError, match=r"pixgrad\[languages\]"):
            front.day(date, lang, form)
