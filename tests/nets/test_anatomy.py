"""Counts of networks: against hooks by hand, torchvision's numbers and published ones."""

import pytest

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")
from torch import nn  # noqa: E402  (needs torch)

from pixgrad import nets  # noqa: E402
from pixgrad.nets.anatomy import anatomy, depth, outputs  # noqa: E402

WEIGHTS = {
    "alexnet": models.AlexNet_Weights,
    "vgg-11": models.VGG11_Weights,
    "vgg-16": models.VGG16_Weights,
    "googlenet": models.GoogLeNet_Weights,
    "resnet-50": models.ResNet50_Weights,
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_multiply_adds_and_weights_are_those_that_torchvision_states(name):
    stated, found = WEIGHTS[name].IMAGENET1K_V1.meta, anatomy(name)
    assert found.weights == stated["num_params"]
    assert found.multiply_adds / 1e9 == pytest.approx(stated["_ops"], abs=1e-3)


def test_multiply_adds_by_hooks():
    """Kernel size times inputs of a group times outputs, layer by layer."""
    net, total = nets.skeleton("alexnet-2012", 10).eval(), []

    def count(layer, inputs, output):
        each = layer.weight[0].numel()
        total.append(each * output.numel())

    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    net(torch.zeros(1, 3, 224, 224, device="meta"))
    assert sum(total) == anatomy("alexnet-2012", 10).multiply_adds


@pytest.mark.parametrize(
    ("name", "layers"),
    [("alexnet", 8), ("vgg-16", 16), ("googlenet-2014", 22), ("resnet-34", 34), ("resnet-50", 50)],
)
def test_depth_as_the_papers_count_it(name, layers):
    assert depth(nets.skeleton(name, 10).eval()) == layers


@pytest.mark.parametrize(
    # Araujo, Norris, Sim (Distill, 2019), table; their ResNet-50 has its strides in the first 1x1
    # convolutions and sees 483 pixels, torchvision's in the 3x3 ones.
    ("name", "pixels"),
    [
        ("alexnet", 195),
        ("vgg-16", 212),
        ("inception-bn", 699),
        ("resnet-50", 483 - 8 * (1 + 2 + 4)),
    ],
)
def test_receptive_field_as_published(name, pixels):
    assert anatomy(name).field == pixels


def test_outputs_of_layers():
    net = nets.skeleton("simple-cnn", 10).eval()
    found = outputs(net, torch.zeros(1, 3, 32, 32, device="meta"))
    maps = [32 * 32 * 32, 64 * 16 * 16, 128 * 8 * 8]
    # convolution, activation and pooling of each stage; pooling to 4x4; two linear layers
    expected = sum(2 * of + of // 4 for of in maps) + 128 * 16 + 128 + 128 + 10
    assert sum(found.values()) == expected
