"""What a layer is given, converted or refused here and nowhere else.

Integers become floating-point numbers; text, complex numbers, gradients of another shape than the
output, seeds and types that no weights can have are refused with their value.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pixgrad.errors import PixgradError, say

if TYPE_CHECKING:
    from pixgrad.backprop.layers import Layer


class ShapeError(PixgradError):
    """An array of the wrong shape was given to a layer.

    Examples
    --------
    >>> from pixgrad.backprop import Linear
    >>> Linear(2, 1).forward(np.zeros((5, 3)))
    Traceback (most recent call last):
        ...
    pixgrad.backprop.inputs.ShapeError: слой Linear(2, 1): ожидается вход (N, …, 2), получен (5, 3)
    """


Chance = np.random.Generator | int | None
"""A generator, its seed, or None: the package's own generator."""
_OWN = np.random.default_rng(0)


def generator(rng: Chance) -> np.random.Generator:
    """The generator meant; the package's own starts from 0, so a program repeats and yet no two of
    its layers get the same weights."""
    try:
        return _OWN if rng is None else np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise PixgradError(
            f"rng={rng!r}: нужен генератор NumPy или зерно, целое число от 0",
            f"rng={rng!r}: give a generator of NumPy or a seed, a whole number from 0 on",
        ) from None


def floating_type(dtype: np.typing.DTypeLike) -> np.dtype:
    """The type of a layer's parameters, if it has fractions.

    Raises
    ------
    PixgradError : whole numbers, in which initial weights would all be 0, or no type at all.
    """
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.kind != "f":
        raise PixgradError(
            f"dtype={dtype!r}: параметрам нужен тип с плавающей точкой",
            f"dtype={dtype!r}: parameters take a floating-point type",
        )
    return found


def floating(x: np.ndarray, dtype: np.typing.DTypeLike = np.float32) -> np.ndarray:
    """An array that a layer can calculate with: integers become ``dtype``, floats stay.

    Raises
    ------
    PixgradError : neither numbers nor truth values, or complex ones.
    """
    x = np.asarray(x)
    if x.dtype.kind in "biu":
        return x.astype(dtype)
    if x.dtype.kind != "f":
        raise PixgradError(
            f"слою нужны вещественные числа, получен массив типа {x.dtype}",
            f"a layer takes real numbers, not an array of type {x.dtype}",
        )
    return x


def checked_forward(forward: Callable) -> Callable:
    """``forward`` of floating-point arrays, integers becoming those of the weights' type."""

    @functools.wraps(forward)
    def checked(self: Layer, *arrays: np.ndarray) -> np.ndarray:
        dtype = np.float32 if self.weight is None else self.weight.dtype
        y = forward(self, *(floating(x, dtype) for x in arrays))
        self._y_shape = y.shape
        return y

    return checked


def checked_backward(backward: Callable) -> Callable:
    """``backward`` of a gradient that has the shape of the output, after ``forward``."""

    @functools.wraps(backward)
    def checked(self: Layer, dy: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...] | None:
        shape, dy = getattr(self, "_y_shape", None), floating(dy)
        if dy.shape != shape:
            was = say("forward не вызывали", "there was no forward") if shape is None else shape
            raise ShapeError(
                f"слой {self.name}: градиент {dy.shape}, а выход: {was}",
                f"layer {self.name}: gradient {dy.shape}, but the output: {was}",
            )
        return backward(self, dy)

    return checked
