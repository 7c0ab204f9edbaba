"""Pictures of what SIFT computes on its way: layers, extrema, histograms."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pixgrad.plots.style import BLUE, GREEN, PICTURE, RED, SKY, decimal_commas
from pixgrad.sift import orientation, refinement, scale_space
from pixgrad.sift.descriptor import DIRECTIONS, WIDTH


def layer_grid(
    rows: Sequence[Sequence[np.ndarray]],
    titles: Sequence[Sequence[str]],
    reach: float | None = None,
    width: float = 7.0,
) -> Figure:
    """Layers of octaves, a row an octave, all drawn at one size: coarser ones have larger pixels.

    Parameters
    ----------
    rows : lists of (H, W) arrays.
    titles : one for each picture.
    reach : None — grey levels 0 … 255; else signed values from ``-reach`` (black) to ``reach``.
    """
    columns = max(map(len, rows))
    height, across = rows[0][0].shape
    side = width / columns
    figure, axes = plt.subplots(
        len(rows),
        columns,
        figsize=(width, len(rows) * (side * height / across + 0.2)),
        squeeze=False,
        subplot_kw=PICTURE,
    )
    low, high = (0, 255) if reach is None else (-reach, reach)
    for row, names, line in zip(rows, titles, axes, strict=True):
        for image, title, ax in zip(row, names, line, strict=False):
            ax.imshow(image, cmap="gray", vmin=low, vmax=high, aspect="auto")
            ax.set_title(title, fontsize=8, pad=2)
    return figure


def parabola(ax: Axes, values: np.ndarray) -> float:
    """Draw three neighbouring samples, the parabola through them and its vertex.

    Parameters
    ----------
    values : (3,), samples at -1, 0, 1.

    Returns
    -------
    Where the vertex lies from the middle sample.
    """
    curve = np.polynomial.Polynomial.fit([-1, 0, 1], values, 2)
    u = np.linspace(-1.1, 1.1, 60)
    (offset,) = curve.deriv().roots()
    ax.plot(u, curve(u), color=BLUE)
    ax.plot([-1, 0, 1], values, "o", color=BLUE, markersize=7)
    ax.plot(offset, curve(offset), "*", color=RED, markersize=12)
    ax.axvspan(-0.5, 0.5, color=SKY, alpha=0.2, linewidth=0)
    return float(offset)


def curvature_ratio(dog: np.ndarray, point: np.ndarray) -> np.ndarray:
    """``tr(H)^2 / det(H)`` of the 2x2 Hessian at points (N, 3); infinite where det <= 0."""
    _, hessian = refinement.derivatives(refinement.neighbourhood(dog, point))
    plane = hessian[:, :2, :2].astype(np.float64)
    det = np.linalg.det(plane)
    trace = np.trace(plane, axis1=1, axis2=2)
    return np.divide(trace**2, det, out=np.full(len(det), np.inf), where=det > 0)


def disc(radius: float) -> np.ndarray:
    """A bright disc (255) on black with a smooth edge, in the middle of a square of odd side."""
    half = 5 * round(radius)
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    return (255 * np.clip(radius - np.hypot(x, y) + 0.5, 0, 1)).astype(np.float32)


def disc_differences(radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Differences of Gaussians in the middle of `disc`, as the pipeline computes them.

    Returns
    -------
    sigma : (K,), the smaller scale of each difference, pixels; growing.
    response : (K,), of a disc of brightness 1.
    """
    image = disc(radius)
    sigma, response = [], []
    for o, octave in enumerate(scale_space.gaussian_pyramid(scale_space.base_image(image))):
        dog = scale_space.difference_of_gaussians(octave)
        middle = round((len(image) - 1 + 0.5) / 2**o)  # of the doubled grid, halved o times
        for i in range(1, len(dog) - 1):
            sigma.append(scale_space.SIGMA * 2 ** (o - 1 + i / scale_space.LAYERS))
            response.append(dog[i, middle, middle] / 255)
    near = np.array(sigma) < 2 * radius  # beyond, the edge of the picture is seen
    return np.array(sigma)[near], np.array(response)[near]


