"""Optimisers against PyTorch over 1,000 steps, and AdaMax of the paper against both."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from pixgrad import backprop as bp

torch = pytest.importorskip("torch")

STEPS = 1000


def gradient(theta: np.ndarray, step: int) -> np.ndarray:
    """Of a badly scaled quadratic with noise; it depends on theta, so errors would grow."""
    noise = np.random.default_rng(step).standard_normal(theta.shape)
    return np.logspace(-3, 2, theta.size).reshape(theta.shape) * theta + 0.1 * noise


def trajectory(make, start: np.ndarray) -> np.ndarray:
    theta = start.copy()
    optimiser = make({"theta": theta})
    path = []
    for step in range(STEPS):
        optimiser.step({"theta": gradient(theta, step)})
        path.append(theta.copy())
    return np.array(path)


def torch_trajectory(make, start: np.ndarray) -> np.ndarray:
    theta = torch.tensor(start, requires_grad=True)
    optimiser = make([theta])
    path = []
    for step in range(STEPS):
        theta.grad = torch.from_numpy(gradient(theta.detach().numpy(), step))
        optimiser.step()
        path.append(theta.detach().numpy().copy())
    return np.array(path)


START = np.random.default_rng(0).standard_normal((3, 4))


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (bp.SGD, torch.optim.SGD, {"lr": 1e-3}),
        (bp.SGD, torch.optim.SGD, {"lr": 1e-3, "momentum": 0.9}),
        (bp.SGD, torch.optim.SGD, {"lr": 1e-3, "momentum": 0.9, "nesterov": True}),
        (bp.AdaGrad, torch.optim.Adagrad, {"lr": 0.1}),
        (bp.AdaGrad, torch.optim.Adagrad, {"lr": 0.1, "eps": 1e-2}),
        (bp.RMSProp, torch.optim.RMSprop, {"lr": 1e-3}),
        (bp.Adam, torch.optim.Adam, {"lr": 1e-2}),
        (bp.AdamW, torch.optim.AdamW, {"lr": 1e-2}),
        (bp.AMSGrad, partial(torch.optim.Adam, amsgrad=True), {"lr": 1e-2}),
        (bp.Adam, torch.optim.Adam, {"lr": 1e-2, "betas": (0.8, 0.99), "eps": 1e-4}),
        (bp.AdaMax, torch.optim.Adamax, {"lr": 1e-2}),
        (bp.AdaMax, torch.optim.Adamax, {"lr": 1e-2, "betas": (0.8, 0.99), "eps": 1e-3}),
    ],
)
def test_thousand_steps_equal_torch(ours, theirs, options, decay):
    form = {"form": "torch"} if ours is bp.AdaMax else {}
    mine = trajectory(lambda p: ours(p, **options, **form, weight_decay=decay), START)
    reference = torch_trajectory(lambda p: theirs(p, **options, weight_decay=decay), START)
    assert np.abs(reference[-1] - START).max() > 0.1  # it went somewhere
    np.testing.assert_allclose(mine, reference, rtol=0, atol=1e-12)


def test_paper_adamax_differs_from_torch_by_eps_only():
    def difference(eps: float) -> float:
        reference = torch_trajectory(lambda p: torch.optim.Adamax(p, lr=1e-2, eps=eps), START)
        return np.abs(trajectory(lambda p: bp.AdaMax(p, lr=1e-2), START) - reference).max()

    assert difference(0) < 1e-12
    one, two = difference(1e-7), difference(2e-7)
    assert one > 1e-10
    assert two / one == pytest.approx(2, rel=1e-3)  # of first order in eps: nothing else differs


def test_adamax_of_the_paper_stands_still_where_no_gradient_came():
    theta = np.array([1.0, 1.0])
    optimiser = bp.AdaMax({"theta": theta}, lr=0.1)
    with np.errstate(all="raise"):
        for _ in range(3):
            optimiser.step({"theta": np.array([0.0, 2.0])})
    assert theta[0] == 1.0
    assert theta[1] == pytest.approx(0.7, abs=1e-12)  # each bias-corrected step is exactly α


def test_adamax_is_the_limit_of_the_p_norm():
    """Kingma and Ba, section 7.1: v_p = (1 - β₂ᵖ) Σ β₂^{p(t-i)} |gᵢ|ᵖ, u = lim v_p^{1/p}."""
    gradients = np.random.default_rng(1).standard_normal(50)
    theta = np.zeros(1)
    optimiser = bp.AdaMax({"theta": theta}, betas=(0.9, 0.9))
    for g in gradients:
        optimiser.step({"theta": np.array([g])})
    u = optimiser.state()["u.theta"][0]
    ages = np.arange(50)[::-1]
    errors = []
    for p in (10, 100, 1000):
        logs = np.log1p(-(0.9**p)) + p * (ages * np.log(0.9) + np.log(np.abs(gradients)))
        norm = np.exp(np.logaddexp.reduce(logs) / p)
        errors.append(abs(norm - u) / u)
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-3


def test_state_restores_the_trajectory():
    theta, other = START.copy(), START.copy()
    first = bp.Adam({"theta": theta})
    for step in range(5):
        first.step({"theta": gradient(theta, step)})
    other[...] = theta
    second = bp.Adam({"theta": other})
    for name, array in second.state().items():
        array[...] = first.state()[name]
    for step in range(5, 10):
        first.step({"theta": gradient(theta, step)})
        second.step({"theta": gradient(other, step)})
    np.testing.assert_array_equal(theta, other)
