"""What the embedded engine refuses, against a table of Quarto's constructs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pixgrad.book.ledger import qmd
from pixgrad.book.rendering import known, supported
from pixgrad.book.source import project as books

REFERENCE = Path(__file__).parent.parent / "quarto-reference"

UNSUPPORTED = {
    "text {{< embed a.ipynb#x >}}": "embed",
    "```{mermaid}\ngraph XX\n```": "mermaid не рисуется",
    "```{dot}\ndigraph { a ->\n```": "dot не рисуется",
    "{{< lipsum 3 >}}": "lipsum",
    "- {{< include a.qmd >}}": "include",
    "::: {.panel-sidebar}\n:::": "panel-sidebar",
    "::: {.list-table}\n:::": "list-table",
    "::: {#dia-a}\n:::": "#dia-a",
    "::: {.callout-note}\nтекст": "не закрыт",
    "```python\nтекст": "блок кода «```python» не закрыт",
    "текст\n\n:::": "лишняя",
    "```{=docx}\n<w/>\n```": "{=docx}",
    "\\begin{tikzpicture}\nx\n\\end{tikzpicture}": "tikzpicture",
    "См. [@fig-x; @lowe2004, с. 3].": "цитата",
    "См. [-@lowe2004; @Tbl-x].": "цитата",
    "```{python}\n#| column: screen\n1\n```": "column",
    "```{python}\n#| fig-cap-location: margin\n1\n```": "fig-cap-location",
}
NOTED = {
    "`{python} 1 + 1` внутри строки": "в строке",
    "```{r}\n1\n```": "языке r",
    "```{python eval=FALSE}\n1\n```": "eval=FALSE",
    "> ```{python}\n> 1\n> ```": "в цитате",
    "::: {.callout-danger}\n:::": "callout-danger",
    "::: callout-hint\n:::": "callout-hint",
    "::: {.column-page}\n:::": "column-page",
    "```{=latex}\n\\newpage\n```": "newpage",
    "слово `\\LaTeX`{=tex}": "LaTeX",
    "слово \\index{слово}": "index",
    "$\\color{red}{x}$": "цвет",
    "$\\begin{array}{c} 1 \\\\ \\hline 2 \\end{array}$": "hline",
}
LINE_OF = dict.fromkeys(UNSUPPORTED, 3) | {
    "текст\n\n:::": 5,
    "```{python}\n#| column: screen\n1\n```": 4,
    "```{python}\n#| fig-cap-location: margin\n1\n```": 4,
}
SUPPORTED = [
    "{{< var a.b >}}, а `{{{< include x >}}}` только показан",
    "{{< pagebreak >}}\n\n{{< meta title >}}, {{< env HOME >}}, {{< kbd Ctrl-C >}}",
    "текст {{< video a.mp4 >}} текст, {{</* include x */>}}",
    "::: {.columns}\n::: {.column width='30%'}\nа\n:::\n:::",
    "::: {#tip-a .callout-tip}\n:::",
    '::: {.content-visible when-profile="draft"}\n:::',
    "```python\nx = 1  # <1>\n```\n1. Раз.",
    "```\n{{< var a >}}\n```",
    "# Второй заголовок",
    "```{mermaid}\n%%| label: fig-m\ngraph LR\n  A --> B\n```",
    "{{< placeholder 20 10 >}}, {{< version >}}, {{< contents id >}}",
    "\\newcommand{\\R}{\\mathbb{R}}\n\n$x \\in \\R$",
    "\\begin{equation}\nx\n\\end{equation}",
    "- ::: {.callout-note}\n  текст\n  :::",
    "::: {.my-own-class #anchor style='color: red'}\n:::",
    "::: warning-of-mine\n:::",
    "::: {.panel-tabset}\n## А\n:::",
    "::: {.content-hidden unless-format='html'}\n:::",
    "```{=html}\n<b>x</b>\n```",
    "`#pagebreak()`{=typst}",
    "```python\nprint('{{', x)  # комментарий\n```",
    "$\\frac{.5}{2}$ и $x_{\\mathrm{column}}$",
    "<!--\n{{< include x.qmd >}}\n-->",
    "[слово]{.smallcaps}",
    "::: {.column-margin}\n[сбоку]{.aside}\n:::",
    "```{python}\n#| column: margin\n1\n```",
    "[@fig-x; @tbl-y], [@lowe2004; -@he2016, с. 1], `[@a; @fig-b]` и [a@b.c; @fig-x]",
    "## Раздел {.unnumbered .unlisted}",
    "```{python}\n#| label: fig-x\n#| fig-cap-location: top\n1\n```",
    "::: {#thm-x .my name='Имя'}\n:::",
]


@pytest.mark.parametrize("source", UNSUPPORTED)
def test_unsupported_constructs_are_found_with_their_line(source):
    found = supported.unsupported(qmd.parse("# Глава\n\n" + source + "\n"), "a.qmd")
    assert [finding.line for finding in found] == [LINE_OF[source]]
    assert UNSUPPORTED[source] in found[0].what


@pytest.mark.parametrize("source", NOTED)
def test_what_the_book_is_made_without_is_told_with_its_line(source):
    found = supported.unsupported(qmd.parse("# Глава\n\n" + source + "\n"), "a.qmd")
    assert [(finding.line, finding.is_note) for finding in found] == [(3, True)]
    assert NOTED[source] in found[0].what


@pytest.mark.parametrize("source", SUPPORTED)
def test_supported_constructs_are_not(source):
    assert supported.unsupported(qmd.parse("# Глава\n\n" + source + "\n"), "a.qmd") == []


def test_options_of_a_chapter():
    front = "---\ntitle: Имя\nfilters: [x]\nmy-key: 1\npage-layout: full\n---\n\nТекст.\n"
    found = supported.unsupported(qmd.parse(front), "a.qmd")
    assert [(f.line, f.is_note) for f in found] == [(3, False), (5, True)]
    assert "filters" in found[0].what


CONFIG = """\
project:
  type: book
