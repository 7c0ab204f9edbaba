"""``pixgrad notebooks``: against Quarto's own output of the reference book, and beyond it."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pypandoc
import pytest
from PIL import Image
from tiny_books import write_files

from pixgrad.book.ledger import qmd
from pixgrad.book.rendering import notebooks
from pixgrad.book.source import executed, project
from pixgrad.errors import PixgradError, SourceError

REFERENCE = Path(__file__).parents[1] / "quarto-reference"
EXPECTED = json.loads((REFERENCE / "expected-html.json").read_text("utf-8"))
PAGES = ["index.html", *(f"chapters/{stem}.html" for stem in ("01-sift", "02-nets", "03-end"))]
PAGES.append("chapters/app-a.html")


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """A copy of the reference book with its notebooks written."""
    root = tmp_path_factory.mktemp("reference") / "book"
    shutil.copytree(REFERENCE, root)
    notebooks.write_notebooks(root)
    return root


def read(root: Path, stem: str) -> nbformat.NotebookNode:
    return nbformat.read(root / "notebooks" / f"{stem}.ipynb", as_version=4)


def of_page(root: Path, page: str) -> nbformat.NotebookNode:
    return read(root, Path(page).stem)


_ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
_REFERENCE = re.compile(r"\[([^\[\]]*)\]\(((?:[\w-]+\.ipynb)?#[^)]*|[\w-]+\.ipynb)\)")


def prose(notebook: nbformat.NotebookNode) -> str:
    """The markdown as read: no anchors, references without their addresses, plain spaces."""
    return _REFERENCE.sub(r"\1", _ANCHOR.sub("", markdown(notebook)))


def markdown(notebook: nbformat.NotebookNode) -> str:
    """All markdown, markdown outputs included, spaces made plain."""
    texts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            texts.append(cell.source)
        texts += [o.data["text/markdown"] for o in outputs(cell) if "text/markdown" in o.data]
    return re.sub(r"[ \u00a0]+", " ", "\n\n".join(texts))


def outputs(cell) -> list:
    kinds = ("display_data", "execute_result")
    return [o for o in cell.get("outputs", []) if o.output_type in kinds]


def execute(notebook: nbformat.NotebookNode, folder: Path) -> nbformat.NotebookNode:
    """A copy run by a kernel of this Python that works in ``folder``."""
    nbclient = pytest.importorskip("nbclient")
    done = nbformat.reads(nbformat.writes(notebook), as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    return nbclient.NotebookClient(done, timeout=300, resources=resources).execute()


def told(cell) -> str:
    """The text that a code cell shows, references as in ``prose``."""
    return _REFERENCE.sub(
        r"\1",
        "".join(
            o.get("text", "") or o.get("data", {}).get("text/markdown", "") for o in cell.outputs
        ),
    )


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.S))


def test_notebooks_are_valid_and_named_as_the_chapters(reference):
    names = sorted(path.stem for path in (reference / "notebooks").iterdir())
    assert names == ["01-sift", "02-nets", "03-end", "app-a", "index"]  # no bibliography page
    for name in names:
        notebook = read(reference, name)
        nbformat.validate(notebook)
        assert notebook.metadata.kernelspec.name == "python3"
        assert notebook.metadata.colab.name == f"{name}.ipynb"
        assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


@pytest.mark.parametrize("page", PAGES)
def test_references_are_the_texts_of_quarto(reference, page):
    """Each cross-reference of Quarto's page stands in the notebook, in the same order."""
    text, position = prose(of_page(reference, page)), 0
    for words, _ in EXPECTED[page]["crossrefs"]:
        found = text.find(words, position)
        assert found >= 0, f"«{words}» is missing after {text[position : position + 40]!r}"
        position = found + len(words)


@pytest.mark.parametrize("page", PAGES)
def test_captions_citations_and_footnotes_are_those_of_quarto(reference, page):
    text = prose(of_page(reference, page)).replace("*", "")
    for caption in EXPECTED[page]["captions"]:
        assert re.sub(r"^(\S+ [\dA-Z.]+):", r"\1.", caption) in text
    for words in (*EXPECTED[page]["citations"], *EXPECTED[page]["bibliography"]):
        assert words in text
    for footnote in EXPECTED[page]["footnotes"]:
        assert footnote.removesuffix("↩︎") in text


