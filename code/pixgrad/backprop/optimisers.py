"""From gradient descent to Adam and its relatives: AdaGrad, RMSProp, AMSGrad, AdamW, AdaMax.

An optimiser changes the arrays it was given in place. Weight decay is the L2 penalty added to the
gradient, as in PyTorch's classes of the same names, but for AdamW's. Symbols are those of Kingma
and Ba 2015 (arXiv:1412.6980): g gradient, m and v (or u) moments, α step size, t step number.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from pixgrad.backprop.inputs import ShapeError
from pixgrad.errors import PixgradError

Arrays = Mapping[str, np.ndarray]


class Optimiser:
    """What optimisers share.

    Parameters
    ----------
    parameters : arrays to change in place, by name.
    lr : step size α; may be changed between steps.
    weight_decay : λ; λθ is added to the gradient.

    Examples
    --------
    >>> theta = {"w": np.array([1.0])}
    >>> optimiser = SGD(theta, lr=0.1)
    >>> optimiser.step({"w": np.array([2.0])})
    >>> theta["w"], sorted(optimiser.state())
    (array([0.8]), ['m.w', 't'])
    """

    moments: tuple[str, ...] = ()
    """Names of the running averages kept for each parameter."""
    decoupled = False
    """Whether weight decay goes round the gradient, straight into the weights."""

    def __init__(self, parameters: Arrays, lr: float, weight_decay: float = 0.0) -> None:
        for name, array in parameters.items():
            _require(name, array, isinstance(array, np.ndarray) and array.dtype.kind == "f")
        _require("lr", lr, _in_range(lr))
        _require("weight_decay", weight_decay, _in_range(weight_decay))
        self.parameters, self.lr, self.weight_decay = parameters, lr, weight_decay
        self.t = np.zeros((), np.int64)
        self._moments = {
            name: {m: np.zeros_like(array) for m in self.moments}
            for name, array in parameters.items()
        }

    def step(self, gradients: Arrays) -> None:
        """Move every parameter by its gradient (same names and shapes)."""
        self.t += 1
        for name, theta in self.parameters.items():
            g = gradients.get(name)
            if np.shape(g) != theta.shape:
                raise ShapeError(
                    f"{name}: форма параметра {theta.shape}, а его градиента {np.shape(g)}",
                    f"{name}: a parameter of shape {theta.shape}, its gradient {np.shape(g)}",
                )
            if self.weight_decay and self.decoupled:
                theta -= self.lr * self.weight_decay * theta
            elif self.weight_decay:
                g = g + self.weight_decay * theta
            theta -= self._change(g, **self._moments[name])

    def state(self) -> dict[str, np.ndarray]:
        """The step number and the moments themselves (not copies), by name."""
        return {"t": self.t} | {
            f"{moment}.{name}": array
            for name, kept in self._moments.items()
            for moment, array in kept.items()
        }

    def _change(self, g: np.ndarray, **moments: np.ndarray) -> np.ndarray:
        """What to subtract from the parameter; updates ``moments`` in place."""
        raise NotImplementedError


class SGD(Optimiser):
    """m = μ m + g;  θ = θ - α m, and with Nesterov's look ahead θ = θ - α (g + μ m).

    Parameters
    ----------
    momentum : μ; 0 is plain gradient descent.
    nesterov : in the form of Sutskever et al. 2013, section 2, as PyTorch has it.

    Examples
    --------
    >>> theta = {"w": np.array([1.0])}
    >>> optimiser = SGD(theta, lr=0.5, momentum=0.5)
    >>> for _ in range(2):
    ...     optimiser.step({"w": np.array([1.0])})
    ...
    >>> theta["w"]
    array([-0.25])
    """

    moments = ("m",)

    def __init__(
        self,
        parameters: Arrays,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(parameters, lr, weight_decay)
        _require("momentum", momentum, _in_range(momentum))
        _require("nesterov", nesterov, not nesterov or momentum > 0)
        self.momentum, self.nesterov = momentum, nesterov

    def _change(self, g: np.ndarray, m: np.ndarray) -> np.ndarray:
        m *= self.momentum
        m += g
        return self.lr * (g + self.momentum * m if self.nesterov else m)


class AdaGrad(Optimiser):
    """s = s + g²;  θ = θ - α g / (√s + ε): Duchi, Hazan and Singer 2011, diagonal form.

    Parameters
    ----------
    eps : ε.

    Examples
    --------
    >>> theta = {"w": np.array([0.0])}
    >>> optimiser = AdaGrad(theta, lr=1.0)
    >>> for _ in range(2):
    ...     optimiser.step({"w": np.array([5.0])})
    ...
    >>> theta["w"].round(3)
    array([-1.707])
    """

    moments = ("s",)

    def __init__(
        self, parameters: Arrays, lr: float = 1e-2, eps: float = 1e-10, weight_decay: float = 0.0
    ) -> None:
        super().__init__(parameters, lr, weight_decay)
        _require("eps", eps, _in_range(eps))
        self.eps = eps

    def _change(self, g: np.ndarray, s: np.ndarray) -> np.ndarray:
        s += g * g
        return self.lr * g / (np.sqrt(s) + self.eps)


class RMSProp(Optimiser):
    """v = β v + (1 - β) g²;  θ = θ - α g / (√v + ε): Hinton's lecture 6e, 2012.

    Parameters
    ----------
    beta : β.
    eps : ε.

    Examples
    --------
    >>> theta = {"w": np.array([0.0])}
    >>> RMSProp(theta, lr=1.0).step({"w": np.array([5.0])})
    >>> theta["w"].round(3)
    array([-10.])
    """

    moments = ("v",)

    def __init__(
        self,
        parameters: Arrays,
        lr: float = 1e-2,
        beta: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, weight_decay)
        _require("beta", beta, _in_range(beta, below=1))
        _require("eps", eps, _in_range(eps))
        self.beta, self.eps = beta, eps

    def _change(self, g: np.ndarray, v: np.ndarray) -> np.ndarray:
        _average(v, self.beta, g * g)
        return self.lr * g / (np.sqrt(v) + self.eps)


class Adam(Optimiser):
    """Adaptive moments: Kingma and Ba 2015, algorithm 1.

    m = β₁ m + (1 - β₁) g;  v = β₂ v + (1 - β₂) g²
    θ = θ - α · m / (1 - β₁ᵗ) / (√(v / (1 - β₂ᵗ)) + ε)

    Parameters
    ----------
    betas : β₁ and β₂.
    eps : ε.

    Examples
    --------
    >>> theta = {"w": np.array([1.0, 1.0])}
    >>> Adam(theta, lr=0.1).step({"w": np.array([1e-3, 1e3])})
    >>> theta["w"].round(3)
    array([0.9, 0.9])
    """

    moments = ("m", "v")

    def __init__(
        self,
        parameters: Arrays,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, lr, weight_decay)
        _require("betas", betas, _in_range(betas, below=1) and np.shape(betas) == (2,))
        _require("eps", eps, _in_range(eps))
        self.betas, self.eps = betas, eps

    def _change(self, g: np.ndarray, m: np.ndarray, v: np.ndarray) -> np.ndarray:
        b1, b2 = self.betas
        _average(m, b1, g)
        _average(v, b2, g * g)
        return self._scaled(m, v)

    def _scaled(self, m: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Both moments without their bias towards 0, and the step that they give."""
        b1, b2 = self.betas
        t = int(self.t)
        denominator = np.sqrt(v)
        denominator /= (1 - b2**t) ** 0.5
        denominator += self.eps
        return np.divide(m, denominator, out=denominator) * (self.lr / (1 - b1**t))


