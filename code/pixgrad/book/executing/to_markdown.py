"""Executed cells -> the markdown that Quarto's Jupyter engine writes, with the figures' files.

The shapes are those of real ``_freeze`` samples (see the tests); what those do not show follows
Quarto's documentation of cell options.
"""

import base64
import hashlib
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from nbformat import NotebookNode
from PIL import Image

from pixgrad.book.executing import outputs as forms
from pixgrad.book.executing import terminal
from pixgrad.book.executing.execute import Figures
from pixgrad.book.executing.outputs import HTML, IMAGES, LATEX, MARKDOWN, is_display
from pixgrad.book.executing.steady_svg import steady
from pixgrad.book.ledger.frozen import FIGURES
from pixgrad.book.ledger.qmd import Cell, Inline
from pixgrad.errors import SourceError

_CONSUMED = (  # options that do not become attributes of the cell's div
    "label", "id", "fig-cap", "fig-subcap", "fig-scap", "fig-link", "fig-align", "fig-env",
    "fig-pos", "fig-alt", "fig-responsive", "fig-column", "tbl-column", "lst-label", "lst-cap",
    "classes", "column", "cap-location", "fig-cap-location", "tbl-cap-location", "out-width",
    "out-height", "eval", "error", "echo", "output", "warning", "include", "code-fold",
    "code-overflow", "code-summary", "code-line-numbers",
)  # fmt: skip
_KERNEL_PLACE = re.compile(r"\S*\b(ipykernel_)\d+([/\\]\d+\.py)")


@dataclass
class Rendered:
    """``cells``: markdown of each; ``figures``: ``figure-html/cell-2-output-1.png`` -> content."""

    cells: list[str] = field(default_factory=list)
    figures: dict[str, bytes] = field(default_factory=dict)


def render(
    chapter: str,
    cells: Sequence[Cell | Inline],
    options: Sequence[Mapping[str, Any]],
    executed: Sequence[NotebookNode],
    fmt: str,
    figures: Figures,
) -> Rendered:
    """Markdown of all that a chapter runs, in one format.

    Parameters
    ----------
    options : of each cell, defaults filled in (``options.of_cell``).
    executed : the notebook's cells with their outputs.
    fmt : "html" or "typ".
    """
    rendered = Rendered()
    drawn = forms.drawn_ids(output for node in executed for output in node.outputs)
    seen: dict[str, int] = {}
    number = 0
    for cell, its_options, node in zip(cells, options, executed, strict=True):
        if isinstance(cell, Inline):
            rendered.cells.append(node.outputs[0].data[MARKDOWN])
            continue
        number += bool(cell.source.strip())  # IPython does not count what is empty
        seen[cell.source] = seen.get(cell.source, 0) + 1
        one = _Cell(
            chapter, cell, its_options, node, fmt, figures, number, seen[cell.source], drawn
        )
        rendered.cells.append(one.markdown())
        rendered.figures.update(one.files)
    return rendered


