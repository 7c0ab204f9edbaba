"""Vision Transformer against torchvision and torch's own attention; maps against their meaning."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("torchvision").models.vision_transformer

from pixgrad import nets  # noqa: E402  (needs torch)
from pixgrad.errors import PixgradError  # noqa: E402
from pixgrad.nets.attention_maps import attention_distance, attention_maps, rollout  # noqa: E402
from pixgrad.nets.vit import (  # noqa: E402
    SIZES,
    SelfAttention,
    VisionTransformer,
    attention_by_formula,
)

NAMES = {
    "patches": "conv_proj",
    "positions": "encoder.pos_embedding",
    "norm.": "encoder.ln.",
    "head.": "heads.head.",
}
INNER = {
    "norm1": "ln_1",
    "norm2": "ln_2",
    "attention.qkv.": "self_attention.in_proj_",
    "attention.out": "self_attention.out_proj",
    "mlp.2": "mlp.3",
}


def torchvision_key(name: str) -> str:
    """Where torchvision keeps a parameter of ours."""
    table = NAMES
    if name.startswith("blocks."):
        _, block, name = name.split(".", 2)
        name, table = f"encoder.layers.encoder_layer_{block}.{name}", INNER
    for ours, theirs in table.items():
        name = name.replace(ours, theirs)
    return name


def seeded(seed=1):
    return torch.Generator().manual_seed(seed)


def pair(name, classes):
    """Our network with random weights everywhere, and torchvision's with the same."""
    ours, size = nets.build(name, classes), SIZES[name]
    for parameter in ours.parameters():
        parameter.data.normal_(0, 0.05, generator=seeded(parameter.numel()))
    with torch.device("meta"):
        theirs = transformers.VisionTransformer(
            size.side,
            size.patch,
            size.depth,
            size.heads,
            size.width,
            size.hidden,
            num_classes=classes,
        )
    state = {torchvision_key(key): value.clone() for key, value in ours.state_dict().items()}
    theirs.load_state_dict(state, assign=True)
    return ours.eval(), theirs.eval()


def test_small_one_answers_as_torchvision_and_learns_as_it():
    ours, theirs = pair("vit-32px", 7)
    images = torch.randn(3, 3, 32, 32, generator=seeded())
    labels = torch.tensor([0, 3, 6])
    for net in (ours, theirs):
        torch.nn.functional.cross_entropy(net.train()(images), labels).backward()
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=0)
    expected = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        other = expected[torchvision_key(name)].grad
        assert (parameter.grad - other).norm() <= 1e-4 * other.norm(), name


def test_the_base_one_has_the_parameters_of_torchvision():
    with torch.device("meta"):
        net = nets.NETS["vit-b-16"](1000)
    assert sum(parameter.numel() for parameter in net.parameters()) == 86_567_656


@pytest.mark.slow
def test_vit_b_16_answers_as_torchvision():
    ours, theirs = pair("vit-b-16", 1000)
    images = torch.randn(1, 3, 224, 224, generator=seeded())
    with torch.no_grad():
        expected = theirs(images)
        assert expected.std() > 0.1
        torch.testing.assert_close(ours(images), expected, atol=1e-5, rtol=1e-5)


def test_small_one_has_the_weights_of_resnet_14():
    vit, cnn = (
        sum(parameter.numel() for parameter in nets.build(name, 10).parameters())
        for name in ("vit-32px", "resnet-14")
    )
    assert abs(vit / cnn - 1) < 0.02


def test_attention_by_formula_is_the_fused_kernel():
    q, k, v = torch.randn(3, 2, 4, 9, 5, generator=seeded(), dtype=torch.float64)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(attention_by_formula(q, k, v), expected, atol=1e-12, rtol=0)


