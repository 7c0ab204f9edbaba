"""The markdown of executed cells, construct by construct.

The reference chapters executed by Quarto itself are compared whole in ``test_freeze.py``; here are
the constructs which they do not have, in the shapes seen in frozen chapters of public Quarto books.
"""

from __future__ import annotations

import base64
import io

import nbformat
import pytest
from PIL import Image

from pixgrad.book.executing import outputs, to_markdown
from pixgrad.book.executing.execute import Figures
from pixgrad.book.ledger import qmd
from pixgrad.book.source.options import of_cell
from pixgrad.errors import SourceError

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
SVG = '<svg xmlns="http://www.w3.org/2000/svg"></svg>'


def render(
    text: str, *outputs, fmt="html", figures=Figures(format="png"), chapter="chapters/a.qmd"
):
    """(markdown, figures) of one cell with these outputs."""
    chapter = "chapters/a.qmd"
    document = qmd.parse(text)
    options = [of_cell(cell, chapter, {}) for cell in document.cells]
    node = nbformat.v4.new_code_cell(outputs=list(outputs))
    rendered = to_markdown.render(chapter, document.cells, options, [node], fmt, figures)
    return rendered.cells[0], rendered.figures


def cell(source="1", *options):
    lines = "".join(f"#| {option}\n" for option in options)
    return f"```{{python}}\n{lines}{source}\n```\n"


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def display(result=False, **data):
    names = {
        "html": "text/html",
        "md": "text/markdown",
        "text": "text/plain",
        "latex": "text/latex",
        "png": "image/png",
        "svg": "image/svg+xml",
    }
    bundle = {names[key]: value for key, value in data.items()}
    if result:
        return nbformat.v4.new_output("execute_result", data=bundle, execution_count=1)
    return nbformat.v4.new_output("display_data", data=bundle)


def png():
    return display(png=base64.b64encode(PNG).decode(), text="<Figure>")


def body(markdown: str) -> str:
    """What stands inside the cell's div."""
    first, rest = markdown.split("\n", 1)
    assert first.startswith("::: {") and rest.endswith(":::\n\n\n")
    return rest.removesuffix(":::\n\n\n")


CODE = "``` {.python .cell-code}\n1\n```\n"


def test_streams_keep_their_names_and_lose_colours_and_places():
    warning = "/tmp/ipykernel_123/456.py:3: UserWarning: осторожно\n\x1b[31mкрасное\x1b[0m\n"
    markdown, _ = render(cell(), stream("ответ"), stream(warning, "stderr"))
    assert body(markdown) == (
        CODE + "\n::: {.cell-output .cell-output-stdout}\n```\nответ\n```\n:::\n"
        "\n::: {.cell-output .cell-output-stderr}\n\n::: {.ansi-escaped-output}\n```{=html}\n"
        "<pre>/tmp/ipykernel_1/456.py:3: UserWarning: осторожно\n"
        '<span class="ansi-red-fg">красное</span>\n</pre>\n```\n:::\n\n:::\n'
    )
    assert body(render(cell("1", "warning: false"), stream(warning, "stderr"))[0]) == CODE


def test_html_is_raw_in_html_and_a_table_in_typst():
    table = "<table><tr><td>1</td></tr></table>"
    raw = f"```{{=html}}\n{table}\n```\n"
    output = display(True, html=table, text="   a\n0  1")
    opening = "\n::: {.cell-output .cell-output-display execution_count=1}\n"
    for fmt in ("html", "typ"):
        assert body(render(cell(), output, fmt=fmt)[0]) == CODE + opening + raw + ":::\n"
    plain = display(True, html="<b>a</b>", text="a")
    in_typst = body(render(cell(), plain, fmt="typ")[0])
    assert in_typst == CODE + opening + "```\na\n```\n:::\n"


def test_latex_formula_is_markdown_math():
    output = display(True, latex="$\\displaystyle x^{2}$", text="x**2")
    expected = (
        CODE + "\n::: {.cell-output .cell-output-display .cell-output-markdown execution_count=1}\n"
        "$\\displaystyle x^{2}$\n:::\n"
    )
    assert body(render(cell(), output)[0]) == expected


