"""Batch normalisation by rate and activation: the plan, and one short run of it."""

from __future__ import annotations

from dataclasses import replace

import tiny_training

from pixgrad.experiments import normalisation

EXPERIMENT = normalisation.EXPERIMENT


def test_every_rate_is_tried_with_and_without_normalisation_by_three_seeds():
    plan = EXPERIMENT.plan("report", None)
    assert {(one.activation, one.batch_norm) for one in plan} == {
        (activation, norm) for activation in ("relu", "tanh", "sigmoid") for norm in (True, False)
    }
    assert len({one.lr for one in plan}) == 6
    assert len(plan) == 6 * 6 * 3
    assert len({one.name for one in plan}) == len(plan)
    assert {(one.network, one.init) for one in plan} == {("plain-8", "he")}


def test_runs_of_the_smallest_preset_learn(tmp_path):
    data = tiny_training.images()
    for config in EXPERIMENT.plan("smoke", 1):
        config = replace(config, train_images=96, validation_images=32, batch_size=16, epochs=3)
        path = tmp_path / f"{config.name}.checkpoint"
        outcome = EXPERIMENT.train(config, data, path, tiny_training.ignore, None)
        losses = [row["train_loss"] for row in outcome.history]
        assert losses[-1] < losses[0]
        assert any("bn1" in key for key in outcome.net.state_dict()) == config.batch_norm
