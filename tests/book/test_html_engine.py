"""The embedded HTML engine against real Quarto's pages and against numbers counted by hand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import tiny_books
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pixgrad.book.rendering import crossref, html_engine, pandoc
from pixgrad.book.source import project as books
from pixgrad.errors import SourceError

bs4 = pytest.importorskip("bs4")

REFERENCE = Path(__file__).parent.parent / "quarto-reference"
BIB = "@book{knuth, title={Art}, author={Knuth, Donald}, year={1968}, publisher={AW}}\n"


def write_book(folder: Path, config: str = "", **chapters: str) -> Path:
    """A book of the given chapters (index by default), with a bibliography and a picture."""
    index = chapters.pop("index", "# Начало {.unnumbered}\n")
    texts = {f"{name}.qmd": text for name, text in chapters.items()}
    tiny_books.write_book(folder, texts, {"index.qmd": index, "refs.bib": BIB}, config)
    Image.new("L", (3, 2)).save(folder / "p.png")
    return folder


def build(folder: Path, out: str = "_out") -> Path:
    target = folder / out
    target.mkdir()
    html_engine.build_html(books.load(folder), target)
    return target


def page(folder: Path, name: str = "a") -> bs4.BeautifulSoup:
    return bs4.BeautifulSoup((folder / f"{name}.html").read_text(), "lxml")


# Real Quarto's pages ---------------------------------------------------------------------------

QUARTO_FAULTS = {
    # The bibliography page in English style.
    ("chapters/references.html", "bibliography"): [
        "Lowe, David G. 2004 г. «Distinctive Image Features from Scale-Invariant Keypoints». "
        "International Journal of Computer Vision 60 (2): 91–110."
    ],
    ("chapters/references.html", "text"): (
        "Lowe, David G. 2004 г. «Distinctive Image Features from Scale-Invariant Keypoints» . "
        "International Journal of Computer Vision 60 (2): 91–110."
    ),
}
"""Where Quarto is at fault: what the page should say instead."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    """The reference book, rendered; only its committed ``_freeze`` is at hand."""
    folder = tmp_path_factory.mktemp("reference") / "book"
    shutil.copytree(REFERENCE, folder)
    return build(folder)


@pytest.fixture(scope="module")
def facts(reference) -> dict:
    script = REFERENCE / "extract_structure.py"
    answer = subprocess.run(
        [sys.executable, script, reference], capture_output=True, text=True, check=True
    )
    return json.loads(answer.stdout)


EXPECTED = json.loads((REFERENCE / "expected-html.json").read_text())


def words(text: str) -> list[str]:
    """Without the numbers of formulas, which Quarto writes into the TeX."""
    text = re.sub(r"(\\qquad)?\(\s*(\w+\s*\.\s*)?\d+\s*\)", "", text)
    return re.findall(r"\w+|[^\w\s:]", text)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("fact", EXPECTED["index.html"])
def test_facts_of_the_reference_book_are_quartos(facts, name, fact):
    wanted = QUARTO_FAULTS.get((name, fact), EXPECTED[name][fact])
    if fact == "text":  # spaces around formulas
        assert words(facts[name][fact]) == words(wanted)
    else:
        assert facts[name][fact] == wanted


def test_the_list_of_faults_holds_only_differences(facts):
    assert facts.keys() == EXPECTED.keys()
    for (name, fact), ours in QUARTO_FAULTS.items():
        assert EXPECTED[name][fact] != ours


def test_every_address_of_the_reference_site_leads_somewhere(reference):
    ids = {
        path: set(re.findall(r'\bid="([^"]+)"', path.read_text()))
        for path in reference.rglob("*.html")
    }
    assert len(ids) == 7  # the page of errors among them
    for path in ids:
        found = re.findall(r'(?<!<base )\b(?:src|href)="([^"]+)"', path.read_text())
        assert len(found) > 10
        for address in found:
            if address.startswith("data:"):
                continue
            assert "//" not in address, f"{path.name} asks another host: {address}"
            file, _, anchor = unquote(address).partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.is_file(), f"{path.name}: {address}"
            assert not anchor or anchor in ids[target], f"{path.name}: {address}"


# What surrounds a page -------------------------------------------------------------------------


def test_a_site_with_an_address_tells_it_to_search_engines(tmp_path):
    config = "  site-url: https://example.org/book/\n  repo-url: https://github.com/who/book\n"
    folder = write_book(tmp_path / "book", a="# Глава\n\nТекст *главы*.\n")
    path = folder / "_quarto.yml"
    path.write_text(path.read_text().replace("book:\n", f"book:\n{config}", 1))
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "a.ipynb").write_text("{}")
    out = build(folder)
    made = page(out)
    assert made.find("link", rel="canonical")["href"] == "https://example.org/book/a.html"
    assert made.find("meta", attrs={"name": "description"})["content"] == "Текст главы."
    ways = {a.text: a["href"] for a in made.select(".ways-out a")}
    assert ways == {
        "Блокнот": "https://github.com/who/book/blob/main/notebooks/a.ipynb",
        "Colab": "https://colab.research.google.com/github/who/book/blob/main/notebooks/a.ipynb",
        "Исходник": "https://github.com/who/book/blob/main/a.qmd",
    }
    locations = re.findall("<loc>(.*?)</loc>", (out / "sitemap.xml").read_text())
    assert locations == [f"https://example.org/book/{name}.html" for name in ("index", "a")]
    assert page(out, "404").find("base")["href"] == "/book/"


def test_a_site_without_an_address_leads_to_its_own_copies(tmp_path):
    folder = write_book(tmp_path / "book", a="# Глава\n")
    out = folder / "_out"
    out.mkdir()
    html_engine.build_html(books.load(folder), out, "Моя-книга.pdf")
    ways = {a.text: unquote(a["href"]) for a in page(out).select(".ways-out a")}
    assert ways == {"PDF": "Моя-книга.pdf", "Исходник": "a.qmd"}
    assert (out / "a.qmd").read_text() == (folder / "a.qmd").read_text()
    assert not (out / "sitemap.xml").exists()


def test_cells_that_show_nothing_join_the_code_below(tmp_path):
    cells = "::: {.cell}\n``` {.python .cell-code}\na = 1\n```\n:::\n\n"
    shown = (
        "::: {.cell}\n``` {.python .cell-code}\nb = 2\n```\n\n::: {.cell-output}\nитог\n:::\n:::\n"
    )
    out = build(write_book(tmp_path / "book", a="# Глава\n\n" + cells + cells + shown))
    (code,) = page(out).select("pre code")
    assert code.text.split() == ["a", "=", "1", "a", "=", "1", "b", "=", "2"]


# Numbers ---------------------------------------------------------------------------------------

SNIPPETS = {
    "fig": "![Подпись](p.png){{#fig-{0}}}\n",
    "tbl": "| a |\n|---|\n| 1 |\n\n: Таблица {{#tbl-{0}}}\n",
    "eq": "$$\na = b\n$$ {{#eq-{0}}}\n",
    "lst": '```{{#lst-{0} .python lst-cap="Код"}}\n1\n```\n',
    "thm": "::: {{#thm-{0}}}\nТекст.\n:::\n",
    "sec": "## Раздел {{#sec-{0}}}\n",
}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.booleans(), st.lists(st.sampled_from(sorted(SNIPPETS)), max_size=7)),
        min_size=1,
        max_size=3,
    )
)
def test_numbers_follow_the_order_of_the_document(tmp_path_factory, plan):
    texts, expected, numbered = {}, {}, 0
    for place, (is_numbered, kinds) in enumerate(plan):
        numbered += is_numbered
        text = f"# Глава{'' if is_numbered else ' {.unnumbered}'}\n\n"
        for at, kind in enumerate(kinds):
            name = f"{place}-{at}"
            text += SNIPPETS[kind].format(name) + "\n"
            count = kinds[: at + 1].count(kind)
            prefix = f"{numbered}." if is_numbered else ""
            unnumbered = kind == "sec" and not is_numbered
            expected[f"{kind}-{name}"] = "" if unnumbered else f"{prefix}{count}"
        texts[f"c{place}"] = text
    folder = write_book(tmp_path_factory.mktemp("numbers"), **texts)
    labels = crossref.Index(books.load(folder)).labels
    assert {id: label.number for id, label in labels.items()} == expected


LANGUAGE = """\
language:
  crossref-fig-prefix: "рис."
  crossref-tbl-prefix: "табл."
  crossref-eq-prefix: "формула"
