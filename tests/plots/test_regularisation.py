"""Figures on overfitting: what they compute and how they mark it."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pixgrad.plots import regularisation as ours
from pixgrad.plots.style import BLUE, GREY, RED
from pixgrad.results.statistics import Difference


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_ten_points_are_met_by_degree_nine_and_by_no_other():
    _, axes = plt.subplots(1, 3)
    errors = ours.polynomials(axes, (1, 3, 9), seed=0)
    assert errors[9][0] < 1e-9 < errors[3][0] < errors[1][0]
    assert errors[9][1] > errors[3][1]


def test_minima_of_loss_and_penalty_have_no_gradient():
    _, ax = plt.subplots()
    h, best, decays = np.array([0.5, 4.0]), np.array([2.0, 1.5]), (0, 0.5, 2)
    for decay, w in zip(decays, ours.shrinkage(ax, tuple(h), best, decays), strict=True):
        np.testing.assert_allclose(h * (w - best) + decay * w, 0, atol=1e-12)


def test_a_mask_leaves_out_hidden_neurons_and_their_links():
    _, (whole, masked) = plt.subplots(1, 2)
    ours.dropout_network(whole, 0.5, None)
    ours.dropout_network(masked, 0.5, 4)
    links, crosses = (
        [sum(test(line) for line in ax.lines) for ax in (whole, masked)]
        for test in (lambda line: len(line.get_xdata()) == 2, lambda line: line.get_marker() == "x")
    )
    assert links[0] == 3 * 4 + 4 * 4 + 4 * 2 > links[1]
    assert crosses[0] == 0 < crosses[1] < 8


def test_the_side_of_an_interval_has_its_colour():
    names = {"up": "вверх", "down": "вниз", "both": "никак"}
    ends = {"up": (1, 3), "down": (-3, -1), "both": (-1, 2)}
    measured = {
        name: Difference((low + high) / 2, low, high, 1.0, 1.0, (5, 5))
        for name, (low, high) in ends.items()
    }
    _, axes = plt.subplots(1, 2)
    ours.differences(axes, names, [measured, measured], (1, -1))
    colours = [[line.get_color() for line in ax.lines[1:6:2]] for ax in axes]
    assert colours == [[BLUE, RED, GREY], [RED, BLUE, GREY]]
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == list(names.values())


def test_reliability_is_weighed_by_the_images_of_each_run():
    curves = np.zeros((2, 3, 5))
    curves[0, :, 4], curves[1, :, 4] = (0.3, 0.9, 1.0), (0.1, 0.82, 0.6)
    curves[:, :, 2] = (0.7, 0.5, 0.4)
    _, ax = plt.subplots()
    ours.reliability(ax, curves, BLUE, "сеть")
    x, y = ax.lines[1].get_data()
    np.testing.assert_allclose(x, [0.5, 0.88])
    np.testing.assert_allclose(y, [0.4, 0.9])
