"""Figures of answers show what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy import ndimage

from pixgrad.plots import answers
from pixgrad.plots.style import BLUE, RED

PHOTOS = [np.full((8, 8, 3), 10 * number, dtype=np.uint8) for number in range(3)]


def test_class_names_are_russian_where_they_are_words():
    names = np.array(["Coupe", "Audi S4 2012"])
    assert answers.class_names(names) == ["купе", "Audi S4 2012"]


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_frames_tell_right_answers_from_wrong_ones():
    fig = answers.answer_tiles(PHOTOS, ["a", "b", "c"], [True, False, True], columns=2)
    frames = [ax.patches[-1] for ax in fig.axes if ax.get_title()]
    assert [ax.get_title() for ax in fig.axes] == ["a", "b", "c", ""]
    assert [to_hex(frame.get_edgecolor()).upper() for frame in frames] == [BLUE, RED, BLUE]
    assert [frame.get_linestyle() for frame in frames] == ["-", "--", "-"]


def test_map_is_scaled_and_resampled_as_scipy_does():
    rng = np.random.default_rng(1)
    attention = rng.random((4, 4)).astype(np.float16)
    found = answers.over(attention, (16, 16))
    grid = (np.arange(16) + 0.5) / 4 - 0.5
    expected = ndimage.map_coordinates(
        attention.astype(float) / attention.max(),
        np.meshgrid(grid, grid, indexing="ij"),
        order=1,
        mode="nearest",
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_map_of_zeros_stays_zero():
    assert not answers.over(np.zeros((2, 2)), (8, 8)).any()


def test_attention_has_a_row_a_network():
    maps = {"one": np.ones((3, 2, 2)), "two": np.ones((3, 4, 4))}
    fig = answers.attention_rows(PHOTOS, maps, {name: ["x", "y", "z"] for name in maps})
    assert len(fig.axes) == 9
    assert [fig.axes[row * 3].get_ylabel() for row in range(3)] == ["фотография", "one", "two"]


def test_forest_draws_the_intervals():
    _, ax = plt.subplots()
    answers.forest(ax, ["a", "b"], {"seeds": [(1, 0.5, 2), (3, 2, 3.5)]})
    (container,) = ax.containers
    line, _, (bars,) = container
    np.testing.assert_allclose(line.get_xdata(), [1, 3])
    np.testing.assert_allclose([seg[:, 0] for seg in bars.get_segments()], [[0.5, 2], [2, 3.5]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]
