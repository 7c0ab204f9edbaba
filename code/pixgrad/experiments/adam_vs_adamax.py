"""ResNet-50 learns to tell cars, by Adam and by AdaMax.

Both methods get the same budget: the same learning rates to choose from on the validation part, in
short runs, then main runs with the same seeds, so the same initial weights and the same batches.
The test part is used once, for the final weights of every main run.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from pixgrad.errors import PixgradError
from pixgrad.experiments.running import training
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.training import PROBED, Arm, Budget, Tested, Training, examples
from pixgrad.results import statistics
from pixgrad.training.batches import Images
from pixgrad.training.run import Outcome

OPTIMISERS = ("adam", "adamax")
RESAMPLES = 10_000
EXAMPLES, EXAMPLE_SIDE = 16, 96
"""Test photos kept for the pictures, and their side in pixels."""
Answers = dict[str, dict[int, np.ndarray]]
"""Predicted classes (N,) of the test photos, by optimiser and seed."""


@dataclass(frozen=True, kw_only=True)
class Config(training.Config):
    """Settings of one run.

    Attributes
    ----------
    pretrained : start from torchvision's ImageNet weights, but for the last layer.
    """

    pretrained: bool = False

    @property
    def arm(self) -> str:
        return self.optimiser


RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
CARS = {"network": "resnet-50", "batch_size": 32, "side": 64, "recalibrate": 2000}
FULL = {"network": "resnet-50", "batch_size": 64, "side": 224, "shift": 16, "recalibrate": 5000}
DIGITS = {"network": "resnet-8", "batch_size": 32, "flip": False, "recalibrate": 200}
FEW = {"train_images": 320, "validation_images": 100}


def _methods(settings: Mapping[str, object], budget: Budget, rates=RATES) -> tuple[Arm, ...]:
    """Both methods with the same settings; Kingma and Ba's have no weight decay."""
    return tuple(
        Arm(settings | {"optimiser": optimiser, "weight_decay": 0.0}, rates, budget, PROBED)
        for optimiser in OPTIMISERS
    )


class AdamVsAdaMax(Training):
    """Two methods on the same network and photos."""

    sources = {
        "smoke": "mnist5k",
        "report": "cars5",
        "models": "cars10",
        "paper": "cars196",
        "pretrained": "cars196",
    }
    presets = {
        "smoke": _methods(DIGITS | FEW, Budget(2, 1, seeds=2), rates=(1e-3, 2e-3)),
        "report": _methods(CARS, Budget(36, 8, seeds=8, sweep_seeds=3)),
        # A third of the photos: about as many steps need more epochs.
        "models": _methods(CARS, Budget(90, 20, seeds=5, sweep_seeds=3)),
        "paper": _methods(FULL, Budget(90, 20, seeds=5, sweep_seeds=3)),
        "pretrained": _methods(FULL | {"pretrained": True}, Budget(30, 10, seeds=5, sweep_seeds=3)),
    }
    config = Config
    libraries = (*Training.libraries, "torchvision")
    keys = ("optimiser",)
    scores = ("loss", "accuracy", "macro_f1")

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        net = super().build(config, data, generator, **options)
        if config.pretrained:
            _load_imagenet_weights(net, config.network)
        return net

    def findings(self, outcomes: Sequence[Outcome], data: Images) -> Findings:
        """The tables of every training, and ``classes`` and ``comparison``.

        Metrics are taken from the rounded probabilities, so that readers get the same ones.
        """
        found = super().findings(outcomes, data)
        answers: Answers = {optimiser: {} for optimiser in OPTIMISERS}
        for one in outcomes:
            probability = found.arrays.get(f"probability.{one.config.name}")
            if probability is not None:
                answers[one.config.optimiser][one.config.seed] = probability.argmax(axis=1)
        if empty := [optimiser for optimiser, of in answers.items() if not of]:
            raise PixgradError(f"опыт {self.name}: разошлись все прогоны {empty[0]}")
        labels, names = found.arrays["labels"], found.arrays["names"].tolist()
        found.tables["classes"] = _classes_table(answers, labels, names)
        found.tables["comparison"] = _comparison_table(answers, labels, len(names))
        for optimiser, of in answers.items():
            pairs = labels * len(names) + np.stack([*of.values()])
            counts = np.bincount(pairs.ravel(), minlength=len(names) ** 2)
            found.arrays[f"confusion.{optimiser}"] = counts.reshape(len(names), len(names))
        return found

    def arrays(self, tested: Sequence[Tested], data: Images) -> dict[str, np.ndarray]:
        return examples(data, EXAMPLES, EXAMPLE_SIDE)


