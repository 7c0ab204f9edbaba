"""Adam against AdaMax on made-up images: tables against scikit-learn and SciPy, resuming."""

from __future__ import annotations

from dataclasses import replace
from urllib.error import URLError

import numpy as np
import pytest
import tiny_training
import torch
from checks import Trained
from scipy import stats
from sklearn import metrics
from tiny_training import ignore, in_pieces

from pixgrad.errors import PixgradError
from pixgrad.experiments import adam_vs_adamax as ava
from pixgrad.experiments.running.training import Budget
from pixgrad.training import loop

EXPERIMENT = ava.EXPERIMENT
NAMES = tiny_training.images().names
TRAINING = ava.Config(
    stage="main",
    network="resnet-8",
    optimiser="adamax",
    seed=1,
    epochs=2,
    lr=3e-3,
    batch_size=16,
    recalibrate=40,
)


def shrink(patch: pytest.MonkeyPatch) -> None:
    """The largest learning rate diverges."""
    patch.setattr(ava.AdamVsAdaMax, "load", lambda self, source: tiny_training.images())
    settings = {"batch_size": 16, "network": "resnet-8", "recalibrate": 60}
    budget = Budget(2, 1, seeds=3, sweep_seeds=2)
    arms = ava._methods(settings, budget, rates=(1e-4, 3e-3, 1e20))
    patch.setattr(ava.AdamVsAdaMax, "presets", {"report": arms})
    patch.setattr(ava, "RESAMPLES", 500)


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, ["optimiser"]

    def test_both_methods_begin_alike(self, found):
        main = [run for run in found.record.runs if run.config["stage"] == "main"]
        starts = {run.seed: run.first_losses[0] for run in main}
        assert len(main) == 6
        assert all(run.first_losses[0] == starts[run.seed] for run in main)
        assert len(set(starts.values())) == 3

    def test_classes_and_confusion_are_those_of_scikit_learn(self, found):
        labels = found.arrays["labels"]
        for optimiser in ava.OPTIMISERS:
            answers = [
                found.arrays[f"probability.{optimiser}-{seed}"].argmax(axis=1) for seed in (1, 2, 3)
            ]
            confusion = sum(metrics.confusion_matrix(labels, a, labels=range(4)) for a in answers)
            np.testing.assert_array_equal(found.arrays[f"confusion.{optimiser}"], confusion)
            classes = found.tables["classes"]
            mine = classes[classes["optimiser"] == optimiser]
            scores = [metrics.f1_score(labels, a, average=None, zero_division=0) for a in answers]
            np.testing.assert_allclose(mine["f1"], np.mean(scores, axis=0))
            assert mine["class"].tolist() == list(NAMES)
            assert (mine["low"] <= mine["f1"]).all()
            assert (mine["f1"] <= mine["high"]).all()

    def test_difference_over_seeds_is_the_paired_t_test(self, found):
        table, summary = found.tables["comparison"], found.tables["summary"]
        for metric in ("accuracy", "macro_f1"):
            by_seed = summary.pivot(index="seed", columns="optimiser", values=f"test_{metric}")
            expected = stats.ttest_rel(by_seed["adam"], by_seed["adamax"]).confidence_interval()
            row = _row(table, metric, "difference", "seeds")
            assert row["estimate"] == pytest.approx((by_seed["adam"] - by_seed["adamax"]).mean())
            assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))
            assert row["detectable"] > row["high"] - row["estimate"]
            images = {
                of: _row(table, metric, of, "images") for of in (*ava.OPTIMISERS, "difference")
            }
            for optimiser in ava.OPTIMISERS:
                assert images[optimiser]["estimate"] == pytest.approx(by_seed[optimiser].mean())
            assert images["difference"]["estimate"] == pytest.approx(row["estimate"])

    def test_published_arrays_and_scores(self, found):
        assert found.arrays["example_images"].shape == (16, 8, 8, 3)
        assert found.arrays["names"].tolist() == list(NAMES)
        scores = ("loss", "accuracy", "macro_f1")
        columns = [
            f"{raw}{part}_{score}"
            for raw in ("raw_", "")
            for part in ("train", "validation")
            for score in scores
        ]
        epochs = found.tables["epochs"]
        assert epochs.columns[-len(columns) :].tolist() == columns
        assert not epochs[columns].isna().any(axis=None)
        assert len(epochs) == 8 * 1 + 6 * 2


