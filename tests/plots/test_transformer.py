"""Figures of the Vision Transformer: patches, costs, curves with their intervals, maps."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

pytest.importorskip("IPython")

from pixgrad.plots import transformer
from pixgrad.results.statistics import student_interval


def test_patches_are_cut_row_by_row():
    image = np.arange(4 * 6 * 3).reshape(4, 6, 3)
    cut = transformer.patches_of(image, 2)
    assert cut.shape == (2, 3, 2, 2, 3)
    np.testing.assert_array_equal(cut[1, 2], image[2:4, 4:6])


def test_patches_figure_frames_the_chosen_one():
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8)
    fig = transformer.patches_figure(image, 8, (2, 3))
    whole, spread, one = fig.axes[:3]
    assert (whole.patches[0].get_x(), whole.patches[0].get_y()) == (3 * 8 - 0.5, 2 * 8 - 0.5)
    assert (spread.patches[0].get_x(), spread.patches[0].get_y()) == (3 * 10 - 0.5, 2 * 10 - 0.5)
    assert spread.get_title() == "4×6 = 24 патчей"
    assert one.get_title() == "один патч: 8·8·3 = 192 чисел"
    shown = [child.images[0].get_array() for child in one.child_axes]
    for channel, of in enumerate(shown):
        np.testing.assert_array_equal(of, image[16:24, 24:32, channel])
    plt.close(fig)


def test_attention_memory_grows_sixteenfold_with_the_side():
    _, axes = plt.subplots(1, 2)
    sides = np.array([1600, 3200])
    transformer.cost_curves(axes, sides, {"a": np.ones(2), "b": np.ones(2)}, heads=12)
    memory = axes[1].lines[0].get_ydata()
    assert memory[0] == pytest.approx(12 * 10_001**2 * 4 / 1e6)
    assert memory[1] / memory[0] == pytest.approx(16, rel=1e-3)
    plt.close()


def test_hunger_curve_has_means_and_intervals_over_seeds():
    rows = [("a", 10, 0.2), ("a", 10, 0.3), ("a", 100, 0.5), ("a", 100, 0.7)]
    table = pd.DataFrame(rows, columns=["network", "train_images", "test_accuracy"])
    _, ax = plt.subplots()
    transformer.hunger_curve(ax, table, {"a": "А"}, {"a": "red"})
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[10, 25], [100, 60]])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    expected = student_interval([50, 70])
    assert band.max() == pytest.approx(expected.high)
    assert [of.get_text() for of in ax.get_xticklabels()] == ["10", "100"]
    plt.close()


def test_similarity_of_a_patch_with_itself_is_one():
    positions = np.random.default_rng(1).standard_normal((10, 5))
    fig = transformer.similarity_grid(positions, [(0, 0), (1, 2)])
    for ax, place in zip(fig.axes, [(0, 0), (1, 2)], strict=False):
        shown = ax.images[0].get_array()
        assert shown.shape == (3, 3)
        assert shown[place] == pytest.approx(1)
    one, other = positions[1 + 5], positions[1]
    expected = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert fig.axes[1].images[0].get_array()[0, 0] == pytest.approx(expected)
    plt.close(fig)


def test_distances_and_maps_are_drawn_as_given():
    _, ax = plt.subplots()
    distances = {"a": np.array([[1.0, 2], [3, 4]]), "b": np.ones((2, 2))}
    transformer.distances_by_block(ax, distances, 5.0)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1, 2, 3, 4])
    np.testing.assert_allclose(ax.lines[0].get_xdata().round(), [1, 1, 2, 2])
    maps = np.arange(8.0).reshape(2, 4)
    fig = transformer.attention_rows(np.zeros((2, 8, 8, 3), np.uint8), {"m": maps}, ["x", "y"])
    np.testing.assert_array_equal(fig.axes[3].images[0].get_array(), maps[1].reshape(2, 2))
    plt.close("all")


def test_small_matrix_and_diagram_say_what_they_show():
    _, ax = plt.subplots()
    transformer.small_matrix(ax, np.array([[0.25]]), "A")
    assert ax.texts[0].get_text() == "0,25"
    transformer.encoder_diagram(ax)
    labels = [of.get_text() for of in ax.texts]
    assert {"внимание", "MLP", "LN", "+"} <= set(labels)
    assert labels.count("+") == 2
    plt.close()
