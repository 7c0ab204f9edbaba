"""Figures of detection: what is drawn stands where the numbers say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pixgrad.plots import detection


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_boxes_are_drawn_at_their_corners(ax):
    detection.photo(ax, np.zeros((4, 4, 3), np.uint8), aspect=4 / 3)
    detection.boxes(ax, np.array([[0.1, 0.2, 0.4, 0.6]]), "red", ["a"])
    [patch] = ax.patches
    assert patch.get_bbox().extents == pytest.approx([0.1, 0.2, 0.4, 0.6])
    assert [text.get_text() for text in ax.texts] == ["a"]
    assert ax.get_ylim() == (1, 0)
    assert ax.get_aspect() == pytest.approx(0.75)


def test_shaded_area_is_the_precision_that_counts(ax):
    hits = np.array([True, False, True])
    recall, precision = np.array([0.5, 0.5, 1.0]), np.array([1, 1 / 2, 2 / 3])
    detection.precision_steps(ax, recall, precision, hits)
    step = ax.lines[0]
    assert step.get_xdata().tolist() == [0, 0.5, 0.5, 1]
    assert step.get_ydata() == pytest.approx([1, 2 / 3, 2 / 3, 0])


def test_pipeline_names_every_step_once(ax):
    steps = [(f"шаг {number}", f"выход {number}") for number in range(5)]
    detection.pipeline(ax, steps)
    drawn = [text.get_text() for text in ax.texts]
    assert drawn == [word for step in steps for word in step]
    arrows = [patch for patch in ax.patches if type(patch).__name__ == "FancyArrowPatch"]
    assert len(arrows) == len(steps) - 1
