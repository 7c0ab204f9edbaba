"""How fast the same training step is in NumPy and in PyTorch, eager and compiled.

Implementations start from the same weights and get the same batch. They take turns in every round,
and each part of a step is timed in seconds of the processor, on one thread: what other programs do
meanwhile counts for none of them. The optimisers are timed alone too, on the weights and gradients
of the large network. ``torch.compile`` needs a C++ compiler; where it does not work, its rows say
so.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pixgrad import backprop as bp
from pixgrad import nets
from pixgrad.experiments.running import measurement
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.measurement import Measurement, quartiles
from pixgrad.training.batches import Images
from pixgrad.training.implementations import (
    LENET,
    NUMPY,
    PARTS,
    PEER,
    SGD,
    TORCH,
    Implementation,
    NumPyStep,
    OwnOptimiser,
    TorchStep,
    compiling_seconds,
    distance,
    timed,
    torch_lenet,
)
from pixgrad.training.run import Outcome

OPTIMISERS = {
    "adam": {
        "torch": torch.optim.Adam,
        "torch-foreach": partial(torch.optim.Adam, foreach=True),
        "torch-fused": partial(torch.optim.Adam, fused=True),
        "numpy": bp.Adam,
    },
    "adamax": {
        "torch": torch.optim.Adamax,
        "torch-foreach": partial(torch.optim.Adamax, foreach=True),
        "numpy": partial(bp.AdaMax, form="torch"),
    },
}
"""What moves the weights; torch's own choice on a processor is a loop over the tensors."""
OPTIMISERS_PEER = f"adam-{PEER}"
WARM_UP = 3
"""First rounds, not timed; their losses are compared."""
MESSAGE = 200
"""Characters of a message, at most."""


@dataclass(frozen=True, kw_only=True)
class Config(measurement.Config):
    """Settings of one run.

    Attributes
    ----------
    stage : "training" — whole steps; "optimisers" — optimiser steps alone.
    network : "lenet", the book's network in NumPy, or a name of :func:`pixgrad.nets.build`.
    side : of the images, pixels.
    classes : only images of so many first ones are used.
    rounds : timed ones; each implementation makes one step in each.
    compiled : with ``torch.compile`` too.
    seed : of the initial weights and of the batch.
    """

    stage: Literal["training", "optimisers"]
    network: str
    batch_size: int
    side: int
    classes: int
    rounds: int
    compiled: bool = True

    @property
    def name(self) -> str:
        return self.network if self.stage == "training" else f"{self.network}-optimisers"


SMALL = {"network": "lenet", "batch_size": 64, "side": 28, "classes": 10}
LARGE = {"network": "resnet-50", "batch_size": 32, "side": 32, "classes": 5}
"""Sizes as in the experiments mnist and adam_vs_adamax."""
TINY = {"network": "resnet-8", "batch_size": 8, "side": 16, "classes": 5, "compiled": False}
PRESETS = {
    "smoke": ((SMALL | {"rounds": 5}, TINY | {"rounds": 5}), TINY | {"rounds": 5}),
    "report": ((SMALL | {"rounds": 200}, LARGE | {"rounds": 15}), LARGE | {"rounds": 20}),
    "paper": ((SMALL | {"rounds": 1000}, LARGE | {"rounds": 60}), LARGE | {"rounds": 60}),
}
"""Settings of the networks and of the optimisers."""


@dataclass(kw_only=True)
class Timed(Outcome):
    """What was measured in a run.

    Attributes
    ----------
    seconds : by implementation, a row a timed round, of ``PARTS`` and of the whole step; of an
        optimiser, of its step and again of all of it.
    differences : by implementation, from ``PEER``: the largest relative difference of the losses of
        the first rounds; of an optimiser, see :func:`_measure_optimisers`.
    compile_s : seconds of the processor that compiling took, by compiled implementation.
    messages : why an implementation does not work, by its name.
    """

    seconds: dict[str, list[list[float]]] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    compile_s: dict[str, float] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)


class Speed(Measurement):
    """Both networks, then the optimisers; one run of each, whatever the number of seeds."""

    sources = dict.fromkeys(PRESETS, "mnist5k")
    """It is there on every machine, and the time of a step does not depend on what is drawn."""
    config = Config
    outcome = Timed

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        networks, optimisers = PRESETS[preset]
        training = [Config(stage="training", **settings) for settings in networks]
        return [*training, Config(stage="optimisers", **optimisers)]

    def measure(self, config: Config, data: Images) -> Timed:
        measure = _measure_training if config.stage == "training" else _measure_optimisers
        return measure(config, data)

    def first_losses(self, config: Config, data: Images, steps: int) -> list[float]:
        """The losses of ``PEER``, made anew."""
        net, x, y = _network(config), *_batch(config, data)
        peer = TorchStep(TORCH[0], net, _optimiser(config, net), x, y)
        return [peer.value for _ in range(steps) if timed(peer)]

    def findings(self, outcomes: Sequence[Timed], data: Images) -> Findings:
        training = [one for one in outcomes if one.config.stage == "training"]
        (optimisers,) = (one for one in outcomes if one.config.stage == "optimisers")
        found = {
            "summary": _summary_table(training),
            "implementations": _implementations_table(training),
            "optimisers": _optimisers_table(optimisers),
        }
        return Findings(found, metrics={one.config.name: _metrics(one) for one in outcomes})


