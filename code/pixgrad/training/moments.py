"""What Adam and AdaMax remember of past gradients, and the steps that follow from it.

Both divide the mean gradient m̂ by a scale of the gradients seen so far: Adam by the root of a mean
square, √v̂ + ε, AdaMax by a slowly decaying maximum, u. Steps are given in units of the learning
rate α: the change of a parameter is -α m̂ / scale.

References
----------
Kingma, Ba, "Adam: a method for stochastic optimization" (2015), algorithms 1 and 2, section 2.1.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

HISTOGRAM_EDGES = np.linspace(-4, 1, 41)
"""Edges of the bins of ``log_histogram``: powers of ten."""


def scale(optimiser: torch.optim.Adam | torch.optim.Adamax, parameter: Tensor) -> Tensor:
    """What the last step divided the mean gradient of a parameter by, shaped as the parameter."""
    kept = optimiser.state[parameter]
    if isinstance(optimiser, torch.optim.Adamax):
        return kept["exp_inf"]
    (group,) = optimiser.param_groups
    correction = 1 - group["betas"][1] ** kept["step"].item()
    return (kept["exp_avg_sq"] / correction).sqrt() + group["eps"]


def last_step(optimiser: torch.optim.Adam | torch.optim.Adamax, parameter: Tensor) -> Tensor:
    """The last step of a parameter in units of the learning rate, without its sign: m̂ / scale."""
    kept = optimiser.state[parameter]
    (group,) = optimiser.param_groups
    correction = 1 - group["betas"][0] ** kept["step"].item()
    return kept["exp_avg"] / correction / scale(optimiser, parameter)


def log_histogram(values: Tensor) -> np.ndarray:
    """Shares of the values by lg |value|, float64 (40,); the outer bins take what lies beyond."""
    edges = torch.from_numpy(HISTOGRAM_EDGES[1:-1]).float()
    bins = torch.bucketize(values.abs().log10().flatten(), edges, right=True)
    return torch.bincount(bins, minlength=len(edges) + 1).double().numpy() / values.numel()


def after_spike(
    optimiser: Literal["adam", "adamax"],
    spike: float,
    at: int,
    steps: int,
    betas: tuple[float, float] = (0.9, 0.999),
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and step of one parameter whose gradient is 1 always and ``spike`` once.

    With n = t - at steps since the spike K, from n = 0 on, and ε = 0:

    * Adam: v̂ = 1 + (K² - 1) (1 - β₂) β₂ⁿ / (1 - β₂ᵗ);
    * AdaMax: u = max(1, K β₂ⁿ);
    * both: m̂ = 1 + (K - 1) (1 - β₁) β₁ⁿ / (1 - β₁ᵗ).

    Long after the start a huge K moves Adam by at most (1 - β₁) / √(1 - β₂) steps of α at once and
    raises its scale K √(1 - β₂) times; AdaMax moves by less than one α, but its scale grows K times
    and is back after ln K / (1 - β₂) steps.

    Parameters
    ----------
    spike : K >= 1.
    at : number of the step with the spike, from 1.

    Returns
    -------
    scale √v̂ or u, and the step m̂ / scale in units of α, each float64 (steps,), for t = 1 … steps.
    """
    b1, b2 = betas
    t = np.arange(1, steps + 1)
    n = np.maximum(t - at, 0)
    happened = t >= at
    mean = 1 + happened * (spike - 1) * (1 - b1) * b1**n / (1 - b1**t)
    if optimiser == "adam":
        scale = np.sqrt(1 + happened * (spike**2 - 1) * (1 - b2) * b2**n / (1 - b2**t))
    else:
        scale = np.maximum(1, happened * spike * b2**n)
    return scale, mean / scale
