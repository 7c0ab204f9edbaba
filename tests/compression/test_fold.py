"""Folding against torch's own, and the same answers of whole networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pixgrad import nets
from pixgrad.compression.fold import fold, folded


def used(channels: int, generator: torch.Generator) -> nn.BatchNorm2d:
    """A normalisation whose parameters and statistics are not the initial ones."""
    norm = nn.BatchNorm2d(channels)
    for of in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        nn.init.uniform_(of, 0.5, 2, generator=generator)
    return norm.eval()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 4])
def test_fold_is_that_of_torch(bias, groups):
    generator = torch.Generator().manual_seed(1)
    layer = nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=bias, groups=groups).eval()
    norm = used(8, generator)
    mine, theirs = fold(layer, norm), fuse_conv_bn_eval(layer, norm)
    torch.testing.assert_close(mine.weight, theirs.weight)
    torch.testing.assert_close(mine.bias, theirs.bias)
    x = torch.randn(2, 4, 7, 7, generator=generator)
    torch.testing.assert_close(mine(x), norm(layer(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet-20", "plain-20", "resnet-18", "fire-net", "mobile-net"])
def test_network_answers_the_same_without_normalisations(name):
    generator = torch.Generator().manual_seed(1)
    net = nets.build(name, 10, init="he", generator=generator).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.load_state_dict(used(module.num_features, generator).state_dict())
            module.weight.data.mul_(0.5)  # else signals grow out of float32's accuracy
    before = {name: of.clone() for name, of in net.state_dict().items()}
    made = folded(net)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in made.modules())
    x = torch.randn(2, 3, 32, 32, generator=generator)
    with torch.no_grad():
        expected, found = net(x), made(x)
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert all(torch.equal(of, before[name]) for name, of in net.state_dict().items())
