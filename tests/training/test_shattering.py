"""Correlation of gradients against closed forms of wide random networks."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from pixgrad.nets import build
from pixgrad.training import shattering
from pixgrad.training.shattering import gradient_correlation


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def relu_network(hidden, width, inputs, rng):
    """Fully connected, without biases, under He's initialisation."""
    sizes = [inputs] + [width] * hidden + [1]
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        layer = nn.Linear(fan_in, fan_out, bias=False)
        nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_in), generator=rng)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.fixture
def images():
    return torch.randn(8, 3, 16, 16, generator=generator())


def test_turned_images_keep_their_norm_and_have_the_angles(images):
    angles = np.array([0, 0.3, 1.0, math.pi / 2])
    a, b = images[:2]
    x = shattering.turned(a, b, angles).double()
    assert x.shape == (4, *a.shape)
    torch.testing.assert_close(x[0].float(), a)
    flat = x.flatten(1) / a.double().norm()
    np.testing.assert_allclose(flat @ flat.T, np.cos(angles[:, None] - angles), atol=1e-6)
    assert (x[-1] * b).sum() > 0


def test_a_linear_network_has_one_gradient(images):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(784, 5))
    table = gradient_correlation(net, images, generator(), logit=3)
    np.testing.assert_allclose(table["correlation"], 1, atol=1e-6)
    np.testing.assert_array_equal(table["angle"], shattering.ANGLES)


@pytest.mark.parametrize("hidden", [1, 3, 7])
def test_wide_relu_networks_follow_the_arc_cosine_kernel(hidden):
    rng = generator(hidden)
    x = torch.randn(8, 400, generator=rng)
    angles = np.array([0.05, 0.2, 0.7, 1.5])
    measured = [
        gradient_correlation(relu_network(hidden, 400, 400, rng), x, rng, angles=angles)
        for _ in range(6)
    ]
    mean = np.mean([table["correlation"] for table in measured], axis=0)
    expected = shattering.plain_correlation(angles, hidden)
    np.testing.assert_allclose(mean, expected, atol=0.04)
    assert expected[0] - expected[-1] > 0.4


def test_one_hidden_layer_loses_the_angle_over_pi():
    angles = np.linspace(0, math.pi, 7)
    np.testing.assert_allclose(shattering.plain_correlation(angles, 1), 1 - angles / math.pi)


def test_batch_normalisation_uses_the_given_images(images):
    net = build("plain-8", 5, generator=generator())
    before = copy.deepcopy(net.state_dict())
    fixed = shattering.with_statistics_of(net, images)
    # Running variances are of n - 1, those of a training step of n: 1 in 128 at the last layers.
    torch.testing.assert_close(fixed(images), net(images), rtol=0.05, atol=0.05)
    alone = torch.cat([fixed(image[None]) for image in images])
    torch.testing.assert_close(alone, fixed(images), rtol=1e-4, atol=1e-4)
    net.load_state_dict(before)
    gradient_correlation(net, images, generator(), arcs=1)
    assert net.training
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_correlation_is_of_the_gradients_that_finite_differences_give():
    """A network of two inputs in float64, its gradients by differences."""
    rng = generator(1)
    net = nn.Sequential(nn.Linear(2, 30), nn.Tanh(), nn.Linear(30, 2)).double()
    for parameter in net.parameters():
        nn.init.normal_(parameter, generator=rng)
    pair = torch.tensor([[1.0, 0.5], [-0.3, 2.0]], dtype=torch.float64)
    table = gradient_correlation(net, pair, generator(5), angles=np.array([0.6]), arcs=1, logit=1)
    expected = []
    for a, b in (pair, pair.flip(0)):
        x = shattering.turned(a, b, np.array([0, 0.6]))
        step = 1e-6 * torch.eye(2, dtype=torch.float64)
        with torch.no_grad():
            slopes = (net(x[:, None] + step) - net(x[:, None] - step))[..., 1]
        expected.append(float(slopes[0] @ slopes[1] / slopes[0].norm() / slopes[1].norm()))
    assert min(abs(value - table["correlation"][0]) for value in expected) < 1e-6


