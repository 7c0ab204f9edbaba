"""Landscapes against autograd, descents against closed forms and PyTorch."""

from functools import partial

import numpy as np
import pytest
import torch

from pixgrad.backprop import SGD, AdaGrad, Adam, AdaMax, RMSProp
from pixgrad.backprop.trajectories import (
    constant_steps,
    difference_from_torch,
    expected_recovery,
    norm_average,
    ravine,
    recovery,
    rosenbrock,
    search_rates,
    step_sizes,
    steps_to_reach,
    trajectory,
)
from pixgrad.errors import PixgradError


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
    found = search_rates(landscape, SGD, [0.021, 0.019], 5000, 1e-3)
    assert found.best == 1
    assert found.steps[0] == np.inf
    assert np.isfinite(found.path).all()


@pytest.mark.parametrize("landscape", [ravine(), rosenbrock()])
@pytest.mark.parametrize("make", [partial(SGD, momentum=0.9), Adam, AdaMax])
def test_rates_side_by_side_go_the_ways_they_go_alone(landscape, make):
    rates = np.array([1e-3, 3e-2, 1.0])
    together = trajectory(landscape, make, rates, 200)
    alone = [trajectory(landscape, make, rate, 200) for rate in rates]
    # Powers of scalars and of arrays round differently.
    np.testing.assert_allclose(together, np.stack(alone, axis=2), rtol=1e-9)


def test_search_without_success_takes_the_lowest_end():
    # On the flat axis plain descent multiplies the error by 1 - α a step.
    found = search_rates(ravine(), SGD, [1e-4, 1e-3, 1e-2], 20, 1e-9)
    assert (found.steps == np.inf).all()
    assert found.best == 2


def test_a_finer_grid_of_rates_lets_plain_descent_pass_the_valley():
    tenths = 10.0 ** (np.arange(-30, -24) / 10)
    assert search_rates(rosenbrock(), SGD, tenths[::5], 5000, 1e-3).steps.min() == np.inf
    assert search_rates(rosenbrock(), SGD, tenths, 5000, 1e-3).steps.min() == 3240


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
    ours = SGD({"a": np.ones(3)}, lr=1e200)
    with np.errstate(all="ignore"):
        ours.lr = np.nan
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


def test_time_to_recover_depends_on_the_outlier():
    at, spikes, weights = 3000, np.array([100.0, 1000.0]), 200
    usual_u = np.median(
        norm_average(np.random.default_rng(1).standard_normal(13_000), 0.999, np.inf)[at:]
    )
    adam, adamax = expected_recovery(spikes, 0.999, usual_u)
    for make, expected in ((Adam, adam), (AdaMax, adamax)):
        sizes = step_sizes(make, at + 6500, at, spikes, weights)
        for k in range(len(spikes)):
            assert recovery(sizes[:, k], at).steps == pytest.approx(expected[k], rel=0.12)
    # A small outlier stops AdaMax for longer, a large one Adam.
    assert adam[0] < adamax[0]
    assert adam[1] > adamax[1]
    # They are equal at S = 3 / (2 u (1 - β)).
    equal = expected_recovery(1.5 / usual_u / 0.001, 0.999, usual_u)
    assert equal[0] == pytest.approx(equal[1])
    assert expected_recovery(1.0, 0.999, usual_u) == (0, 0)


def test_many_outliers_are_those_met_one_by_one():
    together = step_sizes(Adam, 60, 30, np.array([10.0, 100.0]), weights=7)
    for k, spike in enumerate((10.0, 100.0)):
        np.testing.assert_array_equal(together[:, k], step_sizes(Adam, 60, 30, spike, weights=7))


def test_recovery_too_long_to_be_seen_is_refused():
    with pytest.raises(PixgradError, match="ещё короче"):
        recovery(step_sizes(AdaMax, 3400, 3000, 1e4, weights=20), 3000)


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


def test_steps_of_a_constant_gradient():
    """AdaGrad's fall as 1 / sqrt(t), RMSProp's first one is 1 / sqrt(1 - beta), Adam's stay 1."""
    t = np.arange(1, 201)
    found = {make: constant_steps(make, 200) for make in (AdaGrad, Adam)}
    np.testing.assert_allclose(found[AdaGrad], t**-0.5, rtol=1e-6)
    np.testing.assert_allclose(found[Adam], 1, rtol=1e-6)
    first, *_, last = constant_steps(RMSProp, 2000)
    assert (first, last) == pytest.approx((10, 1), rel=1e-4)