book:
  title: "Книга"
  chapters: [index.qmd]
"""
OPTIONS = {  # (line, word, whether the book is made nevertheless)
    "format:\n  html:\n    theme: cosmo\n    code-tools: true\n": (9, "code-tools", True),
    "format:\n  docx: default\n": (7, "docx", True),
    "format:\n  pdf:\n    documentclass: scrreprt\n  html: default\n": (7, "pdf", True),
    "crossref:\n  chapters: true\n  labels: roman\n": (8, "labels", False),
    "filters:\n  - lightbox\n": (6, "filters", False),
    "tocs: true\n": (6, "похоже на «toc»", True),
    "my-key: 1\n": (6, "my-key", True),
}


@pytest.mark.parametrize("text", OPTIONS)
def test_options_that_would_change_the_output(tmp_path, text):
    (tmp_path / "index.qmd").write_text("# Начало\n")
    (tmp_path / "_quarto.yml").write_text(CONFIG + text)
    found = supported.unsupported_options(books.load(tmp_path))
    line, words, is_note = OPTIONS[text]
    assert [(f.line, f.is_note) for f in found] == [(line, is_note)]
    assert words in found[0].what


def test_the_reference_book_is_supported():
    project = books.load(REFERENCE)
    assert supported.unsupported_options(project) == []
    for chapter in project.chapters:
        assert supported.unsupported(chapter.document, chapter.path) == []


QUARTO_KEYS = {  # of Quarto's own reference, by the place where they may stand
    (): "project book format lang language bibliography csl execute jupyter editor profile filters "
    "crossref toc number-sections theme metadata-files keywords author title date",
    ("project",): "type output-dir execute-dir pre-render post-render resources preview lib-dir",
    ("book",): "title subtitle author date description abstract chapters appendices repo-url "
    "repo-branch repo-subdir repo-actions issue-url site-url output-file search favicon "
    "cover-image cover-image-alt page-footer page-navigation sidebar navbar downloads sharing "
    "tools reader-mode open-graph twitter-card google-analytics cookie-consent comments "
    "body-header body-footer margin-header margin-footer back-to-top-navigation "
    "bread-crumbs doi license references date-format",
    ("execute",): "eval echo output warning error include cache freeze enabled daemon debug",
    ("format",): "html typst pdf epub docx latex revealjs ipynb gfm beamer odt jats",
    ("format", "html"): "theme css toc toc-depth toc-title toc-location toc-expand number-sections "
    "number-depth number-offset code-fold code-summary code-tools code-link code-copy "
    "code-overflow code-line-numbers code-block-bg code-block-border-left code-annotations "
    "highlight-style html-math-method include-in-header include-before-body include-after-body "
    "fig-width fig-height fig-format fig-dpi fig-align fig-asp fig-responsive fig-cap-location "
    "tbl-cap-location tbl-colwidths cap-location callout-icon callout-appearance lightbox "
    "smooth-scroll anchor-sections link-external-icon link-external-newwindow link-external-filter "
    "page-layout grid mainfont monofont fontsize linestretch fontcolor linkcolor backgroundcolor "
    "max-width margin-left margin-right margin-top margin-bottom embed-resources self-contained "
    "citations-hover footnotes-hover crossrefs-hover reference-location citation-location "
    "title-block-banner title-block-style title-block-categories df-print html-table-processing "
    "notebook-links notebook-view format-links other-links comments hypothesis "
    "email-obfuscation section-divs keep-md keep-ipynb output-file template "
    "template-partials shift-heading-level-by citeproc bibliography csl nocite",
    ("format", "typst"): "toc toc-depth toc-indent papersize margin mainfont fontsize columns "
    "section-numbering number-sections include-in-header template template-partials keep-typ "
    "fig-width fig-height fig-dpi fig-format bibliographystyle citeproc brand font-paths",
}


@pytest.mark.parametrize("place", QUARTO_KEYS)
def test_no_key_of_quarto_falls_through(place):
    names = QUARTO_KEYS[place].split()
    assert [name for name in names if known.verdict((*place, name)) == known.UNKNOWN] == []