def _measure_training(config: Config, data: Images) -> Timed:
    """All parts of a step, by all implementations in turns."""
    bp.keep_freed_memory()
    outcome = Timed(config=config, steps=WARM_UP + config.rounds)
    batch = _batch(config, data)
    steps: dict[str, NumPyStep | TorchStep] = {}
    if config.network == "lenet":
        steps[NUMPY.name] = NumPyStep(_network(config), *batch)
    for one in _torch_kinds(config):
        net = _network(config)
        made = TorchStep(one, net, _optimiser(config, net), *batch)
        if one.compiled:
            try:
                outcome.compile_s[one.name] = compiling_seconds(made)
            except Exception as error:  # torch names neither what it may raise nor the cause
                outcome.messages[one.name] = _first_line(error)
                continue
        steps[one.name] = made
    losses: dict[str, list[float]] = {name: [] for name in steps}
    for name in _in_turns(outcome, steps, PARTS):
        losses[name].append(steps[name].value)
    torch._dynamo.reset()  # frees the compiled networks
    first = {name: np.array(found[:WARM_UP]) for name, found in losses.items()}
    outcome.first_losses = first[PEER].tolist()
    outcome.differences = {
        name: float(np.max(np.abs(found / first[PEER] - 1))) for name, found in first.items()
    }
    return outcome


def _in_turns(outcome: Timed, steps: Mapping[str, Any], parts: Sequence[str]) -> Iterator[str]:
    """Make the rounds; ``outcome`` gets the seconds of all but the first ones.

    Yields
    ------
    The name of the implementation that has made its step.
    """
    outcome.seconds = {name: [] for name in steps}
    for number in range(outcome.steps):
        for name, step in steps.items():
            seconds = timed(step, parts)
            if number >= WARM_UP:
                outcome.seconds[name].append([*seconds, sum(seconds)])
            yield name


def _torch_kinds(config: Config) -> list[Implementation]:
    """Of ``TORCH`` those to measure.

    Compiling a deep network takes minutes, and for a processor ``torch.compile`` lays convolutions
    out channels last whatever it is given (``decide_layout_opt`` in ``torch/_inductor/graph.py``):
    there one memory format is enough.
    """
    if not config.compiled:
        return [kind for kind in TORCH if not kind.compiled]
    return [kind for kind in TORCH if config.network == "lenet" or kind.name != "torch-compile"]


def _measure_optimisers(config: Config, data: Images) -> Timed:
    """The optimiser's step alone, by all implementations in turns, always by the same gradients.

    The difference is the distance between the weights at the end, in units of the way that they
    went by torch's loop.
    """
    net, (x, y) = _network(config), _batch(config, data)
    loss = cross_entropy(net(x), y)
    loss.backward()
    start = [of.detach().clone() for of in net.parameters()]
    gradients = [of.grad for of in net.parameters()]
    weights: dict[str, list[Tensor]] = {}
    steps: dict[str, OwnOptimiser | torch.optim.Optimizer] = {}
    for method, implementations in OPTIMISERS.items():
        for kind, optimiser in implementations.items():
            mine = [of.clone().requires_grad_() for of in start]
            for of, gradient in zip(mine, gradients, strict=True):
                of.grad = gradient
            made = OwnOptimiser(optimiser, mine) if kind == NUMPY.name else optimiser(mine)
            weights[f"{method}-{kind}"], steps[f"{method}-{kind}"] = mine, made
    outcome = Timed(config=config, steps=WARM_UP + config.rounds, first_losses=[loss.item()])
    for _ in _in_turns(outcome, steps, ("step",)):
        pass
    for name, mine in weights.items():
        peer = weights[f"{name.partition('-')[0]}-{PEER}"]
        outcome.differences[name] = distance(mine, peer) / distance(peer, start)
    return outcome


def _optimiser(config: Config, net: nn.Module) -> torch.optim.Optimizer:
    """SGD moves LeNet, Adam the others."""
    if config.network == "lenet":
        return torch.optim.SGD(net.parameters(), **SGD)
    return torch.optim.Adam(net.parameters())


def _first_line(error: Exception) -> str:
    text = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {text}"[:MESSAGE]


