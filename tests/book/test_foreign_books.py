"""Books that were not written for pixgrad: what is wrong in them is shown as Quarto shows it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from PIL import Image
from tiny_books import write_files

from pixgrad.book import render
from pixgrad.book.checking import check
from pixgrad.book.checking.pages import Book
from pixgrad.book.ledger import qmd
from pixgrad.book.rendering import html_engine, typst_engine
from pixgrad.book.source import project as books
from pixgrad.errors import SourceError

CONFIG = """\
project: {type: book}
lang: es
book:
  title: Libro
  author: Ana
  favicon: no.ico
  chapters: [index.qmd, uno.qmd, dos.qmd]
format:
  html: {theme: [cosmo, propio.scss]}
filters: [lightbox]
"""
FAULTS = {  # where each is told -> what the page and the print show of it
    "uno.qmd:3": ("?fig-ninguna", "?@fig-ninguna"),
    "uno.qmd:5": ("nadie", "nadie"),
    "uno.qmd:7": ('src="falta.png"', "falta.png"),
    "uno.qmd:9": ('src="https://example.org/x.png"', "example.org/x.png"),
    "uno.qmd:11": ('href="otra.html"', "enlace"),
    "uno.qmd:13": ("?var:nada", "?var:nada"),
    "uno.qmd:15": ("lipsum", "lipsum"),
    "uno.qmd:17": ("frac{a}", "frac{a}"),
    "uno.qmd:19": ("Sin cerrar", "Sin cerrar"),
    "dos.qmd:3": ("Segunda figura", "Segunda figura"),
}
UNO = """\
# Uno

Véase @fig-ninguna y @fig-a.

Como dice [@nadie].

![Falta](falta.png)

