"""Batch normalisation."""

import numpy as np

from pixgrad.backprop.inputs import floating_type
from pixgrad.backprop.layers import Layer
from pixgrad.checks import number, whole
from pixgrad.errors import say

_AXES = (0, 2, 3)


class BatchNorm2d(Layer):
    """Each channel minus its mean, over its deviation, then scaled and shifted.

    y = γ (x - μ) / √(σ² + ε) + β, with μ and σ² of the batch while training and their running
    estimates in prediction. Ioffe and Szegedy 2015 (arXiv:1502.03167), algorithms 1 and 2.

    Parameters
    ----------
    num_features : channels C.
    dtype : of the parameters.
    eps : added to the variance (ε of the paper).
    momentum : share of the new batch in the running statistics.

    Attributes
    ----------
    weight, bias : γ and β, (C,).
    running_mean, running_var : (C,); the variance is the unbiased one, as in PyTorch.

    Examples
    --------
    >>> layer = BatchNorm2d(1, np.float64, eps=0)
    >>> layer.forward(np.array([[[[0.0, 2.0]]], [[[4.0, 6.0]]]])).ravel().round(3)
    array([-1.342, -0.447,  0.447,  1.342])
    >>> layer.running_mean
    array([0.3])
    """

    buffers = ("running_mean", "running_var")

    def __init__(
        self,
        num_features: int,
        dtype: np.typing.DTypeLike = np.float32,
        eps: float = 1e-5,
        momentum: float = 0.1,
    ) -> None:
        super().__init__()
        self.eps, self.momentum = number("eps", eps), number("momentum", momentum, most=1)
        num_features, dtype = whole("num_features", num_features), floating_type(dtype)
        self.name = f"BatchNorm2d({num_features})"
        self.weight = np.ones(num_features, dtype)
        self.bias = np.zeros(num_features, dtype)
        self.running_mean = np.zeros(num_features, dtype)
        self.running_var = np.ones(num_features, dtype)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """(N, C, H, W) -> the same shape."""
        c = len(self.weight)
        self._of_batch = self.training
        self._expect(x.ndim == 4 and x.shape[1] == c, f"(N, {c}, H, W)", x.shape)
        if self.training:
            count = x.size // c
            expected = say(
                f"(N, {c}, H, W) с N·H·W > 1 (нужна дисперсия)",
                f"(N, {c}, H, W) with N·H·W > 1 (there must be a variance)",
            )
            self._expect(count > 1, expected, x.shape)
            mean, var = x.mean(axis=_AXES), x.var(axis=_AXES)
            self.running_mean += self.momentum * (mean - self.running_mean)
            self.running_var += self.momentum * (var * (count / (count - 1)) - self.running_var)
        else:
            mean, var = self.running_mean, self.running_var
        self._inv_std = 1 / np.sqrt(var + x.dtype.type(self.eps))
        self._normalised = (x - _spread(mean)) * _spread(self._inv_std)
        return _spread(self.weight) * self._normalised + _spread(self.bias)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Through μ and σ² too if they were the batch's: both depend on every x of the channel."""
        self.grads["bias"] = dy.sum(axis=_AXES)
        self.grads["weight"] = (dy * self._normalised).sum(axis=_AXES)
        scale = _spread(self.weight * self._inv_std)
        if not self._of_batch:
            return scale * dy
        count = dy.size // len(self.weight)
        mean_dy = _spread(self.grads["bias"] / count)
        mean_product = _spread(self.grads["weight"] / count)
        return scale * (dy - mean_dy - self._normalised * mean_product)


def _spread(v: np.ndarray) -> np.ndarray:
    """(C,) -> (1, C, 1, 1)."""
    return v.reshape(1, -1, 1, 1)
