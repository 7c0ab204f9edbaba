"""A simple CNN, a plain network, its residual twin and ResNet-18 learn classes of ImageNet.

All see the same photos at one size. Each network's learning rate is chosen on the validation part
in short runs; then it is trained anew with several seeds, and the test part is used once, for the
final weights of every run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from pixgrad import nets
from pixgrad.backprop.containers import write_npz
from pixgrad.errors import PixgradError
from pixgrad.nets.gradcam import grad_cam
from pixgrad.training import loop, tables
from pixgrad.training.batches import Images, load_images
from pixgrad.training.sweep import best_rate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "CNN и ResNet на классах ImageNet"
DATA = {"smoke": "mnist5k", "report": "imagenette5", "paper": "imagenette"}
LIBRARIES = ("numpy", "torch", "lightning-fabric", "joblib")
GRADCAM_LAYERS = {"simple": "features", "plain": "layer3", "resnet": "layer3"}
"""By the first word of a network's name: whose maps are explained, the last with a fine grid."""
EXAMPLES, EXAMPLE_SIDE = 24, 96
"""Test photos kept for the pictures, and their side in pixels."""


@dataclass(frozen=True, kw_only=True)
class Config(loop.Settings):
    """Settings of one run.

    Attributes
    ----------
    stage : "sweep" — a short run that helps to choose the learning rate; "main".
    network : see :func:`pixgrad.nets.build`; initial weights as in He et al. (2015).
    side : of the photos, pixels; None — as the source has them.
    train_images, validation_images : how many to use; None — all.
    """

    stage: Literal["sweep", "main"]
    network: str
    side: int | None = None
    train_images: int | None = None
    validation_images: int | None = None

    @property
    def name(self) -> str:
        if self.stage == "sweep":
            return f"{self.network}-lr{self.lr:g}"
        return f"{self.network}-{self.seed}"


@dataclass(frozen=True)
class Preset:
    """How much to do.

    Attributes
    ----------
    seeds : of the main runs, by network.
    epochs, sweep_epochs : of a main and of a short run; both take the rate down to 0.
    settings : of all runs.
    """

    seeds: dict[str, int]
    rates: tuple[float, ...]
    epochs: int
    sweep_epochs: int
    settings: dict[str, object]


PRESETS = {
    "smoke": Preset(
        {"simple-cnn": 2, "plain-8": 2, "resnet-8": 2},
        (0.03, 0.1),
        3,
        1,
        {
            "train_images": 640,
            "validation_images": 200,
            "batch_size": 32,
            "flip": False,
            "shift": 2,
        },
    ),
    "report": Preset(
        {"plain-20": 5, "resnet-20": 5, "resnet-18": 3, "simple-cnn": 5},
        (0.01, 0.03, 0.1),
        6,
        2,
        {"side": 48, "batch_size": 32},
    ),
    # He et al. (2015), section 4.2, on photos of full size.
    "paper": Preset(
        {"plain-56": 5, "resnet-56": 5, "resnet-18": 5, "resnet-50": 5, "simple-cnn": 5},
        (0.01, 0.03, 0.1, 0.3),
        182,
        20,
        {"side": 160, "batch_size": 128, "schedule": "step", "shift": 16},
    ),
}


def plan(preset: str, seeds: int | None) -> list[Config]:
    """Short runs: every network with every rate, one seed."""
    chosen = PRESETS[preset]
    return [
        Config(
            stage="sweep",
            network=network,
            seed=0,
            epochs=chosen.sweep_epochs,
            lr=lr,
            **chosen.settings,
        )
        for network in chosen.seeds
        for lr in chosen.rates
    ]


def follow_up(preset: str, seeds: int | None, outcomes: list[loop.Outcome]) -> list[Config]:
    """Main runs, each network at the rate that gave the smallest validation loss."""
    chosen = PRESETS[preset]
    return [
        Config(
            stage="main",
            network=network,
            seed=seed,
            epochs=chosen.epochs,
            lr=best_rate([one for one in outcomes if one.config.network == network]),
            probe_every=10,
            **chosen.settings,
        )
        for network, number in chosen.seeds.items()
        for seed in range(1, (seeds or number) + 1)
    ]


def load_data(source: str) -> Images:
    """The photos as the source has them; every run takes its own size and number."""
    return load_images(source)


def train(
    config: Config, data: Images, checkpoint: Path, on_epoch: Callable[[int, float], None]
) -> loop.Outcome:
    """Train one network."""
    build, mine = partial(_build, config, data), _images(config, data)
    return loop.fit(config, build, mine, checkpoint, on_epoch, in_sweep=True)


def first_losses(config: Config, data: Images, steps: int) -> list[float]:
    """The losses of the first steps of a run, made anew."""
    return loop.first_losses(config, partial(_build, config, data), _images(config, data), steps)


def finish(outcomes: list[loop.Outcome], data: Images, folder: Path) -> tuple[list[dict], Path]:
    """Test the final weights of the main runs; write tables, arrays and a picture."""
    main = [one for one in outcomes if one.config.stage == "main"]
    done = [one for one in main if one.status == "done"]
    if not done:
        raise PixgradError(f"опыт cnn_vs_resnet: разошлись все прогоны; первый: {main[0].message}")
    photos = _images(done[0].config, data)
    logits = {one.config.name: loop.predict(one.net, photos, photos.images["test"]) for one in done}
    metrics = {one.config.name: _metrics(one, logits, photos.labels["test"]) for one in done}

    epochs = tables.epochs_table(outcomes, _keys)
    gradients = tables.gradients_table(main, _keys)
    for name, table in {"epochs": epochs, "gradients": gradients}.items():
        table.astype(dict.fromkeys(table.select_dtypes("float64"), "float32")).to_parquet(
            folder / f"{name}.parquet", index=False
        )
    _summary(done, metrics).to_csv(folder / "summary.csv", index=False)
    write_npz(folder / "arrays.npz", _arrays(done, logits, photos, data))
    picture = folder / "summary.png"
    _draw(epochs[epochs["stage"] == "main"], gradients).savefig(picture, dpi=110)
    runs = [tables.record_fields(one, metrics.get(one.config.name, {})) for one in outcomes]
    return runs, picture