def test_error_that_was_asked_for():
    output = nbformat.v4.new_output("error", ename="ValueError", evalue="плохо", traceback=["…"])
    markdown, _ = render(cell("1", "error: true"), output)
    assert "::: {.cell-output .cell-output-error}\n```\n…\n```\n:::\n" in markdown
    markdown, _ = render(cell("1", "error: true"), output, fmt="typ")
    assert "```\nValueError: плохо\n…\n```\n" in markdown


def test_picture_without_a_label_is_numbered_by_its_cell_and_output():
    markdown, files = render(cell(), stream("a"), png())
    name = "figure-html/cell-2-output-2.png"
    assert f"![](a_files/{name}){{}}\n" in markdown
    assert files == {name: PNG}
    markdown, files = render(cell(), display(svg=SVG, text="<Figure>"), fmt="typ")
    assert "![](a_files/figure-typst/cell-2-output-1.svg){}" in markdown
    assert files == {"figure-typst/cell-2-output-1.svg": SVG.encode()}


def test_quotes_in_alternative_text_are_escaped():
    markdown, _ = render(
        cell("1", "label: fig-a", "fig-cap: К", 'fig-alt: "it\'s"', "fig-align: left"), png()
    )
    assert r"{#fig-a fig-align='left' fig-alt='it\'s'}" in markdown


def test_retina_picture_is_shown_at_half_its_pixels():
    buffer = io.BytesIO()
    Image.new("RGB", (300, 101)).save(buffer, "PNG", dpi=(192, 192))
    output = display(png=base64.b64encode(buffer.getvalue()).decode())
    markdown, _ = render(cell(), output, figures=Figures(format="retina", dpi=96))
    assert "{width=150 height=51}" in markdown
    markdown, _ = render(cell(), output, figures=Figures(format="png", dpi=96))
    assert "{}" in markdown


def test_captions_of_several_figures():
    markdown, _ = render(
        cell("1", "label: fig-a", "fig-cap: [раз, два]", "fig-alt: [один, другой]"), png(), png()
    )
    assert markdown.startswith("::: {#cell-fig-a .cell execution_count=1}\n")
    assert "![раз](a_files/figure-html/fig-a-output-1.png){#fig-a fig-alt='один'}" in markdown
    assert "![два](a_files/figure-html/fig-a-output-2.png){#fig-a fig-alt='другой'}" in markdown


def test_table_label_stays_with_the_cell():
    options = ("label: tbl-a", "tbl-cap: К", 'tbl-subcap: ["а", "б"]', "layout-ncol: 2")
    markdown, _ = render(cell("1", *options), display(md="| а |"), display(md="| б |"))
    attributes = """layout-ncol='2' tbl-cap='К' tbl-subcap='["а","б"]' execution_count=1"""
    assert markdown.startswith(f"::: {{#tbl-a .cell {attributes}}}\n")


def test_layout_is_compact_json():
    markdown, _ = render(cell("1", "layout: [[1, 2], [3]]"), png())
    assert " layout='[[1,2],[3]]' " in markdown


def test_attributes_of_the_code():
    options = ("lst-label: lst-a", "lst-cap: Код", "code-fold: true", "code-summary: Смотри",
               "code-line-numbers: true", "code-overflow: wrap")  # fmt: skip
    assert (
        '``` {#lst-a .python .cell-code .code-overflow-wrap lst-cap="Код" code-fold="true" '
        'code-summary="Смотри" code-line-numbers="true"}\n1\n```\n'
    ) in render(cell("1", *options))[0]


def test_fenced_echo_shows_the_options():
    markdown, _ = render(cell("1", "echo: fenced", "label: fig-a"))
    assert body(markdown) == (
        "```` { .cell-code}\n```{{python}}\n#| label: fig-a\n1\n```\n\n````\n"
    )


