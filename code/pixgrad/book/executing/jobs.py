"""What has to be executed of a chapter, and how: by its settings, its cells', the book's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pixgrad.book.ledger.frozen import FIGURES
from pixgrad.book.ledger.ledger import State
from pixgrad.book.source import options as cell_options
from pixgrad.book.source.metadata import load_yaml
from pixgrad.book.source.project import Project
from pixgrad.errors import SourceError

if TYPE_CHECKING:
    from pixgrad.book.executing import execute

_FIGURE_KEYS = ("fig-width", "fig-height", "fig-dpi", "fig-format")
_FIGURE_FORMATS = ("png", "retina", "jpeg", "svg")
_OTHER_KERNEL = re.compile(r"(?i)ir$|julia|bash|octave|xcpp|sas|stata|scala|sos")
"""Kernels of other languages; one of Python may have any name, and ours takes its place."""
_ONE_EXECUTION = "{} у форматов разный: исполнение одно на все форматы"


def make(project: Project, state: State, timeout: int) -> execute.Job:
    """What has to be executed of a chapter.

    Parameters
    ----------
    timeout : seconds for one cell; 0 is no limit.

    Raises
    ------
    SourceError : its settings or the options of a cell cannot be obeyed.
    """
    from pixgrad.book.executing import execute

    chapter, document = state.chapter, state.document
    front, lines = load_yaml(document.front_matter, chapter, 2)
    _require_python(project, front, chapter, lines)
    options = {fmt: _options(project, state, fmt) for fmt in FIGURES}
    _refuse_same_labels(document.runs, options["html"], chapter)
    in_root = project.get("project", "execute-dir") == "project"
    return execute.Job(
        chapter=chapter,
        cells=tuple(document.runs),
        options=options["html"],
        shown=options,
        root=project.root,
        folder=project.root if in_root else (project.root / chapter).parent,
        figures=_figures(project, state),
        environment=project.environment,
        timeout=timeout or None,
    )


def _options(project: Project, state: State, fmt: str) -> tuple[Mapping[str, Any], ...]:
    """The options of each cell in a format: its own, else the format's, the chapter's, the book's.

    Raises
    ------
    SourceError : the format asks for an execution of its own.
    """
    name = {"typ": "typst"}.get(fmt, fmt)
    layers = project.layers(state.chapter, state.document)
    for key in ("eval", "error"):
        _refuse_two_executions(project, state, key)
    formats = [_of_format(layer, one) for one in ("html", name) for layer in layers]
    executed = [{k: v for k, v in given.items() if k in ("eval", "error")} for given in formats]
    settings = [layer.get("execute") or {} for layer in layers] + executed
    shown = formats[len(layers) :]
    shown += [given["execute"] for given in shown if isinstance(given.get("execute"), Mapping)]
    defaults = {
        key: value
        for given in [*settings, *shown]
        for key, value in given.items()
        if key in cell_options.EXECUTION_DEFAULTS or key == "enabled"
    }
    if not defaults.pop("enabled", True):
        defaults["eval"] = False
    runs = state.document.runs
    strict = project.is_strict
    return tuple(cell_options.of_run(run, state.chapter, defaults, strict) for run in runs)


def _of_format(layer: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    given = layer.get("format")
    own = given.get(name) if isinstance(given, Mapping) else None
    return own if isinstance(own, Mapping) else {}


def _refuse_two_executions(project: Project, state: State, key: str) -> None:
    """Formats that differ in ``key`` would need an execution each.

    Raises
    ------
    SourceError : the HTML and the Typst format have different values.
    """
    for layer in project.layers(state.chapter, state.document):
        html, typst = (_of_format(layer, name).get(key) for name in ("html", "typst"))
        if html is None:
            default = cell_options.EXECUTION_DEFAULTS.get(key)
            html = (layer.get("execute") or {}).get(key, default)
        if html != typst and None not in (html, typst):
            raise project.error(_ONE_EXECUTION.format(key), "format", "typst", key)


def _require_python(
    project: Project, front: Mapping, chapter: str, lines: Mapping[tuple, int]
) -> None:
    for asked, error in (
        (project.get("jupyter"), lambda text: project.error(text, "jupyter")),
        (front.get("jupyter"), lambda text: SourceError(text, chapter, lines.get(("jupyter",)))),
    ):
        kernel = asked
        if isinstance(asked, Mapping):
            kernel = asked.get("kernel") or (asked.get("kernelspec") or {}).get("name")
        is_other = kernel != "python3" and (project.is_strict or _OTHER_KERNEL.match(str(kernel)))
        if asked is not None and is_other:
            raise error(f"ядро Jupyter {kernel!r} не поддерживается; нужно python3")


def _refuse_same_labels(
    cells: Sequence, options: Sequence[Mapping[str, Any]], chapter: str
) -> None:
    seen: dict[str, int] = {}
    for cell, its in zip(cells, options, strict=True):
        label = its.get("label")
        if label in seen:
            raise SourceError(
                f"метка «{label}» уже дана ячейке в строке {seen[label]}", chapter, cell.line
            )
        if label:
            seen[label] = cell.line


def _figures(project: Project, state: State) -> execute.Figures:
    from pixgrad.book.executing.execute import Figures

    for key in _FIGURE_KEYS:
        _refuse_two_executions(project, state, key)
    chapter, document = state.chapter, state.document
    asked = project.metadata(chapter, document, "typst", "html")
    asked = {key: asked.get(key) for key in _FIGURE_KEYS}
    given = {key[4:]: value for key, value in asked.items() if value is not None}
    if given.get("format", "png") not in _FIGURE_FORMATS:
        raise SourceError(
            f"fig-format: {given['format']}: умеем {', '.join(_FIGURE_FORMATS)}", chapter
        )
    return Figures(**given)
