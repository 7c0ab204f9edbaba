"""The outputs of a cell before they become markdown: streams merged, the best form of a display."""

import json
import re
from collections.abc import Iterable, Mapping
from html.parser import HTMLParser
from itertools import groupby

from nbformat import NotebookNode

MARKDOWN, HTML, LATEX, TEXT = "text/markdown", "text/html", "text/latex", "text/plain"
_SVG = "image/svg+xml"
_LIVE = ("application/vnd.vega", "application/vnd.plotly", "application/vnd.bokeh")
_VEGA_LITE = "application/vnd.vegalite"
LIVING = "[интерактивный рисунок{}: на сайте / interactive figure{}: see the site]"
_NO_FORM = (
    "[интерактивный рисунок{} не сохранён в виде, который можно показать / "
    "interactive figure{}: no form of it that can be shown was kept]"
)
_LIBRARY = "application/vnd.bokehjs_load"
_ELEMENT_ID = re.compile(r"""\bid=["']([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})["']""")
IMAGES = {_SVG: "svg", "image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif"}
LONGEST = 4_000_000
"""Characters of a stream or of a form of a display; what is longer is cut."""

_JSON, _SCRIPT = "application/json", "application/javascript"
_PLACEHOLDER = re.compile(r"\s*<IPython\.[\w.]+ (object|at 0x[0-9a-f]+)>\s*")


