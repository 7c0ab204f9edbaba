"""Gradients against finite differences."""

import copy

import numpy as np

from pixgrad.backprop.layers import Layer
from pixgrad.checks import number
from pixgrad.errors import PixgradError


def gradcheck(layer: Layer, x: np.ndarray, step: float = 1e-5, seed: int = 0) -> dict[str, float]:
    """The largest difference between hand-written and numerical gradients.

    The scalar is L = Σ r · layer(x) with a random r. Each element of the input and of each
    parameter is moved by ±``step``; the central difference is exact to O(step²).

    Parameters
    ----------
    layer : a layer or a network with float64 parameters; it is left as it was.
    x : its input, float64.
    step : h of the central difference.
    seed : of r.

    Returns
    -------
    By "input" and by parameter name: max \\|analytic - numerical\\| / max(1, \\|numerical\\|).

    Raises
    ------
    PixgradError : x or a parameter is not float64, where differences would drown in rounding.

    Examples
    --------
    >>> from pixgrad.backprop import Linear
    >>> found = gradcheck(Linear(3, 2, dtype=np.float64), np.ones((4, 3)))
    >>> sorted(found), max(found.values()) < 1e-8
    (['bias', 'input', 'weight'], True)
    """
    number("step", step, least=np.finfo(float).eps)
    x = np.asarray(x)
    arrays = {"input": x, **layer.parameters()}
    for name, array in arrays.items():
        if array.dtype != np.float64:
            raise PixgradError(
                f"gradcheck: {name} имеет тип {array.dtype}, а конечным разностям нужен float64",
                f"gradcheck: {name} is {array.dtype}, and finite differences need float64",
            )
    probe, x = copy.deepcopy(layer), x.copy()
    y = probe.forward(x)
    r = np.random.default_rng(seed).standard_normal(y.shape)
    analytic = {"input": probe.backward(r), **probe.gradients()}

    def scalar() -> float:
        # A copy each time: dropout draws the same mask, batch norm keeps its statistics.
        return float(np.sum(r * copy.deepcopy(moved).forward(x)))

    moved = copy.deepcopy(layer)
    return {
        name: largest_difference(analytic[name], numerical_gradient(scalar, array, step))
        for name, array in {"input": x, **moved.parameters()}.items()
    }


def numerical_gradient(scalar, array: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """Central differences of ``scalar()`` by each element of ``array``, which it reads.

    Examples
    --------
    >>> x = np.array([1.0, 2.0, 3.0])
    >>> np.round(numerical_gradient(lambda: float((x**2).sum()), x), 6)
    array([2., 4., 6.])
    """
    gradient = np.empty_like(array)
    for index in np.ndindex(*array.shape):
        value = array[index]
        array[index] = value + step
        above = scalar()
        array[index] = value - step
        below = scalar()
        array[index] = value
        gradient[index] = (above - below) / (2 * step)
    return gradient


def largest_difference(analytic: np.ndarray, numerical: np.ndarray) -> float:
    """max \\|analytic - numerical\\| / max(1, \\|numerical\\|)."""
    scale = np.maximum(1, np.abs(numerical))
    return float(np.max(np.abs(analytic - numerical) / scale, initial=0))
