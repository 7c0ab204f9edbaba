"""Which networks pass gradients to their first layers, and which of them learn.

Depth, skip connections, batch normalisation and initialisation are varied one by one and together.
At the start every combination is measured: norms in every layer, how alike the gradients are at
neighbouring inputs, along paths of which length they come. Then the combinations that tell
something are trained, each at the learning rate of ``RATES`` that did best on validation in a
short run. Losses and accuracies are of training and validation images: the test images are not
used.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from pixgrad import files, nets
from pixgrad.training import loop, tables
from pixgrad.training.batches import Images, load_images
from pixgrad.training.paths import gradient_by_path_length
from pixgrad.training.probe import COLUMNS, GradientProbe
from pixgrad.training.shattering import gradient_correlation
from pixgrad.training.sweep import best_rate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "Затухание градиентов: глубина, пропускные связи, нормализация, инициализация"
DATA = {"smoke": "mnist5k", "report": "cifar10", "paper": "cifar10"}
LIBRARIES = ("numpy", "torch", "lightning-fabric", "joblib")
RATES = (0.01, 0.03, 0.1)
BATCH = 120
"""Images in the batch of a measurement at the start."""
ARCS = 8
"""Pairs of images between which the correlation of gradients is followed."""
PATH_SAMPLES, PATH_IMAGES = 3, 16
"""Paths drawn for each length, and images in their batch."""
LOSS = ("epoch", "running_loss")
CELL = ("depth", "skip", "batch_norm", "init", "activation")
"""What tells the combinations apart: the first columns of every table."""


@dataclass(frozen=True, kw_only=True)
class Config(loop.Settings):
    """Settings of one run.

    Attributes
    ----------
    stage : "start" measures the untrained network on one batch; "sweep" is a short training that
        helps to choose the learning rate; "training".
    depth, skip, batch_norm, init, activation : of the network, see :func:`pixgrad.nets.build`.
    train_images, validation_images : how many to use; None — all.
    """

    stage: Literal["start", "sweep", "training"]
    depth: int
    skip: bool
    batch_norm: bool = True
    init: str = "he"
    activation: str = "relu"
    train_images: int | None = None
    validation_images: int | None = None

    @property
    def name(self) -> str:
        parts = [self.stage, self.network, "bn" if self.batch_norm else "nobn", self.init]
        last = f"lr{self.lr:g}" if self.stage == "sweep" else str(self.seed)
        return "-".join([*parts, *[self.activation] * (self.activation != "relu"), last])

    @property
    def network(self) -> str:
        return f"{'resnet' if self.skip else 'plain'}-{self.depth}"


@dataclass(frozen=True)
class Preset:
    """How much to do.

    Attributes
    ----------
    depths : of the measurements at the start.
    seeds : of the start; of training; of the headline pairs in training.
    epochs, sweep_epochs : of a training and of a short one; both take the rate down to 0.
    cells : (depth, batch_norm, init, activation) that are trained, with and without skips.
    headline : those of them that the chapter's conclusions rest on.
    train_images, validation_images : how many to use; None — all.
    """

    depths: tuple[int, ...]
    seeds: tuple[int, int, int]
    epochs: int
    sweep_epochs: int
    cells: tuple[tuple[int, bool, str, str], ...]
    headline: tuple[tuple[int, bool, str, str], ...]
    train_images: int | None
    validation_images: int | None
    batch_size: int = 64
    schedule: str = "cosine"


HEADLINE = ((56, True, "he", "relu"), (20, False, "default", "relu"))
CELLS = (
    *HEADLINE,
    (20, True, "he", "relu"),
    (20, False, "he", "relu"),
    (56, False, "default", "relu"),
    (56, False, "he", "relu"),
    (8, True, "he", "relu"),
)
DEPTHS = (8, 20, 32, 56)
PRESETS = {
    "smoke": Preset(
        (8, 20),
        (1, 1, 1),
        1,
        1,
        ((8, True, "he", "relu"), (8, False, "default", "relu")),
        (),
        320,
        100,
    ),
    "report": Preset(DEPTHS, (5, 3, 5), 5, 2, CELLS, HEADLINE, 2000, 300),
    # He et al. (2015), section 4.2: 64,000 steps of 128 images.
    "paper": Preset((*DEPTHS, 110), (5, 3, 5), 182, 20, CELLS, HEADLINE, None, None, 128, "step"),
}


@dataclass
class Start:
    """What was measured in an untrained network; its fields are those of a run's outcome."""

    config: Config
    probed: list[list[float]]
    correlation: list[list[float]]
    paths: list[list[float]]
    loss: float
    wall_s: float
    cpu_s: float
    status: str = "done"
    message: str = ""
    steps: int = 0

    @property
    def first_losses(self) -> list[float]:
        return [self.loss]