def test_tiny_gradients_do_not_underflow_and_zero_ones_are_nan(images):
    net = nn.Sequential(nn.Flatten(), nn.Linear(768, 2, bias=False))
    nn.init.constant_(net[1].weight, 1e-30)
    assert gradient_correlation(net, images, generator(), arcs=1)["correlation"].min() > 0.999
    nn.init.zeros_(net[1].weight)
    assert gradient_correlation(net, images, generator(), arcs=1)["correlation"].isna().all()


def test_batch_normalisation_shatters_a_plain_network_more(images):
    """At a degree and a half; measured on CIFAR-10: 0.3 and 0.8 at depth 20."""
    angle = np.array([0.028])
    plain, residual = (
        gradient_correlation(
            build(name, 5, generator=generator()), images, generator(), angles=angle
        )
        for name in ("plain-20", "resnet-20")
    )
    assert plain["correlation"][0] < residual["correlation"][0] - 0.2


def random_gradients_by_torch(inputs, depth, rng, skip, beta, width):
    """The same network written with autograd; statistics detached."""

    def he():
        return torch.tensor(rng.normal(scale=math.sqrt(2 / width), size=(width, width)))

    x = torch.tensor(inputs, requires_grad=True)
    h = (x @ torch.tensor(rng.normal(size=(inputs.shape[1], width)))).relu() @ he()
    for _ in range(depth - 1):
        mean, deviation = h.mean(0).detach(), h.std(0, correction=0).detach()
        f = ((h - mean) / deviation).relu() @ he()
        h = h + beta * f if skip else f
    return np.stack(
        [torch.autograd.grad(h[:, i].sum(), x, retain_graph=True)[0] for i in range(width)], axis=2
    )


@pytest.mark.parametrize("skip", [False, True])
def test_random_gradients_are_autograds(skip):
    inputs, options = shattering.GRID[::16], {"skip": skip, "beta": 0.5, "width": 12}
    ours = shattering.random_gradients(inputs, 4, np.random.default_rng(3), **options)
    if not skip:
        options["beta"] = None
    theirs = random_gradients_by_torch(inputs, 4, np.random.default_rng(3), **options)
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 4, 6])
def test_plain_gradients_halve_with_every_normalised_layer(depth):
    rng = np.random.default_rng(depth)
    runs = [
        shattering.random_gradients(np.eye(64), depth, rng, skip=False, width=160) for _ in range(3)
    ]
    mean = np.mean([shattering.correlation_of_pairs(gradients) for gradients in runs])
    assert mean == pytest.approx(2.0**-depth, rel=0.12)


@pytest.mark.parametrize("beta", [0.3, 1.0])
@pytest.mark.parametrize("depth", [1, 2, 4, 10])
def test_residual_gradients_follow_the_closed_form(beta, depth):
    rng = np.random.default_rng(depth)
    runs = [
        shattering.random_gradients(np.eye(64), depth, rng, skip=True, beta=beta, width=160)
        for _ in range(2)
    ]
    mean = np.mean([shattering.correlation_of_pairs(gradients) for gradients in runs])
    assert mean == pytest.approx(shattering.residual_correlation(depth, beta), rel=0.1)


def test_residual_correlation_is_a_power_of_the_depth():
    deep, deeper = (shattering.residual_correlation(depth) for depth in (1_000, 100_000))
    slope = math.log(deeper / deep) / math.log(100)
    assert slope == pytest.approx(-1 / 2 / (1 - 1 / math.pi), abs=1e-3)


def neighbours(gradients):
    """Correlation of gradients one step of the grid apart, a function a column."""
    columns = gradients[:, 0].T
    return np.mean([np.corrcoef(column[:-1], column[1:])[0, 1] for column in columns])


def test_correlation_of_pairs_of_white_noise():
    white = np.random.default_rng(4).normal(size=(64, 1, 4000))
    assert shattering.correlation_of_pairs(white) == pytest.approx(0, abs=0.003)
    constant = np.broadcast_to(white[:1], white.shape)
    assert shattering.correlation_of_pairs(constant) == pytest.approx(1)


def test_deep_functions_of_one_number_shatter_without_skips():
    """Balduzzi et al., figure 1: brown noise, white noise, something between."""
    rng = np.random.default_rng(5)
    shallow, plain, residual = (
        neighbours(shattering.random_gradients(shattering.GRID, depth, rng, skip=skip)[:, :1])
        for depth, skip in ((1, False), (24, False), (24, True))
    )
    assert shallow > 0.9 and abs(plain) < 0.1 and 0.6 < residual < 0.95
