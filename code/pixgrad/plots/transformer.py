"""Figures of the chapter on the Vision Transformer."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from pixgrad.plots import text
from pixgrad.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PICTURE,
    PURPLE,
    RED,
    SKY,
    decimal_commas,
    draw_band,
)
from pixgrad.results.statistics import student_interval

DARK = "#57606a"
CHANNELS = (("красный", "Reds"), ("зелёный", "Greens"), ("синий", "Blues"))


def patches_of(image: np.ndarray, patch: int) -> np.ndarray:
    """(H, W, 3) -> (rows, columns, patch, patch, 3)."""
    height, width, channels = image.shape
    cut = image.reshape(height // patch, patch, width // patch, patch, channels)
    return cut.transpose(0, 2, 1, 3, 4)


def patches_figure(image: np.ndarray, patch: int, chosen: tuple[int, int]) -> Figure:
    """A photo, the same cut into patches, one patch and its numbers in each colour.

    Parameters
    ----------
    image : uint8 (H, W, 3).
    chosen : row and column of the patch that is shown.
    """
    cut = patches_of(image, patch)
    rows, columns = cut.shape[:2]
    gap, height, width = patch // 4, *image.shape[:2]
    spread = np.full((height + gap * (rows - 1), width + gap * (columns - 1), 3), 255, np.uint8)
    for row, column in np.ndindex(rows, columns):
        top, left = row * (patch + gap), column * (patch + gap)
        spread[top : top + patch, left : left + patch] = cut[row, column]
    fig, axes = plt.subplots(1, 3, figsize=(9, 3.4), width_ratios=(3, 3, 2.2), subplot_kw=PICTURE)
    axes[0].imshow(image)
    axes[0].set_title(f"{height}×{width} пикселей")
    axes[1].imshow(spread)
    axes[1].set_title(f"{rows}×{columns} = {rows * columns} патчей")
    top, left = (place * (patch + gap) - 0.5 for place in chosen)
    for ax, corner in ((axes[0], [patch * of - 0.5 for of in chosen]), (axes[1], [top, left])):
        frame = plt.Rectangle(corner[::-1], patch, patch, fill=False, edgecolor=SKY, lw=2.5)
        ax.add_patch(frame)
    axes[2].set_title(f"один патч: {patch}·{patch}·3 = {patch * patch * 3} чисел")
    for number, (word, color) in enumerate(CHANNELS):
        inner = axes[2].inset_axes([0.0, 0.69 - 0.345 * number, 0.31, 0.31])
        inner.imshow(cut[chosen][..., number], cmap=color, vmin=0, vmax=255)
        inner.set(xticks=[], yticks=[])
        axes[2].text(0.36, 0.84 - 0.345 * number, word, va="center", transform=axes[2].transAxes)
    return fig


def encoder_diagram(ax: Axes) -> None:
    """From patches to logits: the stem, one block with its two skip connections, the head."""
    boxes = (
        ("патчи\n(N − 1)\n× 3K²", "white", 0.0),
        ("линейный\nслой", BLUE, 1.5),
        ("+ класс,\nположения", GREEN, 3.0),
        ("LN", "white", 4.7),
        ("внимание", RED, 5.9),
        ("+", "white", 7.2),
        ("LN", "white", 8.2),
        ("MLP", ORANGE, 9.4),
        ("+", "white", 10.6),
        ("LN,\nтокен\nкласса", "white", 12.2),
        ("линейный\nслой", BLUE, 13.7),
    )
    places = []
    for label, color, x in boxes:
        half = 0.24 if label == "+" else 0.4 if label == "LN" else 0.62
        _box(ax, x, 0, half, label, color)
        places.append((x, half))
    for (x0, half0), (x1, half1) in pairwise(places):
        _arrow(ax, (x0 + half0, 0), (x1 - half1, 0))
    for start, end in ((4.0, 7.2), (7.7, 10.6)):
        _arrow(ax, (start, 0), (end, 0.36), "angle3,angleA=90,angleB=0", bend=True)
    ax.add_patch(
        FancyBboxPatch(
            (3.85, -0.75), 7.15, 2.15, boxstyle="round,pad=0.05", fill=False, ls="--", ec=GREY
        )
    )
    ax.text(10.95, -0.95, "блок, повторяется B раз", ha="right", va="top", color=DARK)
    ax.set(xlim=(-0.8, 14.5), ylim=(-1.5, 1.6))
    ax.axis("off")


def _box(ax: Axes, x: float, y: float, half: float, label: str, color: str) -> None:
    ax.add_patch(
        FancyBboxPatch(
            (x - half, y - 0.36),
            2 * half,
            0.72,
            boxstyle="round,pad=0.0,rounding_size=0.08",
            facecolor=color if color == "white" else f"{color}30",
            edgecolor=DARK if color == "white" else color,
        )
    )
    ax.text(x, y, label, ha="center", va="center", fontsize=8.5, color="#1f2328")


def _arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    style: str = "arc3",
    *,
    bend: bool = False,
) -> None:
    """A straight arrow, or one that goes over what is between."""
    if bend:
        (x0, y0), x1 = start, end[0]
        ax.plot([x0, x0, x1], [y0, 1.0, 1.0], color=DARK, lw=1)
        start, style = (x1, 1.0), "arc3"
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=9,
            color=DARK,
            lw=1,
            connectionstyle=style,
            shrinkA=0,
            shrinkB=0,
        )
    )


def small_matrix(ax: Axes, values: np.ndarray, title: str) -> None:
    """A matrix of shares with its numbers in the cells."""
    ax.imshow(values, cmap="Blues", vmin=0, vmax=2)
    for (row, column), value in np.ndenumerate(values):
        ax.text(column, row, text.number(value, 2), ha="center", va="center")
    ax.set_title(title)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)


def cost_curves(
    axes: Sequence[Axes], sides: np.ndarray, parts: Mapping[str, np.ndarray], heads: int
) -> None:
    """Multiply-adds by image size, one part above another, and the memory of attention weights.

    Parameters
    ----------
    axes : two.
    parts : name -> billions of multiply-adds at every side.
    heads : of a block; patches have 16 pixels.
    """
    looks = zip(parts.items(), (GREY, BLUE), ("", "//"), strict=True)
    below = np.zeros(len(sides))
    for (name, values), color, hatch in looks:
        look = {"facecolor": f"{color}90", "edgecolor": "white", "hatch": hatch}
        axes[0].fill_between(sides, below, below + values, label=name, **look)
        below = below + values
    axes[0].set(xlabel="сторона изображения, пикселей", ylabel="млрд умножений")
    axes[0].legend(loc="upper left")
    tokens = (sides / 16) ** 2 + 1
    axes[1].loglog(sides, 4 * heads * tokens**2 / 1e6, color=RED)
    ticks = (112, 224, 448, 896)
    axes[1].set_xticks(ticks, [str(tick) for tick in ticks])
    axes[1].set_xticks([], minor=True)
    megabytes = (0.1, 1, 10, 100)
    axes[1].set_yticks(megabytes, [f"{of:g}".replace(".", ",") for of in megabytes])
    axes[1].set(xlabel="сторона изображения, пикселей", ylabel="МБ весов внимания на блок")


def hunger_curve(ax: Axes, summary, names: Mapping[str, str], colors: Mapping[str, str]) -> None:
    """Test accuracy by the number of training images, with Student intervals over seeds.

    Parameters
    ----------
    summary : a row a run, with ``network``, ``train_images`` and ``test_accuracy``.
    """
    for (network, name), marker in zip(names.items(), "os^", strict=False):
        runs = summary[summary["network"] == network].groupby("train_images")["test_accuracy"]
        shares = np.array(sorted(runs.groups))
        ends = np.array([student_interval(100 * runs.get_group(share)) for share in shares])
        look = {"color": colors[network], "label": name, "marker": marker}
        draw_band(ax, shares, *ends.T, **look)
    ax.set_xscale("log")
    ax.set_xticks(shares, [text.number(share) for share in shares])
    ax.set_xticks([], minor=True)
    ax.set(xlabel="обучающих изображений", ylabel="верных ответов на тесте, %")
    ax.legend()


def distances_by_block(ax: Axes, distances: Mapping[str, np.ndarray], even: float) -> None:
    """Mean attention distance of every head by block, and that of even attention as a level.

    Parameters
    ----------
    distances : label -> (depth, heads), pixels.
    even : of attention that looks everywhere alike.
    """
    looks = zip(distances.items(), ((BLUE, "o", -0.08), (GREY, "x", 0.08)), strict=False)
    for (label, values), (color, marker, move) in looks:
        blocks = np.repeat(np.arange(1, len(values) + 1), values.shape[1]) + move
        ax.plot(blocks, values.ravel(), marker, color=color, label=label)
    ax.axhline(even, color=PURPLE, linestyle="--", label="внимание поровну")
    ax.set(xlabel="блок", ylabel="среднее расстояние, пикселей", xticks=range(1, len(values) + 1))
    ax.set_ylim(0, 1.1 * max(even, *(values.max() for values in distances.values())))
    ax.legend(loc="lower right")


def similarity_grid(positions: np.ndarray, places: Sequence[tuple[int, int]]) -> Figure:
    """Cosines of the positions of a few patches with those of all patches.

    Parameters
    ----------
    positions : (N, C), the class token first.
    places : rows and columns of the patches.
    """
    tokens = positions[1:].astype(np.float64)
    grid = round(len(tokens) ** 0.5)
    tokens = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    cosines = tokens @ tokens.T
    fig, axes = plt.subplots(1, len(places), figsize=(1.75 * len(places), 2.0), subplot_kw=PICTURE)
    for ax, (row, column) in zip(axes, places, strict=True):
        shown = ax.imshow(
            cosines[row * grid + column].reshape(grid, grid), cmap="RdBu", vmin=-1, vmax=1
        )
        ax.set_title(f"строка {row + 1}, столбец {column + 1}", fontsize=8.5)
        ax.plot(column, row, "k+", markersize=8)
    decimal_commas(fig.colorbar(shown, ax=axes, fraction=0.03, label="косинус").ax)
    return fig


def attention_rows(
    images: np.ndarray, rows: Mapping[str, np.ndarray], titles: Sequence[str]
) -> Figure:
    """Photos above, maps of attention below them, each stretched from 0 to its largest value.

    Parameters
    ----------
    images : uint8 (E, H, W, 3).
    rows : label -> (E, grid²).
    titles : of the photos.
    """
    fig, axes = plt.subplots(
        1 + len(rows),
        len(images),
        figsize=(1.15 * len(images), 1.25 * (1 + len(rows))),
        subplot_kw=PICTURE,
        squeeze=False,
    )
    for ax, image, title in zip(axes[0], images, titles, strict=True):
        ax.imshow(image)
        ax.set_title(title, fontsize=7.5, pad=2)
    for line, (label, maps) in zip(axes[1:], rows.items(), strict=True):
        grid = round(maps.shape[1] ** 0.5)
        for ax, of in zip(line, maps, strict=True):
            ax.imshow(of.reshape(grid, grid), cmap="cividis", vmin=0)
        line[0].text(
            -0.08, 0.5, label, transform=line[0].transAxes, ha="right", va="center", fontsize=8
        )
    return fig