class AdamW(Adam):
    """Adam whose weight decay is not divided by √v: θ = θ - α λ θ before the step.

    Loshchilov and Hutter 2019 (arXiv:1711.05101), algorithm 2, with PyTorch's λ (times α).

    Examples
    --------
    >>> theta = {"w": np.array([1.0])}
    >>> AdamW(theta, lr=0.1, weight_decay=0.5).step({"w": np.array([0.0])})
    >>> theta["w"]
    array([0.95])
    """

    decoupled = True


class AMSGrad(Adam):
    """Adam that divides by the largest √v so far: Reddi, Kale and Kumar 2018, algorithm 2.

    w = max(w, v) stands in the place of v; both unbiased as in PyTorch.

    Examples
    --------
    >>> theta = {"w": np.array([1.0])}
    >>> AMSGrad(theta, lr=0.1).step({"w": np.array([5.0])})
    >>> theta["w"].round(3)
    array([0.9])
    """

    moments = ("m", "v", "w")

    def _change(self, g: np.ndarray, m: np.ndarray, v: np.ndarray, w: np.ndarray) -> np.ndarray:
        b1, b2 = self.betas
        _average(m, b1, g)
        _average(v, b2, g * g)
        np.maximum(w, v, out=w)
        return self._scaled(m, w)


class AdaMax(Adam):
    """Adam with the infinity norm: Kingma and Ba 2015, section 7.1, algorithm 2.

    m = β₁ m + (1 - β₁) g;  u = max(β₂ u, \\|g\\|);  θ = θ - α / (1 - β₁ᵗ) · m / u

    Parameters
    ----------
    betas : β₁ and β₂.
    form : "paper" has no ε, and where u = 0 (no gradient so far) the step is 0; "torch" is
        PyTorch's u = max(β₂ u, \\|g\\| + ε).
    eps : ε of the "torch" form.

    Examples
    --------
    >>> theta = {"w": np.array([1.0, 1.0])}
    >>> AdaMax(theta, lr=0.1).step({"w": np.array([1e-3, 0.0])})
    >>> theta["w"]
    array([0.9, 1. ])
    """

    moments = ("m", "u")

    def __init__(
        self,
        parameters: Arrays,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        form: Literal["paper", "torch"] = "paper",
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        _require("form", form, form in ("paper", "torch"))
        super().__init__(parameters, lr, betas, eps if form == "torch" else 0.0, weight_decay)

    def _change(self, g: np.ndarray, m: np.ndarray, u: np.ndarray) -> np.ndarray:
        b1, b2 = self.betas
        _average(m, b1, g)
        u *= b2
        np.maximum(u, np.abs(g) + self.eps, out=u)
        ratio = np.divide(m, u, out=np.zeros_like(m), where=u != 0)
        return ratio * (self.lr / (1 - b1 ** int(self.t)))


def _require(name: str, value: object, ok: bool) -> None:
    if not ok:
        raise PixgradError(
            f"метод оптимизации: {name} = {value!r} не подходит",
            f"optimiser: {name} = {value!r} is out of range",
        )


def _in_range(value: object, below: float = np.inf) -> bool:
    """Whether a number, or all of several, are from 0 on and below ``below``."""
    numbers = np.asarray(value)
    return numbers.dtype.kind in "iuf" and bool(((numbers >= 0) & (numbers < below)).all())


def _average(moment: np.ndarray, beta: float, value: np.ndarray) -> None:
    """moment = β moment + (1 - β) value, in place."""
    moment *= beta
    moment += (1 - beta) * value
