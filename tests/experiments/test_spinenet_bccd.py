"""Two backbones in one detector on made-up squares: tables, and what is compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch
from checks import Published
from test_detector import boxes_data

from pixgrad.experiments import spinenet_bccd as backbones
from pixgrad.experiments.running.training import Arm, Budget

EXPERIMENT = backbones.EXPERIMENT


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(backbones.SpinenetBccd, "load", lambda self, source: boxes_data(count=8, side=64))
    settings = backbones.SHARED | {"batch_size": 4, "recalibrate": 8}
    arms = [
        Arm(settings | {"network": network}, (0.001,), Budget(1, 1, seeds=1))
        for network in backbones.BACKBONES
    ]
    patch.setattr(backbones.SpinenetBccd, "presets", {"report": arms})


class TestPublished(Published):
    experiment = EXPERIMENT

    def test_every_network_has_its_runs(self, found):
        summary = found.tables["summary"]
        assert Counter(summary["network"]) == dict.fromkeys(backbones.BACKBONES, 1)
        assert (summary["status"] == "done").all()
        assert (summary.groupby("network")["parameters"].nunique() == 1).all()

    def test_scores_are_means_of_the_table_of_precision(self, found):
        precision = found.tables["precision"]
        for run in found.record.runs:
            if run.config["stage"] == "main":
                mine = precision[
                    (precision["network"] == run.config["network"])
                    & (precision["seed"] == run.seed)
                ]
                assert run.metrics["test_map"] == pytest.approx(mine["precision"].mean(), abs=1e-6)
                half = mine[mine["threshold"].between(0.49, 0.51)]["precision"].mean()
                assert run.metrics["test_map50"] == pytest.approx(half, abs=1e-6)


def test_both_get_the_same_head_and_default_boxes():
    data = boxes_data(count=2, side=64)
    heads = []
    for network in backbones.BACKBONES:
        config = backbones.Config(stage="main", seed=1, epochs=1, lr=0.1, network=network)
        net = EXPERIMENT.build(config, data, torch.Generator().manual_seed(1)).eval()
        with torch.no_grad():
            offsets, logits = net(torch.zeros(1, 3, 64, 64))
        heads.append(sum(weight.numel() for weight in net.head.parameters()))
        assert offsets.shape[:2] == logits.shape[:2]
        assert offsets.shape[1] == sum(4 * (64 // stride) ** 2 for stride in (8, 16, 32))
    assert heads[0] == heads[1]


def test_plan_of_the_report():
    """results/PROTOCOL.md: two networks, four rates, three seeds."""
    plan = EXPERIMENT.plan("report", None)
    assert Counter(one.network for one in plan) == dict.fromkeys(backbones.BACKBONES, 4)
    same = {replace(one, network="", lr=0.0) for one in plan}
    assert len(same) == 1  # they differ in nothing else
