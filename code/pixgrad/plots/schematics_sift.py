"""Schematics of SIFT: what it does, how its data are laid out, where its derivatives go."""

from collections.abc import Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon

from pixgrad.plots import text
from pixgrad.plots.features import draw_descriptor, draw_grid, draw_keypoints
from pixgrad.plots.sift_stages import orientation_histogram
from pixgrad.plots.style import BLUE, GREEN, GREY, ORANGE, PICTURE, RED, SKY
from pixgrad.sift import descriptor, orientation, scale_space

INK = "#57606a"
HOUSE = np.array([[0.1, 0.1], [0.8, 0.1], [0.8, 0.55], [0.45, 0.9], [0.1, 0.55]])
"""Corners of the shape that both views of `four_steps` show, in a unit square, y up."""


def four_steps() -> Figure:
    """Two views of one shape: points found, described, matched, verified by one transformation."""
    figure, axes = plt.subplots(1, 4, figsize=(7.2, 2.35), subplot_kw=PICTURE)
    turn, scale = np.deg2rad(25), 0.8
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    other = (HOUSE - 0.5) @ matrix.T + np.array([1.75, 0.5])
    titles = ("1. найти", "2. описать", "3. сопоставить", "4. проверить")
    notes = (
        "снимок →\nточки $(\\mathbf{x}, \\sigma, \\omega)$",
        "точка →\n128 чисел",
        "ближайшие\nдескрипторы",
        "одно преобразование $\\mathbf{P}$\nна всех",
    )
    for step, (ax, title, note) in enumerate(zip(axes, titles, notes, strict=True)):
        for corners, grow, angle in ((HOUSE, 1, 0), (other, scale, -25)):
            ax.add_patch(Polygon(corners, facecolor="#dfe7ee", edgecolor=INK))
            sizes, angles = np.full(5, 0.2 * grow), angle - np.array([45, 135, 190, 270, 350])
            if step == 1:
                for xy, direction in zip(corners, angles, strict=True):
                    draw_grid(ax, xy, 0.045 * grow, direction, color=ORANGE)
            else:
                draw_keypoints(ax, corners, sizes, angles, color=ORANGE)
        if step >= 2:
            ends = np.stack([HOUSE, other[[0, 1, 2, 4, 3]]], axis=1)
            right = np.array([True, True, True, False, False])
            for chosen, color, dash in ((right, BLUE, "-"), (~right, RED, (0, (4, 2)))):
                shown = {"colors": BLUE} if step == 2 else {"colors": color, "linestyles": dash}
                ax.add_collection(LineCollection(ends[chosen], linewidths=1.3, **shown))
        ax.set(xlim=(-0.1, 2.3), ylim=(-0.25, 1.25), aspect="equal")
        ax.set_title(title, fontsize=10)
        ax.set_xlabel(note, fontsize=8.5)
    return figure


