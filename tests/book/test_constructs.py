"""What a Quarto book may be written with: each construct on the page and in print."""

from __future__ import annotations

import html
import re
import subprocess
from pathlib import Path

import pytest
from tiny_books import write_files

from pixgrad.book.rendering import html_engine, supported, typst_engine
from pixgrad.book.source import project as books
from pixgrad.errors import SourceError

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"></svg>'
FILES = {
    "_quarto.yml": """\
project: {type: book}
language: words.yml
author-word: from the configuration
book:
  title: Constructs
  author: [{name: {given: Ann, family: First}}, Bob]
  date: 2024-03-05
  page-footer: "Footer with a [link](index.qmd)"
  chapters:
    - index.qmd
    - part: part.qmd
      chapters: [one.qmd, {text: Two, file: two.qmd}]
    - first/same.qmd
    - second/same.qmd
css: own.css
include-in-header: {text: '<meta name="mine" content="1">'}
format:
  pdf: {documentclass: scrreprt}
  html: {theme: cosmo, code-line-numbers: true, toc-depth: 2}
  typst: {papersize: a5}
""",
    "_quarto.yml.local": "local-word: from this machine\n",
    "_metadata.yml": "folder-word: of the folder\n",
    "_environment": "WORD=shared\n",
    "_environment.local": "WORD=local\n",
    "_variables.yml": "version: 1.5\nis: true\n",
    "words.yml": "crossref-tbl-title: Tabular\n",
    "own.css": ".mine { color: red }\n",
    "index.qmd": "# Preface {.unnumbered}\n\nSee @sec-one, @nte-a and @tbl-a.\n",
    "part.qmd": "# Part with a page\n\nWords of the part.\n",
    "first/same.qmd": "# Same one\n\nText.\n",
    "second/same.qmd": "# Same two\n\nText.\n",
    "_part.qmd": "## Included {#sec-part}\n\nText of the *part*.\n",
    "b (1).svg": SVG,
    "100%.svg": SVG,
    "два слова.svg": SVG,
    "one.qmd": """\
---
title: "Chapter *one*"
subtitle: "Its subtitle"
author: Carl
date: 2023-12-31
abstract: "Its **abstract**."
description: "Its description"
number-sections: false
my-word: from the chapter
---

## Section {#sec-one}

{{< include _part.qmd >}}

Meta {{< meta my-word >}}, {{< meta local-word >}}, {{< meta folder-word >}}; env {{< env WORD >}},
{{< env NO_SUCH_WORD spare >}}; var {{< var version >}} {{< var is >}}; keys {{< kbd Ctrl-C >}};
{{< video https://example.org/a.mp4 title="A film" >}}; escaped {{</* var x */>}}.

{{< pagebreak >}}

```python
value = "{{< var version >}}"
```

A file *config*.yml, class [torch](https://example.org).Dataset, note[^n].end.

[^n]: Words of the note.

![One](<b (1).svg>){#fig-a fig-alt="a"}

![Two](100%25.svg){#fig-b fig-alt="b"}

![Three](<два слова.svg>){#fig-c fig-alt="c"}
""",
    "two.qmd": """\
# Two

\\newcommand{\\half}{\\frac{1}{2}}

Formulas $\\half$, $A \\& B$, $\\textcolor{blue}{z} + \\cfrac{1}{3}$.

$$ E = m \\tag{law} $$

\\begin{equation}
p = q
\\end{equation}

::: {#nte-a .callout-note}
## A note
With a label.
:::

:::: {.columns}
::: {.column width="30%"}
Left column.
:::
::: {.column width="70%"}
Right column.
:::
::::

| a |
|---|
| 1 |

: A table {#tbl-a}

```python
x = 5  # <1>
y = 6  # <2>
```
1. Five.
2. Six.

Line<br>break, <kbd>Esc</kbd>, <a href="https://example.org">an address</a>.

<details><summary>More</summary>Hidden words.</details>

::: {.content-visible when-meta="no.such"}
Never shown.
:::

```{r}
mean(x)
```

- ::: {.callout-tip}
  In a list.
  :::

# A second first heading

## Its section {#sec-second}

See @sec-second.
""",
}


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    root = write_files(tmp_path_factory.mktemp("constructs"), FILES)
    project = books.load(root)
    (root / "site").mkdir()
    html_engine.build_html(project, root / "site")
    typst_engine.build_pdf(project, root / "book.pdf")
    return root


def page(book: Path, name: str) -> str:
    """The visible text of a page."""
    text = (book / "site" / name).read_text("utf-8")
    body = text[text.index("<main") : text.index("</main>")]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.fixture(scope="module")
def printed(book) -> str:
    command = ["pdftotext", "-layout", book / "book.pdf", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())


