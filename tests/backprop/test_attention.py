"""One head of attention against torch's, finite differences and a case for paper and pencil."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pixgrad.backprop import Attention, ShapeError, gradcheck


def by_hand() -> tuple[Attention, np.ndarray]:
    """Three tokens whose scores are whole multiples of ln 2."""
    head = Attention(2, 2, dtype=np.float64)
    c = math.sqrt(math.sqrt(2) * math.log(2))
    head.weight[...] = np.vstack([c * np.eye(2), c * np.eye(2), np.eye(2)])
    return head, np.array([[[1.0, 0], [0, 1], [1, 1]]])


def test_three_tokens_by_hand():
    head, x = by_hand()
    y = head.forward(x)
    shares = [[0.4, 0.2, 0.4], [0.2, 0.4, 0.4], [0.25, 0.25, 0.5]]
    np.testing.assert_allclose(head.shares[0], shares)
    np.testing.assert_allclose(y[0], [[0.8, 0.6], [0.6, 0.8], [0.75, 0.75]])


def test_gradient_of_the_third_token_by_hand():
    """Of its first number: through the values alone, where queries and keys are fixed."""
    head, x = by_hand()
    head.forward(x)
    head.backward(np.array([[[0.0, 0], [0, 0], [1, 0]]]))
    dv_x = np.outer([1, 0], 0.25 * x[0, 0] + 0.25 * x[0, 1] + 0.5 * x[0, 2])
    np.testing.assert_allclose(head.grads["weight"][4:], dv_x, atol=1e-15)
    scores = np.array([0.0625, -0.1875, 0.125])  # 0.25 (1 - 0.75), 0.25 (0 - 0.75), 0.5 (1 - 0.75)
    dq = scores @ (x[0] @ head.weight[2:4].T) / math.sqrt(2)
    np.testing.assert_allclose(head.grads["weight"][:2], np.outer(dq, x[0, 2]), atol=1e-15)


@pytest.mark.parametrize(("tokens", "features", "width"), [(1, 2, 3), (5, 6, 4), (7, 3, 3)])
def test_against_torch_and_finite_differences(tokens, features, width):
    pytest.importorskip("torch")
    from pixgrad.backprop.attention import torch_twin
    from pixgrad.backprop.compare import compare_layer

    head = Attention(features, width, dtype=np.float64, rng=tokens)
    x = 3 * np.random.default_rng(1).standard_normal((2, tokens, features))
    rows = compare_layer(head, x, torch_twin(features, width))
    assert {row.gradient for row in rows} == {"input", "weight"}
    for row in rows:
        assert row.torch_difference <= 1e-12
        assert row.finite_difference <= 1e-7


def test_large_scores_do_not_overflow():
    head = Attention(2, 2, dtype=np.float64)
    y = head.forward(np.array([[[1e3, -1e3], [-1e3, 1e3]]]))
    assert np.isfinite(y).all()
    np.testing.assert_allclose(head.shares.sum(axis=2), 1)
    assert all(value < 1e-6 for value in gradcheck(head, np.ones((1, 2, 2))).values())


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match="Attention"):
        Attention(4, 2).forward(np.zeros((2, 4)))