def plan(preset: str, seeds: int | None) -> list[Config]:
    """The measurements at the start of all combinations, then short trainings at every rate."""
    chosen = PRESETS[preset]
    start = [
        Config(
            stage="start",
            seed=seed,
            epochs=1,
            lr=0.0,
            depth=depth,
            skip=skip,
            batch_norm=batch_norm,
            init=init,
            activation=activation,
            train_images=BATCH,
        )
        for depth in chosen.depths
        for activation, inits in (("relu", ("default", "he")), ("sigmoid", ("default",)))
        for init in inits
        for batch_norm in (True, False)
        for skip in (True, False)
        for seed in range(1, (seeds or chosen.seeds[0]) + 1)
    ]
    sweep = [
        _training(chosen, cell, "sweep", chosen.sweep_epochs, 0, lr, skip)
        for cell in chosen.cells
        for skip in (True, False)
        for lr in RATES
    ]
    return start + sweep


def follow_up(preset: str, seeds: int | None, outcomes: list[loop.Outcome | Start]) -> list[Config]:
    """The trainings, each combination at its best rate; at the lowest one if all diverged."""
    chosen = PRESETS[preset]
    configs = []
    for cell in chosen.cells:
        number = seeds or chosen.seeds[2 if cell in chosen.headline else 1]
        rates = [_rate(outcomes, cell, skip) for skip in (True, False)]
        configs += [
            _training(chosen, cell, "training", chosen.epochs, seed, lr, skip)
            for seed in range(1, number + 1)
            for skip, lr in zip((True, False), rates, strict=True)
        ]
    return configs


def load_data(source: str) -> Images:
    """All images of the source; every run takes as many as its settings say."""
    return load_images(source)


def train(
    config: Config, data: Images, checkpoint: Path, on_epoch: Callable[[int, float], None]
) -> loop.Outcome | Start:
    """Measure or train one network; a finished measurement is kept as JSON."""
    mine = data.limited(train=config.train_images, validation=config.validation_images)
    if config.stage != "start":
        build = partial(_build, config, data)
        return loop.fit(config, build, mine, checkpoint, on_epoch, in_sweep=True)
    if checkpoint.is_file():
        stored = json.loads(checkpoint.read_text(encoding="utf-8"))
        return Start(**stored | {"config": config})
    started = _measure_start(config, mine)
    files.write(checkpoint, json.dumps(asdict(started)))
    on_epoch(1, math.nan)
    return started


def first_losses(config: Config, data: Images, steps: int) -> list[float]:
    """The losses of the first steps of a run, made anew."""
    mine = data.limited(train=config.train_images, validation=config.validation_images)
    if config.stage == "start":
        return _measure_start(config, mine).first_losses
    return loop.first_losses(config, partial(_build, config, data), mine, steps)


def finish(
    outcomes: list[loop.Outcome | Start], data: Images, folder: Path
) -> tuple[list[dict], Path]:
    """Write the tables of the measurements at the start and of the trainings, and a picture."""
    starts = [one for one in outcomes if one.config.stage == "start"]
    trained = [one for one in outcomes if one.config.stage == "training"]
    sweep = [one for one in outcomes if one.config.stage == "sweep"]
    start = tables.gradients_table(starts, _cell_and_seed)
    gradients = tables.gradients_table(trained, _cell_and_seed)
    epochs = tables.epochs_table(trained, _cell_and_seed)
    written = {
        "start": start,
        "correlation": _start_table(starts, "correlation", ("angle", "correlation")),
        "paths": _start_table(starts, "paths", ("blocks", "paths", "norm", "share")),
        "gradients": gradients,
        "epochs": epochs,
        "runs": _runs_table(trained),
        "sweep": _runs_table(sweep),
    }
    for name, table in written.items():
        table.astype(dict.fromkeys(table.select_dtypes("float64"), "float32")).to_parquet(
            folder / f"{name}.parquet", index=False
        )
    picture = folder / "summary.png"
    _draw(start, epochs).savefig(picture, dpi=110)
    return [tables.record_fields(one, _metrics(one)) for one in outcomes], picture


def _training(
    chosen: Preset,
    cell: tuple[int, bool, str, str],
    stage: str,
    epochs: int,
    seed: int,
    lr: float,
    skip: bool,
) -> Config:
    depth, batch_norm, init, activation = cell
    return Config(
        stage=stage,
        seed=seed,
        epochs=epochs,
        lr=lr,
        batch_size=chosen.batch_size,
        schedule=chosen.schedule,
        probe_every=10 if stage == "training" else None,
        depth=depth,
        skip=skip,
        batch_norm=batch_norm,
        init=init,
        activation=activation,
        train_images=chosen.train_images,
        validation_images=chosen.validation_images,
    )


