"""SpineNet and ResNet-FPN: published counts, blocks, shapes, what a place of the table computes."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
fpn_of_torchvision = pytest.importorskip("torchvision").ops.FeaturePyramidNetwork

from pixgrad import nets  # noqa: E402  (needs torch)
from pixgrad.errors import PixgradError  # noqa: E402
from pixgrad.nets import spinenet  # noqa: E402
from pixgrad.nets.cost import multiply_adds, on_paper, weights  # noqa: E402
from pixgrad.nets.fpn import ResNetFPN, RetinaHead  # noqa: E402
from pixgrad.nets.spinenet import ALL, LEVEL_2, TABLE, VARIANTS, Place, SpineNet  # noqa: E402

TINY = replace(VARIANTS["49"], width=0.125, outputs=8)


def image(side):
    return torch.zeros(1, 3, side, side, device="meta")


@pytest.mark.parametrize(
    ("name", "millions", "billions", "inaturalist"),
    [
        ("49", "22.1", "3.5", "23.1"),
        pytest.param("96", "36.5", "5.7", "37.6", marks=pytest.mark.slow),
        pytest.param("143", "60.5", "9.1", "61.6", marks=pytest.mark.slow),
        pytest.param("190", "127.1", "19.1", "129.2", marks=pytest.mark.slow),
    ],
)
def test_classifiers_cost_what_was_published(name, millions, billions, inaturalist):
    """MODEL_ZOO of tensorflow/tpu: ImageNet and iNaturalist-2017 (5,089 species) at 224 pixels."""
    net = on_paper(lambda: SpineNet(1000, VARIANTS[name]))
    assert f"{weights(net) / 1e6:.1f}" == millions
    assert f"{multiply_adds(net, image(224))[''] / 1e9:.1f}" == billions
    net = on_paper(lambda: SpineNet(5089, VARIANTS[name]))
    assert f"{weights(net) / 1e6:.1f}" == inaturalist


@pytest.mark.parametrize(
    ("name", "outputs", "width", "depth", "side", "millions", "billions"),
    [
        ("49s", 256, 128, 4, 640, 11.9, 33.8),
        ("49", 256, 256, 4, 640, 28.5, 85.4),
        pytest.param("96", 256, 256, 4, 1024, 43.0, 265.4, marks=pytest.mark.slow),
        pytest.param("143", 256, 256, 4, 1280, 67.0, 524.0, marks=pytest.mark.slow),
        pytest.param("190", 512, 512, 7, 1280, 163.6, 1885, marks=pytest.mark.slow),
    ],
)
def test_detectors_cost_what_was_published(name, outputs, width, depth, side, millions, billions):
    """MODEL_ZOO of tensorflow/tpu; convolutions are all but half a per cent of multiply-adds."""
    net = on_paper(lambda: SpineNet(None, replace(VARIANTS[name], outputs=outputs)))
    head = on_paper(lambda: RetinaHead(outputs, width, depth))
    assert (weights(net) + weights(head)) / 1e6 == pytest.approx(millions, abs=0.07)
    counted = multiply_adds(net, image(side))[""] + multiply_adds(head, net(image(side)))[""]
    assert 0.995 < counted / 1e9 / billions < 1


def test_resnet_50_fpn_costs_what_was_published():
    net, head = on_paper(ResNetFPN), on_paper(lambda: RetinaHead(256, 256))
    assert (weights(net) + weights(head)) / 1e6 == pytest.approx(34.0, abs=0.1)
    counted = multiply_adds(net, image(640))[""] + multiply_adds(head, net(image(640)))[""]
    assert counted / 1e9 == pytest.approx(97.0, rel=0.005)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("49s", 9.146), ("49", 21.969), ("96", 36.471), ("143", 60.591), ("190", 127.282)],
)
def test_with_the_later_block_of_level_2(name, millions):
    """What the code of tensorflow/models has: one block more than the published counts."""
    net = on_paper(lambda: SpineNet(None, VARIANTS[name]))
    more = on_paper(lambda: Place(LEVEL_2, [ALL[of] for of in LEVEL_2.parents], VARIANTS[name]))
    assert (weights(net) + weights(more)) / 1e6 == pytest.approx(millions, abs=5e-4)


def block_weights(inputs, inner, bottleneck):
    """Of a residual block with its normalisations, by hand."""
    outer = inner * (4 if bottleneck else 1)
    if bottleneck:
        total = inputs * inner + 9 * inner**2 + inner * outer + 2 * (2 * inner + outer)
    else:
        total = 9 * inputs * inner + 9 * inner**2 + 4 * inner
    return total + (inputs != outer) * (inputs * outer + 2 * outer)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_place_has_its_weights(name):
    variant = VARIANTS[name]
    net = on_paper(lambda: SpineNet(None, variant))
    inner = {level: int(of * variant.width) for level, of in spinenet.FILTERS.items()}
    for spec, place in zip(TABLE, net.blocks, strict=True):
        outer = inner[spec.level] * (4 if spec.bottleneck else 1)
        expected = variant.repeats * block_weights(outer, inner[spec.level], spec.bottleneck)
        for number in spec.parents:
            parent = ALL[number]
            mine = inner[parent.level] * (4 if parent.bottleneck else 1)
            middle = int(inner[parent.level] * variant.alpha)
            expected += mine * middle + 2 * middle + middle * outer + 2 * outer
            if spec.level > parent.level:
                expected += 9 * middle**2 + 2 * middle
        assert weights(place) == expected


def test_the_block_that_nobody_takes_joins_the_output_of_its_shape():
    for variant in VARIANTS.values():
        assert spinenet.joined(variant) == {14: [11]}
    taken = {parent for spec in TABLE for parent in spec.parents} | {11}
    assert taken | {number for number, spec in enumerate(ALL) if spec.output} == set(range(17))


@pytest.mark.parametrize("sides", [(128, 128), (128, 256), (224, 160), (100, 75)])
@pytest.mark.parametrize(
    "build", [lambda: SpineNet(None, TINY), lambda: ResNetFPN(None, 18, 8, width=16)]
)
def test_maps_halve_from_level_to_level(build, sides):
    net = build().eval()
    with torch.no_grad():
        maps = net(torch.zeros(1, 3, *sides))
    assert list(maps) == [3, 4, 5, 6, 7]
    for level, of in maps.items():
        assert of.shape == (1, 8, *(-(-side // 2**level) for side in sides))


def test_logits_are_a_linear_layer_on_means():
    net = SpineNet(5, TINY).eval()
    x = torch.randn(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        means = [of.mean((2, 3)) for of in net.features(x).values()]
        expected = net.head(torch.stack(means).mean(0))
        torch.testing.assert_close(net(x), expected)


def test_resampling_up_and_down_by_hand():
    """Down: one convolution of stride 2 and two max pools; up: every pixel eightfold."""
    fine, coarse = ALL[2], replace(ALL[2], level=5)
    x = torch.randn(1, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    down = spinenet.Resample(fine, coarse, TINY).eval()
    with torch.no_grad():
        y = down.down(down.reduce(x).relu()).relu()
        for _ in range(2):
            y = torch.nn.functional.max_pool2d(y, 3, 2, 1)
        torch.testing.assert_close(down(x, (2, 2)), down.expand(y))
        up = spinenet.Resample(coarse, fine, TINY).eval()
        x = torch.randn(1, 128, 2, 2, generator=torch.Generator().manual_seed(0))
        y = up.reduce(x).relu().repeat_interleave(8, 2).repeat_interleave(8, 3)
        torch.testing.assert_close(up(x, (16, 16)), up.expand(y))


def test_pyramid_against_torchvision():
    """The sums of levels; their extra levels and normalisation are other."""
    net = ResNetFPN(None, 18, 8).eval()
    theirs = fpn_of_torchvision([128, 256, 512], 8)
    for number in range(3):
        theirs.inner_blocks[number][0].load_state_dict(net.lateral[number].state_dict())
        theirs.layer_blocks[number][0].load_state_dict(net.smooth[number].state_dict())
    stages, kept = {}, {}
    for number, name in enumerate(("layer2", "layer3", "layer4")):
        getattr(net.body, name).register_forward_hook(
            lambda module, given, out, number=number: stages.update({str(number): out})
        )
    for level, norm in net.norms.items():
        norm.register_forward_hook(
            lambda module, given, out, level=level: kept.update({level: given[0]})
        )
    with torch.no_grad():
        net(torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)))
        expected = theirs(stages)
    for number in range(3):
        torch.testing.assert_close(kept[str(number + 3)], expected[str(number)])


def test_head_shares_its_convolutions_and_answers_everywhere():
    head = RetinaHead(8, 16, 2, num_classes=3, anchors=2).eval()
    maps = {level: torch.randn(1, 8, 4, 4) for level in (3, 4, 5, 6, 7)}
    with torch.no_grad():
        answers = head(maps | {5: maps[3]})
    assert [tuple(of.shape) for of in answers[3]] == [(1, 6, 4, 4), (1, 8, 4, 4)]
    torch.testing.assert_close(answers[5][0], answers[3][0])  # fresh norms of levels are alike
    convolutions = (8 + 16) * 16 * 9 + 2 * 16
    norms = 5 * 2 * 2 * 16
    assert weights(head.classes) == convolutions + norms + (16 * 9 + 1) * 6


def test_by_name():
    maps = nets.build("resnet-50-fpn").eval()(torch.zeros(1, 3, 64, 64))
    assert list(maps) == [3, 4, 5, 6, 7]
    with pytest.raises(PixgradError, match="число классов"):
        nets.build("resnet-20")
    with pytest.raises(PixgradError, match="классы не"):
        nets.build("resnet-50-fpn", 10)


def test_costs_of_modules_add_up():
    net = on_paper(lambda: SpineNet(3, TINY))
    costs = multiply_adds(net, image(128))
    parts = ["stem", "first", "second", *(f"blocks.{number}" for number in range(15))]
    parts += [*(f"outputs.{level}" for level in (3, 4, 5, 6, 7)), "head"]
    assert sum(costs[part] for part in parts) == costs[""]
    real = SpineNet(3, TINY).eval()
    assert multiply_adds(real, torch.zeros(1, 3, 128, 128)) == costs