def merged(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """One output for each stream between two displays, whatever the timing of its pieces.

    What is longer than ``LONGEST`` is cut, with a line that says so.
    """
    result = []
    for is_stream, group in groupby(outputs, lambda output: output.output_type == "stream"):
        if not is_stream:
            result += [_shortened(output) for output in group]
            continue
        pieces: dict[str, list[str]] = {}
        for output in group:
            pieces.setdefault(output.name, []).append(output.text)
        for name, texts in pieces.items():
            text = _cut("".join(texts))
            result.append(NotebookNode(output_type="stream", name=name, text=text))
    return result


def is_display(output: NotebookNode) -> bool:
    """Whether an output is a value or a display, not a stream or an error."""
    return output.output_type in ("display_data", "execute_result")


def mime(output: NotebookNode, fmt: str) -> str | None:
    """The form of a display that the format ("html" or "typ") shows; None if it has none.

    Of a picture drawn in two ways the page shows the pixels, the print the lines.
    """
    if not is_display(output):
        return None
    data = output.data
    latex = [LATEX] if _is_math(data.get(LATEX, "")) else []
    html = [HTML] if fmt == "html" else []
    table = [HTML] if re.search("<table.*</table", data.get(HTML, ""), re.S) else []
    images = sorted(IMAGES, key=lambda one: (one == _SVG) == (fmt == "html"))
    order = (*html, MARKDOWN, *latex, *images, *table, TEXT)
    return next((one for one in order if one in data), None)


def understood(output: NotebookNode) -> NotebookNode:
    """A display whose text form says what it is: no «<IPython.core.display.HTML object>»."""
    if not is_display(output):
        return output
    data = dict(output.data)
    if _SCRIPT in data:
        data.setdefault(HTML, f"<script>{data[_SCRIPT]}</script>")
    if any(name.startswith(_LIVE) for name in data):
        name = _title(data)
        data[TEXT] = (LIVING if HTML in data else _NO_FORM).format(name, name)
        still = None if data.keys() & IMAGES.keys() else _still(data)
        data.update({_SVG: still} if still else {})
    if _PLACEHOLDER.fullmatch(data.get(TEXT, "<IPython.core.display.X object>")):
        data.pop(TEXT, None)
        text = _words(data)
        if text is not None:
            data[TEXT] = text
    return NotebookNode({**output, "data": data})


def _still(data: Mapping[str, object]) -> str | None:
    """An Altair figure as SVG, where what draws it is installed (the extra ``diagrams``)."""
    spec = next((data[name] for name in data if name.startswith(_VEGA_LITE)), None)
    try:
        import vl_convert
    except ImportError:
        return None
    try:
        return vl_convert.vegalite_to_svg(spec) if spec else None
    except ValueError:  # no figure, or data that lie elsewhere
        return None


def _title(data: Mapping[str, object]) -> str:
    """What a figure of Plotly or Vega is called, in quotes after a space, if it has a title."""
    for form in (value for name, value in data.items() if name.startswith(_LIVE)):
        found = form if isinstance(form, Mapping) else {}
        found = found.get("layout", found)
        title = found.get("title") if isinstance(found, Mapping) else None
        title = title.get("text") if isinstance(title, Mapping) else title
        if isinstance(title, str) and title:
            return f" «{re.sub('<[^>]*>', ' ', title)}»"
    return ""


def is_library(output: NotebookNode) -> bool:
    """Whether a display is no figure but the script that figures of Plotly or Bokeh need."""
    if not is_display(output):
        return False
    html = str(output.data.get(HTML, ""))
    rest = re.sub(r"<(script|style)\b.*?</\1>|<!--.*?-->", "", html, flags=re.S)
    is_of_plotly = "PlotlyConfig" in html and not rest.strip()
    return is_of_plotly or any(name.startswith(_LIBRARY) for name in output.data)


def is_for_screens(output: NotebookNode) -> bool:
    """Whether nothing of a display is seen in print: scripts that figures share, empty boxes."""
    if not is_display(output):
        return False
    forms = output.data
    if {*forms} - {HTML, TEXT}:
        return is_library(output)
    is_box = re.fullmatch(r"(\s*</?div\b[^>]*>\s*)+", str(forms.get(HTML, "")))
    return is_library(output) or bool(is_box)


def drawn_ids(outputs: Iterable[NotebookNode]) -> dict[str, str]:
    """The ids that Plotly and Bokeh draw at random -> the same ones at each execution."""
    found: dict[str, str] = {}
    for output in outputs:
        for one in _ELEMENT_ID.findall(str(output.get("data", {}).get(HTML, ""))):
            found.setdefault(one, f"00000000-0000-4000-8000-{len(found):012x}")
    return found


def _words(data: Mapping[str, object]) -> str | None:
    """What can be read of a display that has no text form of its own."""
    if _JSON in data:
        return json.dumps(data[_JSON], ensure_ascii=False, indent=2)
    if LATEX in data:
        return str(data[LATEX])
    if HTML in data:
        text = _text_of_html(str(data[HTML]))
        return text if text or "<script" not in str(data[HTML]) else LIVING.format("", "")
    return None


class _Words(HTMLParser):
    """The text of HTML, a line for each block."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style")
        if tag in ("br", "p", "div", "li", "tr", "pre", "table") or re.fullmatch(r"h\d", tag):
            self.text += "\n"
        given = dict(attrs)
        self.text += given.get("alt") or "" if tag == "img" else ""
        self.text += given.get("src") or "" if tag in ("iframe", "video", "audio") else ""

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if self._hidden <= 0:
            self.text += data


def _text_of_html(html: str) -> str:
    reader = _Words()
    reader.feed(html)
    lines = (" ".join(line.split()) for line in reader.text.split("\n"))
    return "\n".join(line for line in lines if line)


def _shortened(output: NotebookNode) -> NotebookNode:
    if not is_display(output):
        return output
    forms = {name: form for name, form in output.data.items() if name in (TEXT, MARKDOWN, HTML)}
    long = {
        name: _cut(form)
        for name, form in forms.items()
        if len(form) > LONGEST and "<script" not in form  # half a script is none
    }
    if len(long.keys() & {MARKDOWN, HTML}) and TEXT in forms:  # half a table is no table
        long = {TEXT: _cut(forms[TEXT])}
        kept = {name: form for name, form in output.data.items() if name not in (MARKDOWN, HTML)}
        return NotebookNode({**output, "data": {**kept, **long}})
    return NotebookNode({**output, "data": {**output.data, **long}}) if long else output


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    kept = text[:LONGEST].rpartition("\n")[0] or text[:LONGEST]
    return f"{kept}\n[… вывод обрезан / output cut: {len(text) - len(kept)}]\n"


def _is_math(latex: str) -> bool:
    lines = latex.splitlines() or [""]
    return (latex.startswith("$") and latex.endswith("$")) or (
        lines[0].startswith("\\begin{") and "\\end{" in lines[-1]
    )
