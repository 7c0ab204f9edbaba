"""Books drawn from what public Quarto books are written with: nothing lost, nothing falls over.

Every construct carries a word of its own that has to be on the page and in the PDF. What is wrong
in a book has to be told by ``check``, and nothing else.
"""

from __future__ import annotations

import base64
import io
import os
import re
import subprocess
import tempfile
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_books import write_files

from pixgrad.book.checking import check
from pixgrad.book.checking.pages import Book
from pixgrad.book.executing import freeze
from pixgrad.book.rendering import fonts, html_engine, search, typst_engine
from pixgrad.book.source import project as books

WHOLE = int(os.environ.get("PIXGRAD_FUZZ", "2000"))
SAMPLE = 10


def _png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(stream, "png")
    return stream.getvalue()


PNG = _png()
DATA = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"></svg>'


@dataclass(frozen=True)
class Construct:
    """``text``: W stands for the word, NN for a number of its own."""

    text: str
    page: tuple[str, ...] = ("W",)
    """What the text of the page has, alternative texts included."""
    pdf: tuple[str, ...] | None = None
    """The same of the PDF, if it has something else."""
    is_fault: bool = False
    """Whether the author has made a mistake: ``check`` must say so on one of its lines."""


def fault(text: str, page: tuple[str, ...] = ("W",), pdf: tuple[str, ...] | None = None):
    return Construct(text, page, pdf, True)


