"""What a resumable training of any kind is: epochs, each saved when it is over.

A run that was killed goes on from its last epoch and ends with the same bits as an unbroken one.
"""

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pixgrad.errors import PixgradError

FIRST = 20
"""Losses of the first epoch kept for ``pixgrad verify``, at most."""
Keys = Callable[[Any], dict[str, object]]
"""What tells an outcome from the others: the first columns of its rows in a table."""
OnEpoch = Callable[[int, float], None]
"""Is told the number of finished epochs and the last validation accuracy."""


class DivergedError(PixgradError):
    """The loss stopped being finite."""


@dataclass
class Outcome:
    """Where a run is, and at its end what it gave.

    Attributes
    ----------
    config : settings with ``name``, ``seed`` and ``epochs``.
    net : the network with its present weights; None where nothing is trained.
    status : "running", "done" or "diverged"; a run that diverges is a result.
    history : by epoch, what was measured; "epoch" counts from 1.
    kept : index in the history of the epoch whose weights were kept, the last one by default.
    probed : rows of :class:`pixgrad.training.probe.GradientProbe`.
    """

    config: Any
    net: Any = None
    status: str = "running"
    message: str = ""
    steps: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    kept: int = -1
    first_losses: list[float] = field(default_factory=list)
    probed: list[list[float]] = field(default_factory=list)

    @property
    def last(self) -> dict[str, float]:
        """What was measured of the present weights; empty before the first epoch."""
        return self.history[self.kept] if self.history else {}

    def count_step(self, loss: float) -> None:
        """Note a step that was made and the loss before it."""
        self.steps += 1
        if not self.history and len(self.first_losses) < FIRST:
            self.first_losses.append(loss)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it beside the network."""
        return {name: value for name, value in vars(self).items() if name not in ("config", "net")}


class Run(ABC):
    """A network under training, with all that must be saved to go on."""

    outcome: Outcome

    @abstractmethod
    def steps(self) -> Iterator[object]:
        """Make the steps of the next epoch, one at a time; raises :class:`DivergedError`."""

    @abstractmethod
    def epoch(self) -> dict[str, float]:
        """Train for one epoch and measure; raises :class:`DivergedError`."""

    @abstractmethod
    def save(self, checkpoint: Path) -> None:
        """Replace the checkpoint; a failure to write leaves the previous one whole."""

    @abstractmethod
    def restore(self, checkpoint: Path) -> None:
        """Go back to the state of ``save``."""

    def is_time_to_stop(self) -> bool:
        """Whether to end before the last epoch."""
        return False

    def finish(self) -> None:  # noqa: B027  (most have nothing to do)
        """What is left to do after the last epoch."""

    def first_losses(self, count: int) -> list[float]:
        """Losses of so many first steps (of the first epoch), for ``pixgrad verify``."""
        with suppress(DivergedError):
            for _ in zip(range(count), self.steps(), strict=False):
                pass
        return self.outcome.first_losses[:count]

    def to_the_end(self, checkpoint: Path, on_epoch: OnEpoch) -> Outcome:
        """Train from the checkpoint, if there is one, to the last epoch."""
        outcome = self.outcome
        if checkpoint.is_file():
            self.restore(checkpoint)
            if outcome.history:
                on_epoch(len(outcome.history), outcome.last.get("validation_accuracy", math.nan))
        while outcome.status == "running":
            wall, cpu = time.perf_counter(), processor_seconds()
            try:
                outcome.history.append(self.epoch())
            except DivergedError as error:
                outcome.status, outcome.message = "diverged", str(error)
            else:
                if len(outcome.history) == outcome.config.epochs or self.is_time_to_stop():
                    outcome.status = "done"
                    self.finish()
            outcome.wall_s += time.perf_counter() - wall
            outcome.cpu_s += processor_seconds() - cpu
            self.save(checkpoint)
            on_epoch(len(outcome.history), outcome.last.get("validation_accuracy", math.nan))
        return outcome


def processor_seconds() -> float:
    """Of this process and of its finished children, such as a compiler."""
    return sum(os.times()[:4])


def epochs_table(outcomes: Sequence[Outcome], keys: Keys) -> pd.DataFrame:
    """A row a run and epoch: ``keys`` and the history."""
    return pd.DataFrame([{**keys(one), **epoch} for one in outcomes for epoch in one.history])


def other_settings(checkpoint: Path) -> PixgradError:
    """What to raise where a checkpoint is of another run."""
    return PixgradError(
        f"{checkpoint}: начатый прогон имеет другие настройки; начните заново с --fresh",
        f"{checkpoint}: the run was begun with other settings; begin anew with --fresh",
    )
