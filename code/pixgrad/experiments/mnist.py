"""Training by hand on MNIST: LeNet with ReLU and the assignment's sigmoid network.

What is measured: loss and accuracy of every epoch on training and validation digits, the test
accuracy once at the end, the confusion matrix, the digits that are told wrongly, kernels and
feature maps. Settings were chosen on the validation part.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pixgrad import backprop as bp
from pixgrad.backprop.containers import restore, write_npz
from pixgrad.data import load
from pixgrad.errors import PixgradError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Сети на NumPy учатся читать цифры MNIST"
DATA = "mnist"
LIBRARIES = ("numpy",)
NETWORKS = {"relu": bp.lenet, "sigmoid": bp.sigmoid_net}
NAMES = {"relu": "LeNet с ReLU", "sigmoid": "сеть с сигмоидой"}
SPLIT_SEED = 20240607
VALIDATION_PART = 12
"""One digit in so many goes to validation: 5,000 of 60,000."""
HISTORY = (
    "epoch",
    "lr",
    "running_loss",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
)
FIRST = 20
"""Losses of the first epoch kept for ``pixgrad verify``, at most."""
MAX_WRONG_DRAWN = 24


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


@dataclass
class Outcome:
    """Where a run is, and after its last epoch what it gave."""

    config: Config
    rng: np.random.Generator
    model: bp.Layer
    optimiser: bp.Optimiser
    status: str = "running"
    message: str = ""
    steps: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    history: list[list[float]] = field(default_factory=list)
    first_losses: list[float] = field(default_factory=list)


def plan(preset: str, seeds: int | None) -> list[Config]:
    """The runs of a preset: each network with seeds 1 … ``seeds``."""
    default_seeds, networks = PRESETS[preset]
    return [
        Config(network=network, seed=seed, **COMMON[network] | options)
        for network, options in networks.items()
        for seed in range(1, (seeds or default_seeds) + 1)
    ]


def load_data(source: str) -> Digits:
    """Split the source's training digits once for all runs; the test part is kept as it is."""
    training, test = load(source, split="trainval"), load(source, split="test")
    if training.images.shape[1:] != (28, 28):
        raise PixgradError(
            f"опыт mnist: нужны серые изображения 28×28, а в «{source}» {training.images.shape[1:]}"
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
    config: Config, data: Digits, checkpoint: Path, on_epoch: Callable[[int, float], None]
) -> Outcome:
    """Train one network from its checkpoint, if there is one, to its last epoch.

    Parameters
    ----------
    checkpoint : ``.npz``, replaced after every epoch; a killed run goes on from it and ends with
        the same bits.
    on_epoch : told the number of finished epochs and the validation accuracy.
    """
    bp.keep_freed_memory()
    outcome = _start(config)
    if checkpoint.is_file():
        _read_checkpoint(outcome, checkpoint)
    if outcome.history:
        on_epoch(len(outcome.history), outcome.history[-1][-1])
    while outcome.status == "running":
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            _epoch(outcome, data)
            outcome.status = "running" if len(outcome.history) < config.epochs else "done"
        except bp.NonFiniteError as error:
            outcome.status, outcome.message = "diverged", str(error)
        outcome.wall_s += time.perf_counter() - wall
        outcome.cpu_s += time.process_time() - cpu
        _write_checkpoint(outcome, checkpoint)
        on_epoch(len(outcome.history), outcome.history[-1][-1] if outcome.history else math.nan)
    return outcome


def first_losses(config: Config, data: Digits, steps: int) -> list[float]:
    """The losses of the first steps (of the first epoch) of a run, made anew."""
    outcome = _start(config)
    for (x, y), _ in zip(_batches(outcome, data), range(steps), strict=False):
        _step(outcome, x, y)
    return outcome.first_losses


def finish(outcomes: list[Outcome], data: Digits, folder: Path) -> tuple[list[dict], Path]:
    """Touch the test digits, write tables, arrays and a picture of the finished runs.

    Returns
    -------
    The runs as fields of the record, and the picture's path.
    """
    import pandas as pd

    x, y = data.batch(data.images["test"]), data.labels["test"]
    done = [outcome for outcome in outcomes if outcome.status == "done"]
    if not done:
        raise PixgradError(f"опыт mnist: разошлись все прогоны; первый: {outcomes[0].message}")
    logits = {outcome.config.name: bp.predict(outcome.model, x) for outcome in done}
    metrics = {outcome.config.name: _metrics(outcome, logits, y) for outcome in done}

    epochs = pd.concat([_history_table(outcome) for outcome in outcomes], ignore_index=True)
    epochs.to_csv(folder / "epochs.csv", index=False)
    rows = [
        {"network": o.config.network, "seed": o.config.seed, **metrics[o.config.name]} for o in done
    ]
    pd.DataFrame(rows).to_csv(folder / "summary.csv", index=False)
    wrong = pd.concat([_wrong_table(o, logits[o.config.name], y) for o in done], ignore_index=True)
    wrong.to_csv(folder / "wrong.csv", index=False)
    arrays = _arrays(done, logits, wrong, data)
    write_npz(folder / "arrays.npz", arrays)
    picture = folder / "summary.png"
    _draw(epochs, wrong, arrays, done[0].config).savefig(picture, dpi=110)
    return [_run(outcome, metrics.get(outcome.config.name, {})) for outcome in outcomes], picture


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


