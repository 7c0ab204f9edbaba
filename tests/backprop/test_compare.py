"""The comparison must see a wrong gradient, not only pass a right one."""

import numpy as np
import pytest
import torch

from pixgrad.backprop import MSE, CrossEntropy, Linear, Sigmoid
from pixgrad.backprop.compare import compare_layer, compare_loss, difference_errors


class WrongSigmoid(Sigmoid):
    def backward(self, dy):
        return 1.001 * super().backward(dy)


def test_right_layer_passes():
    x = np.random.default_rng(0).standard_normal((3, 4))
    rows = compare_layer(Linear(4, 2, dtype=np.float64), x, torch.nn.Linear(4, 2).double())
    assert [row.gradient for row in rows] == ["input", "weight", "bias"]
    assert max(row.torch_difference for row in rows) < 1e-14
    assert max(row.finite_difference for row in rows) < 1e-8


def test_wrong_layer_is_caught_by_both_sources():
    x = np.random.default_rng(0).standard_normal((3, 4))
    (row,) = compare_layer(WrongSigmoid(), x, torch.nn.Sigmoid())
    assert row.torch_difference > 1e-5
    assert row.finite_difference > 1e-5


@pytest.mark.parametrize("loss", [CrossEntropy(), MSE()])
def test_losses_pass(loss):
    rng = np.random.default_rng(1)
    target = rng.integers(0, 4, 3) if isinstance(loss, CrossEntropy) else rng.random((3, 4))
    row = compare_loss(loss, rng.standard_normal((3, 4)), target)
    assert row.torch_difference < 1e-14
    assert row.finite_difference < 1e-8


@pytest.mark.parametrize(("dtype", "bottom"), [(np.float64, 1e-9), (np.float32, 1e-3)])
def test_difference_error_has_its_bottom_at_the_cube_root_of_epsilon(dtype, bottom):
    eps = float(np.finfo(dtype).eps)
    best = eps ** (1 / 3)
    small, middle, large = difference_errors(
        np.linspace(-2, 2, 41, dtype=dtype), np.array([best / 1e3, best, best * 30])
    )
    assert middle < bottom
    assert small > 30 * middle < large
    assert large < 30**2 * 10 * eps ** (2 / 3)  # grows as h²


def test_step_that_rounding_swallows_gives_no_difference():
    assert difference_errors(np.array([1.0, 2], np.float32), np.array([1e-9])) == pytest.approx([1])


def test_wrong_loss_is_caught_by_both_sources():
    class WrongMSE(MSE):
        def backward(self):
            return 1.001 * super().backward()

    rng = np.random.default_rng(1)
    row = compare_loss(WrongMSE(), *rng.standard_normal((2, 3, 4)))
    assert row.torch_difference > 1e-5
    assert row.finite_difference > 1e-5
