"""Keypoints, descriptors and matches drawn over photographs.

All functions take plain arrays in OpenCV's conventions, whoever computed them: ``xy`` in pixels
(x right, y down), ``size`` the diameter in pixels (twice the scale sigma), ``angle`` in degrees
clockwise from the x axis as seen on the screen, descriptors as 4 rows x 4 columns x 8 directions.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from pixgrad.plots.style import ORANGE, RED, SKY
from pixgrad.sift.descriptor import CELL_FACTOR, DIRECTIONS, WIDTH
from pixgrad.sift.image import to_grey

_OUTLINE = withStroke(linewidth=3.6, foreground="black")


def show_photo(ax: Axes, image: np.ndarray, title: str = "") -> None:
    """A photograph without axes; uint8, (H, W) or (H, W, 3)."""
    ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="lanczos")
    ax.set_axis_off()
    ax.set_title(title)


def side_by_side(images: Sequence[np.ndarray], width: float = 7.0) -> tuple[Figure, list[Axes]]:
    """A figure with an axes for each photograph, all of one height, ``width`` inches in all."""
    aspects = [image.shape[1] / image.shape[0] for image in images]
    figure, axes = plt.subplots(
        1,
        len(images),
        figsize=(width, width / sum(aspects) + 0.3),
        width_ratios=aspects,
        squeeze=False,
    )
    return figure, list(axes[0])


def draw_keypoints(
    ax: Axes, xy: np.ndarray, size: np.ndarray, angle: np.ndarray, color: str = ORANGE
) -> None:
    """A circle for the scale (diameter = ``size``) and a radius for the orientation.

    Parameters
    ----------
    xy : shape (N, 2); size, angle : shape (N,).
    """
    draw_circles(ax, xy, size, edgecolors=color, linewidths=1.1)
    tips = xy + 0.5 * size[:, None] * _directions(angle)
    ax.add_collection(LineCollection(np.stack([xy, tips], axis=1), colors=color, linewidths=1.1))


def draw_circles(ax: Axes, xy: np.ndarray, diameter: np.ndarray, **look) -> None:
    """Empty circles, their diameters in the units of the axes.

    Parameters
    ----------
    xy : shape (N, 2); diameter : shape (N,).
    """
    circles = EllipseCollection(
        diameter,
        diameter,
        np.zeros(len(diameter)),
        units="xy",
        offsets=xy,
        transOffset=ax.transData,
        facecolors="none",
        **look,
    )
    ax.add_collection(circles)


def draw_grid(ax: Axes, xy: np.ndarray, size: float, angle: float, color: str = SKY) -> None:
    """The 4x4 grid of a descriptor.

    Parameters
    ----------
    xy : shape (2,).
    """
    sides = _cell(size, angle)
    edges, half = np.arange(WIDTH + 1) - WIDTH / 2, WIDTH / 2
    lines = [
        [xy + edge * a - half * b, xy + edge * a + half * b]
        for a, b in (sides, sides[::-1])
        for edge in edges
    ]
    ax.add_collection(LineCollection(lines, colors=color, linewidths=0.9))


def draw_descriptor(
    ax: Axes, xy: np.ndarray, size: float, angle: float, descriptor: np.ndarray
) -> None:
    """The 4x4 grid of a descriptor over its photograph, eight rays in each cell.

    The length of a ray is the value of its direction, the longest ray of the descriptor reaching
    the side of its cell. The view is cut to the patch.

    Parameters
    ----------
    xy : shape (2,); descriptor : shape (128,) = 4 rows, 4 columns, 8 directions.
    """
    draw_grid(ax, xy, size, angle)
    across, down = _cell(size, angle)
    cell = np.linalg.norm(across)
    middles = np.arange(WIDTH) - (WIDTH - 1) / 2
    centres = xy + middles[:, None, None] * down + middles[None, :, None] * across
    # Directions turn counter-clockwise on the screen, away from the keypoint's own.
    rays = _directions(angle - np.arange(DIRECTIONS) * 360 / DIRECTIONS)
    histograms = descriptor.reshape(WIDTH, WIDTH, DIRECTIONS)
    tips = (
        centres[:, :, None]
        + 0.5 * cell * (histograms / histograms.max())[..., None] * rays[None, None]
    )
    starts = np.broadcast_to(centres[:, :, None], tips.shape)
    segments = np.stack([starts, tips], axis=3).reshape(-1, 2, 2)
    ax.add_collection(LineCollection(segments, colors=ORANGE, linewidths=1.6))
    tip = xy + 2 * across
    arrow = {"arrowstyle": "->", "color": "white", "lw": 1.8, "path_effects": [_OUTLINE]}
    ax.annotate("", tip, xy, arrowprops=arrow)
    reach = 1.05 * np.sqrt(2) * WIDTH / 2 * cell
    ax.set(xlim=(xy[0] - reach, xy[0] + reach), ylim=(xy[1] + reach, xy[1] - reach))


def draw_matches(
    images: Sequence[np.ndarray],
    first: np.ndarray,
    second: np.ndarray,
    good: np.ndarray,
    gap: int = 12,
    width: float = 7.0,
) -> Figure:
    """Two photographs side by side and a line for each match.

    Parameters
    ----------
    images : two images, uint8; drawn in grey; they may differ in size.
    first, second : ends of the matches in each image's own pixels, shape (M, 2).
    good : bool, shape (M,): those are drawn solid blue over the others, thin dashed red.
    gap : pixels of white between the photographs.
    width : of the figure in inches.
    """
    one, two = (to_grey(image) for image in images)
    left = one.shape[1] + gap
    canvas = np.full((max(len(one), len(two)), left + two.shape[1]), 255, dtype=np.uint8)
    canvas[: len(one), : left - gap] = one
    canvas[: len(two), left:] = two
    figure, (ax,) = side_by_side([canvas], width)
    show_photo(ax, canvas)
    ends = np.stack([first, second + np.array([left, 0])], axis=1)
    looks = (
        (~good, RED, {"linewidths": 0.8, "linestyles": (0, (4, 2))}),
        (good, SKY, {"linewidths": 0.8}),
    )
    for chosen, color, look in looks:
        ax.add_collection(LineCollection(ends[chosen], colors=color, **look))
        ax.scatter(*ends[chosen].reshape(-1, 2).T, s=7, color=color, linewidths=0)
    return figure


def spread(
    xy: np.ndarray,
    size: np.ndarray,
    response: np.ndarray,
    shape: tuple[int, ...],
    count: int,
    smallest: float = 6.0,
) -> np.ndarray:
    """Numbers of ``count`` strong keypoints that lie apart, with their whole patch in the image.

    Parameters
    ----------
    shape : (H, W, …) of the image.
    smallest : keypoints of a smaller diameter (px) are passed over: their patch is too small to
        draw in.
    """
    reach = CELL_FACTOR * size / 2 * WIDTH / 2 * np.sqrt(2)
    far = np.minimum(xy, np.array([shape[1], shape[0]]) - 1 - xy).min(axis=1)
    candidates = np.flatnonzero((far >= reach) & (size >= smallest))
    chosen: list[int] = []
    for index in candidates[np.argsort(-response[candidates], kind="stable")]:
        apart = all(
            np.hypot(*(xy[index] - xy[other])) > reach[index] + reach[other] for other in chosen
        )
        if apart:
            chosen.append(int(index))
        if len(chosen) == count:
            break
    return np.array(chosen, dtype=int)


def _cell(size: float, angle: float) -> np.ndarray:
    """Sides of a descriptor's cell, along the keypoint's direction and across it: (2, 2)."""
    return _directions(np.array([angle, angle + 90.0])) * (CELL_FACTOR * size / 2)


def _directions(angle: np.ndarray) -> np.ndarray:
    """Unit vectors (N, 2) of angles in degrees, clockwise on the screen (y down)."""
    radians = np.deg2rad(np.asarray(angle, float))  # float32 cosines differ between processors
    return np.round(np.stack([np.cos(radians), np.sin(radians)], axis=-1), 9)
