"""Recalibrated batch normalisation: statistics by hand in float64, and nothing else changes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from tiny_training import MEASURES, build, differences, images, in_pieces, settings
from torch import nn

from pixgrad.training import evaluation
from pixgrad.training.evaluation import recalibrated
from pixgrad.training.loop import fit

DATA = images()
LOSSES = MEASURES[2:]


class Mixed(nn.Module):
    """A convolution, a normalisation, a convolution without one, a normalisation of what is left.

    The second one keeps a momentum of its own, and stays in evaluation mode.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([nn.Conv2d(3, 5, 3), nn.Conv2d(5, 6, 3)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(5), nn.BatchNorm2d(6, momentum=0.3)])
        self.drop, self.fc = nn.Dropout(0.9), nn.Linear(6, 4)

    def forward(self, x):
        x = self.norms[0](self.convolutions[0](x)).relu()
        x = self.norms[1](self.drop(self.convolutions[1](x)))
        return self.fc(x.mean((2, 3)))


@pytest.fixture
def mixed() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Mixed()
        net(DATA.normalised(DATA.images["train"][:20]))  # running statistics of their own
    net.norms[1].eval()
    return net


def state(net: nn.Module) -> dict[str, object]:
    """All that a network is: tensors as bytes, momenta, modes."""
    tensors = {name: of.numpy().tobytes() for name, of in net.state_dict().items()}
    modules = {
        name: (one.training, getattr(one, "momentum", 0)) for name, one in net.named_modules()
    }
    return {"tensors": tensors, "modules": modules}


def statistics_by_hand(net: nn.Module, images: np.ndarray, batch: int) -> list[np.ndarray]:
    """Mean and variance before both normalisations, in float64, averaged over batches.

    Each batch is normalised by its own (biased) variance on its way; the variance that is kept is
    the unbiased one.
    """
    net = copy.deepcopy(net).double()
    mean, std = DATA.mean.double()[:, None, None], DATA.std.double()[:, None, None]
    found = []
    for start in range(0, len(images), batch):
        x, mine = (torch.from_numpy(images[start : start + batch]).double() - mean) / std, []
        for convolution, norm in zip(net.convolutions, net.norms, strict=True):
            values = convolution(x).detach().numpy()
            mine += [values.mean((0, 2, 3)), values.var((0, 2, 3), ddof=1)]
            middle, spread = mine[-2][:, None, None], values.var((0, 2, 3))[:, None, None]
            scaled = torch.from_numpy((values - middle) / np.sqrt(spread + norm.eps)).relu()
            x = scaled * norm.weight.detach()[:, None, None]  # the biases are 0
        found.append(mine)
    return [np.mean(of, axis=0) for of in zip(*found, strict=True)]


@pytest.mark.parametrize("count", [1, 40, 96, 1000], ids=lambda count: f"{count} images")
@pytest.mark.parametrize("batch", [250, 16])
def test_recalibrated_statistics_by_hand(mixed, monkeypatch, count, batch):
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", batch)
    generator = torch.Generator().manual_seed(evaluation.RECALIBRATION_SEED)
    chosen = torch.randperm(96, generator=generator)[:count]
    expected = statistics_by_hand(mixed, DATA.images["train"][chosen].numpy(), batch)
    before = state(mixed)
    net = recalibrated(mixed, DATA, count)
    found = [of for norm in net.norms for of in (norm.running_mean, norm.running_var)]
    assert not any(module.training for module in net.modules())
    inside = state(net)["tensors"]
    for mine, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, right, rtol=2e-5, atol=2e-5)
    changed = {name for name in inside if inside[name] != before["tensors"][name]}
    running = {f"norms.{number}.running_{of}" for number in (0, 1) for of in ("mean", "var")}
    assert changed - {f"norms.{number}.num_batches_tracked" for number in (0, 1)} == running
    assert state(mixed) == before


def test_recalibration_that_fails_leaves_the_network_alone(mixed, monkeypatch):
    before = state(mixed)

    def fail(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(mixed.norms[1], "forward", fail)  # in the middle of the first batch
    with pytest.raises(ZeroDivisionError):
        recalibrated(mixed, DATA, 40)
    assert state(mixed) == before


@pytest.mark.parametrize("count", [0, 40])
def test_recalibration_changes_nothing_without_batch_normalisation(count):
    net = build(torch.Generator().manual_seed(0), "plain-8", batch_norm=False)
    before = state(net)
    net.register_forward_hook(lambda *arguments: pytest.fail("the network was called"))
    assert state(recalibrated(net, DATA, count))["tensors"] == before["tensors"]
    assert state(net) == before


def test_no_images_mean_running_statistics(mixed):
    before = state(mixed)
    assert state(recalibrated(mixed, DATA, 0))["tensors"] == before["tensors"]
    assert state(mixed) == before


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Runs of one seed, without and with recalibration before each measurement."""
    folder = tmp_path_factory.mktemp("fitted")
    return [fit(settings(recalibrate=count), build, DATA, folder / str(count)) for count in (0, 40)]


def test_recalibration_does_not_disturb_the_training(fitted):
    plain, recalibrating = fitted
    assert differences(plain, recalibrating) == ["config", "history"]
    for row, old in zip(recalibrating.history, plain.history, strict=True):
        first = ["epoch", "lr", "running_loss"]
        raw = {name: row[f"raw_{name}"] for name in LOSSES}
        assert {name: row[name] for name in first} | raw == old
        assert list(row) == [*first, *(f"raw_{name}" for name in LOSSES), *LOSSES]
        assert {name: row[name] for name in raw} != raw


def test_recalibrated_measures_are_those_of_the_recalibrated_network(fitted):
    """By hand, in float64: one batch of 40 images takes the place of the running statistics."""
    outcome = fitted[1]
    net = copy.deepcopy(outcome.net).double().train()
    generator = torch.Generator().manual_seed(evaluation.RECALIBRATION_SEED)
    chosen = torch.randperm(96, generator=generator)[:40]
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the running statistics become those of the batch
    net(DATA.normalised(DATA.images["train"][chosen]).double())
    logits = net.eval()(DATA.normalised(DATA.images["validation"]).double()).detach()
    expected = nn.functional.cross_entropy(logits, DATA.labels["validation"]).item()
    assert outcome.last["validation_loss"] == pytest.approx(expected, rel=1e-4)
    assert outcome.last["validation_loss"] != pytest.approx(outcome.last["raw_validation_loss"])


def test_interrupted_run_with_recalibration_ends_with_the_same_bits(fitted, tmp_path):
    config = settings(recalibrate=40)
    resumed = in_pieces(lambda on_epoch: fit(config, build, DATA, tmp_path / "a", on_epoch), 4)
    assert not differences(fitted[1], resumed)