@pytest.mark.parametrize("page", PAGES)
def test_headings_formulas_and_tables_are_those_of_quarto(reference, page):
    """Read back by pandoc as GitHub's markdown: as many of each, with Quarto's numbers."""
    notebook = of_page(reference, page)
    raw = pypandoc.convert_text(prose(notebook), "json", "gfm+tex_math_dollars-tex_math_gfm")
    assert raw.count('"t":"Math"') == EXPECTED[page]["math"]
    assert raw.count('"t":"Table"') == EXPECTED[page]["tables"]
    own = ("Примечания", "Литература")
    headings = re.findall(r"^#{2,} (.*)$", without_code(prose(notebook)), re.M)
    expected = [words for level, words in EXPECTED[page]["headings"] if level > 1]
    assert [words for words in headings if words not in own] == expected
    tags = re.findall(r"\\tag\{(.*?)\}", prose(notebook))
    assert tags == re.findall(r"\\qquad\((.*?)\)", EXPECTED[page]["text"])


@pytest.mark.parametrize("page", PAGES)
def test_no_quarto_syntax_is_left(reference, page):
    text = without_code(prose(of_page(reference, page)))
    for trace in (":::", "{#", "{.", "@fig-", "@tbl-", "@eq-", "@sec-", "{{<", "#|", ".qmd"):
        assert trace not in text
    for cell in of_page(reference, page).cells:
        assert "#|" not in cell.source


def test_pictures_are_the_frozen_files(reference):
    """Byte for byte, and real pictures."""
    for stem, names in {
        "01-sift": ["fig-plot-output-1.png"],
        "02-nets": ["fig-pair-output-1.png", "fig-pair-output-2.png"],
    }.items():
        data = [o.data for cell in read(reference, stem).cells for o in outputs(cell)]
        pictures = [base64.b64decode(d["image/png"]) for d in data if "image/png" in d]
        folder = reference / "_freeze/chapters" / stem / "figure-html"
        assert pictures == [(folder / name).read_bytes() for name in names]
        for picture in pictures:
            Image.open(io.BytesIO(picture)).verify()
    alternative = next(
        d["text/plain"]
        for c in read(reference, "01-sift").cells
        for o in outputs(c)
        if "image/png" in (d := o.data)
    )
    assert alternative == EXPECTED["chapters/01-sift.html"]["images"][0][0]


def test_code_cells_are_those_of_the_chapter(reference):
    """Hidden ones too; only the ``#|`` lines are gone."""
    for chapter in project.load(reference).chapters:
        cells = chapter.document.cells
        if cells:
            code = [c for c in read(reference, chapter.stem).cells if c.cell_type == "code"][1:]
            assert [c.source.removeprefix("%%asis\n") for c in code] == [c.source for c in cells]
            as_is = ["output: asis" in cell.options_yaml for cell in cells]
            assert [c.source.startswith("%%asis\n") for c in code] == as_is
            assert [c.execution_count for c in code] == list(range(1, len(cells) + 1))


def test_running_the_notebook_gives_its_outputs(reference):
    """Run top to bottom by a kernel, from the folder where Jupyter starts."""
    for module in ("matplotlib", "ipykernel"):
        pytest.importorskip(module)
    written = read(reference, "02-nets")
    done = execute(written, reference / "notebooks")
    shown, again = (
        [told(c) for c in notebook.cells if c.cell_type == "code"] for notebook in (written, done)
    )
    assert [text.strip() for text in again] == [text.strip() for text in shown]
    assert [text.strip() for text in shown] == [
        "",
        "ответ: 42",
        "",
        "Точность **91.2 %** вычислена ячейкой.",
        "",
    ]


def test_bytes_are_stable_and_unchanged_files_are_left_alone(reference, tmp_path, capsys):
    folder = reference / "notebooks"
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    written = notebooks.write_notebooks(reference)
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.iterdir()} == before
    assert "записано 0, без изменений 5" in capsys.readouterr().out
    shutil.copytree(REFERENCE, tmp_path / "elsewhere")
    again = notebooks.write_notebooks(tmp_path / "elsewhere", tmp_path / "out")
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in written]
    assert b"\r" not in b"".join(p.read_bytes() for p in again)


