"""ResNet-50 learns to tell cars, by Adam and by AdaMax.

Both methods get the same budget: the same learning rates to choose from on the validation part, in
short runs, then main runs with the same seeds, so the same initial weights and the same batches.
The test part is used once, for the final weights of every main run. Where the methods differ is
measured in the first steps: how large the steps of every layer are, what one huge gradient leaves
behind, what a step costs; and the project's own methods drive the same network beside torch's.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pixgrad import backprop as bp
from pixgrad import files, nets
from pixgrad.backprop.containers import write_npz
from pixgrad.errors import PixgradError
from pixgrad.results import statistics
from pixgrad.training import loop, moments, tables
from pixgrad.training.batches import Images, load_images, random_batches
from pixgrad.training.probe import norm
from pixgrad.training.sweep import best_rate

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TITLE = "ResNet-50 на автомобилях: Adam против AdaMax"
DATA = {
    "smoke": "mnist5k",
    "report": "cars5",
    "models": "cars10",
    "paper": "cars196",
    "pretrained": "cars196",
}
LIBRARIES = ("numpy", "torch", "torchvision", "lightning-fabric", "joblib")
OPTIMISERS = {"adam": 1e-3, "adamax": 2e-3}
"""The learning rates that Kingma and Ba (2015) advise."""
TORCH = {"adam": torch.optim.Adam, "adamax": torch.optim.Adamax}
OWN = {"adam": bp.Adam, "adamax": partial(bp.AdaMax, form="torch")}
SPIKE = 100.0
HISTOGRAM_STEPS = (1, 2, 5, 10, 20, 40)
"""Of the first steps those whose sizes are kept as a distribution."""
RESAMPLES = 10_000
EXAMPLES, EXAMPLE_SIDE = 16, 96
"""Test photos kept for the pictures, and their side in pixels."""
Answers = dict[str, dict[int, np.ndarray]]
"""Predicted classes (N,) of the test photos, by optimiser and seed."""


@dataclass(frozen=True, kw_only=True)
class Config(loop.Settings):
    """Settings of one run.

    Attributes
    ----------
    stage : "sweep" — a short run that helps to choose the learning rate; "main"; "steps" — the
        first steps under measurement, at a constant rate.
    network : see :func:`pixgrad.nets.build`; initial weights as in He et al. (2015).
    pretrained : start from torchvision's ImageNet weights, but for the last layer.
    side : of the photos, pixels; None — as the source has them.
    train_images, validation_images : how many to use; None — all.
    steps : number of first steps, in the stage "steps".
    spike_at : the step (from 1) whose gradient is made ``SPIKE`` times larger; None — no step.
    own : the optimiser is the one of :mod:`pixgrad.backprop`, not torch's.
    """

    stage: Literal["sweep", "main", "steps"]
    network: str
    pretrained: bool = False
    side: int | None = None
    train_images: int | None = None
    validation_images: int | None = None
    steps: int = 0
    spike_at: int | None = None
    own: bool = False

    @property
    def name(self) -> str:
        if self.stage == "main":
            return f"{self.optimiser}-{self.seed}"
        if self.stage == "sweep":
            return f"{self.optimiser}-lr{self.lr:g}"
        return f"{self.optimiser}-{self.kind}"

    @property
    def kind(self) -> str:
        """Of the first steps: "torch" — nothing special, "spike" or "own"."""
        return "own" if self.own else "spike" if self.spike_at else "torch"


@dataclass(frozen=True)
class Preset:
    """How much to do.

    Attributes
    ----------
    rates : to choose from, the same for both methods.
    seeds : of the main runs of each method.
    epochs, sweep_epochs : of a main and of a short run; both take the rate down to 0.
    steps, own_steps : first steps to measure, and to make by the project's own methods.
    settings : of all runs.
    """

    rates: tuple[float, ...]
    seeds: int
    epochs: int
    sweep_epochs: int
    steps: int
    own_steps: int
    settings: dict[str, object]


RATES = (1e-4, 3e-4, 1e-3, 2e-3, 6e-3)
# Kingma and Ba's methods have no weight decay.
SMALL = {"weight_decay": 0.0, "batch_size": 32}
FULL = {"weight_decay": 0.0, "batch_size": 64, "network": "resnet-50", "side": 224, "shift": 16}
PRESETS = {
    "smoke": Preset(
        (1e-3, 2e-3),
        2,
        2,
        1,
        8,
        3,
        SMALL
        | {"network": "resnet-8", "train_images": 320, "validation_images": 100, "flip": False},
    ),
    # A core learns from 36 photos a second at 32 pixels and from 25 at 48: smaller photos buy
    # almost half as many steps again. Of RATES and short runs of 4 epochs AdaMax took the largest
    # rate, and most losses were above those of a guess.
    "report": Preset(
        (3e-4, 1e-3, 2e-3, 6e-3, 2e-2),
        5,
        12,
        8,
        40,
        10,
        SMALL | {"network": "resnet-50", "side": 32},
    ),
    # A third of the photos, twice the classes: about as many steps need more epochs.
    "models": Preset(RATES, 5, 20, 5, 40, 10, SMALL | {"network": "resnet-50", "side": 32}),
    "paper": Preset(RATES, 5, 90, 20, 20, 3, FULL),
    "pretrained": Preset(RATES, 5, 30, 10, 20, 3, FULL | {"pretrained": True}),
}


@dataclass
class Outcome(loop.Outcome):
    """A training; ``macro_f1`` has rows of epoch, training and validation macro F1."""

    macro_f1: list[list[float]] = field(default_factory=list)


@dataclass
class FirstSteps:
    """What was measured in the first steps; its fields are those of a run's outcome.

    Attributes
    ----------
    losses : of all steps.
    seconds : rows of forward, backward and optimiser's time, one a step.
    layers : rows of step (from 1), layer (from 1 at the input), root mean square of the step in
        units of the learning rate, median of the scale; none for the project's own optimisers.
    histograms : by ``HISTOGRAM_STEPS``, then by layer: :func:`moments.log_histogram` of the step.
    state_bytes : what the optimiser keeps between steps.
    """

    config: Config
    losses: list[float]
    seconds: list[list[float]]
    layers: list[list[float]]
    histograms: list[list[list[float]]]
    state_bytes: int
    wall_s: float
    cpu_s: float
    status: str = "done"
    message: str = ""

    @property
    def steps(self) -> int:
        return len(self.losses)

    @property
    def first_losses(self) -> list[float]:
        return self.losses[: loop.FIRST]


def plan(preset: str, seeds: int | None) -> list[Config]:
    """The first steps under measurement, then short runs: both methods with every rate."""
    chosen = PRESETS[preset]
    steps = [
        Config(
            stage="steps",
            optimiser=optimiser,
            seed=0,
            epochs=1,
            lr=lr,
            steps=number,
            **kind,
            **chosen.settings,
        )
        for number, kind in (
            (chosen.steps, {}),
            (chosen.steps, {"spike_at": chosen.steps // 2}),
            (chosen.own_steps, {"own": True}),
        )
        for optimiser, lr in OPTIMISERS.items()
    ]
    sweep = [
        Config(
            stage="sweep",
            optimiser=optimiser,
            seed=0,
            epochs=chosen.sweep_epochs,
            lr=lr,
            **chosen.settings,
        )
        for lr in chosen.rates
        for optimiser in OPTIMISERS
    ]
    return steps + sweep


def follow_up(preset: str, seeds: int | None, outcomes: list) -> list[Config]:
    """Main runs, each method at the rate that gave the smallest validation loss."""
    chosen = PRESETS[preset]
    return [
        Config(
            stage="main",
            optimiser=optimiser,
            seed=seed,
            epochs=chosen.epochs,
            lr=best_rate(
                [
                    one
                    for one in outcomes
                    if (one.config.stage, one.config.optimiser) == ("sweep", optimiser)
                ]
            ),
            probe_every=10,
            **chosen.settings,
        )
        for seed in range(1, (seeds or chosen.seeds) + 1)
        for optimiser in OPTIMISERS
    ]


def load_data(source: str) -> Images:
    """The photos as the source has them; every run takes its own size and number."""
    return load_images(source)


def train(
    config: Config,
    data: Images,
    checkpoint: Path,
    on_epoch: Callable[[int, float], None],
    log_dir: Path | None = None,
) -> Outcome | FirstSteps:
    """Train one network, or measure its first steps; a finished measurement is kept as JSON."""
    mine = _images(config, data)
    if config.stage != "steps":
        return _train_with_f1(config, mine, checkpoint, on_epoch, log_dir)
    if checkpoint.is_file():
        stored = json.loads(checkpoint.read_text(encoding="utf-8"))
        return FirstSteps(**stored | {"config": config})
    measured = _measure_steps(config, mine)
    files.write(checkpoint, json.dumps(asdict(measured)))
    on_epoch(1, math.nan)
    return measured


def first_losses(config: Config, data: Images, steps: int) -> list[float]:
    """The losses of the first steps of a run, made anew."""
    mine = _images(config, data)
    if config.stage == "steps":
        return _measure_steps(replace(config, steps=steps), mine).first_losses
    return loop.first_losses(config, partial(_build, config, mine), mine, steps)


def finish(
    outcomes: list[Outcome | FirstSteps], data: Images, folder: Path
) -> tuple[list[dict], Path]:
    """Test the final weights of the main runs; write tables, arrays and a picture."""
    first, sweep, main = (
        [one for one in outcomes if one.config.stage == stage]
        for stage in ("steps", "sweep", "main")
    )
    done = [one for one in main if one.status == "done"]
    _check_both(main, done)
    photos = _images(done[0].config, data)
    labels, classes = photos.labels["test"].numpy(), len(data.names)
    # Metrics are taken from the rounded probabilities, so that readers get the same ones.
    probabilities = {
        one.config.name: loop.predict(one.net, photos, photos.images["test"])
        .softmax(1)
        .numpy()
        .astype(np.float16)
        for one in done
    }
    answers: Answers = {optimiser: {} for optimiser in OPTIMISERS}
    for one in done:
        mine = probabilities[one.config.name].argmax(axis=1)
        answers[one.config.optimiser][one.config.seed] = mine
    metrics = {one.config.name: _metrics(one, answers, labels, classes) for one in done}

    epochs, steps = _epochs_table(sweep + main), _steps_table(first)
    gradients = tables.gradients_table(main, _keys)
    for name, table in {"epochs": epochs, "gradients": gradients, "steps": steps}.items():
        table.astype(dict.fromkeys(table.select_dtypes("float64"), "float32")).to_parquet(
            folder / f"{name}.parquet", index=False
        )
    written = {
        "sweep": _sweep_table(sweep, main),
        "summary": _summary_table(done, metrics),
        "classes": _classes_table(answers, labels, data.names),
        "comparison": _comparison_table(answers, labels, classes),
        "own": _own_table(first),
        "cost": _cost_table(first),
    }
    for name, table in written.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    arrays = _arrays(first, probabilities, answers, data, photos)
    write_npz(folder / "arrays.npz", arrays)
    picture = folder / "summary.png"
    _draw(epochs, written["sweep"], steps, arrays).savefig(picture, dpi=110)
    runs = [tables.record_fields(one, metrics.get(one.config.name, {})) for one in outcomes]
    return runs, picture


def _check_both(main: list[Outcome], done: list[Outcome]) -> None:
    for optimiser in OPTIMISERS:
        if not any(one.config.optimiser == optimiser for one in done):
            first = next(one for one in main if one.config.optimiser == optimiser)
            raise PixgradError(
                f"опыт adam_vs_adamax: разошлись все прогоны {optimiser}; первый: {first.message}"
            )


def _images(config: Config, data: Images) -> Images:
    return data.limited(train=config.train_images, validation=config.validation_images).resized(
        config.side
    )


def _build(config: Config, data: Images, generator: torch.Generator) -> nn.Module:
    net = nets.build(
        config.network, len(data.names), in_channels=data.channels, init="he", generator=generator
    )
    if config.pretrained:
        _load_imagenet_weights(net, config.network)
    return net


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


def _train_with_f1(
    config: Config,
    data: Images,
    checkpoint: Path,
    on_epoch: Callable[[int, float], None],
    log_dir: Path | None,
) -> Outcome:
    """Train, with macro F1 of every epoch kept beside the checkpoint."""
    kept = checkpoint.with_suffix(".macro-f1")
    rows = []
    if checkpoint.is_file() and kept.is_file():
        rows = json.loads(kept.read_text(encoding="utf-8"))
    built = []

    def build(generator: torch.Generator) -> nn.Module:
        built.append(_build(config, data, generator))
        return built[0]

    def measure(epochs: int, accuracy: float) -> None:
        # After a kill between two writings the checkpoint is an epoch ahead of the rows.
        if epochs > len(rows):
            rows.append([epochs, *_macro_f1(built[0], data)])
            files.write(kept, json.dumps(rows))
        on_epoch(epochs, accuracy)

    fitted = loop.fit(config, build, data, checkpoint, measure, log_dir, in_sweep=True)
    return Outcome(**vars(fitted), macro_f1=rows)


def _macro_f1(net: nn.Module, data: Images) -> Iterator[float]:
    """Macro F1 on training and validation photos, the same ones as the loop's accuracy."""
    count = len(data.labels["validation"])
    for part in ("train", "validation"):
        total = len(data.labels[part])
        chosen = torch.linspace(0, total - 1, min(count, total)).round().long()
        answers = loop.predict(net, data, data.images[part][chosen]).argmax(1).numpy()
        labels = data.labels[part][chosen].numpy()
        yield float(statistics.f1_scores(labels, answers, len(data.names)).mean())


