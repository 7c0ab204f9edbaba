"""Layers with hand-written gradients: the base class, activations, the linear one.

Conventions of the whole package: a batch is ``(N, C, H, W)`` or ``(N, features)``; ``forward(x)``
keeps what ``backward`` needs and nothing more; ``backward(dy)`` takes the gradient of the loss by
the layer's output, fills ``grads`` and returns the gradient by its input. Weights have the shapes
of PyTorch's, so they can be copied in either direction. What a layer is given `inputs` looks at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pixgrad.backprop.inputs import (
    Chance,
    ShapeError,
    checked_backward,
    checked_forward,
    floating_type,
    generator,
)
from pixgrad.checks import whole
from pixgrad.errors import PixgradError


class Layer:
    """A differentiable function with parameters.

    Attributes
    ----------
    weight, bias : parameters, or None where the layer has none.
    grads : gradients of the loss after ``backward``, under "weight" and "bias".
    training : True while training, False for prediction (batch norm and dropout differ).
    needs_input_grad : False lets the first layer of a network skip the gradient by the images;
        ``backward`` then returns None.
    name : how errors call the layer; a container adds the layer's place.

    Examples
    --------
    >>> class Double(Layer):
    ...     def forward(self, x):
    ...         return 2 * x
    ...     def backward(self, dy):
    ...         return 2 * dy
    ...
    >>> Double().forward([1, 2])
    array([2., 4.], dtype=float32)
    """

    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    training: bool = True
    needs_input_grad: bool = True
    buffers: tuple[str, ...] = ()
    """Names of arrays that are saved but not trained."""

    def __init__(self) -> None:
        self.grads: dict[str, np.ndarray] = {}
        self.name = type(self).__name__

    def __init_subclass__(cls) -> None:
        """Let both passes of every layer see only arrays that they were written for.

        Of containers, the layers inside do it.
        """
        if cls.children is Layer.children:
            for name, checked in (("forward", checked_forward), ("backward", checked_backward)):
                if name in vars(cls):
                    setattr(cls, name, checked(vars(cls)[name]))

    def forward(self, x: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def backward(self, dy: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def children(self) -> dict[str, Layer]:
        """The layers inside, by name (containers only)."""
        return {}

    def leaves(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """Yield ``(dotted name, layer)`` for each layer without children, in forward order."""
        if not self.children():
            yield prefix, self
        for name, child in self.children().items():
            yield from child.leaves(f"{prefix}.{name}" if prefix else name)

    def parameters(self) -> dict[str, np.ndarray]:
        """The trained arrays themselves (not copies), by names such as ``0.weight``."""
        return {
            _join(prefix, name): array
            for prefix, leaf in self.leaves()
            for name in ("weight", "bias")
            if (array := getattr(leaf, name)) is not None
        }

    def gradients(self) -> dict[str, np.ndarray]:
        """The gradients after ``backward``, under the names of ``parameters``."""
        return {
            _join(prefix, name): leaf._gradient(name)
            for prefix, leaf in self.leaves()
            for name in ("weight", "bias")
            if getattr(leaf, name) is not None
        }

    def state(self) -> dict[str, np.ndarray]:
        """Parameters and buffers: everything that must be saved."""
        buffers = {
            _join(prefix, name): getattr(leaf, name)
            for prefix, leaf in self.leaves()
            for name in leaf.buffers
        }
        return self.parameters() | buffers

    def train(self, mode: bool = True) -> None:
        """Switch this layer and all inside it to training (or, with False, to prediction)."""
        self.training = mode
        for child in self.children().values():
            child.train(mode)

    def modes(self) -> Iterator[Layer]:
        """This layer and all inside it, containers too."""
        yield self
        for child in self.children().values():
            yield from child.modes()

    def _gradient(self, name: str) -> np.ndarray:
        if name not in self.grads:
            raise PixgradError(
                f"слой {self.name}: градиентов ещё нет, сначала вызовите backward",
                f"layer {self.name}: no gradients yet, call backward first",
            )
        return self.grads[name]

    def _expect(self, ok: bool, expected: str, given: tuple[int, ...]) -> None:
        if not ok:
            raise ShapeError(
                f"слой {self.name}: ожидается вход {expected}, получен {given}",
                f"layer {self.name}: expected input {expected}, got {given}",
            )


class Linear(Layer):
    """y = x Wᵀ + b.

    Parameters
    ----------
    in_features, out_features : lengths of the input and output rows.
    dtype : of the parameters.
    rng : generator (or its seed) of the initial values, uniform in ±1/√fan_in as in PyTorch.
    bias : whether there is a b.

    Examples
    --------
    >>> layer = Linear(2, 1)
    >>> layer.weight[:], layer.bias[:] = [[1, 2]], 3
    >>> layer.forward(np.array([[10.0, 1.0]]))
    array([[15.]])
    >>> layer.backward(np.array([[1.0]]))
    array([[1., 2.]])
    >>> layer.grads["weight"]
    array([[10.,  1.]])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        dtype: np.typing.DTypeLike = np.float32,
        rng: Chance = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        out_features = whole("out_features", out_features)
        in_features = whole("in_features", in_features)
        self.name = f"Linear({in_features}, {out_features})"
        self.weight, self.bias = uniform_init(
            (out_features, in_features), in_features, dtype, generator(rng), bias
        )

    def forward(self, x: np.ndarray) -> np.ndarray:
        """(N, …, in_features) -> (N, …, out_features)."""
        n_out, n_in = self.weight.shape
        self._expect(x.ndim >= 2 and x.shape[-1] == n_in, f"(N, …, {n_in})", x.shape)
        self._shape, self._x = x.shape, x.reshape(-1, n_in)
        # The batch is the last axis in memory, as the convolutions leave it (see Conv2d).
        y = self.weight @ self._x.T
        if self.bias is not None:
            y += self.bias[:, None]
        return y.T.reshape(*x.shape[:-1], n_out)

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        dy = dy.reshape(-1, len(self.weight))
        self.grads["weight"] = dy.T @ self._x
        if self.bias is not None:
            self.grads["bias"] = dy.sum(axis=0)
        return (self.weight.T @ dy.T).T.reshape(self._shape) if self.needs_input_grad else None


