"""Networks by name: sizes, twins, the order of layers, what is refused."""

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (needs torch)

from pixgrad import nets  # noqa: E402
from pixgrad.errors import PixgradError  # noqa: E402

CIFAR_DEPTHS = (8, 14, 20, 32, 56, 110)
CONVOLUTIONAL = [
    name
    for name in nets.names()
    if name.partition("-")[0] not in ("vit", "spinenet", "ssd300") and not name.endswith("-fpn")
]
"""Networks that give logits of images of any side; the others have test modules of their own."""


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def cifar_parameters(depth, classes, batch_norm):
    """Weights of the layers of He et al. (2015), section 4.2, added up stage by stage."""
    n, per_channel = (depth - 2) // 6, 2 if batch_norm else 1  # gamma and beta, or the bias
    total = 3 * 16 * 9 + 16 * per_channel
    for inputs, channels in ((16, 16), (16, 32), (32, 64)):
        total += inputs * channels * 9 + (2 * n - 1) * channels**2 * 9
        total += 2 * n * channels * per_channel
    return total + (64 + 1) * classes


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("depth", CIFAR_DEPTHS)
def test_cifar_parameters_by_formula(depth, batch_norm):
    for kind in ("plain", "resnet"):
        net = nets.build(f"{kind}-{depth}", 10, batch_norm=batch_norm)
        assert parameters(net) == cifar_parameters(depth, 10, batch_norm)


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, "0.27"), (32, "0.46"), (56, "0.85"), (110, "1.7")]
)
def test_cifar_parameters_as_in_the_paper(depth, millions):
    digits = len(millions.partition(".")[2])
    assert f"{parameters(nets.build(f'resnet-{depth}', 10)) / 1e6:.{digits}f}" == millions


@pytest.mark.parametrize("init", ["default", "he"])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_twins_start_from_the_same_bits(batch_norm, init):
    for depth in (8, 56):
        plain, resnet = (
            nets.build(
                f"{kind}-{depth}", 10, batch_norm=batch_norm, init=init, generator=seeded(4)
            ).state_dict()
            for kind in ("plain", "resnet")
        )
        assert list(plain) == list(resnet)
        assert all(torch.equal(plain[key], resnet[key]) for key in plain)


def test_twins_differ_in_the_skip_alone():
    """Without the addition the residual twin is the plain network."""
    plain, resnet = (nets.build(f"{kind}-20", 10).eval() for kind in ("plain", "resnet"))
    images = torch.randn(2, 3, 32, 32, generator=seeded())
    assert not torch.equal(plain(images), resnet(images))
    for _, block in nets.residual_blocks(resnet):
        block.downsample = None
    assert torch.equal(plain(images), resnet(images))


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_logits_of_small_images(name):
    net = nets.skeleton(name, 7, in_channels=1).eval()
    kind = name.removesuffix("-auxiliary")
    side = {"alexnet": 63, "alexnet-2012": 63, "googlenet-2014": 64}.get(kind, 32)
    assert net(torch.zeros(2, 1, side, side, device="meta")).shape == (2, 7)


def test_a_skeleton_is_the_network_without_values():
    for name in ("simple-cnn", "resnet-20", "googlenet-small-auxiliary"):
        built, bare = nets.build(name, 5), nets.skeleton(name, 5)
        shapes = [{key: of.shape for key, of in net.state_dict().items()} for net in (built, bare)]
        assert shapes[0] == shapes[1]
        assert all(of.is_meta for of in bare.parameters())


@pytest.mark.parametrize("side", [28, 32, 48, 64, 96])
def test_simple_cnn_takes_any_side(side):
    net = nets.build("simple-cnn", 5)
    assert net(torch.zeros(2, 3, side, side)).shape == (2, 5)
    convolutions = 9 * (3 * 32 + 32 * 64 + 64 * 128) + 32 + 64 + 128
    assert parameters(net) == convolutions + (128 * 16 + 1) * 128 + (128 + 1) * 5