@dataclass
class _Cell:
    """One cell in one format."""

    chapter: str
    cell: Cell
    options: Mapping[str, Any]
    node: NotebookNode
    fmt: str
    figure_settings: Figures
    number: int
    """Of the cell among those of the chapter that are not empty, from 1."""
    repeat: int
    """How many cells up to this one have the same source."""
    drawn_ids: Mapping[str, str]
    """Ids of the chapter's live figures -> those that they get here."""
    outputs: list[NotebookNode] = field(init=False)
    captions: list[str] = field(init=False)
    """Captions that the outputs have still to take."""
    files: dict[str, bytes] = field(default_factory=dict, init=False)

    def markdown(self) -> str:
        text = self._markdown()
        if not self.cell.indent or not text.strip():
            return text
        return "\n" + re.sub(r"^(?=[\s\S])", self.cell.indent, text, flags=re.M)

    def _markdown(self) -> str:
        if not self.options["include"]:
            return "\n"
        self.outputs = self._shown_outputs()
        if not self.cell.source and not self.outputs:
            return ""
        self.captions, cell_caption = self._captions()
        body = self._code() + (self._outputs() if self.options["output"] else "")
        if body and (self._needs_div() or not self._as_is):
            caption = f"\n{cell_caption}\n" if cell_caption else ""
            body = f"::: {{{self._attributes()}}}\n{body}{caption}:::\n"
        return body + "\n\n"

    @property
    def _as_is(self) -> bool:
        return self.options["output"] == "asis"

    @property
    def _label(self) -> str:
        return self.options.get("label", "")

    def _shown_outputs(self) -> list[NotebookNode]:
        made = [forms.understood(output) for output in forms.merged(self.node.outputs)]
        has_image = any(self._mime(output) in IMAGES for output in made)
        return [
            output
            for output in made
            if (self.options["warning"] or output.get("name") != "stderr")
            and not _is_plot_object(output, has_image)
            and output.get("data") != {}
            and (self.fmt == "html" or not forms.is_for_screens(output))
        ]

    def _captions(self) -> tuple[list[str], str | None]:
        """(captions of the outputs in turn, caption of the whole cell)."""
        caption, sub = self.options.get("fig-cap"), self.options.get("fig-subcap")
        if isinstance(caption, list):
            return list(caption), None
        if not caption:
            return [], None
        if sub is None or sub is False:
            return [caption], None
        return ([""] if sub is True else [sub] if isinstance(sub, str) else list(sub)), caption

    def _labels_div(self) -> bool:
        """Whether the label goes to the cell (else to its only display)."""
        displays = sum(_is_figure(output) for output in self.outputs)
        several = displays > 1 and not isinstance(self.options.get("fig-cap"), list)
        nothing = not self.options["output"] or displays == 0
        return nothing or several or self._label.startswith("tbl-")

    def _needs_div(self) -> bool:
        """What only a div can carry overrides ``output: asis``."""
        return bool(
            (self._label and self._labels_div())
            or self._classes()
            or any(self._forwarded())
            or self.options.get("fig-cap")
        )

    def _attributes(self) -> str:
        parts = []
        if self._label and self._labels_div():
            parts.append(f"#{self._label}")
        elif self.fmt == "html":
            parts.append(f"#{self._id()}")
        parts += [".cell", *self._classes()]
        parts += [_attribute(name, self.options[name]) for name in self._forwarded()]
        return " ".join([*parts, f"execution_count={self.number}"])

    def _forwarded(self) -> list[str]:
        """Options that become attributes of the div, in the order of the notebook's metadata."""
        return sorted(name for name in self.options if name not in _CONSUMED)

    def _id(self) -> str:
        """Quarto draws these at random; ours come from the code, so that bytes stay the same."""
        if self._label:
            return f"cell-{self._label}"
        text = f"{self.repeat}\0{self.cell.source}"
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def _classes(self) -> list[str]:
        own = self.options.get("classes", [])
        classes = own.split() if isinstance(own, str) else [str(name) for name in own]
        for option, prefix in (
            ("column", "column-"),
            ("cap-location", "caption-"),
            ("fig-cap-location", "fig-cap-location-"),
            ("tbl-cap-location", "tbl-cap-location-"),
        ):
            if option in self.options:
                classes.append(prefix + self.options[option])
        return [name if name.startswith(".") else "." + name for name in classes]

    def _code(self) -> str:
        echo = self.options["echo"]
        if not echo:
            return ""
        source = self.cell.source.removesuffix("\n")
        attributes = [".python", ".cell-code"]
        if echo == "fenced":
            kept = [o for o in self.cell.options_yaml.splitlines() if not re.match(r"echo:", o)]
            shown = "".join(f"#| {line}\n" for line in kept)
            body = source.rstrip() if kept else source.strip("\n").rstrip()
            source = f"```{{{{python}}}}\n{shown}{body}\n```\n"
            attributes = ["", ".cell-code"]
        elif self.cell.options_yaml:
            source = re.sub(r"\A(?:[^\S\n]*\n)+", "", source)
        if "lst-label" in self.options:
            attributes.insert(0, "#" + self.options["lst-label"].lstrip("#"))
        if "code-overflow" in self.options:
            attributes.append(f".code-overflow-{self.options['code-overflow']}")
        for name in ("lst-cap", "code-fold", "code-summary", "code-line-numbers"):
            if name in self.options:
                attributes.append(f'{name}="{_shown(self.options[name])}"')
        ticks = "`" * max(_leading_ticks(source) + 1, 4 if echo == "fenced" else 3)
        return f"{ticks} {{{' '.join(attributes)}}}\n{source}\n{ticks}\n"

    def _outputs(self) -> str:
        text = ""
        suffix = 1
        for index, output in enumerate(self.outputs):
            label = self._label
            if label and self._labels_div() and _is_figure(output):
                label, suffix = f"{label}-{suffix}", suffix + 1
            content = self._content(output, label, index)
            if not self._as_is:
                content = f"\n::: {{{self._output_attributes(output, label)}}}\n{content}:::\n"
            text += content
        return text

    def _output_attributes(self, output: NotebookNode, label: str) -> str:
        parts = []
        image = self._mime(output) in IMAGES
        if label and _is_figure(output) and not image and not self._label.startswith("tbl-"):
            parts.append(f"#{label}")
        kind = "display" if is_display(output) else output.get("name", output.output_type)
        parts += [".cell-output", f".cell-output-{kind}"]
        if self._mime(output) in (MARKDOWN, LATEX):
            parts.append(".cell-output-markdown")
        if output.get("execution_count") is not None:
            parts.append(f"execution_count={output.execution_count}")
        return " ".join(parts)

    def _content(self, output: NotebookNode, label: str, index: int) -> str:
        if output.output_type == "stream":
            if self._as_is and output.name == "stdout":
                return output.text
            return self._printed(output.text)
        if output.output_type == "error":
            traceback = "\n".join(output.traceback)
            first = "" if self.fmt == "html" else f"{output.ename}: {output.evalue}\n"
            return self._printed(first + traceback)
        caption = self.captions.pop(0) if self.captions and _is_figure(output) else ""
        mime = self._mime(output)
        if mime in IMAGES:
            return self._image(output, mime, label, caption, index)
        data = output.data[mime]
        below = f"\n{caption}\n" if caption else ""
        if mime in (MARKDOWN, LATEX):
            return f"{data}\n{below}"
        if mime == HTML:
            for old, new in self.drawn_ids.items():
                data = data.replace(old, new)
            return _fenced(data, "{=html}") + below
        return self._printed(data) + below

    def _printed(self, text: str) -> str:
        """What was written to a terminal: with its colours in HTML."""
        text = _KERNEL_PLACE.sub(r"/tmp/\g<1>1\g<2>", text)
        colored = terminal.html(text) if self.fmt == "html" else None
        if colored is None:
            return _fenced(terminal.plain(text))
        block = _fenced(f"<pre>{colored}</pre>", "{=html}")
        return f"\n::: {{.ansi-escaped-output}}\n{block}:::\n\n"

    def _image(self, output: NotebookNode, mime: str, label: str, caption: str, index: int) -> str:
        name = f"{self._label or f'cell-{self.number + 1}'}-output-{index + 1}.{IMAGES[mime]}"
        data = output.data[mime]
        content = steady(data).encode() if mime == "image/svg+xml" else base64.b64decode(data)
        folder = FIGURES[self.fmt]
        self.files[f"{folder}/{name}"] = content
        attributes = [f"#{label}"] if label else []
        if mime == "image/png" and self.figure_settings.format in ("retina", ""):
            attributes += _retina_size(content, self.figure_settings.dpi)
        kept = output.get("metadata", {}).get(mime, {})  # of a notebook drawn elsewhere
        if len(attributes) < 2 and {"width", "height"} <= kept.keys():
            attributes += [f"width={kept['width']}", f"height={kept['height']}"]
        for option in ("fig-align", "fig-alt"):
            value = self.options.get(option)
            if isinstance(value, list):
                value = value[index] if index < len(value) else None
            if value:
                attributes.append(_attribute(option, value))
        files = PurePosixPath(self.chapter).stem + "_files"
        return f"![{caption}]({files}/{folder}/{name}){{{' '.join(attributes)}}}\n"

    def _mime(self, output: NotebookNode) -> str | None:
        """The form of a display that the format shows; None for streams and errors."""
        found = forms.mime(output, self.fmt)
        if found is None and is_display(output):
            raise SourceError(
                f"вывод ячейки {self.number} такого вида не показать: "
                f"{', '.join(sorted(output.data))}",
                self.chapter,
                self.cell.line,
            )
        return found


