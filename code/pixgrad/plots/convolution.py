"""Figures of the chapter on convolution and pooling."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from pixgrad.nets.receptive import Field
from pixgrad.plots import text
from pixgrad.plots.style import BLUE, GREEN, GREY, ORANGE, PICTURE, RED

CHANNEL_COLORS = {"R": RED, "G": GREEN, "B": BLUE}
CHANNEL_MAPS = {"R": "Reds", "G": "Greens", "B": "Blues"}


def layer_scheme(ax: Axes) -> None:
    """A layer as stacks of sheets: the input, one window of it, the kernels, the output."""
    _stack(ax, (0, 0), 3, 2.6, ("#f5b7a0", "#a8dcc7", "#a6c8e4"))
    _stack(ax, (0.75, 1.0), 3, 0.75, (RED, GREEN, BLUE))
    for number, (height, color) in enumerate(
        ((2.35, ORANGE), (1.1, "#56B4E9"), (-0.15, "#CC79A7"))
    ):
        _stack(ax, (5.0, height), 3, 0.75, (color,) * 3)
        ax.text(6.35, height + 0.42, f"ядро {number + 1}", va="center", fontsize=8.5)
    _stack(ax, (8.6, 0.15), 3, 2.2, ("#e3b8d1", "#b9ddf3", "#f3d59a"))
    for height, color, tip in (
        (2.35, ORANGE, (9.25, 2.77)),
        (1.1, "#56B4E9", (8.95, 2.49)),
        (-0.15, "#CC79A7", (8.6, 1.0)),
    ):
        ax.annotate(
            "",
            tip,
            (7.35, height + 0.42),
            arrowprops={"arrowstyle": "-|>", "color": color, "lw": 1.4},
        )
    ax.annotate(
        "", (4.9, 1.5), (3.3, 1.5), arrowprops={"arrowstyle": "-|>", "color": "#57606a", "lw": 1.4}
    )
    ax.text(4.1, 1.65, "окно ×\nядро,\nсумма", ha="center", va="bottom", fontsize=8.5)
    for x, words in (
        (1.6, "вход: $C$ карт $H \\times W$"),
        (5.7, "$O$ ядер,\nкаждое $C \\times K \\times K$"),
        (10.0, "выход: $O$ карт $H' \\times W'$"),
    ):
        ax.text(x, -0.5, words, ha="center", va="top", fontsize=9)
    ax.set(xlim=(-0.2, 11.8), ylim=(-1.25, 3.75), aspect="equal")
    ax.axis("off")


def settings(image: np.ndarray, kernel: int, cases: Sequence[tuple[str, int, int, int]]) -> Figure:
    """How stride, padding and dilation place the window: input on top, output below.

    Parameters
    ----------
    image : (H, H), only its size counts.
    kernel : its side.
    cases : title, stride, padding, dilation of each column.
    """
    fig, axes = plt.subplots(
        2, len(cases), figsize=(2.1 * len(cases), 3.7), height_ratios=[3, 2], subplot_kw=PICTURE
    )
    for column, (title, stride, padding, dilation) in zip(axes.T, cases, strict=True):
        whole = len(image) + 2 * padding
        reach = dilation * (kernel - 1)
        size = (whole - reach - 1) // stride + 1
        for ax, side in zip(column, (whole, size), strict=True):
            ax.set(xlim=(-0.6, 8.6), ylim=(8.6, -0.6), aspect="equal")
            for row, place in np.ndindex(side, side):
                inside = padding <= min(row, place) and max(row, place) < side - padding
                real = ax is column[1] or inside
                look = {"facecolor": "white" if real else "#eceff2", "edgecolor": "#b5bac2"}
                ax.add_patch(Rectangle((place - 0.5, row - 0.5), 1, 1, linewidth=0.6, **look))
        for start, color in ((0, RED), (stride, BLUE)):
            for row, place in np.ndindex(kernel, kernel):
                corner = (start + place * dilation - 0.5, row * dilation - 0.5)
                column[0].add_patch(Rectangle(corner, 1, 1, facecolor=color, alpha=0.45))
            index = start // stride
            column[1].add_patch(Rectangle((index - 0.5, -0.5), 1, 1, facecolor=color, alpha=0.6))
        column[0].set_title(title, fontsize=9)
        column[1].text(0, size + 0.1, f"{size} × {size}", fontsize=8.5, va="center", ha="left")
    return fig


def numbers(ax: Axes, values: np.ndarray, cmap: str, title: str = "", signed: bool = False) -> None:
    """A small matrix with all its numbers written in the cells."""
    bound = max(1.0, float(np.abs(values).max()))
    low = -1.6 * bound if signed else -0.1 * bound
    ax.imshow(values, cmap="RdBu" if signed else cmap, vmin=low, vmax=1.6 * bound)
    for (row, column), value in np.ndenumerate(values):
        ax.text(column, row, text.number(value), ha="center", va="center", fontsize=9)
    ax.set_title(title, fontsize=9)
    ax.grid(visible=False)


def colour_sum(window: np.ndarray, kernel: np.ndarray, bias: float) -> Figure:
    """One output number of a kernel over a colour window, channel by channel.

    Parameters
    ----------
    window, kernel : (3, K, K), channels red, green, blue.
    """
    fig, axes = plt.subplots(3, 3, figsize=(6.6, 5.2), width_ratios=[3, 3, 2.2], subplot_kw=PICTURE)
    total = bias
    for row, (name, cmap) in zip(axes, CHANNEL_MAPS.items(), strict=True):
        place = list(CHANNEL_MAPS).index(name)
        part = float((window[place] * kernel[place]).sum())
        total += part
        numbers(row[0], window[place], cmap, "окно" * (place == 0))
        numbers(row[1], kernel[place], cmap, "ядро" * (place == 0), signed=True)
        row[0].set_ylabel(name, rotation=0, color=CHANNEL_COLORS[name], labelpad=12, fontsize=12)
        row[2].text(0.5, 0.5, text.number(part), ha="center", va="center", fontsize=13)
        row[2].set(xlim=(0, 1), ylim=(0, 1), title="сумма произведений" * (place == 0))
        row[2].title.set_fontsize(9)
    fig.supxlabel(
        f"складываем три суммы и смещение {text.number(bias)}: один выход {text.number(total)}",
        fontsize=10,
    )
    return fig


def responses(images: Sequence[np.ndarray], titles: Sequence[str], columns: int) -> Figure:
    """Photos as they are, and maps with zero white, negative red, positive blue, scaled each.

    A map with next to no negative numbers is grey.

    Parameters
    ----------
    images : uint8 (H, W, 3) — photos, or floats (H, W) — maps.
    """
    rows = -(-len(images) // columns)
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(8.4, 8.4 / columns * rows + 0.25 * rows),
        squeeze=False,
        subplot_kw=PICTURE,
    )
    for ax in axes.flat[len(images) :]:
        ax.remove()
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        if image.ndim == 3:
            ax.imshow(image)
        else:
            bound = np.quantile(np.abs(image), 0.995) or 1
            grey = np.mean(image < 0) < 0.05
            cmap, low = ("gray", 0) if grey else ("RdBu", -bound)
            ax.imshow(image, cmap=cmap, vmin=low, vmax=bound)
        ax.set_title(title, fontsize=9)
    return fig


def tuning(kernels: Sequence[np.ndarray], titles: Sequence[str], curves: np.ndarray) -> Figure:
    """Kernels above, their responses to an edge by its direction below.

    Parameters
    ----------
    kernels : each (K, K).
    curves : (O, A), over one turn.
    """
    count = len(kernels)
    fig, axes = plt.subplots(2, count, figsize=(1.25 * count, 3.1), height_ratios=[2, 3])
    degrees = np.linspace(0, 360, curves.shape[1])
    for (top, below), kernel, title, curve in zip(axes.T, kernels, titles, curves, strict=True):
        bound = np.abs(kernel).max()
        top.imshow(kernel, cmap="RdBu", vmin=-bound, vmax=bound)
        top.set(xticks=[], yticks=[])
        top.set_title(title, fontsize=8)
        top.grid(visible=False)
        below.plot(degrees, curve / np.abs(kernel).sum(), color=BLUE)
        below.axhline(0, color=GREY, linewidth=0.8)
        below.set(ylim=(-1.05, 1.05), xticks=[0, 180, 360], yticks=[-1, 0, 1])
        below.tick_params(labelsize=8, labelleft=below is axes[1, 0])
    axes[1, 0].set_ylabel("отклик на край")
    fig.supxlabel(
        "где светлая сторона, градусы по часовой стрелке от направления вправо", fontsize=9
    )
    return fig


def pyramid(ax: Axes, steps: Sequence[tuple[str, int, int]], cell: int = 0) -> list[Field]:
    """One cell of the last map and all that it sees below, along one axis.

    Parameters
    ----------
    steps : name, kernel and stride of each layer, from the input on, without padding.
    cell : whose field is drawn.

    Returns
    -------
    Fields of the input and of every layer.
    """
    found = [Field()]
    for _, kernel, stride in steps:
        found.append(found[-1].after(kernel, stride))
    ends = cell, cell
    for level in range(len(steps), -1, -1):
        field = found[level]
        middle = (field.low + field.high) / 2
        count = (found[-1].high + 2 - field.high) // field.jump + 1
        for place in range(count):
            seen = ends[0] <= place <= ends[1]
            look = {"facecolor": "#f3d59a" if seen else "white", "edgecolor": "#57606a"}
            left = place * field.jump + middle - 0.36
            ax.add_patch(Rectangle((left, level - 0.18), 0.72, 0.36, linewidth=0.8, **look))
        name = steps[level - 1][0] if level else "вход"
        ax.text(-1.2, level, name, ha="right", va="center", fontsize=9)
        wide = ends[1] - ends[0] + 1
        words = (
            f"{text.plural(wide, 'клетка', 'клетки', 'клеток')}"
            if level
            else (f"{text.plural(wide, 'пиксель', 'пикселя', 'пикселей')}")
        )
        ax.text(found[-1].high + 2.6, level, words, va="center", fontsize=9)
        if level:
            _, kernel, stride = steps[level - 1]
            below = ends[0] * stride, ends[1] * stride + kernel - 1
            edges = [
                (found[level].jump * ends[0] + middle, level - 0.2),
                (found[level].jump * ends[1] + middle, level - 0.2),
            ]
            under = found[level - 1]
            shift = (under.low + under.high) / 2
            edges += [
                (under.jump * below[1] + shift + 0.36, level - 0.8),
                (under.jump * below[0] + shift - 0.36, level - 0.8),
            ]
            ax.add_patch(Polygon(edges, facecolor=ORANGE, alpha=0.15))
            ends = below
    ax.set(xlim=(-4.5, found[-1].high + 6.5), ylim=(-0.5, len(steps) + 0.5))
    ax.axis("off")
    return found


def growth(ax: Axes, networks: Mapping[str, Mapping[str, Field]]) -> None:
    """The receptive field by layer, logarithmic.

    Parameters
    ----------
    networks : name -> fields of the layers in their order.
    """
    for (name, found), line in zip(networks.items(), ("-", "--", "-.", ":"), strict=False):
        sizes = [field.size for field in found.values()]
        ax.plot(range(1, len(sizes) + 1), sizes, line, label=name)
    ticks = [3, 10, 30, 100, 300]
    ax.set(yscale="log", xlabel="номер слоя от входа", ylabel="поле, пиксели")
    ax.set_yticks(ticks, [str(tick) for tick in ticks])
    ax.set_yticks([], minor=True)
    ax.legend()


def field_maps(
    maps: Mapping[str, np.ndarray], boxes: Sequence[tuple[float, float, float]], width: float = 2.3
) -> Figure:
    """Gradient or occlusion fields, dark where the input matters most.

    Parameters
    ----------
    maps : title -> (H, W), scaled each to its largest value.
    boxes : of each: first pixel and side of the theoretical field, effective side; drawn dashed and
        solid, the effective one around the middle of the theoretical.
    """
    fig, axes = plt.subplots(
        1, len(maps), figsize=(width * len(maps), width + 0.45), squeeze=False, subplot_kw=PICTURE
    )
    for ax, (title, values), (first, side, effective) in zip(
        axes[0], maps.items(), boxes, strict=True
    ):
        ax.imshow(values / values.max(), cmap="Blues", vmin=0, vmax=1)
        middle = first + (side - 1) / 2
        for wide, line, color in ((side, "--", GREY), (effective, "-", RED)):
            corner = (middle - wide / 2, middle - wide / 2)
            ax.add_patch(
                Rectangle(corner, wide, wide, fill=False, linestyle=line, edgecolor=color, lw=1.4)
            )
        ax.set_title(title, fontsize=9)
    return fig


def _stack(
    ax: Axes, corner: tuple[float, float], count: int, side: float, colors: Sequence[str]
) -> None:
    """Sheets behind one another, the first colour in front."""
    for number in reversed(range(count)):
        x, y = corner[0] + 0.28 * number, corner[1] + 0.28 * number
        look = {"facecolor": colors[number], "edgecolor": "#57606a", "linewidth": 0.9}
        ax.add_patch(Rectangle((x, y), side, side, **look))