def _images(config: Config, data: Images) -> Images:
    return data.limited(train=config.train_images, validation=config.validation_images).resized(
        config.side
    )


def _build(config: Config, data: Images, generator: torch.Generator) -> torch.nn.Module:
    return nets.build(
        config.network,
        len(data.names),
        in_channels=data.channels,
        init="he",
        generator=generator,
    )


def _keys(outcome: loop.Outcome) -> dict[str, object]:
    config = outcome.config
    return {
        "stage": config.stage,
        "network": config.network,
        "seed": config.seed,
        "rate": config.lr,
    }


def _metrics(outcome: loop.Outcome, logits: dict[str, Tensor], labels: Tensor) -> dict[str, float]:
    last = dict(zip(loop.HISTORY, outcome.history[-1], strict=True))
    mine = logits[outcome.config.name]
    return {
        "train_accuracy": last["train_accuracy"],
        "validation_accuracy": last["validation_accuracy"],
        "test_loss": cross_entropy(mine, labels).item(),
        "test_accuracy": (mine.argmax(1) == labels).float().mean().item(),
    }


def _summary(done: list[loop.Outcome], metrics: dict[str, dict[str, float]]) -> pd.DataFrame:
    """A row a main run."""
    import pandas as pd

    rows = [
        {
            "network": one.config.network,
            "seed": one.config.seed,
            "rate": one.config.lr,
            "parameters": sum(weight.numel() for weight in one.net.parameters()),
            **metrics[one.config.name],
            "cpu_s": round(one.cpu_s, 1),
        }
        for one in done
    ]
    return pd.DataFrame(rows)


def _arrays(
    done: list[loop.Outcome], logits: dict[str, Tensor], photos: Images, data: Images
) -> dict[str, np.ndarray]:
    """Probabilities of every run, some photos, and where each network's first run looks in them.

    ``probability.RUN`` (N, K) float16 of all test photos, ``labels`` (N,), ``names`` (K,);
    ``example_index`` (E,), ``example_images`` (E, side, side[, 3]) uint8, ``gradcam.NETWORK``
    (E, h, w) of the class that the network answers.
    """
    labels = photos.labels["test"]
    arrays = {"labels": labels.numpy().astype(np.uint8), "names": np.array(data.names)}
    for one in done:
        name = one.config.name
        arrays[f"probability.{name}"] = logits[name].softmax(1).numpy().astype(np.float16)
    # Evenly spread over the test part, which is ordered by class: nobody picked them.
    index = torch.linspace(0, len(labels) - 1, EXAMPLES).round().long()
    arrays["example_index"] = index.numpy()
    shown = data.limited(train=len(data.names)).resized(min(EXAMPLE_SIDE, _side(data)))
    arrays["example_images"] = shown.images["test"][index].permute(0, 2, 3, 1).squeeze(-1).numpy()
    for one in done:
        network = one.config.network
        if f"gradcam.{network}" not in arrays:
            layer = one.net.get_submodule(GRADCAM_LAYERS[network.partition("-")[0]])
            images = photos.normalised(photos.images["test"][index])
            answers = logits[one.config.name][index].argmax(1)
            maps = grad_cam(one.net.eval(), layer, images, answers)
            arrays[f"gradcam.{network}"] = maps.numpy().astype(np.float16)
    return arrays


def _side(data: Images) -> int:
    return data.images["test"].shape[-1]


def _draw(epochs: pd.DataFrame, gradients: pd.DataFrame) -> Figure:
    """Loss and accuracy by epoch, and the gradients by layer in the first and the last epoch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.5), layout="constrained")
    loss, accuracy, layers = figure.subplots(1, 3)
    for number, (network, rows) in enumerate(epochs.groupby("network", sort=False)):
        mean = rows.groupby("epoch").mean(numeric_only=True)
        for part, style, word in (("train", ":", "обучение"), ("validation", "-", "проверка")):
            line = {"color": f"C{number}", "linestyle": style, "label": f"{network}: {word}"}
            loss.plot(mean.index, mean[f"{part}_loss"], **line)
            accuracy.plot(mean.index, 100 * mean[f"{part}_accuracy"], **line)
        mine = gradients[gradients["network"] == network]
        for epoch, style, word in ((1, ":", "первая"), (mine["epoch"].max(), "-", "последняя")):
            rows = mine[mine["epoch"] == epoch].groupby("layer")["grad_norm"].mean()
            depth = (rows.index - 1) / (rows.index.max() - 1)
            label = f"{network}: {word} эпоха"
            layers.plot(depth, rows, color=f"C{number}", linestyle=style, label=label)
    loss.set(xlabel="эпоха", ylabel="кросс-энтропия", title="Функция потерь")
    accuracy.set(xlabel="эпоха", ylabel="%", title="Доля верных ответов")
    layers.set(yscale="log", xlabel="от первого слоя к последнему", title="Нормы градиентов")
    for axis in (loss, layers):
        axis.legend(fontsize=7)
    return figure