def _measure_steps(config: Config, data: Images) -> FirstSteps:
    """Make the first steps of a training, at a constant rate, and measure each."""
    wall, cpu = time.perf_counter(), time.process_time()
    generator = torch.Generator().manual_seed(config.seed)
    net = _build(config, data, generator).to(memory_format=torch.channels_last)
    optimiser = (_OwnOptimiser if config.own else _torch_optimiser)(config, net)
    measured = FirstSteps(config, [], [], [], [], 0, 0.0, 0.0)
    batches = _endless_batches(config, data, generator)
    for step, (x, y) in zip(range(1, config.steps + 1), batches, strict=False):
        clock = [time.perf_counter()]
        loss = cross_entropy(net(x), y)
        clock.append(time.perf_counter())
        net.zero_grad(set_to_none=True)
        loss.backward()
        clock.append(time.perf_counter())
        if step == config.spike_at:
            for parameter in net.parameters():
                parameter.grad.mul_(SPIKE)
            clock[-1] = time.perf_counter()
        optimiser.step()
        clock.append(time.perf_counter())
        measured.losses.append(loss.item())
        measured.seconds.append(np.diff(clock).tolist())
        if not config.own:
            _measure_layers(measured, net, optimiser, step)
    measured.state_bytes = _state_bytes(optimiser)
    measured.wall_s, measured.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    return measured


