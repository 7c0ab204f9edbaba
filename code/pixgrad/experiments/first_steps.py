"""The first steps of Adam and of AdaMax in ResNet-50, under measurement.

How large the steps of every layer are, what one huge gradient leaves behind, what a step costs; and
the project's own methods drive the same network beside torch's.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice, repeat, starmap

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from pixgrad import backprop as bp
from pixgrad import nets
from pixgrad.experiments.running import measurement
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.measurement import Measurement, quartiles
from pixgrad.training import moments
from pixgrad.training.batches import Images, random_batches
from pixgrad.training.implementations import OwnOptimiser
from pixgrad.training.probe import norm
from pixgrad.training.run import FIRST, Outcome
from pixgrad.training.tables import rows_table

OPTIMISERS = {"adam": 1e-3, "adamax": 2e-3}
"""The learning rates that Kingma and Ba (2015) advise."""
TORCH = {"adam": torch.optim.Adam, "adamax": torch.optim.Adamax}
OWN = {"adam": bp.Adam, "adamax": partial(bp.AdaMax, form="torch")}
SPIKE = 100.0
HISTOGRAM_STEPS = (1, 2, 5, 10, 20, 40)
"""Of the first steps those whose sizes are kept as a distribution."""


@dataclass(frozen=True, kw_only=True)
class Config(measurement.Config):
    """Settings of one run.

    Attributes
    ----------
    network : see :func:`pixgrad.nets.build`; initial weights as in He et al. (2015).
    side : of the photos, pixels.
    steps : how many, at a constant rate.
    spike_at : the step (from 1) whose gradient is made ``SPIKE`` times larger; None — no step.
    own : the optimiser is the one of :mod:`pixgrad.backprop`, not torch's.
    shift, flip : augmentation, see :func:`pixgrad.training.batches.random_batches`.
    seed : of the initial weights, the order of the images and their augmentation.
    """

    optimiser: str
    network: str
    steps: int
    side: int | None = None
    spike_at: int | None = None
    own: bool = False
    batch_size: int = 32
    shift: int = 4
    flip: bool = True

    @property
    def kind(self) -> str:
        """ "torch" — nothing special, "spike" or "own"."""
        return "own" if self.own else "spike" if self.spike_at else "torch"

    @property
    def name(self) -> str:
        return f"{self.optimiser}-{self.kind}"


@dataclass(kw_only=True)
class Walk(Outcome):
    """What was measured in the first steps.

    Attributes
    ----------
    losses : of all steps.
    seconds : rows of forward, backward and optimiser's time, one a step.
    layers : rows of step (from 1), layer (from 1 at the input), root mean square of the step in
        units of the learning rate, median of the scale; none for the project's own optimisers.
    histograms : by ``HISTOGRAM_STEPS``, then by layer: :func:`moments.log_histogram` of the step.
    state_bytes : what the optimiser keeps between steps.
    """

    losses: list[float] = field(default_factory=list)
    seconds: list[list[float]] = field(default_factory=list)
    layers: list[list[float]] = field(default_factory=list)
    histograms: list[list[list[float]]] = field(default_factory=list)
    state_bytes: int = 0


PRESETS = {
    "smoke": (8, 3, {"network": "resnet-8", "flip": False}),
    "report": (40, 10, {"network": "resnet-50", "side": 64}),
}
"""Steps by torch's methods and by the project's own, and settings of all runs."""


class FirstSteps(Measurement):
    """Each method as it is, with a spike, and the project's own."""

    sources = {"smoke": "mnist5k", "report": "cars5"}
    config = Config
    outcome = Walk

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        steps, own_steps, settings = PRESETS[preset]
        return [
            Config(optimiser=optimiser, steps=number, **kind, **settings)
            for number, kind in (
                (steps, {}),
                (steps, {"spike_at": steps // 2}),
                (own_steps, {"own": True}),
            )
            for optimiser in OPTIMISERS
        ]

    def measure(self, config: Config, data: Images) -> Walk:
        return _measure_steps(config, data.resized(config.side))

    def first_losses(self, config: Config, data: Images, steps: int) -> list[float]:
        return super().first_losses(replace(config, steps=steps), data, steps)

    def findings(self, outcomes: Sequence[Walk], data: Images) -> Findings:
        """Tables ``steps``, ``own``, ``cost``.

        Arrays: ``histogram.OPTIMISER`` (steps, layers, bins) float16: shares of the weights by lg
        of their step in units of the learning rate, ``histogram_steps``, ``histogram_edges``.
        """
        plain = [one for one in outcomes if one.config.kind == "torch"]
        made = [step for step in HISTOGRAM_STEPS if step <= plain[0].steps]
        arrays = {"histogram_steps": np.array(made), "histogram_edges": moments.HISTOGRAM_EDGES} | {
            f"histogram.{one.config.optimiser}": np.array(one.histograms, np.float16)
            for one in plain
        }
        found = {
            "steps": _steps_table(outcomes),
            "own": _own_table(outcomes),
            "cost": _cost_table(outcomes),
        }
        return Findings(found, arrays)


def _measure_steps(config: Config, data: Images) -> Walk:
    """Make the first steps of a training, at a constant rate, and measure each."""
    generator = torch.Generator().manual_seed(config.seed)
    net = nets.build(
        config.network, len(data.names), in_channels=data.channels, init="he", generator=generator
    ).to(memory_format=torch.channels_last)
    own, theirs = partial(OwnOptimiser, OWN[config.optimiser]), TORCH[config.optimiser]
    optimiser = (own if config.own else theirs)(net.parameters(), lr=OPTIMISERS[config.optimiser])
    measured = Walk(config=config)
    epochs = repeat((data, config.batch_size, config.shift, config.flip, generator))
    batches = chain.from_iterable(starmap(random_batches, epochs))
    for step, (x, y) in enumerate(islice(batches, config.steps), start=1):
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
    measured.steps, measured.first_losses = len(measured.losses), measured.losses[:FIRST]
    measured.state_bytes = _state_bytes(optimiser)
    return measured


def _measure_layers(
    measured: Walk, net: nn.Module, optimiser: torch.optim.Optimizer, step: int
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


def _state_bytes(optimiser: torch.optim.Optimizer | OwnOptimiser) -> int:
    """Memory that an optimiser keeps between steps."""
    if isinstance(optimiser, OwnOptimiser):
        return sum(array.nbytes for array in optimiser.method.state().values())
    return sum(of.nbytes for state in optimiser.state.values() for of in state.values())


def _method(one: Walk) -> dict[str, object]:
    return {"optimiser": one.config.optimiser, "kind": one.config.kind}


def _steps_table(first: Sequence[Walk]) -> pd.DataFrame:
    """A row a method, kind of run, step and layer: see :class:`Walk`."""
    columns = ["step", "layer", "step_rms", "scale"]
    return rows_table([one for one in first if not one.config.own], _method, "layers", columns)


def _own_table(first: Sequence[Walk]) -> pd.DataFrame:
    """Losses of the same steps made by torch's and by the project's own optimisers."""
    losses = {(one.config.optimiser, one.config.kind): one.losses for one in first}
    rows = [
        (optimiser, step, theirs, own)
        for optimiser in OPTIMISERS
        for step, (theirs, own) in enumerate(
            zip(losses[optimiser, "torch"], losses[optimiser, "own"], strict=False), start=1
        )
    ]
    return pd.DataFrame(rows, columns=["optimiser", "step", "torch_loss", "own_loss"])


def _cost_table(first: Sequence[Walk]) -> pd.DataFrame:
    """Milliseconds of a step's parts, median and quartiles over the steps, and memory kept."""
    rows = []
    for one in first:
        if one.config.kind == "spike":
            continue
        row = _method(one) | {"steps": one.steps}
        for part, seconds in zip(
            ("forward", "backward", "step"), zip(*one.seconds, strict=True), strict=True
        ):
            row |= quartiles(f"{part}_ms", 1000 * np.array(seconds), digits=2)
        rows.append(row | {"state_bytes": one.state_bytes})
    return pd.DataFrame(rows)


EXPERIMENT = FirstSteps()