@pytest.mark.parametrize(
    "words",
    [
        "Its subtitle", "Carl", "December 31, 2023", "Its abstract .", "Included",
        "Text of the part", "from the chapter", "from this machine", "of the folder",
        "env local, spare", "1.5 true", "Ctrl-C", "A film", "{{< var x >}}", 'value = "1.5"',
    ],
)  # fmt: skip
def test_front_matter_and_shortcodes(book, printed, words):
    where = page(book, "one.html")
    bare = words.replace(" ", "")
    assert bare in where.replace(" ", "") and bare.replace('"', "") in printed.replace(
        " ", ""
    ).replace('"', "").replace("“", "").replace("”", "")


@pytest.mark.parametrize(
    "words",
    ["config.yml", "torch.Dataset", "note1.end"],
)
def test_what_follows_a_call_is_text(printed, words):
    assert words in printed.replace(" ", "")


@pytest.mark.parametrize(
    "words",
    [
        "A & B", "(law)", "Note 2.1: A note", "Left column.", "Right column.", "Tabular 2.1",
        "x = 5", "an address", "Hidden words.", "mean(x)", "In a list.", "Esc",
        "Section 3.1",
    ],
)  # fmt: skip
def test_constructs_of_the_text(book, printed, words):
    bare = words.replace(" ", "")
    assert bare in page(book, "two.html").replace("\u00a0", "").replace(" ", "")
    glyphs = printed.replace("\U0001d434", "A").replace("\U0001d435", "B")
    assert bare in glyphs.replace("\u00a0", "").replace(" ", "")


def test_notes_on_code_stand_beside_it(book, printed):
    text = (book / "site/two.html").read_text("utf-8")
    mark = '<span class="code-annotation-anchor">{}</span>'
    lines = text[text.index(mark.format(1)) :].split("\n")
    assert lines[1].startswith(mark.format(2))
    assert re.search(r"<dt>1</dt>\s*<dd>\s*Five\.", text)
    assert "Line 1: Five." in printed and "Line 2: Six." in printed


def test_what_is_not_shown(book, printed):
    assert "Never shown" not in page(book, "two.html") + printed
    assert "# <1>" not in page(book, "two.html") + printed
    assert "newcommand" not in page(book, "two.html") + printed


def test_options_reach_the_page(book):
    text = (book / "site/one.html").read_text("utf-8")
    assert '<html lang="en">' in text and ">Search<" in text
    assert '<link rel="stylesheet" href="own.css">' in text
    assert (book / "site/own.css").read_text() == FILES["own.css"]
    assert '<meta name="mine" content="1">' in text
    assert '<meta name="description" content="Its description">' in text
    assert 'Footer with a <a href="index.html">link</a>' in text
    assert 'class="header-section-number"' not in text[text.index("<main") :]
    index = (book / "site/index.html").read_text("utf-8")
    assert "Ann First, Bob" in index
    assert not re.search("[а-яё]", re.sub("два.{1,3}слова|aя", "", text))
    for name in ("site.js", "search.js", "reading.js"):
        script = (book / "site/site_libs" / name).read_text("utf-8")
        strings = re.findall(r'"([^"\n]*[а-я]{2,}[^"\n]*)"', script)
        assert strings == [], name


def test_chapters_of_one_name_and_pages_of_parts_are_whole(book):
    assert "Same one" in page(book, "first/same.html")
    assert "Same two" in page(book, "second/same.html")
    assert "Words of the part." in page(book, "part.html")
    assert 'class="menu-text">Part with a page<' in (book / "site/index.html").read_text("utf-8")


def test_nothing_is_silent(book):
    notes = [line.removeprefix(f"{book}/") for line in supported.notes(books.load(book))]
    told = {tuple(note.split(":")[:2]) for note in notes}
    config, two = FILES["_quarto.yml"].split("\n"), FILES["two.qmd"].split("\n")
    assert told == {
        ("_metadata.yml", "1"),
        ("_quarto.yml.local", "1"),
        ("_quarto.yml", str(config.index("author-word: from the configuration") + 1)),
        ("_quarto.yml", str(config.index("  pdf: {documentclass: scrreprt}") + 1)),
        ("_quarto.yml", str(config.index("  typst: {papersize: a5}") + 1)),
        ("two.qmd", str(two.index("```{r}") + 1)),
        ("two.qmd", str(next(n for n, line in enumerate(two, 1) if "textcolor" in line))),
    }


@pytest.mark.parametrize(
    ("lists", "told"),
    [
        ("chapters: 5", "_quarto.yml:4: chapters: ожидался список файлов вместо 5"),
        ("chapters: [index.qmd]\n  appendices: a.qmd", "_quarto.yml:5: appendices: "),
        ("chapters:\n    - part: P\n      chapters: a.qmd", "_quarto.yml:6: chapters: "),
    ],
)
def test_a_list_of_chapters_that_is_none_is_refused(tmp_path, lists, told):
    config = f"project:\n  type: book\nbook:\n  {lists}\n"
    root = write_files(tmp_path, {"_quarto.yml": config, "index.qmd": "# A\n", "a.qmd": "# B\n"})
    with pytest.raises(SourceError) as error:
        _ = books.load(root).chapters
    assert str(error.value).startswith(told)