def test_backticks_in_code_and_output_get_longer_fences():
    markdown, _ = render("````{python}\ns = '''\n```\n'''\n````\n", stream("```\n"))
    assert "```` {.python .cell-code}\ns = '''\n```\n'''\n````\n" in markdown
    assert "}\n````\n```\n````\n:::" in markdown


def test_classes_and_column():
    markdown, _ = render(cell("1", "classes: wide", "column: margin"))
    assert " .cell .wide .column-margin execution_count=1}" in markdown


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("include: false",), "\n"),
        (("echo: false", "output: false"), "\n\n"),
        (("output: false",), CODE),
        (("output: asis",), CODE + "**сырое**\n\n\n"),
        (("echo: false", "output: asis"), "**сырое**\n\n\n"),
    ],
)
def test_what_is_hidden(options, expected):
    markdown, _ = render(cell("1", *options), stream("**сырое**\n"))
    assert (body(markdown) if expected == CODE else markdown) == expected


def test_raw_output_with_a_caption_keeps_its_div():
    markdown, _ = render(cell("1", "output: asis", "label: tbl-a", "tbl-cap: К"), stream("| а |\n"))
    assert markdown.startswith("::: {#tbl-a .cell tbl-cap='К' execution_count=1}\n")


def test_value_of_a_plot_is_not_shown():
    line = display(True, text="[<matplotlib.lines.Line2D at 0x7f>]")
    markdown, _ = render(cell(), line, png())
    assert "Line2D" not in markdown
    assert "figure-html/cell-2-output-1.png" in markdown
    assert "<object>" in render(cell(), display(True, text="<object>"))[0]
    assert "<object>" not in render(cell(), display(True, text="<object>"), png())[0]


def test_ids_are_stable_and_differ_between_equal_cells():
    document = qmd.parse(cell("x") + "\n" + cell("x") + "\n" + cell("y"))
    options = [of_cell(one, "a.qmd", {}) for one in document.cells]
    nodes = [nbformat.v4.new_code_cell() for _ in options]
    first = to_markdown.render("a.qmd", document.cells, options, nodes, "html", Figures()).cells
    again = to_markdown.render("a.qmd", document.cells, options, nodes, "html", Figures()).cells
    assert first == again
    assert len({text.split(" .cell")[0] for text in first}) == 3
    in_typst = to_markdown.render("a.qmd", document.cells, options, nodes, "typ", Figures()).cells
    assert in_typst[0].startswith("::: {.cell execution_count=1}\n")


@pytest.mark.parametrize(
    "data",
    [
        {"application/vnd.plotly.v1+json": {}, "text/html": "<script>x</script>"},
        {"application/vnd.vegalite.v5+json": {}, "text/plain": "alt.Chart(...)"},
        {"text/html": "<script>draw()</script>"},
    ],
)
def test_a_figure_of_scripts_is_named_in_print(data):
    shown = outputs.understood(nbformat.v4.new_output("display_data", data=data))
    assert "interactive figure" in shown.data[outputs.mime(shown, "typ")]


def bundle(**forms) -> nbformat.NotebookNode:
    names = {"plotly": "application/vnd.plotly.v1+json", "html": "text/html", "png": "image/png"}
    data = {names.get(name, name): form for name, form in forms.items()}
    return nbformat.v4.new_output("display_data", data=data)


PLOTLY = {"data": [], "layout": {"title": {"text": "Sales<br>by year"}}}
UUID = "7c1e9a52-31c5-4d3e-9c55-1f6f2f9c7d10"
LIVE = f'<div><div id="{UUID}" class="plotly-graph-div"></div><script>draw("{UUID}")</script></div>'
LOADER = "<script>window.PlotlyConfig = {};</script><script src='https://x'></script>"


def test_a_live_figure_prefers_its_still_picture_in_print():
    shown = outputs.understood(bundle(plotly=PLOTLY, html=LIVE, png=base64.b64encode(PNG).decode()))
    assert outputs.mime(shown, "html") == "text/html"
    assert outputs.mime(shown, "typ") == "image/png"