# A book of what the reference does not have. The executed markdown has the shapes of Quarto's.

CONFIG = """\
project: {type: book, execute-dir: project}
lang: ru
language: {crossref-fig-prefix: рис., crossref-tbl-prefix: табл.}
book:
  title: "Книга"
  author: "Автор"
  chapters: [index.qmd, chapters/01-all.qmd]
bibliography: refs.bib
"""
BIB = "@article{he2016, author={He, Kaiming}, title={A}, journal={J}, year={2016}}\n"
CHAPTER = """\
# Всё *сразу* {#sec-all}

На рисунке [-@fig-img], @Fig-img, @fig-right, [сайт](https://ya.ru), [предисловие](../index.qmd).

<!-- скрытое -->

::: {.panel-tabset}
## Первая

```{python}
print("в вкладке")
```

## Вторая

```{python}
#| output: asis
#| echo: false
print("- пункт **раз**")
```

:::

```{python}
#| include: false
hidden = 1
```

```{python}
import sys
print("out"); print("err", file=sys.stderr); hidden + 1
```

```{python}
#| eval: false
never()
```

```{python}
#| error: true
1 / 0
```

::: {.callout-note}
## Про `код`

```{python}
#| label: fig-in
#| fig-cap: "Внутри {{< var acc >}} и @sec-all"
#| fig-alt: "альт"
draw()
```

Сноска^[О @fig-in и [@he2016].].
:::

::: {#fig-duo layout-ncol=2}

![Левая](photo.svg){#fig-left fig-alt="л"}

![Правая](photo.svg){#fig-right fig-alt="п"}

Пара
:::

![Одна](photo.svg){#fig-img fig-alt="красный квадрат" width=50%}

| модуль | код |
|--------|-----|
| $|x|$  | `a` |

: Таблица {#tbl-md}

```{python}
#| label: tbl-html
#| tbl-cap: "HTML"
table()
```

1. Пункт

   ::: {.callout-tip}
   Совет в пункте.
   :::

```{=typst}
#pagebreak()
```
"""
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2">'
    '<rect width="2" height="2" fill="#f00"/></svg>\n'
)
RED = (255, 0, 0)
EXECUTED = [
    """::: {#a .cell execution_count=1}
``` {.python .cell-code}
print("в вкладке")
```

::: {.cell-output .cell-output-stdout}
```
в вкладке
```
:::
:::

""",
    "- пункт **раз**\n\n",
    "\n",
    """::: {#b .cell execution_count=4}
``` {.python .cell-code}
import sys
print("out"); print("err", file=sys.stderr); hidden + 1
```

::: {.cell-output .cell-output-stdout}
```
out
```
:::

::: {.cell-output .cell-output-stderr}
```
err
```
:::

::: {.cell-output .cell-output-display execution_count=4}
```
2
```
:::
:::

""",
    "::: {#c .cell execution_count=5}\n``` {.python .cell-code}\nnever()\n```\n:::\n\n",
    """::: {#d .cell execution_count=6}
``` {.python .cell-code}
1 / 0
```

::: {.cell-output .cell-output-error}
```
ZeroDivisionError: division by zero
```
:::
:::

""",
    """::: {#cell-fig-in .cell execution_count=7}
``` {.python .cell-code}
draw()
```

::: {.cell-output .cell-output-display}
![Внутри {{< var acc >}} и @sec-all](01-all_files/figure-html/fig-1.svg){#fig-in fig-alt='альт'}
:::
:::

""",
    """::: {#tbl-html .cell tbl-cap='HTML' execution_count=8}
``` {.python .cell-code}
table()
```

::: {.cell-output .cell-output-display execution_count=8}
```{=html}
<table><tr><td>1</td></tr></table>
```
:::
:::

""",
]


def freeze(root: Path, document: qmd.Document, parts: list[str]) -> str:
    waiting = iter(parts)
    text = "".join(b.text if isinstance(b, qmd.Prose) else next(waiting) for b in document.blocks)
    path = root / "_freeze/chapters/01-all/execute-results/html.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    frozen = {"hash": document.md5, "result": {"markdown": text}}
    path.write_text(json.dumps(frozen), "utf-8")
    return text


