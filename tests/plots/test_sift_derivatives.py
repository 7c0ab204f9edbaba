"""Figures of the derivatives of SIFT: what is drawn, against numbers, features and differences."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection

from pixgrad.plots import features as over_photos
from pixgrad.plots import sift_derivatives as plots
from pixgrad.sift import Features
from pixgrad.sift.derivatives import Keypoint
from pixgrad.sift.derivatives.compare import StageCheck
from pixgrad.sift.derivatives.kinks import Kink
from pixgrad.sift.derivatives.response import Response
from pixgrad.sift.derivatives.types import Geometry
from pixgrad.sift.fates import Candidates
from pixgrad.sift.features import pack_octave

NBSP, MINUS = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"


@pytest.fixture
def axes():
    figure, axes = plt.subplots(2, 2)
    yield axes.ravel()
    plt.close(figure)


def points(line) -> np.ndarray:
    return np.column_stack(line.get_data())


def labelled(ax, label: str) -> np.ndarray:
    (line,) = [line for line in ax.lines if line.get_label() == label]
    return points(line)


def test_table_of_derivatives():
    slopes = np.zeros(1)
    rows = [
        StageCheck("норма", "x", 0.0, 2e-9, "ноль", slopes),
        StageCheck("норма", "y", 1e-13, 2e-9, "ноль", slopes),
        StageCheck("срез", "x", 2e-10, 3e-7, "порог", slopes),
    ]
    lines = plots.comparison_table(rows).data.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    below = ["$\\le 10^{-12}$", "$\\le 10^{-8}$"]
    assert cells[:2] == [["норма; x", *below, "ноль"], ["норма; y", *below, "то же"]]
    assert cells[2] == [
        "срез; x", "**$2{,}0 \\cdot 10^{-10}$**", "**$3{,}0 \\cdot 10^{-7}$**", "порог"
    ]  # fmt: skip


def test_table_of_kinks():
    rows = [Kink("модуль", "ноль", -1.0, 1.0, 0.0, 0.125, None, math.nan),
            Kink("порог", "край", -123.4, 0.5, -2.0, 0.0, 1.0, 0.0)]  # fmt: skip
    lines = plots.kinks_table(rows).data.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells[0][2:] == [f"{MINUS}1", "1", "0", "0,125", "—", "NaN"]
    assert cells[1][2:] == [f"{MINUS}123", "0,500", f"{MINUS}2", "0", "1", "0"]


def test_slopes_of_the_kinks_are_those_of_the_curves(axes):
    plots.draw_kinks(axes)
    for ax in axes:
        curve, slope = (points(line) for line in ax.lines)
        t, value = curve.T
        steps = np.diff(value) / np.diff(t)
        middle = (slope[1:, 1] + slope[:-1, 1]) / 2
        known = np.isfinite(steps) & np.isfinite(middle)
        assert known.sum() > 600
        np.testing.assert_allclose(middle[known], steps[known], atol=0.01)
        assert np.abs(np.diff(value[np.isfinite(value)])).max() > 0


def test_the_curves_of_the_kinks(axes):
    plots.draw_kinks(axes)
    absolute, share, hard, cut = (points(ax.lines[0]) for ax in axes)
    at = {
        name: dict(np.round(c, 6))
        for name, c in zip("ashc", (absolute, share, hard, cut), strict=True)
    }
    assert at["a"][-1.0] == at["a"][1.0] == 1
    assert at["s"][0.0] == 1 and at["s"][0.5] == at["s"][-0.5] == 0.5 and at["s"][1.5] == 0
    assert at["h"][0.0] == 1 and at["h"][1.0] == at["h"][-1.0] == 0
    assert at["c"][0.5] == 0.5 and at["c"][1.0] == at["c"][2.0] == 1


def test_ideal_answers_lie_on_the_lines_of_the_picture(axes):
    """A keypoint that follows the picture, its angle counted from another turn."""
    pixels, radians = np.linspace(0, 0.8, 5), np.deg2rad(np.linspace(10, 60, 6))
    shift = Response(pixels, 31.5 + pixels, 1 + 0 * pixels, 0.5 + 0 * pixels)
    turn = Response(radians, radians - 4 * np.pi, 2 + 0 * radians, 1.5 + 0 * radians)
    plots.draw_response(axes, shift, turn)
    for ax, motion in ((axes[0], pixels), (axes[1], np.rad2deg(radians))):
        np.testing.assert_allclose(labelled(ax, "SIFT"), np.column_stack([motion, motion]))
        np.testing.assert_allclose(labelled(ax, "как картинка"), labelled(ax, "SIFT"))
    for ax, response in ((axes[2], shift), (axes[3], turn)):
        np.testing.assert_array_equal(labelled(ax, "почти всюду")[:, 1], response.exact)
        np.testing.assert_array_equal(labelled(ax, "с заменами")[:, 1], response.surrogate)
    np.testing.assert_allclose(labelled(axes[3], "с заменами")[:, 0], np.rad2deg(radians))


@pytest.mark.parametrize("octave", [-1, 0, 2])
def test_a_keypoint_is_drawn_where_the_detector_found_it(octave):
    features = Features(
        np.array([[61.25, 40.5]], np.float32),
        np.array([9.5], np.float32),
        np.array([70.0], np.float32),
        np.ones(1, np.float32),
        pack_octave(octave, np.array([2]), np.zeros(1)),
        np.zeros((1, 128), np.float32),
    )
    xy, size, angle = plots.on_photo(Keypoint.of(features, 0))
    np.testing.assert_allclose(xy, features.xy[0])
    assert size == pytest.approx(9.5)
    assert angle % 360 == pytest.approx(70)


def test_grid_is_that_of_the_descriptor(axes):
    """Turned by 90 degrees clockwise: "along" is down the picture, "across" to the left."""
    over_photos.draw_grid(axes[0], np.array([50.0, 40.0]), 4.0, 90.0)
    (lines,) = axes[0].collections
    corners = np.concatenate(lines.get_segments())
    side = 3 * 2 * 4  # cells of three sigmas, four of them
    np.testing.assert_allclose(corners.min(axis=0), [50 - side / 2, 40 - side / 2])
    np.testing.assert_allclose(corners.max(axis=0), [50 + side / 2, 40 + side / 2])
    assert len(lines.get_segments()) == 10
    over_photos.draw_grid(axes[1], np.array([0.0, 0.0]), 2.0, 30.0)
    first = axes[1].collections[0].get_segments()[0]  # the edge behind the keypoint
    turn = np.deg2rad(30)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    np.testing.assert_allclose(first, [-6 * along - 6 * across, -6 * along + 6 * across])


def test_maps_of_the_jacobian(axes):
    keypoint = Keypoint(1, 1, Geometry(6.0, 7.0, 1.5, 0.3))
    jacobian = np.random.default_rng(0).normal(size=(128, 12, 14))
    jacobian[3, 2, 5] = -9
    plots.draw_sensitivity(axes[0], jacobian, keypoint)
    expected = np.linalg.norm(jacobian.reshape(128, -1), axis=0).reshape(12, 14)
    np.testing.assert_allclose(axes[0].images[0].get_array(), expected)
    plots.draw_component(axes[1], jacobian, keypoint, 3)
    (drawn,) = axes[1].images
    np.testing.assert_array_equal(drawn.get_array(), jacobian[3])
    assert drawn.get_clim() == (-9, 9)
    # PuOr: orange is negative, purple positive.
    low, high = drawn.cmap(drawn.norm([-9.0, 9.0]))
    assert low[0] > low[2] and high[2] > high[1]


def test_photo_with_its_keypoint(axes):
    keypoint = Keypoint(1, 1, Geometry(6.0, 7.0, 1.5, 0.3))
    plots.draw_photo_keypoint(axes[0], np.zeros((12, 14), np.uint8), keypoint)
    (radius,) = [
        one.get_segments()[0]
        for one in axes[0].collections
        if isinstance(one, LineCollection) and len(one.get_segments()) == 1
    ]
    np.testing.assert_allclose(radius, [[6, 7], [6 + 1.5 * np.cos(0.3), 7 - 1.5 * np.sin(0.3)]])


def test_descents_and_pictures(axes):
    plots.draw_descents(axes[0], {"спуск": np.array([3.0, 2, 1])}, byte=0.5)
    assert labelled(axes[0], "спуск").tolist() == [[0, 3], [1, 2], [2, 1]]
    assert axes[0].lines[1].get_ydata()[0] == 0.5
    assert axes[0].get_yscale() == "log"
    plots.draw_pictures(axes[1:2], {"разность": np.array([[-5.0, 7.0]])}, vmin=-128, vmax=128)
    (picture,) = axes[1].images
    assert picture.get_clim() == (-128, 128) and axes[1].get_title() == "разность"
    np.testing.assert_array_equal(picture.get_array(), [[-5, 7]])


def test_the_vanished_are_counted_by_scale_and_by_contrast():
    scale, contrast = np.arange(1.0, 11), np.arange(10.0, 0, -1) / 30
    points = Candidates(np.full((10, 2), 20.0), scale, contrast, np.zeros(10))
    lost = np.array([scale <= 2, scale <= 4])
    figure, axes = plt.subplots(1, 3)
    plots.draw_vanishing(axes, np.full((40, 40), 128.0), points, lost)
    survived, gone = axes[0].collections
    assert (len(survived.get_offsets()), len(gone.get_offsets())) == (6, 4)
    for ax, expected in ((axes[1], [1, 0.5, 0, 0, 0]), (axes[2], [0, 0, 0, 0.5, 1])):
        assert [bar.get_height() for bar in ax.patches] == pytest.approx(expected)
    assert axes[1].get_xticklabels()[0].get_text() == "1,5"
    plt.close(figure)
