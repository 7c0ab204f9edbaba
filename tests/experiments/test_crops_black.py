"""Crops with a black border: windows by hand, and the labels that they are counted by."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny_training
import torch

from pixgrad import nets
from pixgrad.experiments import architecture_checks, crops_black
from pixgrad.training import loop

EXPERIMENT = crops_black.EXPERIMENT


def test_answers_are_those_of_windows_over_black(monkeypatch: pytest.MonkeyPatch):
    data = tiny_training.images()
    net = nets.build("resnet-8", 4, init="he", generator=torch.Generator().manual_seed(7))
    net = loop.recalibrated(net, data, 96)
    monkeypatch.setattr(architecture_checks.cifar_weights, "load", lambda name: net)
    [config] = EXPERIMENT.plan("report", None)
    outcome = EXPERIMENT.measure(replace(config, images=32), data)
    mean, std = (
        255 * torch.tensor(of)
        for of in (architecture_checks.cifar_weights.MEAN, architecture_checks.cifar_weights.STD)
    )
    ready = replace(data, mean=mean, std=std)
    images, side = data.images["test"], data.images["test"].shape[-1]
    framed = torch.zeros(len(images), 3, side + 8, side + 8, dtype=torch.uint8)
    framed[:, :, 4:-4, 4:-4] = images
    places = ((0, 0), (0, 8), (8, 0), (8, 8), (4, 4))
    windows = [framed[:, :, down : down + side, right : right + side] for down, right in places]
    straight = [loop.predict(net, ready, of).softmax(1) for of in windows]
    mirrored = [loop.predict(net, ready, of.flip(3)).softmax(1) for of in windows]
    assert outcome.answers["centre"] == straight[-1].argmax(1).tolist()
    assert outcome.answers["flip"] == (straight[-1] + mirrored[-1]).argmax(1).tolist()
    assert outcome.answers["corners"] == sum(straight).argmax(1).tolist()
    assert outcome.answers["ten"] == (sum(straight) + sum(mirrored)).argmax(1).tolist()
    wrong = sum(
        a != b for a, b in zip(outcome.answers["ten"], data.labels["test"].tolist(), strict=True)
    )
    assert outcome.first_losses[-1] == pytest.approx(wrong / 32)
