"""``pixgrad freeze``: execute the chapters that changed, write Quarto's ``_freeze``.

A chapter is executed if and only if its cells, the execution settings or a file that it used have
changed; an edit of its prose is set around the old outputs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pixgrad.book.executing import order
from pixgrad.book.ledger import qmd
from pixgrad.book.ledger.frozen import FIGURES
from pixgrad.book.ledger.ledger import FRESH, PROSE, STALE, Ledger, State, absent_text
from pixgrad.book.source import options as cell_options
from pixgrad.book.source.metadata import load_yaml
from pixgrad.book.source.project import Project, load
from pixgrad.errors import PixgradError, SourceError

if TYPE_CHECKING:
    from pixgrad.book.executing import execute

CELL_TIMEOUT = 600
"""Seconds: a chapter computes what is light, heavy computing belongs to ``pixgrad run``."""

TELL, EXECUTE, ACCEPT = "tell", "execute", "accept"

_FIGURE_KEYS = ("fig-width", "fig-height", "fig-dpi", "fig-format")
_FIGURE_FORMATS = ("png", "retina", "jpeg", "svg")
_ONE_EXECUTION = "{} у форматов разный: исполнение одно на все форматы"
_REQUIRED = ("nbclient", "ipykernel", "jupyter_cache", "matplotlib_inline")


def freeze_book(
    root: Path,
    check: bool = False,
    accept_sources: bool = False,
    jobs: int = 2,
    timeout: int = CELL_TIMEOUT,
    only: Iterable[str] | None = None,
    versions: str = TELL,
) -> None:
    """Bring ``_freeze`` up to date.

    Parameters
    ----------
    root : folder of the Quarto book.
    check : only say what is stale and because of which file.
    accept_sources : let a data source be served by another origin than recorded.
    jobs : chapters executed at a time.
    timeout : seconds for one cell; 0 is no limit.
    only : the pages to look at, in the book or not; by default the book and its reports.
    versions : what to do with chapters that were executed with other versions of packages:
        TELL, EXECUTE or ACCEPT.

    Raises
    ------
    PixgradError : a chapter is stale (``check``), cannot be read, a cell failed, or a data source
        changed its origin. Chapters that succeeded are kept.
    """
    project = load(root)
    listed = [page.path.as_posix() for page in (*project.chapters, *project.reports)]
    chapters = listed if only is None else list(only)
    if check:
        _check(Ledger(project.root).assess(chapters))
        return
    with Ledger.writing(project.root) as ledger:
        states = ledger.assess(chapters)
        _remove_departed(ledger)
        ledger.complete(states)
        if versions == ACCEPT:
            ledger.accept_versions(states)
        if versions != TELL:
            states = [_by_versions(state, versions) for state in states]
        for state in states:
            if state.status == PROSE:
                ledger.put_prose(state.chapter, state.document)
        stale = [state for state in states if state.status == STALE]
        try:
            if stale:
                run = _Execution(project, ledger, accept_sources, jobs, timeout)
                _require_packages(stale)
                order.execute(ledger, chapters, stale, lambda ready: _round(run, ready))
        finally:
            ledger.dependencies.save()
    _summary(states)


def _by_versions(state: State, versions: str) -> State:
    if not state.versions:
        return state
    if versions == ACCEPT:
        return replace(state, versions=())
    return replace(state, status=STALE, cause=", ".join(state.versions), versions=())


def _check(states: Sequence[State]) -> None:
    behind = [state for state in states if state.status != FRESH]
    for state in behind:
        cause = state.cause if state.status == STALE else f"{state.chapter} (изменён текст)"
        typer.echo(f"{state.chapter}: устарела: {cause}")
    _tell_unverified(states)
    if behind:
        raise PixgradError(f"устаревших глав: {len(behind)}; выполните pixgrad freeze")


def _remove_departed(ledger: Ledger) -> None:
    for chapter in list(ledger.records):
        gone = not (ledger.root / chapter).is_file()
        if gone or not qmd.read(ledger.root / chapter, shown_as=chapter).cells:
            ledger.remove(chapter)
            why = "больше нет" if gone else "осталась без ячеек"
            typer.echo(f"{chapter}: {why}, результаты удалены")


def _summary(states: Sequence[State]) -> None:
    executed = sum(state.status == STALE for state in states)
    edited = sum(state.status == PROSE for state in states)
    fresh = len(states) - executed - edited
    typer.echo(f"исполнено глав: {executed}, обновлён текст: {edited}, без изменений: {fresh}")
    _tell_unverified([state for state in states if state.status != STALE])


def _tell_unverified(states: Iterable[State]) -> None:
    for state in states:
        if state.unverified:
            typer.echo(f"{state.chapter}: не проверено, {absent_text(state.unverified)}")
        if state.versions:
            typer.echo(
                f"{state.chapter}: исполнена с другими версиями: {', '.join(state.versions)}; "
                "исполнить заново: pixgrad freeze, оставить: pixgrad freeze --accept-versions"
            )


@dataclass(frozen=True)
class _Execution:
    """One run of ``freeze``, as far as all its chapters share it."""

    project: Project
    ledger: Ledger
    accept_sources: bool
    jobs: int
    timeout: int


def _round(run: _Execution, stale: Sequence[State]) -> dict[str, PixgradError]:
    """Execute chapters side by side; the errors of those that failed."""
    planned, failures = [], {}
    for state in stale:
        try:
            planned.append((state, _job(run.project, state, run.timeout)))
        except PixgradError as error:
            failures[state.chapter] = error
    return failures | asyncio.run(_execute_all(run, planned))


def _require_packages(stale: Sequence[State]) -> None:
    from importlib.util import find_spec

    missing = [name for name in _REQUIRED if find_spec(name) is None]
    if missing:
        raise PixgradError(
            f"{stale[0].chapter} устарела ({stale[0].cause}), а исполнить её нечем: нет пакетов "
            f"{', '.join(missing)}; выполните make freeze или pip install 'pixgrad[compute]'"
        )


def _job(project: Project, state: State, timeout: int) -> execute.Job:
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
        if asked is not None and kernel != "python3":
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


async def _execute_all(
    run: _Execution, planned: Sequence[tuple[State, execute.Job]]
) -> dict[str, PixgradError]:
    """Execute and write the chapters; the errors of those that failed."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from pixgrad.book.executing.execute import Cache

    cache = Cache(run.project.root, run.ledger.dependencies)
    seats = asyncio.Semaphore(run.jobs)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:

        async def work(state: State, job: execute.Job) -> PixgradError | None:
            async with seats:
                task = progress.add_task(state.chapter, total=len(job.cells))
                try:
                    await _one(run, state, job, cache, lambda n: progress.update(task, completed=n))
                except SourceError as error:
                    return state.document.located(error)
                except PixgradError as error:
                    return error
            return None

        outcomes = await asyncio.gather(*(work(*one) for one in planned))
    return {
        state.chapter: error for (state, _), error in zip(planned, outcomes, strict=True) if error
    }


