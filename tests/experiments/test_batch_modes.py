"""Mixed batches: the images of the source in another order, labels with them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny_training
import torch

from pixgrad import nets
from pixgrad.experiments import architecture_checks, batch_modes
from pixgrad.training import loop

EXPERIMENT = batch_modes.EXPERIMENT


def test_mixed_batches_of_a_net_that_knows_the_classes(monkeypatch: pytest.MonkeyPatch):
    """The source gives its images class by class; here batches hold several classes."""
    tiny = tiny_training.images()
    order = tiny.labels["test"].argsort(stable=True)
    by_class = replace(
        tiny,
        images=tiny.images | {"test": tiny.images["test"][order]},
        labels=tiny.labels | {"test": tiny.labels["test"][order]},
    )
    base = architecture_checks.ArchitectureChecks
    monkeypatch.setattr(base, "load", lambda self, source: by_class)
    data = EXPERIMENT.load("cifar10")
    assert sorted(data.labels["test"].tolist()) == sorted(by_class.labels["test"].tolist())
    assert (
        len(set(data.labels["test"][:8].tolist()))
        > 1
        == len(set(by_class.labels["test"][:8].tolist()))
    )
    places = {image.numpy().tobytes(): label for image, label in zip(*pairs(by_class), strict=True)}
    assert all(
        places[image.numpy().tobytes()] == label for image, label in zip(*pairs(data), strict=True)
    )
    net = nets.build("resnet-8", 4, init="he", generator=torch.Generator().manual_seed(7))
    net = loop.recalibrated(net, data, 96)
    monkeypatch.setattr(architecture_checks.cifar_weights, "load", lambda name: net)
    [config] = EXPERIMENT.plan("report", None)
    outcome = EXPERIMENT.measure(replace(config, images=32), data)
    table = EXPERIMENT.findings([replace_config(outcome)], data).tables["accuracy"]
    shares = [
        sum(a == b for a, b in zip(answers, data.labels["test"].tolist(), strict=True)) / 32
        for answers in outcome.answers.values()
    ]
    assert table["accuracy"].tolist() == pytest.approx(shares)


def pairs(data):
    return data.images["test"], data.labels["test"].tolist()


def replace_config(outcome):
    outcome.config = replace(outcome.config, images=32)
    return outcome