def _start(config: Config) -> Outcome:
    rng = np.random.default_rng(config.seed)
    model = NETWORKS[config.network](rng=rng)
    model.layers[0].needs_input_grad = False
    return Outcome(config, rng, model, bp.Adam(model.parameters(), config.lr))


def _epoch(outcome: Outcome, data: Digits) -> None:
    """One pass over the training digits and one line of history."""
    config, epoch = outcome.config, len(outcome.history) + 1
    outcome.optimiser.lr = config.lr * (1 + math.cos(math.pi * (epoch - 1) / config.epochs)) / 2
    losses = [_step(outcome, x, y) for x, y in _batches(outcome, data)]
    # As many training digits as validation ones, unmoved: enough to see overfitting, and cheap.
    count = len(data.labels["validation"])
    measured = [
        value
        for part in ("train", "validation")
        for value in _evaluate(outcome.model, data, part, min(count, config.train_images))
    ]
    outcome.history.append([epoch, outcome.optimiser.lr, float(np.mean(losses)), *measured])


def _batches(outcome: Outcome, data: Digits) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The training digits in a new random order, each moved at random; the last batch is short."""
    config, rng = outcome.config, outcome.rng
    windows = shift_windows(data.images["train"][: config.train_images], config.shift)
    labels = data.labels["train"][: config.train_images]
    order = rng.permutation(len(labels))
    for start in range(0, len(order), config.batch_size):
        index = order[start : start + config.batch_size]
        down, right = rng.integers(0, 2 * config.shift + 1, (2, len(index)))
        yield data.batch(windows[index, down, right]), labels[index]


def _step(outcome: Outcome, x: np.ndarray, y: np.ndarray) -> float:
    value = bp.train_step(outcome.model, bp.CrossEntropy(), outcome.optimiser, x, y)
    outcome.steps += 1
    if not outcome.history and len(outcome.first_losses) < FIRST:
        outcome.first_losses.append(value)
    return value


def _evaluate(model: bp.Layer, data: Digits, part: str, count: int) -> tuple[float, float]:
    """Loss and accuracy on the first ``count`` digits of a part."""
    y = data.labels[part][:count]
    logits = bp.predict(model, data.batch(data.images[part][:count]))
    return bp.CrossEntropy().forward(logits, y), float(np.mean(logits.argmax(axis=1) == y))


def _write_checkpoint(outcome: Outcome, path: Path) -> None:
    note = {
        "config": asdict(outcome.config),
        "rng": outcome.rng.bit_generator.state,
        "status": outcome.status,
        "message": outcome.message,
        "steps": outcome.steps,
        "wall_s": outcome.wall_s,
        "cpu_s": outcome.cpu_s,
        "history": outcome.history,
        "first_losses": outcome.first_losses,
    }
    write_npz(path, {"note": np.array(json.dumps(note)), **_saved_arrays(outcome)})


def _read_checkpoint(outcome: Outcome, path: Path) -> None:
    """Continue from ``path``: parameters, moments, generator and history as they were."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = dict(stored)
    note = json.loads(str(arrays.pop("note")))
    if note.pop("config") != asdict(outcome.config):
        raise PixgradError(
            f"{path}: начатый прогон имеет другие настройки; начните заново с --fresh"
        )
    restore(_saved_arrays(outcome), arrays, str(path))
    outcome.rng.bit_generator.state = note.pop("rng")
    for name, value in note.items():
        setattr(outcome, name, value)


def _saved_arrays(outcome: Outcome) -> dict[str, np.ndarray]:
    model, optimiser = outcome.model.state(), outcome.optimiser.state()
    return {f"model.{name}": array for name, array in model.items()} | {
        f"optimiser.{name}": array for name, array in optimiser.items()
    }


def _metrics(outcome: Outcome, logits: dict[str, np.ndarray], y: np.ndarray) -> dict[str, float]:
    last = dict(zip(HISTORY, outcome.history[-1], strict=True))
    mine = logits[outcome.config.name]
    return {
        "train_accuracy": last["train_accuracy"],
        "validation_accuracy": last["validation_accuracy"],
        "test_loss": bp.CrossEntropy().forward(mine, y),
        "test_accuracy": float(np.mean(mine.argmax(axis=1) == y)),
    }