"""
TARGETS = """\
# Глава {#sec-ch}

![Одна](p.png){#fig-one}

::: {#fig-two layout-ncol=2}
![левая](p.png){#fig-two-left}

![правая](p.png)

Две
:::

$$ a $$ {#eq-a}

::: {#tbl-t}
| a |
|---|
| 1 |

Таблица
:::

## Раздел {#sec-b}
"""
REFERENCES = {
    "@fig-one": "рис. 1.1",
    "@Fig-one": "Рис. 1.1",
    "[-@fig-one]": "1.1",
    "[рисунок @fig-one]": "рисунок 1.1",
    "[@fig-one; @tbl-t]": "рис. 1.1, табл. 1.1",
    "@fig-two": "рис. 1.2",
    "@fig-two-left": "рис. 1.2 (a)",
    "@fig-two-2": "рис. 1.2 (b)",
    "(@eq-a)": "(формула 1.1)",
    "@tbl-t.": "табл. 1.1.",
    "@sec-ch": "Глава 1",
    "@sec-b": "Раздел 1.1",
    "[-@sec-b]": "1.1",
    "**@fig-one**": "рис. 1.1",
    "`@fig-one`": "@fig-one",
    "user\\@fig-one": "user@fig-one",
    "[@knuth]": "(Knuth 1968 г.)",
    "[@knuth, с. 5]": "(Knuth 1968 г., 5)",
}


@pytest.fixture(scope="module")
def referring(tmp_path_factory) -> Path:
    uses = "".join(f"См. [{source}]{{.use}}\n\n" for source in REFERENCES)
    folder = write_book(
        tmp_path_factory.mktemp("uses"),
        "bibliography: refs.bib\n" + LANGUAGE,
        index=f"# Начало {{.unnumbered}}\n\n{uses}",
        a=TARGETS,
        b=f"# Другая\n\n{uses}",
    )
    return build(folder)


@pytest.mark.parametrize("source", REFERENCES)
def test_text_of_a_reference(referring, source):
    place = list(REFERENCES).index(source)
    found = page(referring, "b").select("span.use")[place].get_text().strip()
    assert found.replace("\u00a0", " ") == REFERENCES[source]


def test_pages_without_a_number_name_sections_by_title(referring):
    uses = page(referring, "index").select("span.use")
    texts = dict(zip(REFERENCES, (use.get_text().strip() for use in uses), strict=True))
    assert texts["@sec-ch"].split() == ["1", "Глава"]
    assert texts["@sec-b"] == "Раздел"
    assert texts["@fig-one"].replace("\u00a0", " ") == "рис. 1.1"


def test_references_lead_to_their_page(referring):
    hrefs = [a["href"] for a in page(referring, "b").select("a.quarto-xref")]
    assert hrefs[:3] == ["a.html#fig-one"] * 3
    assert "a.html" in hrefs, "a chapter is the page itself"


# Constructs ------------------------------------------------------------------------------------


@pytest.fixture
def render(tmp_path):
    """Build one chapter ``a`` and return its page."""

    def render(text: str, config: str = "", **others: str) -> bs4.BeautifulSoup:
        folder = write_book(tmp_path / "book", config, a="# Глава\n\n" + text, **others)
        return page(build(folder))

    return render


@pytest.mark.parametrize("kind", ["note", "tip", "warning", "important", "caution"])
def test_every_kind_of_callout(render, kind):
    source = f"::: {{.callout-{kind}}}\nбез\n:::\n\n::: {{.callout-{kind} title='Имя $x$'}}\nс\n:::"
    first, second = render(source).select(f"div.callout-{kind}")
    assert first.select_one(".callout-title-container").get_text().strip()
    assert not first.select(".visually-hidden")
    assert second.select_one(".callout-title-container").get_text().strip().startswith("Имя")
    assert second.select_one(".callout-title-container math")


def test_notes_beside_the_text_keep_quartos_classes_and_their_numbers(render):
    found = render(
        "Слово[сбоку]{.aside}.\n\n::: {.column-margin}\nНа поле.\n:::\n\n"
        "![Рисунок](p.png){#fig-a .column-margin fig-alt='Точка'}\n\n"
        "::: {#fig-b .column-margin}\n![](p.png){fig-alt='Точка'}\n\nПодпись\n:::\n\n"
        "::: {#fig-c .cell .column-margin}\n![В ячейке](p.png){fig-alt='Точка'}\n:::\n"
    )
    assert found.select_one("p + div.aside").get_text().strip() == "сбоку"
    assert found.select_one("p").get_text() == "Слово."
    assert found.select_one("div.column-margin").get_text().strip() == "На поле."
    assert found.select_one("figure#fig-a img.column-margin")
    assert found.select_one("div.column-margin > figure#fig-b")
    assert found.select_one("div#cell-fig-c.column-margin > figure#fig-c")
    captions = [one.get_text() for one in found.select("figcaption > strong")]
    assert [text.rstrip(": ")[-3:] for text in captions] == ["1.1", "1.2", "1.3"]


@pytest.mark.parametrize(
    ("fold", "per_cell", "wanted"),
    [
        ("true", "", ["closed"]),
        ("false", "", []),
        ("show", "", ["open"]),
        ("true", " code-fold='false'", []),
        ("false", " code-fold='show'", ["open"]),
    ],
)
def test_code_folds_as_the_book_or_the_cell_says(render, fold, per_cell, wanted):
    source = f"::: {{.cell}}\n``` {{.python .cell-code{per_cell}}}\n1\n```\n:::"
    found = render(source, f"format:\n  html:\n    code-fold: {fold}\n").select("details.code-fold")
    assert ["open" if block.has_attr("open") else "closed" for block in found] == wanted


def test_layout_gives_the_rows_their_widths(render):
    pictures = "\n\n".join(f"![{name}](p.png)" for name in "абв")
    main = render(f'::: {{#fig-x layout="[[30,70],[1]]"}}\n{pictures}\n\nВсе\n:::').main
    rows = main.select("#fig-x > .quarto-layout-row")
    styles = [[cell["style"] for cell in row.select(".quarto-layout-cell")] for row in rows]
    shares = [[float(style.split()[1]) for style in row] for row in styles]
    assert shares == [[0.3, 0.7], [1]]
    captions = [caption.get_text().strip() for caption in main.select("figcaption")]
    assert captions == ["(a) а", "(b) б", "(c) в", "Рисунок\u00a01.1: Все"]


def test_pictures_have_their_size_and_alternative_text(render):
    image = render('![Подпись](p.png){#fig-x fig-alt="Что видно"}').main.img
    assert (image["width"], image["height"], image["alt"]) == ("3", "2", "Что видно")


def test_content_for_other_formats_is_left_out(render):
    main = render(
        "::: {.content-visible when-format='html'}\nA\n:::\n"
        "\n::: {.content-hidden when-format='html'}\nB\n:::\n"
        "\n::: {.content-visible unless-format='html'}\n![C](p.png){#fig-c}\n:::\n"
        "\n[D]{.content-visible when-format='typst'} [E]{.content-hidden when-format='typst'}\n"
        "\n![F](p.png){#fig-f}\n"
    ).main
    body = main.get_text().split()
    assert "A" in body and "E" in body and not {"B", "D"} & set(body)
    assert "Рисунок\u00a01.1: F" in main.get_text(), "a hidden figure takes no number"


def test_tabs_and_their_panes_know_each_other(render):
    main = render("::: {.panel-tabset}\n## А\nодин\n\n## Б\nдва\n:::\n\n## Раздел").main
    tabs = main.select(".panel-tabset .nav-link")
    panes = [main.find(id=tab["aria-controls"]) for tab in tabs]
    assert [tab.get_text().strip() for tab in tabs] == ["А", "Б"]
    assert [pane.get_text().strip() for pane in panes] == ["один", "два"]
    assert [pane["aria-labelledby"] for pane in panes] == [tab["id"] for tab in tabs]
    for pane in panes:  # always in this order: the same book gives the same bytes
        assert list(pane.attrs) == ["id", "class", "role", "aria-labelledby"]
    assert main.h2.get_text() == "1.1 Раздел", "tabs are not numbered"


def test_theorems_and_proofs(render):
    main = render(
        '::: {#def-x name="Имя"}\nТекст.\n:::\n\n::: {.proof}\nЯсно.\n:::\n\n'
        "::: {#def-y}\nЕщё.\n:::\n"
    ).main
    texts = [" ".join(div.get_text().split()) for div in main.select(".theorem, .proof")]
    assert texts == [
        "Определение 1.1 (Имя) Текст.",
        "Доказательство. Ясно.",
        "Определение 1.2 Ещё.",
    ]


def test_a_chapter_may_have_its_title_in_the_front_matter(tmp_path):
    front = "---\ntitle: Имя & дело\n---\n\nТекст.\n\n![x](p.png){#fig-x}\n"
    soup = page(build(write_book(tmp_path, a=front)))
    assert soup.h1.get_text().split() == ["1", "Имя", "&", "дело"]
    assert soup.title.get_text().replace("\u00a0", "") == "1 Имя & дело – Проба"
    assert "1.1" in soup.figcaption.get_text()


def test_variables_become_markdown(tmp_path):
    folder = write_book(tmp_path, a="# Г\n\n{{< var a.b >}} и `{{{< var a.b >}}}`.\n")
    (folder / "_variables.yml").write_text("a: {b: '**5,1**'}\n")
    paragraph = page(build(folder)).main.p
    assert paragraph.strong.get_text() == "5,1"
    assert paragraph.code.get_text() == "{{< var a.b >}}"


def test_the_bibliography_page_lists_the_whole_book(tmp_path):
    folder = write_book(
        tmp_path,
        "bibliography: refs.bib\n",
        a="# А\n\nВ [@knuth].\n",
        b="# Б\n\nНичего.\n",
        refs="# Литература {.unnumbered}\n\n::: {#refs}\n:::\n",
    )
    out = build(folder)
    entries = {name: len(page(out, name).select(".csl-entry")) for name in ("a", "b", "refs")}
    assert entries == {"a": 1, "b": 0, "refs": 1}


def test_titles_keep_their_markup_in_the_sidebar(render):
    soup = render("текст", b="# *Курсив* и `код` & {#sec-b}\n")
    last = soup.select("#quarto-sidebar .menu-text")[-1]
    assert last.em.get_text() == "Курсив" and last.code.get_text() == "код"


# Errors ----------------------------------------------------------------------------------------

ERRORS = {
    "dangling reference": ("Строка.\n\nСм. @fig-none.", "a.qmd:5", "@fig-none"),
    "reference in a group": (
        "См. [@fig-x; @tbl-none].\n\n![x](p.png){#fig-x}",
        "a.qmd:3",
        "@tbl-n",
    ),
    "label twice": ("![x](p.png){#fig-x}\n\n![y](p.png){#fig-x}", "a.qmd:5", "fig-x"),
    "variable": ("текст\n{{< var no.such >}}", "a.qmd:4", "no.such"),
    "shortcode": ("{{< embed x.ipynb >}}", "a.qmd:3", "embed"),
    "picture": ("\n\n![нет](none.png)", "a.qmd:5", "none.png"),
    "picture elsewhere": ("![x](https://example.org/x.png)", "a.qmd:3", "example.org"),
    "raw picture": ('<img src="gone.png">', "a.qmd:3", "gone.png"),
    "chapter not listed": ("[там](other.qmd#x)", "a.qmd:3", "other.qmd"),
    "citation": ("Как в [@nobody].", "a.qmd:3", "@nobody"),
    "formula": ("Тут\n\n$$\n\\frac{a}{\n$$\n", "a.qmd:6", "frac"),
    "unclosed div": ("::: {.callout-note}\nтекст", "a.qmd:3", "не закрыт"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_mistake_is_told_with_its_line(tmp_path, case):
    text, place, words = ERRORS[case]
    folder = write_book(tmp_path / "book", "bibliography: refs.bib\n", a="# Глава\n\n" + text)
    with pytest.raises(SourceError) as caught:
        build(folder)
    message = str(caught.value)
    assert message.startswith(f"{place}: ") and words in message and "\n" not in message


@pytest.mark.parametrize(
    ("config", "place", "words"),
    [
        ("bibliography: none.bib\n", "_quarto.yml:17", "none.bib"),
        ("csl: none.csl\n", "_quarto.yml:17", "none.csl"),
        ("format: {html: [}\n", "_quarto.yml:17", "YAML"),
        ("filters: [x.lua]\n", "_quarto.yml:17", "filters"),
    ],
)
def test_a_mistake_in_the_configuration_is_told_with_its_line(tmp_path, config, place, words):
    folder = write_book(tmp_path / "book", config, a="# Глава\n")
    with pytest.raises(SourceError) as caught:
        build(folder)
    assert str(caught.value).startswith(f"{place}: ") and words in str(caught.value)


def test_a_label_of_two_chapters_names_both(tmp_path):
    figure = "\n\n![x](p.png){#fig-x}\n"
    folder = write_book(tmp_path, a="# А" + figure, b="# Б\n" + figure)
    with pytest.raises(SourceError, match=r"b\.qmd:4: .*fig-x.*a\.qmd:3"):
        build(folder)


# Only what changed -----------------------------------------------------------------------------


@pytest.fixture
def pandoc_runs(monkeypatch) -> list[str]:
    """Names of the chapters that pandoc was run for."""
    seen: list[str] = []
    real = pandoc.run

    def run(project, chapter, *rest):
        seen.append(chapter.path.stem)
        return real(project, chapter, *rest)

    monkeypatch.setattr(pandoc, "run", run)
    return seen


def test_pandoc_runs_only_for_what_changed(tmp_path, pandoc_runs):
    folder = write_book(
        tmp_path, a="# А\n\n![x](p.png){#fig-x}\n", b="# Б\n\nСм. @fig-x.\n", c="# В\n\nСам.\n"
    )
    first = build(folder, "one")
    pandoc_runs.clear()
    second = build(folder, "two")
    assert pandoc_runs == []
    for path in first.rglob("*"):
        assert path.is_dir() or (second / path.relative_to(first)).read_bytes() == path.read_bytes()
    (folder / "c.qmd").write_text("# Новое имя\n\nСам.\n")
    third = build(folder, "three")
    assert set(pandoc_runs) == {"c"}
    assert "Новое имя" in page(third, "a").find(id="quarto-sidebar").get_text()
    pandoc_runs.clear()
    (folder / "a.qmd").write_text("# А\n\n![y](p.png){#fig-y}\n\n![x](p.png){#fig-x}\n")
    fourth = build(folder, "four")
    assert set(pandoc_runs) == {"a", "b"}
    assert "1.2" in page(fourth, "b").select_one("a.quarto-xref").get_text()


def test_a_chapter_that_left_the_book_is_noticed_in_the_cache_too(tmp_path):
    texts = {"a": "# А\n\n[Б](b.qmd)\n", "b": "# Б\n"}
    build(write_book(tmp_path, **texts), "one")
    with pytest.raises(SourceError, match=r"a\.qmd:3: .*b\.qmd"):
        build(write_book(tmp_path, a=texts["a"]), "two")


def test_citations_need_a_bibliography(tmp_path):
    folder = write_book(tmp_path, a="# А\n\nКак в [@knuth].\n")
    with pytest.raises(SourceError, match=r"a\.qmd:3: .*@knuth.*bibliography"):
        build(folder)


def test_a_picture_that_went_away_is_noticed_in_the_cache_too(tmp_path):
    folder = write_book(tmp_path, a="# А\n\n![x](p.png)\n")
    build(folder, "one")
    (folder / "p.png").unlink()
    with pytest.raises(SourceError, match=r"a\.qmd:3: .*p\.png"):
        build(folder, "two")