CONSTRUCTS: Mapping[str, Construct] = {
    name: one if isinstance(one, Construct) else Construct(one)
    for name, one in {
        "paragraph": "Text *W* **b** `c` ~~d~~ x^2^ y~1~ [s]{.smallcaps} \"q\" 'r' -- ---.",
        "heading": "## Head W {#sec-NN}\n\nSee @sec-NN.",
        "skipped level": "#### Deep W",
        "unnumbered": "## Bare W {.unnumbered .unlisted}",
        "second chapter": "# Another W",
        "glued": "*W*.x [W](https://example.org).y",
        "lists": "- one W\n    1. two\n\n        par\n- three\n\n(@ex-NN) example",
        "definitions": "Term W\n\n:   meaning",
        "tasks": "- [x] done W\n- [ ] open",
        "line block": "| one W\n|   two",
        "footnote": "Text[^nNN].\n\n[^nNN]: Note W.",
        "inline footnote": "Text^[note W].",
        "quotation": "> quoted W\n>\n> > deeper",
        "pipe table": "| a | b |\n|---|--:|\n| W | 2 |\n\n: Cap {#tbl-NN}\n\nSee @tbl-NN.",
        "grid table": "+---+---+\n| a | b |\n+===+===+\n| W | c |\n+---+---+",
        "wide table": "| "
        + " | ".join(f"column{n}" for n in range(14))
        + " |\n"
        + "|---" * 14
        + "|\n"
        + "| W " * 14
        + "|",
        "html table": "<table><tr><td>W</td></tr></table>",
        "html inline": "a <span style='color: red'>W</span><br><kbd>K</kbd> <!-- c -->",
        "html block": "<details><summary>More</summary>\n\nInside W.\n\n</details>",
        "html div": "<div class='x'>\n\nInside *W*.\n\n</div>",
        "html frame": Construct(
            '<iframe src="https://example.org/W" width="10"></iframe>',
            ("https://example.org/W",),
        ),
        "code": "```python\nW = 1  # note\n```",
        "code with a name": '```{.python filename="W.py"}\nx = 1\n```',
        "numbered listing": '```{#lst-NN .python lst-cap="Cap W"}\nx = 1\n```\n\n@lst-NN',
        "notes on code": "```python\nx = 1  # <1>\n```\n1. Said W.",
        "indented code": "Text\n\n    code W\n\nmore",
        "fences": "````markdown\n```{python}\nW\n```\n````",
        "cell of R": "```{r}\n#| label: lab-NN\nW <- 1\n```",
        "diagram": Construct("```{mermaid}\ngraph LR\n  W --> B\n```", pdf=()),
        "graph": Construct("```{dot}\ndigraph { W -> B }\n```", pdf=()),
        "callout": "::: {.callout-note}\n## Title W\nBody.\n:::",
        "callout of an attribute": '::: {.callout-warning title="T W"}\n### Head\nBody W.\n:::',
        "callout that folds": '::: {.callout-tip collapse="true"}\nBody W.\n:::',
        "simple callout": '::: {.callout-caution appearance="simple" icon=false}\nW\n:::',
        "labelled callout": "::: {#imp-NN .callout-important}\n## T\nW\n:::\n\n@imp-NN",
        "unknown callout": "::: {.callout-danger}\nW\n:::",
        "tabs": "::: {.panel-tabset}\n## One W\na\n\n## Two\nb\n:::",
        "theorem": '::: {#thm-NN name="Name W"}\nBody\n:::\n\n@thm-NN',
        "exercise": "::: {#exr-NN}\n## Name\n\nBody W $x$.\n:::\n\n::: {.solution}\nS\n:::",
        "proof": "::: {.proof}\nW\n:::",
        "columns": "::: {.columns}\n::: {.column width='30%'}\nW\n:::\n::: {.column}\nb\n:::\n:::",
        "margin": "::: {.column-margin}\nW\n:::\n\nText [aside]{.aside}.",
        "page width": "::: {.column-page}\nW\n:::",
        "own class": "::: {.mine #own-NN style='color: red'}\nText [W]{.also}.\n:::",
        "nested blocks": ":::: {.a}\n::: {.b}\nW\n:::\n::::",
        "layout": "::: {layout-ncol=2}\n![One W](p.png)\n\n![Two](p.svg)\n:::",
        "figure": '![Cap W](p.png){#fig-NN fig-alt="alt" width=50%}\n\nSee @fig-NN.',
        "figure without caption": "![](p.png){#fig-NN}\n\nW @fig-NN",
        "sub-figures": "::: {#fig-NN layout-ncol=2}\n![A](p.png){#fig-NN-a}\n\n"
        "![B](p.svg){#fig-NN-b}\n\nCap W\n:::\n\n@fig-NN-a",
        "picture in a line": "Text ![alt](p.png){height=1em} W.",
        "picture of an address": Construct(f"Text ![]({DATA}) W."),
        "picture elsewhere": "![Far W](https://example.org/x.png)",
        "missing picture": fault("![Gone W](no-NN.png)"),
        "formula": "Inline $x_1$ W.\n\n$$\nE = \\frac{a}{b}\n$$ {#eq-NN}\n\n@eq-NN",
        "aligned": "W\n\n$$\n\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}\n$$",
        "aligned beside": "W "
        "$L = \\left\\{\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}\\right.$",
        "cases": "W $f = \\begin{cases} 1 & x > 0 \\\\ 0 & \\text{else} \\end{cases}$",
        "matrix": "W $\\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix} \\mathbb{R} \\hat{x}$",
        "array": "W $\\left[\\begin{array}{c|c} 1 & 2 \\\\ \\hline 3 & 4 \\end{array}\\right]$",
        "bare environment": "W\n\n\\begin{align}\na &= b\n\\end{align}",
        "macro": "\\newcommand{\\mymac}{\\mathbf{z}}\n\nW $\\mymac$",
        "macro in a formula": "::: {.hidden}\n$$\n"
        "\\newcommand{\\mymac}{\\mathbf{z}}\n$$\n:::\n\nW $\\mymac$",
        "broken formula": fault("W $\\frac{a}{$ x", ("W", "frac"), ("W", "frac")),
        "unknown command": fault("W $\\nosuchNN{a}$", ("W", "nosuchNN"), ("W", "nosuchNN")),
        "tag": "W $$ a = b \\tag{law} $$",
        "for the page": Construct('::: {.content-visible when-format="html"}\nW\n:::', pdf=()),
        "for the PDF": Construct('::: {.content-visible when-format="pdf"}\nW\n:::', (), ("W",)),
        "hidden from the page": Construct(
            '::: {.content-hidden when-format="html"}\nW\n:::', (), ("W",)
        ),
        "inclusion": "W\n\n{{< include _part.qmd >}}",
        "embedded cell": Construct(
            "W\n\n{{< embed apart.ipynb#lone echo=true >}}", ("W", "lone_code", "lone_text")
        ),
        "embedded notebook": Construct(
            "W\n\n{{< embed apart.ipynb >}}", ("W", "Lone_words", "lone_text")
        ),
        "variable": "W {{< var known >}}",
        "metadata": "W {{< meta word >}} {{< env NO_SUCH_NN spare >}} {{< kbd Ctrl-C >}}",
        "page break": "W\n\n{{< pagebreak >}}",
        "film": Construct("W {{< video https://example.org/W.mp4 >}}"),
        "icon": "W {{< fa star >}}",
        "shortcode of an extension": Construct("{{< lipsum W >}}"),
        "unknown variable": fault("W {{< var no.NN >}}", ("W", "no.NN"), ("W", "no.NN")),
        "citation": "W [@known, p. 3] and @known",
        "unknown citation": fault("W [@nobodyNN]", ("W", "nobodyNN"), ("W", "nobodyNN")),
        "unknown reference": fault("W @fig-noneNN", ("W", "fig-noneNN"), ("W", "fig-noneNN")),
        "link to a chapter": "[W](one.qmd)",
        "dead link": fault("[W](gone-NN.qmd)"),
        "dead anchor": fault("[W](#gone-NN)"),
        "empty link": "[W]()",
        "link to a file": "[W](data.csv)",
        "raw LaTeX": "W \\newpage text\\index{word}",
        "raw block of LaTeX": "W\n\n```{=latex}\n\\clearpage\n```",
        "raw block of HTML": "```{=html}\n<p>W</p>\n```",
        "raw block of Word": "W\n\n```{=openxml}\n<w:br/>\n```",
        "code in a line": "W `{python} 1 + 1`",
        "escapes": "W \\* \\# \\@x a_b_c 100% #x $5 and 6\\$ <W@example.org>",
        "letters": Construct("W ąžđ ßø ñ Ελληνικά кириллица"),
        "Chinese": "W 汉字 かな 한글",
        "Arabic": "W مرحبا",
        "emoji": "W 😀 ✅",
        "rule": "W\n\n---\n\n* * *",
        "comment": "W\n\n<!--\n## not\n-->",
        "unclosed block": fault("::: {.callout-note}\nW"),
        "stray fence": fault("W\n\n:::"),
        "code in a list": "1. one\n\n    ```python\n    W = 1\n    ```\n2. two",
        "callout in a list": "- item\n\n  ::: {.callout-note}\n  W\n  :::",
        "abbreviation": "W, z. B. \u00a0x\u2009y\u200bz",
    }.items()
}
ENDS_CHAPTER = ("unclosed block",)
"""What swallows the rest of the chapter stands at its end."""
KEYS = [
    "toc: false\n", "number-sections: false\n", "number-depth: 2\n", "code-fold: true\n",
    "filters: [lightbox, quarto-ext/fontawesome]\n", "crossref: {chapters: true, fig-title: Pic}\n",
    "theme: [cosmo, own.scss]\n", "css: own.css\n", "execute: {freeze: auto}\n",
    "editor: visual\n", "jupyter: python3\n", "format: {html: {toc-depth: 2}, pdf: default}\n",
    "format: {html: default, epub: default, docx: default}\n", "knitr: {opts_chunk: {}}\n",
    "link-citations: true\n", "language: {crossref-fig-title: Pic}\n", "my-key: 1\n",
    "format: {html: {code-tools: true, grid: {body-width: 900px}}}\n", "nocite: '@*'\n",
    "reference-location: margin\n", "fig-cap-location: top\n", "dir: rtl\n", "csl: own.csl\n",
]  # fmt: skip
OUTPUTS = {  # of a notebook's cell: (data or text, what is to be seen of it)
    "stream": None,
    "text": {"text/plain": "W"},
    "html": {"text/html": "<table><tr><td>W</td></tr></table>", "text/plain": "plain"},
    "markdown": {"text/markdown": "*W*", "text/plain": "plain"},
    "latex": {"text/latex": "$W$", "text/plain": "plain"},
    "png": {"image/png": base64.b64encode(PNG).decode(), "text/plain": "<Figure>"},
    "svg": {"image/svg+xml": SVG, "text/plain": "<Figure>"},
    "json": {"application/json": {"key": "W"}, "text/plain": "<IPython.core.display.JSON object>"},
    "plotly": {
        "application/vnd.plotly.v1+json": {"layout": {"title": {"text": "W"}}},
        "text/html": "<div>W</div>",
    },
    "error": None,
}


