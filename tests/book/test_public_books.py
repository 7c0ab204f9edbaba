"""Small books of our own, each with what public Quarto books of one kind are written with.

After course notes that are slides, too; notes that are Jupyter notebooks; templates in Chinese,
Japanese and Thai. Nothing of those books is copied but the names of keys and classes.
"""

from __future__ import annotations

import base64
import io
import re
import subprocess
from pathlib import Path

import bs4
import nbformat
import pytest
from PIL import Image
from tiny_books import write_files

from pixgrad.book.checking import check
from pixgrad.book.checking.pages import Book
from pixgrad.book.executing import freeze
from pixgrad.book.rendering import html_engine, typst_engine
from pixgrad.book.source import project as books

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"></svg>'

COURSE = {
    "_quarto.yml": """\
project:
  type: book
  output-dir: docs
  render: ["*.qmd", "weeks/"]
book:
  title: "Notes: a course"
  author: [Ann First, Bob Second]
  date: today
  date-format: "MMMM YYYY"
  reader-mode: true
  page-footer:
    left: |
      Made with <a href="https://quarto.org/">Quarto</a>.
  sidebar: {style: docked, logo: logo.svg, tools: [{icon: github, href: "https://example.org"}]}
  chapters:
    - index.qmd
    - part: "Weeks"
      chapters: [weeks/week-01/index.qmd, weeks/week-02/index.qmd]
resources: [images/]
execute: {echo: true, warning: false, message: false, freeze: auto}
jupyter: python3
filters: [lightbox, code-visibility]
format:
  html:
    theme: {light: [cosmo, mine.scss], dark: darkly}
    css: custom.scss
    code-tools: {source: repo, toggle: false}
    df-print: paged
    comments: {hypothesis: true}
    embed-resources: true
  pdf: {documentclass: scrreprt, geometry: "margin=1in", include-in-header: {text: "\\\\x{y}"}}
  revealjs: {incremental: true}
""",
    "index.qmd": "# Welcome {.unnumbered}\n\nStart with [one](./weeks/week-01/index.qmd).\n",
    "logo.svg": SVG,
    "mine.scss": "",
    "custom.scss": "",
    "weeks/week-01/index.qmd": """\
---
title: $k$-Means in a week
jupyter: python3
---

[![](https://example.org/badge.svg)](https://example.org/open)

# First half

:::: {.columns }
::: {.column width="40%"}
![London](p.svg){width=400 fig-align="center"}
^[Public domain, https://example.org/x.]
:::
::: {.column width="60%" .incremental}
- Item *one*
- Item two

::: {.fragment .fade-in}
Shown last.
:::
:::
::::

---

Here <font color = "blue">*good* words</font> and (called <font color="blue"> _means_)</font>.

::: {.content-hidden when-profile="web"}
## Of slides too {#sec-slides}
:::

::: {.content-visible when-format="revealjs"}
Of slides alone.
:::

$$
\\underset{C_1}{\\arg\\min} \\hspace{1em} \\sum_{x\\in C} \\Vert x-c\\Vert^2.
$$

::: aside
See [norms](../week-02/index.html#norms) in [week two](../week-02/index.html).
:::

# Second half {#sec-half}

## Part of it

See @sec-half and @sec-slides.

1. Pick $K$:
    - one
2. Repeat.

`r nrow(x)` stays.
""",
    "weeks/week-01/p.svg": SVG,
    "weeks/week-02/index.qmd": """\
# **Week** two {#sec-two}

## Norms {#norms}

Text. {{< fa brands github >}}

| a | b |
|:-:|--:|
| 1 | 2 |

::: {.callout-tip collapse=true icon=false}
## *Hint*
Try @sec-half.
:::

::: {.panel-tabset group="lang"}
## Python
```{.python code-line-numbers="1,3-4"}
x = 1
```
## R
```r
x <- 1
```
:::

{{< video https://www.youtube.com/watch?v=abc >}}
""",
}


