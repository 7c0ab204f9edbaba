"""Gradient by path length: closed forms, the sum over all paths, blocks that let one through."""

import copy
import math
from itertools import chain, combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import nn

from pixgrad.errors import PixgradError
from pixgrad.nets import build, residual_blocks
from pixgrad.nets.blocks import Block
from pixgrad.training import paths
from pixgrad.training.paths import gradient_by_path_length, gradient_sums_by_length, through


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Scaled(Block):
    """y = (1 + scale) x."""

    def __init__(self, scale):
        super().__init__()
        self.scale, self.downsample, self.activation = scale, nn.Identity(), nn.Identity()

    def residual(self, x):
        return self.scale * x


class Linear(Scaled):
    """y = (I + A) x."""

    def __init__(self, weight):
        super().__init__(None)
        self.weight = weight

    def residual(self, x):
        return x @ self.weight.T


@pytest.fixture
def batch():
    images = torch.randn(8, 3, 16, 16, generator=generator())
    return images, torch.arange(8) % 5


def subsets(count):
    return chain.from_iterable(combinations(range(count), k) for k in range(count + 1))


@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_equal_linear_blocks_give_the_binomial_law(scale):
    """Every path of k blocks carries scaleᵏ: shares are those of the binomial distribution."""
    net = nn.Sequential(*[Scaled(scale) for _ in range(12)])
    images, labels = torch.randn(4, 5, generator=generator()) / 1000, torch.arange(4)
    table = gradient_by_path_length(net, images, labels, 3, generator())
    k = np.arange(13)
    ways = np.array([math.comb(12, i) for i in k])
    np.testing.assert_array_equal(table["blocks"], k)
    np.testing.assert_array_equal(table["paths"], ways)
    np.testing.assert_allclose(table["norm"] / table["norm"][0], scale**k, rtol=1e-4)
    np.testing.assert_allclose(table["share"], ways * scale**k / (1 + scale) ** 12, rtol=1e-4)
    # All paths of one length are parallel here: nothing cancels.
    sums = gradient_sums_by_length(net, images, labels)
    np.testing.assert_array_equal(sums["blocks"], k)
    np.testing.assert_allclose(sums["norm"], table["paths"] * table["norm"], rtol=1e-4)


def test_linear_blocks_multiply_their_matrices():
    matrices = torch.randn(3, 6, 6, generator=generator())
    net = nn.Sequential(*[Linear(matrix) for matrix in matrices])
    x, labels = torch.randn(1, 6, generator=generator(1)), torch.tensor([2])
    whole = (net(x).softmax(dim=1) - F.one_hot(labels, 6)).numpy()  # dL/d(logits)
    network = paths._Unravelled(net, x, labels)
    sums = np.zeros((4, 1, 6))
    for chosen in subsets(3):
        expected = whole
        for number in sorted(chosen, reverse=True):
            expected = expected @ matrices[number].numpy()
        np.testing.assert_allclose(network.along(chosen), expected, rtol=1e-4, atol=1e-5)
        sums[len(chosen)] += expected
    np.testing.assert_allclose(torch.stack(network.sums_by_length()), sums, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet-8", {}),
        ("resnet-8", {"init": "he"}),
        ("resnet-8", {"batch_norm": False}),
        ("resnet-18", {}),  # projections and a max-pooling before the blocks
    ],
)
def test_all_paths_add_up_to_the_gradient(name, options, batch):
    images, labels = batch
    net = build(name, 5, generator=generator(2), **options).double()
    images = images.double().requires_grad_()
    (whole,) = torch.autograd.grad(F.cross_entropy(net(images), labels), images)
    network = paths._Unravelled(net, images, labels)
    assert whole.abs().max() > 1e-8
    tolerance = {"rtol": 1e-8, "atol": 1e-12 * whole.abs().max().item()}
    sums = network.sums_by_length()
    torch.testing.assert_close(sum(sums), whole, **tolerance)
    if len(sums) == 4:
        every = [network.along(chosen) for chosen in subsets(3)]
        torch.testing.assert_close(sum(every), whole, **tolerance)
        by_length = [every[:1], every[1:4], every[4:7], every[7:]]
        for together, parts in zip(sums, by_length, strict=True):
            torch.testing.assert_close(together, sum(parts), **tolerance)


