"""Receptive fields: the formula against gradients of networks with positive weights, and papers."""

from __future__ import annotations

import copy

import pytest
import torch
import torchvision
from torch import nn

from pixgrad import nets
from pixgrad.errors import PixgradError
from pixgrad.nets.downsampling import HALVING, SmallCNN, blurred_pooling
from pixgrad.nets.receptive import (
    Field,
    effective_side,
    fields,
    gradient_field,
    occlusion_field,
)


def linear(net: nn.Module) -> nn.Module:
    """The network with positive weights, mean pooling and nothing else: no path cancels another."""
    net = copy.deepcopy(net).double().eval()
    for name, module in list(net.named_modules()):
        parent, _, own = name.rpartition(".")
        place = net.get_submodule(parent)
        if isinstance(module, nn.Conv2d):
            module.weight.data.fill_(1 / module.weight[0].numel())
        elif isinstance(module, nn.MaxPool2d):
            mean = nn.AvgPool2d(module.kernel_size, module.stride, module.padding)
            setattr(place, own, mean)
        elif isinstance(module, nn.BatchNorm2d | nn.ReLU):
            setattr(place, own, nn.Identity())
    return net


def seen(features: nn.Module, side: int) -> tuple[int, int, int]:
    """First and last row that move the middle cell, and its number."""
    x = torch.zeros(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    maps = features(x)
    cell = maps.shape[2] // 2
    (gradient,) = torch.autograd.grad(maps[0, :, cell, cell].sum(), x)
    rows = torch.nonzero(gradient.abs().sum((0, 1, 3)) > 0).flatten()
    return int(rows[0]), int(rows[-1]), cell


@pytest.mark.parametrize("halving", HALVING)
def test_formula_is_what_the_gradient_of_a_small_network_sees(halving):
    net = SmallCNN(10, halving, 2, side=64)
    *_, last = fields(net).values()
    first, final, cell = seen(linear(net).features, 64)
    assert (first, final) == (last.jump * cell + last.low, last.jump * cell + last.high)


def test_formula_through_skip_connections():
    net = nets.build("resnet-20", 10)
    found = fields(net)["layer3.2.conv2"]
    one = linear(net)
    features = nn.Sequential(one.conv1, one.layer1, one.layer2, one.layer3)
    first, final, cell = seen(features, 128)
    assert (first, final) == (found.jump * cell + found.low, found.jump * cell + found.high)
    assert found.size == 81


@pytest.mark.parametrize(
    ("network", "size"),
    # Araujo, Norris, Sim (2019), table of published networks.
    [("alexnet", 195), ("vgg16", 212)],
)
def test_published_sizes(network, size):
    net = (
        getattr(torchvision.models, network)(weights=None, init_weights=False)
        if network == ("vgg16")
        else torchvision.models.alexnet()
    )
    *_, last = fields(net).values()
    assert (last.size, last.jump) == (size, 32)


def test_dilation_and_branches():
    assert Field().after(3, dilation=2).size == 5
    assert Field().after(3).joined(Field().after(1)) == Field(0, 2, 1)
    with pytest.raises(PixgradError, match="разным шагом 2 и 1"):
        Field().after(2, 2).joined(Field())


def test_gradient_and_occlusion_of_one_kernel():
    """A 3x3 kernel of known weights: its absolute values, and nothing outside of it."""
    layer = nn.Conv2d(1, 1, 3, padding=1, bias=False).eval()
    images = torch.randn(4, 1, 9, 9, generator=torch.Generator().manual_seed(1))
    field = gradient_field(layer, images, cell=4)
    torch.testing.assert_close(field[3:6, 3:6], layer.weight[0, 0].abs())
    assert field.count_nonzero() == 9
    moved = occlusion_field(layer, images, cell=4, side=1)
    expected = (layer.weight[0, 0] * images[:, 0, 3:6, 3:6]).abs().mean(0)
    torch.testing.assert_close(moved[3:6, 3:6], expected)
    assert moved.count_nonzero() == 9
    wide = occlusion_field(layer, images, cell=4, side=3)
    assert wide.shape == (7, 7)
    assert torch.nonzero(wide).min() == 1
    assert torch.nonzero(wide).max() == 5


def test_effective_side_of_a_flat_square_is_its_side():
    field = torch.zeros(20, 20)
    field[3:10, 5:12] = 0.3
    assert effective_side(field) == pytest.approx(7)


def test_blurred_pooling_is_a_maximum_then_a_strided_filter():
    """Zhang (2019), figure 4; inside, where the border does not matter."""
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = torch.outer(line, line).expand(3, 1, 3, 3)
    dense = nn.functional.max_pool2d(x, 2, 1)
    filtered = nn.functional.conv2d(dense, kernel, stride=2, padding=1, groups=3)
    ours = blurred_pooling()(x)
    assert ours.shape == (2, 3, 8, 8)
    torch.testing.assert_close(ours[:, :, 1:-1, 1:-1], filtered[:, :, 1:7, 1:7])
