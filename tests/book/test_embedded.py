"""``{{< embed >}}``: cells of notebooks and of other documents, in all three outputs."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
from pathlib import Path
from urllib.parse import unquote

import bs4
import nbformat
import pytest
from PIL import Image
from tiny_books import write, write_files

from pixgrad.book.checking import check
from pixgrad.book.checking.pages import Book
from pixgrad.book.executing import freeze
from pixgrad.book.rendering import html_engine, notebooks, typst_engine
from pixgrad.book.source import embedded
from pixgrad.book.source import project as books
from pixgrad.errors import SourceError

CONFIG = """\
project: {type: book}
lang: en
book:
  title: Book
  author: A
  chapters: [index.qmd, parts/one.qmd]
"""
OTHER = """\
---
title: Other
---

```{python}
#| label: tbl-three
#| tbl-cap: Three
from IPython.display import Markdown
Markdown("| a |\\n|---|\\n| 3 |")
```
"""


def png(colour: str) -> str:
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(stream, "png")
    return base64.b64encode(stream.getvalue()).decode()


def notebook() -> str:
    new, out = nbformat.v4, nbformat.v4.new_output
    red = {"image/png": png("red"), "text/plain": "<Figure>"}
    cells = [
        new.new_markdown_cell("# Of the notebook\n\nSpoken.", id="said"),
        new.new_code_cell(
            "#| label: fig-red\n#| fig-cap: All red\nshow_red()",
            outputs=[out("stream", name="stderr", text="careful\n"), out("display_data", data=red)],
        ),
        new.new_code_cell(
            "count()", outputs=[out("stream", name="stdout", text="42\n")], id="counted"
        ),
        new.new_code_cell(
            "tagged()",
            outputs=[out("stream", name="stdout", text="by its tag\n")],
            metadata={"tags": ["mine"]},
        ),
        new.new_code_cell("#| label: silent\nx = 1"),
    ]
    return nbformat.writes(new.new_notebook(cells=cells))


def book(root: Path, text: str) -> Path:
    return write_files(
        root,
        {
            "_quarto.yml": CONFIG,
            "index.qmd": "# Preface {.unnumbered}\n\nWords.\n",
            "parts/one.qmd": f"# One\n\n{text}\n",
            "data/note book.ipynb": notebook(),
            "data/other.qmd": OTHER,
        },
    )


def page(root: Path) -> bs4.Tag:
    project = books.load(root)
    freeze.freeze_book(root)
    html_engine.build_html(project, root / "site")
    found = bs4.BeautifulSoup((root / "site/parts/one.html").read_text("utf-8"), "lxml")
    return found.find("main")


def test_cells_by_label_id_and_tag_in_all_outputs(tmp_path):
    root = book(
        tmp_path,
        'See @fig-red and @tbl-three.\n\n{{< embed "../data/note book.ipynb#fig-red" >}}\n\n'
        "- item\n\n  {{< embed ../data/note%20book.ipynb#counted,mine echo=true >}}\n\n"
        "{{< embed ../data/other.qmd#tbl-three >}}\n\n"
        '{{< embed "../data/note book.ipynb#said" >}}\n\n'
        "<!-- hidden\n{{< embed nowhere.ipynb >}}\n-->\n\n"
        "```\n{{< embed shown.ipynb >}}\n```\n",
    )
    (root / "site").mkdir()
    main = page(root)
    words = " ".join(main.get_text(" ").replace("\u00a0", " ").split())
    for shown in ("Figure 1.1: All red", "Table 1.1: Three", "See Figure 1.1 and Table 1.1",
                  "count() 42", "tagged() by its tag", "Spoken.", "embed shown.ipynb"):  # fmt: skip
        assert shown in words, (shown, words)
    for hidden in ("show_red", "careful", "Markdown(", "nowhere"):
        assert hidden not in words
    assert main.select_one("#fig-red img") and main.select_one("#tbl-three table td")
    address = unquote(main.select_one("#fig-red img")["src"])
    picture = Path(os.path.normpath(root / "site/parts" / address))  # as a browser does
    assert picture.is_relative_to(root / "site") and Image.open(picture).size == (8, 6)
    assert main.select("li .cell")
    assert [str(one) for one in check.findings(Book(books.load(root))) if not one.is_note] == []
    typst_engine.build_pdf(books.load(root), root / "book.pdf")
    done = subprocess.run(["pdftotext", root / "book.pdf", "-"], capture_output=True, check=True)
    paper = " ".join(done.stdout.decode().replace("\u00a0", " ").split())
    for shown in ("All red", "count()", "42", "by its tag", "Three"):
        assert shown in paper, (shown, paper)
    (written,) = [one for one in notebooks.write_notebooks(root) if "one" in one.name]
    cells = nbformat.read(written, 4).cells
    text = "\n".join(cell.source for cell in cells)
    assert "data:image/png;base64," in text and "42" in text and "by its tag" in text


def test_a_whole_document_stands_without_its_code(tmp_path):
    root = book(tmp_path, '{{< embed "../data/note book.ipynb" warning=true >}}')
    (root / "site").mkdir()
    words = " ".join(page(root).get_text(" ").split())
    for shown in ("Of the notebook", "Spoken.", "All red", "careful", "42", "by its tag"):
        assert shown in words
    assert "count()" not in words


def test_only_what_changed_is_done_again(tmp_path):
    embed = '{{< embed "../data/note book.ipynb#counted" >}}'
    root = book(tmp_path, f"{embed}\n\n```{{python}}\nprint(7)\n```\n")
    freeze.freeze_book(root)
    kept = json.loads((root / "_freeze/pixgrad.json").read_text("utf-8"))["chapters"]
    assert set(kept) == {"parts/one.qmd", "data/note book.ipynb"}
    write(root / "data/note book.ipynb", notebook().replace("42", "43"))
    freeze.freeze_book(root)
    now = json.loads((root / "_freeze/pixgrad.json").read_text("utf-8"))["chapters"]
    assert now["parts/one.qmd"] == kept["parts/one.qmd"]
    project = books.load(root)
    one = next(one for one in project.chapters if one.stem == "one")
    assert "43" in embedded.inserted(project, one, one.document.text, "html")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("gone.ipynb#x", "embed: файла gone.ipynb нет"),
        ("../data/other.qmd#nobody", "embed: в data/other.qmd нет ячейки «nobody»"),
        ("../data/other.csv", "embed: ../data/other.csv: встроить можно"),
    ],
)
def test_what_is_not_there_is_one_line_of_check_and_engine(tmp_path, address, message):
    root = book(tmp_path, f"Text.\n\n{{{{< embed {address} >}}}}")
    told = [str(one) for one in check.findings(Book(books.load(root))) if not one.is_note]
    assert [one for one in told if one.startswith(f"parts/one.qmd:5: {message}")] == told
    (root / "site").mkdir()
    with pytest.raises(SourceError, match=message) as error:
        html_engine.build_html(books.load(root), root / "site")
    assert (error.value.file, error.value.line) == ("parts/one.qmd", 5)


def test_a_cell_that_put_out_nothing_is_told(tmp_path):
    root = book(tmp_path, "{{< embed ../data/note%20book.ipynb#silent >}}")
    (root / "site").mkdir()
    with pytest.raises(SourceError, match=r"ячейка «silent» .*ничего не вывела"):
        page(root)
