"""``pixgrad freeze``: execute the chapters that changed, write Quarto's ``_freeze``.

A chapter is executed if and only if its cells, the execution settings or a file that it used have
changed; an edit of its prose is set around the old outputs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pixgrad.book.executing import jobs, order
from pixgrad.book.ledger import frozen, notebook, qmd
from pixgrad.book.ledger.frozen import FIGURES
from pixgrad.book.ledger.ledger import (
    FRESH,
    PROSE,
    STALE,
    Ledger,
    State,
    absent_text,
    cells_digest,
)
from pixgrad.book.source import embedded
from pixgrad.book.source.project import Project, load
from pixgrad.errors import PixgradError, SourceError

if TYPE_CHECKING:
    from pixgrad.book.executing import execute

CELL_TIMEOUT = 600
"""Seconds: a chapter computes what is light, heavy computing belongs to ``pixgrad run``."""

_LONG_S = 600
"""The time left is told from the cells of so many seconds: they differ."""

TELL, EXECUTE, ACCEPT = "tell", "execute", "accept"

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
    pages = (*project.chapters, *project.reports, *embedded.pages(project))
    listed = [page.path.as_posix() for page in pages]
    chapters = listed if only is None else list(only)
    if check:
        ledger = Ledger(project.root)
        _check([_adopted(project, ledger, state) for state in ledger.assess(chapters)])
        return
    with Ledger.writing(project.root) as ledger:
        states = ledger.assess(chapters)
        _remove_departed(ledger)
        states = update(Execution(project, ledger, accept_sources, jobs, timeout), states, versions)
    _summary(states)


def update(run: Execution, states: Sequence[State], versions: str = TELL) -> Sequence[State]:
    """Set edited prose around old results, execute what is stale.

    Parameters
    ----------
    states : as the ledger has just assessed them, in the order of the book.
    versions : as in ``freeze_book``.

    Returns
    -------
    The states that it acted upon.

    Raises
    ------
    PixgradError : as ``freeze_book``.
    """
    ledger = run.ledger
    ledger.complete(states)
    if versions == ACCEPT:
        ledger.accept_versions(states)
    if versions != TELL:
        states = [_by_versions(state, versions) for state in states]
    states = [_adopted(run.project, ledger, state) for state in states]
    for state in states:
        if state.status == PROSE:
            ledger.put_prose(state.chapter, state.document)
    stale = [state for state in states if state.status == STALE]
    chapters = [state.chapter for state in states]
    try:
        if stale:
            _require_packages(stale)
            order.execute(ledger, chapters, stale, lambda ready: _round(run, ready))
    finally:
        ledger.dependencies.save()
    return states


def _adopted(project: Project, ledger: Ledger, state: State) -> State:
    """A chapter with the results that Quarto itself has frozen, as long as they are its own."""
    asked = project.metadata(state.chapter, state.document).get("execute")
    is_frozen = isinstance(asked, Mapping) and asked.get("freeze") in (True, "auto")
    if project.is_strict or not is_frozen or state.chapter in ledger.records:
        return state
    found = frozen.read(ledger.folder(state.chapter), "html") or {}
    is_current = found.get("hash") == state.document.md5
    return replace(state, status=FRESH, cause="") if is_current else state


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
class Execution:
    """One run of ``freeze``, as far as all its chapters share it (see ``freeze_book``)."""

    project: Project
    ledger: Ledger
    accept_sources: bool = False
    jobs: int = 2
    timeout: int = CELL_TIMEOUT
    stops_at_edits: bool = False
    """Give a chapter up as soon as its cells are edited: they are to be executed once more."""


def _round(run: Execution, stale: Sequence[State]) -> dict[str, PixgradError]:
    """Execute chapters side by side; the errors of those that failed."""
    planned, failures = [], {}
    for state in stale:
        try:
            planned.append((state, jobs.make(run.project, state, run.timeout)))
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


async def _execute_all(
    run: Execution, planned: Sequence[tuple[State, execute.Job]]
) -> dict[str, PixgradError]:
    """Execute and write the chapters; the errors of those that failed."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from pixgrad.book.executing.execute import Cache

    cache = Cache(run.project.root, run.ledger.dependencies)
    seats = asyncio.Semaphore(run.jobs)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("осталось"),
        TimeRemainingColumn(),
    )
    console = Console(file=sys.stderr)
    with Progress(*columns, console=console, speed_estimate_period=_LONG_S) as progress:
        cells = sum(len(job.cells) for _, job in planned)
        whole = progress.add_task("все главы", total=cells, visible=len(planned) > 1)

        def report(task: TaskID, completed: int) -> None:
            progress.update(task, completed=completed)
            done = sum(one.completed for one in progress.tasks if one.id != whole)
            progress.update(whole, completed=done)

        async def work(state: State, job: execute.Job) -> PixgradError | None:
            async with seats:
                task = progress.add_task(state.chapter, total=len(job.cells))
                one = _one(run, state, job, cache, partial(report, task))
                try:
                    await (_unless_edited(run, state, one) if run.stops_at_edits else one)
                except SourceError as error:
                    return state.document.located(error)
                except PixgradError as error:
                    return error
            return None

        outcomes = await asyncio.gather(*(work(*one) for one in planned))
    return {
        state.chapter: error for (state, _), error in zip(planned, outcomes, strict=True) if error
    }


async def _unless_edited(run: Execution, state: State, work: Coroutine) -> None:
    task, cells = asyncio.ensure_future(work), cells_digest(state.document)
    while not (await asyncio.wait([task], timeout=0.3))[0]:
        with suppress(SourceError):  # half saved, or with a mistake that will be told
            now = qmd.read(run.ledger.root / state.chapter, shown_as=state.chapter)
            if cells_digest(now) != cells:
                task.cancel()
                await asyncio.wait([task])
                raise PixgradError(f"{state.chapter}: ячейки изменены, начинаю заново")
    task.result()


async def _one(
    run: Execution,
    state: State,
    job: execute.Job,
    cache: execute.Cache,
    on_cell: Callable[[int], None],
) -> None:
    from pixgrad.book.executing import execute, to_markdown

    is_notebook = Path(state.chapter).suffix == notebook.SUFFIX
    if is_notebook and not _is_enabled(run.project, state):
        found = execute.stored(job, run.ledger.dependencies)
    else:
        found = cache.find(job)
    if found is None:
        found = await execute.run(job, run.ledger.dependencies, on_cell)
        cache.add(job, *found)
    on_cell(len(job.cells))
    executed, used = found
    if not run.accept_sources:
        _refuse_other_sources(run.ledger, state.chapter, used["sources"])
    rendered = {
        fmt: to_markdown.render(
            job.chapter, job.cells, job.shown[fmt], executed.cells, fmt, job.figures
        )
        for fmt in FIGURES
    }
    cells = {fmt: one.cells for fmt, one in rendered.items()}
    figures = {name: data for one in rendered.values() for name, data in one.figures.items()}
    run.ledger.put(state.chapter, state.document, cells, figures, used)


def _is_enabled(project: Project, state: State) -> bool:
    """Whether ``execute: enabled: true`` asks for a notebook to be executed."""
    given = project.metadata(state.chapter, state.document).get("execute")
    return isinstance(given, Mapping) and given.get("enabled") is True


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
