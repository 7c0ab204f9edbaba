"""What the chapter on vanishing gradients measures in small networks to check its formulas.

Images are noise and labels are random: the formulas speak of untrained networks alone.
"""

import math
from contextlib import ExitStack

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pixgrad import nets
from pixgrad.training import probe


def on_noise(name: str, seed: int, images: int = 32, **options) -> tuple[nn.Module, Tensor, Tensor]:
    """An untrained network with a batch of standard normal images 32x32 and random labels.

    All of it is drawn and kept in double precision: normal numbers of single precision have other
    last digits where PyTorch takes other instructions of the processor, and in a deep network
    these move a few of the ReLUs over zero.

    Parameters
    ----------
    options : of :func:`pixgrad.nets.build`.
    """
    generator = torch.Generator().manual_seed(seed)
    net = nets.build(name, 10, **options).double()
    nets.initialise(net, options.get("init", "default"), generator)
    x = torch.randn(images, 3, 32, 32, generator=generator, dtype=torch.float64)
    return net, x, torch.randint(0, 10, (images,), generator=generator)


def probed(net: nn.Module, images: Tensor, labels: Tensor) -> pd.DataFrame:
    """A row a layer: what the probe finds in one forward and backward pass."""
    return pd.DataFrame(probe.probed(net, images, labels)[0], columns=list(probe.COLUMNS))


def mean_factor(norms: np.ndarray) -> float:
    """Geometric mean of the factor by which a norm changes per layer towards the input.

    Parameters
    ----------
    norms : one number a layer, two or more, from the input on.
    """
    return float((norms[0] / norms[-1]) ** (1 / (len(norms) - 1)))


def block_gains(net: nn.Module, images: Tensor, labels: Tensor) -> np.ndarray:
    """How the square of the backward signal grows from the sum of a block to its input.

    Returns
    -------
    (blocks,): ‖dL/dx‖² / ‖dL/dz‖² of every block y = act(z), z = F(x) + skip(x).
    """
    signals: list[Tensor] = []
    with ExitStack() as hooks:
        for _, block in nets.residual_blocks(net):
            for module in (block, block.activation):
                keep = module.register_forward_pre_hook(lambda _, inputs: signals.append(inputs[0]))
                hooks.enter_context(keep)
        loss = cross_entropy(net(images), labels)
    norms = np.array([probe.norm(gradient) for gradient in torch.autograd.grad(loss, signals)])
    return (norms[::2] / norms[1::2]) ** 2


def batchnorm_block_gains(
    blocks: int, generator: np.random.Generator, samples: int = 200_000
) -> np.ndarray:
    """The same of wide residual networks with batch normalisation, up to the first change of shape.

    It is 1 + π / ((π - 1) V), where V is the variance of the block's input over the batch. The
    input is followed as a random variable: relu of the standard normal, then x <- relu(x + g), for
    the branch adds a standard normal g in every block.

    Parameters
    ----------
    samples : of the random variable.

    Returns
    -------
    (blocks,).
    """
    x = np.maximum(generator.standard_normal(samples), 0)
    gains = np.empty(blocks)
    for block in range(blocks):
        gains[block] = 1 + math.pi / ((math.pi - 1) * x.var())
        x = np.maximum(x + generator.standard_normal(samples), 0)
    return gains


def half_angles(correlation: pd.DataFrame) -> pd.DataFrame:
    """How far an image may be turned until its gradient is only half like it was.

    Parameters
    ----------
    correlation : what names the runs, ``angle`` in radians, rising, and ``correlation``.

    Returns
    -------
    A row a run: what names it and ``half`` — the first angle at which the correlation is 1/2, in
    degrees, between two measured ones by the logarithm. The smallest measured one where it is below
    1/2 already; missing where it never is.
    """
    keys = [name for name in correlation if name not in ("angle", "correlation")]
    rows = [
        (*key, _half_angle(run["angle"].to_numpy(float), run["correlation"].to_numpy(float)))
        for key, run in correlation.groupby(keys, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*keys, "half"])


def _half_angle(angles: np.ndarray, correlation: np.ndarray) -> float:
    below = correlation < 0.5
    if not below.any():
        return math.nan
    after = int(np.argmax(below))
    pair = slice(max(after - 1, 0), after + 1)
    # np.interp wants rising abscissae: the correlation falls.
    logarithm = np.interp(0.5, correlation[pair][::-1], np.log(angles[pair])[::-1])
    return math.degrees(math.exp(logarithm))
