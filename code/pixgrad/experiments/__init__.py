"""Experiments: ``pixgrad run``, ``status`` and ``verify``.

An experiment is a module here with

* ``TITLE``, ``DATA`` (its usual source, or one for each preset), ``LIBRARIES`` (whose versions
  count), ``PRESETS``;
* ``plan(preset, seeds)`` -> its runs: frozen dataclasses with ``name``, ``seed``, ``epochs``;
* optionally ``follow_up(preset, seeds, outcomes)`` -> runs that depend on how those went, such as
  the main runs at the learning rates that did best on validation;
* ``load_data(source)`` -> data with ``fingerprints``;
* ``train(config, data, checkpoint, on_epoch)`` -> an outcome with ``wall_s``, resumable; one that
  takes ``log_dir`` as well can write logs for TensorBoard;
* ``finish(outcomes, data, folder)`` -> (runs of the record, picture), writing tables and arrays;
* ``first_losses(config, data, steps)`` for ``verify``.

The runs are independent: one after another, several at a time in processes of this machine (loky),
or on a Dask cluster. Under ``torchrun`` all its processes work on one run at a time instead.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import math
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from pixgrad import files
from pixgrad.errors import PixgradError
from pixgrad.results import FOLDER, RECORD, load_record, records

RUNS = Path("runs")
THREADS = 1
"""Threads of the numerical libraries: with one, sums have one order and runs repeat bit for bit."""
CONNECT_S = 10
"""Seconds to wait for a Dask scheduler to answer."""


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
    backend: Literal["loky", "dask"] = "loky",
    address: str | None = None,
    tensorboard: bool = False,
) -> Finished | None:
    """Make or continue the runs of an experiment and publish their results.

    Parameters
    ----------
    preset : a key of the module's ``PRESETS``; "smoke" publishes into ``runs/``, the others into
        ``results/`` (see :func:`results_name`).
    data : source; the module's own by default.
    seeds : how many, instead of the preset's number.
    fresh : forget unfinished runs.
    jobs : independent runs at a time with "loky"; on a cluster, one a worker.
    backend, address : "dask" sends the runs to the workers of the scheduler at ``address``, such as
        ``tcp://host:8786``. They start in a folder that this process sees at the same path, since
        checkpoints are files, with one thread each: ``dask worker tcp://… --nthreads 1``.
    tensorboard : log every run into the folder ``tensorboard`` beside the checkpoints.

    Returns
    -------
    Where the results are. Under torchrun the first process publishes, and the others get None.
    """
    module = experiment(name)
    if preset not in module.PRESETS:
        raise PixgradError(f"нет набора «{preset}»; есть: {', '.join(module.PRESETS)}")
    if tensorboard and "log_dir" not in inspect.signature(module.train).parameters:
        raise PixgradError(f"опыт {name} не пишет журнал TensorBoard; уберите --tensorboard")
    _check_workers(fresh, jobs, backend, address)
    source = data or _usual_source(module, preset)
    configs = module.plan(preset, seeds)
    digest = records.code_digest(module.__name__)
    work = RUNS / name / f"{preset}-{_in_file_name(source)}"
    try:
        _prepare(work, digest, fresh)
        images = module.load_data(source)
        workers = (jobs, address, tensorboard)
        outcomes = _train_all(module, configs, images, work, *workers)
        if hasattr(module, "follow_up"):
            later = module.follow_up(preset, seeds, outcomes)
            outcomes += _train_all(module, later, images, work, *workers)
        if _process() > 0:
            return None
        published = Path(FOLDER) / results_name(name, preset, source)
        final = work / FOLDER if preset == "smoke" else published
        origin = {"experiment": name, "preset": preset, "data": source, "code_digest": digest}
        return _publish(module, outcomes, images, final, origin)
    except OSError as error:
        raise PixgradError(
            f"опыт {name}: {error}; законченные эпохи и прежние результаты целы"
        ) from error


def results_name(name: str, preset: str, source: str) -> str:
    """The folder in ``results/``: so named that no preset or source replaces another's results.

    The experiment's name alone stands for the preset "report" on its usual data.
    """
    parts = [name] if preset == "report" else [name, preset]
    if source != _usual_source(experiment(name), preset):
        parts.append(_in_file_name(source))
    return "-".join(parts)


def _usual_source(module: ModuleType, preset: str) -> str:
    return module.DATA if isinstance(module.DATA, str) else module.DATA[preset]


def _in_file_name(source: str) -> str:
    return source.replace(":", "_").replace("/", "_")


def status(root: Path = Path(FOLDER)) -> list[Status]:
    """Every experiment that has results, compared with the present code and data."""
    return [_status(path.parent) for path in sorted(root.glob(f"*/{RECORD}"))]


def verify(name: str, root: Path = Path(FOLDER), count: int = 0) -> list[Replay]:
    """Replay the first steps of the runs of the recorded results.

    Parameters
    ----------
    name : the folder of the results, see :func:`results_name`.
    count : how many runs at most, evenly spread over the record; 0 — all.

    Raises
    ------
    PixgradError : the data are not those of the record.
    """
    record = load_record(root / name)
    module = experiment(record.experiment)
    data = module.load_data(record.data)
    if data.fingerprints != record.data_fingerprint:
        raise PixgradError(
            f"данные «{record.data}» не те, на которых получены результаты «{name}»: "
            "другой отпечаток"
        )
    runs = [run for run in record.runs if run.first_losses]
    chosen = runs[:: math.ceil(len(runs) / count) or 1] if count else runs
    with _one_thread():
        return [
            Replay(
                run, module.first_losses(module.Config(**run.config), data, len(run.first_losses))
            )
            for run in chosen
        ]


def _check_workers(fresh: bool, jobs: int, backend: str, address: str | None) -> None:
    """Refuse what does not go together."""
    if backend not in ("loky", "dask"):
        raise PixgradError(f"нет способа «{backend}» раздать прогоны; есть: loky, dask")
    if (backend == "dask") != (address is not None):
        raise PixgradError("кластеру Dask нужны оба: --backend dask --address tcp://узел:8786")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and (fresh or jobs > 1 or address):
        raise PixgradError(
            "под torchrun все процессы заняты одним прогоном: --jobs и --backend dask ни к чему, а "
            "начатое удаляют заранее, без --fresh"
        )


def _publish(module: ModuleType, outcomes: list, data, final: Path, origin: dict) -> Finished:
    """Replace the folder of the results by new ones, all or nothing."""
    with files.replacing(final) as folder:
        runs, picture = module.finish(outcomes, data, folder)
        record = records.Record(
            **origin,
            seeds=sorted({outcome.config.seed for outcome in outcomes}),
            data_fingerprint=data.fingerprints,
            git_commit=records.git_commit(),
            versions=records.versions(*module.LIBRARIES),
            device=records.device(),
            threads=THREADS,
            wall_s=round(sum(outcome.wall_s for outcome in outcomes), 1),
            runs=runs,
        )
        files.write(folder / RECORD, record.model_dump_json(indent=1) + "\n")
    return Finished(final, final / picture.name, record)


def _train_all(
    module: ModuleType,
    configs: list,
    data,
    work: Path,
    jobs: int,
    address: str | None = None,
    tensorboard: bool = False,
) -> list:
    """Train every run under one progress bar; several at a time go through joblib."""
    from joblib import Parallel, delayed

    outcomes, fixed = [], (module.__name__, data, work.absolute(), tensorboard)
    with _progress(sum(config.epochs for config in configs)) as bar:
        if jobs == 1 and address is None:
            for config in configs:
                report = bar(config)
                outcomes.append(_train_one(*fixed, config, report))
                report(config.epochs, math.nan)  # a run may end early
            return outcomes
        with _workers(jobs, address, data) as watch:
            tasks = [delayed(_train_one)(*fixed, config, watch) for config in configs]
            for outcome in Parallel(return_as="generator")(tasks):
                bar(outcome.config)(outcome.config.epochs, math.nan)
                outcomes.append(outcome)
    return outcomes


def _train_one(name: str, data, work: Path, tensorboard: bool, config, on_epoch: Callable):
    module = importlib.import_module(name)  # before the threads: it may bring torch
    log = {"log_dir": work / "tensorboard" / config.name} if tensorboard else {}
    with _one_thread():
        return module.train(config, data, work / f"{config.name}.checkpoint", on_epoch, **log)


@contextmanager
def _workers(jobs: int, address: str | None, data) -> Iterator[Callable[[int, float], None]]:
    """Where joblib sends its tasks; gives what stops them when this process is gone."""
    from joblib import parallel_config

    if address is None:
        with parallel_config("loky", n_jobs=jobs):
            yield functools.partial(stop_if_orphaned, os.getpid())
        return
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise PixgradError("кластеру Dask нужен пакет: pip install distributed") from None
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise PixgradError(f"нет планировщика Dask по адресу {address}: {error}") from None
    with client:
        if set(client.nthreads().values()) != {1}:  # threads of torch are set for the process
            raise PixgradError(
                f"{address}: нужны исполнители, у каждого один поток: "
                f"dask worker {address} --nthreads 1"
            )
        with parallel_config("dask", client=client, scatter=[data]):
            yield stop_if_cancelled


def stop_if_orphaned(parent: int, epochs: int, accuracy: float) -> None:
    """End a worker whose main process was killed: else it would write beside a resumed run."""
    if os.getppid() != parent:
        os._exit(1)  # an exception would end this run alone: the worker has the next one waiting


def stop_if_cancelled(epochs: int, accuracy: float) -> None:
    """The same on a Dask worker, which outlives its clients.

    The scheduler cancels the tasks of a client that is gone, but does not interrupt them.
    """
    from distributed import get_worker

    worker = get_worker()
    if worker.state.tasks[worker.get_current_task()].state == "cancelled":
        raise PixgradError("прогона больше никто не ждёт")


def _process() -> int:
    """Number of this process among those of torchrun, from 0."""
    return int(os.environ.get("RANK", "0"))


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
    with Progress(*columns, disable=_process() > 0) as progress:
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
        files.remove_folder(work)
    elif marker.is_file() and marker.read_text(encoding="utf-8") != digest:
        raise PixgradError(
            f"{work}: прогоны начаты другим кодом и не продолжаются; начните заново с --fresh"
        )
    files.clean(work, work.parent)
    files.write(marker, digest)


def _status(folder: Path) -> Status:
    record = load_record(folder)
    module = experiment(record.experiment)
    try:
        same_data = module.load_data(record.data).fingerprints == record.data_fingerprint
    except PixgradError:
        same_data = None
    same_code = records.code_digest(module.__name__) == record.code_digest
    return Status(folder.name, record, same_code, same_data)
