"""Does a deeper network train worse, and do skip connections help?

Twins with and without skip connections learn CIFAR-10, shallow and deep, with batch normalisation
and He's initialisation as in He et al. (2015), section 4.2; every network at its own learning rate.
The question is whether the deep plain network ends with a larger *training* loss ("degradation").
The preset "inits" trains what the theory of gradients tells apart: without batch normalisation,
with torch's own initialisation, with sigmoids.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from pixgrad.experiments.running import training
from pixgrad.experiments.running.training import PROBED, Arm, Budget, Training
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


RATES = (0.01, 0.03, 0.1, 0.3)
NO_NORM = {"batch_norm": False}
BARE = NO_NORM | {"init": "default"}
INITS = (
    (8, {}),
    (32, {}),
    *((depth, cell) for depth in (20, 56) for cell in ({}, {"init": "default"}, NO_NORM, BARE)),
    (20, BARE | {"activation": "sigmoid"}),
)
"""Depths with what differs from batch normalisation, He's initialisation and ReLU."""
FEW = {"train_images": 320, "validation_images": 100, "recalibrate": 200, "flip": False}
# 188 steps an epoch. With 1,000 validation images and as many training ones measuring takes a
# tenth of the time.
ALL = {"validation_images": 1000, "recalibrate": 2000}
SOME = {"train_images": 2000, "validation_images": 300, "recalibrate": 2000}
# He et al. (2015), section 4.2: 64,000 steps of 128 images.
FULL = {"batch_size": 128, "schedule": "step", "recalibrate": 5000}
# A quarter of that, in minutes of one GPU: see benchmarks/gpu.sh.
GPU = FULL | {"validation_images": 1000, "precision": "bf16-mixed", "compiled": True}


def _twins(
    cells: Iterable[tuple[int, Mapping[str, object]]], settings, budget: Budget, rates=RATES
) -> list[Arm]:
    """Two arms a depth and cell, that differ in the skip connections alone."""
    return [
        Arm(settings | cell | {"network": f"{kind}-{depth}"}, rates, budget, PROBED)
        for depth, cell in cells
        for kind in ("plain", "resnet")
    ]


class Depth(Training):
    """Degradation: twins of two depths."""

    sources = {"smoke": "mnist5k"} | dict.fromkeys(("report", "inits", "gpu", "paper"), "cifar10")
    presets = {
        "smoke": _twins([(8, {}), (8, BARE)], FEW, Budget(2, 1, seeds=1), rates=RATES[:2]),
        "report": _twins([(20, {}), (56, {})], ALL, Budget(15, 2, seeds=5, sweep_seeds=2)),
        "gpu": tuple(
            replace(arm, main={})
            for arm in _twins([(20, {}), (56, {})], GPU, Budget(170, 3, seeds=3))
        ),
        "inits": _twins(INITS, SOME, Budget(5, 2, seeds=3, sweep_seeds=2)),
        "paper": _twins(
            [(depth, {}) for depth in (20, 32, 56, 110)],
            FULL,
            Budget(182, 20, seeds=5, sweep_seeds=2),
        ),
    }
    config = Config
    keeps_probabilities = False
    keys = ("depth", "skip", "batch_norm", "init", "activation")

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        cell = {name: getattr(config, name) for name in self.keys[2:]}
        return super().build(config, data, generator, **options | cell)


EXPERIMENT = Depth()
