"""Experiments: ``pixgrad run``, ``status`` and ``verify``.

An experiment is a module here with

* ``TITLE``, ``DATA`` (its usual source, or one for each preset), ``LIBRARIES`` (whose versions
  count), ``PRESETS``;
* ``plan(preset, seeds)`` -> its runs: frozen dataclasses with ``name``, ``seed``, ``epochs``;
* optionally ``follow_up(preset, seeds, outcomes)`` -> runs that depend on how those went, such as
  the main runs at the learning rates that did best on validation;
* ``load_data(source)`` -> data with ``fingerprints``;
* ``train(config, data, checkpoint, on_epoch)`` -> an outcome with ``wall_s``, resumable;
* ``finish(outcomes, data, folder)`` -> (runs of the record, picture), writing tables and arrays;
* ``first_losses(config, data, steps)`` for ``verify``.
"""

from __future__ import annotations

import functools
import importlib
import os
import pkgutil
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from pixgrad.errors import PixgradError
from pixgrad.results import FOLDER, RECORD, load_record
from pixgrad.training import records

RUNS = Path("runs")
THREADS = 1
"""Threads of the numerical libraries: with one, sums have one order and runs repeat bit for bit."""


@dataclass(frozen=True)
class Finished:
    """Where the results of an experiment are."""

    folder: Path
    picture: Path
    record: records.Record


@dataclass(frozen=True)
class Status:
    """Whether results are still those of the present code and data; None: cannot be told."""

    name: str
    record: records.Record
    same_code: bool
    same_data: bool | None


@dataclass(frozen=True)
class Replay:
    """First losses of one run: recorded and made anew."""

    run: records.Run
    losses: list[float]

    @property
    def first_difference(self) -> int | None:
        """0-based step where the losses part, None if every bit agrees."""
        pairs = zip(self.run.first_losses, self.losses, strict=True)
        return next((step for step, (old, new) in enumerate(pairs) if old != new), None)


def names() -> list[str]:
    """Names of all experiments."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def experiment(name: str) -> ModuleType:
    """The experiment's module."""
    if name not in names():
        raise PixgradError(f"нет опыта «{name}»; есть: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")


def run(
    name: str,
    preset: str = "report",
    data: str | None = None,
    seeds: int | None = None,
    fresh: bool = False,
    jobs: int = 1,
) -> Finished:
    """Make or continue the runs of an experiment and publish their results.

    Parameters
    ----------
    preset : a key of the module's ``PRESETS``; "smoke" publishes into ``runs/``, the others into
        ``results/NAME``.
    data : source; the module's own by default.
    seeds : how many, instead of the preset's number.
    fresh : forget unfinished runs.
    jobs : independent runs at a time.
    """
    module = experiment(name)
    if preset not in module.PRESETS:
        raise PixgradError(f"нет набора «{preset}»; есть: {', '.join(module.PRESETS)}")
    source = data or (module.DATA if isinstance(module.DATA, str) else module.DATA[preset])
    configs = module.plan(preset, seeds)
    digest = records.code_digest(module.__name__)
    work = RUNS / name / f"{preset}-{source.replace(':', '_').replace('/', '_')}"
    _prepare(work, digest, fresh)
    images = module.load_data(source)
    outcomes = _train_all(module, configs, images, work, jobs)
    if hasattr(module, "follow_up"):
        later = module.follow_up(preset, seeds, outcomes)
        outcomes += _train_all(module, later, images, work, jobs)
    with _replacing(work / FOLDER if preset == "smoke" else Path(FOLDER) / name) as folder:
        runs, picture = module.finish(outcomes, images, folder)
        record = records.Record(
            experiment=name,
            preset=preset,
            seeds=sorted({outcome.config.seed for outcome in outcomes}),
            data=source,
            data_fingerprint=images.fingerprints,
            git_commit=records.git_commit(),
            code_digest=digest,
            versions=records.versions(*module.LIBRARIES),
            device=records.device(),
            threads=THREADS,
            wall_s=round(sum(outcome.wall_s for outcome in outcomes), 1),
            runs=runs,
        )
        records.write_text(folder / RECORD, record.model_dump_json(indent=1) + "\n")
    final = work / FOLDER if preset == "smoke" else Path(FOLDER) / name
    return Finished(final, final / picture.name, record)