def build(root: Path) -> Path:
    project = books.load(root)
    freeze.freeze_book(root)
    (root / "site").mkdir()
    html_engine.build_html(project, root / "site")
    return root / "site"


def soup(page: Path) -> bs4.BeautifulSoup:
    found = bs4.BeautifulSoup(page.read_text("utf-8"), "lxml")
    for one in found.select("nav, script, style, annotation"):
        one.extract()
    return found


def words(page: Path) -> str:
    return " ".join(soup(page).find("main").get_text(" ").replace("\u00a0", " ").split())


def printed(root: Path) -> str:
    typst_engine.build_pdf(books.load(root), root / "book.pdf")
    done = subprocess.run(["pdftotext", root / "book.pdf", "-"], capture_output=True, check=True)
    return " ".join(done.stdout.decode().split())


def told(root: Path) -> dict[str, str]:
    lines = [str(one) for one in check.faults(books.load(root))]
    return {":".join(line.split(":")[:2]): line for line in lines}


def test_notes_of_a_course_that_are_slides_too(tmp_path):
    root = write_files(tmp_path, COURSE)
    site = build(root)
    text = words(site / "weeks/week-01/index.html")
    for shown in ("Item one", "Shown last.", "good words", "means", "Of slides too", "norms"):
        assert shown in text, shown
    assert "Of slides alone" not in text and "`" not in text
    page = soup(site / "weeks/week-01/index.html")
    assert page.select_one("div.aside, aside, .column-margin").find("a")["href"].endswith("#norms")
    assert page.select_one("a > img")["src"] == "https://example.org/badge.svg"
    headings = [one.get_text(" ", strip=True) for one in page.find_all(["h1", "h2"])]
    assert headings[0].startswith("1") and headings[1:] == [
        "2 First half",
        "2.1 Of slides too",
        "3 Second half",
        "3.1 Part of it",
    ]
    two = words(site / "weeks/week-02/index.html")
    assert "Week two" in two and "Hint" in two and "Try Chapter 3" in two
    assert "code-visibility" not in two
    faults = told(root)
    assert {"_quarto.yml:22", "weeks/week-02/index.qmd:5"} <= faults.keys(), faults
    paper = printed(root)
    for shown in ("Item one", "good words", "Hint", "youtube"):
        assert shown in paper, shown
    errors = [one for one in check.findings(Book(books.load(root))) if not one.is_note]
    assert errors == []


def notebook(title: str) -> str:
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(stream, "png")
    png = base64.b64encode(stream.getvalue()).decode()
    new, out = nbformat.v4, nbformat.v4.new_output
    rows = "<table><tr><th>a</th></tr><tr><td>7</td></tr></table>"
    table = f"<div><style scoped>th {{x: y}}</style>{rows}</div>"
    cells = [
        new.new_markdown_cell(f"# **{title}**\n\n<img src='logo.svg' width=50>\n\n* one\n* two"),
        new.new_code_cell(
            "df.head()",
            outputs=[
                out(
                    "execute_result",
                    execution_count=3,
                    data={"text/html": table, "text/plain": "   a\n0  7"},
                )
            ],
            execution_count=3,
        ),
        new.new_code_cell(
            "plt.plot()",
            outputs=[
                out("stream", name="stderr", text="a warning\n"),
                out("display_data", data={"image/png": png, "text/plain": "<Figure>"}),
            ],
        ),
        new.new_markdown_cell("## Next\n\nMath $$x^2$$ and \\begin{align} a &= b \\end{align}"),
        new.new_code_cell(
            "%%time\n!pip install x", outputs=[out("stream", name="stdout", text="ok")]
        ),
    ]
    kernel = {"kernelspec": {"name": "conda-env-x-py", "display_name": "x", "language": "python"}}
    return nbformat.writes(new.new_notebook(cells=cells, metadata=kernel))