![Lejos](https://example.org/x.png)

Un [enlace](otra.qmd) muerto.

Vale {{< var nada >}} y {{< fa star >}}.

Texto {{< lipsum 2 >}} aquí.

Fórmula $\\frac{a}{$ rota.

::: {.callout-note}
Sin cerrar.

![Primera figura](p.svg){#fig-a}
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"></svg>'


def printed(pdf: Path) -> str:
    done = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, check=True)
    return " ".join(done.stdout.decode().split())


def test_faults_are_told_and_shown_as_quarto_shows_them(tmp_path):
    root = write_files(
        tmp_path,
        {
            "_quarto.yml": CONFIG,
            "index.qmd": "# Prefacio {.unnumbered}\n\nHola.\n",
            "uno.qmd": UNO,
            "dos.qmd": "# Dos\n\n![Segunda figura](p.svg){#fig-a}\n\nLa @fig-a.\n",
            "p.svg": SVG,
        },
    )
    project = books.load(root)
    told = [str(one) for one in check.faults(project)]
    places = {":".join(line.split(":")[:2]) for line in told}
    assert FAULTS.keys() <= places, told
    assert {"_quarto.yml:6", "_quarto.yml:9", "_quarto.yml:10"} <= places
    (root / "site").mkdir()
    html_engine.build_html(project, root / "site")
    typst_engine.build_pdf(project, root / "book.pdf")
    pages = {name: (root / "site" / f"{name}.html").read_text("utf-8") for name in ("uno", "dos")}
    text = printed(root / "book.pdf")
    for place, (on_page, in_print) in FAULTS.items():
        assert on_page in pages[place.split(".")[0]], place
        assert in_print in text, place
    number = re.search(r"quarto-xref[^>]*>([^<]*)<", pages["dos"])[1]
    assert number.endswith("2.1")  # its own


def test_check_says_the_same_as_the_engine(tmp_path):
    root = write_files(
        tmp_path,
        {"_quarto.yml": CONFIG, **dict.fromkeys(("index.qmd", "uno.qmd", "dos.qmd"), "# T\n")},
    )
    project = books.load(root)
    errors = [one for one in check.findings(Book(project)) if not one.is_note]
    assert [(one.file, one.line) for one in errors] == [("_quarto.yml", 6)]
    assert set(errors) <= set(check.faults(project))


def notebook() -> nbformat.NotebookNode:
    """Executed elsewhere: what it shows is only in its outputs."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(stream, "png")
    png = base64.b64encode(stream.getvalue()).decode()
    new, out = nbformat.v4, nbformat.v4.new_output
    return new.new_notebook(
        cells=[
            new.new_raw_cell("---\ntitle: Cuaderno\n---"),
            new.new_markdown_cell(
                "## Parte {#sec-nb}\n\n@fig-plot ![pegada](attachment:a.png)",
                attachments={"a.png": {"image/png": png}},
            ),
            new.new_code_cell(
                "#| label: fig-plot\n#| fig-cap: Curva\nno_such_name.plot()",
                outputs=[out("display_data", data={"image/png": png, "text/plain": "<F>"})],
            ),
            new.new_code_cell(
                "secreto()",
                metadata={"tags": ["remove-input"]},
                outputs=[out("stream", name="stdout", text="salida\n")],
            ),
            new.new_code_cell(""),
            new.new_markdown_cell("Primera\n\n[aquí](#nada)"),
        ]
    )


def test_a_notebook_is_a_chapter_with_the_outputs_it_has(tmp_path, capsys):
    config = CONFIG.replace("uno.qmd, dos.qmd", "'otro cuaderno.ipynb'").replace("no.ico", "p.svg")
    index = "# Prefacio {.unnumbered}\n\nVa a [otro](otro%20cuaderno.ipynb#sec-nb), @sec-nb.\n"
    root = write_files(tmp_path, {"_quarto.yml": config, "index.qmd": index, "p.svg": SVG})
    nbformat.write(notebook(), root / "otro cuaderno.ipynb")
    render.render_book(root, engine="pandoc")
    assert "otro cuaderno.ipynb (ячейка 6):3: якоря #nada" in capsys.readouterr().out
    page = (root / "_book/otro cuaderno.html").read_text("utf-8")
    assert all(text in page for text in ("Cuaderno", "no_such_name", "salida", "Figura 1.1"))
    assert "secreto" not in page and page.count("<img") == 2
    assert 'href="otro%20cuaderno.html#sec-nb"' in (root / "_book/index.html").read_text("utf-8")
    text = printed(root / "_book/Libro.pdf")
    assert all(word in text for word in ("Cuaderno", "salida", "Curva", "Primera"))
    edited = notebook()
    edited.cells[3].outputs[0].text = "otra cosa\n"
    nbformat.write(edited, root / "otro cuaderno.ipynb")
    render.render_book(root, engine="pandoc", formats=["html"])
    assert "otra cosa" in (root / "_book/otro cuaderno.html").read_text("utf-8")


def test_what_is_no_notebook_is_refused(tmp_path):
    (tmp_path / "a.ipynb").write_text("{}")
    with pytest.raises(SourceError, match=r"^a\.ipynb: это не блокнот"):
        qmd.read(tmp_path / "a.ipynb", shown_as="a.ipynb")


SETTINGS = """\
project: {type: book}
lang: fr
dir: rtl
number-depth: 1
crossref: {chapters: true, fig-prefix: fig.}
book:
  title: Livre
  author: Anne
  repo-url: https://example.org/r
  repo-subdir: sub
  repo-actions: [edit, issue]
  cover-image: p.svg
  chapters:
    - index.qmd
    - {text: Nom court, file: un.qmd}
    - {part: partie.qmd, chapters: [deux.qmd]}
"""


def test_settings_of_other_books_are_obeyed(tmp_path):
    un = (
        "Avant.\n\n## Premier titre {#sec-a}\n\n### Dessous {#sec-b}\n\n@sec-b, @fig-c, @lst-d.\n\n"
        "![](p.svg){#fig-c}\n\n::: {#lst-d .cell}\n``` {.python .cell-code lst-cap='Du code'}\n"
        "x = 1\n```\n:::\n\n::: {.callout-note appearance='simple'}\nSans titre.\n:::\n"
    )
    index = "# Préface\n\nMots.\n"
    deux = "# Deux\n\n::: {.callout-tip title='Titre'}\nMots.\n:::\n"
    files = {"un.qmd": un, "deux.qmd": deux, "partie.qmd": "# Partie\n\nMots.\n", "p.svg": SVG}
    root = write_files(tmp_path, {"_quarto.yml": SETTINGS, "index.qmd": index, **files})
    assert [str(one) for one in check.faults(books.load(root))] == []
    (root / "site").mkdir()
    html_engine.build_html(books.load(root), root / "site")
    first, page = ((root / "site" / name).read_text("utf-8") for name in ("index.html", "un.html"))
    assert re.findall(r"<h1[^>]*>(.*?)</h1>", re.sub("<span.*?>|</span>", "", first)) == [
        "Livre",
        "1 Préface",
    ]
    assert 'class="quarto-cover-image"' in first and "Nom court" in first
    address = "https://example.org/r/edit/main/sub/un.qmd"
    assert f'href="{address}">Modifier cette page</a>' in page
    shown = " ".join(re.sub(r"<[^>]+>", "", page[page.index("<main") :]).split())
    assert "2&nbsp; Premier titre" in shown and "Dessous Section 2.0.1" in shown
    assert "fig. 2.1, Listing 2.1" in shown and "Listing 2.1: Du code" in shown
    assert shown.index("Premier titre") < shown.index("Avant.")
    second = (root / "site/deux.html").read_text("utf-8")
    titles = re.findall('callout-title-container">(.*?)</span>\n', second)
    assert [re.sub("<.*?>", "", one) for one in titles] == ["AstuceTitre"]
    assert second.count(">Partie<") == 2  # in the contents and as the page before
    assert "callout-titled" not in page and '<html lang="fr" dir="rtl">' in page


def test_a_python_kernel_of_another_name_is_ours(tmp_path):
    config = CONFIG.replace("no.ico", "p.svg") + "jupyter: minuevo\n"
    text = "# Uno\n\n```{python}\n#| my-own: 1\nprint('hecho')\n```\n"
    dos = "# Dos\n\n$$\n\\newcommand{\\mac}{\\mathbf{z}}\n$$\n\n$\\mac$\n"
    root = write_files(
        tmp_path,
        {
            "_quarto.yml": config,
            "index.qmd": "# P\n",
            "uno.qmd": text,
            "dos.qmd": dos,
            "p.svg": SVG,
        },
    )
    found = check.faults(books.load(root))
    assert {(one.file, one.line, one.is_note) for one in found} >= {("_quarto.yml", 11, True)}
    assert all(one.is_note for one in found), found
    render.render_book(root, engine="pandoc", formats=["html"])
    assert "hecho" in (root / "_book/uno.html").read_text("utf-8")
    dos = (root / "_book/dos.html").read_text("utf-8")
    assert "\\mathbf{z}</annotation>" in dos and "newcommand" not in dos


FROZEN = """::: {.cell execution_count=1}
``` {.python .cell-code}
import no_such_package
```

::: {.cell-output .cell-output-stdout}
```
congelado
```
:::
:::
"""


def test_what_quarto_has_frozen_is_not_executed_again(tmp_path, capsys):
    cell = "```{python}\nimport no_such_package\n```"
    uno = f"# Uno\n\n{cell}\n\nTexto ![Rota](rota.png).\n"
    config = CONFIG.replace("uno.qmd, dos.qmd", "uno.qmd") + "execute: {freeze: auto}\n"
    result = {"engine": "jupyter", "markdown": uno.replace(cell, FROZEN)}
    frozen = {"hash": hashlib.md5(uno.encode()).hexdigest(), "result": result}
    root = write_files(
        tmp_path,
        {
            "_quarto.yml": config,
            "index.qmd": "# P\n",
            "uno.qmd": uno,
            "rota.png": "no",
            "_freeze/uno/execute-results/html.json": json.dumps(frozen),
        },
    )
    render.render_book(root, engine="pandoc")
    assert "rota.png: Typst не читает эту картинку" in capsys.readouterr().out
    assert "congelado" in (root / "_book/uno.html").read_text("utf-8")
    assert all(word in printed(root / "_book/Libro.pdf") for word in ("congelado", "Rota"))
    (root / "uno.qmd").write_text(uno.replace("Texto", "Otro"), "utf-8")
    with pytest.raises(SourceError, match=r"uno\.qmd:4: .*no_such_package"):
        render.render_book(root, engine="pandoc")
