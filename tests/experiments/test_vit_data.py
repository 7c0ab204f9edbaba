"""Data hunger on made-up images: plan, repeated images, shuffled patches, what is kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiny_training
import torch
from checks import Trained

from pixgrad import nets
from pixgrad.experiments import vit_data
from pixgrad.experiments.running.training import Arm, Budget
from pixgrad.nets.attention_maps import attention_maps, rollout

EXPERIMENT = vit_data.EXPERIMENT
KEYS = ["network", "optimiser", "train_images", "equal", "shuffled", "positions"]
SHARED = {"batch_size": 16, "shift": 1, "whole": 64, "test_images": 24, "warmup_epochs": 0.3}


def data():
    return tiny_training.images(side=32)


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Two shares and two variants of tiny networks; the largest rate diverges."""
    patch.setattr(vit_data.VitData, "load", lambda self, source: data())
    vit, cnn = (vit_data.NETWORKS[name][0] for name in (vit_data.VIT, vit_data.CNN))
    cells = [
        vit | {"train_images": 64},
        vit | {"train_images": 32},
        vit | {"train_images": 64, "positions": False},
        cnn
        | {"network": vit_data.SMALL_CNN, "recalibrate": 32, "shuffled": True}
        | {"train_images": 32, "equal": "epochs"},
    ]
    arms = [Arm(SHARED | cell, (1e-3, 1e20), Budget(1, 1, seeds=1)) for cell in cells]
    patch.setattr(vit_data.VitData, "presets", {"report": arms})


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, KEYS

    def test_equal_steps_and_equal_epochs(self, found):
        """64 images in batches of 16; of 32 as many steps, or half of them."""
        summary = found.tables["summary"]
        few = summary["train_images"] == 32
        assert set(summary[~few]["steps"]) == {4}
        assert summary[few].groupby("equal")["steps"].unique().map(list).to_dict() == {
            "steps": [4],
            "epochs": [2],
        }

    def test_test_part_has_its_limit(self, found):
        assert len(found.arrays["labels"]) == 24

    def test_positions_stay_away(self, found):
        paths = sorted(Path("runs/vit_data/report-cifar10").glob("vit-32px-*-?.checkpoint"))
        assert len(paths) == 3
        for path in paths:
            state = torch.load(path, weights_only=True)["net"]
            assert bool(state["positions"].any()) == ("nopositions" not in path.name)

    def test_kept_maps_are_those_of_the_first_transformer(self, found):
        arrays, given = found.arrays, data()
        path = Path("runs/vit_data/report-cifar10/vit-32px-adamw-64-steps-1.checkpoint")
        net = nets.build("vit-32px", 4)
        net.load_state_dict(torch.load(path, weights_only=True)["net"])
        x = torch.from_numpy(arrays["example_images"]).permute(0, 3, 1, 2)
        maps = attention_maps(net.eval(), given.normalised(x))
        np.testing.assert_allclose(arrays["example_attention"], maps[:, :, :, 0], atol=1e-3)
        np.testing.assert_allclose(arrays["example_rollout"], rollout(maps), atol=1e-6)
        np.testing.assert_allclose(
            arrays["learned_positions"], net.positions[0].detach(), atol=1e-3
        )
        with torch.no_grad():
            logits = net(given.normalised(x))
        np.testing.assert_allclose(arrays["example_logits"], logits, atol=5e-3)
        assert arrays["distance.trained"].shape == arrays["distance.untrained"].shape == (4, 4)
        assert (arrays["distance.trained"] != arrays["distance.untrained"]).all()


def test_few_images_are_repeated_where_steps_are_equal():
    base = {"stage": "main", "network": "resnet-8", "seed": 1, "epochs": 1, "lr": 0.1}
    base |= {"train_images": 32, "whole": 96}
    steps, epochs = (
        EXPERIMENT.images(vit_data.Config(equal=equal, **base), data()).images["train"]
        for equal in ("steps", "epochs")
    )
    assert len(epochs) == 32
    assert torch.equal(steps, torch.cat([epochs] * 3))


def test_shuffled_patches_are_the_same_patches():
    images = torch.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    moved = vit_data.shuffled(images, 4)
    assert not torch.equal(moved, images)

    def patches(of):
        return of.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)

    orders = []
    for one, other in zip(patches(images), patches(moved), strict=True):
        same = (one[:, None] == other[None]).flatten(2).all(2)
        assert (same.sum(0) == 1).all()
        orders.append(same)
    assert torch.equal(*orders)


def test_plan_of_the_report():
    """results/PROTOCOL.md: shares, rates, five more arms on the whole share."""
    plan = EXPERIMENT.plan("report", None)
    arms = {one.arm for one in plan}
    assert len(arms) == 2 * (5 + 4) + 5
    assert Counter(one.arm for one in plan) == dict.fromkeys(arms, 4)
    later = EXPERIMENT.follow_up(
        "report",
        None,
        [
            tiny_training.Outcome(one, None, "done", history=[{"validation_loss": one.lr}])
            for one in plan
        ],
    )
    assert Counter(one.seed for one in later) == dict.fromkeys((1, 2, 3), len(arms))
    assert {(one.epochs, one.batch_size) for one in later} == {(6, 32)}
    assert {one.optimiser for one in later if one.network == vit_data.VIT} == {"adamw"}
