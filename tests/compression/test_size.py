"""Bytes by the number of weights; small networks by their counts."""

from __future__ import annotations

import pytest
import torch

from pixgrad import nets
from pixgrad.compression import prune, size
from pixgrad.nets import cost


def test_published_counts_of_resnet_20():
    """0.27 M parameters and 40.55 M multiply-adds (akamaster/pytorch_resnet_cifar10)."""
    net = cost.on_paper(lambda: nets.build("resnet-20", 10))
    assert cost.weights(net) == 269_722


def test_gzip_sees_zeros():
    net = nets.build("resnet-8", 10, generator=torch.Generator().manual_seed(1))
    file = size.file_bytes(net)
    assert len(file) == pytest.approx(4 * cost.weights(net), rel=0.1)
    pruned = size.file_bytes(prune.magnitude(net, 0.9))
    assert len(pruned) == len(file)
    assert size.packed(pruned) < 0.3 * size.packed(file)


def test_small_networks_are_about_as_large_as_resnet_8():
    x = torch.zeros(2, 3, 32, 32)
    network = nets.build("resnet-8", 10).eval()
    for name in ("fire-net", "mobile-net"):
        net = nets.build(name, 10).eval()
        assert cost.weights(net) == pytest.approx(cost.weights(network), rel=0.1)
        ratio = cost.multiply_adds(net, x)[""] / cost.multiply_adds(network, x)[""]
        assert 1 < ratio < 1.3
        assert net(x).shape == (2, 10)