@dataclass(frozen=True)
class Drawn:
    """A book, and what has to be seen of it."""

    files: dict[str, str]
    page: dict[str, list[str]]
    pdf: list[str]
    faults: dict[str, list[range]]
    """Where the author's mistakes are: lines by file."""


def filled(text: str, number: int) -> str:
    return re.sub(r"\bW\b", f"zq{number}w", text).replace("NN", str(number))


LANGUAGES = ["en", "es", "fr", "de", "pt", "zh", "ja", "ko", "it", "ar"]
FRONT = "---\ntitle: Named\nsubtitle: Sub\nauthor: A B\n---\n\n"


def _name(key: str) -> str:
    return key.split(":")[0]


@st.composite
def drawn_books(draw) -> Drawn:
    language = draw(st.sampled_from(["en", "es", "fr", "de", "pt", "zh", "ja", "ko", "it", "ar"]))
    keys = draw(
        st.lists(st.sampled_from(KEYS), unique_by=lambda one: one.split(":")[0], max_size=4)
    )
    names, count = ["one.qmd", "two.qmd"][: draw(st.integers(1, 2))], 0
    files, page, pdf, faults = {}, {}, [], {}
    for name in names:
        front = draw(
            st.sampled_from(["", "---\ntitle: Named\nsubtitle: Sub\nauthor: A B\n---\n\n"])
        )
        text = front + draw(st.sampled_from(["# Chapter {#sec-NAME}\n\n", "## Lower\n\n", ""]))
        text = text.replace("NAME", name[:3])
        picked = draw(st.lists(st.sampled_from(sorted(CONSTRUCTS)), min_size=1, max_size=7))
        picked.sort(key=ENDS_CHAPTER.__contains__)
        if sum(one in ENDS_CHAPTER for one in picked) > 1:
            picked = [*(one for one in picked if one not in ENDS_CHAPTER), ENDS_CHAPTER[0]]
        page[name], faults[name] = [], []
        for one in picked:
            construct, count = CONSTRUCTS[one], count + 1
            start = text.count("\n") + 1
            text += filled(construct.text, count) + "\n\n"
            page[name] += [filled(word, count) for word in construct.page]
            shown = construct.page if construct.pdf is None else construct.pdf
            pdf += [filled(word, count) for word in shown]
            if construct.is_fault:
                faults[name].append(range(start, text.count("\n") + 1))
        files[name] = text
    if draw(st.booleans()):
        name = "note book.ipynb"
        kinds = draw(st.lists(st.sampled_from(sorted(OUTPUTS)), min_size=1, max_size=4))
        files[name], page[name] = notebook(kinds, count)
        pdf += page[name]
        names.append(name)
    parts = draw(st.booleans())
    listed = [{"part": "Part", "chapters": names}] if parts else list(names)
    config = {
        "project": {"type": "book"},
        "lang": language,
        "word": "from the settings",
        "bibliography": "refs.bib",
        "book": {"title": "Book", "author": "A", "chapters": ["index.qmd", *listed]},
    }
    files |= {
        "_quarto.yml": yaml.safe_dump(config, allow_unicode=True) + "".join(keys),
        "index.qmd": "# Preface {.unnumbered}\n\nWords.\n",
        "_part.qmd": "Included *part*.\n",
        "_variables.yml": "known: yes it is\n",
        "refs.bib": "@book{known, title={T}, author={Known, K.}, year={2000}}\n",
        "own.css": "p { color: red }\n",
        "own.csl": CSL,
        "data.csv": "1\n",
        "p.svg": SVG,
        "apart.ipynb": APART,
    }
    return Drawn(files, page, pdf, faults)