def test_notes_that_are_notebooks(tmp_path):
    config = """\
project: {type: book, output-dir: docs}
book:
  title: "Data (Class notes)"
  subtitle: "STAT"
  author: "Ann, Bob, and Carl"
  date: "3/24/2023"
  sidebar: {search: true, logo: logo.svg, logo-href: "https://example.org"}
  chapters:
    - index.qmd
    - part: "Getting Started"
      chapters: ["Control flow.ipynb", second.ipynb]
  appendices:
    - "Assignment A.ipynb"
bibliography: references.bib
format:
  html: {theme: cosmo}
  pdf: {documentclass: scrreprt}
"""
    root = write_files(
        tmp_path,
        {
            "_quarto.yml": config,
            "index.qmd": "# Preface {.unnumbered}\n\nHello.\n",
            "logo.svg": SVG,
            "references.bib": "",
            **{
                name: notebook(name.split(".")[0].title())
                for name in ("Control flow.ipynb", "second.ipynb", "Assignment A.ipynb")
            },
        },
    )
    site = build(root)
    page = soup(site / "Control flow.html")
    assert page.find("h1").get_text(" ", strip=True).endswith("Control Flow")
    assert page.find("h1").find("strong") is not None
    text = words(site / "Control flow.html")
    for shown in ("df.head()", "7", "a warning", "! pip install x ok", "one"):
        assert shown in text, shown
    assert len(page.select("main img")) == 2 and len(page.select("main math")) == 2
    assert "Appendix A" in words(site / "Assignment A.html")
    assert "March 24, 2023" in words(site / "index.html")
    assert "Control Flow" in printed(root)
    errors = [one for one in check.findings(Book(books.load(root))) if not one.is_note]
    assert errors == []


@pytest.mark.parametrize(
    ("lang", "figure", "tip"), [("zh", "图 2.1", "提示"), ("ja", "図 2.1", "ヒント")]
)
def test_templates_in_other_scripts(tmp_path, lang, figure, tip):
    config = f"""\
project: {{type: book}}
lang: {lang}
book:
  title: "书籍模版"
  author: "梁"
  date: "05/19/2025"
  output-file: "_main"
  repo-branch: main
  search: true
  chapters:
    - index.qmd
    - part: 基础模型.qmd
      chapters: [charpter01-线性模型.qmd]
    - references.qmd
  appendices: [appendix-a.qmd]
bibliography: references.bib
editor: visual
knitr: {{opts_chunk: {{dpi: 300}}}}
format:
  html:
    theme: cosmo
    code-link: true
    code-line-numbers: true
    include-in-header: [header.html]
  pdf: {{documentclass: book, top-level-division: chapter, lof: true}}
  docx: {{toc: true}}
"""
    root = write_files(
        tmp_path,
        {
            "_quarto.yml": config,
            "header.html": '<meta name="mine" content="1">',
            "references.bib": "@book{a, title={书}, author={李}, year={2001}}",
            "index.qmd": "# 前言\n\n文字。[@a]\n",
            "基础模型.qmd": "# 基础模型\n\n部分。\n",
            "charpter01-线性模型.qmd": "# 线性模型 {#sec-线性}\n\n见 @fig-a 和 @sec-线性。\n\n"
            "![图](p.svg){#fig-a}\n\n::: {.callout-tip}\n内容\n:::\n\n```r\nx <- 1\n```\n",
            "references.qmd": "# 参考文献 {.unnumbered}\n\n::: {#refs}\n:::\n",
            "appendix-a.qmd": "# 附录\n\n文字。\n",
            "p.svg": SVG,
        },
    )
    site = build(root)
    text = words(site / "charpter01-线性模型.html")
    assert figure in text and tip in text and "内容" in text
    assert "sourceCode" in (site / "charpter01-线性模型.html").read_text("utf-8")
    assert '<meta name="mine"' in (site / "index.html").read_text("utf-8")
    assert re.search("李", words(site / "references.html"))
    errors = [one for one in check.findings(Book(books.load(root))) if not one.is_note]
    assert errors == []
