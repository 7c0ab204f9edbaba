"""The backward signal against PyTorch's autograd and against the theory of the chapter."""

import numpy as np
import pytest
import torch

from pixgrad.backprop.signals import (
    backward_signal,
    deep_network,
    expected_factor,
    factor_per_layer,
)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("init", ["default", "he", 9.0])
def test_norms_equal_autograd(activation, init):
    depth, width, batch = 5, 16, 8
    signal = backward_signal(activation, depth, width, init, batch, seeds=2)
    for seed in range(2):
        rng = np.random.default_rng(seed)
        model = deep_network(activation, depth, width, init, rng)
        x, labels = rng.standard_normal((batch, width)), rng.integers(0, 10, batch)
        weights = [torch.from_numpy(layer.weight).requires_grad_() for layer in model.layers[::2]]
        a, outputs = torch.from_numpy(x), []
        for place, weight in enumerate(weights):
            z = a @ weight.T + torch.from_numpy(model.layers[2 * place].bias)
            z.retain_grad()
            outputs.append(z)
            a = getattr(torch, activation)(z)
        torch.nn.functional.cross_entropy(outputs[-1], torch.from_numpy(labels)).backward()
        theirs = [[t.grad.norm().item() for t in tensors] for tensors in (outputs, weights)]
        np.testing.assert_allclose([signal.outputs[seed], signal.weights[seed]], theirs, rtol=1e-12)


def test_relu_keeps_the_factor_of_the_variance_formula():
    # He et al. 2015, section 2.2: n Var W / 2 per layer for the squared norm.
    for init, expected in (("he", 1.0), ("default", (1 / 6) ** 0.5)):
        factors = factor_per_layer(backward_signal("relu", init=init, seeds=10).outputs)
        standard_error = factors.std(ddof=1) / len(factors) ** 0.5
        assert abs(factors.mean() - expected) < 4 * standard_error


def test_sigmoid_never_exceeds_its_bound():
    factors = factor_per_layer(backward_signal("sigmoid", seeds=5).outputs)
    assert (factors < 1 / (4 * 3**0.5)).all()


def test_factor_of_an_exact_geometric_sequence():
    norms = np.array([[0.5**k for k in range(6, -1, -1)], [3.0**-k for k in range(6, -1, -1)]])
    np.testing.assert_allclose(factor_per_layer(norms), [0.5, 1 / 3])


def test_a_number_is_the_variance_of_the_weights_by_their_width():
    model = deep_network("sigmoid", 4, 300, 9.0, np.random.default_rng(0))
    weights = np.concatenate([layer.weight.ravel() for layer in model.layers[::2]])
    assert 300 * weights.var() == pytest.approx(9.0, rel=0.01)


@pytest.mark.parametrize(("gain", "factor"), [(9, 0.53), (100, 0.99), (256, 1.25)])
def test_sigmoid_of_large_weights_starves_explodes_and_is_predicted(gain, factor):
    measured = factor_per_layer(backward_signal("sigmoid", init=float(gain), seeds=10).outputs)
    assert measured.mean() == pytest.approx(factor, rel=0.02)
    assert expected_factor("sigmoid", gain) == pytest.approx(factor, rel=0.05)


def test_expected_factor_where_it_has_a_closed_form():
    assert expected_factor("relu", 2.0) == pytest.approx(1.0, rel=1e-6)
    assert expected_factor("relu", 1 / 3) == pytest.approx((1 / 6) ** 0.5, rel=1e-6)
    # Weak weights leave tanh and the sigmoid at zero, where the slopes are 1 and 1/4.
    assert expected_factor("tanh", 0.5) == pytest.approx(0.5**0.5, rel=1e-6)
    assert expected_factor("sigmoid", 1e-4) == pytest.approx(1e-2 / 4, rel=1e-3)
