"""The comparison must see a wrong gradient, not only pass a right one."""

import numpy as np
import pytest
import torch

from pixgrad.backprop import MSE, CrossEntropy, Linear, Sequential, Sigmoid
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
    assert not row.exact
    assert row.torch_difference > 1e-5
    assert row.finite_difference > 1e-5


@pytest.mark.parametrize("loss", [CrossEntropy(), MSE()])
def test_losses_pass(loss):
    rng = np.random.default_rng(1)
    target = rng.integers(0, 4, 3) if isinstance(loss, CrossEntropy) else rng.random((3, 4))
    row = compare_loss(loss, rng.standard_normal((3, 4)), target)
    assert row.torch_difference < 1e-14
    assert row.finite_difference < 1e-8


def test_difference_error_grows_on_both_sides_of_its_bottom():
    x = np.random.default_rng(0).standard_normal((4, 8))
    network = Sequential(Linear(8, 5, dtype=np.float64, rng=1), Sigmoid())
    errors = difference_errors(network, x, np.array([1e-11, 1e-5, 1e-1]))
    assert errors[1] < 1e-8 < errors[0]
    assert errors[1] < 1e-4 < errors[2]


def test_difference_error_does_not_hide_nan():
    x = np.random.default_rng(0).standard_normal((4, 8))
    network = Linear(8, 5, dtype=np.float64, rng=1)
    with np.errstate(invalid="ignore"):
        assert np.isnan(difference_errors(network, x, np.array([np.nan]))).all()


def test_wrong_loss_is_caught_by_both_sources():
    class WrongMSE(MSE):
        def backward(self):
            return 1.001 * super().backward()

    rng = np.random.default_rng(1)
    row = compare_loss(WrongMSE(), *rng.standard_normal((2, 3, 4)))
    assert not row.exact
    assert row.torch_difference > 1e-5
    assert row.finite_difference > 1e-5
