"""Figures on compression: what falls where on a grid, who is beaten by nobody, when all is done."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pixgrad.compression import quantise
from pixgrad.plots import compression


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_arrows_end_on_the_grid_and_zero_is_marked():
    grid = quantise.asymmetric(-0.6, 1.5, bits=3)
    ax = plt.subplots()[1]
    compression.number_line(ax, grid, [0.4, 1.3])
    ends = [text.xy[0] for text in ax.texts if text.get_text() == "" and text.xy[1] == 0.03]
    assert ends == pytest.approx([0.3, 1.2])
    bold = [text for text in ax.texts if text.get_fontweight() == "bold"]
    assert [(text.get_text(), text.get_position()[0]) for text in bold] == [("2", 0.0)]


def test_pruned_matrices_lose_what_they_should():
    weights = np.array([[3.0, -0.1], [0.2, 0.1], [-2.0, 4.0], [0.3, -0.4]])
    axes = plt.subplots(1, 3)[1]
    compression.pruned_matrices(axes, weights, 0.5)
    assert [len(ax.patches) for ax in axes] == [8, 8, 4]
    zeros = {
        (round(text.get_position()[1] - 0.47), round(text.get_position()[0] - 0.45))
        for text in axes[1].texts
    }
    assert zeros == {(0, 1), (1, 0), (1, 1), (3, 0)}
    assert {round(patch.get_y()) for patch in axes[2].patches} == {0, 2}


@pytest.mark.parametrize(("first", "second", "batches"), [(2, 3, 6), (3, 2, 5), (1, 1, 1)])
def test_timelines_end_when_the_formula_says(first, second, batches):
    axes = plt.subplots(3, 1)[1]
    compression.timelines(axes, first, second, batches)
    ends = [max(patch.get_x() + patch.get_width() for patch in ax.patches) for ax in axes]
    both = first + second
    assert ends == [
        batches * both,
        -(-batches // 2) * both,
        both + (batches - 1) * max(first, second),
    ]


def test_nobody_beats_those_on_the_line():
    points = {
        "small": (1, 80, 79, 81),
        "beaten": (2, 79, 78, 80),
        "large": (4, 92, 91, 93),
        "equal": (5, 92, 91, 93),
        "middle": (3, 85, 84, 86),
    }
    assert compression.best_of(points) == ["small", "middle", "large"]
    ax = plt.subplots()[1]
    families = {name: "a" if name in ("small", "large") else "b" for name in points}
    assert compression.pareto(ax, points, families) == ["small", "middle", "large"]
    assert ax.get_xscale() == "log"
    assert {text.get_text() for text in ax.legend().get_texts()} == {"a", "b"}


def test_schematics_fit_their_axes():
    """Everything that is drawn lies within the limits."""
    fig, axes = plt.subplots(1, 5, figsize=(14, 3))
    compression.distillation(axes[0])
    compression.convolution_pairs(axes[1:])
    fig.canvas.draw()
    for ax in axes:
        (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
        for patch in ax.patches:
            box = patch.get_window_extent().transformed(ax.transData.inverted())
            assert left <= box.x0 <= box.x1 <= right
            assert low <= box.y0 <= box.y1 <= high
