"""The experiment on pooling: twins, moved windows, residuals by layer, published tables."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_training
import torch
from checks import Trained
from torch import nn

from pixgrad.experiments import pooling
from pixgrad.experiments.running.training import Arm, Budget
from pixgrad.nets.downsampling import HALVING, SmallCNN

EXPERIMENT = pooling.EXPERIMENT
KEYS = ["network", "width", "flat", "train_images"]


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Three networks; the largest rate diverges."""
    patch.setattr(pooling.Pooling, "load", lambda self, source: tiny_training.images(side=32))
    settings = {"batch_size": 32, "recalibrate": 60, "shift": 0, "train_images": 96}
    budget = Budget(2, 1, seeds=2)
    arms = [
        Arm(settings | cell, (1e-3, 0.03, 1e20), budget)
        for cell in (
            {"network": "blur", "width": 2},
            {"network": "stride", "width": 2, "flat": True},
            {"network": "mlp", "width": 3},
        )
    ]
    patch.setattr(pooling.Pooling, "presets", {"report": arms})
    for name, value in (("ANSWERED", 32), ("FELT", 8), ("COVERED", 1), ("PATCH", 27)):
        patch.setattr(pooling, name, value)


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, KEYS

    def test_answers_to_moved_windows_from_the_checkpoints(self, found):
        """The widest shift by hand: the outermost windows of each image."""
        data = tiny_training.images(side=32)
        middle = {part: of[..., 4:28, 4:28] for part, of in data.images.items()}
        for row in found.tables["summary"].itertuples():
            config = next(
                pooling.Config(**run.config)
                for run in found.record.runs
                if (run.config["network"], run.seed) == (row.network, row.seed)
                and run.config["stage"] == "main"
            )
            net = EXPERIMENT.build(config, data, torch.Generator().manual_seed(0))
            path = Path("runs/pooling/report-cifar10") / f"{config.name}.checkpoint"
            net.load_state_dict(torch.load(path, weights_only=True)["net"])
            mine = pooling.replace(data, images=middle)
            net = pooling.loop.recalibrated(net, mine, 60)
            told = {}
            for top, left in ((4, 0), (4, 8), (0, 4), (8, 4)):
                x = data.normalised(data.images["test"][..., top : top + 24, left : left + 24])
                told[top, left] = net(x).argmax(1)
            same = (told[4, 0] == told[4, 8]).float().mean() / 2
            same += (told[0, 4] == told[8, 4]).float().mean() / 2
            shifts = found.tables["shifts"].set_index([*KEYS, "seed", "shift"])["same"]
            key = (row.network, row.width, row.flat, row.train_images, row.seed)
            assert shifts[(*key, 8)] == pytest.approx(same.item())
            assert shifts[(*key, 0)] == 1
            scales = found.tables["scales"].set_index([*KEYS, "seed", "side"])
            assert scales.loc[(*key, 24), "same"] == 1
            assert scales.loc[(*key, 24), "accuracy"] == pytest.approx(row.test_accuracy)

    def test_layers_and_fields_are_of_the_convolutional_networks(self, found):
        layers, fields = found.tables["layers"], found.tables["fields"]
        assert set(layers["network"]) == set(fields["network"]) == {"blur", "stride"}
        assert len(fields) == 4
        exact = layers[(layers["shift"] == 8) & (layers["layer"] != "mean")]
        assert (exact["moved"] < 1e-5).all()
        assert layers.loc[layers["layer"] == "mean", "moved"].isna().all()
        field = found.arrays["gradient.blur-2-96"]
        assert field.shape == (32, 32)
        rows = np.flatnonzero(field.sum(1))
        # Cell 2 with jump 8: see tests/nets/test_receptive.py for the formula.
        assert rows[0] >= 16 + -14
        assert rows[-1] <= 16 + 21


@pytest.fixture
def images():
    """Numbered images: pixel (row, column) of image n is 8 row + column + n, below 256."""
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    whole = torch.stack([rows * 0 + columns + n for n in range(4)])[:, None]
    return whole.to(torch.uint8)


def test_windows_of_a_shift_are_so_far_apart(images, monkeypatch):
    """A stub answers with the number of its window's first column."""
    asked = []

    def predict(net, data, pixels):
        asked.append(pixels)
        return nn.functional.one_hot(pixels[:, 0, 0, 0].long() % 8, 8).float()

    monkeypatch.setattr(pooling.loop, "predict", predict)
    labels = torch.tensor([4, 5, 6, 7])
    rows = pooling.moved_answers(None, None, images, labels)
    assert [row["shift"] for row in rows] == list(range(9))
    # Along the rows the answers differ by the shift, modulo 8; down the columns never.
    assert [row["same"] for row in rows] == [1.0, *[0.5] * 7, 1.0]
    assert rows[0]["accuracy"] == 1
    assert len(asked) == 17


@pytest.mark.parametrize("halving", HALVING)
def test_residuals_vanish_where_the_shift_is_a_multiple_of_the_jump(halving):
    torch.manual_seed(0)
    net = pooling.circular(SmallCNN(4, halving, 4, side=16).eval())
    x = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        rows = pooling.residuals(net, x)
    for row in rows:
        if row["layer"] == "mean":
            assert "moved" not in row
            continue
        stage = int(row["layer"][-1])
        halved = stage if row["layer"][0] == "h" or halving == "stride" else stage - 1
        jump = 1 if halving == "none" else 2**halved
        if row["shift"] % jump == 0:
            assert row["moved"] < 1e-5
        else:
            assert row["moved"] > 1e-2
        assert row["still"] > 1e-3


def test_twins_have_the_same_initial_weights():
    data = SimpleNamespace(channels=3, names=range(10))
    built = [
        EXPERIMENT.build(
            pooling.Config(stage="main", seed=1, epochs=1, lr=0.1, network=halving),
            data,
            torch.Generator().manual_seed(1),
        )
        for halving in HALVING
    ]
    for net in built[1:]:
        for one, two in zip(built[0].parameters(), net.parameters(), strict=True):
            assert torch.equal(one, two)


def test_arms_of_the_report():
    """Five seeds; rates of every arm span a factor of 100; the equal sizes are equal."""
    arms = pooling.PRESETS["report"]
    assert all(arm.budget.seeds == 5 for arm in arms)
    assert all(max(arm.rates) / min(arm.rates) >= 99 for arm in arms)
    data = SimpleNamespace(channels=3, names=range(10))
    sizes = [
        sum(
            weight.numel()
            for weight in EXPERIMENT.build(
                pooling.Config(stage="main", seed=1, epochs=1, lr=0.1, network=name, width=width),
                data,
                torch.Generator().manual_seed(1),
            ).parameters()
        )
        for name, width in (("max", 16), ("mlp", 14))
    ]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
