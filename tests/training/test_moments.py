"""Moments of Adam and AdaMax against the steps that torch and our own optimisers really make."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pixgrad import backprop as bp  # noqa: E402  (needs torch)
from pixgrad.training import moments  # noqa: E402

TORCH = {"adam": torch.optim.Adam, "adamax": torch.optim.Adamax}
OWN = {"adam": bp.Adam, "adamax": bp.AdaMax}


@pytest.mark.parametrize("name", TORCH)
def test_last_step_is_the_change_of_the_parameter(name):
    generator = torch.Generator().manual_seed(1)
    parameter = torch.nn.Parameter(torch.zeros(3, 4, dtype=torch.float64))
    optimiser = TORCH[name]([parameter], lr=0.01, betas=(0.8, 0.95))
    for _ in range(5):
        before = parameter.detach().clone()
        parameter.grad = torch.randn(3, 4, dtype=torch.float64, generator=generator)
        optimiser.step()
        change = (before - parameter.detach()) / 0.01
        torch.testing.assert_close(moments.last_step(optimiser, parameter), change)


def test_scale_is_a_mean_square_or_a_maximum():
    """With β₂ of 0.5 by hand: gradients 3, then 1."""
    for name, expected in (("adam", ((9 / 4 + 1 / 2) / (3 / 4)) ** 0.5), ("adamax", 1.5)):
        parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
        optimiser = TORCH[name]([parameter], betas=(0.9, 0.5), eps=0)
        for gradient in (3.0, 1.0):
            parameter.grad = torch.tensor([gradient], dtype=torch.float64)
            optimiser.step()
        assert moments.scale(optimiser, parameter).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize(("spike", "at"), [(100.0, 1), (1000.0, 30)])
def test_closed_form_of_a_spike(name, spike, at):
    steps = 300
    scale, step = moments.after_spike(name, spike, at, steps)
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    theirs = TORCH[name]([parameter], lr=1.0, eps=0)
    theta = np.zeros(1)
    own = OWN[name]({"theta": theta}, lr=1.0, **({"eps": 0.0} if name == "adam" else {}))
    for t in range(1, steps + 1):
        gradient = spike if t == at else 1.0
        before = theta.copy()
        own.step({"theta": np.array([gradient])})
        parameter.grad = torch.tensor([gradient], dtype=torch.float64)
        theirs.step()
        assert moments.scale(theirs, parameter).item() == pytest.approx(scale[t - 1], rel=1e-12)
        assert (before - theta).item() == pytest.approx(step[t - 1], rel=1e-9)
        assert parameter.item() == pytest.approx(theta.item(), rel=1e-12)


def test_limits_of_a_spike():
    """Kingma and Ba, section 2.1: |Δ| <= α (1 - β₁) / √(1 - β₂) for Adam; 7.1: <= α for AdaMax."""
    at, huge = 20_000, 1e9
    scale, step = moments.after_spike("adam", huge, at, at)
    assert step[-1] == pytest.approx(0.1 / 0.001**0.5, rel=1e-6)
    assert scale[-1] == pytest.approx(huge * 0.001**0.5, rel=1e-6)
    scale, step = moments.after_spike("adamax", 100, 10, 20_000)
    assert step.max() <= 1
    above = np.flatnonzero(scale > 1)
    assert len(above) == pytest.approx(np.log(100) / 0.001, rel=1e-3)


def test_log_histogram_is_numpys():
    values = np.random.default_rng(0).normal(size=5000) * 10 ** np.random.default_rng(1).uniform(
        -6, 0, 5000
    )
    edges = moments.HISTOGRAM_EDGES
    inside = np.clip(np.log10(np.abs(values)), edges[0], edges[-1])
    expected, _ = np.histogram(inside, edges)
    found = moments.log_histogram(torch.from_numpy(values).reshape(50, 100))
    np.testing.assert_allclose(found, expected / 5000, atol=1e-3)  # edges in float32


def test_log_histogram_keeps_zeros_and_giants_in_the_outer_bins():
    found = moments.log_histogram(torch.tensor([0.0, 1e-20, 1e5, -1e9]))
    assert (found[0], found[-1], found.sum()) == (0.5, 0.5, 1)
