"""Techniques against overfitting on made-up images: what each changes, transfer, calibration."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tiny_training
import torch
from checks import Trained, without_test

from pixgrad.experiments import overfitting
from pixgrad.experiments.running.training import Arm, Budget
from pixgrad.training import loop
from pixgrad.training.run import Outcome

EXPERIMENT = overfitting.EXPERIMENT
TINY = {"batch_size": 16, "train_images": None, "validation_images": None, "epochs_before": 1}
SHOWN = ("none", "dropout 0.5", "all changes", "tuned transfer")


def task() -> overfitting.Task:
    return overfitting.Task(tiny_training.images(), tiny_training.images(seed=1))


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Four techniques; the largest rate diverges."""
    patch.setattr(overfitting.Overfitting, "load", lambda self, source: task())
    arms = [
        Arm(
            overfitting.BASE | {"technique": name} | overfitting.TECHNIQUES[name] | TINY,
            (1e-4, 0.03, 1e20),
            Budget(2, 1, seeds=2),
        )
        for name in SHOWN
    ]
    patch.setattr(overfitting.Overfitting, "presets", {"report": arms})
    overfitting.pretrained.cache_clear()


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, ["technique"]

    def without_test(self, data: overfitting.Task) -> overfitting.Task:
        return overfitting.Task(without_test(data.task), data.before)

    def test_calibration_from_the_kept_curves(self, found):
        """The error is the weighed gap of the curve, and the curve's hits are the right answers."""
        for run in found.record.runs:
            if run.config["stage"] == "sweep":
                continue
            share, sure, right = found.arrays[f"reliability.{run.name}"].astype(float)
            gap = (share * abs(sure - right)).sum()
            assert gap == pytest.approx(run.metrics["test_calibration_error"], abs=1e-6)
            assert share.sum() == pytest.approx(1)
            assert share @ right == pytest.approx(run.metrics["test_accuracy"])

    def test_runs_of_a_seed_share_their_initial_weights(self, found):
        """Dropout and changes of the images leave them; transfer gives others."""
        weights = {}
        for run in found.record.runs:
            if run.config["stage"] == "main" and run.seed == 1:
                config = overfitting.Config(**run.config)
                _, build = EXPERIMENT._with_weights(config, task())
                net = build(torch.Generator().manual_seed(1))
                weights[config.technique] = net.features[0].weight
        first = weights["none"]
        for name, of in weights.items():
            assert torch.equal(of, first) == ("transfer" not in name), name


def test_frozen_convolutions_stay_and_tuned_ones_move(tmp_path):
    before = overfitting.pretrained(task(), 1).features[0].weight.detach()
    for start in ("frozen", "tuned"):
        config = overfitting.Config(
            stage="main",
            seed=1,
            epochs=1,
            lr=0.03,
            **overfitting.BASE | TINY | {"technique": start, "start": start},
        )
        outcome = EXPERIMENT.train(config, task(), tmp_path / start, tiny_training.ignore, None)
        weight = outcome.net.features[0].weight.detach()
        assert torch.equal(weight, before) == (start == "frozen")
        assert not torch.equal(outcome.net.hidden.weight, torch.zeros(()))


def test_transferred_network_is_the_same_for_every_copy_of_the_data():
    overfitting.pretrained.cache_clear()
    one, two = overfitting.pretrained(task(), 1), overfitting.pretrained(task(), 1)
    assert one is two
    other = overfitting.Task(tiny_training.images(seed=3), tiny_training.images(seed=1))
    again = overfitting.pretrained(other, 1)
    assert again is not one
    assert torch.equal(one.fc.weight, again.fc.weight)  # it never saw the task


def test_plan_of_the_report_is_that_of_the_protocol():
    plan = EXPERIMENT.plan("report", None)
    assert set(Counter(one.technique for one in plan).values()) == {8}  # four rates, two seeds
    assert {one.train_images for one in plan} == {1000}
    for one in plan:
        own = overfitting.TECHNIQUES[one.technique]
        plain = replace(one, **{name: getattr(plan[0], name) for name in own})
        assert replace(plain, technique="", lr=0.0, seed=0, epochs=0) == replace(
            plan[0], technique="", lr=0.0, seed=0, epochs=0
        )
    swept = [Outcome(one, None, "done", history=[{"validation_loss": one.lr}]) for one in plan]
    main = EXPERIMENT.follow_up("report", None, swept)
    assert set(Counter(one.technique for one in main).values()) == {5}
    assert {one.technique for one in main if one.patience} == {"early stopping"}
    steps = {one.technique: one.epochs / one.batch_size for one in main}
    assert steps[overfitting.LONG] == steps["none"] == 4 * steps["batch 128"]
    assert {one.recalibrate for one in main if one.batch_norm} == {1000}


def test_early_stopping_keeps_the_best_weights(tmp_path):
    """What is tested are the weights of the epoch with the smallest validation loss."""
    config = overfitting.Config(
        stage="main",
        seed=1,
        epochs=12,
        lr=0.1,
        **overfitting.BASE | TINY | {"technique": "early stopping", "patience": 2},
    )
    data = task()
    data.task.labels["validation"] = data.task.labels["validation"].flip(0)  # learning hurts
    outcome = EXPERIMENT.train(config, data, tmp_path / "a", tiny_training.ignore, None)
    losses = [row["validation_loss"] for row in outcome.history]
    assert len(losses) == int(np.argmin(losses)) + 3 < 12
    assert outcome.last["validation_loss"] == min(losses)
    logits = loop.predict(outcome.net, data.task, data.task.images["validation"])
    loss = torch.nn.functional.cross_entropy(logits, data.task.labels["validation"]).item()
    assert loss == pytest.approx(min(losses), rel=1e-5)
