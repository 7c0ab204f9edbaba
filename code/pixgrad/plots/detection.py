"""Figures of the chapter on detection."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from pixgrad.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY

CLASS_COLORS = (ORANGE, RED, BLUE, GREEN, PURPLE, SKY)
HALO = {"boxstyle": "square,pad=0.12", "facecolor": "white", "alpha": 0.75, "edgecolor": "none"}


def photo(ax: Axes, image: np.ndarray, aspect: float = 1.0) -> None:
    """A photo in shares of its width and height; ``aspect`` is its true width over height."""
    ax.imshow(image, extent=(0, 1, 1, 0), interpolation="antialiased")
    ax.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[])
    ax.set_aspect(1 / aspect)
    ax.spines[:].set_visible(False)


def boxes(
    ax: Axes,
    corners: np.ndarray,
    colors: Sequence[str] | str,
    names: Sequence[str] = (),
    **look,
) -> None:
    """Rectangles (N, 4) of left, top, right, bottom, with a name at the upper left corner."""
    colors = [colors] * len(corners) if isinstance(colors, str) else colors
    look = {"linewidth": 1.5, "fill": False} | look
    for (left, top, right, bottom), color in zip(corners, colors, strict=True):
        ax.add_patch(Rectangle((left, top), right - left, bottom - top, edgecolor=color, **look))
    for (left, top, *_), color, name in zip(corners, colors, names, strict=False):
        ax.text(left, top, name, color=color, fontsize=8, va="bottom", bbox=HALO)


def grid_lines(ax: Axes, rows: int, columns: int) -> None:
    """The cells of a feature map over a photo."""
    for lines, draw in ((rows, ax.axhline), (columns, ax.axvline)):
        for place in np.arange(1, lines) / lines:
            draw(place, color="white", linewidth=0.6)
            draw(place, color=GREY, linewidth=0.3)


def pipeline(ax: Axes, steps: Sequence[tuple[str, str]]) -> None:
    """Steps as rounded boxes in two rows, arrows between them: (title, what comes out)."""
    per_row = -(-len(steps) // 2)
    places = []
    for number, (title, note) in enumerate(steps):
        row, column = divmod(number, per_row)
        x = column if row == 0 else per_row - 1 - column
        places.append((1.25 * x, -1.15 * row))
        ax.add_patch(
            FancyBboxPatch(
                (1.25 * x - 0.5, -1.15 * row - 0.36),
                1.0,
                0.72,
                boxstyle="round,pad=0.02,rounding_size=0.08",
                facecolor="white",
                edgecolor="#57606a",
            )
        )
        ax.text(1.25 * x, -1.15 * row + 0.15, title, ha="center", va="center", fontsize=9.5)
        ax.text(
            1.25 * x, -1.15 * row - 0.17, note, ha="center", va="center", fontsize=8, color=BLUE
        )
    for (x0, y0), (x1, y1) in pairwise(places):
        along = y0 == y1
        start = (x0 + 0.53 * np.sign(x1 - x0), y0) if along else (x0, y0 - 0.4)
        end = (x1 - 0.53 * np.sign(x1 - x0), y1) if along else (x1, y1 + 0.4)
        ax.add_patch(
            FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color="#57606a")
        )
    ax.set(xlim=(-0.6, 1.25 * (per_row - 1) + 0.6), ylim=(-1.65, 0.5))
    ax.set_aspect("equal")
    ax.axis("off")


def precision_steps(ax: Axes, recall: np.ndarray, precision: np.ndarray, hits: np.ndarray) -> None:
    """Precision after every detection, and the best precision at each recall or above.

    Parameters
    ----------
    recall, precision, hits : (D,).
    """
    best = np.maximum.accumulate(precision[::-1])[::-1]
    ends, heights = np.append(0, recall), np.append(best, 0)
    ax.fill_between(ends, heights, step="post", color=BLUE, alpha=0.15, linewidth=0)
    ax.step(ends, heights, where="post", color=BLUE, label="лучшая при такой полноте или большей")
    for truth, marker, color, name in (
        (True, "o", GREEN, "верная рамка"),
        (False, "x", RED, "ложная"),
    ):
        mine = hits == truth
        ax.plot(recall[mine], precision[mine], marker, color=color, markersize=7, label=name)
    for number, place in enumerate(zip(recall, precision, strict=True), 1):
        ax.annotate(str(number), place, textcoords="offset points", xytext=(6, 4), fontsize=8)
    ax.set(xlim=(0, 1.02), ylim=(0, 1.06), xlabel="полнота", ylabel="точность")
    ax.legend(loc="upper right")
