"""Training after compression, and with a teacher, on made-up images."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_training
import torch
from checks import Trained

from pixgrad import nets
from pixgrad.compression import distil
from pixgrad.compression.prune import magnitude, narrowed, zeros
from pixgrad.experiments import compression
from pixgrad.experiments import compression_training as experiment
from pixgrad.experiments.running.training import Budget

EXPERIMENT = experiment.EXPERIMENT


def images():
    return experiment.regrouped(compression.as_published(tiny_training.images(side=16)))


def shrink(patch: pytest.MonkeyPatch) -> None:
    """The largest rate diverges."""
    patch.setattr(experiment.CompressionTraining, "load", lambda self, source: images())
    patch.setattr(experiment.CompressionTraining, "teacher", "resnet-8")
    patch.setattr(compression, "CALIBRATION", 32)
    patch.setattr(experiment, "RATES", (1e-3, 0.03, 1e20))
    patch.setattr(experiment, "FIRST_RATES", (1e-3, 0.03, 1e20))
    arms = experiment._arms(
        [("magnitude", 0.5), ("channels", 0.25)],
        [("resnet-8", "distilled"), ("simple-cnn", "scratch")],
        "resnet-8",
        {"batch_size": 16, "recalibrate": 60, "shift": 1},
        {},
        (Budget(2, 1, seeds=2), Budget(2, 1, seeds=1)),
    )
    patch.setattr(experiment.CompressionTraining, "presets", {"report": arms})


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, ["network", "method", "level"]

    def test_compressed_networks_stay_compressed(self, found):
        summary = found.tables["summary"].set_index(["method", "seed"])
        start = nets.build("resnet-8", 4, init="he")
        for seed in (1, 2):
            assert summary["zeros"]["magnitude", seed] == pytest.approx(
                zeros(magnitude(start, 0.5)), abs=1e-6
            )
            count = sum(of.numel() for of in narrowed(start, 0.25).parameters())
            assert summary["parameters"]["channels", seed] == count

    def test_networks_that_begin_compressed_differ_by_their_batches_alone(self, found):
        first = {
            run.seed: run.first_losses
            for run in found.record.runs
            if run.config["method"] == "channels" and run.config["stage"] == "main"
        }
        assert first[1] != first[2]

    def test_the_simple_network_is_compressed_when_it_has_learnt(self, found):
        later = found.tables["later"].set_index(["method", "seed"])
        summary = found.tables["summary"].set_index(["method", "seed"])
        assert sorted(set(later.index.get_level_values(0))) == [
            "channels",
            "float",
            "int8",
            "int8-dynamic",
            "magnitude",
            "onnx",
        ]
        # without batch normalisation there is nothing to recalibrate
        accuracy = summary["test_accuracy"]["scratch", 1]
        assert later["accuracy"]["float", 1] == pytest.approx(accuracy)
        assert later["accuracy"]["onnx", 1] == pytest.approx(accuracy)
        assert later["bytes"]["int8-dynamic", 1] < 0.6 * later["bytes"]["onnx", 1]


def test_parts_are_the_training_images_and_the_halves_of_the_test_ones():
    data = tiny_training.images()
    half = compression.halves(data)
    found = experiment.regrouped(data)
    assert torch.equal(found.images["train"][:96], data.images["train"])
    assert torch.equal(found.images["train"][96:], data.images["validation"])
    assert torch.equal(found.labels["test"], data.labels["test"][torch.from_numpy(half)])
    assert torch.equal(found.images["validation"], data.images["test"][torch.from_numpy(~half)])


def test_a_distilled_network_begins_with_the_loss_of_the_formula(monkeypatch):
    """The teacher sees the very images that the student does."""
    monkeypatch.setattr(experiment.CompressionTraining, "teacher", "resnet-8")
    data = images()
    config = experiment.Config(
        stage="main", seed=1, epochs=1, lr=0.01, network="resnet-8", method="distilled",
        batch_size=96, shift=0, flip=False,
    )  # fmt: skip
    run = EXPERIMENT.run(config, data, None)
    student = nets.build("resnet-8", 4, init="he", generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(1)
    nets.build("resnet-8", 4, init="he", generator=generator)
    chosen = torch.randperm(128, generator=generator)[:96]
    x, y = data.normalised(data.images["train"][chosen]), data.labels["train"][chosen]
    teacher = nets.build("resnet-8", 4, init="he").eval()
    expected = distil.loss(student.train()(x), teacher(x), y, 4.0, 0.9)
    assert run.first_losses(1)[0] == pytest.approx(expected.item(), rel=1e-4)


def test_plan_of_the_report():
    plan = EXPERIMENT.plan("report", None)
    rates, runs = len(experiment.RATES), 2
    assert len(plan) == rates * runs * (len(experiment.TUNED) + len(experiment.SCRATCH))
    tuned = [one for one in plan if one.method in compression.VARIANTS]
    assert {one.network for one in tuned} == {"resnet-20"}
    assert np.isin([one.level for one in tuned], [0, 0.25, 0.5, 0.8, 0.9]).all()
