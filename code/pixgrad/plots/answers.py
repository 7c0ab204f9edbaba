"""Figures of what classifiers answer: photos with predictions, Grad-CAM maps, intervals."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from pixgrad.plots.style import BLUE, PICTURE, RED

_RUSSIAN = {
    "SUV": "внедорожник",
    "Sedan": "седан",
    "Coupe": "купе",
    "Convertible": "кабриолет",
    "Pickup": "пикап",
}


def class_names(names: Sequence[str]) -> list[str]:
    """Types of car bodies in Russian; other names as they are."""
    return [_RUSSIAN.get(str(name), str(name)) for name in names]


def answer_tiles(
    images: Sequence[np.ndarray], titles: Sequence[str], correct: Sequence[bool], columns: int
) -> Figure:
    """Photos under the answers of a network: a blue frame where it is right, a red dashed one else.

    Parameters
    ----------
    images : uint8, each (H, W) or (H, W, 3).
    """
    rows = -(-len(images) // columns)
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(1.25 * columns, 1.6 * rows),
        squeeze=False,
        layout="constrained",
        subplot_kw=PICTURE,
    )
    for ax, image, title, right in zip(axes.flat, images, titles, correct, strict=False):
        ax.imshow(image, cmap="gray")
        ax.set_title(title, fontsize=7, pad=3)
        height, width = image.shape[:2]
        color, line = (BLUE, "-") if right else (RED, "--")
        ax.add_patch(
            plt.Rectangle(
                (-0.5, -0.5), width, height, fill=False, color=color, linestyle=line, linewidth=2.5
            )
        )
    return fig


def attention_rows(
    images: Sequence[np.ndarray],
    maps: Mapping[str, np.ndarray],
    titles: Mapping[str, Sequence[str]],
) -> Figure:
    """A column a photo: the photo itself, then what each network looks at, laid over it.

    Parameters
    ----------
    images : uint8, each (H, W, 3).
    maps : name of a network -> Grad-CAM maps (N, h, w), from 0 on; each is scaled to its own
        largest value and brought to the size of its photo.
    titles : name of a network -> its answer for each photo.
    """
    fig, axes = plt.subplots(
        len(maps) + 1,
        len(images),
        figsize=(1.3 * len(images), 1.5 * (len(maps) + 1)),
        squeeze=False,
        layout="constrained",
        subplot_kw=PICTURE,
    )
    for column, image in enumerate(images):
        axes[0, column].imshow(image)
        for row, (name, its_maps) in enumerate(maps.items(), start=1):
            ax = axes[row, column]
            ax.imshow(image.mean(axis=-1), cmap="gray", alpha=0.6)
            ax.imshow(over(its_maps[column], image.shape[:2]), cmap="magma", alpha=0.55, vmin=0)
            ax.set_title(titles[name][column], fontsize=7, pad=2)
    for row, name in enumerate(["фотография", *maps]):
        axes[row, 0].set_ylabel(name, fontsize=8)
    return fig


def over(attention: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) from 0 on, scaled to 0 … 1 and resampled bilinearly to ``size`` (H, W)."""
    scaled = np.asarray(attention, dtype=np.float32)
    scaled = scaled / max(float(scaled.max()), 1e-12)
    resized = Image.fromarray(scaled).resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(resized)


def forest(
    ax: Axes,
    names: Sequence[str],
    intervals: Mapping[str, Sequence[tuple[float, float, float]]],
    colors: Sequence[str] = (BLUE, RED),
) -> None:
    """Estimates with intervals, a line a name, several kinds of intervals one above another.

    Parameters
    ----------
    intervals : kind -> (estimate, low, high) for every name.
    colors : of the kinds.
    """
    shifts = np.linspace(-0.15, 0.15, len(intervals)) if len(intervals) > 1 else [0]
    for (kind, rows), shift, color, marker in zip(
        intervals.items(), shifts, colors, "os", strict=False
    ):
        estimate, low, high = np.array(rows).T
        ax.errorbar(
            estimate,
            np.arange(len(names)) + shift,
            xerr=[estimate - low, high - estimate],
            fmt=marker,
            color=color,
            markersize=4,
            capsize=3,
            label=kind,
        )
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