def test_a_missing_still_is_named_by_the_title_of_the_figure():
    shown = outputs.understood(bundle(plotly=PLOTLY, html=LIVE))
    line = "[интерактивный рисунок «Sales by year»: на сайте / interactive figure «Sales by year»"
    assert shown.data["text/plain"].startswith(line)
    bare = outputs.understood(bundle(plotly=PLOTLY))
    for fmt in ("html", "typ"):
        assert outputs.mime(bare, fmt) == "text/plain"
    assert "не сохранён" in bare.data["text/plain"] and "{" not in bare.data["text/plain"]


def test_random_ids_of_live_figures_are_the_same_each_time():
    first = render(cell(), bundle(html=LIVE), bundle(html=LIVE))[0]
    other = LIVE.replace(UUID, "11111111-31c5-4d3e-9c55-1f6f2f9c7d10")
    again = render(cell(), bundle(html=other), bundle(html=other))[0]
    assert first == again and UUID not in first
    data = f"<table><tr><td>{UUID}</td></tr></table>"  # not an id: a value
    assert UUID in render(cell(), bundle(html=data))[0]


def test_what_only_loads_scripts_or_is_an_empty_box_is_not_printed():
    for html in (LOADER, "<div id='x' data-root-id='p1'></div>"):
        assert "cell-output" in render(cell(), bundle(html=html))[0]
        assert "cell-output" not in render(cell(), bundle(html=html), fmt="typ")[0]
    bokeh = bundle(**{"application/javascript": "x", "application/vnd.bokehjs_load.v0+json": ""})
    assert "cell-output" not in render(cell(), bokeh, fmt="typ")[0]
    drawn = bundle(**{"application/javascript": "x", "application/vnd.bokehjs_exec.v0+json": ""})
    assert "see the site" in render(cell(), drawn, fmt="typ")[0]


def test_a_widget_is_its_text_form():
    widget = bundle(**{"application/vnd.jupyter.widget-view+json": {"model_id": "a"},
                       "text/plain": "IntSlider(value=5)"})  # fmt: skip
    for fmt in ("html", "typ"):
        text = render(cell(), widget, fmt=fmt)[0]
        assert "IntSlider(value=5)" in text and "model_id" not in text


def test_a_long_script_is_not_cut_in_half(monkeypatch):
    monkeypatch.setattr(outputs, "LONGEST", 10)
    (kept,) = outputs.merged([bundle(html="<script>draw(1, 2, 3)</script>")])
    assert kept.data["text/html"].endswith("</script>")


def test_a_figure_of_altair_has_a_still_picture():
    pytest.importorskip("vl_convert")
    values = [{"a": 1, "b": 2}, {"a": 2, "b": 3}]
    encoding = {axis: {"field": name, "type": "quantitative"} for axis, name in ("xa", "yb")}
    spec = {"data": {"values": values}, "mark": "bar", "encoding": encoding}
    data = {"application/vnd.vegalite.v5+json": spec, "text/plain": "alt.Chart(...)"}
    shown = outputs.understood(nbformat.v4.new_output("display_data", data=data))
    for fmt in ("html", "typ"):
        assert outputs.mime(shown, fmt) == "image/svg+xml"
    assert shown.data["image/svg+xml"].startswith("<svg")
    live = outputs.understood(
        nbformat.v4.new_output("display_data", data={**data, "text/html": "<script>x</script>"})
    )
    assert (outputs.mime(live, "html"), outputs.mime(live, "typ")) == ("text/html", "image/svg+xml")


def test_an_output_that_cannot_be_shown_is_refused_with_the_line():
    widget = nbformat.v4.new_output("display_data", data={"application/x-unheard": "1"})
    with pytest.raises(SourceError, match=r"^chapters/a.qmd:1: .*application/x-unheard"):
        render(cell(), widget)


