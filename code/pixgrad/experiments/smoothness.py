"""Does batch normalisation lessen the internal covariate shift, or smooth the loss?

A plain network of eight layers learns with batch normalisation and without it. At every few steps:
how the step shifts the inputs and gradients of every layer, and how the loss and its gradient
change along the gradient.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from pixgrad import nets
from pixgrad.experiments.running import measurement
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.measurement import Measurement
from pixgrad.training import tables
from pixgrad.training.batches import Images, random_batches
from pixgrad.training.run import FIRST, Outcome
from pixgrad.training.smoothness import ALONG, SHIFT, along_gradient, layer_shifts

SIZES = (0.5, 1.0, 2.0, 4.0)
"""Of the steps along the gradient, in learning rates."""
BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Config(measurement.Config):
    """Settings of one run: SGD with momentum 0.9 at a constant rate, initial weights of He et al.

    Attributes
    ----------
    activation, batch_norm : of the network, plain-8.
    steps, every : how many steps, and between two measurements.
    """

    activation: str
    batch_norm: bool
    lr: float
    steps: int = 160
    every: int = 8
    train_images: int | None = None

    @property
    def name(self) -> str:
        norm = "bn" if self.batch_norm else "nobn"
        return f"{self.activation}-{norm}-lr{self.lr:g}-{self.seed}"


@dataclass(kw_only=True)
class Watched(Outcome):
    """What was measured.

    Attributes
    ----------
    losses : rows of step and loss.
    shifts, along : rows of the step (made before) and the columns ``SHIFT``, ``ALONG``; sizes in
        learning rates.
    """

    losses: list[list[float]] = field(default_factory=list)
    shifts: list[list[float]] = field(default_factory=list)
    along: list[list[float]] = field(default_factory=list)


KINDS = tuple(("relu", norm, lr) for lr in (0.03, 0.1) for norm in (True, False))
SOURCES = {"smoke": "mnist5k", "report": "cifar10"}
PRESETS = {
    "smoke": (1, KINDS[:2], {"steps": 6, "every": 3, "train_images": 640}),
    "report": (5, KINDS, {}),
}
"""Seeds, activations with normalisation and rate, and settings of all runs."""


class Smoothness(Measurement):
    """Networks with and without batch normalisation, step by step."""

    sources = SOURCES
    config = Config
    outcome = Watched
    keys = ("activation", "batch_norm", "lr")

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        number, kinds, settings = PRESETS[preset]
        return [
            Config(activation=activation, batch_norm=norm, lr=lr, seed=seed, **settings)
            for seed in range(1, (seeds or number) + 1)
            for activation, norm, lr in kinds
        ]

    def measure(self, config: Config, data: Images) -> Watched:
        return _train(config, data, config.steps, watch=True)

    def first_losses(self, config: Config, data: Images, steps: int) -> list[float]:
        return _train(config, data, steps, watch=False).first_losses

    def findings(self, outcomes: Sequence[Watched], data: Images) -> Findings:
        """Tables ``shifts``, ``along`` and ``losses``."""
        rows = {"shifts": ("step", *SHIFT), "along": ("step", *ALONG), "losses": ("step", "loss")}
        return Findings(
            {name: tables.rows_table(outcomes, self.row, name, of) for name, of in rows.items()}
        )


def _train(config: Config, data: Images, steps: int, watch: bool) -> Watched:
    data = data.limited(train=config.train_images)
    generator = torch.Generator().manual_seed(config.seed)
    net = nets.build(
        "plain-8",
        len(data.names),
        in_channels=data.channels,
        batch_norm=config.batch_norm,
        init="he",
        activation=config.activation,
        generator=generator,
    ).to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(net.parameters(), lr=config.lr, momentum=0.9)
    watched = Watched(config=config)
    for x, y in random_batches(data, BATCH, 4, True, generator):
        step = len(watched.losses)
        if step == steps:
            break
        measured = watch and step % config.every == 0
        if measured:
            sizes = [config.lr * size for size in SIZES]
            rows = along_gradient(net, x, y, sizes)
            watched.along += [[step, size, *row[1:]] for size, row in zip(SIZES, rows, strict=True)]
            before = [parameter.detach().clone() for parameter in net.parameters()]
        optimiser.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimiser.step()
        if measured:
            watched.shifts += [[step, *row] for row in layer_shifts(net, before, x, y)]
        watched.losses.append([step, loss.item()])
    watched.steps = len(watched.losses)
    watched.first_losses = [loss for _, loss in watched.losses[:FIRST]]
    return watched


EXPERIMENT = Smoothness()
