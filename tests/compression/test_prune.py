"""Zeros where the smallest weights were; networks without channels equal networks with zeros."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from pixgrad import nets
from pixgrad.compression import prune
from pixgrad.errors import PixgradError
from pixgrad.nets import cost


def network(name: str, **options) -> nn.Module:
    net = nets.build(name, 10, init="he", generator=torch.Generator().manual_seed(1), **options)
    return net.eval()


def test_the_smallest_weights_of_all_layers_are_zero():
    net = network("resnet-8")
    made = prune.magnitude(net, 0.7)
    old, new = (
        torch.cat([layer.weight.detach().flatten() for _, layer in nets.weighted_layers(of)])
        for of in (net, made)
    )
    limit = old.abs().sort().values[round(0.7 * len(old)) - 1]
    torch.testing.assert_close(new, torch.where(old.abs() > limit, old, 0.0))
    assert prune.zeros(made) == pytest.approx(0.7, abs=1e-4)
    assert prune.zeros(net) == 0


def test_training_leaves_zeros_at_zero_and_moves_the_rest():
    net = prune.magnitude(network("resnet-8"), 0.7).train()
    prune.hold_zeros(net)
    before = copy.deepcopy(net.state_dict())
    optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        net(torch.randn(4, 3, 8, 8)).square().mean().backward()
        optimiser.step()
    for name, layer in nets.weighted_layers(net):
        old = before[f"{name}.weight"]
        assert torch.equal(layer.weight == 0, old == 0), name
        assert not torch.equal(layer.weight, old), name
    copy.deepcopy(net)  # as the evaluation with recalibrated statistics does


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet-20", {}),
        ("plain-20", {}),
        ("simple-cnn", {}),
        ("simple-cnn", {"batch_norm": True}),
        ("plain-8", {"batch_norm": False}),
    ],
)
def test_removed_channels_are_as_good_as_silent_ones(name, options):
    """A channel is silent when its filter and its normalisation give zero."""
    net = network(name, **options)
    silent = copy.deepcopy(net)
    for convolution, norm, after in prune.removable(silent):
        total = convolution.out_channels
        order = prune.importance(convolution).argsort()
        gone = order[: round(0.5 * total)]
        with torch.no_grad():
            for layer in (convolution, norm):
                for of in layer.parameters() if layer is not None else ():
                    of[gone] = 0
            after.weight.view(len(after.weight), total, -1)[:, gone] = 0
    made = prune.narrowed(net, 0.5)
    x = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(made(x), silent(x), rtol=1e-4, atol=1e-5)


def test_counts_of_a_narrowed_residual_network():
    """Option A: inside a block of C channels 2 · 9 C² weights and 4 C of normalisations; with c
    inner channels 2 · 9 C c and 2 C + 2 c; where a stage begins, 9 (C / 2) c + 9 c C."""
    made = prune.narrowed(network("resnet-20"), 0.5)
    expected = 3 * 16 * 9 + 2 * 16 + 64 * 10 + 10
    for channels, first in ((16, 16), (32, 16), (64, 32)):
        inner = channels // 2
        expected += 9 * first * inner + 9 * inner * channels + 2 * (2 * 9 * channels * inner)
        expected += 3 * (2 * channels + 2 * inner)
    assert cost.weights(made) == expected
    assert all(block.conv2.in_channels == block.conv1.out_channels for block in blocks(made))


def test_a_plain_network_loses_channels_everywhere():
    made = prune.narrowed(network("plain-20"), 0.25)
    assert made.conv1.out_channels == 12
    assert made.fc.in_features == 48
    assert [layer.out_channels for layer, _, _ in prune.removable(made)] == 7 * [12] + 6 * [
        24
    ] + 6 * [48]


def blocks(net: nn.Module) -> list[nn.Module]:
    return [block for _, block in nets.residual_blocks(net)]


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), "a", None])
@pytest.mark.parametrize("cut", [prune.magnitude, prune.narrowed])
def test_shares_that_cannot_be(cut, share):
    with pytest.raises(PixgradError, match="share="):
        cut(nets.build("resnet-8", 2), share)
