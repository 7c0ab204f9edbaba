"""Figures of the chapter on convolution: what they write and where."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pixgrad.nets.arithmetic import output_size
from pixgrad.nets.receptive import Field
from pixgrad.plots import convolution as plots


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def words(figure) -> list[str]:
    return [one.get_text() for ax in figure.axes for one in ax.texts]


def test_settings_write_the_size_of_the_output():
    cases = [("a", 1, 0, 1), ("b", 2, 1, 1), ("c", 1, 1, 2)]
    figure = plots.settings(np.zeros((7, 7)), 3, cases)
    sizes = [output_size(7, 3, *case[1:]) for case in cases]
    assert words(figure) == [f"{size} × {size}" for size in sizes]


def test_colour_sum_is_the_sum_over_channels():
    rng = np.random.default_rng(0)
    window, kernel = rng.integers(0, 9, (2, 3, 3, 3))
    figure = plots.colour_sum(window, kernel, 2)
    told = words(figure)
    parts = [int((window[c] * kernel[c]).sum()) for c in range(3)]
    assert all(str(part) in told for part in parts)
    assert str(sum(parts) + 2) in figure.get_supxlabel()
    assert str(window[1, 2, 0]) in told


def test_pyramid_counts_what_a_cell_sees():
    _, ax = plt.subplots()
    fields = plots.pyramid(ax, [("a", 3, 1), ("b", 2, 2), ("c", 3, 1)])
    assert [field.size for field in fields] == [1, 3, 4, 8]
    told = [one.get_text() for one in ax.texts]
    assert "8\N{NBSP}пикселей" in told
    assert "3\N{NBSP}клетки" in told


def test_maps_with_and_without_negative_numbers_have_their_colours():
    positive, signed = np.ones((4, 4)), np.array([[1.0, -2.0], [0.5, 0.0]])
    figure = plots.responses([np.zeros((4, 4, 3), np.uint8), positive, signed], "abc", columns=2)
    shown = [ax.images[0].get_cmap().name for ax in figure.axes]
    assert shown[1:] == ["gray", "RdBu"]


def test_boxes_of_fields_stand_around_the_middle_of_the_theoretical_one():
    figure = plots.field_maps({"a": np.eye(9)}, [(2, 5, 3.0)])
    dashed, solid = figure.axes[0].patches
    assert (dashed.get_x(), dashed.get_width()) == (1.5, 5)
    assert (solid.get_x(), solid.get_width()) == (2.5, 3)


def test_growth_draws_the_size_of_every_layer():
    _, ax = plt.subplots()
    first = Field().after(3)
    plots.growth(ax, {"a": {"one": first, "two": first.after(2, 2)}})
    (drawn,) = ax.lines
    assert drawn.get_ydata().tolist() == [3, 4]
