"""Figures of the experiment on pooling draw the numbers of its tables."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pixgrad.plots import pooling

NAMES = {"max": "a", "stride": "b"}


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_answers_are_means_over_seeds_in_per_cent():
    rows = [
        {"network": network, "seed": seed, "shift": shift, "same": 1 - 0.1 * shift + 0.01 * seed}
        for network in NAMES
        for seed in (1, 2, 3)
        for shift in (0, 1, 2)
    ]
    _, ax = plt.subplots()
    pooling.answers_by(ax, pd.DataFrame(rows), "shift", "same", NAMES)
    first, _ = ax.lines
    assert first.get_xdata().tolist() == [0, 1, 2]
    np.testing.assert_allclose(first.get_ydata(), [102, 92, 82])
    assert [line.get_label() for line in ax.lines] == ["a", "b"]


def test_layers_are_means_over_odd_shifts():
    layers = [f"{kind}{stage}" for stage in (1, 2, 3) for kind in ("relu", "halved")] + ["mean"]
    rows = [
        {
            "network": network, "seed": 1, "shift": shift, "layer": layer,
            "moved": 0.1 * shift if shift % 2 else 9.0, "still": 0.2 + place,
        }
        for network in NAMES
        for shift in (1, 2, 3)
        for place, layer in enumerate(layers)
    ]  # fmt: skip
    _, axes = plt.subplots(1, 2)
    pooling.layers(axes, pd.DataFrame(rows), NAMES)
    np.testing.assert_allclose(axes[0].lines[0].get_ydata(), [0.2] * 6)
    np.testing.assert_allclose(axes[1].lines[1].get_ydata(), 0.2 + np.arange(7))


def test_sizes_stand_in_the_order_of_their_weights():
    rows = [
        {"network": "max", "parameters": count, "test_accuracy": share + 0.01 * seed}
        for count, share in ((100, 0.4), (10, 0.2))
        for seed in (-1, 0, 1)
    ]
    _, ax = plt.subplots()
    pooling.sizes(ax, pd.DataFrame(rows), {"c": ("black", "o", ["max"])})
    line = ax.containers[0].lines[0]
    assert line.get_xdata().tolist() == [10, 100]
    np.testing.assert_allclose(line.get_ydata(), [20, 40])


def test_kernels_are_grey_where_they_are_zero():
    kernels = np.zeros((3, 3, 3, 3))
    kernels[0, 0, 1, 1] = 2
    figure = pooling.colour_kernels(kernels, columns=2)
    first = figure.axes[0].images[0].get_array()
    assert first[1, 1].tolist() == [1, 0.5, 0.5]
    assert (figure.axes[1].images[0].get_array() == 0.5).all()
