"""Pairs of convolutions against NumPy's decomposition, their counts against formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from pixgrad import nets
from pixgrad.compression import factorise
from pixgrad.nets import cost


def layer(inputs: int = 6, outputs: int = 8, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(3)
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=bias).double()


def kernel(pair: nn.Sequential, inputs: int) -> torch.Tensor:
    """Weights (O, I, 3, 3) of the one convolution that does the work of the pair.

    The answer to an image with a single one at (2, 2) of 5 × 5 is the kernel, turned by 180°.
    """
    bias = pair[1].bias
    images = torch.zeros(inputs, inputs, 5, 5, dtype=torch.float64)
    images[range(inputs), range(inputs), 2, 2] = 1
    made = pair(images) - (0 if bias is None else bias[:, None, None])
    return made.detach()[:, :, 1:4, 1:4].flip(2, 3).transpose(0, 1)


def rest(matrix: np.ndarray, rank: int) -> float:
    """The squared error of the best approximation of that rank."""
    return float((np.linalg.svd(matrix, compute_uv=False)[rank:] ** 2).sum())


def test_low_rank_is_the_best_of_its_rank():
    one = layer()
    pair = factorise.low_rank(one, 0.5)
    rank = pair[0].out_channels
    assert rank == int(0.5 * 9 * 6 * 8 / (9 * 6 + 8))
    error = float((kernel(pair, 6) - one.weight.detach()).square().sum())
    assert error == pytest.approx(rest(one.weight.detach().numpy().reshape(8, 54), rank))


def test_row_column_is_the_best_of_its_rank():
    one = layer()
    pair = factorise.row_column(one)
    assert [of.kernel_size for of in pair] == [(1, 3), (3, 1)]
    matrix = one.weight.detach().numpy().transpose(0, 2, 1, 3).reshape(24, 18)
    error = float((kernel(pair, 6) - one.weight.detach()).square().sum())
    assert error == pytest.approx(rest(matrix, 8))


def test_depthwise_is_the_best_of_every_input_channel():
    one = layer()
    pair = factorise.depthwise(one)
    assert pair[0].groups == 6
    expected = sum(
        rest(of, 1) for of in one.weight.detach().numpy().transpose(1, 0, 2, 3).reshape(6, 8, 9)
    )
    assert float((kernel(pair, 6) - one.weight.detach()).square().sum()) == pytest.approx(expected)


@pytest.mark.parametrize("way", ["low-rank", "row-column", "depthwise"])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_kernel_of_the_shape_is_replaced_exactly(way, stride):
    """One kernel, an outer product of a column and a row, times a number for each pair of channels
    is of rank one in all three senses."""
    one = layer(stride=stride)
    generator = torch.Generator().manual_seed(4)
    a, b, u, v = (torch.randn(n, generator=generator).double() for n in (8, 6, 3, 3))
    one.weight.data = torch.einsum("o,i,h,w->oihw", a, b, u, v)
    replacement = {
        "low-rank": lambda of: factorise.low_rank(of, 0.3),
        "row-column": factorise.row_column,
        "depthwise": factorise.depthwise,
    }[way]
    x = torch.randn(2, 6, 9, 9, generator=generator).double()
    torch.testing.assert_close(replacement(one)(x), one(x))


def test_counts():
    one = layer(16, 32, bias=False)
    assert cost.weights(factorise.row_column(one)) == 3 * 32 * (16 + 32)
    assert cost.weights(factorise.depthwise(one)) == 16 * (9 + 32)
    rank = factorise.low_rank(one, 0.5)[0].out_channels
    assert cost.weights(factorise.low_rank(one, 0.5)) == rank * (9 * 16 + 32)
    assert rank * (9 * 16 + 32) <= 0.5 * 9 * 16 * 32 < (rank + 1) * (9 * 16 + 32)


def test_networks_keep_their_first_convolution_and_the_map_sizes():
    net = nets.build("resnet-8", 10).eval()
    made = factorise.replaced(net, factorise.depthwise)
    assert isinstance(made.conv1, nn.Conv2d)
    assert sum(isinstance(of, nn.Sequential) and len(of) == 2 for of in made.modules()) == 6
    x = torch.zeros(2, 3, 32, 32)
    maps = []
    for of in (net, made):
        of.layer3.register_forward_hook(lambda *found: maps.append(found[2].shape))
        of(x)
    assert maps[0] == maps[1] == (2, 64, 8, 8)
