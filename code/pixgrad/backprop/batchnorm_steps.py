"""Batch normalisation of one channel, one elementary operation after another."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Steps:
    """The graph of the layer: a node is one operation.

    Attributes
    ----------
    values : by node: "x", "mean", "centred", "variance", "inv_std", "normalised", "weight", "bias",
        "y"; those of x's shape (m,) or numbers.
    arriving : (node, its successor) -> what comes back along this arrow, of the node's shape.
    """

    values: dict[str, np.ndarray]
    arriving: dict[tuple[str, str], np.ndarray]

    def gradient(self, node: str) -> np.ndarray:
        """∂L/∂node: the sum over the arrows that leave it."""
        return sum(of for (start, _), of in self.arriving.items() if start == node)


def batchnorm_steps(
    x: np.ndarray, weight: float, bias: float, dy: np.ndarray, eps: float = 0.0
) -> Steps:
    """Forward, then back along every arrow.

    What :class:`pixgrad.backprop.BatchNorm2d` does in one formula. Ioffe and Szegedy 2015
    (arXiv:1502.03167), section 3.

    Parameters
    ----------
    x, dy : the channel's input and ∂L/∂y, (m,).
    weight, bias, eps : γ, β, ε.
    """
    mean = x.mean()
    centred = x - mean
    variance = (centred**2).mean()
    inv_std = (variance + eps) ** -0.5
    normalised = centred * inv_std
    y = weight * normalised + bias

    d_normalised = dy * weight
    d_inv_std = (d_normalised * centred).sum()
    d_variance = d_inv_std * -0.5 * inv_std**3
    through_variance = d_variance * 2 * centred / len(x)
    d_centred = d_normalised * inv_std + through_variance
    d_mean = -d_centred.sum()
    values = {
        "x": x, "mean": mean, "centred": centred, "variance": variance, "inv_std": inv_std,
        "normalised": normalised, "weight": np.asarray(weight), "bias": np.asarray(bias), "y": y,
    }  # fmt: skip
    arriving = {
        ("y", "L"): dy, ("bias", "y"): dy.sum(), ("weight", "y"): (dy * normalised).sum(),
        ("normalised", "y"): d_normalised, ("inv_std", "normalised"): d_inv_std,
        ("variance", "inv_std"): d_variance, ("centred", "normalised"): d_normalised * inv_std,
        ("centred", "variance"): through_variance, ("mean", "centred"): d_mean,
        ("x", "centred"): d_centred, ("x", "mean"): np.full_like(x, d_mean / len(x)),
    }  # fmt: skip
    return Steps(values, arriving)
