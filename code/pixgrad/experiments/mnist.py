"""Training by hand on MNIST: LeNet with ReLU and the assignment's sigmoid network.

What is measured: loss and accuracy of every epoch on training and validation digits, the test
accuracy once at the end, the confusion matrix, the digits that are told wrongly, kernels and
feature maps. Settings were chosen on the validation part.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from pixgrad import backprop as bp
from pixgrad.backprop.containers import restore, write_npz
from pixgrad.data import load
from pixgrad.errors import PixgradError
from pixgrad.experiments.running.experiment import Experiment, Findings
from pixgrad.training.run import DivergedError, OnEpoch, Outcome, Run, epochs_table, other_settings

NETWORKS = {"relu": bp.lenet, "sigmoid": bp.sigmoid_net}
SPLIT_SEED = 20240607
VALIDATION_PART = 12
"""One digit in so many goes to validation: 5,000 of 60,000."""


@dataclass(frozen=True)
class Config:
    """Settings of one run.

    Attributes
    ----------
    network : a key of ``NETWORKS``.
    seed : of the initial weights, the order of the digits and their shifts.
    epochs : passes over the training digits.
    train_images : how many digits to train on, at most.
    batch_size : digits a step.
    lr : Adam's step size at the start; a cosine takes it to 0 by the last epoch.
    shift : each training digit is moved by up to so many pixels each way, anew in every epoch.
    """

    network: str
    seed: int
    epochs: int
    train_images: int
    batch_size: int = 64
    lr: float = 1e-3
    shift: int = 0

    @property
    def name(self) -> str:
        return f"{self.network}-{self.seed}"


PRESETS = {
    "smoke": (1, {"relu": {"epochs": 6}, "sigmoid": {"epochs": 10}}),
    "report": (3, {"relu": {"epochs": 100}, "sigmoid": {"epochs": 100, "train_images": 10_000}}),
    "paper": (5, {"relu": {"epochs": 100}, "sigmoid": {"epochs": 100}}),
}
"""Number of seeds and, for each network, what differs from ``COMMON``."""
COMMON = {
    "relu": {"train_images": 55_000, "shift": 1},
    "sigmoid": {"train_images": 55_000, "lr": 1e-2},
}


@dataclass(frozen=True)
class Digits:
    """The digits in three parts.

    Attributes
    ----------
    images, labels : uint8 (N, 28, 28) and int64 (N,) of "train", "validation" and "test".
    mean, std : of the training pixels, 0 … 255.
    fingerprints : SHA-256 of the source's parts.
    """

    images: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    mean: float
    std: float
    fingerprints: dict[str, str]

    def batch(self, images: np.ndarray) -> np.ndarray:
        """uint8 (N, 28, 28) -> normalised float32 (N, 1, 28, 28)."""
        x = images[:, None].astype(np.float32)
        x -= np.float32(self.mean)
        x /= np.float32(self.std)
        return x


class Mnist(Experiment):
    """Each network with its seeds."""

    sources = {"smoke": "mnist5k", "report": "mnist", "paper": "mnist"}
    libraries = ("numpy",)
    config = Config
    keys = ("network",)

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        default_seeds, networks = PRESETS[preset]
        return [
            Config(network=network, seed=seed, **COMMON[network] | options)
            for network, options in networks.items()
            for seed in range(1, (seeds or default_seeds) + 1)
        ]

    def load(self, source: str) -> Digits:
        """Split the source's training digits once for all runs; the test part is kept as it is."""
        training, test = load(source, split="trainval"), load(source, split="test")
        if training.images.shape[1:] != (28, 28):
            raise PixgradError(
                f"опыт mnist: нужны серые изображения 28×28, а в «{source}» "
                f"{training.images.shape[1:]}"
            )
        order = np.random.default_rng(SPLIT_SEED).permutation(len(training))
        validation, train = np.split(order, [len(training) // VALIDATION_PART])
        rows = {"train": train, "validation": validation}
        images = {part: training.images[index] for part, index in rows.items()}
        labels = {part: training.labels[index] for part, index in rows.items()}
        return Digits(
            images | {"test": test.images},
            labels | {"test": test.labels},
            float(images["train"].mean()),
            float(images["train"].std()),
            {"trainval": training.fingerprint, "test": test.fingerprint},
        )

    def train(
        self, config: Config, data: Digits, checkpoint: Path, on_epoch: OnEpoch, logs: Path | None
    ) -> Outcome:
        bp.keep_freed_memory()
        return _NumPyRun(config, data).to_the_end(checkpoint, on_epoch)

    def first_losses(self, config: Config, data: Digits, steps: int) -> list[float]:
        return _NumPyRun(config, data).first_losses(steps)

    def findings(self, outcomes: Sequence[Outcome], data: Digits) -> Findings:
        """Touch the test digits: tables ``epochs``, ``summary``, ``wrong``, and :func:`_arrays`."""
        x, y = data.batch(data.images["test"]), data.labels["test"]
        done = [outcome for outcome in outcomes if outcome.status == "done"]
        if not done:
            raise PixgradError(f"опыт mnist: разошлись все прогоны; первый: {outcomes[0].message}")
        logits = {outcome.config.name: bp.predict(outcome.net, x) for outcome in done}
        metrics = {outcome.config.name: _metrics(outcome, logits, y) for outcome in done}
        wrong = pd.concat(
            [
                pd.DataFrame(self.row(one) | _wrong_columns(logits[one.config.name], y))
                for one in done
            ],
            ignore_index=True,
        )
        written = {
            "epochs": epochs_table(outcomes, self.row),
            "summary": pd.DataFrame([self.row(one) | metrics[one.config.name] for one in done]),
            "wrong": wrong,
        }
        return Findings(written, _arrays(done, logits, wrong, data), metrics)


class _NumPyRun(Run):
    """A network of :mod:`pixgrad.backprop` under training by Adam."""

    def __init__(self, config: Config, data: Digits) -> None:
        self.data, self.rng = data, np.random.default_rng(config.seed)
        self.model = NETWORKS[config.network](rng=self.rng)
        self.model.layers[0].needs_input_grad = False
        self.optimiser = bp.Adam(self.model.parameters(), config.lr)
        self.outcome = Outcome(config, self.model)

    def epoch(self) -> dict[str, float]:
        config, epoch = self.outcome.config, len(self.outcome.history) + 1
        self.optimiser.lr = config.lr * (1 + math.cos(math.pi * (epoch - 1) / config.epochs)) / 2
        row = {"epoch": epoch, "lr": self.optimiser.lr}
        row["running_loss"] = float(np.mean(list(self.steps())))
        # As many training digits as validation ones, unmoved: enough to see overfitting, and cheap.
        count = min(len(self.data.labels["validation"]), config.train_images)
        for part in ("train", "validation"):
            y = self.data.labels[part][:count]
            logits = bp.predict(self.model, self.data.batch(self.data.images[part][:count]))
            row[f"{part}_loss"] = bp.CrossEntropy().forward(logits, y)
            row[f"{part}_accuracy"] = float(np.mean(logits.argmax(axis=1) == y))
        return row

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The training digits in random order, each moved at random; the last batch is short."""
        config, rng = self.outcome.config, self.rng
        windows = shift_windows(self.data.images["train"][: config.train_images], config.shift)
        labels = self.data.labels["train"][: config.train_images]
        order = rng.permutation(len(labels))
        for start in range(0, len(order), config.batch_size):
            index = order[start : start + config.batch_size]
            down, right = rng.integers(0, 2 * config.shift + 1, (2, len(index)))
            yield self.data.batch(windows[index, down, right]), labels[index]

    def steps(self) -> Iterator[float]:
        """Their losses."""
        for x, y in self.batches():
            try:
                value = bp.train_step(self.model, bp.CrossEntropy(), self.optimiser, x, y)
            except bp.NonFiniteError as error:
                raise DivergedError(str(error)) from None
            self.outcome.count_step(value)
            yield value

    def save(self, checkpoint: Path) -> None:
        note = self.outcome.state() | {
            "config": asdict(self.outcome.config),
            "rng": self.rng.bit_generator.state,
        }
        write_npz(checkpoint, {"note": np.array(json.dumps(note)), **self._arrays()})

    def restore(self, checkpoint: Path) -> None:
        with np.load(checkpoint, allow_pickle=False) as stored:
            arrays = dict(stored)
        note = json.loads(str(arrays.pop("note")))
        if note.pop("config") != asdict(self.outcome.config):
            raise other_settings(checkpoint)
        restore(self._arrays(), arrays, str(checkpoint))
        self.rng.bit_generator.state = note.pop("rng")
        vars(self.outcome).update(note)

    def _arrays(self) -> dict[str, np.ndarray]:
        model, optimiser = self.model.state(), self.optimiser.state()
        return {f"model.{name}": array for name, array in model.items()} | {
            f"optimiser.{name}": array for name, array in optimiser.items()
        }


def shift_windows(images: np.ndarray, limit: int) -> np.ndarray:
    """All shifts of all images as one view of the padded images.

    Parameters
    ----------
    images : (N, H, W); what comes in from outside is 0.
    limit : the largest shift in pixels.

    Returns
    -------
    (N, 2 limit + 1, 2 limit + 1, H, W): ``[n, limit + i, limit + j]`` is image n moved up by i and
    left by j.
    """
    padded = np.pad(images, ((0, 0), (limit, limit), (limit, limit)))
    return sliding_window_view(padded, images.shape[1:], axis=(1, 2))


def _metrics(outcome: Outcome, logits: dict[str, np.ndarray], y: np.ndarray) -> dict[str, float]:
    mine = logits[outcome.config.name]
    return {
        "train_accuracy": outcome.last["train_accuracy"],
        "validation_accuracy": outcome.last["validation_accuracy"],
        "test_loss": bp.CrossEntropy().forward(mine, y),
        "test_accuracy": float(np.mean(mine.argmax(axis=1) == y)),
    }


def _wrong_columns(logits: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Test digits told wrongly: which, what they are, what the network says and how surely."""
    probability, told = bp.Softmax().forward(logits).max(axis=1), logits.argmax(axis=1)
    index = np.flatnonzero(told != y)
    return {
        "index": index,
        "label": y[index],
        "predicted": told[index],
        "probability": probability[index].round(4),
    }


def _arrays(
    done: list[Outcome], logits: dict[str, np.ndarray], wrong: pd.DataFrame, data: Digits
) -> dict[str, np.ndarray]:
    """Predictions and confusion of each run; kernels and feature maps of each network's first."""
    y = data.labels["test"]
    arrays = {"labels": y.astype(np.uint8)}
    for outcome in done:
        name, network = outcome.config.name, outcome.config.network
        told = logits[name].argmax(axis=1)
        arrays[f"predicted.{name}"] = told.astype(np.uint8)
        arrays[f"confusion.{name}"] = np.bincount(10 * y + told, minlength=100).reshape(10, 10)
        if f"kernels1.{network}" in arrays:
            continue
        convolutions = [layer for layer in outcome.net.layers if isinstance(layer, bp.Conv2d)]
        for number, layer in enumerate(convolutions, start=1):
            arrays[f"kernels{number}.{network}"] = layer.weight
        for number, maps in enumerate(_feature_maps(outcome.net, data), start=1):
            arrays[f"maps{number}.{network}"] = maps
    shown = np.unique(wrong.loc[wrong["network"] == done[0].config.network, "index"])
    arrays["wrong_index"], arrays["wrong_images"] = shown, data.images["test"][shown]
    arrays["example"] = data.images["test"][0]
    return arrays


def _feature_maps(model: bp.Sequential, data: Digits) -> list[np.ndarray]:
    """Outputs of the convolutions and of what follows each, for the first test digit: (C, H, W)."""
    x, maps = data.batch(data.images["test"][:1]), []
    for layer in model.layers:
        x = layer.forward(x)
        if x.ndim == 4:
            maps.append(x[0].astype(np.float32))
    return maps


EXPERIMENT = Mnist()
