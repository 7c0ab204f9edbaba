"""Checks of trained networks on made-up images: what is done to them, and the tables."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_training
import torch
from checks import Published

from pixgrad import nets
from pixgrad.experiments import architecture_checks as checks
from pixgrad.nets.surgery import basic_blocks, switched_off
from pixgrad.training import loop

EXPERIMENT = checks.EXPERIMENT


def weights(name: str = "resnet-8") -> torch.nn.Module:
    """In place of the published ones."""
    net = nets.build("resnet-8", 4, init="he", generator=torch.Generator().manual_seed(7))
    data = tiny_training.images()
    return loop.recalibrated(net, data, 96)


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(checks.ArchitectureChecks, "load", lambda self, source: tiny_training.images())
    patch.setattr(checks.cifar_weights, "load", weights)
    patch.setattr(checks, "TOGETHER", (2,))
    patch.setattr(checks, "SETTINGS", {"lr": 0.05, "batch_size": 16, "epochs": 1})
    small = {"images": 32, "network": "resnet-8"}
    plans = [small | {"check": name} for name in ("blocks", "modes", "crops")]
    plans.append(small | {"check": "blocks", "trained_here": True, "seed": 1, "train_images": 96})
    patch.setattr(checks, "PRESETS", {"report": plans})


class TestPublished(Published):
    experiment = EXPERIMENT

    def test_accuracies_are_those_of_the_answers(self, found):
        table = found.tables["accuracy"]
        for (check, seed), rows in table.groupby(["check", "seed"]):
            answers = found.arrays[f"answer.{check}-resnet-8-{seed}"]
            shares = (answers == found.arrays["labels.32"]).mean(axis=1)
            np.testing.assert_allclose(rows["accuracy"], shares)

    def test_evaluation_does_not_depend_on_the_batch(self, found):
        rows = found.tables["accuracy"].query("check == 'modes'").set_index("what")["accuracy"]
        assert rows["evaluation"] == rows["evaluation-1"]
        assert {f"training-{size}" for size in checks.BATCHES} < set(rows.index)
        [run] = [run for run in found.record.runs if run.name.startswith("modes")]
        assert run.metrics["largest_difference"] < 1e-4


def data_and_images():
    data = tiny_training.images()
    return data, data.images["test"]


def test_a_block_switched_off_gives_its_input():
    net, (data, images) = weights(), data_and_images()
    x = data.normalised(images)
    with torch.no_grad():
        for number in (0, 1):
            block, seen = basic_blocks(net)[number], {}
            hook = block.register_forward_hook(
                lambda module, given, output, seen=seen: seen.update(x=given[0], y=output)
            )
            whole = net(x)
            hook.remove()
            with switched_off(net, [number]):
                off = net(x)
            past = torch.nn.functional.relu(block.downsample(seen["x"]))
            rest = list(net.children())
            names = [name for name, _ in net.named_children()]
            y = past
            for layer in rest[names.index("layer1") + number + 1 : names.index("avgpool")]:
                y = layer(y)
            torch.testing.assert_close(off, net.fc(net.avgpool(y).flatten(1)))
            assert not torch.allclose(off, whole)
            assert torch.equal(net(x), whole)


def test_modes_use_the_statistics_of_the_batch():
    net, (data, images) = weights(), data_and_images()
    found = dict(checks._modes(net, data, images))
    kept = net.state_dict()
    batch = data.normalised(images[:4])
    with torch.no_grad():
        net.train()
        expected = net(batch)
    torch.testing.assert_close(found["training-4"][:4], expected)
    assert not torch.allclose(found["training-4"], found["evaluation"])
    assert set(kept) == set(net.state_dict())


def test_ten_crops_are_the_mean_of_ten_answers():
    net, (data, images) = weights(), data_and_images()
    found = dict(checks._crops(net, data, images))
    side, fill = images.shape[-1], data.mean.round()[:, None, None]
    padded = fill.repeat(1, side + 8, side + 8).to(torch.uint8).repeat(len(images), 1, 1, 1)
    padded[:, :, 4:-4, 4:-4] = images
    windows = [
        padded[:, :, down : down + side, right : right + side]
        for down, right in ((0, 0), (0, 8), (8, 0), (8, 8), (4, 4))
    ]
    probabilities = [
        loop.predict(net, data, of).softmax(1)
        for window in windows
        for of in (window, window.flip(3))
    ]
    torch.testing.assert_close(found["ten"], sum(probabilities) / 10)
    torch.testing.assert_close(found["flip"], sum(probabilities[8:]) / 2)
    torch.testing.assert_close(found["corners"], sum(probabilities[::2]) / 5)
    torch.testing.assert_close(found["centre"], probabilities[8])


def test_plan_of_the_report():
    plan = EXPERIMENT.plan("report", None)
    assert len({one.name for one in plan}) == len(plan)
    twins = [one for one in plan if one.trained_here]
    assert {(one.network, one.seed) for one in twins} == {
        (f"{kind}-20", seed) for kind in ("plain", "resnet") for seed in (1, 2, 3)
    }
