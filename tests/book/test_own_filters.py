"""The book's own Lua filters run; those that need Quarto's own library are refused by name."""

from __future__ import annotations

import pytest
from tiny_books import write_book

from pixgrad.book.checking import check
from pixgrad.book.rendering import html_engine, typst_engine
from pixgrad.book.source import project as books
from pixgrad.errors import SourceError

UPPER = "function Str(el) if el.text == 'тихо' then return pandoc.Str('ГРОМКО') end end\n"
LABEL = (
    "function Div(el) if el.classes:includes 'mine' then el.identifier = 'thm-mine' return el end "
    "end\n"
)
EXTENSION = "title: X\ncontributes:\n  filters:\n    - inner.lua\n"
ASKS = "function Pandoc(doc) quarto.doc.add_html_dependency({}) return doc end\n"


def book(folder, filters: str, **files: str):
    text = "# Глава\n\nОчень тихо тут.\n\n::: {.mine}\nСлово.\n:::\n\n@thm-mine\n"
    names = {name.replace("__", "/"): content for name, content in files.items()}
    return write_book(folder, {"a.qmd": text}, names, f"filters: {filters}\n")


def test_filters_of_the_book_and_of_extensions_run_before_the_engines_own(tmp_path):
    root = book(
        tmp_path,
        "[upper.lua, quarto, who/inner]",
        **{
            "upper.lua": UPPER,
            "_extensions__who__inner___extension.yml": EXTENSION,
            "_extensions__who__inner__inner.lua": LABEL,
        },
    )
    project = books.load(root)
    (root / "_out").mkdir()
    html_engine.build_html(project, root / "_out")
    page = (root / "_out" / "a.html").read_text("utf-8")
    assert "ГРОМКО" in page and "тихо" not in page
    assert '<a href="#thm-mine" class="quarto-xref">' in page
    assert "ГРОМКО" in "".join(str(piece) for piece in typst_engine._pieces(project))
    (root / "upper.lua").write_text(UPPER.replace("ГРОМКО", "ЕЩЁ"), "utf-8")
    html_engine.build_html(books.load(root), root / "_out")
    assert "ЕЩЁ" in (root / "_out" / "a.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        ("[asks.lua]", "фильтр asks.lua просит quarto.doc"),
        ("[no.lua]", "фильтра no.lua нет"),
        ("lightbox", "фильтра lightbox нет"),
        ("[{path: asks.lua, at: pre-ast}]", "фильтр asks.lua просит quarto.doc"),
    ],
)
def test_a_filter_that_cannot_run_is_refused_with_its_line(tmp_path, filters, told):
    root = book(tmp_path, filters, **{"asks.lua": ASKS})
    line = (root / "_quarto.yml").read_text("utf-8").split("\n").index(f"filters: {filters}") + 1
    (root / "_out").mkdir()
    with pytest.raises(SourceError) as caught:
        html_engine.build_html(books.load(root), root / "_out")
    assert str(caught.value).startswith(f"_quarto.yml:{line}: filters: {told}")
    assert str(caught.value) in [str(one) for one in check.faults(books.load(root))]
