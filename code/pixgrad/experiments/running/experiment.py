"""The protocol of an experiment: which runs it needs, and which tables come out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from pixgrad.training.run import OnEpoch, Outcome


class Config(Protocol):
    """Settings of one run: a frozen dataclass of JSON values."""

    @property
    def name(self) -> str:
        """Unique in the experiment, such as "relu-1"."""

    seed: int
    epochs: int


class Data(Protocol):
    """What the runs learn from."""

    fingerprints: dict[str, str]


@dataclass
class Findings:
    """What an experiment makes of its outcomes.

    Attributes
    ----------
    tables : by name.
    arrays : contents of ``arrays.npz``; no file where there are none.
    metrics : by the run's name, for the record.
    """

    tables: dict[str, pd.DataFrame]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)


class Experiment(ABC):
    """Runs of one question.

    Attributes
    ----------
    sources : the usual data of each preset; "smoke" and "report" are always there.
    libraries : whose versions count.
    config : the dataclass of its settings.
    keys : settings that tell its arms apart: the first columns of every table.
    writes_logs : ``train`` can write logs for TensorBoard.
    """

    sources: Mapping[str, str]
    libraries: Sequence[str]
    config: type
    keys: Sequence[str] = ()
    writes_logs = False

    @property
    def module(self) -> str:
        """Where it is defined: its code digest begins there."""
        return type(self).__module__

    @property
    def name(self) -> str:
        return self.module.rpartition(".")[2]

    @abstractmethod
    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        """The runs to make; ``seeds`` instead of the preset's own number."""

    def follow_up(
        self, preset: str, seeds: int | None, outcomes: Sequence[Outcome]
    ) -> list[Config]:
        """Runs that depend on how those of the plan went."""
        return []

    @abstractmethod
    def load(self, source: str) -> Data:
        """The data of all runs."""

    @abstractmethod
    def train(
        self, config: Config, data: Data, checkpoint: Path, on_epoch: OnEpoch, logs: Path | None
    ) -> Outcome:
        """Make or continue one run; ``logs``: folder for TensorBoard, where it ``writes_logs``."""

    @abstractmethod
    def first_losses(self, config: Config, data: Data, steps: int) -> list[float]:
        """Losses of the first steps of a run, made anew, for ``pixgrad verify``."""

    def row(self, outcome: Outcome) -> dict[str, object]:
        """The first columns of a run's rows in every table."""
        return {key: getattr(outcome.config, key) for key in (*self.keys, "seed")}

    @abstractmethod
    def findings(self, outcomes: Sequence[Outcome], data: Data) -> Findings:
        """Tables, arrays and metrics of the finished runs."""