@pytest.mark.parametrize("name", ["simple-cnn", "plain-8", "resnet-8", "resnet-18", "resnet-50"])
def test_batch_norm_or_biases(name):
    for batch_norm in (True, False):
        modules = list(nets.build(name, 5, batch_norm=batch_norm).modules())
        convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
        norms = [module for module in modules if isinstance(module, nn.BatchNorm2d)]
        assert len(norms) == (len(convolutions) if batch_norm else 0)
        assert all((layer.bias is None) == batch_norm for layer in convolutions)


def test_batch_norm_by_default():
    def has_norm(name):
        return any(isinstance(m, nn.BatchNorm2d) for m in nets.build(name, 5).modules())

    assert [has_norm(n) for n in ("simple-cnn", "plain-8", "resnet-8", "resnet-18")] == [
        False,
        True,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("name", "module"), [("relu", nn.ReLU), ("sigmoid", nn.Sigmoid), ("tanh", nn.Tanh)]
)
def test_activation_is_everywhere_the_one_asked_for(name, module):
    others = {nn.ReLU, nn.Sigmoid, nn.Tanh} - {module}
    for net, uses in (("simple-cnn", 4), ("plain-20", 19), ("resnet-20", 19), ("resnet-50", 49)):
        kinds = [type(m) for m in nets.build(net, 5, activation=name).modules()]
        assert kinds.count(module) == uses
        assert not others & set(kinds)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_weighted_layers_in_the_order_of_execution(name):
    net = nets.skeleton(name, 5)  # in training mode auxiliary heads work too
    listed = nets.weighted_layers(net)
    ran = []
    for _, module in listed:
        module.register_forward_hook(lambda module, inputs, output: ran.append(module))
    net(torch.zeros(2, 3, 64, 64, device="meta"))
    assert ran == [module for _, module in listed]
    assert all(net.get_submodule(name) is module for name, module in listed)
    kind, _, depth = name.removesuffix("-c").partition("-")
    known = {"simple-cnn": 5, "small-cnn": 5, "alexnet": 8, "alexnet-2012": 8}
    if kind in ("plain", "resnet", "vgg") or name in known:
        assert len(listed) == (known.get(name) or int(depth))


@pytest.mark.parametrize(
    ("name", "blocks"), [("resnet-20", 9), ("resnet-50", 16), ("plain-20", 0), ("simple-cnn", 0)]
)
def test_residual_blocks(name, blocks):
    assert len(nets.residual_blocks(nets.build(name, 5))) == blocks


def test_global_generator_is_left_alone():
    before = torch.get_rng_state()
    for name in ("simple-cnn", "plain-20", "resnet-50"):
        for generator in (None, seeded(1)):
            nets.build(name, 5, init="he", generator=generator)
    assert torch.equal(torch.get_rng_state(), before)


def test_seed_decides():
    def weights(seed):
        return torch.cat(
            [p.flatten() for p in nets.build("resnet-8", 5, generator=seed).parameters()]
        )

    assert torch.equal(weights(None), weights(None))
    assert torch.equal(weights(seeded(1)), weights(seeded(1)))
    assert not torch.equal(weights(seeded(1)), weights(seeded(2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet20"}, "нет сети «resnet20»; может быть, «resnet-20»? Есть: simple-cnn,"),
        (
            {"name": "transformer"},
            "нет сети «transformer». Есть: simple-cnn, small-cnn, .*resnet-152",
        ),
        ({"init": "hee"}, "нет инициализации «hee»; может быть, «he»? Есть: default, he"),
        ({"activation": "gelu"}, "нет функции активации «gelu».*Есть: relu, sigmoid, tanh"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(PixgradError, match=message.replace("?", r"\?")) as caught:
        nets.build(**{"name": "resnet-8", "num_classes": 5, **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "classes", "options", "message"),
    [
        (None, 10, {}, "нет сети «None»"),
        ("resnet-20", 0, {}, "num_classes=0"),
        ("resnet-20", "a", {}, "num_classes='a'"),
        ("resnet-20", 2.0, {}, "num_classes=2.0"),
        ("resnet-20", 10, {"in_channels": 0}, "in_channels=0"),
    ],
)
def test_numbers_that_make_no_network(name, classes, options, message):
    with pytest.raises(PixgradError, match=message):
        nets.build(name, classes, **options)
