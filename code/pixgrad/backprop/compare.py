"""The table that a hand-written gradient has to pass: against PyTorch and finite differences."""

from dataclasses import dataclass

import numpy as np

from pixgrad.backprop.gradcheck import gradcheck, largest_difference, numerical_gradient
from pixgrad.backprop.layers import Layer
from pixgrad.backprop.losses import MSE, CrossEntropy


@dataclass(frozen=True)
class GradientCheck:
    """One hand-written gradient.

    Attributes
    ----------
    layer : name of the layer or loss.
    gradient : "input", "weight" or "bias".
    torch_difference : max \\|ours - PyTorch's\\|.
    finite_difference : max \\|ours - central difference\\| / max(1, \\|central difference\\|).
    """

    layer: str
    gradient: str
    torch_difference: float
    finite_difference: float


def compare_layer(layer: Layer, x: np.ndarray, module, seed: int = 0) -> list[GradientCheck]:
    """Compare all gradients of a float64 ``layer`` at ``x`` with those of a ``torch.nn.Module``.

    Parameters
    ----------
    layer : ours; its weight and bias are copied into ``module``.
    x : input, float64.
    module : PyTorch's counterpart in float64, without randomness.
    seed : of the gradient dy that arrives from above.
    """
    import torch

    weights = {name: torch.from_numpy(array) for name, array in layer.parameters().items()}
    module.load_state_dict(weights, strict=False)  # running statistics stay
    x_torch = torch.from_numpy(x.copy()).requires_grad_()
    dy = np.random.default_rng(seed).standard_normal(layer.forward(x).shape)
    module(x_torch).backward(torch.from_numpy(dy))
    ours = {"input": layer.backward(dy), **layer.grads}
    theirs = {"input": x_torch.grad}
    theirs |= {name: getattr(module, name).grad for name in layer.grads}
    numerical = gradcheck(layer, x, seed=seed)
    return [
        _compare(layer.name, name, gradient, theirs[name].numpy(), numerical[name])
        for name, gradient in ours.items()
    ]


def compare_loss(
    loss: CrossEntropy | MSE, prediction: np.ndarray, target: np.ndarray, step: float = 1e-5
) -> GradientCheck:
    """The same for a loss function and its gradient by ``prediction`` (N, K), float64."""
    import torch
    from torch.nn import functional

    function = functional.cross_entropy if isinstance(loss, CrossEntropy) else functional.mse_loss
    prediction_torch = torch.from_numpy(prediction.copy()).requires_grad_()
    function(prediction_torch, torch.from_numpy(target)).backward()
    loss.forward(prediction, target)
    ours = loss.backward()
    moved = prediction.copy()
    numerical = numerical_gradient(lambda: loss.forward(moved, target), moved, step)
    worst = largest_difference(ours, numerical)
    return _compare(type(loss).__name__, "input", ours, prediction_torch.grad.numpy(), worst)


def difference_errors(points: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """How wrong central differences themselves are, for each step h.

    Of the bell f(x) = 1 / (1 + x²): four operations that every processor rounds alike, so the error
    of rounding is the same everywhere.

    Parameters
    ----------
    points : x, (P,), of any float type.
    steps : h, (S,).

    Returns
    -------
    (S,) max \\|central difference - f'(x)\\| over the points, divided by max \\|f'(x)\\|;
    the difference in the precision of the points, f' in float64.
    """

    def bell(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + x * x)

    x = points.astype(np.float64)
    slope = -2 * x * bell(x) * bell(x)
    h = steps.astype(points.dtype)[:, None]
    found = (bell(points + h) - bell(points - h)) / (2 * h)
    return np.max(np.abs(found - slope), axis=1) / np.max(np.abs(slope))


def _compare(
    layer: str, gradient: str, ours: np.ndarray, theirs: np.ndarray, finite_difference: float
) -> GradientCheck:
    difference = float(np.max(np.abs(ours - theirs)))
    return GradientCheck(layer, gradient, difference, finite_difference)
