"""The ablation on made-up images: its networks, last activations, ensembles, superclasses."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import tiny_training
import torch
from checks import Trained, without_test

from pixgrad import nets
from pixgrad.experiments import ablation
from pixgrad.experiments.running.training import Arm, Budget
from pixgrad.experiments.running.training import Tested as Run
from pixgrad.training import losses
from pixgrad.training.run import Outcome

EXPERIMENT = ablation.EXPERIMENT
TINY = {"batch_size": 16, "train_images": None, "validation_images": None}
FAMILIES = (1, 0, 0, 1)
SHOWN = {
    "cifar10": (ablation.BEFORE, ablation.AFTER, "last sigmoid"),
    "cifar100": ("base", "two levels"),
}


def sets() -> ablation.Sets:
    return ablation.Sets(
        {task: tiny_training.images(seed=seed) for seed, task in enumerate(ablation.TASKS)}
    )


def settings(task: str, change: str) -> dict:
    own = (ablation.CIFAR10 | ablation.ADVICE | ablation.TWO_LEVELS)[change]
    return ablation.BASE | {"task": task, "change": change} | own | TINY


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Some changes; the largest rate diverges."""
    patch.setattr(ablation.Ablation, "load", lambda self, source: sets())
    patch.setattr(ablation, "superclasses", lambda names: FAMILIES)
    arms = [
        Arm(
            settings(task, change),
            (1e-4, 0.03, 1e20),
            Budget(2, 1, seeds=3 if change == ablation.AFTER else 2),
        )
        for task, changes in SHOWN.items()
        for change in changes
    ]
    patch.setattr(ablation.Ablation, "presets", {"report": arms})


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, ["task", "change"]

    def labels(self, found, run: str) -> np.ndarray:
        return found.arrays[f"labels.{run.partition(' ')[0]}"]

    def without_test(self, data: ablation.Sets) -> ablation.Sets:
        return ablation.Sets({task: without_test(images) for task, images in data.of.items()})

    def test_scores_of_the_test_images_are_those_of_scikit_learn(self, found):
        super().test_scores_of_the_test_images_are_those_of_scikit_learn(found)
        assert all(len(found.arrays[f"labels.{task}"]) == 32 for task in ablation.TASKS)

    def test_an_ensemble_is_of_three_runs(self, found):
        [row] = found.tables["ensembles"].to_dict("records")
        summary = found.tables["summary"]
        mine = summary[summary["change"] == ablation.AFTER]
        assert row["seed"] == 1
        assert row["alone_loss"] == pytest.approx(mine["test_loss"].mean())
        assert row["loss"] <= row["alone_loss"] + 1e-6  # -ln is convex
        assert row["accuracy"] * 32 == pytest.approx(round(row["accuracy"] * 32))

    def test_superclasses_are_told_at_least_as_well_as_classes(self, found):
        table = found.tables["superclasses"].set_index(["change", "seed"])
        summary = found.tables["summary"].set_index(["task", "change", "seed"]).loc["cifar100"]
        assert len(table) == 4
        both = table.join(summary)
        assert (both["known_superclass_accuracy"] >= both["test_accuracy"] - 1e-6).all()


def test_networks_are_those_of_their_settings():
    data = sets().of["cifar10"]
    for change, uses in ((ablation.BEFORE, torch.nn.ReLU), ("kernel 1", torch.nn.Tanh)):
        config = ablation.Config(
            stage="main", seed=1, epochs=1, lr=0.1, **settings("mnist", change)
        )
        net = EXPERIMENT.build(config, data, torch.Generator().manual_seed(1))
        assert sum(isinstance(module, uses) for module in net.modules()) == 4
        assert {of.p for of in net.modules() if type(of).__name__ == "Dropout"} == {config.dropout}
        assert net.features[0].kernel_size == (config.first_kernel,) * 2
        assert config.arm == f"mnist {change}"


def test_ensemble_and_superclasses_by_hand():
    """Three networks and two images: mean probabilities, and sums of those of a family."""
    images = replace(tiny_training.images(), labels={"test": torch.tensor([0, 1])})
    config = ablation.Config(stage="main", seed=1, epochs=1, lr=0.1, **settings("cifar100", "base"))
    chances = [
        [[0.5, 0.4, 0.05, 0.05], [0.3, 0.25, 0.2, 0.25]],
        [[0.1, 0.8, 0.05, 0.05], [0.6, 0.1, 0.2, 0.1]],
        [[0.8, 0.1, 0.05, 0.05], [0.4, 0.5, 0.05, 0.05]],
    ]
    metrics = {f"test_{score}": 0.5 for score in ("accuracy", "loss", "calibration_error")}
    tested = [
        Run(Outcome(replace(config, seed=seed)), images, torch.tensor(of).log(), metrics)
        for seed, of in enumerate(chances, start=1)
    ]
    [row] = ablation.ensembles(tested).to_dict("records")
    # Means: 0.467, 0.433 of the first image, right; 0.433, 0.283 of the second, wrong.
    assert row["accuracy"] == 0.5
    assert row["loss"] == pytest.approx(-np.log([1.4 / 3, 0.85 / 3]).mean())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation, "superclasses", lambda names: FAMILIES)
        told = ablation.superclass_answers(tested)
    # Classes 0 and 3 are one family: its sums are 0.55 and 0.55, 0.15 and 0.7, 0.85 and 0.45.
    assert told["superclass_accuracy"].tolist() == [0.5, 0, 1]
    assert told["known_superclass_accuracy"].tolist() == [1, 0.5, 1]


def test_plan_of_the_report_is_that_of_the_protocol():
    plan = EXPERIMENT.plan("report", None)
    assert set(Counter(one.arm for one in plan).values()) == {8}  # four rates, two seeds
    assert Counter(one.task for one in plan) == {"cifar10": 128, "cifar100": 48, "mnist": 40}
    swept = [Outcome(one, None, "done", history=[{"validation_loss": one.lr}]) for one in plan]
    main = EXPERIMENT.follow_up("report", None, swept)
    seeds = Counter(one.arm for one in main)
    assert seeds.pop(f"cifar10 {ablation.AFTER}") == 15
    assert set(seeds.values()) == {5}
    base = {one.task: one.epochs for one in main if one.change in ("base", ablation.BEFORE)}
    longer = {one.task: one.epochs for one in main if one.change == "more epochs"}
    assert longer == {task: 3 * base[task] for task in longer}
    assert {one.last for one in main} == set(losses.LOSSES)


def test_more_channels_cost_as_much_as_the_ensemble():
    """Multiply-adds of the convolutions and linear layers, counted from the shapes."""

    def cost(channels: int) -> int:
        net, total = nets.build("small-cnn", 10, channels=channels), 0

        def count(module, given, out):
            nonlocal total
            total += module.weight.numel() * out[0, 0].numel()

        for _, layer in nets.weighted_layers(net):
            layer.register_forward_hook(count)
        net(torch.zeros(1, 3, 32, 32))
        return total

    wide = ablation.CIFAR10["more channels"]["channels"]
    assert cost(wide) == pytest.approx(ablation.ENSEMBLE * cost(16), rel=0.1)
