"""Kernels and their responses to edges."""

from __future__ import annotations

import numpy as np
import pytest

from pixgrad.nets.kernels import HAND_MADE, edge_responses


def test_sobel_prefers_its_own_direction():
    angles = np.deg2rad([0, 90, 180, 270])
    right, below = (HAND_MADE[name] for name in ("граница слева направо", "граница сверху вниз"))
    found = edge_responses(np.stack([right, below]), angles)
    np.testing.assert_allclose(found, [[2, 0, -2, 0], [0, 2, 0, -2]], atol=1e-12)


def test_kernels_that_look_the_same_from_all_sides_do_not_respond_to_edges():
    kernels = np.stack([HAND_MADE[name] for name in ("размытие", "пятно", "резкость")])
    found = edge_responses(kernels, np.linspace(0, 2 * np.pi, 24))
    np.testing.assert_allclose(found, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "total"),
    [("размытие", 1), ("граница слева направо", 0), ("пятно", 0), ("резкость", 1)],
)
def test_sums_of_kernels(name, total):
    assert HAND_MADE[name].sum() == pytest.approx(total)


def test_an_edge_of_a_wider_kernel():
    """At 45 degrees the diagonal itself is zero, and a step in one column is all that is seen."""
    kernel = np.zeros((1, 5, 5))
    kernel[0, 0, 4] = 1
    assert edge_responses(kernel, np.deg2rad([45.0]))[0, 0] == pytest.approx(0)
    assert edge_responses(kernel, np.deg2rad([0.0]))[0, 0] == 1