class ReLU(Layer):
    """y = max(x, 0); the derivative at 0 is taken as 0.

    Examples
    --------
    >>> layer = ReLU()
    >>> layer.forward(np.array([-1.0, 2.0]))
    array([0., 2.])
    >>> layer.backward(np.array([5.0, 5.0]))
    array([0., 5.])
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._y = np.maximum(x, 0)
        return self._y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy * (self._y > 0)


class Sigmoid(Layer):
    """y = 1 / (1 + e⁻ˣ), computed so that e never overflows.

    Examples
    --------
    >>> Sigmoid().forward(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        e = np.exp(-np.abs(x))
        self._y = np.where(x >= 0, 1, e) / (1 + e)
        return self._y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy * self._y * (1 - self._y)


class Tanh(Layer):
    """y = tanh x.

    Examples
    --------
    >>> Tanh().forward(np.array([-1000.0, 0.0, 1000.0]))
    array([-1.,  0.,  1.])
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._y = np.tanh(x)
        return self._y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy * (1 - self._y**2)


class Softmax(Layer):
    """yₖ = eˣᵏ / Σⱼ eˣʲ over axis 1 (the classes).

    Examples
    --------
    >>> Softmax().forward(np.array([[0.0, 0.0], [1000.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._expect(x.ndim >= 2 and x.shape[1] > 0, "(N, K, …)", x.shape)
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self._y = e / e.sum(axis=1, keepdims=True)
        return self._y

    def backward(self, dy: np.ndarray) -> np.ndarray:
        inner = (dy * self._y).sum(axis=1, keepdims=True)
        return self._y * (dy - inner)


class Dropout(Layer):
    """Zero each value with probability p and divide the rest by 1 - p (training only).

    Srivastava et al. 2014, section 10 ("inverted" form: prediction is the identity).

    Examples
    --------
    >>> layer = Dropout(0.5, rng=0)
    >>> layer.forward(np.ones((1, 4)))
    array([[2., 0., 0., 0.]])
    >>> layer.train(False)
    >>> layer.forward(np.ones((1, 4)))
    array([[1., 1., 1., 1.]])
    """

    def __init__(self, p: float = 0.5, rng: Chance = None) -> None:
        super().__init__()
        if isinstance(p, str) or not 0 <= p < 1:
            raise PixgradError(
                f"слой Dropout: p = {p!r}, а нужно 0 ≤ p < 1",
                f"layer Dropout: p = {p!r}, not in 0 ≤ p < 1",
            )
        self.p = p
        self.rng = generator(rng)

    def forward(self, x: np.ndarray) -> np.ndarray:
        self._mask = None
        if not self.training:
            return x
        self._mask = (self.rng.random(x.shape) >= self.p) / x.dtype.type(1 - self.p)
        return x * self._mask

    def backward(self, dy: np.ndarray) -> np.ndarray:
        return dy if self._mask is None else dy * self._mask


def uniform_init(
    shape: tuple[int, ...],
    fan_in: int,
    dtype: np.typing.DTypeLike,
    rng: np.random.Generator,
    bias: bool = True,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Weight of ``shape`` and bias of ``shape[0]``, uniform in ±1/√fan_in (PyTorch's default)."""
    bound, dtype = 1 / math.sqrt(fan_in), floating_type(dtype)
    weight = rng.uniform(-bound, bound, shape).astype(dtype)
    return weight, rng.uniform(-bound, bound, shape[0]).astype(dtype) if bias else None


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name
