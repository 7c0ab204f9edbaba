"""Deep networks of sigmoids: their initial weights, and one short run of the experiment."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_training
import torch
from checks import Trained

from pixgrad.backprop.signals import backward_signal
from pixgrad.experiments import sigmoid_depth
from pixgrad.experiments.running.training import Budget
from pixgrad.nets.perceptron import deep_perceptron
from pixgrad.training.probe import probed

EXPERIMENT = sigmoid_depth.EXPERIMENT
SETTINGS = {"batch_size": 32, "depth": 3, "width": 16}
RATES = {"sgd": (0.1, 1e20), "adam": (0.01, 1e20)}


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sigmoid_depth.SigmoidDepth, "load", lambda self, source: tiny_training.images())
    arms = sigmoid_depth._arms(SETTINGS, Budget(2, 1, seeds=2), [("relu", "he")], RATES)
    patch.setattr(sigmoid_depth.SigmoidDepth, "presets", {"report": arms})


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, ["activation", "init", "optimiser", "eps"]

    def test_gradients_of_every_layer_are_there(self, found):
        assert set(found.tables["gradients"]["layer"]) == {1, 2, 3}


@pytest.mark.parametrize("gain", [1.0, 16.0])
def test_variance_of_the_initial_weights(gain):
    net = deep_perceptron(300, 10, 3, 200, "tanh", gain, torch.Generator().manual_seed(1))
    layers = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in layers] == [(200, 300), (200, 200), (10, 200)]
    for layer in layers:
        found = layer.in_features * layer.weight.var().item()
        assert found == pytest.approx(gain, rel=5 / layer.weight.numel() ** 0.5)
        assert not layer.bias.any()


@pytest.mark.parametrize("gain", [None, 16.0])
def test_signal_fades_as_in_the_networks_of_the_chapter(gain):
    """On their input: the mean of ln ‖∂L/∂W‖ of a layer, against the NumPy twin."""
    ours = []
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        net = deep_perceptron(64, 10, 5, 64, "sigmoid", gain, generator)
        x = torch.randn((64, 1, 8, 8), generator=generator)
        rows, _ = probed(net, x, torch.randint(0, 10, (64,), generator=generator))
        ours.append([row[3] for row in rows])  # grad_norm
    twin = backward_signal("sigmoid", depth=5, width=64, init=gain or "default", batch=64, seeds=30)
    gap = np.log(ours).mean(axis=0) - np.log(twin.weights).mean(axis=0)
    assert np.abs(gap).max() < 0.25


def test_epsilon_is_that_of_the_settings():
    """Far above the gradients, ε makes Adam's steps tiny: the loss does not fall at once."""
    data, made = tiny_training.images(), {}
    for eps in (1e-20, 1e6):
        one = sigmoid_depth.Config(
            stage="main", seed=1, epochs=1, lr=0.1, optimiser="adam", eps=eps,
            activation="tanh", init="glorot", **SETTINGS,
        )  # fmt: skip
        made[eps] = EXPERIMENT.first_losses(one, data, 2)
    assert made[1e-20][0] == made[1e6][0]
    assert made[1e-20][1] < made[1e6][1] - 0.5


def test_plan_of_the_report():
    plan = EXPERIMENT.plan("report", None)
    arms = {(one.activation, one.init, one.optimiser, one.eps) for one in plan}
    assert len(arms) == 12
    assert {one.arm for one in plan if one.eps != 1e-8} == {
        "sigmoid-default-adam-eps1e-20",
        "sigmoid-glorot-adam-eps1e-20",
    }
    assert {one.depth for one in plan} == {12}
    assert all(one.weight_decay == one.shift == 0 and not one.flip for one in plan)
