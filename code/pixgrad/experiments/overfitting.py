"""A small network overfits 1,000 images; then each technique against overfitting alone, and some
together.

The network of three convolutions learns CIFAR-10; the runs of one seed share initial weights and
the order of the images wherever the technique leaves them what they are. For transfer the network
first learns CIFAR-100, whose classes are others.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from pixgrad import nets
from pixgrad.experiments.running import training
from pixgrad.experiments.running.training import Arm, Budget, Tested, Training
from pixgrad.results.calibration import reliability
from pixgrad.training import loop, scores
from pixgrad.training.batches import Images, load_images
from pixgrad.training.run import OnEpoch, Outcome


@dataclass(frozen=True, kw_only=True)
class Config(training.Config):
    """Settings of one run.

    Attributes
    ----------
    technique : its name in the tables.
    channels, dropout : of the network, see :class:`pixgrad.nets.small.SmallCNN`.
    batch_norm : after every convolution.
    start : "scratch"; "frozen" — the convolutions are those of a network that learned other images
        (``PRETRAINING``), and stay; "tuned" — they go on learning.
    epochs_before : how long that network learned.
    """

    technique: str
    channels: int = 16
    dropout: float = 0.0
    batch_norm: bool = False
    start: Literal["scratch", "frozen", "tuned"] = "scratch"
    epochs_before: int = 30

    @property
    def arm(self) -> str:
        return self.technique


SOURCES = {"smoke": "mnist5k+mnist5k", "report": "cifar10+cifar100"}
"""The images of the task and, after the plus, those that a transferred network learned before."""
RATES, SMALL_RATES, LARGE_RATES = (
    (0.003, 0.01, 0.03, 0.1),
    (0.001, 0.003, 0.01, 0.03),
    (0.01, 0.03, 0.1, 0.3),
)
"""To choose from: small ones for a network that has learned before, large ones for large batches
and with normalisation."""
BASE = {
    "network": "small-cnn",
    "batch_size": 32,
    "weight_decay": 0.0,
    "shift": 0,
    "flip": False,
    "train_images": 1000,
    "validation_images": 500,
}
NORMALISED = {"batch_norm": True, "recalibrate": 1000}
LONG = "batch 128, as many steps"
CHANGED = {"flip": True, "shift": 4, "cutout": 12, "colour": 0.3}
TECHNIQUES: Mapping[str, Mapping[str, object]] = {
    "none": {},
    "dropout 0.2": {"dropout": 0.2},
    "dropout 0.5": {"dropout": 0.5},
    **{name: {name: value} for name, value in CHANGED.items()},
    "all changes": CHANGED,
    **{f"L2 {decay:g}": {"weight_decay": decay} for decay in (1e-4, 1e-3, 1e-2, 1e-1)},
    "batch norm": NORMALISED,
    "early stopping": {},
    "half the channels": {"channels": 8},
    "frozen transfer": {"start": "frozen"},
    "tuned transfer": {"start": "tuned"},
    **{f"batch {size}": {"batch_size": size} for size in (16, 64, 128)},
    LONG: {"batch_size": 128},
    "changes, norm, dropout": CHANGED | NORMALISED | {"dropout": 0.2},
    "changes, norm, L2": CHANGED | NORMALISED | {"weight_decay": 1e-2},
    "changes, transfer": CHANGED | {"start": "tuned"},
}
"""Each is the network without any, "none", but for these settings; the last ones are together."""
MAIN = {"early stopping": {"patience": 5}}
"""Settings of main runs alone."""
PRETRAINING = {"seed": 11, "lr": 0.03, "batch_size": 64}


def _rates(settings: Mapping[str, object]) -> tuple[float, ...]:
    if "start" in settings:
        return SMALL_RATES
    large = "batch_norm" in settings or settings.get("batch_size", 0) > BASE["batch_size"]
    return LARGE_RATES if large else RATES


def _arms(budget: Budget, rates: tuple[float, ...] = (), **settings) -> list[Arm]:
    longer = BASE["batch_size"] / TECHNIQUES[LONG]["batch_size"]
    budgets = {
        LONG: replace(
            budget,
            epochs=round(budget.epochs / longer),
            sweep_epochs=round(budget.sweep_epochs / longer),
        )
    }
    return [
        Arm(
            BASE | {"technique": name} | own | settings,
            rates or _rates(own),
            budgets.get(name, budget),
            MAIN.get(name, {}),
        )
        for name, own in TECHNIQUES.items()
    ]


FEW = {"train_images": 100, "validation_images": 50, "epochs_before": 1}
PRESETS = {
    "smoke": _arms(Budget(2, 1, seeds=1), RATES[1:2], **FEW),
    "report": _arms(Budget(40, 8, seeds=5, sweep_seeds=2)),
}


@dataclass(frozen=True, eq=False)
class Task:
    """The images of the task, and those that a transferred network learned before."""

    task: Images
    before: Images

    @property
    def fingerprints(self) -> dict[str, str]:
        return {
            f"{images.source} {part}": fingerprint
            for images in (self.task, self.before)
            for part, fingerprint in images.fingerprints.items()
        }

    def __hash__(self) -> int:
        return hash(tuple(self.fingerprints.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Task) and self.fingerprints == other.fingerprints


class Overfitting(Training):
    """Every technique alone, and some together."""

    sources = SOURCES
    presets = PRESETS
    config = Config
    keys = ("technique",)
    keeps_probabilities = False
    test_scores = ("loss", "accuracy", "macro_f1", "calibration_error")

    def load(self, source: str) -> Task:
        """Load "TASK+BEFORE"."""
        task, _, before = source.partition("+")
        return Task(load_images(task), load_images(before or task))

    def images(self, config: Config, data: Task) -> Images:
        return super().images(config, data.task)

    def train(
        self, config: Config, data: Task, checkpoint: Path, on_epoch: OnEpoch, logs: Path | None
    ) -> Outcome:
        mine, build = self._with_weights(config, data)
        return loop.fit(config, build, mine, checkpoint, on_epoch, logs, self.scores)

    def first_losses(self, config: Config, data: Task, steps: int) -> list[float]:
        mine, build = self._with_weights(config, data)
        return loop.TorchRun(config, build, mine).first_losses(steps)

    def _with_weights(self, config: Config, data: Task):
        """The images of a run, and what builds its network."""
        mine = self.images(config, data)
        before = None if config.start == "scratch" else pretrained(data, config.epochs_before)
        return mine, functools.partial(self.build, config, mine, before=before)

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        """The network; ``before``: whose convolutions it takes over, if any."""
        before = options.pop("before", None)
        options |= {name: getattr(config, name) for name in ("channels", "dropout", "batch_norm")}
        net = super().build(config, data, generator, **options)
        if before is not None:
            weights = {name: of for name, of in before.named_parameters() if "features" in name}
            net.load_state_dict(weights, strict=False)
            net.features.requires_grad_(config.start == "tuned")
        return net

    def arrays(self, tested: Sequence[Tested], data: Task) -> dict[str, np.ndarray]:
        """``reliability.RUN`` (3, 15) float32, by `results.calibration.reliability`;
        ``before`` (2,): shares of right answers of the network that was transferred, on its
        own training and validation images."""
        found = {}
        for one in tested:
            labels = one.images.labels["test"].numpy()
            curve = reliability(one.logits.softmax(1).numpy(), labels)
            found[f"reliability.{one.outcome.config.name}"] = curve.astype(np.float32)
        net = pretrained(data, tested[0].outcome.config.epochs_before)
        shares = [
            scores.measure("softmax", ["accuracy"], logits, data.before.labels[part])["accuracy"]
            for part in ("train", "validation")
            for logits in [loop.predict(net, data.before, data.before.images[part])]
        ]
        return found | {"before": np.array(shares, np.float32)}


@functools.lru_cache(maxsize=1)
def pretrained(data: Task, epochs: int) -> nn.Module:
    """The network that learned the images of before; the same for all runs."""

    def build(generator: torch.Generator) -> nn.Module:
        options = {"in_channels": data.before.channels, "init": "he", "generator": generator}
        return nets.build("small-cnn", len(data.before.names), **options)

    run = loop.TorchRun(loop.Settings(epochs=epochs, **PRETRAINING), build, data.before)
    for _ in range(epochs):
        run.outcome.history.append(run.epoch())
    run.close()
    return run.net.eval()


EXPERIMENT = Overfitting()