def _rate(
    outcomes: list[loop.Outcome | Start], cell: tuple[int, bool, str, str], skip: bool
) -> float:
    mine = [
        one
        for one in outcomes
        if one.config.stage == "sweep"
        and one.config.skip == skip
        and (one.config.depth, one.config.batch_norm, one.config.init, one.config.activation)
        == cell
    ]
    if all(one.status == "diverged" for one in mine):
        return min(RATES)
    return best_rate(mine)


def _build(config: Config, data: Images, generator: torch.Generator) -> torch.nn.Module:
    return nets.build(
        config.network,
        len(data.names),
        in_channels=data.channels,
        batch_norm=config.batch_norm,
        init=config.init,
        activation=config.activation,
        generator=generator,
    )


def _measure_start(config: Config, data: Images) -> Start:
    """Gradients in all layers on one batch, their correlation, and the paths they take."""
    wall, cpu = time.perf_counter(), time.process_time()
    generator = torch.Generator().manual_seed(config.seed)
    net = _build(config, data, generator).to(memory_format=torch.channels_last)
    images, labels = data.normalised(data.images["train"]), data.labels["train"]
    probe = GradientProbe(net)
    with probe.watch(epoch=1, step=0):
        loss = cross_entropy(net(images), labels)
        loss.backward()
    correlation, paths = [], []
    if config.activation == "relu":
        table = gradient_correlation(net, images, generator, arcs=ARCS)
        correlation = table.to_numpy().tolist()
        if config.skip:
            batch = torch.linspace(0, len(labels) - 1, PATH_IMAGES).long()
            table = gradient_by_path_length(
                net, images[batch], labels[batch], PATH_SAMPLES, generator
            )
            paths = table.to_numpy(dtype=float).tolist()
    return Start(
        config,
        probe.rows,
        correlation,
        paths,
        loss.item(),
        time.perf_counter() - wall,
        time.process_time() - cpu,
    )


def _cell_and_seed(outcome: loop.Outcome | Start) -> dict[str, object]:
    return {name: getattr(outcome.config, name) for name in (*CELL, "seed")}


def _start_table(starts: list[Start], field: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """A row for each row that the runs have in ``field``."""
    import pandas as pd

    found = [
        pd.DataFrame(rows, columns=list(columns)).assign(**_cell_and_seed(one))
        for one in starts
        if (rows := getattr(one, field))
    ]
    return pd.concat(found, ignore_index=True)[[*CELL, "seed", *columns]]


def _runs_table(trained: list[loop.Outcome]) -> pd.DataFrame:
    """A row a training: how it ended."""
    import pandas as pd

    rows = [
        _cell_and_seed(one)
        | {"rate": one.config.lr, "status": one.status, "steps": one.steps, **_metrics(one)}
        for one in trained
    ]
    return pd.DataFrame(rows)


def _metrics(outcome: loop.Outcome | Start) -> dict[str, float]:
    """Ratio of the first third's gradients to the last third's; what a training reached."""
    metrics = {}
    if outcome.probed:
        metrics["log10_early_to_late"] = _early_to_late(outcome)
    if isinstance(outcome, loop.Outcome) and outcome.history:
        metrics |= dict(zip(loop.HISTORY[2:], outcome.history[-1][2:], strict=True))
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _early_to_late(outcome: loop.Outcome | Start) -> float:
    first, last = COLUMNS.index("layer"), COLUMNS.index("grad_norm")
    rows = np.array(outcome.probed)
    depth = outcome.config.depth
    with np.errstate(divide="ignore"):
        logs = np.log10(rows[:, last])
    early, late = (
        np.mean(logs[chosen])
        for chosen in (rows[:, first] <= depth / 3, rows[:, first] > 2 * depth / 3)
    )
    return float(early - late)


def _draw(start: pd.DataFrame, epochs: pd.DataFrame) -> Figure:
    """Gradients by layer in the deepest networks before training, and the losses in training."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    deepest = start[(start["depth"] == start["depth"].max()) & (start["activation"] == "relu")]
    for axis, table, x, y in ((left, deepest, "layer", "grad_norm"), (right, epochs, *LOSS)):
        for cell, rows in table.groupby([*CELL], sort=False):
            depth, skip, batch_norm, init, activation = cell
            label = (
                f"{'resnet' if skip else 'plain'}-{depth}, {'BN' if batch_norm else 'без BN'}, "
                f"{init}, {activation}"
            )
            mean = rows.groupby(x)[y].mean()
            axis.plot(mean.index, mean, "-" if skip else "--", label=label)
        axis.legend(fontsize=7)
    left.set(yscale="log", xlabel="слой", ylabel="норма градиента", title="До обучения")
    right.set(xlabel="эпоха", ylabel="кросс-энтропия на обучении", title="Обучение")
    return figure
