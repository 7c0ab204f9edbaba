"""One linear layer against three: heads, and the features that they share."""

from __future__ import annotations

import pytest
import tiny_training
import torch
from checks import Trained
from torch import nn

from pixgrad.experiments import heads
from pixgrad.experiments.running.training import Arm, Budget

EXPERIMENT = heads.EXPERIMENT
CALLS: list[int] = []


def features(images: torch.Tensor):
    """In place of those of EfficientNet."""
    CALLS.append(len(images))
    return images.float().flatten(1)[:, ::2].numpy() / 255


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Both heads on features of the made-up images; the largest rate diverges."""
    patch.setattr(heads.Heads, "load", lambda self, source: tiny_training.images())
    patch.setattr(heads, "extract", features)
    settings = heads.SETTINGS | {"batch_size": 16}
    arms = [
        Arm(settings | {"network": name}, (0.03, 1e20), Budget(2, 1, seeds=2))
        for name in ("one", "three")
    ]
    patch.setattr(heads.Heads, "presets", {"report": arms})
    CALLS.clear()
    heads._features.cache_clear()


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, ["network"]

    def test_features_of_a_part_are_made_once(self, found):
        assert sorted(CALLS[:3]) == [32, 32, 96]

    def test_parameters_by_formula(self, found):
        counted = found.tables["summary"].groupby("network")["parameters"].first()
        width = 3 * 8 * 8 // 2
        assert counted["one"] == (width + 1) * 4
        assert counted["three"] == (width + 1) * 512 + 513 * 512 + 513 * 4


def test_layers_of_the_heads():
    data = heads.as_pixels(tiny_training.images(), {"train": torch.zeros(2, 7).numpy()})
    for name, count in (("one", 1), ("three", 3)):
        config = heads.Config(stage="main", network=name, seed=1, epochs=1, lr=0.1)
        net = EXPERIMENT.build(config, data, torch.Generator().manual_seed(1))
        assert sum(isinstance(layer, nn.Linear) for layer in net.modules()) == count
        assert net(torch.zeros(2, 7, 1, 1)).shape == (2, 4)
