"""Where the runs of an experiment go: this process, several here, a Dask cluster, torchrun.

The runs are independent: one after another, several at a time in processes of this machine (loky),
or on a Dask cluster. Under ``torchrun`` all its processes work on one run at a time instead.
"""

import functools
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pixgrad.errors import PixgradError
from pixgrad.experiments.running.experiment import Config, Data, Experiment, Outcome
from pixgrad.training.run import OnEpoch

THREADS = 1
"""Threads of the numerical libraries: with one, sums have one order and runs repeat bit for bit."""
CONNECT_S = 10
"""Seconds to wait for a Dask scheduler to answer."""


@dataclass(frozen=True)
class Workers:
    """How many runs at a time, and where; see :func:`pixgrad.experiments.running.running.run`."""

    jobs: int = 1
    backend: str = "loky"
    address: str | None = None
    tensorboard: bool = False

    def check(self, fresh: bool) -> None:
        """Refuse what does not go together."""
        if self.backend not in ("loky", "dask"):
            raise PixgradError(f"нет способа «{self.backend}» раздать прогоны; есть: loky, dask")
        if (self.backend == "dask") != (self.address is not None):
            raise PixgradError("кластеру Dask нужны оба: --backend dask --address tcp://узел:8786")
        if int(os.environ.get("WORLD_SIZE", "1")) > 1 and (fresh or self.jobs > 1 or self.address):
            raise PixgradError(
                "под torchrun все процессы заняты одним прогоном: --jobs и --backend dask ни к "
                "чему, а начатое удаляют заранее, без --fresh"
            )

    def train(
        self, chosen: Experiment, configs: Sequence[Config], data: Data, work: Path
    ) -> list[Outcome]:
        """Make every run under one progress bar; several at a time go through joblib.

        Parameters
        ----------
        work : folder of the checkpoints.
        """
        from joblib import Parallel, delayed

        outcomes, fixed = [], (chosen, data, work.absolute(), self.tensorboard)
        with _progress(sum(config.epochs for config in configs)) as bar:
            if self.jobs == 1 and self.address is None:
                for config in configs:
                    report = bar(config)
                    outcomes.append(_train_one(*fixed, config, report))
                    report(config.epochs, math.nan)  # a run may end early
                return outcomes
            with _pool(self.jobs, self.address, data) as watch:
                tasks = [delayed(_train_one)(*fixed, config, watch) for config in configs]
                for outcome in Parallel(return_as="generator")(tasks):
                    bar(outcome.config)(outcome.config.epochs, math.nan)
                    outcomes.append(outcome)
        return outcomes


@contextmanager
def one_thread() -> Iterator[None]:
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


def process() -> int:
    """Number of this process among those of torchrun, from 0."""
    return int(os.environ.get("RANK", "0"))


def _train_one(
    chosen: Experiment, data: Data, work: Path, tensorboard: bool, config: Config, on_epoch: OnEpoch
) -> Outcome:
    logs = work / "tensorboard" / config.name if tensorboard else None
    with one_thread():
        return chosen.train(config, data, work / f"{config.name}.checkpoint", on_epoch, logs)


@contextmanager
def _pool(jobs: int, address: str | None, data) -> Iterator[OnEpoch]:
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
    with Progress(*columns, disable=process() > 0) as progress:
        task = progress.add_task("обучение", total=total)

        def reporter(config: Config) -> OnEpoch:
            before = progress.tasks[0].completed

            def on_epoch(epochs: int, accuracy: float) -> None:
                shown = "" if accuracy != accuracy else f", проверка {100 * accuracy:.1f} %"
                progress.update(
                    task, completed=before + epochs, description=f"{config.name}{shown}"
                )

            return on_epoch

        yield reporter
