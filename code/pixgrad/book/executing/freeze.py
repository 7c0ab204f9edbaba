"""``pixgrad freeze``: execute the chapters that changed, write Quarto's ``_freeze``.

A chapter is executed if and only if its cells, the execution settings or a file that it used have
changed; an edit of its prose is set around the old outputs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pixgrad.book.ledger import qmd, staleness, store
from pixgrad.book.ledger.dependencies import Digests
from pixgrad.book.ledger.staleness import FRESH, PROSE, STALE, State
from pixgrad.book.source import options as cell_options
from pixgrad.book.source.project import Project, load, load_yaml
from pixgrad.errors import PixgradError, SourceError

if TYPE_CHECKING:
    from rich.progress import Progress

    from pixgrad.book.executing import execute

CELL_TIMEOUT = 600
"""Seconds: a chapter computes what is light, heavy computing belongs to ``pixgrad run``."""

_FIGURE_KEYS = ("fig-width", "fig-height", "fig-dpi", "fig-format")
_FIGURE_FORMATS = ("png", "retina", "jpeg", "svg")
_REQUIRED = ("nbclient", "ipykernel", "jupyter_cache", "matplotlib_inline")


def freeze_book(
    root: Path,
    check: bool = False,
    accept_sources: bool = False,
    jobs: int = 2,
    timeout: int = CELL_TIMEOUT,
    only: Iterable[str] | None = None,
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

    Raises
    ------
    PixgradError : a chapter is stale (``check``), cannot be read, a cell failed, or a data source
        changed its origin. Chapters that succeeded are kept.
    """
    project = load(root)
    listed = [page.path.as_posix() for page in (*project.chapters, *project.reports)]
    chapters = listed if only is None else list(only)
    digests = Digests(project.root)
    if check:
        _check(staleness.assess(project.root, chapters, digests))
        return
    with store.writing(project.root):
        states = staleness.assess(project.root, chapters, digests)
        _remove_departed(project.root)
        for state in states:
            if state.status == PROSE:
                store.put_prose(project.root, state.chapter, state.document)
        stale = [state for state in states if state.status == STALE]
        try:
            if stale:
                _execute(project, stale, digests, jobs, accept_sources, timeout)
        finally:
            digests.save()
    _summary(states)


def _check(states: Sequence[State]) -> None:
    behind = [state for state in states if state.status != FRESH]
    for state in behind:
        cause = state.cause if state.status == STALE else f"{state.chapter} (изменён текст)"
        typer.echo(f"{state.chapter}: устарела: {cause}")
    _tell_unverified(states)
    if behind:
        raise PixgradError(f"устаревших глав: {len(behind)}; выполните pixgrad freeze")


def _remove_departed(root: Path) -> None:
    for chapter in staleness.read_records(root):
        gone = not (root / chapter).is_file()
        if gone or not qmd.read(root / chapter, shown_as=chapter).cells:
            store.remove(root, chapter)
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
            typer.echo(f"{state.chapter}: не проверено, {staleness.absent_text(state.unverified)}")


@dataclass(frozen=True)
class _Plan:
    """What has to be done with a stale chapter."""

    state: State
    job: execute.Job
    options: tuple[Mapping[str, Any], ...]


def _execute(
    project: Project,
    stale: Sequence[State],
    digests: Digests,
    jobs: int,
    accept_sources: bool,
    timeout: int,
) -> None:
    _require_packages(stale)
    plans, failures = [], []
    for state in stale:
        try:
            plans.append(_plan(project, state, timeout))
        except PixgradError as error:
            failures.append(error)
    failures += asyncio.run(_execute_all(project, plans, digests, jobs, accept_sources))
    if len(failures) == 1:
        raise failures[0]
    if failures:
        listed = "\n".join(str(failure) for failure in failures)
        raise PixgradError(f"не исполнено глав: {len(failures)}\n{listed}")


def _require_packages(stale: Sequence[State]) -> None:
    from importlib.util import find_spec

    missing = [name for name in _REQUIRED if find_spec(name) is None]
    if missing:
        raise PixgradError(
            f"{stale[0].chapter} устарела ({stale[0].cause}), а исполнить её нечем: нет пакетов "
            f"{', '.join(missing)}; выполните make freeze или pip install 'pixgrad[compute]'"
        )


