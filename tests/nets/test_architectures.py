"""AlexNet, VGG, GoogLeNet, Inception-BN: against torchvision and against published numbers."""

import pytest

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")
from torch import nn  # noqa: E402  (needs torch)

from pixgrad import nets  # noqa: E402
from pixgrad.nets.googlenet import BLOCKS, Inception, NaiveInception  # noqa: E402

THEIRS = {
    "alexnet": models.alexnet,
    **{f"vgg-{depth}": getattr(models, f"vgg{depth}") for depth in (11, 13, 16, 19)},
    "googlenet": lambda **of: models.googlenet(aux_logits=False, init_weights=False, **of),
    "googlenet-auxiliary": lambda **of: models.googlenet(aux_logits=True, init_weights=False, **of),
}
COUNTS = {
    # torchvision's own counts
    "alexnet": 61_100_840,
    "vgg-11": 132_863_336,
    "vgg-13": 133_047_848,
    "vgg-16": 138_357_544,
    "vgg-19": 143_667_240,
    "googlenet": 6_624_904,
    "googlenet-auxiliary": 13_004_888,
    # models of the Caffe zoo: bvlc_alexnet, bvlc_googlenet without and with its auxiliary heads
    "alexnet-2012": 60_965_224,
    "googlenet-2014": 6_998_552,
    "googlenet-2014-auxiliary": 13_378_280,
}


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("name", COUNTS)
def test_number_of_parameters(name):
    assert parameters(nets.skeleton(name, 1000)) == COUNTS[name]


@pytest.mark.parametrize("name", THEIRS)
def test_the_keys_and_shapes_are_those_of_torchvision(name):
    with torch.device("meta"):
        theirs = THEIRS[name](num_classes=10)
    ours = nets.skeleton(name, 10)
    shapes = [{key: of.shape for key, of in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_vgg_with_batch_normalisation(depth):
    with torch.device("meta"):
        theirs = getattr(models, f"vgg{depth}_bn")(num_classes=10)
    ours = nets.skeleton(f"vgg-{depth}", 10, batch_norm=True)
    shapes = [{key: of.shape for key, of in net.state_dict().items()} for net in (ours, theirs)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(
    ("name", "millions"),
    # Simonyan and Zisserman (2015), table 2: A, B, C, D, E
    [("vgg-11", 133), ("vgg-13", 133), ("vgg-16-c", 134), ("vgg-16", 138), ("vgg-19", 144)],
)
def test_vgg_as_in_the_paper(name, millions):
    assert round(parameters(nets.skeleton(name, 1000)) / 1e6) == millions


def same_outputs(name, side, classes=10):
    """Networks with the same weights on the same images, in evaluation mode."""
    generator = torch.Generator().manual_seed(2)
    ours = nets.build(name, classes, init="he", generator=generator).eval()
    for module in ours.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1, generator=generator)
    with torch.device("meta"):
        theirs = THEIRS[name](num_classes=classes)
    theirs.load_state_dict(ours.state_dict(), assign=True)
    images = torch.randn(2, 3, side, side, generator=generator)
    with torch.no_grad():
        expected = theirs.eval()(images)
        assert expected.std() > 1e-2
        assert (ours(images) - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize(("name", "side"), [("googlenet", 64), ("alexnet", 63)])
def test_outputs_are_those_of_torchvision(name, side):
    same_outputs(name, side)


def test_features_of_vgg_are_those_of_torchvision():
    """Without the linear layers, which hold most of the weights and take most of the time."""
    ours = nets.skeleton("vgg-11", 10).features.to_empty(device="cpu")
    theirs = models.vgg11(init_weights=False).features
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", THEIRS)
def test_all_outputs_are_those_of_torchvision(name):
    same_outputs(name, 224)


def test_two_groups_are_two_branches():
    """The second convolution of AlexNet of 2012 is two, each on its half of the channels."""
    layer = next(
        layer
        for layer in nets.skeleton("alexnet-2012", 5).modules()
        if isinstance(layer, nn.Conv2d) and layer.groups == 2
    ).to_empty(device="cpu")
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(1))
    nn.init.zeros_(layer.bias)
    x = torch.randn(1, 96, 9, 9, generator=torch.Generator().manual_seed(2))
    halves = [
        torch.nn.functional.conv2d(part, weight, padding=2)
        for part, weight in zip(x.chunk(2, 1), layer.weight.chunk(2), strict=True)
    ]
    with torch.no_grad():
        torch.testing.assert_close(layer(x), torch.cat(halves, 1))


def test_neurons_of_alexnet():
    """Krizhevsky et al. (2012), section 3.5: the sizes of the layers."""
    net, sizes = nets.skeleton("alexnet-2012", 1000).eval(), []
    for _, layer in nets.weighted_layers(net):
        layer.register_forward_hook(lambda module, given, output: sizes.append(output.numel()))
    net(torch.zeros(1, 3, 224, 224, device="meta"))
    assert sizes[1:] == [186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert sizes[0] == 96 * 55 * 55  # the paper's 253,440 is 96 * 55 * 48


def test_blocks_of_googlenet():
    """Table 1 of the paper: outputs of the blocks, and their multiply-adds."""
    net, outputs = nets.skeleton("googlenet-2014", 1000).eval(), {}
    for name, module in net.named_modules():
        if isinstance(module, Inception):
            module.register_forward_hook(
                lambda module, given, output, name=name: outputs.update(
                    {name[9:]: output.shape[1:]}
                )
            )
    net(torch.zeros(1, 3, 224, 224, device="meta"))
    channels = dict(zip(BLOCKS, (256, 480, 512, 512, 512, 528, 832, 832, 1024), strict=True))
    sides = {"3": 28, "4": 14, "5": 7}
    assert {name: tuple(of) for name, of in outputs.items()} == {
        name: (count, sides[name[0]], sides[name[0]]) for name, count in channels.items()
    }
    # Multiply-adds in millions; the row of 5a has 54, which its own widths do not give.
    millions = {"3a": 128, "3b": 304, "4a": 73, "4b": 88, "4c": 100, "4d": 119, "4e": 170, "5b": 71}
    for name, published in millions.items():
        weights = [of for of in net.get_submodule(f"inception{name}").parameters() if of.ndim == 4]
        counted = sum(of.numel() for of in weights) * sides[name[0]] ** 2 / 1e6
        assert counted == pytest.approx(published, abs=0.7), name


def test_the_naive_block_widens():
    block = NaiveInception(192, 64, 128, 32).eval()
    with torch.no_grad():
        assert block(torch.zeros(1, 192, 8, 8)).shape == (1, 64 + 128 + 32 + 192, 8, 8)


def test_blocks_of_inception_bn():
    """Ioffe and Szegedy (2015), figure 5: output sizes."""
    net, outputs = nets.skeleton("inception-bn", 1000).eval(), []
    for block in net.blocks:
        block.register_forward_hook(
            lambda module, given, output: outputs.append(tuple(output.shape[1:]))
        )
    net(torch.zeros(1, 3, 224, 224, device="meta"))
    assert outputs == [
        (256, 28, 28), (320, 28, 28), (576, 14, 14), (576, 14, 14), (576, 14, 14),
        (576, 14, 14), (576, 14, 14), (1024, 7, 7), (1024, 7, 7), (1024, 7, 7),
    ]  # fmt: skip