def disc_responses(axes: Sequence[Axes], radii: Sequence[float]) -> None:
    """How the middles of discs answer at each scale: Laplacian, normalised one, difference.

    Formulas as lines, what the pipeline computes as dots.
    """
    sigma, k = np.geomspace(0.8, 40, 300), 2 ** (1 / 3)
    looks = zip(radii, (BLUE, RED, GREEN), ("-", "--", ":"), strict=True)
    for radius, color, line in looks:
        half = radius**2 / (2 * sigma**2)
        curves = (
            2 * half / sigma**2 * np.exp(-half),
            2 * half * np.exp(-half),
            np.exp(-half / k**2) - np.exp(-half),
        )
        for ax, curve in zip(axes, curves, strict=True):
            ax.plot(sigma, curve, line, color=color, label=f"R = {radius}")
        measured, response = disc_differences(radius)
        axes[2].plot(measured, -response, "o", color=color, markersize=3.5, fillstyle="none")
    for ax in axes:
        ax.set(xscale="log", xlabel="σ, пикс.", xlim=(0.8, 40))
        ax.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
        ax.set_xticks([], minor=True)
        decimal_commas(ax)


def direction_arrows(ax: Axes, magnitude: np.ndarray, angle: np.ndarray, step: int = 13) -> None:
    """Directions of the gradient where it is strong, one arrow for ``step`` x ``step`` pixels.

    Parameters
    ----------
    magnitude, angle : (H, W), degrees counter-clockwise on the screen.
    """
    rows, columns = (
        part.ravel() for part in np.mgrid[: len(magnitude) : step, : magnitude.shape[1] : step]
    )
    strong = magnitude[rows, columns] > np.quantile(magnitude, 0.75)
    turn = np.deg2rad(angle[rows, columns][strong].astype(float))
    ax.quiver(
        columns[strong],
        rows[strong],
        np.cos(turn),
        np.sin(turn),
        pivot="mid",
        color=RED,
        angles="uv",
        scale_units="xy",
        scale=1 / (0.9 * step),
        units="xy",
        width=2,
        headwidth=3.2,
    )


def orientation_histogram(
    ax: Axes, votes: np.ndarray, smoothed: np.ndarray, angles: Sequence[float]
) -> None:
    """Votes as bars, the smoothed histogram as a line, the 0.8 level and the chosen angles.

    Parameters
    ----------
    votes, smoothed : (36,).
    angles : degrees counter-clockwise on the screen, as the histogram counts them.
    """
    step = 360 / len(votes)
    centres = step * np.arange(len(votes))
    ax.stairs(votes, step * (np.arange(len(votes) + 1) - 0.5), fill=True, color=SKY)
    ax.plot(centres, smoothed, color=BLUE)
    ax.axhline(orientation.PEAK_RATIO * smoothed.max(), color="#444444", linestyle=":")
    for angle in angles:
        ax.axvline(angle, color=RED, linestyle="--")
    ax.set(xlim=(-step, 360), xticks=range(0, 361, 60))


def descriptor_bars(ax: Axes, values: np.ndarray, limit: float | None = None) -> None:
    """128 numbers as bars in two shades, a cell after another; a dotted line at ``limit``."""
    shades = np.where(np.arange(len(values)) // DIRECTIONS % 2, SKY, BLUE)
    ax.vlines(np.arange(len(values)), 0, values, colors=shades, linewidth=1.6)
    if limit is not None:
        ax.axhline(limit, color=RED, linestyle="--", linewidth=1)
    per_row = WIDTH * DIRECTIONS
    for row in range(1, WIDTH):
        ax.axvline(row * per_row - 0.5, color="#444444", linewidth=0.6)
    ax.set_xlim(-0.5, len(values) - 0.5)
    ax.set_ylim(bottom=0)
    ax.set_xticks(
        (np.arange(WIDTH) + 0.5) * per_row - 0.5, [f"ряд {row + 1}" for row in range(WIDTH)]
    )
    ax.tick_params(axis="x", length=0)
    ax.grid(visible=False, axis="x")