def test_a_path_is_what_the_blocks_let_through(batch):
    images, labels = batch
    net = build("resnet-8", 5, generator=generator(3))
    network = paths._Unravelled(net, images, labels)
    images = images.requires_grad_()
    blocks = [block for _, block in residual_blocks(net)]
    for chosen in subsets(3):
        with through(blocks, chosen):
            (expected,) = torch.autograd.grad(F.cross_entropy(net(images), labels), images)
        difference = (network.along(chosen) - expected).norm() / expected.norm()
        assert difference < 1e-5


def input_gradient(net, images, readout):
    """Of a linear function of the outputs."""
    images = images.clone().requires_grad_()
    return torch.autograd.grad((net(images) * readout).sum(), images)[0]


def network(name):
    """In float64 and evaluation mode, with its blocks."""
    net = build(name, 3, init="he", generator=generator(1)).double().eval()
    blocks = [block for _, block in residual_blocks(net)]
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=generator(2))
    readout = torch.randn(2, 3, dtype=torch.float64, generator=generator(3))
    return net, blocks, images, readout


@pytest.mark.parametrize("name", ["resnet-8", "resnet-18", "resnet-50"])
def test_the_two_paths_of_one_block_add_up(name):
    net, blocks, images, readout = network(name)
    whole, outputs = input_gradient(net, images, readout), net(images)
    for block in blocks[:: max(1, len(blocks) // 4)]:
        parts = []
        for chosen in subsets(1):
            with through([block], chosen):
                assert torch.equal(net(images), outputs)
                parts.append(input_gradient(net, images, readout))
            assert parts[-1].norm() > 1e-3 * whole.norm()
        assert (sum(parts) - whole).norm() <= 1e-12 * whole.norm()
    assert torch.equal(input_gradient(net, images, readout), whole)


def test_weights_beside_the_path_get_no_gradient():
    net, blocks, images, readout = network("resnet-18")
    block = blocks[2]  # its skip connection is a projection
    for chosen, on, off in (
        ([0], block.conv1, block.downsample[0]),
        ([], block.downsample[0], block.conv1),
    ):
        net.zero_grad()
        with through([block], chosen):
            (net(images) * readout).sum().backward()
        assert on.weight.grad.norm() > 0
        assert off.weight.grad is None


def test_table_measures_the_paths_and_leaves_the_network_alone(batch):
    images, labels = batch
    net = build("resnet-20", 5, generator=generator(4)).eval()
    before = copy.deepcopy(net.state_dict())
    table = gradient_by_path_length(net, images, labels, 2, generator())
    network = paths._Unravelled(net, images, labels)
    assert table["norm"][0] == pytest.approx(network.along([]).norm().item(), rel=1e-5)
    assert table["norm"][9] == pytest.approx(network.along(range(9)).norm().item(), rel=1e-5)
    assert table["share"].sum() == pytest.approx(1)
    sums = gradient_sums_by_length(net, images, labels)
    # One path alone: its norm and that of the sum are the same.
    assert sums["norm"][0] == pytest.approx(table["norm"][0], rel=1e-5)
    # A sum is never longer than its parts together.
    assert sums["norm"][1] < sum(network.along([number]).norm().item() for number in range(9))
    assert not net.training and not images.requires_grad
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    again = gradient_by_path_length(net, images, labels, 2, generator())
    np.testing.assert_allclose(again["norm"], table["norm"], rtol=1e-5)


def test_a_plain_network_has_no_such_paths(batch):
    plain = build("plain-8", 5)
    with pytest.raises(PixgradError, match="нет остаточных блоков"):
        gradient_by_path_length(plain, *batch, 2, generator())
    with pytest.raises(PixgradError, match="нет остаточных блоков"):
        gradient_sums_by_length(plain, *batch)
