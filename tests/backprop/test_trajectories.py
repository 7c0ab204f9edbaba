"""Landscapes against autograd, descents against closed forms and PyTorch."""

from functools import partial

import numpy as np
import pytest
import torch

from pixgrad.backprop import SGD, Adam, AdaMax
from pixgrad.backprop.trajectories import (
    difference_from_torch,
    fastest_rate,
    norm_average,
    ravine,
    rosenbrock,
    step_sizes,
    steps_to_reach,
    trajectory,
)


@pytest.mark.parametrize("landscape", [ravine(30.0), rosenbrock()])
def test_gradient_equals_autograd(landscape):
    for point in np.random.default_rng(0).normal(size=(5, 2)):
        tensor = torch.from_numpy(point).requires_grad_()
        landscape.value(tensor).backward()
        np.testing.assert_allclose(landscape.gradient(point), tensor.grad.numpy(), rtol=1e-12)
    assert landscape.value(np.array(landscape.minimum)) == 0
    np.testing.assert_allclose(landscape.gradient(np.array(landscape.minimum)), 0, atol=1e-12)


def test_gradient_descent_on_a_quadratic_has_a_closed_form():
    lr, steps = 0.01, 50
    path = trajectory(ravine(100.0), SGD, lr, steps)
    start = np.array(ravine().start)
    expected = start * (1 - lr * np.array([1.0, 100.0])) ** np.arange(steps + 1)[:, None]
    np.testing.assert_allclose(path, expected, atol=1e-12)


def test_divergence_is_not_hidden():
    # Plain descent diverges for lr > 2 / κ.
    landscape = ravine(100.0)
    path = trajectory(landscape, SGD, 0.021, 5000)
    assert np.isnan(path[-1]).all()
    assert steps_to_reach(landscape, path, 1e-3) is None
    rate, _ = fastest_rate(landscape, SGD, [0.021, 0.019], 5000, 1e-3)
    assert rate == 0.019


def test_steps_to_reach_means_for_good():
    landscape = ravine(1.0)
    path = np.array([[2.0, 0], [0.1, 0], [3.0, 0], [0.1, 0], [0.1, 0]])
    assert steps_to_reach(landscape, path, 0.1) == 3
    assert steps_to_reach(landscape, path[:3], 0.1) is None
    assert steps_to_reach(landscape, path[3:], 0.1) == 0


@pytest.mark.parametrize(
    ("ours", "theirs", "arguments"),
    [
        (partial(SGD, lr=0.1, momentum=0.9), torch.optim.SGD, {"momentum": 0.9}),
        (partial(Adam, lr=1e-3), torch.optim.Adam, {}),
        (partial(AdaMax, lr=2e-3, form="torch"), torch.optim.Adamax, {}),
    ],
)
def test_difference_from_torch_is_rounding(ours, theirs, arguments):
    parameters = {"a": np.ones((3, 4)), "b": np.zeros(5)}
    assert difference_from_torch(ours(parameters), theirs, 200, **arguments) < 1e-12


def test_difference_from_torch_sees_another_beta():
    ours = Adam({"a": np.ones(3)}, lr=1e-3, betas=(0.9, 0.99))
    assert difference_from_torch(ours, torch.optim.Adam, 50) > 1e-5


def test_difference_from_torch_does_not_hide_nan():
    ours = SGD({"a": np.ones(3)}, lr=np.nan)
    with np.errstate(invalid="ignore"):
        assert np.isnan(difference_from_torch(ours, torch.optim.SGD, 3))


def test_outlier_moves_and_stops_weights_as_the_denominators_say():
    at, size = 3000, 1000.0
    adam = step_sizes(lambda p, lr: Adam(p, lr), at + 400, at, size)
    adamax = step_sizes(lambda p, lr: AdaMax(p, lr), at + 400, at, size)
    # At the outlier itself: (1 - β₁) / √(1 - β₂) and 1 - β₁ (Kingma and Ba 2015, 2.1 and 7.1).
    assert np.median(adam[at]) == pytest.approx(0.1 / 0.001**0.5, rel=0.05)
    assert np.median(adamax[at]) == pytest.approx(0.1, rel=0.05)
    # Later, when m has forgotten it: m is the same in both, so steps are as 1 / √v and 1 / u.
    ratio = np.median(adam[at + 150 :] / adamax[at + 150 :], axis=1)
    age = np.arange(150, 400)
    v = 1 + size**2 * 0.001 * 0.999**age
    np.testing.assert_allclose(ratio, size * 0.999**age / np.sqrt(v), rtol=0.05)


def test_norm_average_by_the_sum_of_the_paper():
    # Formula (8) of the paper for p = 3, and its limit, formula (11).
    g, beta, p = np.random.default_rng(3).normal(size=12), 0.9, 3
    for t in range(1, 13):
        weights = beta ** (p * (t - 1 - np.arange(t)))
        direct = ((1 - beta**p) * np.sum(weights * np.abs(g[:t]) ** p)) ** (1 / p)
        assert norm_average(g, beta, p)[t - 1] == pytest.approx(direct, rel=1e-12)
        limit = np.max(beta ** (t - 1 - np.arange(t)) * np.abs(g[:t]))
        assert norm_average(g, beta, np.inf)[t - 1] == pytest.approx(limit, rel=1e-12)


def test_norm_average_tends_to_the_maximum():
    g = np.random.default_rng(4).normal(size=50)
    limit = norm_average(g, 0.9, np.inf)
    errors = [np.abs(norm_average(g, 0.9, p) - limit).max() for p in (2, 10, 100, 1000)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01
