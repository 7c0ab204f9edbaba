"""Shift of a layer's inputs and gradients, and the loss along the gradient, on nets by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from pixgrad import nets
from pixgrad.training import smoothness


@pytest.fixture
def case():
    """A network of eight layers in double precision, a batch, and the values after a step."""
    generator = torch.Generator().manual_seed(3)
    net = nets.build("plain-8", 4, init="he", generator=generator).double().train()
    x = torch.randn(8, 3, 12, 12, generator=generator, dtype=torch.float64)
    y = torch.arange(8) % 4
    before = [of.detach().clone() for of in net.parameters()]
    _, gradient = smoothness.gradients(net, x, y)
    with torch.no_grad():
        for parameter, of in zip(net.parameters(), gradient, strict=True):
            parameter -= 0.05 * of
    return net, before, x, y


def test_groups_follow_the_layers(case):
    groups = smoothness.parameter_groups(case[0])
    assert [len(group) for group in groups] == [3] * 7 + [2]
    layers = [layer for _, layer in nets.weighted_layers(case[0])]
    assert all(group[0] is layer.weight for group, layer in zip(groups, layers, strict=True))


def test_shifts_of_a_layer_by_hand(case):
    """Layer 4: the three before it have moved, it and those after it have not."""
    net, before, x, y = case
    after = [of.detach().clone() for of in net.parameters()]
    rows = smoothness.layer_shifts(net, before, x, y)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), after, strict=True))
    assert [row[0] for row in rows] == list(range(2, 9))
    _, layer = nets.weighted_layers(net)[3]
    inputs, found = [], []
    layer.register_forward_pre_hook(lambda module, given: inputs.append(given[0].detach()))
    for moved in (0, 9):  # parameters of the first three layers and their normalisations
        for number, parameter in enumerate(net.parameters()):
            parameter.data.copy_(after[number] if number < moved else before[number])
        loss = cross_entropy(net(x), y)
        found.append(torch.autograd.grad(loss, layer.weight)[0].flatten())
    old, new = found
    row = dict(zip(smoothness.SHIFT, rows[2], strict=True))
    assert row["gradient_change"] == pytest.approx(((new - old).norm() / old.norm()).item())
    cosine = torch.dot(new, old) / new.norm() / old.norm()
    assert row["gradient_cosine"] == pytest.approx(cosine.item())
    means = [of.mean((0, 2, 3)) for of in inputs]
    spread = inputs[0].transpose(0, 1).flatten(1).std(1).square().mean().sqrt()
    shift = (means[1] - means[0]).square().mean().sqrt() / spread
    assert row["input_shift"] == pytest.approx(shift.item())


def test_along_the_gradient(case):
    """A tiny step lowers the loss by its size times the squared norm; the net stays."""
    net, _, x, y = case
    start = [of.detach().clone() for of in net.parameters()]
    loss, gradient = smoothness.gradients(net, x, y)
    square = sum(of.square().sum() for of in gradient).item()
    small, large = smoothness.along_gradient(net, x, y, (1e-6, 0.1))
    assert small[1] == pytest.approx(-1e-6 * square, rel=1e-3)
    assert small[2] < 1e-3 < large[2]
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), start, strict=True))
    with torch.no_grad():
        for parameter, of in zip(net.parameters(), gradient, strict=True):
            parameter -= 0.1 * of
    assert large[1] == pytest.approx(cross_entropy(net(x), y).item() - loss)
