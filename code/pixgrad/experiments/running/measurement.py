"""Experiments whose runs are measured at one go, on images, and kept as JSON."""

import json
import math
import time
from abc import abstractmethod
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pixgrad import files
from pixgrad.experiments.running.experiment import Experiment
from pixgrad.training.batches import Images, load_images
from pixgrad.training.run import OnEpoch, Outcome, processor_seconds


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of a run that is measured at one go.

    Attributes
    ----------
    seed : of all that is random in it.
    epochs : 1; it counts in the progress bar.
    """

    seed: int = 0
    epochs: int = 1


class Measurement(Experiment):
    """An experiment whose runs are measured at one go and kept as JSON.

    Attributes
    ----------
    outcome : its kind of outcome; the fields that it adds are JSON values.
    """

    outcome: type[Outcome]
    libraries = ("numpy", "torch")

    def load(self, source: str) -> Images:
        return load_images(source)

    @abstractmethod
    def measure(self, config: Config, data: Images) -> Outcome:
        """Make one run."""

    def train(
        self, config: Config, data: Images, checkpoint: Path, on_epoch: OnEpoch, logs: Path | None
    ) -> Outcome:
        if checkpoint.is_file():
            stored = json.loads(checkpoint.read_text(encoding="utf-8"))
            return self.outcome(**stored | {"config": config})
        wall, cpu = time.perf_counter(), processor_seconds()
        measured = self.measure(config, data)
        measured.status = "done"
        measured.wall_s = time.perf_counter() - wall
        measured.cpu_s = processor_seconds() - cpu
        files.write(checkpoint, json.dumps(asdict(measured)))
        on_epoch(1, math.nan)
        return measured

    def first_losses(self, config: Config, data: Images, steps: int) -> list[float]:
        return self.measure(config, data).first_losses[:steps]


def quartiles(name: str, values: np.ndarray, digits: int) -> dict[str, float]:
    """Columns of a table: the median ``name``, and the quartiles ``name_low`` and ``name_high``."""
    middle, low, high = np.percentile(values, [50, 25, 75]).round(digits).tolist()
    return {name: middle, f"{name}_low": low, f"{name}_high": high}
