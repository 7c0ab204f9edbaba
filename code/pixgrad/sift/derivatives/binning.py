"""Linear shares of bins, on a line and on a circle."""

import numpy as np

from pixgrad.sift.derivatives.types import Array


def hat(t: Array) -> Array:
    """Linear share of a bin at distance ``t``: ``max(0, 1 - |t|)``."""
    return np.maximum(0, 1 - np.abs(t))


def hat_derivative(t: Array) -> Array:
    """Derivative of :func:`hat`; in its kinks (-1, 0, 1) the half sum of the one-sided ones."""
    return -np.sign(t) * np.heaviside(1 - np.abs(t), 0.5)


def nearest_turn(difference: Array, period: int) -> Array:
    """Difference of two directions, wrapped to [-period/2, period/2)."""
    return (difference + period / 2) % period - period / 2