def status(root: Path = Path(FOLDER)) -> list[Status]:
    """Every experiment that has results, compared with the present code and data."""
    return [_status(load_record(path.parent)) for path in sorted(root.glob(f"*/{RECORD}"))]


def verify(name: str, root: Path = Path(FOLDER)) -> list[Replay]:
    """Replay the first steps of every run of the recorded results.

    Raises
    ------
    PixgradError : the data are not those of the record.
    """
    module, record = experiment(name), load_record(root / name)
    data = module.load_data(record.data)
    if data.fingerprints != record.data_fingerprint:
        raise PixgradError(
            f"данные «{record.data}» не те, на которых получены результаты «{name}»: "
            "другой отпечаток"
        )
    with _one_thread():
        return [
            Replay(run, module.first_losses(module.Config(**run.config), data, len(losses)))
            for run in record.runs
            if (losses := run.first_losses)
        ]


def _train_all(module: ModuleType, configs: list, data, work: Path, jobs: int) -> list:
    """Train every run under one progress bar; several at a time go through joblib."""
    from joblib import Parallel, delayed

    with _progress(sum(config.epochs for config in configs)) as bar:
        if jobs == 1:
            return [
                _train_one(module.__name__, config, data, work, bar(config)) for config in configs
            ]
        watch = functools.partial(stop_if_orphaned, os.getpid())
        tasks = [delayed(_train_one)(module.__name__, one, data, work, watch) for one in configs]
        outcomes = []
        for outcome in Parallel(n_jobs=jobs, return_as="generator")(tasks):
            bar(outcome.config)(outcome.config.epochs, float("nan"))
            outcomes.append(outcome)
        return outcomes


def _train_one(name: str, config, data, work: Path, on_epoch: Callable[[int, float], None]):
    module = importlib.import_module(name)  # before the threads: it may bring torch
    with _one_thread():
        return module.train(config, data, work / f"{config.name}.checkpoint", on_epoch)


def stop_if_orphaned(parent: int, epochs: int, accuracy: float) -> None:
    """End a worker whose main process was killed: else it would write beside a resumed run."""
    if os.getppid() != parent:
        raise SystemExit(f"главный процесс {parent} завершён")


@contextmanager
def _progress(total: int) -> Iterator[Callable]:
    """A bar over the epochs of all runs with the time left; gives a reporter for each run."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("эпох; прошло"),
        TimeElapsedColumn(),
        TextColumn("осталось"),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    with Progress(*columns) as progress:
        task = progress.add_task("обучение", total=total)

        def reporter(config) -> Callable[[int, float], None]:
            before = progress.tasks[0].completed

            def on_epoch(epochs: int, accuracy: float) -> None:
                shown = "" if accuracy != accuracy else f", проверка {100 * accuracy:.1f} %"
                progress.update(
                    task, completed=before + epochs, description=f"{config.name}{shown}"
                )

            return on_epoch

        yield reporter


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread in BLAS and, where it is in use, in torch; the old number comes back."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    with threadpool_limits(THREADS):
        if torch:
            torch.set_num_threads(THREADS)
        yield
    if torch:
        torch.set_num_threads(before)


def _prepare(work: Path, digest: str, fresh: bool) -> None:
    """Unfinished runs go on only with the code that began them."""
    marker = work / "code_digest"
    if fresh:
        shutil.rmtree(work, ignore_errors=True)
    elif marker.is_file() and marker.read_text(encoding="utf-8") != digest:
        raise PixgradError(
            f"{work}: прогоны начаты другим кодом и не продолжаются; начните заново с --fresh"
        )
    work.mkdir(parents=True, exist_ok=True)
    records.write_text(marker, digest)


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of ``folder`` if all went well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        new, old = Path(temporary) / "new", Path(temporary) / "old"
        new.mkdir()
        yield new
        if folder.exists():
            folder.replace(old)
        new.replace(folder)


def _status(record: records.Record) -> Status:
    module = experiment(record.experiment)
    try:
        same_data = module.load_data(record.data).fingerprints == record.data_fingerprint
    except PixgradError:
        same_data = None
    same_code = records.code_digest(module.__name__) == record.code_digest
    return Status(record.experiment, record, same_code, same_data)