def test_heads_and_projections_against_multihead_attention():
    ours, theirs = SelfAttention(12, 3), torch.nn.MultiheadAttention(12, 3, batch_first=True)
    for own, other in (
        (ours.qkv.weight, theirs.in_proj_weight),
        (ours.qkv.bias, theirs.in_proj_bias),
    ):
        other.data.copy_(own.data)
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    x = torch.randn(2, 7, 12, generator=seeded())
    with torch.no_grad():
        expected, weights = theirs(x, x, x, average_attn_weights=False)
        torch.testing.assert_close(ours(x), expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(ours.weights(x), weights, atol=1e-6, rtol=0)


def test_patches_are_rows_of_pixels_times_a_matrix():
    """196 patches of 768 numbers each, at the size of the paper."""
    size = replace(SIZES["vit-b-16"], width=32, depth=1, heads=2, hidden=8)
    net = VisionTransformer(2, size)
    net.initialise(seeded())
    image = torch.randn(1, 3, 224, 224, generator=seeded())
    rows = torch.nn.functional.unfold(image, 16, stride=16)[0].T
    assert rows.shape == (196, 768)
    with torch.no_grad():
        expected = rows @ net.patches.weight.flatten(1).T + net.patches.bias
        tokens = (net.tokens(image) - net.positions)[0, 1:]
        torch.testing.assert_close(tokens, expected, atol=1e-4, rtol=0)


def test_untrained_answers_are_even():
    logits = nets.build("vit-32px", 5, generator=seeded())(torch.randn(2, 3, 32, 32))
    assert not logits.any()


def test_initial_weights_come_from_the_generator():
    one, same, other = (
        nets.build("vit-32px", 5, generator=seeded(seed)).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not torch.equal(one["positions"], other["positions"])
    assert one["positions"].std() == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"init": "he"}, "he"),
        ({"batch_norm": True}, "batch_norm"),
        ({"activation": "tanh"}, "activ"),
    ],
)
def test_what_it_does_not_leave_open(choice, told):
    with pytest.raises(PixgradError, match=told):
        nets.build("vit-32px", 10, **choice)


def test_other_sizes_have_no_positions():
    with pytest.raises(PixgradError, match=r"32×32.*40×32"):
        nets.build("vit-32px", 10)(torch.zeros(1, 3, 40, 32))


def test_without_positions_the_order_of_patches_does_not_matter():
    net = nets.build("vit-32px", 10, generator=seeded()).eval()
    net.head.weight.data.normal_(generator=seeded())
    image = torch.randn(1, 3, 32, 32, generator=seeded())
    turned = image.flip(2).unfold(2, 4, 4).flip(-1).transpose(3, 4).flatten(2, 3)  # rows of patches
    with torch.no_grad():
        assert not torch.allclose(net(image), net(turned), atol=1e-3)
        net.positions.zero_()
        torch.testing.assert_close(net(image), net(turned), atol=1e-5, rtol=0)


class TestMaps:
    net = nets.build("vit-32px", 10, generator=seeded())
    maps = attention_maps(net, torch.randn(2, 3, 32, 32, generator=seeded()))

    def test_every_row_is_a_distribution(self):
        assert self.maps.shape == (2, 4, 4, 65, 65)
        torch.testing.assert_close(self.maps.sum(-1), torch.ones(2, 4, 4, 65))

    def test_they_are_those_that_the_network_uses(self):
        """The attention of a block, put together from its map by hand."""
        seen = []
        block = self.net.blocks[2].attention
        hook = block.register_forward_hook(lambda module, given, out: seen.append((given[0], out)))
        with torch.no_grad():
            self.net(torch.randn(2, 3, 32, 32, generator=seeded()))
            hook.remove()
            [(x, out)] = seen
            v = block.queries_keys_values(x)[2]
            expected = block.out((self.maps[:, 2] @ v).transpose(1, 2).flatten(2))
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-4)

    def test_rollout_of_two_blocks_by_hand(self):
        half = (self.maps.mean(2) + torch.eye(65)) / 2
        expected = (half[:, 1] @ half[:, 0])[:, 0, 1:]
        torch.testing.assert_close(rollout(self.maps[:, :2]), expected)
        whole = rollout(self.maps)
        assert whole.shape == (2, 64)
        assert (whole.sum(-1) < 1).all()  # a part stays with the class token

    def test_distance_of_even_attention_is_the_mean_distance(self):
        """Of 2 x 2 patches of 10 pixels: to itself 0, to two neighbours 10, across 10 √2."""
        even = torch.full((1, 1, 1, 5, 5), 0.2)
        expected = (0 + 10 + 10 + 10 * 2**0.5) / 4
        assert attention_distance(even, 10).item() == pytest.approx(expected)
        own = torch.eye(5)[None, None, None]
        assert attention_distance(own, 10).item() == 0
