"""Deep fully connected networks, for what depth alone does to signals."""

import itertools
import math

import torch
from torch import nn

from pixgrad.nets.initialisation import initialise

ACTIVATIONS = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


def deep_perceptron(
    inputs: int,
    num_classes: int,
    depth: int,
    width: int,
    activation: str,
    gain: float | None,
    generator: torch.Generator,
) -> nn.Sequential:
    """``depth`` linear layers of ``width`` units with the activation between them.

    Images (N, C, H, W) of C · H · W = ``inputs`` numbers -> logits (N, num_classes). The torch twin
    of :func:`pixgrad.backprop.signals.deep_network`, but for its first layer.

    Parameters
    ----------
    activation : "relu", "sigmoid" or "tanh".
    gain : n Var W, n the inputs of a layer: weights are normal of variance gain / n, biases 0;
        None — PyTorch's initial weights, uniform within ±1 / √n.
    """
    sides = [inputs] + [width] * (depth - 1) + [num_classes]
    layers: list[nn.Module] = [nn.Flatten()]
    for place, (n, m) in enumerate(itertools.pairwise(sides)):
        layers += [ACTIVATIONS[activation]()] if place else []
        layers.append(nn.Linear(n, m))
    net = nn.Sequential(*layers)
    initialise(net, "default", generator)
    if gain is not None:
        for layer in net:
            if isinstance(layer, nn.Linear):
                spread = math.sqrt(gain / layer.in_features)
                nn.init.normal_(layer.weight, 0, spread, generator=generator)
                nn.init.zeros_(layer.bias)
    return net
