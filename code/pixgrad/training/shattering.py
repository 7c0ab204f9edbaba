"""Shattered gradients: how alike the gradients are at inputs that lie close to each other.

The correlation of gradients g and g' is g·g' / |g||g'| without subtracting a mean: 1 for a linear
function, whose gradient is the same everywhere, and 0 for white noise. :func:`gradient_correlation`
measures it in a given network against the angle between two images; :func:`random_gradients` gives
the gradients of random fully connected functions, where theory is at hand.

References
----------
Balduzzi, Frean, Leary, Lewis, Ma, McWilliams, "The shattered gradients problem: if resnets are the
answer, then what is the question?" (2017), sections 2 and 3.
Cho, Saul, "Kernel methods for deep learning" (2009), section 2.1.
"""

import copy
import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

ANGLES = np.geomspace(1e-4, math.pi / 2, 25)
"""Radians: from all but the same image to an unrelated one."""
GRID = np.stack([np.linspace(-2, 2, 256), np.ones(256)], axis=1)
"""Numbers x from -2 to 2, each with a 1 beside it whose weight is the bias: (256, 2)."""


def gradient_correlation(
    net: nn.Module,
    images: Tensor,
    generator: torch.Generator,
    *,
    angles: np.ndarray = ANGLES,
    arcs: int = 8,
    logit: int = 0,
) -> pd.DataFrame:
    """Correlation of the gradients of one logit at an image and at the image turned by an angle.

    An image a is turned towards another image b of the batch (see :func:`turned`). The network is a
    fixed function of one image: its batch normalisations take their statistics from ``images``
    once, and no gradient goes through them.

    Parameters
    ----------
    net : left as it was.
    images : (N, C, H, W), normalised, N >= 2.
    angles : (K,), radians, 0 … π.
    arcs : pairs (a, b) drawn from the images.
    logit : whose gradient by the image.

    Returns
    -------
    A row an angle: ``angle`` and ``correlation``, the mean over arcs; nan where a gradient is 0.
    """
    net = with_statistics_of(net, images)
    correlations = []
    for _ in range(arcs):
        first, second = torch.randperm(len(images), generator=generator)[:2].tolist()
        inputs = turned(images[first], images[second], np.append(0, angles)).requires_grad_()
        (gradients,) = torch.autograd.grad(net(inputs)[:, logit].sum(), inputs)
        unit = _unit(gradients.flatten(1).double().numpy())
        correlations.append(unit[1:] @ unit[0])
    return pd.DataFrame({"angle": angles, "correlation": np.mean(correlations, axis=0)})


def turned(a: Tensor, b: Tensor, angles: np.ndarray) -> Tensor:
    """The image a turned towards b: cos t · a + sin t · b' for every angle t.

    b' is b without its part along a, brought to the norm of a: all images have one norm, and the
    angle between two of them is the difference of their t.

    Parameters
    ----------
    a, b : images of one shape, not parallel.
    angles : (K,), radians.

    Returns
    -------
    (K, *shape).
    """
    b = b - (b * a).sum() / (a * a).sum() * a
    b = b * (torch.linalg.vector_norm(a) / torch.linalg.vector_norm(b))
    t = torch.as_tensor(angles, dtype=a.dtype).view(-1, *[1] * a.dim())
    return torch.cos(t) * a + torch.sin(t) * b


def with_statistics_of(net: nn.Module, images: Tensor) -> nn.Module:
    """A copy in evaluation mode whose batch normalisations use the statistics of ``images``."""
    net = copy.deepcopy(net).train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        net(images)
    return net.eval()


