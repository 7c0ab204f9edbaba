"""The two digit classifiers of the book and the wide LeNet of the benchmark."""

import numpy as np

from pixgrad.backprop.containers import Sequential
from pixgrad.backprop.convolution import Conv2d, MaxPool2d
from pixgrad.backprop.layers import Linear, ReLU, Sigmoid
from pixgrad.backprop.shapes import Flatten


def lenet(
    widths: tuple[int, int, int] = (6, 16, 120),
    rng: np.random.Generator | int = 0,
    dtype: np.typing.DTypeLike = np.float32,
) -> Sequential:
    """LeNet with ReLU and max pooling for 28×28 digits: 1-6-16-120-10 (or 1-20-50-500-10).

    ReLU stands after the pooling: the maximum of a window and ReLU commute, so the network is the
    same function, and ReLU has a quarter of the numbers to work on.

    Parameters
    ----------
    widths : channels of the two 5×5 convolutions and units of the hidden linear layer.
    rng : generator (or its seed) of the initial weights.

    Examples
    --------
    >>> lenet().forward(np.zeros((2, 1, 28, 28))).shape
    (2, 10)
    >>> sum(array.size for array in lenet().parameters().values())
    34622
    """
    a, b, c = widths
    rng = np.random.default_rng(rng)
    return Sequential(
        Conv2d(1, a, 5, dtype=dtype, rng=rng),
        MaxPool2d(2),
        ReLU(),
        Conv2d(a, b, 5, dtype=dtype, rng=rng),
        MaxPool2d(2),
        ReLU(),
        Flatten(),
        Linear(b * 4 * 4, c, dtype=dtype, rng=rng),
        ReLU(),
        Linear(c, 10, dtype=dtype, rng=rng),
    )


def sigmoid_net(
    rng: np.random.Generator | int = 0, dtype: np.typing.DTypeLike = np.float32
) -> Sequential:
    """The same sizes from the assignment's layers alone: convolution, sigmoid, reshape, linear.

    Strided convolutions stand for the pooling that the assignment's list does not have.

    Examples
    --------
    >>> sigmoid_net().forward(np.zeros((2, 1, 28, 28))).shape
    (2, 10)
    """
    rng = np.random.default_rng(rng)
    return Sequential(
        Conv2d(1, 6, 5, stride=2, dtype=dtype, rng=rng),
        Sigmoid(),
        Conv2d(6, 16, 5, stride=2, dtype=dtype, rng=rng),
        Sigmoid(),
        Flatten(),
        Linear(16 * 4 * 4, 120, dtype=dtype, rng=rng),
        Sigmoid(),
        Linear(120, 10, dtype=dtype, rng=rng),
    )
