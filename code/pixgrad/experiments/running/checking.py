"""``pixgrad status`` and ``pixgrad verify``: do results still belong to the present code?"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pixgrad import experiments
from pixgrad.errors import PixgradError
from pixgrad.experiments.running.experiment import Data, Experiment
from pixgrad.experiments.running.workers import one_thread
from pixgrad.progress import shown
from pixgrad.results import FOLDER, RECORD, load_record, records

CLOSE_FIRST, CLOSE_STEPS, CLOSE = 1e-5, 5, 0.1
"""On another processor or with other libraries sums are rounded differently, and training spreads
the difference: Adam's first steps follow the signs of gradients, rounded ones too. There the first
loss is compared with the first relative tolerance, and so many with the last one."""


@dataclass(frozen=True)
class Status:
    """Whether results are still those of the present code and data; None: cannot be told.

    ``damage`` says what is wrong with the record where there is none.
    """

    name: str
    record: records.Record | None
    same_code: bool | None
    same_data: bool | None
    damage: str = ""


@dataclass(frozen=True)
class Replay:
    """First losses of one run: recorded and made anew, NaN from where it diverged."""

    run: records.Run
    losses: list[float]
    same_machine: bool

    @property
    def first_difference(self) -> int | None:
        """0-based step where the losses part, None if every bit agrees."""
        pairs = zip(self.run.first_losses, self.losses, strict=True)
        return next((step for step, (old, new) in enumerate(pairs) if old != new), None)

    @property
    def differences(self) -> np.ndarray:
        """Relative differences of the first ``CLOSE_STEPS`` losses."""
        old, new = (np.array(of[:CLOSE_STEPS]) for of in (self.run.first_losses, self.losses))
        return np.abs(new - old) / np.abs(old)

    @property
    def passed(self) -> bool:
        """Equal to the bit where the machine and its libraries are the same, else close."""
        if self.same_machine or self.first_difference is None:
            return self.first_difference is None
        return bool(self.differences[0] < CLOSE_FIRST and np.max(self.differences) < CLOSE)


def status(root: Path = Path(FOLDER)) -> list[Status]:
    """Every experiment that has results, compared with the present code and data."""
    paths = sorted(root.glob(f"*/{RECORD}"))
    return [_status(path.parent) for path in shown(paths, "записи опытов")]


def verify(name: str, root: Path = Path(FOLDER), count: int = 0) -> list[Replay]:
    """Replay the first steps of the runs of the recorded results.

    Parameters
    ----------
    name : the folder of the results, see :func:`pixgrad.experiments.running.running.results_name`.
    count : how many runs at most, evenly spread over the record; 0 — all.

    Raises
    ------
    PixgradError : the data are not those of the record.
    """
    record = load_record(root / name)
    chosen = experiments.experiment(record.experiment)
    data = chosen.load(record.data)
    if data.fingerprints != record.data_fingerprint:
        raise PixgradError(
            f"данные «{record.data}» не те, на которых получены результаты «{name}»: "
            "другой отпечаток"
        )
    runs = [run for run in record.runs if run.first_losses]
    spread = runs[:: math.ceil(len(runs) / count) or 1] if count else runs
    here = records.device(), records.versions(*chosen.libraries)
    same_machine = here == (record.device, record.versions)
    with one_thread():
        runs = shown(spread, f"{name}: начала прогонов")
        return [Replay(run, _losses(chosen, run, data), same_machine) for run in runs]


def _losses(chosen: Experiment, run: records.Run, data: Data) -> list[float]:
    try:
        config = chosen.config(**run.config)
    except TypeError as error:
        raise PixgradError(
            f"{run.name}: опыт {chosen.name} теперь не знает таких настроек: {error}"
        ) from None
    steps = len(run.first_losses)
    losses = chosen.first_losses(config, data, steps)
    return losses + [math.nan] * (steps - len(losses))


def _status(folder: Path) -> Status:
    try:
        record = load_record(folder)
    except PixgradError as error:
        return Status(folder.name, None, None, None, str(error))
    if record.experiment not in experiments.names():
        return Status(folder.name, record, None, None)
    chosen = experiments.experiment(record.experiment)
    try:
        same_data = chosen.load(record.data).fingerprints == record.data_fingerprint
    except PixgradError:
        same_data = None
    same_code = records.code_digest(chosen.module) == record.code_digest
    return Status(folder.name, record, same_code, same_data)
