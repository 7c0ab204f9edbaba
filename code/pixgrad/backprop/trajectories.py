"""Optimisers on functions of two variables, and their steps beside PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from pixgrad.backprop.optimisers import Optimiser

MakeOptimiser = Callable[[dict[str, np.ndarray], float], Optimiser]
"""(parameters, learning rate) -> optimiser."""


@dataclass(frozen=True)
class Landscape:
    """A function of two variables with its gradient and its minimum of value 0.

    Attributes
    ----------
    value : (2, …) -> (…).
    gradient : (2,) -> (2,).
    start : where descents begin, (2,).
    minimum : (2,).
    """

    value: Callable[[np.ndarray], np.ndarray]
    gradient: Callable[[np.ndarray], np.ndarray]
    start: tuple[float, float]
    minimum: tuple[float, float]


def ravine(condition: float = 100.0) -> Landscape:
    """f = (x² + κ y²) / 2: the Hessian's eigenvalues are 1 and κ."""
    scales = np.array([1.0, condition])
    return Landscape(
        value=lambda p: (p[0] ** 2 + condition * p[1] ** 2) / 2,
        gradient=lambda p: scales * p,
        start=(-2.0, 0.5),
        minimum=(0.0, 0.0),
    )


def rosenbrock() -> Landscape:
    """f = (1 - x)² + 100 (y - x²)²: a curved narrow valley (Rosenbrock 1960)."""
    return Landscape(
        value=lambda p: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2,
        gradient=lambda p: np.array(
            [
                -2 * (1 - p[0]) - 400 * p[0] * (p[1] - p[0] ** 2),
                200 * (p[1] - p[0] ** 2),
            ]
        ),
        start=(-1.2, 1.0),
        minimum=(1.0, 1.0),
    )


def trajectory(landscape: Landscape, make: MakeOptimiser, lr: float, steps: int) -> np.ndarray:
    """The path of an optimiser from the landscape's start, (steps + 1, 2).

    After a point that is not finite, or farther than 1e6 away, all points are NaN: it diverged.
    """
    point = np.array(landscape.start)
    optimiser = make({"point": point}, lr)
    path = np.full((steps + 1, 2), np.nan)
    path[0] = point
    for step in range(1, steps + 1):
        optimiser.step({"point": landscape.gradient(point)})
        if not np.abs(point).max() < 1e6:
            break
        path[step] = point
    return path


def steps_to_reach(landscape: Landscape, path: np.ndarray, tolerance: float) -> int | None:
    """The first step after which the value stays below ``tolerance``, None if there is none."""
    low = landscape.value(path.T) < tolerance
    reached = int(np.flatnonzero(~low).max(initial=-1)) + 1
    return reached if reached < len(path) else None


def fastest_rate(
    landscape: Landscape,
    make: MakeOptimiser,
    rates: Iterable[float],
    steps: int,
    tolerance: float,
) -> tuple[float, np.ndarray]:
    """The learning rate that reaches ``tolerance`` first (else ends lowest), and its path."""

    def rank(tried: tuple[float, np.ndarray]) -> tuple[float, float]:
        _, path = tried
        reached = steps_to_reach(landscape, path, tolerance)
        last = float(landscape.value(path[-1]))
        return (
            np.inf if reached is None else reached,
            np.inf if np.isnan(last) else last,
        )

    return min(((lr, trajectory(landscape, make, lr, steps)) for lr in rates), key=rank)


def difference_from_torch(
    optimiser: Optimiser, torch_class: type, steps: int = 1000, seed: int = 0, **arguments: float
) -> float:
    """Follow the same random gradients with our optimiser and with PyTorch's, in float64.

    Parameters
    ----------
    optimiser : ours; its parameters are moved.
    torch_class : of ``torch.optim``.
    arguments : of ``torch_class``.

    Returns
    -------
    The largest \\|ours - PyTorch's\\| over all steps and parameters.
    """
    import torch

    rng = np.random.default_rng(seed)
    twins = {name: torch.from_numpy(a.copy()) for name, a in optimiser.parameters.items()}
    twin = torch_class(list(twins.values()), lr=optimiser.lr, **arguments)
    differences = []
    for _ in range(steps):
        # Gradients of very different sizes, as layers of a network have them.
        gradients = {
            name: rng.standard_normal(a.shape) * 10 ** rng.uniform(-4, 1, a.shape)
            for name, a in optimiser.parameters.items()
        }
        for name, tensor in twins.items():
            tensor.grad = torch.from_numpy(gradients[name].copy())
        optimiser.step(gradients)
        twin.step()
        differences += [
            np.abs(array - twins[name].numpy()).max()
            for name, array in optimiser.parameters.items()
        ]
    return float(np.max(differences))  # unlike max(), keeps a NaN


def step_sizes(
    make: MakeOptimiser, steps: int, spike_at: int, spike: float, weights: int = 400, seed: int = 0
) -> np.ndarray:
    """How far each weight moves when its gradients are standard normal but for one outlier.

    Parameters
    ----------
    make : optimiser, called with a learning rate of 1.
    spike_at : number of the step (from 0) whose gradients are ±``spike``, the outlier S.

    Returns
    -------
    (steps, weights) \\|Δθ\\|, in units of the learning rate.
    """
    rng = np.random.default_rng(seed)
    theta = np.zeros(weights)
    optimiser = make({"theta": theta}, 1.0)
    gradients = rng.standard_normal((steps, weights))
    gradients[spike_at] = spike * np.sign(gradients[spike_at])
    path = [theta.copy()]
    for g in gradients:
        optimiser.step({"theta": g})
        path.append(theta.copy())
    return np.abs(np.diff(path, axis=0))


def norm_average(gradients: np.ndarray, beta: float, p: float) -> np.ndarray:
    """The moving average of \\|g\\|ᵖ with weight βᵖ, brought back by the p-th root; p may be ∞.

    vₜ = βᵖ vₜ₋₁ + (1 - βᵖ) \\|gₜ\\|ᵖ and vₜ^(1/p); for p = ∞ it is uₜ = max(β uₜ₋₁, \\|gₜ\\|).
    Kingma and Ba 2015, section 7.1, formulas (6) to (11). Computed on a logarithmic scale, as
    \\|g\\|ᵖ itself would overflow.

    Parameters
    ----------
    gradients : (T,).

    Returns
    -------
    (T,).
    """
    with np.errstate(divide="ignore"):
        sizes = np.log(np.abs(gradients))
    average, averages = -np.inf, []  # ln of the p-th root
    for size in sizes:
        old = np.log(beta) + average
        if np.isinf(p):
            average = max(old, size)
        else:
            average = np.logaddexp(p * old, np.log1p(-(beta**p)) + p * size) / p
        averages.append(average)
    return np.exp(averages)
