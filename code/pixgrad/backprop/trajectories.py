"""Optimisers on functions of two variables, and their steps beside PyTorch's."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pixgrad.backprop.optimisers import Optimiser
from pixgrad.errors import PixgradError

MakeOptimiser = Callable[[dict[str, np.ndarray], float], Optimiser]
"""(parameters, learning rate) -> optimiser."""


@dataclass(frozen=True)
class Landscape:
    """A function of two variables with its gradient and its minimum of value 0.

    Attributes
    ----------
    value : (2, …) -> (…).
    gradient : (2, …) -> (2, …).
    start : where descents begin, (2,).
    minimum : (2,).
    """

    value: Callable[[np.ndarray], np.ndarray]
    gradient: Callable[[np.ndarray], np.ndarray]
    start: tuple[float, float]
    minimum: tuple[float, float]


def ravine(condition: float = 100.0) -> Landscape:
    """f = (x² + κ y²) / 2: the Hessian's eigenvalues are 1 and κ."""
    return Landscape(
        value=lambda p: (p[0] ** 2 + condition * p[1] ** 2) / 2,
        gradient=lambda p: np.stack([p[0], condition * p[1]]),
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


def trajectory(
    landscape: Landscape, make: MakeOptimiser, lr: float | np.ndarray, steps: int
) -> np.ndarray:
    """The path of an optimiser from the landscape's start, (steps + 1, 2).

    After a point that is not finite, or farther than 1e6 away, all points are NaN: it diverged.
    Many learning rates, (R,), are followed side by side: (steps + 1, 2, R).
    """
    lr = np.asarray(lr, dtype=float)
    point = np.ones((2, *lr.shape)) * np.reshape(landscape.start, (2,) + (1,) * lr.ndim)
    optimiser = make({"point": point}, lr)
    path = np.full((steps + 1, *point.shape), np.nan)
    path[0] = point
    for step in range(1, steps + 1):
        optimiser.step({"point": landscape.gradient(point)})
        point[:, ~(np.abs(point).max(axis=0) < 1e6)] = np.nan
        if np.isnan(point).all():
            break
        path[step] = point
    return path


def steps_to_reach(landscape: Landscape, path: np.ndarray, tolerance: float) -> int | None:
    """The first step after which the value stays below ``tolerance``, None if there is none."""
    low = landscape.value(path.T) < tolerance
    reached = int(np.flatnonzero(~low).max(initial=-1)) + 1
    return reached if reached < len(path) else None


@dataclass(frozen=True)
class RateSearch:
    """Descents of one optimiser at many learning rates.

    Attributes
    ----------
    rates : (R,).
    steps : (R,) by ``steps_to_reach``; ∞ where the tolerance is not reached for good.
    best : number of the rate that reaches it first (else ends lowest).
    path : at the best rate, (steps + 1, 2).
    """

    rates: np.ndarray
    steps: np.ndarray
    best: int
    path: np.ndarray


def search_rates(
    landscape: Landscape, make: MakeOptimiser, rates: np.ndarray, steps: int, tolerance: float
) -> RateSearch:
    """Descend at every rate for so many steps, and see which gets to ``tolerance`` first."""
    rates = np.asarray(rates)
    paths = trajectory(landscape, make, rates, steps)
    found = [steps_to_reach(landscape, path, tolerance) for path in np.moveaxis(paths, 2, 0)]
    reached = np.array([np.inf if step is None else step for step in found])
    last = np.nan_to_num(landscape.value(paths[-1]), nan=np.inf)
    best = int(np.lexsort((last, reached))[0])
    return RateSearch(rates, reached, best, paths[:, :, best])


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


def constant_steps(make: MakeOptimiser, count: int) -> np.ndarray:
    """Lengths of the first steps in units of the learning rate under a gradient of 1: (count,)."""
    theta, lr, places = {"w": np.zeros(1)}, 1e-3, [0.0]
    optimiser = make(theta, lr)
    for _ in range(count):
        optimiser.step({"w": np.ones(1)})
        places.append(float(theta["w"][0]))
    return np.abs(np.diff(places)) / lr


def step_sizes(
    make: MakeOptimiser,
    steps: int,
    spike_at: int,
    spike: float | np.ndarray,
    weights: int = 400,
    seed: int = 0,
) -> np.ndarray:
    """How far each weight moves when its gradients are standard normal but for one outlier.

    Parameters
    ----------
    make : optimiser, called with a learning rate of 1.
    spike_at : number of the step (from 0) whose gradients are ±``spike``, the outlier S; of many
        outliers (K,) each moves weights of its own, all other gradients being the same.

    Returns
    -------
    (steps, weights) or (steps, K, weights) \\|Δθ\\|, in units of the learning rate.
    """
    rng = np.random.default_rng(seed)
    spike = np.asarray(spike)[..., None]
    theta = np.zeros((*spike.shape[:-1], weights))
    optimiser = make({"theta": theta}, 1.0)
    path = [theta.copy()]
    for step, g in enumerate(rng.standard_normal((steps, weights))):
        g = spike * np.sign(g) if step == spike_at else g
        optimiser.step({"theta": np.broadcast_to(g, theta.shape)})
        path.append(theta.copy())
    return np.abs(np.diff(path, axis=0))


@dataclass(frozen=True)
class Recovery:
    """What an outlier did to the median step of the weights, see ``recovery``.

    Attributes
    ----------
    jump : the step at the outlier itself, in units of the learning rate.
    shrunk : how many times shorter than usual the step is once m has forgotten the outlier.
    steps : after how many steps it is back at half its usual length.
    """

    jump: float
    shrunk: float
    steps: int


def recovery(sizes: np.ndarray, spike_at: int, smooth: int = 50, calm: int = 150) -> Recovery:
    """Measure the recovery after an outlier on the steps (steps, weights) of ``step_sizes``.

    The median over weights is averaged over ``smooth`` steps; it is looked at from ``calm`` steps
    after the outlier on, when m has forgotten it (0.9¹⁵⁰ ≈ 10⁻⁷).
    """
    median = np.median(sizes, axis=-1)
    middle = np.convolve(median, np.ones(smooth) / smooth, mode="same")
    usual = np.median(middle[spike_at // 2 : spike_at - smooth])
    later = middle[spike_at + calm :]
    woken = later > usual / 2
    if not woken.any():
        after = len(sizes) - spike_at
        raise PixgradError(
            f"через {after} шагов после выброса шаг ещё короче половины обычного",
            f"{after} steps after the outlier the step is still under half of its usual length",
        )
    return Recovery(float(median[spike_at]), float(usual / later[0]), calm + int(np.argmax(woken)))


def expected_recovery(
    spike: float | np.ndarray, beta: float, usual_u: float
) -> tuple[np.ndarray, np.ndarray]:
    """Steps until Adam's and AdaMax's denominators are at most twice their usual size.

    The gradients' mean square is 1, the outlier is ``spike`` = S. √(1 + S² (1 - β) βᵗ) = 2 and
    S βᵗ = 2 u; 0 where the outlier is too small to matter.

    Parameters
    ----------
    usual_u : u of AdaMax without the outlier.
    """
    spike = np.asarray(spike, dtype=float)
    adam = np.log(spike**2 * (1 - beta) / 3)
    adamax = np.log(spike / (2 * usual_u))
    return np.maximum(adam, 0) / -np.log(beta), np.maximum(adamax, 0) / -np.log(beta)


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