def pyramid(ax: Axes, layers: int = 3, sigma: float = 1.6) -> None:
    """Octaves of the Gaussian pyramid and their differences; each begins with half a layer.

    Parameters
    ----------
    layers : n, searched differences of an octave; it holds n + 3 images and n + 2 differences.
    sigma : of its first image, in pixels of the octave.
    """
    left, rise = 0.0, 0.62
    scales = [sigma, *np.cumprod(np.full(layers + 2, 2 ** (1 / layers))) * sigma]
    sizes = ("$2H \\times 2W$", "$H \\times W$", "$H/2 \\times W/2$")
    starts = []
    for number, (name, size) in enumerate(zip(("−1", "0", "1"), sizes, strict=True)):
        width = 2.6 / 2**number
        beside = left + width + 1.25
        for i, scale in enumerate(scales):
            special = i in (0, layers)
            _sheet(ax, left, i * rise, width, "#f6d9a8" if special else "#dbe9f4")
            if number == 0:
                label = f"$I_{i}$:  {text.number(scale, 2)}"
                ax.text(left - 0.12, i * rise + 0.12, label, ha="right", va="center", fontsize=8.5)
        for i in range(len(scales) - 1):
            searched = 1 <= i <= layers
            height = (i + 0.5) * rise
            _sheet(ax, beside, height, width, "#bfe3d5" if searched else "#eceff2")
            for end in (i, i + 1):
                ax.plot(
                    [left + 1.18 * width, beside - 0.08],
                    [end * rise + 0.12, height + 0.12],
                    color=GREY,
                    linewidth=0.6,
                )
            ax.text(
                beside - 0.2, height + 0.12, "−", ha="center", va="center", fontsize=11,
                bbox={"boxstyle": "circle,pad=0.05", "facecolor": "white", "edgecolor": "none"},
            )  # fmt: skip
            if number == 0:
                label = f"$D_{i}$"
                ax.text(beside + 1.25 * width, height + 0.12, label, va="center", fontsize=8.5)
        ax.text(
            (left + beside + width) / 2, -0.45, f"октава {name}\n{size}", ha="center", va="top",
            fontsize=9,
        )  # fmt: skip
        starts.append((left, width))
        left = beside + 1.25 * width + 1.15 / (1 + number)
    top = (layers + 2) * rise
    for (x, width), (there, _) in pairwise(starts):
        middle, above, before = x + 0.6 * width, top + 0.6, there - 0.3
        path = [(middle, layers * rise), (middle, above), (before, above), (before, 0.12)]
        ax.plot(*np.transpose(path), color=ORANGE, linewidth=1.6, zorder=2)
        _arrow(ax, path[-1], (there + 0.1, 0.12), color=ORANGE, linewidth=1.6, zorder=5)
        words = "каждый второй\nпиксель"
        ax.text(
            (middle + before) / 2,
            above + 0.1,
            words,
            color="#9a6a00",
            ha="center",
            va="bottom",
            fontsize=8.5,
        )
    ax.text(-0.12, top + 0.6, "σ, пикселей\nоктавы", ha="right", fontsize=8.5)
    ax.set(xlim=(-1.35, left - 0.3), ylim=(-1.35, top + 1.6), aspect="equal")
    ax.axis("off")


def cube(ax: Axes, values: np.ndarray) -> None:
    """A 3x3x3 neighbourhood with its numbers: three sheets, the middle one of all marked.

    Parameters
    ----------
    values : (3, 3, 3), axes (layer, row, column); layers are drawn from the bottom up.
    """
    across, down, up = np.array([1.0, 0]), np.array([-0.42, -0.55]), np.array([0, 2.35])
    for layer, row, column in np.ndindex(3, 3, 3):
        corner = column * across + row * down + layer * up
        centre = (layer, row, column) == (1, 1, 1)
        ax.add_patch(
            Polygon(
                [corner, corner + across, corner + across + down, corner + down],
                facecolor=RED if centre else "#d6ebf8",
                edgecolor=INK,
                linewidth=0.8,
            )
        )
        x, y = corner + (across + down) / 2
        ax.text(
            x, y, text.number(values[layer, row, column]), ha="center", va="center", fontsize=9.5,
            color="white" if centre else "#1f2328", fontweight="bold" if centre else "normal",
        )  # fmt: skip
    for layer, name in enumerate(("слой ниже", "слой точки", "слой выше")):
        x, y = 3.15 * across + layer * up + 0.8 * down
        ax.text(x, y, name, va="center", fontsize=9)
    origin = (-1.75, -2.05)
    for start, step, name in ((origin, (1.0, 0), "вправо"), (origin, -0.9 * down, "")):
        _arrow(ax, start, np.add(start, step) if name else np.subtract(start, step))
        if name:
            ax.text(*np.add(start, (1.2, 0)), name, va="center")
    ax.text(*np.add((-1.95, -2.3), 1.2 * down), "вниз", va="center", ha="center")
    _arrow(ax, (-1.75, -2.05), (-1.75, -0.9))
    ax.text(-1.75, -0.75, "слой", ha="center", va="bottom")
    ax.set(xlim=(-2.7, 4.6), ylim=(-3.1, 5.0), aspect="equal")
    ax.axis("off")


