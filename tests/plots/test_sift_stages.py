"""Pictures of SIFT's stages: the numbers behind them against the pipeline and closed forms."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pixgrad.plots import sift_stages
from pixgrad.sift import orientation, refinement


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_curvature_ratio_of_quadratic_surfaces():
    y, x = np.mgrid[-3.0:4, -3:4]
    surfaces = [x**2 + y**2, 10 * x**2 + y**2, x**2 - y**2, (x + y) ** 2 + 3 * (x - y) ** 2]
    # Curvatures a, b give (a + b)^2 / (a b): 4; 11^2 / 10; a saddle; 3 + 1: 16 / 3.
    expected = [4, 12.1, np.inf, 16 / 3]
    for surface, ratio in zip(surfaces, expected, strict=True):
        dog = np.stack([surface] * 3)
        assert sift_stages.curvature_ratio(dog, np.array([[1, 3, 3]]))[0] == pytest.approx(ratio)


def test_curvature_ratio_agrees_with_the_edge_test():
    dog = np.random.default_rng(2).normal(size=(5, 30, 30))
    points = np.argwhere(np.ones((3, 28, 28))) + 1
    _, hessian = refinement.derivatives(refinement.neighbourhood(dog, points))
    is_edge = sift_stages.curvature_ratio(dog, points) >= 11**2 / 10
    np.testing.assert_array_equal(is_edge, refinement.is_edge(hessian, 10.0))


def test_vertex_of_a_known_parabola(ax):
    u = np.array([-1, 0, 1])
    offset = sift_stages.parabola(ax, 5 - 3 * (u - 0.3) ** 2)
    assert offset == pytest.approx(0.3)
    star = next(line for line in ax.lines if line.get_marker() == "*")
    assert star.get_xydata()[0] == pytest.approx([0.3, 5])


def test_layer_grid_places_every_layer():
    rows = [[np.full((8, 12), v) for v in (0, 100, 200)], [np.full((4, 6), v) for v in (50, 150)]]
    figure = sift_stages.layer_grid(rows, [["a", "b", "c"], ["d", "e"]])
    shown = [
        (ax.get_title(), ax.images[0].get_array().mean(), ax.images[0].norm.vmax)
        for ax in figure.axes
        if ax.images
    ]
    plt.close(figure)
    assert shown == [
        ("a", 0, 255),
        ("b", 100, 255),
        ("c", 200, 255),
        ("d", 50, 255),
        ("e", 150, 255),
    ]


def test_orientation_histogram_marks_peaks_and_level(ax):
    votes = np.zeros(36)
    votes[[3, 20]] = 10, 9
    smoothed = orientation.smooth(votes[None])[0]
    _, angle = orientation.peaks(smoothed[None])
    sift_stages.orientation_histogram(ax, votes, smoothed, 360 - angle)
    vertical = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert vertical == pytest.approx([30, 200])
    level = [line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == ":"]
    assert level == pytest.approx([0.8 * smoothed.max()])


def test_descriptor_bars_reach_their_values(ax):
    values = np.random.default_rng(3).uniform(0, 255, 128)
    sift_stages.descriptor_bars(ax, values, limit=200)
    tops = np.array([segment[:, 1].max() for segment in ax.collections[0].get_segments()])
    np.testing.assert_allclose(tops, values)
    assert 200 in [line.get_ydata()[0] for line in ax.lines]


@pytest.mark.parametrize("radius", [4, 9])
def test_differences_in_a_disc_follow_its_formula(radius):
    """Lines of the figure against its dots, and where the peaks stand against calculus."""
    k = 2 ** (1 / 3)
    sigma, response = sift_stages.disc_differences(radius)
    half = radius**2 / (2 * sigma**2)
    np.testing.assert_allclose(response, np.exp(-half) - np.exp(-half / k**2), atol=4e-3)
    _, axes = plt.subplots(1, 3)
    sift_stages.disc_responses(axes, (radius, 2 * radius, 3 * radius))
    ratios = (1 / 2, 1 / np.sqrt(2), np.sqrt((1 - k**-2) / (4 * np.log(k))))
    for panel, ratio in zip(axes, ratios, strict=True):
        x, y = panel.lines[0].get_data()
        assert x[np.argmax(y)] == pytest.approx(ratio * radius, rel=0.02)
    heights = [line.get_ydata().max() for line in axes[1].lines]
    np.testing.assert_allclose(heights, 2 / np.e, rtol=1e-3)
    plt.close("all")


def test_arrows_point_from_dark_to_bright(ax):
    ramp = np.tile(np.linspace(0, 255, 60, dtype=np.float32), (60, 1))
    for image, (across, up) in (
        (ramp, (1, 0)),
        (ramp[::-1].T.copy(), (0, -1)),
        (ramp.T[::-1].copy(), (0, 1)),
    ):
        ax.clear()
        magnitude, angle = (part[0] for part in orientation.gradients(image[None]))
        magnitude = magnitude + np.random.default_rng(0).uniform(0, 1e-3, magnitude.shape)
        sift_stages.direction_arrows(ax, magnitude, angle, step=7)
        (arrows,) = ax.collections
        np.testing.assert_allclose(np.median(arrows.U), across, atol=1e-3)
        np.testing.assert_allclose(np.median(arrows.V), up, atol=1e-3)
