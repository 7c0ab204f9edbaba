"""Published networks beside untrained ones: batches that do not overlap, numbers against torch."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_training
import torch
from torch.nn.functional import cross_entropy

from pixgrad import nets
from pixgrad.experiments import published

EXPERIMENT = published.EXPERIMENT
SMALL = {"network": "resnet-8", "batch_size": 16, "path_images": 4}


def weights() -> torch.nn.Module:
    """In place of the published ones."""
    return nets.build("resnet-8", 4, generator=torch.Generator().manual_seed(7))


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> list[published.Answered]:
    """Trained and not, of two batches each."""
    monkeypatch.setattr(published.cifar_weights, "load", lambda name: weights().eval())
    monkeypatch.setattr(published, "ARCS", 1)
    monkeypatch.setattr(published, "PATH_SAMPLES", 1)
    return [
        EXPERIMENT.measure(
            published.Config(trained=trained, seed=seed, **SMALL), tiny_training.images()
        )
        for trained in (True, False)
        for seed in (1, 2)
    ]


def test_losses_answers_and_gradients_against_torch(outcomes):
    """Each batch is a part of the test images in one order, drawn once, normalised as published."""
    data = tiny_training.images()
    order = torch.randperm(32, generator=torch.Generator().manual_seed(0))
    found = EXPERIMENT.findings(outcomes, data)
    for one in outcomes:
        config = one.config
        chosen = order[16 * (config.seed - 1) : 16 * config.seed]
        x, y = data.images["test"][chosen].double(), data.labels["test"][chosen]
        if config.trained:
            net, mean = weights(), 255 * torch.tensor(published.cifar_weights.MEAN)
            std = 255 * torch.tensor(published.cifar_weights.STD)
        else:
            generator = torch.Generator().manual_seed(config.seed)
            net = nets.build("resnet-8", 4, init="he", generator=generator)
            mean, std = data.mean, data.std
        net = net.double().train()
        logits = net((x - mean.double()[:, None, None]) / std.double()[:, None, None])
        loss = cross_entropy(logits, y)
        metrics = found.metrics[config.name]
        assert one.first_losses == [pytest.approx(loss.item(), rel=1e-4)]
        assert metrics["loss"] == one.first_losses[0]
        assert metrics["accuracy"] == pytest.approx((logits.argmax(1) == y).double().mean().item())
        layers = [layer.weight for _, layer in nets.weighted_layers(net)]
        expected = [of.norm().item() for of in torch.autograd.grad(loss, layers)]
        table = found.tables["gradients"]
        mine = table[(table["trained"] == config.trained) & (table["seed"] == config.seed)]
        np.testing.assert_allclose(mine["grad_norm"], expected, rtol=1e-3)
        logs = np.log10(expected)
        ratio = logs[:2].mean() - logs[5:].mean()
        assert metrics["log10_early_to_late"] == pytest.approx(ratio, abs=1e-3)


def test_tables_of_paths_and_correlation(outcomes):
    found = EXPERIMENT.findings(outcomes, tiny_training.images())
    keys = ["network", "trained", "seed"]
    for _, rows in found.tables["paths"].groupby(keys):
        assert rows["blocks"].tolist() == [0, 1, 2, 3]
        assert rows["share"].sum() == pytest.approx(1)
        # One path of no block and one of all: nothing to sum over, nothing to draw.
        for end in (0, 3):
            assert rows["sum"].iloc[end] == pytest.approx(rows["norm"].iloc[end], rel=1e-4)
    correlation = found.tables["correlation"]
    assert len(correlation.groupby(keys)) == 4
    assert correlation.loc[correlation["angle"] < 2e-4, "correlation"].min() > 0.9


def test_plan_of_the_report():
    plan = EXPERIMENT.plan("report", None)
    assert len(plan) == 20 * 4
    for network in ("resnet-20", "resnet-56"):
        for trained in (True, False):
            mine = [one for one in plan if (one.network, one.trained) == (network, trained)]
            assert [one.seed for one in mine] == list(range(1, 21))
    # Batches do not overlap, and the test part of CIFAR-10 has images enough.
    assert 20 * plan[0].batch_size <= 10_000
    assert {one.seed for one in EXPERIMENT.plan("report", 3)} == {1, 2, 3}