def _row(table, metric: str, of: str, over: str):
    chosen = (table["metric"] == metric) & (table["of"] == of) & (table["over"] == over)
    (row,) = table[chosen].to_dict("records")
    return row


@pytest.mark.parametrize("preset", EXPERIMENT.presets)
def test_both_methods_get_the_same_budget(preset):
    plan = EXPERIMENT.plan(preset, None)
    outcomes = [
        loop.Outcome(one, None, "done", history=[{"validation_loss": one.lr}]) for one in plan
    ]
    for configs in (plan, EXPERIMENT.follow_up(preset, None, outcomes)):
        adam, adamax = (
            [one for one in configs if one.optimiser == optimiser] for optimiser in ava.OPTIMISERS
        )
        assert [replace(one, optimiser="adamax") for one in adam] == adamax
        assert {one.weight_decay for one in adam} == {0.0}
    if preset != "smoke":
        assert min(one.lr for one in plan) <= 1e-4 and max(one.lr for one in plan) >= 1e-2


def test_chance_is_the_mean_over_shuffled_answers():
    rng = np.random.default_rng(0)
    labels, answers = np.repeat([0, 1, 2], [50, 30, 20]), rng.integers(0, 2, (1, 100))
    shuffled = [
        metrics.f1_score(labels, rng.permutation(answers[0]), average="macro", zero_division=0)
        for _ in range(100)
    ]
    error = 3 * np.std(shuffled) / 10
    assert ava.chance_f1(labels, answers, 3) == pytest.approx(np.mean(shuffled), abs=error)


def test_macro_f1_by_epoch_is_that_of_the_network(tmp_path):
    data = tiny_training.images()
    path = tmp_path / "a.checkpoint"
    outcome = EXPERIMENT.train(replace(TRAINING, recalibrate=0), data, path, ignore, None)
    chosen = torch.linspace(0, 95, 32).round().long()
    for part, rows in (("train", chosen), ("validation", torch.arange(32))):
        images, labels = data.images[part][rows], data.labels[part][rows]
        answers = loop.predict(outcome.net, data, images).argmax(1)
        macro = metrics.f1_score(labels, answers, average="macro", zero_division=0)
        assert outcome.last[f"{part}_macro_f1"] == pytest.approx(macro)
        accuracy = (answers == labels).float().mean().item()
        assert outcome.last[f"{part}_accuracy"] == pytest.approx(accuracy)


def test_interrupted_training_ends_with_the_same_bits(tmp_path):
    data, config = tiny_training.images(), replace(TRAINING, epochs=3)

    def train(on_epoch, name: str = "broken"):
        return EXPERIMENT.train(config, data, tmp_path / name, on_epoch, None)

    whole = train(ignore, "whole")
    assert [row["epoch"] for row in whole.history] == [1, 2, 3]
    assert not tiny_training.differences(whole, in_pieces(train, 2))


def test_no_result_without_one_of_the_methods(tmp_path):
    data = tiny_training.images()
    outcomes = [
        EXPERIMENT.train(config, data, tmp_path / config.name, ignore, None)
        for config in (replace(TRAINING, lr=1e20), replace(TRAINING, optimiser="adam"))
    ]
    with pytest.raises(PixgradError, match="разошлись все прогоны adamax"):
        EXPERIMENT.findings(outcomes, data)


def test_pretrained_weights_are_torchvisions(monkeypatch):
    models = pytest.importorskip("torchvision").models
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = models.resnet18(num_classes=1000).state_dict()
    monkeypatch.setattr(models.ResNet18_Weights, "get_state_dict", lambda *_, **__: theirs)
    config = replace(TRAINING, network="resnet-18", pretrained=True)
    net = EXPERIMENT.build(config, tiny_training.images(), torch.Generator().manual_seed(1))
    ours = net.state_dict()
    assert ours["fc.weight"].shape == (4, 512)
    assert all(torch.equal(ours[n], theirs[n]) for n in theirs if not n.startswith("fc."))

    def refuse(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setattr(models.ResNet18_Weights, "get_state_dict", refuse)
    with pytest.raises(PixgradError, match=r"no route to host.*--preset paper"):
        EXPERIMENT.build(config, tiny_training.images(), torch.Generator())