@pytest.mark.parametrize(
    ("options", "line", "words"),
    [
        (("echo: true", "fig-captoin: К"), 3, "fig-captoin"),
        (("echo: yes please",), 2, "echo"),
        (("layout-ncol: two",), 2, "целое число"),
        (("eval: 1",), 2, "true/false"),
        (('label: "fig a"',), 2, "пробелов"),
        (("label: [",), 3, "YAML"),
        (("echo: true", "echo: false"), 3, "дважды"),
    ],
)
def test_a_wrong_option_is_refused_with_its_line(options, line, words):
    with pytest.raises(SourceError) as caught:
        render(cell("1", *options))
    assert caught.value.line == line
    assert words in str(caught.value)


def test_pieces_of_a_stream_are_one_block_whatever_their_timing():
    pieces = [
        stream("a"),
        stream("!", "stderr"),
        stream("b\n"),
        png(),
        stream("c\n"),
        stream("d\n"),
    ]
    whole = [stream("ab\n"), stream("!", "stderr"), png(), stream("c\nd\n")]
    assert render(cell(), *pieces) == render(cell(), *whole)
    assert render(cell(), *pieces)[0].count("cell-output-stdout") == 2


def test_a_stream_of_a_hundred_megabytes_is_cut_and_says_so():
    pieces = [stream("0123456789\n" * 50_000) for _ in range(20)]
    markdown, _ = render(cell(), *pieces)
    assert len(markdown) < outputs.LONGEST + 1000
    assert "\n[… вывод обрезан / output cut: 7000005]\n```" in markdown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\rэпоха   0%\rэпоха 100%\n", "эпоха 100%"),
        ("потери: 0,25\b\b35", "потери: 0,35"),
        ("\x1b]8;;https://example.org\x1b\\ссылка\x1b]8;;\x1b\\", "ссылка"),
        ("звонок\a и нуль\0, \x1b[?25lвсё", "звонок и нуль, всё"),
        ("1/2\n\x1b[1A\x1b[2K2/2\n", "2/2"),
        ("a\r\nb", "a\nb"),
    ],
)
def test_control_characters_do_what_a_terminal_does(written, shown):
    assert f"```\n{shown}\n```\n" in render(cell(), stream(written), fmt="typ")[0]


@pytest.mark.parametrize(
    ("data", "fmt", "words"),
    [
        ({"text/html": "<b>жирный</b> <i>вид</i>"}, "typ", "жирный вид"),
        ({"application/json": {"a": 1}}, "html", '{\n  "a": 1\n}'),
        ({"text/latex": "\\begin{tabular}"}, "html", "\\begin{tabular}"),
        ({"application/javascript": "f()"}, "html", "<script>f()</script>"),
    ],
)
def test_no_display_is_told_by_its_python_name(data, fmt, words):
    data = {**data, "text/plain": "<IPython.core.display.Thing object>"}
    markdown, _ = render(cell(), nbformat.v4.new_output("display_data", data=data), fmt=fmt)
    assert words in markdown and "object>" not in markdown


def test_a_picture_drawn_twice_is_pixels_on_the_page_and_lines_in_print():
    output = display(png=base64.b64encode(PNG).decode(), svg=SVG, text="<Figure>")
    assert list(render(cell(), output)[1]) == ["figure-html/cell-2-output-1.png"]
    assert list(render(cell(), output, fmt="typ")[1]) == ["figure-typst/cell-2-output-1.svg"]


def test_the_script_of_plotly_takes_neither_label_nor_caption():
    text, _ = render(
        cell("1", "label: fig-live", "fig-cap: Live"), bundle(html=LOADER), bundle(html=LIVE)
    )
    assert text.count("Live") == 1 and text.index("PlotlyConfig") < text.index("#fig-live")
    assert text.index("#fig-live") < text.index("plotly-graph-div") < text.index("Live\n")


@pytest.mark.parametrize("text", ["<IPython.lib.display.IFrame at 0x7f3337f45850>", None])
def test_a_frame_is_its_address_in_print(text):
    data = {"text/html": "<iframe src='https://example.org/x'></iframe>"}
    shown = outputs.understood(bundle(**{**data, **({"text/plain": text} if text else {})}))
    assert shown.data["text/plain"] == "https://example.org/x"
