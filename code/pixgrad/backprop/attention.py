"""One head of self-attention with its gradient by hand.

Reference: Vaswani et al., "Attention is all you need" (2017), section 3.2.1.
"""

import math

import numpy as np

from pixgrad.backprop.inputs import Chance, generator
from pixgrad.backprop.layers import Layer, uniform_init
from pixgrad.checks import whole


class Attention(Layer):
    """Y = softmax(Q Kᵀ / √C_Q) V with Q = X W_Qᵀ, K = X W_Kᵀ, V = X W_Vᵀ.

    Parameters
    ----------
    in_features : C, numbers in a token.
    head_features : C_Q, numbers in a query, a key and a value.
    dtype, rng : of the initial weights, as for ``Linear``.

    Attributes
    ----------
    weight : W_Q, W_K and W_V one above another, (3 C_Q, C).
    shares : A, the attention of the last forward pass, (images, N, N); its rows add up to 1.

    Examples
    --------
    >>> layer = Attention(4, 2, rng=0)
    >>> layer.forward(np.zeros((1, 3, 4))).shape
    (1, 3, 2)
    >>> layer.shares[0, 0].round(3)
    array([0.333, 0.333, 0.333])
    """

    shares: np.ndarray

    def __init__(
        self,
        in_features: int,
        head_features: int,
        dtype: np.typing.DTypeLike = np.float32,
        rng: Chance = None,
    ) -> None:
        super().__init__()
        in_features = whole("in_features", in_features)
        head_features = whole("head_features", head_features)
        self.name = f"Attention({in_features}, {head_features})"
        shape = (3 * head_features, in_features)
        self.weight, _ = uniform_init(shape, in_features, dtype, generator(rng))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """(images, N, C) -> (images, N, C_Q)."""
        n_in = self.weight.shape[1]
        fits = x.ndim == 3 and x.shape[1] > 0 and x.shape[2] == n_in
        self._expect(fits, f"(images, N, {n_in})", x.shape)
        self._x = x
        self._q, self._k, self._v = np.split(x @ self.weight.T, 3, axis=2)
        scores = self._q @ self._k.swapaxes(1, 2) * self._scale
        e = np.exp(scores - scores.max(axis=2, keepdims=True))
        self.shares = e / e.sum(axis=2, keepdims=True)
        return self.shares @ self._v

    def backward(self, dy: np.ndarray) -> np.ndarray:
        a = self.shares
        dv = a.swapaxes(1, 2) @ dy
        da = dy @ self._v.swapaxes(1, 2)
        scores = a * (da - (da * a).sum(axis=2, keepdims=True))  # through softmax
        dq = scores @ self._k * self._scale
        dk = scores.swapaxes(1, 2) @ self._q * self._scale
        joined = np.concatenate([dq, dk, dv], axis=2)
        self.grads["weight"] = np.einsum("nte,ntd->ed", joined, self._x)
        return joined @ self.weight

    @property
    def _scale(self) -> float:
        return 1 / math.sqrt(self.weight.shape[0] // 3)


def torch_twin(in_features: int, head_features: int):
    """The same head as a ``torch.nn.Module`` of float64 with the fused kernel, for comparisons."""
    import torch
    from torch.nn.functional import linear, scaled_dot_product_attention

    class Head(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            shape = (3 * head_features, in_features)
            self.weight = torch.nn.Parameter(torch.empty(shape, dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return scaled_dot_product_attention(*linear(x, self.weight).chunk(3, dim=2))

    return Head()
