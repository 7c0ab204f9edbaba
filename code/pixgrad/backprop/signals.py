"""How the backward signal of a deep fully connected network changes from layer to layer."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pixgrad.backprop.containers import Sequential
from pixgrad.backprop.layers import Layer, Linear, ReLU, Sigmoid, Tanh
from pixgrad.backprop.losses import CrossEntropy

ACTIVATIONS: dict[str, type[Layer]] = {"sigmoid": Sigmoid, "tanh": Tanh, "relu": ReLU}
Init = Literal["default", "he"] | float


def deep_network(
    activation: str, depth: int, width: int, init: Init, rng: np.random.Generator
) -> Sequential:
    """``depth`` linear layers of ``width`` units with the activation between them, 10 outputs.

    Parameters
    ----------
    init : "default" is uniform in ±1/√fan_in, of variance 1 / (3 fan_in) (PyTorch's);
        "he" is normal of variance 2 / fan_in (He et al. 2015, arXiv:1502.01852, formula 10);
        a number is n Var W itself: normal of variance init / fan_in.
    """
    gain = 2.0 if init == "he" else init
    layers: list[Layer] = []
    for place in range(depth):
        last = place == depth - 1
        linear = Linear(width, 10 if last else width, dtype=np.float64, rng=rng)
        if gain != "default":
            linear.weight[...] = rng.normal(0, math.sqrt(gain / width), linear.weight.shape)
            linear.bias[...] = 0
        layers += [linear] if last else [linear, ACTIVATIONS[activation]()]
    return Sequential(*layers)


@dataclass(frozen=True)
class BackwardSignal:
    """What ``backward_signal`` measures, each (seeds, depth) from the first layer to the last.

    Attributes
    ----------
    outputs : Frobenius norms of ∂L/∂z, z the output of a linear layer.
    weights : Frobenius norms of ∂L/∂W.
    """

    outputs: np.ndarray
    weights: np.ndarray


def backward_signal(
    activation: str,
    depth: int = 12,
    width: int = 128,
    init: Init = "default",
    batch: int = 64,
    seeds: int = 10,
) -> BackwardSignal:
    """Norms of the gradients of a deep network at initialisation.

    The input is standard normal, the labels are random, L is the cross-entropy.
    """
    signal = BackwardSignal(np.empty((seeds, depth)), np.empty((seeds, depth)))
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        model = deep_network(activation, depth, width, init, rng)
        loss = CrossEntropy()
        loss.forward(model.forward(rng.standard_normal((batch, width))), rng.integers(0, 10, batch))
        dy, place = loss.backward(), depth
        for layer in reversed(model.layers):
            arriving, dy = dy, layer.backward(dy)
            if isinstance(layer, Linear):
                place -= 1
                signal.outputs[seed, place] = np.linalg.norm(arriving)
                signal.weights[seed, place] = np.linalg.norm(layer.grads["weight"])
    return signal


def factor_per_layer(norms: np.ndarray) -> np.ndarray:
    """By what factor the norm changes per layer towards the input, one number a seed.

    The slope of ln‖·‖ over the hidden layers (least squares); the last layer, of another width, is
    left out.

    Parameters
    ----------
    norms : (seeds, depth).
    """
    hidden = np.log(norms[:, :-1])
    return np.exp(-np.polyfit(np.arange(hidden.shape[1]), hidden.T, 1)[0])


def expected_factor(activation: str, gain: float) -> float:
    """The factor of ‖∂L/∂z‖ per layer in a wide and deep network with n Var W = ``gain``.

    z is normal with the variance that the layers settle at, s² = gain · E[φ(z)²]; the factor is
    q = √(gain · E[φ'(z)²]) (Schoenholz et al. 2017, arXiv:1611.01232, section 2).
    """
    z = np.linspace(-8, 8, 4000)  # an even number: no point at the kink of ReLU
    weight = np.exp(-(z**2) / 2)
    weight /= weight.sum()
    layer, deviation = ACTIVATIONS[activation](), 1.0
    for _ in range(100):
        deviation = math.sqrt(gain * (weight @ layer.forward(deviation * z) ** 2))
    return math.sqrt(gain * (weight @ layer.backward(np.ones_like(z)) ** 2))