def random_gradients(
    inputs: np.ndarray,
    depth: int,
    generator: np.random.Generator,
    *,
    skip: bool,
    beta: float = 1.0,
    width: int = 200,
) -> np.ndarray:
    """Gradients of random functions: units of a fully connected network with batch normalisation.

        h₁ = W' relu(W x),    hₗ = [hₗ₋₁ +] β Wₗ relu(normalised hₗ₋₁),    l = 2 … depth,

    the part in brackets with ``skip`` alone. W has variance 1, all others 2 / width (He). A signal
    is normalised over the inputs, and the derivative takes its statistics as constants. On
    ``GRID`` this is the set-up of Balduzzi et al., figures 1 and 3; on orthonormal inputs it is
    that of their theorems.

    Parameters
    ----------
    inputs : (P, D).
    depth : number of hidden layers, >= 1.
    beta : scale of the residual part.
    width : of every layer.

    Returns
    -------
    (P, D, width): derivatives of each unit of h_depth by the input, at every input.
    """
    first = generator.normal(size=(inputs.shape[1], width))
    h, dh = _relu_layer(inputs @ first, first[None], generator)
    for _ in range(depth - 1):
        deviation = h.std(axis=0)
        f, df = _relu_layer((h - h.mean(axis=0)) / deviation, dh / deviation, generator)
        h, dh = (h + beta * f, dh + beta * df) if skip else (f, df)
    return dh


def correlation_of_pairs(gradients: np.ndarray) -> float:
    """The same over all pairs of different inputs."""
    flat = gradients.reshape(len(gradients), -1)
    products = flat @ flat.T
    own = np.trace(products)
    return float((products.sum() - own) / (len(flat) - 1) / own)


def plain_correlation(angle: np.ndarray, depth: int) -> np.ndarray:
    """Of wide ReLU networks without skips, biases and normalisation under He's initialisation.

    A unit is active at both inputs with probability (π - θ) / 2π, where θ is the angle between the
    signals that enter it: each hidden layer multiplies the correlation by (π - θ) / π and turns the
    angle by cos θ' = (sin θ + (π - θ) cos θ) / π, the arc-cosine kernel of degree 1 (Cho and Saul).

    The angle tends to 0, and the correlation decays as a power of the depth. Where batch
    normalisation keeps the signals orthogonal, θ stays π/2 and it is 2^-depth (Balduzzi et al.,
    theorem 1).

    Parameters
    ----------
    angle : between the inputs, radians, 0 … π.
    depth : number of hidden layers.
    """
    theta = np.asarray(angle, dtype=float)
    correlation = np.ones_like(theta)
    for _ in range(depth):
        correlation = correlation * (1 - theta / math.pi)
        cosine = (np.sin(theta) + (math.pi - theta) * np.cos(theta)) / math.pi
        theta = np.arccos(np.clip(cosine, -1, 1))
    return correlation


def residual_correlation(depth: int, beta: float = 1.0) -> float:
    """Of wide residual networks with batch normalisation, at inputs with orthogonal signals.

    Over the inputs relu(normalised h) W has variance s = 1 - 1/π (a second moment of 1 less the
    square of the mean), so hₗ₋₁ of :func:`random_gradients` has s + β² s (l - 2), and normalisation
    divides the residual part of the gradient by its root. The square of the gradient grows by the
    factor 1 + r, where r = β² / (s + β² s (l - 2)), and the product of gradients at two inputs,
    which share one half of their active units, by 1 + r/2. The ratio decays as depth^(-1/2s); with
    s = 1, that is leaving out the mean, it is the depth^(-1/2) of Balduzzi et al., theorem 3.

    Parameters
    ----------
    depth : number of hidden layers, >= 1.
    """
    r = beta**2 / ((1 - 1 / math.pi) * (1 + beta**2 * np.arange(depth - 1)))
    return float(np.prod((1 + r / 2) / (1 + r)) / 2)


def _relu_layer(
    z: np.ndarray, dz: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """relu(z) W with new weights W: values (P, width) and derivatives (P, D, width)."""
    width = z.shape[1]
    weight = generator.normal(scale=math.sqrt(2 / width), size=(width, width))
    active = z > 0
    return (active * z) @ weight, (active[:, None] * dz) @ weight


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1; nan for zero rows. The largest element goes out first: no underflow."""
    with np.errstate(invalid="ignore"):
        rows = rows / np.abs(rows).max(axis=1, keepdims=True)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)
