"""Does a deeper network train worse, and do skip connections help?

Twins with and without skip connections learn CIFAR-10, shallow and deep, with batch normalisation
and He's initialisation as in He et al. (2015), section 4.2; every network at its own learning rate.
The question is whether the deep plain network ends with a larger *training* loss ("degradation").
The preset "inits" trains what the theory of gradients tells apart: without batch normalisation,
with torch's own initialisation, with sigmoids.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from pixgrad import nets
from pixgrad.experiments.running import training
from pixgrad.experiments.running.training import Arm, Training
from pixgrad.training.batches import Images


@dataclass(frozen=True, kw_only=True)
class Config(training.Config):
    """Settings of one run; the network is ``plain-D`` or ``resnet-D``.

    Attributes
    ----------
    batch_norm, init, activation : of the network, see :func:`pixgrad.nets.build`.
    """

    batch_norm: bool = True
    init: str = "he"
    activation: str = "relu"

    @property
    def depth(self) -> int:
        return int(self.network.partition("-")[2])

    @property
    def skip(self) -> bool:
        return self.network.startswith("resnet")

    @property
    def arm(self) -> str:
        parts = [self.network, "bn" if self.batch_norm else "nobn", self.init]
        return "-".join(parts + [self.activation] * (self.activation != "relu"))


def _twins(depth: int, settings: dict[str, object], **options) -> tuple[Arm, Arm]:
    """Two arms that differ in the skip connections alone."""
    plain, residual = (
        Arm({"network": f"{kind}-{depth}", **settings}, main={"probe_every": 10}, **options)
        for kind in ("plain", "resnet")
    )
    return plain, residual


RATES = (0.01, 0.03, 0.1, 0.3)
FEW = {"train_images": 320, "validation_images": 100, "recalibrate": 200, "flip": False}
NO_NORM = {"batch_norm": False}
BARE = NO_NORM | {"init": "default"}
INITS = (
    (8, {}),
    (32, {}),
    *((depth, cell) for depth in (20, 56) for cell in ({}, {"init": "default"}, NO_NORM, BARE)),
    (20, BARE | {"activation": "sigmoid"}),
)
"""Depths with what differs from batch normalisation, He's initialisation and ReLU."""


SOURCES = {"smoke": "mnist5k", "report": "cifar10", "inits": "cifar10", "paper": "cifar10"}
PRESETS = {
    "smoke": tuple(
        arm
        for cell in ({}, BARE)
        for arm in _twins(8, FEW | cell, rates=RATES[:2], epochs=2, sweep_epochs=1, seeds=1)
    ),
    # 188 steps an epoch. With 1,000 validation images and as many training ones measuring
    # takes a tenth of the time.
    "report": tuple(
        arm
        for depth in (20, 56)
        for arm in _twins(
            depth,
            {"validation_images": 1000, "recalibrate": 2000},
            rates=RATES,
            epochs=15,
            sweep_epochs=2,
            seeds=5,
            sweep_seeds=2,
        )
    ),
    "inits": tuple(
        arm
        for depth, cell in INITS
        for arm in _twins(
            depth,
            {"train_images": 2000, "validation_images": 300, "recalibrate": 2000} | cell,
            rates=RATES,
            epochs=5,
            sweep_epochs=2,
            seeds=3,
            sweep_seeds=2,
        )
    ),
    # He et al. (2015), section 4.2: 64,000 steps of 128 images.
    "paper": tuple(
        arm
        for depth in (20, 32, 56, 110)
        for arm in _twins(
            depth,
            {"batch_size": 128, "schedule": "step", "recalibrate": 5000},
            rates=RATES,
            epochs=182,
            sweep_epochs=20,
            seeds=5,
            sweep_seeds=2,
        )
    ),
}


class Depth(Training):
    """Degradation: twins of two depths."""

    sources = SOURCES
    presets = PRESETS
    config = Config
    keeps_probabilities = False
    keys = ("depth", "skip", "batch_norm", "init", "activation")

    def build(self, config: Config, data: Images, generator: torch.Generator) -> nn.Module:
        return nets.build(
            config.network,
            len(data.names),
            in_channels=data.channels,
            batch_norm=config.batch_norm,
            init=config.init,
            activation=config.activation,
            generator=generator,
        )


EXPERIMENT = Depth()