def _measure_layers(
    measured: FirstSteps, net: nn.Module, optimiser: torch.optim.Optimizer, step: int
) -> None:
    histograms = []
    for number, (_, layer) in enumerate(nets.weighted_layers(net), start=1):
        made = moments.last_step(optimiser, layer.weight)
        rms = norm(made) / made.numel() ** 0.5
        scale = moments.scale(optimiser, layer.weight).median().item()
        measured.layers.append([step, number, rms, scale])
        if step in HISTOGRAM_STEPS:
            histograms.append(moments.log_histogram(made).tolist())
    if histograms:
        measured.histograms.append(histograms)


def _endless_batches(
    config: Config, data: Images, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from random_batches(data, config.batch_size, config.shift, config.flip, generator)


def _torch_optimiser(config: Config, net: nn.Module) -> torch.optim.Optimizer:
    return TORCH[config.optimiser](net.parameters(), lr=config.lr, weight_decay=config.weight_decay)


class _OwnOptimiser:
    """An optimiser of :mod:`pixgrad.backprop` that moves the weights of a torch network."""

    def __init__(self, config: Config, net: nn.Module) -> None:
        self.net = net
        # NumPy arrays that share their memory with the network's parameters.
        weights = {name: of.detach().numpy() for name, of in net.named_parameters()}
        self.optimiser = OWN[config.optimiser](
            weights, lr=config.lr, weight_decay=config.weight_decay
        )

    def step(self) -> None:
        self.optimiser.step({name: of.grad.numpy() for name, of in self.net.named_parameters()})


def _state_bytes(optimiser: torch.optim.Optimizer | _OwnOptimiser) -> int:
    """Memory that an optimiser keeps between steps."""
    if isinstance(optimiser, _OwnOptimiser):
        return sum(array.nbytes for array in optimiser.optimiser.state().values())
    return sum(of.nbytes for state in optimiser.state.values() for of in state.values())


def _keys(outcome: Outcome) -> dict[str, object]:
    config = outcome.config
    return {
        "stage": config.stage,
        "optimiser": config.optimiser,
        "seed": config.seed,
        "rate": config.lr,
    }


def _metrics(
    outcome: Outcome, answers: Answers, labels: np.ndarray, classes: int
) -> dict[str, float]:
    mine = answers[outcome.config.optimiser][outcome.config.seed]
    last = dict(zip(loop.HISTORY, outcome.history[-1], strict=True))
    return {
        "train_accuracy": last["train_accuracy"],
        "validation_accuracy": last["validation_accuracy"],
        "validation_macro_f1": outcome.macro_f1[-1][2],
        "test_accuracy": float(np.mean(mine == labels)),
        "test_macro_f1": float(statistics.f1_scores(labels, mine, classes).mean()),
    }


def _epochs_table(trained: Sequence[Outcome]) -> pd.DataFrame:
    """A row a run and epoch: the columns of the loop, and macro F1."""
    import pandas as pd

    table = tables.epochs_table(trained, _keys)
    rows = [row[1:] for one in trained for row in one.macro_f1]
    scores = pd.DataFrame(rows, columns=["train_macro_f1", "validation_macro_f1"], dtype=float)
    return pd.concat([table, scores], axis=1)


def _sweep_table(sweep: Sequence[Outcome], main: Sequence[Outcome]) -> pd.DataFrame:
    """A row a short run: how it ended, and whether its rate was chosen."""
    import pandas as pd

    chosen = {(one.config.optimiser, one.config.lr) for one in main}
    rows = []
    for one in sweep:
        config = one.config
        last = one.history[-1] if one.history else [math.nan] * len(loop.HISTORY)
        ended = dict(zip(loop.HISTORY[3:], last[3:], strict=True))
        macro = one.macro_f1[-1][2] if one.macro_f1 else math.nan
        rows.append(
            {
                "optimiser": config.optimiser,
                "rate": config.lr,
                "status": one.status,
                **ended,
                "validation_macro_f1": macro,
                "chosen": (config.optimiser, config.lr) in chosen,
            }
        )
    return pd.DataFrame(rows)


def _summary_table(done: Sequence[Outcome], metrics: dict[str, dict[str, float]]) -> pd.DataFrame:
    """A row a main run."""
    import pandas as pd

    rows = [
        {
            "optimiser": one.config.optimiser,
            "seed": one.config.seed,
            "rate": one.config.lr,
            **metrics[one.config.name],
            "cpu_s": round(one.cpu_s, 1),
        }
        for one in done
    ]
    return pd.DataFrame(rows)


def _classes_table(answers: Answers, labels: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    """F1 of every class, mean over the seeds, with bootstrap intervals over photos."""
    import pandas as pd

    found = []
    for optimiser, mine in answers.items():
        _, classes = statistics.macro_f1_bootstrap(
            labels, np.stack([*mine.values()]), len(names), _generator(), resamples=RESAMPLES
        )
        columns = {"optimiser": optimiser, "class": names, **_ends("f1", classes)}
        found.append(pd.DataFrame(columns))
    return pd.concat(found, ignore_index=True)


def _comparison_table(answers: Answers, labels: np.ndarray, classes: int) -> pd.DataFrame:
    """Both methods and their difference, Adam less AdaMax, on the test photos.

    A row has ``metric`` ("accuracy" or "macro_f1"), ``of`` ("adam", "adamax" or "difference"),
    ``over`` — "images": bootstrap over photos; "seeds": paired Student over runs — and the interval
    ``estimate``, ``low``, ``high``; ``chance`` is the mean if the same answers were shuffled among
    the photos, ``detectable`` the difference that so many pairs of runs would show with 80 %
    probability.
    """
    import pandas as pd

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
            mean, half = statistics.paired_student(first, second)
            detectable = statistics.detectable_difference(first - second)
            interval = (mean, mean - half, mean + half)
            rows.append((metric, "difference", "seeds", *interval, math.nan, detectable))
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


def _ends(name: str, interval: statistics.Interval) -> dict[str, np.ndarray]:
    return {name: interval.estimate, "low": interval.low, "high": interval.high}


def _steps_table(first: Sequence[FirstSteps]) -> pd.DataFrame:
    """A row a method, kind of run, step and layer: see :class:`FirstSteps`."""
    import pandas as pd

    columns = ["step", "layer", "step_rms", "scale"]
    found = [
        pd.DataFrame(one.layers, columns=columns).assign(
            optimiser=one.config.optimiser, kind=one.config.kind
        )
        for one in first
        if not one.config.own
    ]
    table = pd.concat(found, ignore_index=True)
    return table.astype({"step": int, "layer": int})[["optimiser", "kind", *columns]]


def _own_table(first: Sequence[FirstSteps]) -> pd.DataFrame:
    """Losses of the same steps made by torch's and by the project's own optimisers."""
    import pandas as pd

    losses = {(one.config.optimiser, one.config.kind): one.losses for one in first}
    rows = [
        (optimiser, step, theirs, own)
        for optimiser in OPTIMISERS
        for step, (theirs, own) in enumerate(
            zip(losses[optimiser, "torch"], losses[optimiser, "own"], strict=False), start=1
        )
    ]
    return pd.DataFrame(rows, columns=["optimiser", "step", "torch_loss", "own_loss"])


def _cost_table(first: Sequence[FirstSteps]) -> pd.DataFrame:
    """Milliseconds of a step's parts, median and quartiles over the steps, and memory kept."""
    import pandas as pd

    rows = []
    for one in first:
        if one.config.kind == "spike":
            continue
        row = {"optimiser": one.config.optimiser, "kind": one.config.kind, "steps": one.steps}
        for part, seconds in zip(
            ("forward", "backward", "step"), zip(*one.seconds, strict=True), strict=True
        ):
            quartiles = np.percentile(1000 * np.array(seconds), [50, 25, 75])
            names = (f"{part}_ms", f"{part}_ms_low", f"{part}_ms_high")
            row |= dict(zip(names, quartiles.round(2).tolist(), strict=True))
        rows.append(row | {"state_bytes": one.state_bytes})
    return pd.DataFrame(rows)


def _arrays(
    first: Sequence[FirstSteps],
    probabilities: dict[str, np.ndarray],
    answers: Answers,
    data: Images,
    photos: Images,
) -> dict[str, np.ndarray]:
    """Answers of every run, sizes of the first steps, and some photos.

    ``probability.RUN`` (N, K) float16 of all test photos, ``labels`` (N,), ``names`` (K,),
    ``confusion.OPTIMISER`` (K, K): labels by answers, summed over the seeds;
    ``histogram.OPTIMISER`` (steps, layers, bins) float16: shares of the weights by lg of their step
    in units of the learning rate, with ``histogram_steps`` and ``histogram_edges``;
    ``example_index`` (E,), ``example_images`` (E, side, side[, 3]) uint8.
    """
    labels, classes = photos.labels["test"], len(data.names)
    arrays = {"labels": labels.numpy().astype(np.uint8), "names": np.array(data.names)}
    arrays |= {f"probability.{name}": of for name, of in probabilities.items()}
    for optimiser, mine in answers.items():
        pairs = labels.numpy() * classes + np.stack([*mine.values()])
        counts = np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
        arrays[f"confusion.{optimiser}"] = counts
    for one in first:
        if one.config.kind == "torch":
            arrays[f"histogram.{one.config.optimiser}"] = np.array(one.histograms, np.float16)
            made = [step for step in HISTOGRAM_STEPS if step <= one.steps]
            arrays["histogram_steps"] = np.array(made)
    arrays["histogram_edges"] = moments.HISTOGRAM_EDGES
    # Evenly spread over the test part, which is ordered by class: nobody picked them.
    index = torch.linspace(0, len(labels) - 1, EXAMPLES).round().long()
    arrays["example_index"] = index.numpy()
    shown = data.images["test"][index]
    small = replace(data, images={"train": shown}).resized(min(EXAMPLE_SIDE, shown.shape[-1]))
    arrays["example_images"] = small.images["train"].permute(0, 2, 3, 1).squeeze(-1).numpy()
    return arrays


def _draw(
    epochs: pd.DataFrame,
    sweep: pd.DataFrame,
    steps: pd.DataFrame,
    arrays: dict[str, np.ndarray],
) -> Figure:
    """Macro F1 by epoch, the sweep, sizes of the first steps, and what a huge gradient leaves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    (curves, rates), (sizes, scales) = figure.subplots(2, 2)
    main = epochs[epochs["stage"] == "main"]
    for number, optimiser in enumerate(OPTIMISERS):
        line = {"color": f"C{number}", "label": optimiser}
        mean = main[main["optimiser"] == optimiser].groupby("epoch").mean(numeric_only=True)
        curves.plot(mean.index, mean["validation_macro_f1"], **line)
        curves.plot(mean.index, mean["train_macro_f1"], ":", color=f"C{number}")
        tried = sweep[sweep["optimiser"] == optimiser]
        rates.plot(tried["rate"], tried["validation_loss"], "o-", **line)
        shares = arrays[f"histogram.{optimiser}"][-1].astype(float).mean(axis=0)
        sizes.stairs(shares, arrays["histogram_edges"], **line)
        mine = steps[steps["optimiser"] == optimiser].groupby(["kind", "step"])["scale"].median()
        scales.plot(mine["spike"] / mine["torch"], **line)
    curves.set(xlabel="эпоха", title="Macro F1: проверка — линия, обучение — точки")
    rates.set(
        xscale="log", xlabel="скорость обучения", title="Потери на проверке, короткие прогоны"
    )
    sizes.set(
        xlabel="lg (шаг / α)",
        title=f"Доли весов по размеру шага {arrays['histogram_steps'][-1]}",
    )
    scales.set(
        yscale="log", xlabel="шаг", title=f"Во сколько раз градиент ×{SPIKE:g} поднял знаменатель"
    )
    for axis in (curves, rates, sizes, scales):
        axis.legend()
    return figure