def _is_figure(output: NotebookNode) -> bool:
    """Whether a label or a caption can be of an output."""
    return is_display(output) and not forms.is_library(output)


def _is_plot_object(output: NotebookNode, has_image: bool) -> bool:
    """``[<matplotlib.lines.Line2D …>]``, the value of a plot's last line, is not shown."""
    if output.output_type != "execute_result" or list(output.data) != [forms.TEXT]:
        return False
    text = output.data[forms.TEXT]
    if has_image and "\n" not in text.rstrip("\n"):
        return bool(re.fullmatch(r"[<(\[].*[>)\]]", text.strip()))
    return text.startswith(("[<matplotlib", "<matplotlib", "<seaborn.", "<ggplot:"))


def _fenced(text: str, info: str = "") -> str:
    ticks = "`" * max(_leading_ticks(text) + 1, 3)
    return f"{ticks}{info}\n{text if text.endswith(chr(10)) else text + chr(10)}{ticks}\n"


def _leading_ticks(text: str) -> int:
    return max((len(found) for found in re.findall(r"^\s*(`+)", text, re.MULTILINE)), default=0)


def _attribute(name: str, value: Any) -> str:
    return name + "='" + _shown(value).replace("'", r"\'") + "'"


def _shown(value: Any) -> str:
    """The value of an option as Quarto prints it: text as it is, all else as JavaScript would."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _retina_size(png: bytes, dpi: int) -> list[str]:
    """Half the pixels of a PNG drawn at twice the dpi, as it is to be shown."""
    with Image.open(io.BytesIO(png)) as image:
        if round(image.info.get("dpi", (0, 0))[0]) != 2 * dpi:
            return []
        # JavaScript rounds a half up.
        width, height = (math.floor(size / 2 + 0.5) for size in image.size)
        return [f"width={width}", f"height={height}"]
