"""Computational graphs: what is written in the boxes and on the arrows, and where arrows end."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from pixgrad.backprop.batchnorm_steps import batchnorm_steps
from pixgrad.plots import backprop as plots


def drawn():
    _, ax = plt.subplots(figsize=(9, 2.4))
    steps = batchnorm_steps(np.array([1.0, 1, 5, 5]), 2.0, 1.0, np.array([4.0, 0, 0, 0]))
    plots.batchnorm_graph(ax, steps)
    ax.figure.canvas.draw()
    return ax, steps


def test_contributions_stand_on_the_arrows_of_the_forks():
    ax, steps = drawn()
    written = [label.get_text() for label in ax.texts]
    assert steps.gradient("x").tolist() == [2, -2, 0, 0]  # by hand, see the chapter
    assert written.count("(−1; −1; −1; −1)") == 1  # x through the mean
    assert written.count("(−1; −1; 1; 1)") == 2  # c through the variance, and x̂ itself
    assert "0,5" in written  # no zeros after the last digit
    assert len(written) == 3 * 9 + 4


def test_arrows_end_outside_the_boxes_and_labels_do_not_cover_them():
    ax, _ = drawn()
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert (len(boxes), len(arrows)) == (9, 10)
    places = [box.get_window_extent() for box in boxes]
    for one in arrows:
        for end in ax.transData.transform(one._posA_posB):
            assert not any(box.contains(*end) for box in places)
    for label in ax.texts[-4:]:
        extent = label.get_window_extent()
        assert label.get_bbox_patch() is not None
        assert not any(box.overlaps(extent) for box in places)
