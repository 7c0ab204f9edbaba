"""The choice of a rate, and what every training hands over to the loop."""

from __future__ import annotations

import math
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_experiment import EXPERIMENT, SETTINGS
from tiny_training import ignore, images

from pixgrad.errors import PixgradError
from pixgrad.experiments.running.training import Arm, Budget, best_rate, examples
from pixgrad.training.run import Outcome


def short(lr: float, *losses: float, seed: int = 101, status: str = "done") -> Outcome:
    """A short run with these validation losses by epoch; nothing else counts."""
    history = [
        {"epoch": epoch, "validation_loss": loss, "train_loss": lr, "validation_accuracy": -loss}
        for epoch, loss in enumerate(losses, start=1)
    ]
    return Outcome(SimpleNamespace(lr=lr, seed=seed), None, status, history=history)


@pytest.mark.parametrize(
    ("runs", "rate"),
    [
        # The last epoch decides.
        ([short(0.1, 2.0, 1.5), short(0.03, 1.0, 1.2), short(0.01, 0.5, 1.3)], 0.03),
        # The mean over the seeds: 1.0 against 1.1 and 1.2; neither the best nor the worst of them.
        (
            [
                *(short(0.1, loss, seed=seed) for seed, loss in enumerate((0.1, 2.3))),
                *(short(0.03, loss, seed=seed) for seed, loss in enumerate((0.8, 1.2))),
                *(short(0.01, loss, seed=seed) for seed, loss in enumerate((1.1, 1.1))),
            ],
            0.03,
        ),
        # Of equal ones the smaller.
        ([short(0.1, 1.0), short(0.03, 1.0), short(0.3, 1.0)], 0.03),
        # One diverged seed, however well it began, and losses that are no numbers: out.
        ([short(0.1, 0.1), short(0.1, 0.1, status="diverged"), short(0.01, 5.0)], 0.01),
        ([short(0.1, status="diverged"), short(0.3, 5.0)], 0.3),
        ([short(0.01, math.nan), short(0.1, 7.0)], 0.1),
        ([short(0.01, 1.0), short(0.01, math.nan), short(0.1, 7.0)], 0.1),
        ([short(0.01, math.inf), short(0.1, 7.0)], 0.1),
        # None is left.
        ([short(0.1, status="diverged"), short(0.01, status="diverged")], 0.01),
        ([short(0.1, math.nan), short(0.01, math.inf), short(0.03, status="diverged")], 0.01),
    ],
)
def test_best_rate_in_any_order(runs, rate):
    for some in permutations(runs) if len(runs) < 4 else (runs, runs[::-1]):
        assert best_rate(some) == rate


def test_rates_are_chosen_arm_by_arm_and_seeds_come_in_turns():
    """Two arms with budgets of their own; main runs alone get what is in ``main``."""
    arms = [
        Arm(SETTINGS, (0.1, 0.01), Budget(5, 2, seeds=3, sweep_seeds=2), {"probe_every": 7}),
        Arm(SETTINGS | {"network": "plain-8"}, (0.3, 0.03), Budget(4, 1, seeds=1)),
    ]
    tiny = type(EXPERIMENT)()
    tiny.presets = {"report": arms}
    plan = tiny.plan("report", None)
    assert [(one.network, one.lr, one.seed, one.epochs) for one in plan] == [
        *(("resnet-8", lr, seed, 2) for lr in (0.1, 0.01) for seed in (101, 102)),
        *(("plain-8", lr, 101, 1) for lr in (0.3, 0.03)),
    ]
    outcomes = [
        Outcome(one, None, "done", history=[{"validation_loss": abs(one.lr - 0.01)}])
        for one in plan
    ]
    later = tiny.follow_up("report", None, outcomes)
    assert [(one.name, one.lr, one.epochs, one.probe_every) for one in later] == [
        ("resnet-8-1", 0.01, 5, 7),
        ("plain-8-1", 0.03, 4, None),
        ("resnet-8-2", 0.01, 5, 7),
        ("resnet-8-3", 0.01, 5, 7),
    ]
    assert all(one.stage == "main" for one in later)
    assert [one.seed for one in tiny.plan("report", 1)] == [101] * 4
    assert [one.seed for one in tiny.follow_up("report", 2, outcomes)] == [1, 1, 2, 2]


def test_images_of_a_run_are_as_many_and_as_large_as_its_settings_say():
    limits = {"train_images": 40, "validation_images": 8, "side": 5}
    config = EXPERIMENT.config(stage="main", seed=1, epochs=1, lr=0.1, **SETTINGS | limits)
    mine = EXPERIMENT.images(config, images())
    sizes = {part: tuple(of.shape) for part, of in mine.images.items()}
    assert sizes == {"train": (40, 3, 5, 5), "validation": (8, 3, 5, 5), "test": (32, 3, 5, 5)}


def test_no_result_if_all_diverge(tmp_path):
    config = EXPERIMENT.config(stage="main", seed=1, epochs=1, lr=1e20, **SETTINGS)
    broken = EXPERIMENT.train(config, images(), tmp_path / "a.checkpoint", ignore, None)
    with pytest.raises(PixgradError, match=r"разошлись все прогоны; первый: resnet-8-1: функция"):
        EXPERIMENT.findings([broken], images())


def test_a_main_run_that_diverged_is_a_row_of_the_summary(tmp_path):
    settings = {"stage": "main", "epochs": 1, **SETTINGS}
    configs = [
        EXPERIMENT.config(seed=seed, lr=lr, **settings) for seed, lr in ((1, 1e20), (2, 0.05))
    ]
    found = EXPERIMENT.findings(
        [EXPERIMENT.train(one, images(), tmp_path / one.name, ignore, None) for one in configs],
        images(),
    )
    summary = found.tables["summary"]
    assert summary["status"].tolist() == ["diverged", "done"]
    assert summary["test_accuracy"].isna().tolist() == [True, False]
    assert set(found.metrics) == {"resnet-8-2"}
    assert found.tables["epochs"]["seed"].tolist() == [2]


def test_examples_are_spread_over_the_test_images():
    data = images(side=8)
    found = examples(data, 4, 96)
    assert found["example_index"].tolist() == [0, 10, 21, 31]
    expected = data.images["test"][[0, 10, 21, 31]].permute(0, 2, 3, 1)  # not enlarged
    np.testing.assert_array_equal(found["example_images"], expected)
    assert examples(images(channels=1), 4, 6)["example_images"].shape == (4, 6, 6)
    assert examples(data, 99, 8)["example_index"].tolist() == list(range(32))
    assert torch.equal(data.images["test"], images().images["test"])