CSL = """<?xml version="1.0" encoding="utf-8"?>
<style xmlns="http://purl.org/net/xbiblio/csl" class="in-text" version="1.0">
<info><title>x</title><id>x</id><updated>2020-01-01T00:00:00+00:00</updated></info>
<citation><layout><text variable="title"/></layout></citation>
<bibliography><layout><text variable="title"/></layout></bibliography>
</style>
"""


def _apart() -> str:
    """What others embed."""
    new = nbformat.v4
    said = new.new_markdown_cell("Lone_words.", id="said")
    text = new.new_output("stream", name="stdout", text="lone_text\n")
    code = new.new_code_cell(
        "lone_code = 1", id="code", outputs=[text], metadata={"tags": ["lone"]}
    )
    return nbformat.writes(new.new_notebook(cells=[said, code]))


APART = _apart()


def notebook(kinds: list[str], count: int) -> tuple[str, list[str]]:
    """The text of a notebook with such outputs, and the words to be seen."""
    new, cells, words = nbformat.v4, [nbformat.v4.new_markdown_cell("# Notes")], []
    for number, kind in enumerate(kinds, count + 1000):
        word = f"zq{number}w"
        cell = new.new_code_cell(f"code_{number} = 1", id=f"cell{number}")
        if kind == "stream":
            cell.outputs = [new.new_output("stream", name="stdout", text=f"{word}\n")]
        elif kind == "error":
            told = {"ename": "Error", "evalue": word, "traceback": [f"Error: {word}"]}
            cell.outputs = [new.new_output("error", **told)]
        else:
            data = {name: _filled(form, word) for name, form in OUTPUTS[kind].items()}
            cell.outputs = [new.new_output("display_data", data=data)]
        cells.append(cell)
        words += [f"code_{number}"] + ([word] if kind not in ("png", "svg") else [])
    cells[0]["id"] = "first"
    return nbformat.writes(new.new_notebook(cells=cells)), words