def _run(outcome: Outcome, metrics: dict[str, float]) -> dict:
    config = outcome.config
    return {
        "name": config.name,
        "seed": config.seed,
        "config": asdict(config),
        "status": outcome.status,
        "steps": outcome.steps,
        "message": outcome.message,
        "wall_s": round(outcome.wall_s, 1),
        "cpu_s": round(outcome.cpu_s, 1),
        "first_losses": outcome.first_losses,
        "metrics": metrics,
    }


def _history_table(outcome: Outcome):
    import pandas as pd

    table = pd.DataFrame(outcome.history, columns=list(HISTORY)).astype({"epoch": int})
    table.insert(0, "network", outcome.config.network)
    table.insert(1, "seed", outcome.config.seed)
    return table


def _wrong_table(outcome: Outcome, logits: np.ndarray, y: np.ndarray):
    """Test digits told wrongly: which, what they are, what the network says and how surely."""
    import pandas as pd

    probability, told = bp.Softmax().forward(logits).max(axis=1), logits.argmax(axis=1)
    index = np.flatnonzero(told != y)
    return pd.DataFrame(
        {
            "network": outcome.config.network,
            "seed": outcome.config.seed,
            "index": index,
            "label": y[index],
            "predicted": told[index],
            "probability": probability[index].round(4),
        }
    )


def _arrays(done: list[Outcome], logits: dict, wrong, data: Digits) -> dict[str, np.ndarray]:
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
        convolutions = [layer for layer in outcome.model.layers if isinstance(layer, bp.Conv2d)]
        for number, layer in enumerate(convolutions, start=1):
            arrays[f"kernels{number}.{network}"] = layer.weight
        for number, maps in enumerate(_feature_maps(outcome.model, data), start=1):
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


def _draw(epochs, wrong, arrays: dict[str, np.ndarray], first: Config) -> Figure:
    """Loss and accuracy by epoch, the confusion matrix, kernels, and digits told wrongly."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[3, 2])
    loss, accuracy, confusion = top.subplots(1, 3)
    colors = {"relu": "#0072B2", "sigmoid": "#D55E00"}
    for (network, seed), rows in epochs.groupby(["network", "seed"], sort=False):
        for part, style, word in (("train", ":", "обучение"), ("validation", "-", "проверка")):
            label = f"{NAMES[network]}: {word}" if seed == first.seed else None
            line = {"color": colors[network], "linestyle": style, "label": label}
            loss.plot(rows["epoch"], rows[f"{part}_loss"], **line)
            accuracy.plot(rows["epoch"], 100 * rows[f"{part}_accuracy"], **line)
    loss.set(xlabel="эпоха", ylabel="кросс-энтропия", yscale="log", title="Функция потерь")
    accuracy.set(xlabel="эпоха", ylabel="доля верных ответов, %", title="Точность")
    loss.legend(fontsize=8)
    matrix = arrays[f"confusion.{first.name}"]
    confusion.imshow(np.log1p(matrix), cmap="Greys")
    for row, column in np.ndindex(*matrix.shape):
        dark = matrix[row, column] > matrix.max() / 20
        text = str(matrix[row, column]) if matrix[row, column] else ""
        confusion.text(
            column, row, text, ha="center", va="center", fontsize=6, color="w" if dark else "k"
        )
    confusion.set(xlabel="ответ сети", ylabel="цифра", title=f"Ошибки на тесте: {first.name}")
    confusion.set(xticks=range(10), yticks=range(10))
    _draw_tiles(bottom, wrong, arrays, first)
    return figure


def _draw_tiles(figure, wrong, arrays: dict[str, np.ndarray], first: Config) -> None:
    """First-layer kernels, then the digits that the first run tells wrongly most surely."""
    kernels = [(kernel[0], "ядро") for kernel in arrays[f"kernels1.{first.network}"]]
    mine = wrong[(wrong["network"] == first.network) & (wrong["seed"] == first.seed)]
    images = dict(zip(arrays["wrong_index"].tolist(), arrays["wrong_images"], strict=True))
    surest = mine.sort_values("probability", ascending=False).head(MAX_WRONG_DRAWN)
    digits = [(images[row.index_], f"{row.label} → {row.predicted}") for row in _rows(surest)]
    tiles = kernels + digits
    axes = figure.subplots(3, 10, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, (image, title) in zip(axes, tiles, strict=False):
        axis.imshow(image, cmap="gray")
        axis.set_title(title, fontsize=8)


def _rows(table):
    return table.rename(columns={"index": "index_"}).itertuples(index=False)
