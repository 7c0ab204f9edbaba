"""The first steps one by one: the steps of the loop, and what each intervention does to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny_training
import torch
from checks import Published, without_test
from tiny_training import ignore

from pixgrad import nets
from pixgrad.experiments import cnn_vs_resnet, explosion

EXPERIMENT = explosion.EXPERIMENT
SETTINGS = {"batch_size": 16, "lr": 0.1, "rescale_at": 3}
CONFIG = explosion.Config(network="plain-8", seed=1, steps=6, **SETTINGS)
INTERVENTIONS = ("none", "rescaled", "warmup", "limited")


def images():
    """Made-up images without a test part: the experiment must not ask for it."""
    return without_test(tiny_training.images())


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(explosion.Explosion, "load", lambda self, source: images())
    kinds = tuple(("plain-8", kind) for kind in INTERVENTIONS)
    patch.setattr(explosion, "PRESETS", {"report": (2, 6, kinds, SETTINGS)})


class TestPublished(Published):
    experiment = EXPERIMENT

    @pytest.mark.parametrize(("intervention", "warm_up"), [("none", 0.0), ("warmup", 1.0)])
    def test_steps_are_those_of_the_loop(self, found, tmp_path, intervention, warm_up):
        """The same weights, batches and rates: the same losses; six steps are an epoch."""
        config = cnn_vs_resnet.EXPERIMENT.config(
            stage="main", network="plain-8", seed=1, epochs=1, lr=0.1, batch_size=16
        )
        config = replace(config, schedule="constant", warmup_epochs=warm_up)
        path = tmp_path / "a.checkpoint"
        trained = cnn_vs_resnet.EXPERIMENT.train(config, images(), path, ignore, None)
        [run] = [run for run in found.record.runs if run.name == f"plain-8-{intervention}-1"]
        assert run.first_losses == pytest.approx(trained.first_losses, rel=1e-5)
        losses = found.tables["losses"]
        losses = losses[(losses["seed"] == 1) & (losses["intervention"] == intervention)]
        assert losses["step"].tolist() == list(range(6))
        np.testing.assert_allclose(losses["loss"], run.first_losses)

    def test_interventions_do_what_they_say(self, found):
        layers = found.tables["layers"].query("seed == 1")
        by_kind = {
            kind: {name: rows.pivot(index="step", columns="layer", values=name) for name in rows}
            for kind, rows in layers.groupby("intervention")
        }
        ratio = {kind: of["update_ratio"] for kind, of in by_kind.items()}
        norms = {kind: of["weight_norm"] for kind, of in by_kind.items()}
        losses = found.tables["losses"].query("seed == 1")
        losses = losses.pivot(index="step", columns="intervention", values="loss")
        assert ratio["none"].max(axis=None) > 0.02
        assert ratio["limited"].max(axis=None) == pytest.approx(0.01, rel=1e-4)
        assert (ratio["warmup"].loc[0] == 0).all()  # the rate grows from 0
        # The kernels but for the last, linear layer's are brought back before the fourth step.
        rescaled, plain = norms["rescaled"], norms["none"]
        np.testing.assert_allclose(rescaled.loc[3, :7], plain.loc[0, :7], rtol=1e-4)
        np.testing.assert_allclose(rescaled.loc[:2], plain.loc[:2], rtol=1e-6)
        assert (abs(plain.loc[3, :7] / plain.loc[0, :7] - 1) > 1e-3).any()
        assert rescaled.loc[3, 8] == pytest.approx(plain.loc[3, 8])
        same, other = losses["rescaled"], losses["none"]
        np.testing.assert_allclose(same.loc[:2], other.loc[:2])
        assert same.loc[3] == pytest.approx(other.loc[3], rel=1e-3)  # the same function
        assert abs(same.loc[5] - other.loc[5]) > 1e-4

    def test_first_measurements_against_torch(self, found):
        """Gradients of the untrained network in float64, and singular values by NumPy."""
        data, generator = images(), torch.Generator().manual_seed(1)
        net = nets.build("plain-8", 4, init="he", generator=generator)
        batches = explosion.random_batches(data, 16, 4, True, generator)
        x, y = next(batches)
        outputs = []
        layers = [layer for _, layer in nets.weighted_layers(net.double())]
        for layer in layers:
            layer.register_forward_hook(lambda layer, given, out: outputs.append(out.detach()))
        loss = torch.nn.functional.cross_entropy(net(x.double()), y)
        gradients = torch.autograd.grad(loss, [layer.weight for layer in layers])
        first = found.tables["layers"].query("seed == 1 and intervention == 'none' and step == 0")
        np.testing.assert_allclose(first["grad_norm"], [g.norm() for g in gradients], rtol=1e-3)
        ranks = []
        for out in outputs:
            rows = out.transpose(0, 1).flatten(1).numpy()
            values = np.linalg.svd(rows - rows.mean(axis=1, keepdims=True), compute_uv=False)
            share = values[values > 0] / values.sum()
            ranks.append(np.exp(-(share * np.log(share)).sum()))
        np.testing.assert_allclose(first["rank"], ranks, rtol=1e-3)


def test_replayed_losses_of_few_steps_are_those_of_many():
    config = replace(CONFIG, intervention="warmup")
    whole = EXPERIMENT.measure(config, images())
    assert EXPERIMENT.first_losses(config, images(), 4) == whole.first_losses[:4]


def test_later_steps_are_measured_now_and_then(monkeypatch):
    monkeypatch.setattr(explosion, "DENSE", 2)
    monkeypatch.setattr(explosion, "EVERY", 2)
    watched = EXPERIMENT.measure(CONFIG, images())
    assert sorted({row[0] for row in watched.rows}) == [0, 1, 2, 4]
    assert [step for step, _ in watched.losses] == list(range(6))
    whole = EXPERIMENT.measure(replace(CONFIG, steps=99), images())
    assert whole.steps == 6  # an epoch is all there is
