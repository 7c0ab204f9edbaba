"""One convolution replaced by two cheaper ones that come as near to it as they can.

Each way sees the weights (O, I, 3, 3) as a matrix, or as many, and cuts its singular value
decomposition after the first terms: no other pair of that shape has a smaller squared error of the
weights (Eckart and Young, 1936).

================  =============================  ==================================  ==============
way               first convolution              second convolution                  weights
================  =============================  ==================================  ==============
``low_rank``      3×3, I → r channels            1×1, r → O                          r (9 I + O)
``row_column``    1×3, I → r                     3×1, r → O                          3 r (I + O)
``depthwise``     3×3 in each channel, I → I     1×1, I → O                          I (9 + O)
================  =============================  ==================================  ==============

References
----------
Jaderberg, Vedaldi, Zisserman, "Speeding up convolutional neural networks with low rank expansions"
(2014), schemes 1 and 2; Zhang et al., "Accelerating very deep convolutional networks for
classification and detection" (2015), section 3.1; Guo et al., "Network decoupling: from regular to
depthwise separable convolutions" (2018), for the depthwise pair.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pixgrad.checks import number
from pixgrad.nets import weighted_layers


def replaced(net: nn.Module, replacement: Callable[[nn.Conv2d], nn.Module]) -> nn.Module:
    """A copy with every 3×3 convolution but the first replaced.

    The first one has three input channels: there is nothing to save.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1))
    >>> replaced(net, depthwise)[1][0].groups
    8
    """
    net = copy.deepcopy(net)
    for name, layer in weighted_layers(net)[1:]:
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            net.set_submodule(name, replacement(layer))
    return net


def low_rank(layer: nn.Conv2d, share: float) -> nn.Sequential:
    """A 3×3 convolution with few channels, then a 1×1; ``share`` of the weights stays.

    Examples
    --------
    >>> layer = nn.Conv2d(16, 16, 3, padding=1)
    >>> less = low_rank(layer, share=0.5)
    >>> less(torch.zeros(1, 16, 8, 8)).shape == layer(torch.zeros(1, 16, 8, 8)).shape
    True
    >>> sum(p.numel() for p in less.parameters()) <= 0.5 * layer.weight.numel() + 16
    True
    """
    share = number("share", share, most=1)
    outputs, inputs = layer.weight.shape[:2]
    rank = max(1, int(share * 9 * inputs * outputs / (9 * inputs + outputs)))
    left, right = truncated(layer.weight.flatten(1), rank)  # (O, r), (r, 9 I)
    first = _convolution(layer, inputs, rank, (3, 3), layer.stride)
    second = _convolution(layer, rank, outputs, (1, 1), (1, 1), layer.bias)
    return _pair(first, right.view(rank, inputs, 3, 3), second, left[:, :, None, None])


def row_column(layer: nn.Conv2d) -> nn.Sequential:
    """A 1×3 convolution, then a 3×1, with as many channels between them as come out.

    Examples
    --------
    >>> [tuple(one.kernel_size) for one in row_column(nn.Conv2d(8, 8, 3, padding=1))]
    [(1, 3), (3, 1)]
    """
    outputs, inputs = layer.weight.shape[:2]
    rows = layer.weight.permute(0, 2, 1, 3).reshape(3 * outputs, 3 * inputs)  # (O·3, I·3)
    rank = min(outputs, 3 * inputs)
    left, right = truncated(rows, rank)
    first = _convolution(layer, inputs, rank, (1, 3), (1, layer.stride[1]))
    second = _convolution(layer, rank, outputs, (3, 1), (layer.stride[0], 1), layer.bias)
    column = left.view(outputs, 3, rank).transpose(1, 2)[..., None]  # (O, r, 3, 1)
    return _pair(first, right.view(rank, inputs, 1, 3), second, column)


def depthwise(layer: nn.Conv2d) -> nn.Sequential:
    """A 3×3 convolution of every channel alone, then a 1×1 that mixes them.

    Examples
    --------
    >>> [tuple(one.kernel_size) for one in depthwise(nn.Conv2d(8, 8, 3, padding=1))]
    [(3, 3), (1, 1)]
    """
    outputs, inputs = layer.weight.shape[:2]
    by_channel = layer.weight.transpose(0, 1).flatten(2)  # (I, O, 9): one matrix an input channel
    left, right = truncated(by_channel, 1)  # (I, O, 1), (I, 1, 9)
    first = _convolution(layer, inputs, inputs, (3, 3), layer.stride, groups=inputs)
    second = _convolution(layer, inputs, outputs, (1, 1), (1, 1), layer.bias)
    return _pair(first, right.view(inputs, 1, 3, 3), second, left.permute(1, 0, 2)[..., None])


def truncated(matrix: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Factors (…, m, rank) and (…, rank, n) of the nearest matrices of that rank.

    The singular values are shared evenly, so both factors have weights of like size.

    Examples
    --------
    >>> left, right = truncated(torch.ones(3, 4), rank=1)
    >>> (left @ right).round(decimals=3)[0]
    tensor([1., 1., 1., 1.])
    """
    u, s, v = torch.linalg.svd(matrix.detach().double(), full_matrices=False)
    root = s[..., :rank].sqrt()
    left, right = u[..., :rank] * root[..., None, :], root[..., :, None] * v[..., :rank, :]
    return left.to(matrix.dtype), right.to(matrix.dtype)


def _convolution(
    layer: nn.Conv2d,
    inputs: int,
    outputs: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    bias: Tensor | None = None,
    groups: int = 1,
) -> nn.Conv2d:
    padding = tuple(size // 2 for size in kernel)
    like = {"dtype": layer.weight.dtype, "device": "meta"}  # there nothing random is drawn
    made = nn.Conv2d(
        inputs, outputs, kernel, stride, padding, groups=groups, bias=False, **like
    ).to_empty(device=layer.weight.device)
    if bias is not None:
        made.bias = nn.Parameter(bias.detach().clone())
    return made


@torch.no_grad()
def _pair(first: nn.Conv2d, of_first: Tensor, second: nn.Conv2d, of_second: Tensor):
    first.weight.copy_(of_first)
    second.weight.copy_(of_second)
    return nn.Sequential(first, second)
