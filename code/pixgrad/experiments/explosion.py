"""Why the gradients that explode before training are even after some steps of it.

Before training the gradient of a plain network with batch normalisation grows towards the input.
Every one of the first steps is measured: gradients in all layers, how large the step is beside the
weights, how many directions the channels of a layer take. Interventions tell causes apart: kernels
brought back to their first norms, a slow start of the rate, a limit to the step of every layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pixgrad import nets
from pixgrad.experiments.running import measurement
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.measurement import Measurement
from pixgrad.training import tables
from pixgrad.training.batches import Images, random_batches
from pixgrad.training.probe import COLUMNS, GradientProbe, norm
from pixgrad.training.rank import effective_ranks
from pixgrad.training.run import FIRST, Outcome

KEPT = ("layer", "grad_norm", "weight_norm", "activation_grad_norm", "update_ratio")
"""Columns of the probe; norm of the weights times that of the gradient does not see their scale."""
DENSE, EVERY = 32, 24
"""Of the steps so many first ones are measured, then one of so many."""


@dataclass(frozen=True, kw_only=True)
class Config(measurement.Config):
    """Settings of one run: SGD with momentum at a constant rate.

    Attributes
    ----------
    network : see :func:`pixgrad.nets.build`; batch normalisation, initial weights of He et al.
    intervention : "none"; "rescaled" — after step ``rescale_at`` each kernel gets its first norm
        back, and batch normalisation leaves the function as it was; "warmup" — the rate grows
        linearly from 0 over ``steps``; "limited" — a layer moves by at most ``limit`` of its norm.
    steps : how many.
    """

    network: str
    steps: int
    intervention: Literal["none", "rescaled", "warmup", "limited"] = "none"
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    batch_size: int = 64
    rescale_at: int = 12
    limit: float = 0.01
    train_images: int | None = None

    @property
    def name(self) -> str:
        return f"{self.network}-{self.intervention}-{self.seed}"


@dataclass(kw_only=True)
class Watched(Outcome):
    """What was measured.

    Attributes
    ----------
    losses : rows of step and loss.
    rows : of step (made before), ``KEPT``, effective rank of the layer's output.
    """

    losses: list[list[float]] = field(default_factory=list)
    rows: list[list[float]] = field(default_factory=list)


PRESETS = {
    "smoke": (1, 20, (("plain-8", "none"), ("plain-8", "rescaled")), {"train_images": 640}),
    "report": (
        5,
        188,
        (
            ("plain-20", "none"),
            ("resnet-20", "none"),
            ("resnet-56", "none"),
            *(("plain-56", kind) for kind in ("none", "rescaled", "warmup", "limited")),
        ),
        {},
    ),
}
"""Seeds, steps, networks with interventions, and settings of all runs; 188 steps are an epoch."""


class Explosion(Measurement):
    """Networks and interventions, step by step."""

    sources = {"smoke": "mnist5k", "report": "cifar10"}
    config = Config
    outcome = Watched
    keys = ("network", "intervention")

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        number, steps, kinds, settings = PRESETS[preset]
        return [
            Config(network=network, intervention=kind, seed=seed, steps=steps, **settings)
            for seed in range(1, (seeds or number) + 1)
            for network, kind in kinds
        ]

    def measure(self, config: Config, data: Images) -> Watched:
        return _train(config, data, config.steps)

    def first_losses(self, config: Config, data: Images, steps: int) -> list[float]:
        return _train(config, data, steps).first_losses

    def findings(self, outcomes: Sequence[Watched], data: Images) -> Findings:
        """Tables ``layers`` — a row a run, step and layer; ``losses`` — a row a run and step."""
        layers = tables.rows_table(outcomes, self.row, "rows", ("step", *KEPT, "rank"))
        losses = tables.rows_table(outcomes, self.row, "losses", ("step", "loss"))
        whole = {"step": "int16", "layer": "int16"}
        return Findings({"layers": layers.astype(whole), "losses": losses})


def _train(config: Config, data: Images, steps: int) -> Watched:
    data = data.limited(train=config.train_images)
    generator = torch.Generator().manual_seed(config.seed)
    net = nets.build(
        config.network, len(data.names), in_channels=data.channels, init="he", generator=generator
    ).to(memory_format=torch.channels_last)
    layers = [layer for _, layer in nets.weighted_layers(net)]
    optimiser = torch.optim.SGD(
        net.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )
    first = [norm(layer.weight) for layer in layers]
    probe, watched = GradientProbe(net, every=1), Watched(config=config)
    for x, y in random_batches(data, config.batch_size, 4, True, generator):
        step = len(watched.losses)
        if step == steps:
            break
        if config.intervention == "warmup":
            optimiser.param_groups[0]["lr"] = config.lr * step / config.steps
        if config.intervention == "rescaled" and step == config.rescale_at:
            _bring_back(layers, first)
        if step < DENSE or step % EVERY == 0:
            probe.rows = []
            with probe.watch(1, step), effective_ranks(layers) as ranks:
                loss = _step(config, net, layers, optimiser, x, y)
            kept = [[row[COLUMNS.index(name)] for name in KEPT] for row in probe.rows]
            watched.rows += [[step, *row, rank] for row, rank in zip(kept, ranks, strict=True)]
        else:
            loss = _step(config, net, layers, optimiser, x, y)
        watched.losses.append([step, loss])
    watched.steps = len(watched.losses)
    watched.first_losses = [loss for _, loss in watched.losses[:FIRST]]
    return watched


def _step(
    config: Config,
    net: nn.Module,
    layers: Sequence[nn.Module],
    optimiser: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
) -> float:
    """One step; the loss before it."""
    optimiser.zero_grad(set_to_none=True)
    loss = cross_entropy(net(x), y)
    loss.backward()
    before = [layer.weight.detach().clone() for layer in layers]
    optimiser.step()
    if config.intervention == "limited":
        with torch.no_grad():
            for layer, old in zip(layers, before, strict=True):
                made = layer.weight - old
                share = config.limit * norm(old) / max(norm(made), 1e-30)
                if share < 1:
                    layer.weight.copy_(old + share * made)
    return loss.item()


@torch.no_grad()
def _bring_back(layers: Sequence[nn.Module], norms: Sequence[float]) -> None:
    """Scale every kernel to a norm; the last, linear layer has no normalisation and stays."""
    for layer, wanted in zip(layers[:-1], norms, strict=False):
        layer.weight.mul_(wanted / norm(layer.weight))


EXPERIMENT = Explosion()