def _network(config: Config) -> nn.Module:
    """The network in torch with its initial weights; those of LeNet are drawn by NumPy."""
    if config.network != "lenet":
        generator = torch.Generator().manual_seed(config.seed)
        return nets.build(config.network, config.classes, init="he", generator=generator)
    with torch.device("meta"):  # nothing random is drawn
        net = torch_lenet()
    weights = bp.lenet(LENET, rng=config.seed).parameters()
    state = {name: torch.from_numpy(array) for name, array in weights.items()}
    net.to_empty(device="cpu").load_state_dict(state)
    return net


def _batch(config: Config, data: Images) -> tuple[Tensor, Tensor]:
    """A random batch at the size of the network: grey images for LeNet, of three channels for
    others.

    Returns
    -------
    Normalised float32 (B, C, side, side) and labels int64 (B,).
    """
    generator = torch.Generator().manual_seed(config.seed)
    known = torch.nonzero(data.labels["train"] < config.classes).squeeze(1)
    chosen = known[torch.randperm(len(known), generator=generator)[: config.batch_size]]
    few = replace(data, images={"train": data.images["train"][chosen]}).resized(config.side)
    x = data.normalised(few.images["train"])
    x = x.mean(1, keepdim=True) if config.network == "lenet" else x.expand(-1, 3, -1, -1)
    return x.contiguous(memory_format=torch.contiguous_format), data.labels["train"][chosen]


def _summary_table(training: Sequence[Timed]) -> pd.DataFrame:
    """A row a network, implementation and part of the step ("total" is all of it).

    Columns of :func:`_timing`; an implementation that does not work has no numbers.
    """
    rows = []
    for one in training:
        seconds = {name: np.array(rounds) for name, rounds in one.seconds.items()}
        for name in _names(one):
            for column, part in enumerate((*PARTS, "total")):
                row = {"network": one.config.network, "implementation": name, "part": part}
                if name in seconds:
                    row |= _timing(seconds[name][:, column], seconds[PEER][:, column], PEER)
                rows.append(row)
    return pd.DataFrame(rows)


def _implementations_table(training: Sequence[Timed]) -> pd.DataFrame:
    """A row a network and implementation: what it is, whether it works, and whether it is right.

    ``images_s`` is of whole steps at their median time; the other columns as in :class:`Timed`.
    """
    kinds = {kind.name: kind for kind in (NUMPY, *TORCH)}
    rows = []
    for one in training:
        for name in _names(one):
            row = {
                "network": one.config.network,
                "implementation": name,
                "memory_format": kinds[name].memory_format,
                "batch_size": one.config.batch_size,
                "status": "failed" if name in one.messages else "done",
                "message": one.messages.get(name, ""),
                "images_s": _images_s(one).get(name, math.nan),
                "compile_s": round(one.compile_s.get(name, math.nan), 2),
                "loss_difference": one.differences.get(name, math.nan),
            }
            rows.append(row)
    return pd.DataFrame(rows)


def _optimisers_table(measured: Timed) -> pd.DataFrame:
    """A row a method and implementation: columns of :func:`_timing` and ``weights_difference``."""
    peer = np.array(measured.seconds[OPTIMISERS_PEER])[:, 0]
    rows = []
    for name, seconds in measured.seconds.items():
        method, _, implementation = name.partition("-")
        row = {"network": measured.config.network, "optimiser": method}
        row |= {"implementation": implementation}
        row |= _timing(np.array(seconds)[:, 0], peer, OPTIMISERS_PEER)
        rows.append(row | {"weights_difference": measured.differences[name]})
    return pd.DataFrame(rows)


def _timing(seconds: np.ndarray, of_peer: np.ndarray, peer: str) -> dict[str, object]:
    """Median and quartiles over the rounds, of the time and of its ratio to that of ``peer``."""
    ratio = quartiles("ratio", seconds / of_peer, digits=4)
    return quartiles("ms", 1000 * seconds, digits=4) | ratio | {"peer": peer}


def _names(measured: Timed) -> list[str]:
    """Implementations in the order of ``TORCH``, NumPy first, those that do not work too."""
    order = [kind.name for kind in (NUMPY, *TORCH)]
    return sorted({*measured.seconds, *measured.messages}, key=order.index)


def _images_s(measured: Timed) -> dict[str, float]:
    return {
        name: round(measured.config.batch_size / float(np.median(np.array(rounds)[:, -1])), 1)
        for name, rounds in measured.seconds.items()
    }


def _metrics(measured: Timed) -> dict[str, float]:
    """Images a second, or milliseconds of an optimiser's step, by implementation."""
    if measured.config.stage == "training":
        return {f"{name}_images_s": value for name, value in _images_s(measured).items()}
    return {
        f"{name}_ms": round(1000 * float(np.median(seconds)), 3)
        for name, seconds in measured.seconds.items()
    }


EXPERIMENT = Speed()
