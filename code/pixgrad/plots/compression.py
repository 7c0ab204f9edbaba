"""Figures of the chapter on compression: grids of integers, pruned weights, teacher and student."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from pixgrad.compression.quantise import Grid
from pixgrad.plots import text
from pixgrad.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY

INK = "#57606a"


def number_line(ax: Axes, grid: Grid, numbers: Sequence[float], digits: int = 2) -> None:
    """Where numbers fall on a grid: each goes to the nearest tick, zero is a tick.

    Parameters
    ----------
    numbers : real ones, drawn above; the integers stand below the ticks.
    """
    ticks = np.arange(grid.low, grid.high + 1)
    places = grid.dequantise(ticks)
    ax.axhline(0, color=INK, linewidth=1)
    ax.plot(places, 0 * places, "|", color=INK, markersize=12)
    for tick, place in zip(ticks, places, strict=True):
        is_zero = tick == grid.zero_point
        ax.text(
            place, -0.16, str(tick), ha="center", va="top",
            color=RED if is_zero else INK, fontweight="bold" if is_zero else "normal",
        )  # fmt: skip
    zero = float(grid.dequantise(grid.zero_point))
    ax.text(zero, -0.42, "нулевая точка", ha="center", va="top", color=RED)
    for number, q in zip(numbers, grid.quantise(np.array(numbers)), strict=True):
        target = float(grid.dequantise(q))
        ax.annotate(
            "", (target, 0.03), (number, 0.5), arrowprops={"arrowstyle": "-|>", "color": BLUE}
        )
        ax.text(number, 0.54, text.number(number, digits), ha="center", va="bottom", color=BLUE)
    left = float(places[-2])
    ax.annotate(
        "",
        (left, 0.27),
        (float(places[-1]), 0.27),
        arrowprops={"arrowstyle": "<->", "color": GREEN},
    )
    ax.text(left + grid.scale / 2, 0.31, r"$\Delta$", ha="center", va="bottom", color=GREEN)
    span = places[-1] - places[0]
    ax.set(xlim=(places[0] - 0.06 * span, places[-1] + 0.06 * span), ylim=(-0.65, 0.8))
    ax.axis("off")


def pruned_matrices(axes: Sequence[Axes], weights: np.ndarray, share: float) -> None:
    """The same weights whole, with the smallest at zero, and without the smallest rows.

    Parameters
    ----------
    axes : three.
    weights : (filters, weights of each).
    """
    size = np.abs(weights)
    limit = np.sort(size.ravel())[round(share * size.size) - 1]
    rows = np.argsort(size.sum(1), kind="stable")
    gone = set(rows[: round(share * len(rows))].tolist())
    whole = np.ones_like(weights, bool)
    kept = size > limit
    filters = np.array([[row not in gone] * weights.shape[1] for row in range(len(weights))])
    titles = ("все веса", "малые веса — нули", "фильтров меньше")
    for ax, mask, title in zip(axes, (whole, kept, filters), titles, strict=True):
        for (row, column), value in np.ndenumerate(weights):
            lost = not mask[row, column]
            if lost and ax is axes[2]:
                continue
            shade = abs(value) / size.max()
            face = "white" if lost else (*_rgb(BLUE if value > 0 else RED), 0.15 + 0.85 * shade)
            ax.add_patch(
                Rectangle((column, row), 0.9, 0.9, facecolor=face, edgecolor=GREY, linewidth=0.6)
            )
            if lost:
                ax.text(column + 0.45, row + 0.47, "0", ha="center", va="center", color=INK)
        ax.set(xlim=(-0.2, weights.shape[1] + 0.1), ylim=(len(weights) + 0.1, -0.2), aspect="equal")
        ax.set_title(title)
        ax.axis("off")


def distillation(ax: Axes) -> None:
    """What goes where: one image, two networks, two losses."""
    boxes = {
        "image": (0, 1.1, "изображение", INK),
        "teacher": (2, 2.0, "учитель\n(заморожен)", PURPLE),
        "student": (2, 0.2, "ученик", BLUE),
        "soft": (4.3, 2.0, "softmax($z/T$)", PURPLE),
        "told": (4.3, 1.1, "softmax($z/T$)", BLUE),
        "hard": (4.3, 0.2, "softmax($z$)", BLUE),
        "kl": (6.6, 1.55, "$\\lambda\\,T^2 \\cdot$ KL", RED),
        "ce": (6.6, 0.2, "$(1-\\lambda) \\cdot$ CE", RED),
        "label": (6.6, -0.75, "метка", INK),
    }
    for x, y, label, color in boxes.values():
        _box(ax, x, y, label, color)
    for start, end in (
        ("image", "teacher"), ("image", "student"), ("teacher", "soft"), ("student", "told"),
        ("student", "hard"), ("soft", "kl"), ("told", "kl"), ("hard", "ce"),
    ):  # fmt: skip
        _arrow(ax, boxes[start], boxes[end])
    ax.add_patch(
        FancyArrowPatch((6.6, -0.45), (6.6, -0.1), arrowstyle="-|>", mutation_scale=11, color=INK)
    )
    ax.set(xlim=(-0.95, 7.6), ylim=(-1.1, 2.45))
    ax.axis("off")


def convolution_pairs(axes: Sequence[Axes]) -> None:
    """Which weights a place of the map is made of: 3×3; 1×3 and 3×1; depthwise and 1×1; low rank.

    Parameters
    ----------
    axes : four.
    """
    plans = (
        ("3×3", [(3, 3, "все\nканалы")]),
        ("1×3, затем 3×1", [(1, 3, "все\nканалы"), (3, 1, "все\nканалы")]),
        ("поканальная, затем 1×1", [(3, 3, "свой\nканал"), (1, 1, "все\nканалы")]),
        ("узкая 3×3, затем 1×1", [(3, 3, "все →\nмало"), (1, 1, "мало →\nвсе")]),
    )
    for ax, (title, kernels) in zip(axes, plans, strict=True):
        left = 0.0
        for number, (height, width, word) in enumerate(kernels):
            alone = word.startswith("свой")
            depth = 1 if alone else 3
            for layer in reversed(range(depth)):
                shift = 0.28 * layer
                for row in range(height):
                    for column in range(width):
                        ax.add_patch(
                            Rectangle(
                                (left + column + shift, 1 - height / 2 + row + shift + 0.5), 1, 1,
                                facecolor=(SKY, ORANGE)[number], edgecolor="white", linewidth=1,
                                alpha=1 - 0.25 * layer,
                            )
                        )  # fmt: skip
            ax.text(left + width / 2, -0.85, word, ha="center", va="top", fontsize=9.5, color=INK)
            left += width + 1.7
        ax.set(xlim=(-0.3, 8.0), ylim=(-2.6, 4.2), aspect="equal", title=title)
        ax.axis("off")


def timelines(axes: Sequence[Axes], first: float, second: float, batches: int) -> None:
    """Who does what when: one worker, two with whole networks, a pipeline of two stages.

    Parameters
    ----------
    axes : three.
    first, second : time of the stages of a batch.
    """
    both = first + second
    alone = [(0, batch * both, first, second, batch) for batch in range(batches)]
    shared = [(batch % 2, batch // 2 * both, first, second, batch) for batch in range(batches)]
    rows: list[list] = [[], [], []]
    rows[0] = [
        piece
        for row, at, a, b, n in alone
        for piece in ((row, at, a, n, 0), (row, at + a, b, n, 1))
    ]
    rows[1] = [
        piece
        for row, at, a, b, n in shared
        for piece in ((row, at, a, n, 0), (row, at + a, b, n, 1))
    ]
    free = 0.0
    for batch in range(batches):
        ready = (batch + 1) * first
        start = max(ready, free)
        free = start + second
        rows[2] += [(0, batch * first, first, batch, 0), (1, start, second, batch, 1)]
    titles = ("один исполнитель", "два исполнителя, у каждого вся сеть", "конвейер из двух этапов")
    for ax, pieces, title in zip(axes, rows, titles, strict=True):
        for row, at, length, batch, stage in pieces:
            ax.add_patch(
                Rectangle(
                    (at, -row), length, 0.8, facecolor=(SKY, ORANGE)[stage], edgecolor="white"
                )
            )
            ax.text(
                at + length / 2, 0.4 - row, str(batch + 1), ha="center", va="center", fontsize=8
            )
        lowest = -max(row for row, *_ in pieces)
        end = max(at + length for _, at, length, *_ in pieces)
        ax.plot([end, end], [lowest - 0.1, 0.9], color=RED, linewidth=1)
        ax.text(end, lowest - 0.15, text.number(end), ha="center", va="top", color=RED, fontsize=8)
        ax.set(xlim=(-0.3, batches * both + 0.8), ylim=(lowest - 0.6, 1), title=title)
        ax.axis("off")


def pareto(
    ax: Axes, points: Mapping[str, tuple[float, float, float, float]], families: Mapping[str, str]
) -> list[str]:
    """Accuracy against cost; a line through those that nobody beats in both, with their names.

    Parameters
    ----------
    points : name -> cost, accuracy, and the ends of its interval.
    families : name -> family, which gives the look.

    Returns
    -------
    Names on the line, from the cheapest.
    """
    looks = dict(zip(dict.fromkeys(families.values()), _LOOKS, strict=False))
    for family, (color, marker) in looks.items():
        mine = np.array([points[name] for name in points if families[name] == family])
        ax.errorbar(
            mine[:, 0], mine[:, 1], np.abs(mine[:, 2:].T - mine[:, 1]), fmt=marker, color=color,
            label=family, markersize=6, linewidth=1,
        )  # fmt: skip
    best = best_of(points)
    line = np.array([points[name][:2] for name in best])
    ax.plot(line[:, 0], line[:, 1], "--", color=GREY, linewidth=1, zorder=0)
    for name in best:
        ax.annotate(
            name, points[name][:2], (5, -4), textcoords="offset points", va="top", fontsize=7.5
        )
    _logarithmic(ax)
    return best


def best_of(points: Mapping[str, Sequence[float]]) -> list[str]:
    """Names that no other beats: none is as cheap and more accurate; from the cheapest."""
    found, reached = [], -np.inf
    for name in sorted(points, key=lambda name: (points[name][0], -points[name][1])):
        if points[name][1] > reached:
            found.append(name)
            reached = points[name][1]
    return found


_LOOKS = (
    (INK, "*"), (BLUE, "o"), (RED, "s"), (GREEN, "^"), (PURPLE, "D"), (ORANGE, "v"),
    (SKY, "P"),
)  # fmt: skip


def _logarithmic(ax: Axes) -> None:
    """A logarithmic axis of costs whose numbers are read at a glance."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    ticks = [n * 10.0**power for power in range(-3, 6) for n in (1, 2, 3, 5)]
    shown = [tick for tick in ticks if low <= tick <= high]
    ax.set_xticks(shown, [f"{tick:g}".replace(".", ",") for tick in shown])
    ax.set_xticks([], minor=True)


def _rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))


def _box(ax: Axes, x: float, y: float, label: str, color: str) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (x - 0.75, y - 0.3), 1.5, 0.6, boxstyle="round,pad=0.02,rounding_size=0.1",
            facecolor="white", edgecolor=color, linewidth=1.4,
        )
    )  # fmt: skip
    ax.text(x, y, label, ha="center", va="center", color=color, fontsize=9)


def _arrow(ax: Axes, start, end) -> None:
    ax.add_patch(
        FancyArrowPatch(
            (start[0] + 0.8, start[1]), (end[0] - 0.8, end[1]), arrowstyle="-|>",
            mutation_scale=11, color=INK,
        )
    )  # fmt: skip
