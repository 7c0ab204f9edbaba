"""How much of a residual network's gradient comes along paths of each length (Veit et al., 2016).

Each of the n residual blocks y = act(F(x) + skip(x)) passes the backward signal along F and along
the skip, so it reaches the input along 2ⁿ paths, and the gradient is the sum over all of them:
C(n, k) of them go through F in k blocks. The ReLUs keep the masks, and batch normalisations the
statistics, that the whole network gave them in its forward pass: the sum is exact.

References
----------
Veit, Wilber, Belongie, "Residual networks behave like ensembles of relatively shallow networks"
(2016), section 4.3. There a path of k blocks has 2k layers.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Collection

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
    """Norm of the gradient along random paths of each length, and each length's share of the total.

    Parameters
    ----------
    net : with n >= 1 residual blocks; it is left as it was. Batch normalisation takes the
        statistics of ``images``, as in a training step.
    images, labels : one batch, (N, C, H, W) and int64 (N,).
    samples : paths drawn for every length; fewer where there are no more.

    Returns
    -------
    A row for k = 0 … n: ``blocks`` (k), ``paths`` (C(n, k)), ``norm`` — mean over the drawn paths
    of the Frobenius norm of dL/d(images), L the mean cross-entropy —, ``share`` — paths · norm,
    divided by its sum over k. Shares are of the sum of the norms, as in the paper: the paths'
    gradients are not parallel, so the norm of their sum is smaller.

    Raises
    ------
    PixgradError : there are no residual blocks.
    """
    count = len(residual_blocks(net))
    if not count:
        raise PixgradError("в сети нет остаточных блоков, и путь в ней один: нужна сеть resnet-…")
    rows = []
    for length in range(count + 1):
        paths = math.comb(count, length)
        norms = [
            norm(path_gradient(net, images, labels, chosen.tolist()))
            for chosen in (
                torch.randperm(count, generator=generator)[:length]
                for _ in range(min(samples, paths))
            )
        ]
        rows.append((length, paths, sum(norms) / len(norms)))
    table = pd.DataFrame(rows, columns=["blocks", "paths", "norm"])
    total = table["paths"] * table["norm"]
    return table.assign(share=total / total.sum())


def path_gradient(
    net: nn.Module, images: Tensor, labels: Tensor, chosen: Collection[int]
) -> Tensor:
    """dL/d(images) along one path: through F in the ``chosen`` blocks and past it in all others.

    Parameters
    ----------
    chosen : numbers of blocks, from 0 at the input.

    Returns
    -------
    Tensor shaped as ``images``.
    """
    net = copy.deepcopy(net).train()
    for number, (_, block) in enumerate(residual_blocks(net)):
        block.gradient_path = "residual" if number in chosen else "skip"
    images = images.detach().requires_grad_()
    return torch.autograd.grad(F.cross_entropy(net(images), labels), images)[0]
