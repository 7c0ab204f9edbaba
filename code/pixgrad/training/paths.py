"""How much of a residual network's gradient comes along paths of each length (Veit et al., 2016).

Each of the n residual blocks y = act(F(x) + skip(x)) passes the backward signal along F and along
the skip, so it reaches the input along 2ⁿ paths, and the gradient is exactly the sum over all of
them: C(n, k) go through F in k blocks. Activations keep the slopes, and batch normalisations the
statistics, that the forward pass of the whole network gave them.

References
----------
Veit, Wilber, Belongie, "Residual networks behave like ensembles of relatively shallow networks"
(2016), section 4.3. There a path of k blocks is 2k layers long.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor, nn

from pixgrad.errors import PixgradError
from pixgrad.nets import residual_blocks
from pixgrad.training.probe import norm


def gradient_by_path_length(
    net: nn.Module, images: Tensor, labels: Tensor, samples: int, generator: torch.Generator
) -> pd.DataFrame:
    """Norms of the gradient by the images along paths of each length.

    Parameters
    ----------
    net : with n >= 1 residual blocks, one after another; it is left as it was. Batch normalisation
        takes the statistics of ``images``, as in a training step.
    images, labels : one batch, (N, C, H, W) and int64 (N,); L is its mean cross-entropy.
    samples : paths drawn for every length; fewer where there are no more.
    generator : draws the paths.

    Returns
    -------
    A row for each k = 0 … n:

    * ``blocks`` — k, and ``paths`` — C(n, k);
    * ``norm`` — Frobenius norm of dL/d(images) along one path, mean over the drawn paths;
    * ``share`` — ``paths`` · ``norm``, divided by its sum over k. It is the measure of the paper;
      that the gradients of different paths partly cancel it does not see.

    Raises
    ------
    PixgradError : there are no residual blocks.
    """
    network = _Unravelled(net, images, labels)
    count = len(network.blocks)
    rows = []
    for length in range(count + 1):
        paths = math.comb(count, length)
        drawn = [
            torch.randperm(count, generator=generator)[:length].tolist()
            for _ in range(min(samples, paths))
        ]
        norms = [norm(network.along(chosen)) for chosen in drawn]
        rows.append((length, paths, sum(norms) / len(norms)))
    table = pd.DataFrame(rows, columns=["blocks", "paths", "norm"])
    total = table["paths"] * table["norm"]
    return table.assign(share=total / total.sum())


def gradient_sums_by_length(net: nn.Module, images: Tensor, labels: Tensor) -> pd.DataFrame:
    """Norms of the sums of the gradient over all paths of each length, with nothing drawn.

    The sums themselves add up to the gradient of the network, dL/d(images).

    Parameters
    ----------
    net, images, labels : as for :func:`gradient_by_path_length`.

    Returns
    -------
    A row for each k = 0 … n: ``blocks`` — k — and ``norm``, Frobenius.

    Raises
    ------
    PixgradError : there are no residual blocks.
    """
    norms = [norm(gradient) for gradient in _Unravelled(net, images, labels).sums_by_length()]
    return pd.DataFrame({"blocks": range(len(norms)), "norm": norms})


@contextmanager
def through(blocks: Sequence[nn.Module], chosen: Collection[int]) -> Iterator[None]:
    """Inside, the backward signal goes through F alone in the ``chosen`` blocks (from 0), past it
    in the others; what the network computes stays the same."""
    for number, block in enumerate(blocks):
        off = "downsample" if number in chosen else "residual"
        # What stands in the instance's own dictionary hides the module or the method.
        vars(block)[off] = lambda x, part=getattr(block, off): part(x).detach()
    try:
        yield
    finally:
        for block in blocks:
            for off in vars(block).keys() & {"downsample", "residual"}:
                del vars(block)[off]


class _Unravelled:
    """A residual network after one forward pass, ready to send gradients back along chosen paths.

    Attributes
    ----------
    at_head : dL/dy of the last block.
    blocks : from the first to the last.
    to_images : dL/dx of the first block -> dL/d(images).
    """

    def __init__(self, net: nn.Module, images: Tensor, labels: Tensor) -> None:
        net = copy.deepcopy(net).train().requires_grad_(False)
        blocks = [block for _, block in residual_blocks(net)]
        if not blocks:
            raise PixgradError(
                "в сети нет остаточных блоков, путь в ней один: нужна сеть resnet-…",
                "the network has no residual blocks, and a single path: take a resnet-…",
            )
        signals: list[Tensor] = []
        for block in blocks:
            block.register_forward_pre_hook(lambda block, inputs: signals.append(inputs[0]))
        blocks[-1].register_forward_hook(lambda block, inputs, output: signals.append(output))
        images = images.detach().requires_grad_()
        loss = F.cross_entropy(net(images), labels)
        self.at_head = _pull(loss, signals[-1])(torch.ones(()))
        self.to_images = _pull(signals[0], images)
        self.blocks = [_Pulls.of(*pair) for pair in zip(blocks, signals, strict=False)]

    def along(self, chosen: Collection[int]) -> Tensor:
        """dL/d(images) through F in the ``chosen`` blocks (from 0) and past it in the others."""
        gradient = self.at_head
        for number, block in reversed(list(enumerate(self.blocks))):
            gradient = block.activation(gradient)
            gradient = (block.residual if number in chosen else block.skip)(gradient)
        return self.to_images(gradient)

    def sums_by_length(self) -> list[Tensor]:
        """Sum of dL/d(images) over all paths of each length 0 … n.

        The sums at the input of a block follow from those at its output: a path of k blocks goes
        past F, having k behind it, or through F, having k - 1. That is n²/2 passes through one F
        instead of 2ⁿ paths.
        """
        sums = [self.at_head]
        for block in reversed(self.blocks):
            sums = [block.activation(gradient) for gradient in sums]
            past = [block.skip(gradient) for gradient in sums]
            through = [block.residual(gradient) for gradient in sums]
            middle = [a + b for a, b in zip(past[1:], through, strict=False)]
            sums = [past[0], *middle, through[-1]]
        return [self.to_images(gradient) for gradient in sums]


@dataclass(frozen=True)
class _Pulls:
    """Backward passes of one block y = act(z), z = F(x) + skip(x).

    Attributes
    ----------
    activation : dL/dy -> dL/dz; residual, skip : dL/dz -> its part of dL/dx.
    """

    activation: Callable[[Tensor], Tensor]
    residual: Callable[[Tensor], Tensor]
    skip: Callable[[Tensor], Tensor]

    @classmethod
    def of(cls, block: nn.Module, x: Tensor) -> _Pulls:
        x = x.detach().requires_grad_()
        residual, skip = block.residual(x), block.downsample(x)
        z = (residual + skip).detach().requires_grad_()
        return cls(_pull(block.activation(z), z), _pull(residual, x), _pull(skip, x))


def _pull(output: Tensor, source: Tensor) -> Callable[[Tensor], Tensor]:
    """dL/d(output) -> dL/d(source), as often as one likes."""
    return lambda gradient: torch.autograd.grad(output, source, gradient, retain_graph=True)[0]