@pytest.fixture
def book(tmp_path) -> Path:
    files = {
        "_quarto.yml": CONFIG,
        "_variables.yml": "acc: '0,9'\n",
        "refs.bib": BIB,
        "index.qmd": "# Предисловие {.unnumbered}\n\nТекст.\n",
        "chapters/01-all.qmd": CHAPTER,
        "chapters/photo.svg": SVG,
        "_freeze/chapters/01-all/figure-html/fig-1.svg": SVG,
    }
    write_files(tmp_path, files)
    freeze(tmp_path, qmd.parse(CHAPTER), EXECUTED)
    return tmp_path


def test_executed_markdown_is_cut_where_the_cells_are(book):
    (_, chapter) = project.load(book).chapters
    text = freeze(book, chapter.document, EXECUTED)
    cut = executed.split(chapter, text)
    assert "".join(piece.text for piece in cut) == text
    assert [p.text.strip() for p in cut if p.cell is not None] == [e.strip() for e in EXECUTED]
    assert [p.cell for p in cut if p.cell is not None] == list(range(len(EXECUTED)))


def test_kinds_of_output(book):
    notebooks.write_notebooks(book)
    code = {c.execution_count: c for c in read(book, "01-all").cells if c.cell_type == "code"}
    assert sorted(n for n in code if n) == [1, 2, 3, 4, 6, 7, 8]  # the fifth is not executed
    assert code[2].outputs[0].data["text/markdown"] == "- пункт **раз**"
    assert code[3].outputs == []
    stdout, stderr, value = code[4].outputs
    assert (stdout.name, stdout.text, stderr.name, stderr.text) == (
        "stdout",
        "out\n",
        "stderr",
        "err\n",
    )
    assert (value.data, value.execution_count) == ({"text/plain": "2"}, 4)
    (error,) = code[6].outputs
    assert (error.ename, error.evalue) == ("ZeroDivisionError", "division by zero")
    (picture,) = code[7].outputs
    png = picture.data.pop("image/png")
    assert picture.data == {"image/svg+xml": SVG, "text/plain": "альт"}
    assert Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").getpixel((1, 1)) == RED
    (table,) = code[8].outputs
    assert table.data == {"text/html": "<table><tr><td>1</td></tr></table>"}


def test_prose_around_and_within_containers(book):
    notebooks.write_notebooks(book)
    cells = read(book, "01-all").cells
    text = prose(read(book, "01-all"))
    assert cells[0].source == "# 1. Всё сразу\n\n*Из книги «Книга».*"
    assert "На рисунке 1.3, Рис. 1.3, рис. 1.2 (b), [сайт](https://ya.ru), предисловие." in text
    order = [
        "**Первая**",
        "**Вторая**",
        "```python\nnever()\n```",
        "**Про `код`**",
        "**Рисунок 1.1.** Внутри 0,9 и Глава 1",
        "**Рисунок 1.2.** Пара: (a) Левая; (b) Правая",
        "**Рисунок 1.3.** Одна",
        "**Таблица 1.1.** Таблица",
        "**Таблица 1.2.** HTML",
        "> **Совет**\n >\n > Совет в пункте.",
        "## Примечания\n\n1. О рис. 1.1 и (He 2016 г.).",
    ]
    places = [text.find(words) for words in order]
    assert -1 not in places and places == sorted(places), dict(zip(order, places, strict=True))
    assert "$\\vert x\\vert$" in text  # a bare | would cut the table's cell
    for trace in (":::", "скрытое", "pagebreak", "{{<", "{#", ".qmd"):
        assert trace not in without_code(text)


def test_pictures_of_the_prose_are_inside(book):
    notebooks.write_notebooks(book)
    pictures = re.findall(r"!\[(.*?)\]\(data:(.*?);base64,(.*?)\)", prose(read(book, "01-all")))
    assert [(alt, media) for alt, media, _ in pictures] == [
        (alt, "image/png") for alt in ("л", "п", "красный квадрат")
    ]
    for _, _, content in pictures:  # GitHub drops an SVG
        assert (
            Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB").getpixel((1, 1)) == RED
        )


