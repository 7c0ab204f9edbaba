"""One training step in NumPy and in PyTorch, eager and compiled, timed part by part."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pixgrad import backprop as bp
from pixgrad.training.run import processor_seconds

PARTS = ("forward", "backward", "step")
PEER = "torch"
"""The implementation that all others are compared with, in time and in losses."""
LENET = (6, 16, 120)
"""Channels of both convolutions and outputs of the first linear layer."""
SGD = {"lr": 0.01, "momentum": 0.9}
MEMORY_FORMATS = {
    "contiguous": torch.contiguous_format,
    "channels_last": torch.channels_last,
}


@dataclass(frozen=True)
class Implementation:
    """One way to compute a step."""

    name: str
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    compiled: bool = False


NUMPY = Implementation("numpy")
TORCH = (
    Implementation(PEER),
    Implementation("torch-channels-last", "channels_last"),
    Implementation("torch-compile", compiled=True),
    Implementation("torch-compile-channels-last", "channels_last", compiled=True),
)


def torch_lenet() -> nn.Sequential:
    """The twin of ``pixgrad.backprop.lenet``."""
    first, second, hidden = LENET
    return nn.Sequential(
        nn.Conv2d(1, first, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(first, second, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * second, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 10),
    )


class NumPyStep:
    """A step of the book's own LeNet by its parts, with the weights of ``net``, its torch twin.

    ``value`` is the loss before the step.
    """

    def __init__(self, net: nn.Module, x: Tensor, y: Tensor) -> None:
        self.model, self.loss = bp.lenet(LENET), bp.CrossEntropy()
        self.model.layers[0].needs_input_grad = False  # PyTorch does not compute it either
        for name, of in net.named_parameters():
            self.model.parameters()[name][...] = of.detach().numpy()
        self.optimiser = bp.SGD(self.model.parameters(), **SGD)
        self.x, self.y = x.numpy(), y.numpy()

    def forward(self) -> None:
        self.value = self.loss.forward(self.model.forward(self.x), self.y)

    def backward(self) -> None:
        self.model.backward(self.loss.backward())

    def step(self) -> None:
        self.optimiser.step(self.model.gradients())


class TorchStep:
    """The same of a torch network.

    Parameters
    ----------
    optimiser : made of the network's parameters.
    """

    def __init__(
        self,
        kind: Implementation,
        net: nn.Module,
        optimiser: torch.optim.Optimizer,
        x: Tensor,
        y: Tensor,
    ) -> None:
        layout = MEMORY_FORMATS[kind.memory_format]
        self.net, self.y = net.to(memory_format=layout), y
        self.x = x.contiguous(memory_format=layout)
        # There is one size of a batch: nothing is to be compiled for others.
        self.call = torch.compile(net, dynamic=False) if kind.compiled else net
        self.optimiser = optimiser

    def forward(self) -> None:
        self.loss = cross_entropy(self.call(self.x), self.y)
        self.value = self.loss.item()

    def backward(self) -> None:
        self.net.zero_grad()
        self.loss.backward()

    def step(self) -> None:
        self.optimiser.step()


def timed(step: Any, parts: Sequence[str] = PARTS) -> list[float]:
    """Make a step, whose ``parts`` are methods: seconds of the processor of each."""
    clock = [time.process_time()]
    for part in parts:
        getattr(step, part)()
        clock.append(time.process_time())
    return np.diff(clock).tolist()


def compiling_seconds(made: TorchStep) -> float:
    """Compile both passes, which torch does when they are first made, from nothing.

    Returns
    -------
    Seconds of the processor, with those of the C++ compiler.
    """
    from torch._inductor import config, utils

    before = processor_seconds()
    # In this process, so that the compiler's time is seen; without what earlier runs compiled.
    with config.patch(compile_threads=1), utils.fresh_cache():
        made.forward()
        made.backward()
    return processor_seconds() - before


class OwnOptimiser:
    """An optimiser of :mod:`pixgrad.backprop` that moves torch's weights by their gradients.

    Parameters
    ----------
    method : makes it of arrays by name; ``options`` are its own.
    """

    def __init__(self, method: Callable, weights: Iterable[Tensor], **options) -> None:
        self.weights = list(weights)
        # NumPy arrays that share their memory with the weights.
        arrays = {str(place): of.detach().numpy() for place, of in enumerate(self.weights)}
        self.method = method(arrays, **options)

    def step(self) -> None:
        self.method.step({str(place): of.grad.numpy() for place, of in enumerate(self.weights)})


def distance(a: list[Tensor], b: list[Tensor]) -> float:
    """Euclidean, over all tensors."""
    return math.hypot(*((x.detach() - y.detach()).norm().item() for x, y in zip(a, b, strict=True)))
