"""The small network: sizes by formula, its parts, dropout's masks, the head of two levels."""

import copy

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (needs torch)

from pixgrad import nets  # noqa: E402
from pixgrad.nets.dropout import Dropout  # noqa: E402
from pixgrad.nets.small import TwoLevelHead  # noqa: E402


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("side", [28, 32])
def test_against_layers_of_torch(side):
    """The same weights in torch's own layers, in evaluation mode, give the same answers."""
    net = nets.build("small-cnn", 10, dropout=0.3, init="he", generator=seeded(1)).eval()
    plain = nn.Sequential(
        *(
            layer
            for inputs, outputs in ((3, 16), (16, 32), (32, 64))
            for layer in (
                nn.Conv2d(inputs, outputs, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2, ceil_mode=True),
            )
        ),
        nn.Flatten(),
        nn.Linear(64 * 16, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    plain.load_state_dict(dict(zip(plain.state_dict(), net.parameters(), strict=True)))
    x = torch.randn(4, 3, side, side, generator=seeded())
    torch.testing.assert_close(net(x), plain(x))
    assert parameters(net) == 27 * 16 + 144 * 32 + 288 * 64 + 112 + 1024 * 64 + 64 + 650


@pytest.mark.parametrize(
    ("parts", "more"),
    [
        ({"first_kernel": 1}, -8 * 3 * 16),
        ({"first_kernel": 2}, -5 * 3 * 16),
        ({"pointwise": 2}, 2 * sum(width * (width + 1) for width in (16, 32, 64))),
        ({"convolutions": 2}, sum(width * (9 * width + 1) for width in (16, 32, 64))),
        ({"batch_norm": True}, 16 + 32 + 64),
        ({"superclasses": [0, 1] * 5}, 2 * 65),
    ],
)
def test_parts_change_what_they_name(parts, more):
    net, changed = nets.build("small-cnn", 10), nets.build("small-cnn", 10, **parts)
    assert parameters(changed) == parameters(net) + more
    x = torch.randn(2, 3, 32, 32, generator=seeded())
    assert changed(x).shape == (2, 10)


def test_dropout_zeroes_its_share_and_keeps_the_mean():
    layer = Dropout(0.2)
    layer.seed(3)
    x = torch.full((400, 500), 2.0)
    y = layer(x)
    assert set(y.unique().tolist()) == {0.0, 2.5}
    assert (y == 0).float().mean().item() == pytest.approx(0.2, abs=0.005)  # five deviations
    assert y.mean().item() == pytest.approx(2, abs=0.02)
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_dropout_goes_on_with_its_masks_and_leaves_the_global_generator():
    layer, x = Dropout(0.5), torch.ones(64)
    layer.seed(1)
    before = torch.get_rng_state()
    layer(x)
    state = copy.deepcopy(layer.state_dict())
    rest = [layer(x), layer(x)]
    assert not torch.equal(*rest)
    other = Dropout(0.5)
    other.load_state_dict(state)
    assert all(torch.equal(other(x), of) for of in rest)
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_leaves_the_initial_weights_and_differs_by_seed():
    one, other, third = (
        nets.build("small-cnn", 10, dropout=p, generator=seeded(seed))
        for p, seed in ((0.0, 1), (0.5, 1), (0.5, 2))
    )
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    x = torch.ones(1000)
    masks = [of.dropout(x) for of in (other, third)]
    masks += [layer(x) for layer in other.features if isinstance(layer, Dropout)]
    assert len({tuple(mask.tolist()) for mask in masks}) == 5


def test_two_levels_multiply_their_probabilities():
    """P(superclass) times P(class | superclass), each by its own softmax, class by class."""
    superclasses = [2, 0, 1, 0, 2, 1, 1, 0, 2]
    head = TwoLevelHead(5, superclasses)
    x = torch.randn(7, 5, generator=seeded(2))
    found = head(x).exp()
    torch.testing.assert_close(found.sum(1), torch.ones(7))
    first, second = head.first(x).softmax(1), head.second(x).exp()
    for k, superclass in enumerate(superclasses):
        family = [j for j, of in enumerate(superclasses) if of == superclass]
        expected = first[:, superclass] * second[:, k] / second[:, family].sum(1)
        torch.testing.assert_close(found[:, k], expected)
