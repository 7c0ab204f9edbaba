"""Do auxiliary heads help to train a network of inception blocks?

A small GoogLeNet learns CIFAR-10 with its two auxiliary heads and without them: with batch
normalisation, without it, and without it from torch's own initial weights, with which gradients
vanish. The heads come from a time that knew neither normalisation nor He's initial weights. Twins
of one seed share all weights of the network itself, the order of images and their augmentation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn

from pixgrad.experiments.running import training
from pixgrad.experiments.running.training import PROBED, Arm, Budget, Training
from pixgrad.training.batches import Images


@dataclass(frozen=True, kw_only=True)
class Config(training.Config):
    """Settings of one run; ``batch_norm``, ``init``, ``auxiliary`` are those of the network."""

    network: str = "googlenet-small"
    batch_norm: bool = True
    init: str = "he"
    auxiliary: bool = False

    @property
    def arm(self) -> str:
        parts = [self.network, "bn" if self.batch_norm else "nobn", self.init]
        return "-".join(parts + ["auxiliary"] * self.auxiliary)


RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
CELLS = (
    ({}, RATES),
    ({"batch_norm": False}, (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)),  # its first answers are large
    ({"batch_norm": False, "init": "default"}, (0.01, 0.03, 0.1, 0.3, 1)),
)
FEW = {"train_images": 160, "validation_images": 50, "recalibrate": 100, "flip": False}
SOME = {
    "batch_size": 32,
    "train_images": 2500,
    "validation_images": 500,
    "recalibrate": 1000,
}


def _arms(settings: Mapping[str, object], budget: Budget, cells=CELLS) -> list[Arm]:
    """Twins with and without heads of every cell."""
    return [
        Arm(settings | cell | {"auxiliary": heads}, rates, budget, PROBED)
        for cell, rates in cells
        for heads in (False, True)
    ]


SOURCES = {"smoke": "mnist5k", "report": "cifar10"}
PRESETS = {
    "smoke": _arms(FEW, Budget(2, 1, seeds=1), [({}, RATES[2:4])]),
    "report": _arms(SOME, Budget(5, 2, seeds=5, sweep_seeds=2)),
}


class Auxiliary(Training):
    """Twins with and without auxiliary heads."""

    sources = SOURCES
    presets = PRESETS
    config = Config
    keeps_probabilities = False
    keys = ("batch_norm", "init", "auxiliary")

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        """Twins leave the generator alike: the heads are drawn from a copy of it."""
        options |= {"batch_norm": config.batch_norm, "init": config.init}
        copy = generator.clone_state()
        net = super().build(config, data, generator, **options)
        if not config.auxiliary:
            return net
        return super().build(
            replace(config, network=f"{config.network}-auxiliary"), data, copy, **options
        )


EXPERIMENT = Auxiliary()