def window_to_grid(sigma: float = 2.0) -> tuple[Figure, float]:
    """One keypoint of a made-up picture: its window of directions, the vote, the turned grid.

    Every number is computed by the package.

    Returns
    -------
    The figure and the keypoint's angle in degrees, clockwise.
    """
    half = 20
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    along = x * np.cos(np.deg2rad(35)) - y * np.sin(np.deg2rad(35))
    across = x * np.sin(np.deg2rad(35)) + y * np.cos(np.deg2rad(35))
    # A wedge whose edges run at different slopes, blurred as the keypoint's layer is.
    sharp = 60 + 130 * ((along > 0.35 * np.abs(across) - 2) & (across < 9)).astype(np.float32)
    layer = scale_space.blur(sharp, sigma)
    magnitude, angle = orientation.gradients(layer[None])
    point, scale = np.array([[0, half, half]]), np.array([sigma], np.float32)
    votes = orientation.votes(magnitude, angle, point, scale)
    smoothed = orientation.smooth(votes)
    theta = orientation.peaks(smoothed)[1][:1]
    centre = np.full((1, 2), half, np.float32)
    raw = descriptor.raw_histograms(magnitude, angle, point[:, 0], centre, scale, theta)
    figure, (window, histogram, grid) = plt.subplots(
        1, 3, figsize=(7.4, 2.75), width_ratios=[1, 1.05, 1]
    )
    for ax in (window, grid):
        ax.imshow(layer, cmap="gray", vmin=-40, vmax=255)
        ax.grid(visible=False)
        ax.set(xticks=[], yticks=[])
    _gradient_arrows(window, magnitude[0], angle[0], sigma)
    window.set_title("градиенты в окне")
    orientation_histogram(histogram, votes[0], smoothed[0], 360 - theta)
    histogram.set(xlabel="направление ψ, градусы", yticks=[], title="36 столбцов, вершина")
    draw_descriptor(grid, centre[0], 2 * sigma, float(theta[0]), descriptor.quantise(raw)[0])
    reach = half - 0.5
    for ax in (window, grid):
        ax.set(xlim=(half - reach, half + reach), ylim=(half + reach, half - reach))
    grid.set_title("сетка повёрнута на ω")
    return figure, float(theta[0])


STAGES = {
    # name: (x, y, title, shape, kind)
    "image": (0.0, 0.0, "снимок $I$", r"$H{\times}W$", ""),
    "double": (1.5, 0.0, "удвоение", r"$2H{\times}2W$", "linear"),
    "blur": (3.0, 0.0, "размытия", "6 слоёв", "linear"),
    "dog": (3.0, 1.5, "разности $D$", "5 слоёв", "linear"),
    "extremum": (4.5, 1.5, "экстремум", r"$3{\times}3{\times}3$", "choice"),
    "refine": (6.0, 1.5, "уточнение", r"$\mathbf{x}, \sigma$", "smooth"),
    "gradient": (4.5, 0.0, "градиент", "по 2 карты", "smooth"),
    "votes": (6.0, 0.0, "столбцы", "$36$", "choice"),
    "peak": (7.5, 0.0, "вершина", r"$\Omega$", "smooth"),
    "histogram": (9.0, 0.0, "клетки", r"$4{\times}4{\times}8$", "smooth"),
    "norm": (9.0, -1.75, "норма, срез", "$128$", "smooth"),
    "byte": (7.5, -1.75, "округление", "$128$ байтов", "choice"),
}
"""Boxes of `derivative_graph`."""
FLOWS = {
    ("image", "double"): 0, ("double", "blur"): 0, ("blur", "dog"): 0, ("dog", "extremum"): 0,
    ("extremum", "refine"): 0, ("blur", "gradient"): 0, ("gradient", "votes"): 0,
    ("votes", "peak"): 0, ("refine", "votes"): 0, ("refine", "histogram"): 0,
    ("peak", "histogram"): 0, ("gradient", "histogram"): 0.2, ("histogram", "norm"): 0,
    ("norm", "byte"): 0,
}  # fmt: skip
"""Its arrows and how much each bends."""
KINDS = {
    "linear": ("линейный", "#cfe3f3", BLUE, "-"),
    "smooth": ("гладкий, с изломами", "#cdebdf", GREEN, "-"),
    "choice": ("выбор: скачки", "#f6d3cc", RED, (0, (4, 2))),
}
"""Kind of a stage: its words, its ground, its frame and the frame's dash."""


