"""Figures and tables that compare matches; in a table what was not measured is a dash."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba

from pixgrad.plots import text
from pixgrad.plots.style import BLUE, RED, percent_ticks

DASH = "\N{EM DASH}"


def share(value: float, digits: int = 1) -> str:
    """A share 0 … 1 in per cent, ``12,5 %``; a dash for NaN."""
    return text.percent(value, digits) if math.isfinite(value) else DASH


def pixels(value: float, digits: int = 2, most: float = 100.0) -> str:
    """A length in pixels; a dash for NaN and from ``most`` on, where nothing was found."""
    return text.number(value, digits) if math.isfinite(value) and value < most else DASH


def draw_ratio_histograms(ax: Axes, ratio: np.ndarray, correct: np.ndarray, threshold: float):
    """Ratios d1/d2 of correct and of false matches, each as shares of their own number."""
    edges = np.linspace(0, 1, 41)
    for chosen, label, color, hatch in (
        (correct, "верные", BLUE, None),
        (~correct, "неверные", RED, "///"),
    ):
        weights = np.full(int(chosen.sum()), 1 / max(1, int(chosen.sum())))
        ax.hist(
            ratio[chosen],
            edges,
            weights=weights,
            label=label,
            facecolor=to_rgba(color, 0.3),
            hatch=hatch,
            edgecolor=color,
            linewidth=0.8,
        )
    ax.axvline(threshold, color="#222222", linestyle="--", linewidth=1)
    percent_ticks(ax.yaxis)
