"""Initial weights, drawn from a generator that is passed in.

References
----------
He, Zhang, Ren, Sun, "Delving deep into rectifiers" (2015), section 2.2.
"""

import math

import torch
from torch import nn

from pixgrad.errors import PixgradError
from pixgrad.nets.dropout import Dropout

SCHEMES = ("default", "he")


def initialise(net: nn.Module, scheme: str, generator: torch.Generator) -> None:
    """Fill all parameters and buffers of a network, module by module in their order.

    Parameters
    ----------
    net : convolutions, linear layers and batch normalisations in any arrangement.
    scheme : "default" — PyTorch's own: weights and biases uniform within 1 / sqrt(fan_in);
        "he" — weights of convolutions normal with variance 2 / fan_out, their biases 0, and linear
        layers by default, as torchvision does for its ResNets. A network with a method
        ``initialise(generator)`` has initial weights of its own, and takes "default" only; a
        module that has weights beside its layers fills them in its method ``fill``.
    generator : dropouts begin streams of their own, which depend on its seed alone: networks with
        and without them share the initial weights.

    Raises
    ------
    PixgradError : a scheme that the network does not take.

    Examples
    --------
    >>> net = nn.Conv2d(16, 64, 3)
    >>> initialise(net, "he", torch.Generator().manual_seed(0))
    >>> round(float(net.weight.detach().var() * 64 * 9), 1)
    2.0
    """
    if hasattr(net, "initialise"):
        if scheme != "default":
            raise PixgradError(
                f"у этой сети свои начальные веса, а не «{scheme}»",
                f"this network has initial weights of its own, not '{scheme}'",
            )
        net.initialise(generator)
        return
    for place, module in enumerate(net.modules()):
        if hasattr(module, "fill"):
            module.fill()
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.reset_parameters()  # gamma 1, beta 0, statistics of the standard normal
        elif isinstance(module, Dropout):
            module.seed(1000 * generator.initial_seed() + place)
        elif isinstance(module, nn.Conv2d) and scheme == "he":
            _he(module, generator)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            _default(module, generator)


def _default(layer: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    # a = sqrt(5) makes the bound sqrt(6 / ((1 + a^2) fan_in)) = 1 / sqrt(fan_in).
    nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)
    if layer.bias is not None:
        bound = 1 / math.sqrt(layer.weight[0].numel())
        nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def _he(layer: nn.Conv2d, generator: torch.Generator) -> None:
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