def derivative_graph(ax: Axes) -> None:
    """SIFT as a graph: what each stage makes, of what kind it is, the gradient's way back."""
    half = np.array([0.6, 0.36])
    for x, y, title, shape, kind in STAGES.values():
        _, ground, frame, dash = KINDS.get(kind, ("", "white", INK, "-"))
        ax.add_patch(
            FancyBboxPatch(
                np.array([x, y]) - half,
                *(2 * half),
                boxstyle="round,pad=0.02,rounding_size=0.08",
                facecolor=ground,
                edgecolor=frame,
                linestyle=dash,
                linewidth=1.3,
            )
        )
        ax.text(x, y + 0.14, title, ha="center", va="center", fontsize=8.5)
        ax.text(x, y - 0.15, shape, ha="center", va="center", fontsize=8.5)
    for (start, end), bend in FLOWS.items():
        ends = [np.array(STAGES[name][:2]) for name in (start, end)]
        if bend:
            ends = [place - np.array([0, half[1] + 0.14]) for place in ends]
        else:
            ends = _edge(*ends, half + 0.05)
        aside = 0.09 * _normal(*ends)
        _arrow(ax, ends[0] + aside, ends[1] + aside, bend)
        back = {"color": RED, "linestyle": (0, (2, 1.5))}
        _arrow(ax, ends[1] - aside, ends[0] - aside, -bend, **back)
    for words, ground, frame, _ in KINDS.values():
        ax.plot([], [], "s", color=ground, markeredgecolor=frame, markersize=9, label=words)
    ax.plot([], [], "-", color=INK, label="вперёд: числа")
    ax.plot([], [], linestyle=(0, (2, 1.5)), color=RED, label="назад: градиент")
    ax.legend(loc="lower left", ncols=1, bbox_to_anchor=(0, -0.02))
    ax.set(xlim=(-0.75, 9.8), ylim=(-2.5, 2.0), aspect="equal")
    ax.axis("off")


def _sheet(ax: Axes, x: float, y: float, width: float, color: str) -> None:
    """A layer seen askew."""
    corners = [(x, y), (x + width, y), (x + 1.18 * width, y + 0.24), (x + 0.18 * width, y + 0.24)]
    ax.add_patch(Polygon(corners, facecolor=color, edgecolor=INK, linewidth=0.8, zorder=3))


def _arrow(ax: Axes, start: Sequence[float], end: Sequence[float], bend: float = 0, **look) -> None:
    look = {"color": INK, "linewidth": 1.1, "connectionstyle": f"arc3,rad={bend}", **look}
    ax.add_patch(
        FancyArrowPatch(
            tuple(start),
            tuple(end),
            arrowstyle="-|>",
            mutation_scale=9,
            shrinkA=0,
            shrinkB=0,
            **look,
        )
    )


def _edge(start: np.ndarray, end: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the line between the centres of two boxes leaves the one and enters the other."""
    step = end - start
    share = (half / np.maximum(np.abs(step), 1e-9)).min()
    return start + share * step, end - share * step


def _normal(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    along = (end - start) / np.linalg.norm(end - start)
    return np.array([-along[1], along[0]])


def _gradient_arrows(ax: Axes, magnitude: np.ndarray, angle: np.ndarray, sigma: float) -> None:
    """Gradients in the square that votes, longer for heavier votes; rings of the weight."""
    middle = len(magnitude) // 2
    reach = round(orientation.RADIUS_FACTOR * sigma)
    spread = orientation.SIGMA_FACTOR * sigma
    step = np.arange(-reach, reach + 1, 2)
    dy, dx = (part.ravel() for part in np.meshgrid(step, step, indexing="ij"))
    weight = magnitude[middle + dy, middle + dx] * np.exp(-(dx**2 + dy**2) / (2 * spread**2))
    turn = np.deg2rad(angle[middle + dy, middle + dx].astype(float))
    seen = weight > 0.02 * weight.max()
    length = (3.2 * np.sqrt(weight / weight.max()))[seen]
    ax.quiver(
        (middle + dx)[seen], (middle + dy)[seen], length * np.cos(turn[seen]),
        -length * np.sin(turn[seen]), angles="xy", scale_units="xy", scale=1, color=ORANGE,
        width=0.012, headwidth=3.2,
    )  # fmt: skip
    for radius in (spread, 2 * spread):
        ax.add_patch(Circle((middle, middle), radius, fill=False, edgecolor=SKY, linestyle=":"))
    square = middle + (reach + 0.5) * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    ax.add_patch(Polygon(square, fill=False, edgecolor=SKY))
