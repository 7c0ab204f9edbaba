"""The first steps of Adam and AdaMax on made-up images: against the loop, torch and arithmetic."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import tiny_training
import torch
from checks import Published
from tiny_training import ignore

from pixgrad import nets
from pixgrad.experiments import adam_vs_adamax, first_steps

EXPERIMENT = first_steps.EXPERIMENT
STEPS = first_steps.Config(optimiser="adam", network="resnet-8", steps=8, batch_size=64)


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(first_steps.FirstSteps, "load", lambda self, source: tiny_training.images())
    settings = {"network": "resnet-8", "batch_size": 16}
    patch.setattr(first_steps, "PRESETS", {"report": (8, 4, settings)})


class TestPublished(Published):
    experiment = EXPERIMENT

    def test_tables(self, found):
        steps, cost = found.tables["steps"], found.tables["cost"]
        assert len(steps) == 2 * 2 * 8 * 8  # methods, kinds, steps, layers
        parameters = sum(p.numel() for p in nets.build("resnet-8", 4).parameters())
        assert cost[["optimiser", "kind"]].values.tolist() == [
            ["adam", "torch"],
            ["adamax", "torch"],
            ["adam", "own"],
            ["adamax", "own"],
        ]
        assert cost["state_bytes"].between(8 * parameters, 8 * parameters + 400).all()  # 2 float32
        for part in ("forward", "backward", "step"):
            low, middle, high = (cost[f"{part}_ms{end}"] for end in ("_low", "", "_high"))
            assert ((low > 0) & (low <= middle) & (middle <= high)).all()

    def test_distributions_of_the_steps(self, found):
        """Their root mean square, from the middles of the bins, is that of the table."""
        arrays, steps = found.arrays, found.tables["steps"].astype({"step_rms": float})
        assert arrays["histogram_steps"].tolist() == [1, 2, 5]
        edges = arrays["histogram_edges"]
        for optimiser in first_steps.OPTIMISERS:
            shares = arrays[f"histogram.{optimiser}"].astype(float)
            assert shares.shape == (3, 8, len(edges) - 1)
            np.testing.assert_allclose(shares.sum(axis=2), 1, atol=2e-3)
            mine = steps[(steps["optimiser"] == optimiser) & (steps["kind"] == "torch")]
            rms = mine.pivot(index="step", columns="layer", values="step_rms").loc[[1, 2, 5]]
            squares = (shares * 10.0 ** (edges[:-1] + edges[1:])).sum(axis=2)
            np.testing.assert_allclose(np.sqrt(squares), rms, rtol=0.15)  # bins are a quarter wide

    def test_own_and_torch_losses_agree(self, found):
        own = found.tables["own"]
        assert own.groupby("optimiser").size().to_dict() == {"adam": 4, "adamax": 4}
        np.testing.assert_allclose(own["own_loss"], own["torch_loss"], rtol=1e-3)


@pytest.mark.parametrize("optimiser", first_steps.OPTIMISERS)
def test_own_optimisers_drive_the_network_as_torchs(optimiser):
    """Weights after each of four steps; only the order of float32 operations differs."""
    data = tiny_training.images()
    batch = data.normalised(data.images["train"][:16]), data.labels["train"][:16]
    pairs = []
    rate = first_steps.OPTIMISERS[optimiser]
    for make in (
        lambda net: first_steps.TORCH[optimiser](net.parameters(), rate),
        lambda net: first_steps.OwnOptimiser(first_steps.OWN[optimiser], net.parameters(), lr=rate),
    ):
        net = nets.build("resnet-8", 4).to(memory_format=torch.channels_last)
        pairs.append((net, make(net)))
    start = torch.cat([p.detach().flatten() for p in pairs[0][0].parameters()])
    for _ in range(4):
        weights = []
        for net, method in pairs:
            net.zero_grad()
            torch.nn.functional.cross_entropy(net(batch[0]), batch[1]).backward()
            method.step()
            weights.append(torch.cat([p.detach().flatten() for p in net.parameters()]))
        moved = (weights[0] - start).norm()
        assert (weights[0] - weights[1]).norm() < 1e-3 * moved
    assert moved > 0.1


def test_spike_changes_nothing_before_it_and_the_scales_after():
    data = tiny_training.images()
    for optimiser, least in (("adam", 30), ("adamax", 1)):
        config = replace(STEPS, optimiser=optimiser)
        calm = first_steps._measure_steps(config, data)
        hit = first_steps._measure_steps(replace(config, spike_at=4), data)
        assert hit.losses[:4] == calm.losses[:4]
        assert hit.losses[4:] != calm.losses[4:]
        ratio = np.array(hit.layers)[:, 3] / np.array(calm.layers)[:, 3]
        ratio = ratio.reshape(8, 8)  # steps, layers
        assert np.all(ratio[:3] == 1)
        # √v̂: root mean square of 4 gradients, one of them 100 times larger: at most 100.
        assert np.all((ratio[3] > least) & (ratio[3] <= 100))


def test_first_step_of_both_is_a_full_one():
    """m̂ = g and scale = |g| at t = 1: every weight with a gradient moves by α."""
    data = tiny_training.images()
    for optimiser in first_steps.OPTIMISERS:
        measured = first_steps._measure_steps(replace(STEPS, optimiser=optimiser, steps=1), data)
        rms = np.array(measured.layers)[:, 2]
        np.testing.assert_allclose(rms, 1, rtol=1e-2)  # ε and weights without a gradient


@pytest.mark.parametrize("optimiser", first_steps.OPTIMISERS)
def test_measured_steps_are_those_of_the_loop(tmp_path, optimiser):
    """The same weights, batches and order of operations: the same losses to the bit."""
    data = tiny_training.images()
    config = replace(STEPS, optimiser=optimiser, batch_size=16, steps=6)
    measured = EXPERIMENT.measure(config, data)
    settings = adam_vs_adamax.Config(
        stage="main",
        epochs=1,
        lr=first_steps.OPTIMISERS[optimiser],
        schedule="constant",
        weight_decay=0.0,
        **{name: getattr(config, name) for name in ("optimiser", "network", "batch_size", "seed")},
    )
    path = tmp_path / "a.checkpoint"
    trained = adam_vs_adamax.EXPERIMENT.train(settings, data, path, ignore, None)
    assert measured.losses == trained.first_losses[:6]


def test_finished_measurement_is_not_repeated(tmp_path, monkeypatch):
    data, path = tiny_training.images(), tmp_path / "a.checkpoint"
    first = EXPERIMENT.train(STEPS, data, path, ignore, None)
    assert first.wall_s > 0 and first.cpu_s > 0
    monkeypatch.setattr(first_steps, "_measure_steps", None)
    assert EXPERIMENT.train(STEPS, data, path, ignore, None) == first


def test_replayed_losses_of_few_steps_are_those_of_many():
    data, config = tiny_training.images(), replace(STEPS, spike_at=3)
    whole = EXPERIMENT.measure(config, data)
    assert EXPERIMENT.first_losses(config, data, 5) == whole.losses[:5]


def test_plan_of_the_report():
    """Each method as it is, with one huge gradient in the middle, and the project's own."""
    plan = EXPERIMENT.plan("report", None)
    assert [(one.name, one.steps, one.spike_at) for one in plan] == [
        ("adam-torch", 40, None),
        ("adamax-torch", 40, None),
        ("adam-spike", 40, 20),
        ("adamax-spike", 40, 20),
        ("adam-own", 10, None),
        ("adamax-own", 10, None),
    ]
    same = {"optimiser": "", "steps": 0, "spike_at": None, "own": False}
    assert len({tuple((asdict(one) | same).items()) for one in plan}) == 1