def _filled(form: object, word: str) -> object:
    if isinstance(form, dict):
        return {key: _filled(value, word) for key, value in form.items()}
    return re.sub(r"\bW\b", word, str(form))


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """Neither typefaces nor the search index: these are the same for every book."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fonts, "write", lambda *rest: None)
        patch.setattr(search, "build_index", lambda site: None)
        yield


def seen(page: str) -> str:
    """All that a reader can come by."""
    soup = BeautifulSoup(page, "html.parser")
    main = soup.find("main")
    attributes = [str(tag.get(name) or "") for tag in main.find_all(True)
                  for name in ("alt", "src", "href", "title")]  # fmt: skip
    text = " ".join([main.get_text(""), *attributes])
    return " ".join(text.split())


def check_book(root: Path, drawn: Drawn) -> None:
    (root / "p.png").write_bytes(PNG)
    project = books.load(write_files(root, drawn.files))
    findings = check.findings(Book(project))
    told = check.faults(project)
    errors = [one for one in findings if not one.is_note]
    unsaid = set(errors) - {one for one in told if not one.is_note}
    assert not unsaid, f"only check says: {list(map(str, unsaid))}"
    for one in told:
        name = one.file.split(" (")[0]
        lines = drawn.files[name].count("\n") + 1
        assert 1 <= one.line <= lines or "(" in one.file, one
    for name, places in drawn.faults.items():
        own = [one.line for one in errors if one.file == name]
        for place in places:
            assert any(line in place for line in own), (name, place, list(map(str, findings)))
        stray = [line for line in own if not any(line in place for place in places)]
        assert not stray, [str(one) for one in errors if one.line in stray]
    freeze.freeze_book(root)
    (root / "site").mkdir()
    html_engine.build_html(project, root / "site")
    for name, words in drawn.page.items():
        text = seen((root / "site" / name).with_suffix(".html").read_text("utf-8"))
        lost = [word for word in words if word not in text]
        assert not lost, f"{name} has lost {lost}: {text}"
    typst_engine.build_pdf(project, root / "book.pdf")
    done = subprocess.run(["pdftotext", "-layout", root / "book.pdf", "-"], capture_output=True)
    text = " ".join(unicodedata.normalize("NFKC", done.stdout.decode()).split())
    lost = [word for word in drawn.pdf if word not in text]
    assert not lost, f"the PDF has lost {lost}: {text}"


def run(drawn: Drawn) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            check_book(Path(folder), drawn)
        except BaseException as error:
            shown = {name: drawn.files[name] for name in ("_quarto.yml", *drawn.page)}
            error.add_note("\n".join(f"==== {name}\n{text}" for name, text in shown.items()))
            raise


SETTINGS = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "phases": [Phase.generate],  # a shrunk book would be told after half an hour
}


@settings(max_examples=SAMPLE, derandomize=True, **SETTINGS)
@given(drawn_books())
def test_a_book_of_common_constructs_is_whole(drawn):
    run(drawn)


@pytest.mark.slow
@settings(max_examples=WHOLE, **SETTINGS)
@given(drawn_books())
def test_many_books_of_common_constructs_are_whole(drawn):
    run(drawn)