def test_links_to_other_pages_lead_to_the_site_if_it_is_known(book):
    config = CONFIG.replace("book:\n", "book:\n  site-url: https://u.example.org/book/\n")
    (book / "_quarto.yml").write_text(config, "utf-8")
    notebooks.write_notebooks(book)
    text = prose(read(book, "01-all"))
    assert "[предисловие](https://u.example.org/book/index.html)" in text
    assert "[«Книга»](https://u.example.org/book/chapters/01-all.html)" in text


def run_setup(source: str, folder: Path) -> subprocess.CompletedProcess:
    """The first code cell in Colab, with commands recorded instead of run."""
    colab = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell.instance()\n"
        "import sys, types, subprocess, os, pathlib\n"
        "sys.modules['google.colab'] = types.ModuleType('google.colab')\n"
        "def run(command, check):\n"
        "    print(' '.join(command[command[0] == sys.executable:]))\n"
        "    if command[0] == 'git': pathlib.Path(command[-1]).mkdir()\n"
        "subprocess.run = run\n"
    )
    code = f"{colab}{source}\nprint(os.getcwd())"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def test_first_cell_fetches_the_release_in_colab(book, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("content")
    packages = (
        "pixgrad:\n  release: v1.2.3\n  notebooks:\n"
        "    every: {json: json==9, absent_module: absent==1.0}\n"
        "    importing: {unused_module: unused==1.0}\n"
    )
    config = CONFIG.replace("book:\n", "book:\n  repo-url: https://example.org/u/pix\n")
    (book / "_quarto.yml").write_text(config + packages, "utf-8")
    notebooks.write_notebooks(book)
    done = run_setup(read(book, "01-all").cells[1].source, elsewhere)
    assert done.stdout.splitlines() == [
        "git clone --depth 1 --branch v1.2.3 https://example.org/u/pix pix",
        "-m pip install --quiet absent==1.0",
        str(elsewhere / "pix"),
    ], done.stderr
    (elsewhere / "pix/_quarto.yml").touch()  # the kernel was restarted: nothing is fetched again
    again = run_setup(read(book, "01-all").cells[1].source, elsewhere)
    assert "git clone" not in again.stdout
    assert again.stdout.splitlines()[-1] == str(elsewhere / "pix"), again.stderr


def test_first_cell_says_that_the_address_is_missing(book, tmp_path_factory):
    notebooks.write_notebooks(book)
    source = read(book, "01-all").cells[1].source
    assert "нет адреса репозитория (book: repo-url в _quarto.yml)" in source
    done = run_setup(source, tmp_path_factory.mktemp("content"))
    assert done.returncode == 1 and done.stderr.startswith("Нет папки книги")
    assert "В Colab загрузите архив книги" in done.stderr
    assert run_setup(source, book / "chapters").stdout.strip() == str(book)


def test_first_cell_sets_the_environment_of_the_book_but_not_over_the_shell(book):
    (book / "_environment").write_text("PYTHONPATH=code\nPIXGRAD_A='один два'\n", "utf-8")
    notebooks.write_notebooks(book)
    source = read(book, "01-all").cells[1].source
    asked = "import os; os.environ.pop('PIXGRAD_A', None)\n"
    for before, value in (("", "один два"), ("os.environ['PIXGRAD_A'] = 'x'\n", "x")):
        done = run_setup(f"{asked}{before}{source}\nprint(os.environ['PIXGRAD_A'])", book)
        assert done.stdout.splitlines()[0] == value, done.stderr


def test_address_without_a_release_is_refused(book):
    config = CONFIG.replace("book:\n", "book:\n  repo-url: https://example.org/u/pix\n")
    (book / "_quarto.yml").write_text(config, "utf-8")
    with pytest.raises(SourceError, match=r"_quarto\.yml:5: .*pixgrad: release"):
        notebooks.write_notebooks(book)


def test_notebooks_of_former_chapters_go_others_stay(book):
    notebooks.write_notebooks(book)
    folder = book / "notebooks"
    own = json.loads((folder / "index.ipynb").read_text("utf-8"))
    (folder / "09-old.ipynb").write_text(json.dumps(own), "utf-8")
    (folder / "mine.ipynb").write_text('{"metadata": {}, "cells": []}', "utf-8")
    notebooks.write_notebooks(book)
    assert sorted(p.name for p in folder.iterdir()) == ["01-all.ipynb", "index.ipynb", "mine.ipynb"]


@pytest.mark.parametrize("by", ["hand", "Jupyter"])
def test_notebook_that_we_did_not_write_is_never_replaced(book, by):
    paths = notebooks.write_notebooks(book)
    mine, others = paths[-1], paths[:-1]
    if by == "hand":
        mine.write_text("{}", "utf-8")
    else:
        notebook = nbformat.read(mine, as_version=4)
        notebook.cells.append(nbformat.v4.new_code_cell("answer = 42"))
        nbformat.write(notebook, mine)
    before = mine.read_bytes()
    for path in others:
        path.unlink()
    with pytest.raises(PixgradError, match=f"{mine.name}: этот блокнот записал не pixgrad, или"):
        notebooks.write_notebooks(book)
    assert mine.read_bytes() == before
    assert not any(path.exists() for path in others)  # refused before anything is written
    mine.rename(mine.with_name("answers.ipynb"))
    assert notebooks.write_notebooks(book) == paths
    assert mine.with_name("answers.ipynb").read_bytes() == before


def test_edited_chapter_is_refused_and_nothing_is_written(book):
    path = book / "chapters/01-all.qmd"
    path.write_text(CHAPTER.replace("Пункт", "Другой пункт"), "utf-8")
    with pytest.raises(SourceError, match=r"chapters/01-all\.qmd: .*pixgrad freeze"):
        notebooks.write_notebooks(book)
    assert not (book / "notebooks").exists()


PRINTING = """\
# Печать {#sec-all}

![Рисунок](photo.svg){#fig-img}

Формула [-@eq-sum] и @fig-img, @sec-index.

$$
a = b
$$ {#eq-sum}

```{python}
#| output: asis
print("Точность $0{,}9$ на @fig-img ([-@fig-img]), по @sec-index и [@he2016]; верно?")
```

```{python}
import sys
sys.audit("pixgrad.source", "photos", "запас")
sys.audit("pixgrad.source", "photos", "запас")
sys.audit("pixgrad.source", "pairs", "папка")
```
"""
PRINTED = [
    "Точность $0{,}9$ на @fig-img ([-@fig-img]), по @sec-index и [@he2016]; верно?\n",
    "::: {#b .cell execution_count=2}\n:::\n",
]


@pytest.fixture
def printing(book) -> nbformat.NotebookNode:
    """A notebook whose cells print text, made and run again."""
    files = {
        "chapters/01-all.qmd": PRINTING,
        "index.qmd": "# Предисловие {#sec-index .unnumbered}\n",
        "_freeze/pixgrad.json": json.dumps(
            {
                "version": 1,
                "chapters": {
                    "chapters/01-all.qmd": {"sources": {"photos": "папка", "pairs": "папка"}}
                },
            }
        ),
    }
    write_files(book, files)
    freeze(book, qmd.parse(PRINTING), PRINTED)
    notebooks.write_notebooks(book)
    return execute(read(book, "01-all"), book / "notebooks")


def test_printed_text_reads_as_in_the_book_when_run_again(printing):
    told_again = [told(cell).strip() for cell in printing.cells if cell.cell_type == "code"]
    chapter = told_again[1].replace("\u00a0", " ")
    assert chapter == (
        "Точность $0{,}9$ на рис. 1.1 (1.1), по Глава 1 и (He 2016 г.); верно?".replace(
            "Глава 1", "Предисловие"
        )
    )


def test_other_data_are_told_once(printing):
    (said,) = [cell for cell in printing.cells if cell.cell_type == "code"][-1].outputs
    assert "Вместо «photos» (папка) здесь взяты «photos» из запас" in said.data["text/markdown"]


def test_references_lead_to_their_places(printing):
    text = markdown(printing)
    assert "[рис. 1.1](#fig-img)" in text
    assert '<a id="fig-img"></a>' in text
    assert "[Предисловие](index.ipynb)" in text
    assert "Формула 1.1" in text  # a formula has no anchor