def _plan(project: Project, state: State, timeout: int) -> _Plan:
    from pixgrad.book.executing import execute

    chapter, document = state.chapter, state.document
    front, lines = load_yaml(document.front_matter, chapter, 2)
    _require_python(project, front, chapter, lines)
    defaults = {
        name: value
        for settings in (project.get("execute", default={}), front.get("execute") or {})
        for name, value in settings.items()
        if name in cell_options.EXECUTION_DEFAULTS
    }
    options = tuple(cell_options.of_cell(cell, chapter, defaults) for cell in document.cells)
    _refuse_same_labels(document.cells, options, chapter)
    in_root = project.get("project", "execute-dir") == "project"
    job = execute.Job(
        chapter=chapter,
        cells=tuple(document.cells),
        options=options,
        root=project.root,
        folder=project.root if in_root else (project.root / chapter).parent,
        figures=_figures(project, front, chapter),
        environment=execute.read_environment(project.root / "_environment"),
        timeout=timeout or None,
    )
    return _Plan(state, job, options)


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


def _figures(project: Project, front: Mapping, chapter: str) -> execute.Figures:
    from pixgrad.book.executing.execute import Figures

    for fmt in project.get("format", default={}) or {}:
        for key in _FIGURE_KEYS:
            if project.get("format", fmt, key) is not None:
                raise project.error(
                    f"{key} задаётся на верхнем уровне: одно исполнение на все форматы",
                    "format", fmt, key,
                )  # fmt: skip
    asked = {key: front.get(key, project.get(key)) for key in _FIGURE_KEYS}
    given = {key[4:]: value for key, value in asked.items() if value is not None}
    if given.get("format", "png") not in _FIGURE_FORMATS:
        raise SourceError(
            f"fig-format: {given['format']}: умеем {', '.join(_FIGURE_FORMATS)}", chapter
        )
    return Figures(**given)


async def _execute_all(
    project: Project,
    plans: Sequence[_Plan],
    digests: Digests,
    jobs: int,
    accept_sources: bool,
) -> list[PixgradError]:
    """Execute and write the chapters; the errors of those that failed."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from pixgrad.book.executing.execute import Cache

    cache = Cache(project.root, digests)
    seats = asyncio.Semaphore(jobs)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:

        async def work(plan: _Plan) -> PixgradError | None:
            async with seats:
                try:
                    await _one(project.root, plan, cache, digests, accept_sources, progress)
                except PixgradError as error:
                    return error
            return None

        outcomes = await asyncio.gather(*map(work, plans))
    return [error for error in outcomes if error]


async def _one(
    root: Path,
    plan: _Plan,
    cache: execute.Cache,
    digests: Digests,
    accept_sources: bool,
    progress: Progress,
) -> None:
    from pixgrad.book.executing import execute, to_markdown

    state, job = plan.state, plan.job
    task = progress.add_task(state.chapter, total=len(job.cells))
    found = cache.find(job)
    if found is None:
        found = await execute.run(job, digests, lambda done: progress.update(task, completed=done))
        cache.add(job, *found)
    progress.update(task, completed=len(job.cells))
    notebook, used = found
    if not accept_sources:
        _refuse_other_sources(root, state.chapter, used["sources"])
    rendered = {
        fmt: to_markdown.render(
            state.chapter, job.cells, plan.options, notebook.cells, fmt, job.figures
        )
        for fmt in staleness.FIGURES
    }
    store.put(
        root,
        state.chapter,
        state.document,
        {fmt: one.cells for fmt, one in rendered.items()},
        {name: data for one in rendered.values() for name, data in one.figures.items()},
        {
            **used,
            "cells": staleness.cells_digest(state.document),
            "settings": staleness.settings(root),
        },
    )


def _refuse_other_sources(root: Path, chapter: str, sources: Mapping[str, str]) -> None:
    recorded = staleness.read_records(root).get(chapter, {}).get("sources", {})
    for name, origin in sources.items():
        before = recorded.get(name, origin)
        if before != origin:
            raise SourceError(
                f"источник данных «{name}» сменился: было {before}, стало {origin}; прежний "
                "результат оставлен. Верните данные (PIXGRAD_DATA) или согласитесь: "
                "pixgrad freeze --accept-sources",
                chapter,
            )
