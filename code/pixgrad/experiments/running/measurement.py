"""Experiments whose runs are measured at one go, on images, and kept as JSON."""

from __future__ import annotations

import json
import math
import time
from abc import abstractmethod
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pixgrad import files
from pixgrad.experiments.running.experiment import Config, Experiment
from pixgrad.training.batches import Images, load_images
from pixgrad.training.run import OnEpoch


@dataclass(kw_only=True)
class Measured:
    """Outcome of a run that is measured at one go; the fields of heirs are JSON values."""

    config: Config
    first_losses: list[float] = field(default_factory=list)
    steps: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    status: str = "done"
    message: str = ""


class Measurement(Experiment):
    """An experiment whose runs are measured at one go and kept as JSON.

    Attributes
    ----------
    outcome : its kind of :class:`Measured`.
    """

    outcome: type[Measured]
    libraries = ("numpy", "torch")

    def load(self, source: str) -> Images:
        return load_images(source)

    @abstractmethod
    def measure(self, config: Config, data: Images) -> Measured:
        """Make one run."""

    def processor_seconds(self) -> float:
        """Of this process."""
        return time.process_time()

    def train(
        self, config: Config, data: Images, checkpoint: Path, on_epoch: OnEpoch, logs: Path | None
    ) -> Measured:
        if checkpoint.is_file():
            stored = json.loads(checkpoint.read_text(encoding="utf-8"))
            return self.outcome(**stored | {"config": config})
        wall, cpu = time.perf_counter(), self.processor_seconds()
        measured = self.measure(config, data)
        measured.wall_s = time.perf_counter() - wall
        measured.cpu_s = self.processor_seconds() - cpu
        files.write(checkpoint, json.dumps(asdict(measured)))
        on_epoch(1, math.nan)
        return measured

    def first_losses(self, config: Config, data: Images, steps: int) -> list[float]:
        return self.measure(config, data).first_losses[:steps]
