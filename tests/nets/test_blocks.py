"""Skip connections: option A, and the two ways of the backward signal."""

import itertools

import pytest

torch = pytest.importorskip("torch")

from pixgrad import nets  # noqa: E402  (needs torch)
from pixgrad.nets.blocks import Subsample  # noqa: E402

PATHS = ("residual", "skip")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def input_gradient(net, images, readout):
    """Of a linear function of the outputs."""
    images = images.clone().requires_grad_()
    return torch.autograd.grad((net(images) * readout).sum(), images)[0]


def network(name):
    """In float64 and evaluation mode, with its blocks."""
    net = nets.build(name, 3, init="he", generator=seeded(1)).double().eval()
    blocks = [block for _, block in nets.residual_blocks(net)]
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64, generator=seeded(2))
    readout = torch.randn(2, 3, dtype=torch.float64, generator=seeded(3))
    return net, blocks, images, readout


def test_option_a_by_hand():
    x = torch.arange(2 * 5 * 5, dtype=torch.float32).reshape(1, 2, 5, 5)
    y = Subsample(2, 4, 2)(x)
    assert y.shape == (1, 4, 3, 3)
    assert not y[0, [0, 3]].any()
    assert y[0, 1].tolist() == [[0, 2, 4], [10, 12, 14], [20, 22, 24]]
    assert torch.equal(y[0, 2], y[0, 1] + 25)


@pytest.mark.parametrize("name", ["resnet-8", "resnet-18", "resnet-50"])
def test_the_two_paths_of_one_block_add_up(name):
    net, blocks, images, readout = network(name)
    whole, outputs = input_gradient(net, images, readout), net(images)
    for block in blocks[:: max(1, len(blocks) // 4)]:
        parts = []
        for way in PATHS:
            block.gradient_path = way
            assert torch.equal(net(images), outputs)
            parts.append(input_gradient(net, images, readout))
            assert parts[-1].norm() > 1e-3 * whole.norm()
        block.gradient_path = "both"
        assert (sum(parts) - whole).norm() <= 1e-12 * whole.norm()


def test_all_paths_of_a_network_add_up():
    """Three blocks have eight paths (Veit et al., 2016): their gradients sum to the whole one."""
    net, blocks, images, readout = network("resnet-8")
    whole, total = input_gradient(net, images, readout), torch.zeros_like(images)
    for path in itertools.product(PATHS, repeat=len(blocks)):
        for block, way in zip(blocks, path, strict=True):
            block.gradient_path = way
        total += input_gradient(net, images, readout)
    assert (total - whole).norm() <= 1e-12 * whole.norm()


def test_weights_beside_the_path_get_no_gradient():
    net, blocks, images, readout = network("resnet-18")
    block = blocks[2]  # its skip connection is a projection
    for way, on, off in (
        ("residual", block.conv1, block.downsample[0]),
        ("skip", block.downsample[0], block.conv1),
    ):
        block.gradient_path = way
        net.zero_grad()
        (net(images) * readout).sum().backward()
        assert on.weight.grad.norm() > 0
        assert off.weight.grad is None


def test_unknown_path():
    net, blocks, images, _ = network("resnet-8")
    blocks[0].gradient_path = "shortcut"
    with pytest.raises(ValueError, match="'shortcut', not both, residual or skip"):
        net(images)
