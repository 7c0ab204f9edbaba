"""The one look of all figures."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, ScalarFormatter

BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
"""Okabe and Ito's colours, in the order of the style's cycle."""


def use_style() -> None:
    """Switch Matplotlib to the book's style; in a notebook also make the SVG reproducible."""
    plt.style.use("pixgrad.plots.figures")
    try:
        from matplotlib_inline.config import InlineBackend
    except ImportError:  # outside notebooks
        return
    if InlineBackend.initialized():
        settings = InlineBackend.instance()
        settings.print_figure_kwargs = {
            "bbox_inches": "tight",
            "pad_inches": 0.1,
            "metadata": {"Date": None},  # else every execution writes another file
        }


class CommaFormatter(ScalarFormatter):
    """Tick labels with a decimal comma: 0,25."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return super().__call__(x, pos).replace(".", ",")


def decimal_commas(*axes: mpl.axes.Axes) -> None:
    """Write the numbers of linear axes with a decimal comma."""
    for ax in axes:
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() == "linear" and isinstance(
                axis.get_major_formatter(), ScalarFormatter
            ):
                axis.set_major_formatter(CommaFormatter())


def percent_ticks(axis: Axis) -> None:
    """Label an axis of shares 0 … 1 in per cent."""
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f}\N{NBSP}%"))
