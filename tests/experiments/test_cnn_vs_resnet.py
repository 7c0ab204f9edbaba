"""CNN against ResNet on made-up images: plan, the test part once, tables, where networks look."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tiny_training
import torch
from checks import Trained
from torch import nn

from pixgrad import nets
from pixgrad.experiments import cnn_vs_resnet as cvr
from pixgrad.experiments.running.training import PROBED, Arm, Budget
from pixgrad.training import evaluation, loop
from pixgrad.training.batches import Images

EXPERIMENT = cvr.EXPERIMENT
NETWORKS = ("plain-8", "resnet-8", "simple-cnn")
ASKED: Counter[str] = Counter()
"""How often networks were asked for answers, by the images; "late" — when all runs were over."""


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Three networks, two short runs at each rate; the largest rate diverges."""
    patch.setattr(cvr.CnnVsResnet, "load", lambda self, source: tiny_training.images())
    settings = {"batch_size": 16, "shift": 1, "recalibrate": 60, "side": 16}
    arms = [
        Arm(
            settings | {"network": network},
            (1e-4, 0.03, 1e20),
            Budget(2, 1, seeds=2, sweep_seeds=2),
            PROBED,
        )
        for network in NETWORKS
    ]
    patch.setattr(cvr.CnnVsResnet, "presets", {"report": arms})
    predict, data, ASKED[""] = loop.predict, tiny_training.images().resized(16), 0

    def asked(net: nn.Module, given: Images, pixels: torch.Tensor) -> torch.Tensor:
        for part, of in data.images.items():
            if torch.equal(of, pixels):
                ASKED[part] += 1
                done = len(
                    list(Path("runs/cnn_vs_resnet/report-imagenette5").glob("*-?.checkpoint"))
                )
                ASKED["late"] += part == "test" and done == 6
        return predict(net, given, pixels)

    patch.setattr(loop, "predict", asked)


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, ["network"]

    def test_the_test_images_are_used_once(self, found):
        """By each of six main runs, with recalibrated statistics and with those of the training."""
        assert ASKED["test"] == ASKED["late"] == 2 * 6

    def test_summary_against_the_networks_themselves(self, found):
        """Networks of the checkpoints; batch statistics of the 60 images, taken by hand."""
        summary = found.tables["summary"].set_index(["network", "seed"])
        assert len(summary) == 6
        assert (summary["train_accuracy"] != summary["validation_accuracy"]).any()
        rows = {"train": np.linspace(0, 95, 32).round(), "validation": np.arange(32)}
        rows["test"] = rows["validation"]
        data = tiny_training.images().resized(16)
        generator = torch.Generator().manual_seed(evaluation.RECALIBRATION_SEED)
        chosen = torch.randperm(96, generator=generator)[:60]
        for (network, seed), row in summary.iterrows():
            path = Path(f"runs/cnn_vs_resnet/report-imagenette5/{network}-{seed}.checkpoint")
            net = nets.build(network, 4)
            net.load_state_dict(torch.load(path, weights_only=True)["net"])
            assert row["parameters"] == sum(of.numel() for of in net.parameters())
            net = net.double().eval()
            for prefix in ("raw_", ""):
                for part, index in rows.items():
                    x, y = data.images[part][index], data.labels[part][index]
                    with torch.no_grad():
                        logits = net(data.normalised(x).double())
                    loss = nn.functional.cross_entropy(logits, y).item()
                    assert row[f"{prefix}{part}_loss"] == pytest.approx(loss, rel=1e-3)
                    accuracy = (logits.argmax(1) == y).double().mean().item()
                    assert row[f"{prefix}{part}_accuracy"] == pytest.approx(accuracy)
                for module in net.train().modules():
                    if isinstance(module, nn.BatchNorm2d):
                        module.momentum = 1.0
                net(data.normalised(data.images["train"][chosen]).double())
                net.eval()

    def test_gradients_have_a_row_a_layer_of_the_main_runs(self, found):
        table = found.tables["gradients"]
        for (network, _), rows in table.groupby(["network", "seed"]):
            layers = len(nets.weighted_layers(nets.build(network, 4)))
            assert sorted(rows["layer"]) == sorted([*range(1, layers + 1)] * 2)  # two epochs
        assert set(table["stage"]) == {"main"}
        assert len(table.groupby(["network", "seed"])) == 6

    def test_where_the_first_runs_look(self, found):
        """Grad-CAM by hand: the gradient of the told class, averaged, weighs the maps."""
        data = tiny_training.images().resized(16)
        x = data.normalised(data.images["test"][found.arrays["example_index"]])
        for network in NETWORKS:
            path = Path(f"runs/cnn_vs_resnet/report-imagenette5/{network}-1.checkpoint")
            net = nets.build(network, 4)
            net.load_state_dict(torch.load(path, weights_only=True)["net"])
            net = loop.recalibrated(net, data, 60)
            layer = net.get_submodule("features" if network == "simple-cnn" else "layer3")
            kept = []
            layer.register_forward_hook(lambda module, given, out, kept=kept: kept.append(out))
            gradient, *_ = torch.autograd.grad(net(x).amax(1).sum(), kept[-1])
            weighed = (gradient.mean((2, 3), keepdim=True) * kept[-1]).sum(1).relu().detach()
            maps = torch.from_numpy(found.arrays[f"gradcam.{network}"].astype(np.float32))
            assert maps.shape[0] == cvr.EXAMPLES
            scaled = [of / of.amax((1, 2), keepdim=True).clamp_min(1e-9) for of in (maps, weighed)]
            if maps.shape != weighed.shape:
                scaled[1] = nn.functional.interpolate(
                    scaled[1][:, None], maps.shape[1:], mode="bilinear"
                )[:, 0]
            torch.testing.assert_close(*scaled, atol=5e-3, rtol=0)


@pytest.mark.parametrize("preset", ["report", "paper"])
def test_twins_have_one_budget_and_every_network_a_layer_to_look_at(preset):
    plan = EXPERIMENT.plan(preset, None)
    networks = {one.network for one in plan}
    deep = {"report": 20, "paper": 56}[preset]
    assert {f"plain-{deep}", f"resnet-{deep}", "resnet-18", "simple-cnn"} <= networks
    assert len({one.lr for one in plan}) == 5
    for network in networks:
        layer = cvr.GRADCAM_LAYERS[network.partition("-")[0]]
        assert nets.build(network, 10).get_submodule(layer)
    later = EXPERIMENT.follow_up(
        preset,
        None,
        [loop.Outcome(one, None, "done", history=[{"validation_loss": one.lr}]) for one in plan],
    )
    seeds = Counter(one.network for one in later)
    assert seeds[f"plain-{deep}"] == seeds[f"resnet-{deep}"] == 5
    assert min(seeds.values()) >= 3
    assert {(one.stage, one.lr, one.probe_every) for one in later} == {("main", 0.003, 10)}
    assert all(one.recalibrate >= 2000 for one in plan + later)