def _load_imagenet_weights(net: nn.Module, network: str) -> None:
    """Take torchvision's weights, downloaded once, for all layers but the last."""
    from torchvision import models

    weights = models.get_model_weights(network.replace("-", "")).DEFAULT
    try:
        state = weights.get_state_dict(check_hash=True)
    except (OSError, RuntimeError) as error:  # no network; a damaged file
        raise PixgradError(
            f"веса {network} не получены ({error}); нужен доступ к {weights.url}, "
            "без него возьмите --preset paper: обучение с нуля"
        ) from None
    last = {name: of for name, of in net.state_dict().items() if name.startswith("fc.")}
    net.load_state_dict(state | last)


def _classes_table(answers: Answers, labels: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """F1 of every class, mean over the seeds, with bootstrap intervals over photos."""
    found = []
    for optimiser, mine in answers.items():
        _, classes = statistics.macro_f1_bootstrap(
            labels, np.stack([*mine.values()]), len(names), _generator(), resamples=RESAMPLES
        )
        columns = {"optimiser": optimiser, "class": names, **classes._asdict()}
        found.append(pd.DataFrame(columns).rename(columns={"estimate": "f1"}))
    return pd.concat(found, ignore_index=True)


def _comparison_table(answers: Answers, labels: np.ndarray, classes: int) -> pd.DataFrame:
    """Both methods and their difference, Adam less AdaMax, on the test photos.

    A row has ``metric`` ("accuracy" or "macro_f1"), ``of`` ("adam", "adamax" or "difference"),
    ``over`` — "images": bootstrap over photos; "seeds": paired Student over runs — and the interval
    ``estimate``, ``low``, ``high``; ``chance`` is the mean if the same answers were shuffled among
    the photos, ``detectable`` the difference that so many pairs of runs would show with 80 %
    probability.
    """
    stacked = {optimiser: np.stack([*of.values()]) for optimiser, of in answers.items()}
    options = {"resamples": RESAMPLES}
    rows = []
    for optimiser, mine in stacked.items():
        accuracy = statistics.bootstrap_interval(mine == labels, _generator(), **options)
        macro, _ = statistics.macro_f1_bootstrap(labels, mine, classes, _generator(), **options)
        guessed = chance_f1(labels, mine, classes)
        rows.append(("accuracy", optimiser, "images", *accuracy, math.nan, math.nan))
        rows.append(("macro_f1", optimiser, "images", *macro, guessed, math.nan))
    a, b = (stacked[optimiser] for optimiser in OPTIMISERS)
    accuracy = statistics.paired_bootstrap(a == labels, b == labels, _generator(), **options)
    macro = statistics.paired_macro_f1_bootstrap(labels, a, b, classes, _generator(), **options)
    rows.append(("accuracy", "difference", "images", *accuracy, math.nan, math.nan))
    rows.append(("macro_f1", "difference", "images", *macro, math.nan, math.nan))

    shared = sorted(set.intersection(*(set(of) for of in answers.values())))
    if len(shared) > 1:
        pairs = [np.stack([of[seed] for seed in shared]) for of in answers.values()]
        scores = {
            "accuracy": [np.mean(of == labels, axis=1) for of in pairs],
            "macro_f1": [statistics.f1_scores(labels, of, classes).mean(axis=1) for of in pairs],
        }
        for metric, (first, second) in scores.items():
            by_seed = (dict(zip(shared, of, strict=True)) for of in (first, second))
            gap = statistics.paired_student(*by_seed, shared=("weights", "batches"))
            interval = (gap.estimate, gap.low, gap.high)
            rows.append((metric, "difference", "seeds", *interval, math.nan, gap.detectable))
    columns = ["metric", "of", "over", "estimate", "low", "high", "chance", "detectable"]
    return pd.DataFrame(rows, columns=columns)


def chance_f1(labels: np.ndarray, answers: np.ndarray, classes: int) -> float:
    """Mean macro F1 if the answers were shuffled among the photos.

    Of N photos n_k are of class k and a_k are answered so: n_k a_k / N hits on the average.

    Parameters
    ----------
    labels : int (N,).
    answers : int (S, N), a row a run; the mean over the runs is given.
    """
    members = np.bincount(labels, minlength=classes)
    answered = np.stack([np.bincount(row, minlength=classes) for row in answers])
    return float((2 * members * answered / len(labels) / (members + answered)).mean())


def _generator() -> np.random.Generator:
    """The generator of every bootstrap: intervals are drawn from the same sets of photos."""
    return np.random.default_rng(0)


EXPERIMENT = AdamVsAdaMax()
