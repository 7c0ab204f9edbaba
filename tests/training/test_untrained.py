"""What the chapter on vanishing gradients measures, against closed forms and autograd."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from pixgrad.nets import residual_blocks
from pixgrad.training import untrained


def test_probed_layers_are_those_of_autograd():
    net, images, labels = untrained.on_noise("plain-8", 3, images=4, batch_norm=False)
    table = untrained.probed(net, images, labels)
    (expected,) = torch.autograd.grad(cross_entropy(net(images), labels), net.conv1.weight)
    assert list(table["layer"]) == list(range(1, 9))
    assert table["grad_norm"][0] == pytest.approx(expected.norm().item(), rel=1e-5)


def test_factor_per_layer_of_a_geometric_sequence():
    assert untrained.mean_factor(3 * 0.5 ** np.arange(7)) == pytest.approx(2)


def test_blocks_that_start_as_the_identity_pass_the_gradient_on():
    """F's last gamma is 0: the gradient along F is 0, and at equal shapes dL/dx = dL/dz."""
    net, images, labels = untrained.on_noise("resnet-20", 1, images=4)
    for _, block in residual_blocks(net):
        torch.nn.init.zeros_(block.bn2.weight)
    gains = untrained.block_gains(net, images, labels)
    same_shape = [0, 1, 2, 4, 5, 7, 8]
    np.testing.assert_allclose(gains[same_shape], 1, rtol=1e-6)


def test_block_gains_are_those_of_autograd():
    net, images, labels = untrained.on_noise("resnet-8", 2, images=4, batch_norm=False)
    kept = {}

    def keep(block, inputs, output):
        kept["x"], kept["z"] = inputs[0], block.residual(inputs[0]) + block.downsample(inputs[0])
        return block.activation(kept["z"])

    gains = untrained.block_gains(net, images, labels)
    net.layer2[0].register_forward_hook(keep)
    loss = cross_entropy(net(images), labels)
    dx, dz = torch.autograd.grad(loss, (kept["x"], kept["z"]))
    # In the network x also feeds the output that the hook throws away; its gradient is 0.
    assert gains[1] == pytest.approx((dx.norm() / dz.norm()).item() ** 2, rel=1e-4)


def test_batchnorm_block_gains_follow_the_reflected_walk():
    gains = untrained.batchnorm_block_gains(300, np.random.default_rng(0), 40_000)
    # relu of the standard normal has variance (π - 1) / 2π.
    assert gains[0] == pytest.approx(1 + 2 * math.pi**2 / (math.pi - 1) ** 2, rel=0.02)
    # The walk reflected at 0 is |normal| of variance k, whose variance is k (1 - 2/π).
    expected = math.pi / ((math.pi - 1) * (1 - 2 / math.pi) * 300)
    assert gains[-1] - 1 == pytest.approx(expected, rel=0.1)


def test_half_angles_are_where_the_correlation_is_one_half():
    angles = np.geomspace(1e-3, 1, 13)
    curves = {
        1: 1 / (1 + angles / 0.02),  # 1/2 at 0.02
        2: np.full(13, 0.9),  # never
        3: np.full(13, 0.1),  # before the first angle
    }
    table = pd.concat(
        pd.DataFrame({"depth": 8, "seed": seed, "angle": angles, "correlation": curve})
        for seed, curve in curves.items()
    )
    found = untrained.half_angles(table).set_index("seed")["half"]
    assert found[1] == pytest.approx(math.degrees(0.02), rel=0.01)
    assert math.isnan(found[2])
    assert found[3] == pytest.approx(math.degrees(1e-3))
