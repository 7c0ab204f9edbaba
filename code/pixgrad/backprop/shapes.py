"""Layers that only move numbers: another shape, a sum of two branches."""

import math

import numpy as np

from pixgrad.backprop.layers import Layer
from pixgrad.checks import whole
from pixgrad.errors import PixgradError, say


class Reshape(Layer):
    """(N, …) -> (N, \\*shape); one of ``shape`` may be -1.

    Examples
    --------
    >>> Reshape(2, -1).forward(np.zeros((5, 6))).shape
    (5, 2, 3)
    """

    def __init__(self, *shape: int) -> None:
        super().__init__()
        if shape.count(-1) > 1:
            raise PixgradError(
                f"Reshape{shape}: -1 бывает только одна", f"Reshape{shape}: only one may be -1"
            )
        self.shape = tuple(n if n == -1 else whole("shape", n) for n in shape)
        self.name = f"{type(self).__name__}{shape}"

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._expect(
            x.ndim > 0 and len(x) > 0,
            say("хотя бы с одним примером", "of at least one example"),
            x.shape,
        )
        self._shape = x.shape
        size = math.prod(x.shape[1:])
        known = math.prod(n for n in self.shape if n != -1)
        fits = size % known == 0 if -1 in self.shape else size == known
        self._expect(
            fits,
            say(
                f"(N, …) с размером, из которого получится {self.shape}",
                f"(N, …) of a size that makes {self.shape}",
            ),
            x.shape,
        )
        return batch_last(x).reshape(-1, len(x)).T.reshape(len(x), *self.shape)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy.reshape(self._shape)


class Flatten(Reshape):
    """(N, …) -> (N, features).

    Examples
    --------
    >>> Flatten().forward(np.zeros((5, 3, 2, 2))).shape
    (5, 12)
    """

    def __init__(self) -> None:
        super().__init__(-1)


class Sum(Layer):
    """y = a + b, the joint of a residual block: the gradient goes to both terms unchanged.

    Examples
    --------
    >>> Sum().forward(np.array([1.0]), np.array([2.0]))
    array([3.])
    """

    def forward(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        self._expect(
            a.shape == b.shape,
            say(f"{a.shape} (как у первого слагаемого)", f"{a.shape} (as of the first term)"),
            b.shape,
        )
        return a + b

    def backward(self, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return dy, dy


def batch_last(x: np.ndarray) -> np.ndarray:
    """``x`` with its first axis moved to the end, contiguous; copies only if it must."""
    return np.ascontiguousarray(np.moveaxis(x, 0, -1))
