"""Batch normalisation folded into the convolution before it: one operation fewer, the same answers.

In evaluation mode a normalisation multiplies each channel by a number and adds another; so does a
convolution with other weights and a bias.

References
----------
Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
inference" (CVPR 2018), section 3.2.
"""

import copy
from itertools import pairwise

import torch
from torch import nn


@torch.no_grad()
def fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that does the work of both.

    w' = w γ / √(σ² + ε),  b' = β + (b − μ) γ / √(σ² + ε), with the running μ and σ².

    Examples
    --------
    >>> convolution, norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4).eval()
    >>> x = torch.ones(1, 3, 5, 5)
    >>> torch.allclose(fold(convolution, norm)(x), norm(convolution(x)), atol=1e-5)
    True
    """
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)  # (channels,)
    bias = 0 if convolution.bias is None else convolution.bias
    folded = copy.deepcopy(convolution)
    folded.weight.copy_(convolution.weight * scale[:, None, None, None])
    folded.bias = nn.Parameter(norm.bias + (bias - norm.running_mean) * scale)
    return folded


def folded(net: nn.Module) -> nn.Module:
    """A copy in evaluation mode without batch normalisations, where each followed a convolution.

    Modules must stand in the order of execution, as they do in :mod:`pixgrad.nets`.

    Examples
    --------
    >>> from pixgrad import nets
    >>> net = folded(nets.build("resnet-8", 10))
    >>> any(isinstance(module, nn.BatchNorm2d) for module in net.modules())
    False
    """
    net = copy.deepcopy(net).eval()
    for parent in list(net.modules()):
        for (name, first), (after, second) in pairwise(list(parent.named_children())):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                setattr(parent, name, fold(first, second))
                setattr(parent, after, nn.Identity())
    return net
