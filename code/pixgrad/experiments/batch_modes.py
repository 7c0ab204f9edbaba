"""Batch normalisation by the statistics of mixed batches of one to many images.

The check "modes" of :mod:`pixgrad.experiments.architecture_checks` takes test images as the source
has them, in the order of their classes, so there a batch is of one class. Here they are mixed.
"""

from dataclasses import replace

import torch

from pixgrad.experiments import architecture_checks
from pixgrad.experiments.architecture_checks import ArchitectureChecks, Config
from pixgrad.training.batches import Images

PRESETS = {
    "smoke": {"network": "resnet-20", "check": "modes", "images": 100},
    "report": {"network": "resnet-20", "check": "modes"},
}


class BatchModes(ArchitectureChecks):
    """ResNet-20 in evaluation mode and by the statistics of mixed batches."""

    sources = architecture_checks.SOURCES | {"smoke": "cifar10"}
    config = Config

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        return [Config(**PRESETS[preset])]

    def load(self, source: str) -> Images:
        """Test images in a random order, drawn once for all."""
        data = super().load(source)
        count = len(data.labels["test"])
        order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
        images = data.images | {"test": data.images["test"][order]}
        labels = data.labels | {"test": data.labels["test"][order]}
        return replace(data, images=images, labels=labels)


EXPERIMENT = BatchModes()
