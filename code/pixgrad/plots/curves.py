"""Precision, recall and distances of matches as curves."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from pixgrad.plots.style import BLUE, VERMILION, percent_ticks


def draw_band(ax: Axes, x, value, low, high, **line) -> None:
    """A curve with its interval as a band of the same colour."""
    (drawn,) = ax.plot(x, value, **line)
    ax.fill_between(x, low, high, color=drawn.get_color(), alpha=0.2, linewidth=0)


def draw_ratio_histograms(ax: Axes, ratio: np.ndarray, correct: np.ndarray, threshold: float):
    """Ratios d1/d2 of correct and of false matches, each as shares of their own number."""
    edges = np.linspace(0, 1, 41)
    for chosen, label, color, hatch in (
        (correct, "верные", BLUE, None),
        (~correct, "неверные", VERMILION, "///"),
    ):
        weights = np.full(int(chosen.sum()), 1 / max(1, int(chosen.sum())))
        ax.hist(
            ratio[chosen],
            edges,
            weights=weights,
            label=label,
            color=color,
            alpha=0.55,
            hatch=hatch,
            edgecolor=color,
            linewidth=0.4,
        )
    ax.axvline(threshold, color="#222222", linestyle="--", linewidth=1)
    percent_ticks(ax.yaxis)
