"""The settings that the report of assignment 001 changed, each alone and as it changed them.

The report names no network, so a small one of three convolutions learns 10,000 images of CIFAR-10
to the accuracy that the report begins with. Its advice for other sets is tried on the same network:
more layers, epochs and dropout for MNIST and CIFAR-100, a head of two levels for CIFAR-100's
superclasses, and for what it says of ImageNet an ensemble of three and a network in network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import nn

from pixgrad.data.superclasses import superclasses
from pixgrad.experiments.running import training
from pixgrad.experiments.running.training import Arm, Budget, Tested, Training
from pixgrad.training.batches import Images, load_images
from pixgrad.training.scores import measure

PARTS = ("activation", "dropout", "first_kernel", "channels", "convolutions", "pointwise")
"""Settings of a run that are parts of :class:`pixgrad.nets.small.SmallCNN`."""


@dataclass(frozen=True, kw_only=True)
class Config(training.Config):
    """Settings of one run.

    Attributes
    ----------
    task : which of the sets, see ``TASKS``.
    change : name of the arm within the task.
    activation … pointwise : of the network, see :class:`pixgrad.nets.small.SmallCNN`.
    two_level : its head tells the superclass first.
    """

    task: str
    change: str
    activation: str = "tanh"
    dropout: float = 0.06
    first_kernel: int = 3
    channels: int = 16
    convolutions: int = 1
    pointwise: int = 0
    two_level: bool = False

    @property
    def arm(self) -> str:
        return f"{self.task} {self.change}"


TASKS = ("cifar10", "cifar100", "mnist")
SOURCES = {"smoke": "mnist5k+mnist5k+mnist5k", "report": "+".join(TASKS)}
"""The images of each of ``TASKS``."""
RATES, SQUARE_RATES = (0.01, 0.03, 0.1, 0.3), (0.003, 0.01, 0.03, 0.1)
"""To choose from; the latter where the loss is a square."""
BASE = {"network": "small-cnn", "batch_size": 128, "weight_decay": 0.0, "shift": 0, "flip": False}
BEFORE, AFTER = "relu, dropout 0.12", "tanh, dropout 0.06"
"""The network that the report began with, and the one that its other changes are made to."""
CIFAR10: Mapping[str, Mapping[str, object]] = {
    BEFORE: {"activation": "relu", "dropout": 0.12},
    "relu, dropout 0.06": {"activation": "relu"},
    "tanh, dropout 0.12": {"dropout": 0.12},
    AFTER: {},
    "batch 64": {"batch_size": 64},
    "last sigmoid": {"last": "sigmoid"},
    "last identity": {"last": "identity"},
    "last tanh": {"last": "tanh"},
    "last sigmoid, loss of softmax": {"last": "sigmoid, loss of softmax"},
    "kernel 2": {"first_kernel": 2},
    "kernel 1": {"first_kernel": 1},
    "dropout 0.1": {"dropout": 0.1},
    "kernel 2, dropout 0.1": {"first_kernel": 2, "dropout": 0.1},
    "kernel 1, dropout 0.1": {"first_kernel": 1, "dropout": 0.1},
    "more channels": {"channels": 28},
    "network in network": {"pointwise": 2},
}
ADVICE = {
    "base": {},
    "more layers": {"convolutions": 2},
    "more epochs": {},
    "dropout 0": {"dropout": 0.0},
    "dropout 0.25": {"dropout": 0.25},
}
TWO_LEVELS = {"two levels": {"two_level": True}}
ENSEMBLE = 3
"""Networks whose probabilities are averaged; ``AFTER`` has so many times more seeds."""


def _arms(
    task: str,
    changes: Mapping[str, Mapping[str, object]],
    budget: Budget,
    rates: tuple[float, ...],
    **settings,
) -> list[Arm]:
    more = {
        "more epochs": replace(budget, epochs=3 * budget.epochs, sweep_epochs=budget.epochs),
        AFTER: replace(budget, seeds=ENSEMBLE * budget.seeds),
    }
    return [
        Arm(
            BASE | {"task": task, "change": change} | settings | own,
            SQUARE_RATES if own.get("last") in ("identity", "tanh") else rates,
            more.get(change, budget),
        )
        for change, own in changes.items()
    ]


FEW = {"train_images": 200, "validation_images": 50, "batch_size": 32}
SOME = {"train_images": 10_000, "validation_images": 1000}
SMALL = {"validation_images": 1000, "batch_size": 64}
DIGITS = {"train_images": 5000, "validation_images": 1000, "batch_size": 64}
PRESETS = {
    "smoke": [
        arm
        for task, changes in zip(TASKS, (CIFAR10, ADVICE, ADVICE), strict=True)
        for arm in _arms(task, changes, Budget(1, 1, seeds=1), RATES[1:2], **FEW)
    ],
    "report": [
        *_arms("cifar10", CIFAR10, Budget(6, 2, seeds=5, sweep_seeds=2), RATES, **SOME),
        *_arms(
            "cifar100", ADVICE | TWO_LEVELS, Budget(8, 2, seeds=5, sweep_seeds=2), RATES, **SMALL
        ),
        *_arms("mnist", ADVICE, Budget(3, 1, seeds=5, sweep_seeds=2), RATES, **DIGITS),
    ],
}


@dataclass(frozen=True, eq=False)
class Sets:
    """The images of each task."""

    of: Mapping[str, Images]

    @property
    def fingerprints(self) -> dict[str, str]:
        return {
            f"{task} {images.source} {part}": fingerprint
            for task, images in self.of.items()
            for part, fingerprint in images.fingerprints.items()
        }


class Ablation(Training):
    """Every change alone, and the combinations of the report."""

    sources = SOURCES
    presets = PRESETS
    config = Config
    keys = ("task", "change")
    keeps_probabilities = False
    test_scores = ("loss", "accuracy", "macro_f1", "calibration_error")

    def load(self, source: str) -> Sets:
        """Load a source a task, joined by "+"."""
        loaded: dict[str, Images] = {}
        for name in source.split("+"):
            loaded[name] = loaded.get(name) or load_images(name)
        return Sets(
            {task: loaded[name] for task, name in zip(TASKS, source.split("+"), strict=True)}
        )

    def images(self, config: Config, data: Sets) -> Images:
        return super().images(config, data.of[config.task])

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        parts = {name: getattr(config, name) for name in PARTS}
        if config.two_level:
            parts["superclasses"] = superclasses(data.names)
        return super().build(config, data, generator, **parts | options)

    def tables(self, tested: Sequence[Tested], data: Sets) -> dict[str, pd.DataFrame]:
        """``ensembles`` of the runs of ``AFTER``; ``superclasses``, where a head tells them."""
        found = {
            "ensembles": ensembles([one for one in tested if one.outcome.config.change == AFTER])
        }
        if any(one.outcome.config.two_level for one in tested):
            told = [one for one in tested if one.outcome.config.task == "cifar100"]
            found["superclasses"] = superclass_answers(told)
        return found

    def arrays(self, tested: Sequence[Tested], data: Sets) -> dict[str, np.ndarray]:
        """``labels.TASK`` (N,) of the test images."""
        return {
            f"labels.{task}": images.labels["test"].numpy().astype(np.uint8)
            for task, images in data.of.items()
        }


def ensembles(tested: Sequence[Tested]) -> pd.DataFrame:
    """A row for every three runs: the scores of their mean probabilities, and of themselves."""
    rows = []
    for first in range(0, len(tested) - ENSEMBLE + 1, ENSEMBLE):
        members = tested[first : first + ENSEMBLE]
        mean = torch.stack([one.logits.softmax(1) for one in members]).mean(0)
        scores = ("accuracy", "loss", "calibration_error")
        found = measure("softmax", scores, mean.log(), members[0].images.labels["test"])
        alone = {
            f"alone_{score}": float(np.mean([one.metrics[f"test_{score}"] for one in members]))
            for score in scores
        }
        rows.append({"seed": members[0].outcome.config.seed, **found, **alone})
    return pd.DataFrame(rows)


def superclass_answers(tested: Sequence[Tested]) -> pd.DataFrame:
    """A row a run: the share of test images whose superclass, its classes' probabilities summed,
    is right; and of the classes, where the superclass is known."""
    rows = []
    for one in tested:
        family = torch.tensor(superclasses(one.images.names))
        labels, probability = one.images.labels["test"], one.logits.softmax(1)
        of_family = torch.zeros(len(labels), int(family.max()) + 1)
        of_family.index_add_(1, family, probability)
        known = probability * (family == family[labels][:, None])
        rows.append(
            {
                "change": one.outcome.config.change,
                "seed": one.outcome.config.seed,
                "superclass_accuracy": (of_family.argmax(1) == family[labels]).float().mean(),
                "known_superclass_accuracy": (known.argmax(1) == labels).float().mean(),
            }
        )
    return pd.DataFrame(rows).astype({name: float for name in rows[0] if "accuracy" in name})


EXPERIMENT = Ablation()
