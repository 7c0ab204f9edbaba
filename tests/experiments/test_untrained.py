"""Gradients before any training: the plan, and every number against torch."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tiny_training
import torch
from checks import Published, without_test

from pixgrad import nets
from pixgrad.experiments import untrained
from pixgrad.experiments.running.running import run

EXPERIMENT = untrained.EXPERIMENT
CELL = list(untrained.EXPERIMENT.keys)


def images():
    """Made-up images without a test part: the experiment must not ask for it."""
    return without_test(tiny_training.images())


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(untrained.Untrained, "load", lambda self, source: images())
    patch.setattr(untrained, "ARCS", 1)
    patch.setattr(untrained, "PATH_SAMPLES", 1)
    patch.setattr(untrained, "PRESETS", {"report": ((8,), 1)})


class TestPublished(Published):
    experiment = EXPERIMENT

    def test_gradients_against_torch(self, found):
        """Weights drawn again, and the gradient of each layer in float64."""
        data, table = images(), found.tables["start"]
        assert len(table) == 12 * 8  # kinds of networks x layers
        assert set(table["epoch"]) == {1}
        for skip, batch_norm, activation, init in (
            (True, True, "relu", "he"),
            (False, False, "sigmoid", "default"),
        ):
            options = {"batch_norm": batch_norm, "init": init, "activation": activation}
            generator = torch.Generator().manual_seed(1)
            net = nets.build("resnet-8" if skip else "plain-8", 4, generator=generator, **options)
            x = data.normalised(data.images["train"]).double()
            loss = torch.nn.functional.cross_entropy(net.double()(x), data.labels["train"])
            weights = [layer.weight for _, layer in nets.weighted_layers(net)]
            expected = [gradient.norm().item() for gradient in torch.autograd.grad(loss, weights)]
            config = untrained.Config(depth=8, skip=skip, seed=1, **options)
            mine = table[(table[CELL] == [getattr(config, name) for name in CELL]).all(axis=1)]
            assert mine["layer"].tolist() == list(range(1, 9))
            np.testing.assert_allclose(mine["grad_norm"], expected, rtol=1e-4)
            [recorded] = [run for run in found.record.runs if run.name == config.name]
            assert recorded.first_losses == [pytest.approx(loss.item(), rel=1e-5)]
            logs = np.log10(expected)  # layers 1, 2 of 8 and 6, 7, 8
            ratio = logs[:2].mean() - logs[5:].mean()
            assert recorded.metrics == {"log10_early_to_late": pytest.approx(ratio, abs=1e-4)}

    def test_what_is_measured_only_where_it_has_a_meaning(self, found):
        correlation, paths = found.tables["correlation"], found.tables["paths"]
        assert set(correlation["activation"]) == set(paths["activation"]) == {"relu"}
        assert len(correlation.groupby(CELL)) == 8
        assert correlation.loc[correlation["angle"] < 2e-4, "correlation"].min() > 0.9
        assert set(paths["skip"]) == {True}
        for _, rows in paths.groupby(CELL):  # three blocks
            assert rows[["blocks", "paths"]].to_numpy().tolist() == [[0, 1], [1, 3], [2, 3], [3, 1]]

    def test_finished_networks_are_read_and_not_measured_again(self, found, monkeypatch):
        monkeypatch.setattr(untrained.Untrained, "measure", None)
        _, record = run("untrained")
        assert [one.first_losses for one in record.runs] == [
            one.first_losses for one in found.record.runs
        ]


def test_zero_gradients_do_not_stop_the_summary():
    config = untrained.Config(
        depth=8, skip=False, batch_norm=False, init="he", activation="relu", seed=1
    )
    rows = [[1, 0, layer, 0.0 if layer < 3 else 1.0, *[1.0] * 6] for layer in range(1, 9)]
    assert untrained.early_to_late(untrained.Signals(config=config, probed=rows)) == -np.inf


def test_plan_of_the_report():
    configs = EXPERIMENT.plan("report", None)
    kinds = Counter(tuple(getattr(one, name) for name in CELL) for one in configs)
    # 4 depths x with and without skips x with and without normalisation x (relu x 2, sigmoid)
    assert len(kinds) == 4 * 2 * 2 * 3
    assert set(kinds.values()) == {5}
    residual, plain = (
        {replace(one, skip=True) for one in configs if one.skip == skip} for skip in (True, False)
    )
    assert residual == plain
    assert {one.seed for one in EXPERIMENT.plan("report", 2)} == {1, 2}
