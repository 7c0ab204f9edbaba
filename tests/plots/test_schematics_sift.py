"""Schematics of SIFT: the numbers and arrows in them against the pipeline."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, Polygon

from pixgrad.plots import schematics_sift as schematics
from pixgrad.sift import scale_space


@pytest.fixture
def ax():
    _, axes = plt.subplots()
    yield axes
    plt.close("all")


def words(ax) -> list[str]:
    return [one.get_text() for one in ax.texts]


def test_pyramid_has_the_layers_and_scales_of_an_octave(ax):
    schematics.pyramid(ax)
    octaves = 3
    (octave, *_) = scale_space.gaussian_pyramid(np.zeros((64, 64), np.float32))
    differences = scale_space.difference_of_gaussians(octave)
    sheets = [patch for patch in ax.patches if isinstance(patch, Polygon)]
    assert len(sheets) == octaves * (len(octave) + len(differences))
    told = [float(word.split(":")[1].replace(",", ".")) for word in words(ax) if "$I_" in word]
    widths = scale_space.layer_blurs()
    np.testing.assert_allclose(np.diff(np.square(told)), np.square(widths), atol=0.06)


def test_cube_writes_every_number_once(ax):
    values = np.arange(27).reshape(3, 3, 3)
    schematics.cube(ax, values)
    written = [int(word) for word in words(ax) if word.isdigit()]
    assert sorted(written) == list(range(27))


def test_window_and_grid_show_what_the_package_finds():
    figure, theta = schematics.window_to_grid()
    _, histogram, grid = figure.axes
    (line,) = (one for one in histogram.lines if one.get_linestyle() == "--")
    assert line.get_xdata()[0] == pytest.approx(360 - theta)
    tip, tail = grid.texts[0].xy, grid.texts[0].xyann
    across, down = np.subtract(tip, tail)
    assert np.rad2deg(np.arctan2(down, across)) % 360 == pytest.approx(theta, abs=1e-3)
    plt.close(figure)


def test_every_flow_has_its_way_back(ax):
    schematics.derivative_graph(ax)
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == 2 * len(schematics.FLOWS)
    reached = {"image"}
    for start, end in schematics.FLOWS:  # in the order in which SIFT computes them
        assert start in reached
        reached.add(end)
    assert reached == set(schematics.STAGES)


def test_two_of_the_matches_are_verified_as_wrong():
    figure = schematics.four_steps()
    *_, match, verify = (len(ax.collections) for ax in figure.axes)
    assert match == verify
    wrong = figure.axes[3].collections[-1]
    assert len(wrong.get_segments()) == 2
    assert wrong.get_linestyle()[0][1] is not None
    plt.close(figure)