async def _one(
    run: _Execution,
    state: State,
    job: execute.Job,
    cache: execute.Cache,
    on_cell: Callable[[int], None],
) -> None:
    from pixgrad.book.executing import execute, to_markdown

    found = cache.find(job)
    if found is None:
        found = await execute.run(job, run.ledger.dependencies, on_cell)
        cache.add(job, *found)
    on_cell(len(job.cells))
    notebook, used = found
    if not run.accept_sources:
        _refuse_other_sources(run.ledger, state.chapter, used["sources"])
    rendered = {
        fmt: to_markdown.render(
            job.chapter, job.cells, job.shown[fmt], notebook.cells, fmt, job.figures
        )
        for fmt in FIGURES
    }
    cells = {fmt: one.cells for fmt, one in rendered.items()}
    figures = {name: data for one in rendered.values() for name, data in one.figures.items()}
    run.ledger.put(state.chapter, state.document, cells, figures, used)


def _refuse_other_sources(ledger: Ledger, chapter: str, sources: Mapping[str, str]) -> None:
    recorded = ledger.records.get(chapter, {}).get("sources", {})
    for name, origin in sources.items():
        before = recorded.get(name, origin)
        if before != origin:
            raise SourceError(
                f"источник данных «{name}» сменился: было {before}, стало {origin}; прежний "
                "результат оставлен. Верните данные (PIXGRAD_DATA) или согласитесь: "
                "pixgrad freeze --accept-sources",
                chapter,
            )
