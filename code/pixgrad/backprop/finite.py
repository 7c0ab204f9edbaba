"""Which layer was the first to produce NaN or infinity."""

from collections.abc import Callable, Iterable
from typing import NoReturn

import numpy as np

from pixgrad.backprop.layers import Layer
from pixgrad.backprop.losses import MSE, CrossEntropy
from pixgrad.errors import PixgradError, say


class NonFiniteError(PixgradError):
    """NaN or infinity appeared; the message names the layer that first produced it.

    Examples
    --------
    >>> from pixgrad.backprop import Adam, Linear, train_step
    >>> net = Linear(1, 1, rng=0)
    >>> train_step(net, MSE(), Adam(net.parameters()), np.array([[np.nan]]), np.array([[0.0]]))
    Traceback (most recent call last):
        ...
    pixgrad.backprop.finite.NonFiniteError: NaN или бесконечность уже во входных данных сети
    """


def all_finite(arrays: Iterable[np.ndarray]) -> bool:
    """True if no array holds NaN or infinity."""
    return all(np.isfinite(array).all() for array in arrays)


def raise_first_nonfinite(
    model: Layer, loss: CrossEntropy | MSE, x: np.ndarray, target: np.ndarray
) -> NoReturn:
    """Repeat a step that went wrong, looking at every output and gradient on the way.

    Raises
    ------
    NonFiniteError : always; it names the layer and the pass (forward or backward), or the data if
        they are not finite, or the loss if nothing before it went wrong this time.

    Examples
    --------
    >>> from pixgrad.backprop import Linear, Sequential
    >>> net = Sequential(Linear(1, 1), Linear(1, 1))
    >>> net.layers[1].bias[:] = np.inf
    >>> try:
    ...     raise_first_nonfinite(net, MSE(), np.array([[1.0]]), np.array([[0.0]]))
    ... except NonFiniteError as error:
    ...     print(str(error).split(";")[0])
    ...
    слой 1: Linear(1, 1), прямой проход: появилось NaN или бесконечность
    """
    if not all_finite([x]):
        raise NonFiniteError(
            "NaN или бесконечность уже во входных данных сети",
            "NaN or infinity is already in the input of the network",
        )
    watched = [leaf for _, leaf in model.leaves()]
    for leaf in watched:
        leaf.forward = _watch(leaf, leaf.forward, say("прямой проход", "forward"))
        leaf.backward = _watch(leaf, leaf.backward, say("обратный проход", "backward"), True)
    try:
        with np.errstate(all="ignore"):
            value = loss.forward(model.forward(x), target)
            model.backward(loss.backward())
    finally:
        for leaf in watched:
            del leaf.forward, leaf.backward
    raise NonFiniteError(
        f"потери или градиент стали NaN или бесконечностью (повторный проход: потери {value:g}, "
        "слои в порядке — у dropout новая маска); уменьшите скорость обучения или проверьте данные",
        f"the loss or a gradient became NaN or infinite (a second pass: loss {value:g}, no layer "
        "went wrong, dropout having a new mask); lower the learning rate or look at the data",
    )


def _watch(leaf: Layer, function: Callable, phase: str, back: bool = False) -> Callable:
    def checked(*arrays: np.ndarray) -> np.ndarray | tuple[np.ndarray, ...] | None:
        result = function(*arrays)
        made = result if isinstance(result, tuple) else (result,)
        if back:
            made += tuple(leaf.grads.values())
        if not all_finite(array for array in made if array is not None):
            raise NonFiniteError(
                f"слой {leaf.name}, {phase}: появилось NaN или бесконечность; "
                "уменьшите скорость обучения или проверьте данные",
                f"layer {leaf.name}, {phase}: NaN or infinity appeared; "
                "lower the learning rate or look at the data",
            )
        return result

    return checked
