"""Figures and tables of the chapter on backpropagation through SIFT."""

from collections.abc import Mapping, Sequence

import numpy as np
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm
from matplotlib.image import AxesImage

from pixgrad.plots import text
from pixgrad.plots.features import draw_circles, draw_grid, draw_keypoints, show_photo
from pixgrad.plots.style import BLUE, GREEN, RED, SKY, decimal_commas, percent_ticks
from pixgrad.results.statistics import bootstrap_interval
from pixgrad.sift import fates
from pixgrad.sift.derivatives import Keypoint
from pixgrad.sift.derivatives.binning import hat, hat_derivative
from pixgrad.sift.derivatives.compare import StageCheck
from pixgrad.sift.derivatives.kinks import Kink
from pixgrad.sift.derivatives.response import Response
from pixgrad.sift.derivatives.types import Array
from pixgrad.sift.fates import Candidates


def comparison_table(rows: Sequence[StageCheck]) -> Markdown:
    """Differences of each derivative from autograd and from finite differences; its kinks."""
    header = ("Производная", "autograd", "Разности", "Изломы")
    first = {row.stage: row for row in reversed(rows)}
    body = [
        (
            f"{row.stage}; {row.wrt}",
            text.bound(row.autograd, -12),
            text.bound(row.finite_differences, -8),
            row.kinks if first[row.stage] is row else "то же",
        )
        for row in rows
    ]
    return text.table(header, body, (24, -11, -11, 24))


def kinks_table(kinks: Sequence[Kink]) -> Markdown:
    """Slopes on both sides of each bad point, the jump, and what is taken instead."""
    header = ("Этап", "Точка", "Слева", "Справа", "Скачок", "Наша", "Замена", "autograd")
    body = [
        (
            kink.stage,
            kink.place,
            *(_short(value) for value in (kink.left, kink.right, kink.jump, kink.vjp)),
            "—" if kink.surrogate is None else _short(kink.surrogate),
            _short(kink.autograd),
        )
        for kink in kinks
    ]
    return text.table(header, body, (22, 24, -11, -11, -11, -11, -11, -12))


def draw_kinks(axes: Sequence[Axes]) -> None:
    """Four functions of SIFT that are not smooth, with their derivatives."""
    t = np.linspace(-1.6, 1.6, 641)
    functions = (
        ("модуль: $\\sqrt{g_x^2 + g_y^2}$ при $g_y = 0$", "$g_x$", np.abs(t), np.sign(t)),
        ("доля столбца $\\Lambda(x)$", "$x$, столбцы", hat(t), hat_derivative(t)),
        ("жёсткий столбец", "$x$, столбцы", (np.abs(t) < 0.5) * 1.0, np.zeros_like(t)),
    )
    for ax, (title, xlabel, value, slope) in zip(axes, functions, strict=False):
        _curve_with_slope(ax, t, value, slope)
        ax.set(title=title, xlabel=xlabel)
    share = np.linspace(0, 2, 641)  # x / 0.2: the slope is then that of the drawn curve
    _curve_with_slope(axes[3], share, np.minimum(share, 1), (share < 1) * 1.0)
    axes[3].set(title="срез: $\\min(x / 0{,}2,\\ 1)$", xlabel="$x / 0{,}2$")
    for ax in axes[::2]:
        ax.set_ylabel("значение и производная")
    axes[2].legend(["значение", "производная"], loc="lower center")
    decimal_commas(*axes)


def draw_response(axes: Sequence[Axes], shift: Response, turn: Response) -> None:
    """Answers of a keypoint to a shift and to a turn: values above, slopes below."""
    degrees = np.rad2deg(turn.motion)
    angle = np.rad2deg(turn.value)
    angle = angle - 360 * np.round((angle - degrees).mean() / 360)
    columns = (
        (axes[0], axes[2], shift.motion, shift.value - shift.value[0], shift),
        (axes[1], axes[3], degrees, angle, turn),
    )
    for top, bottom, motion, value, response in columns:
        top.plot(motion, motion - motion[0] + (0 if response is shift else degrees[0]), **_IDEAL)
        top.plot(motion, value, "o", color=BLUE, label="SIFT")
        bottom.axhline(1, **_IDEAL)
        bottom.plot(motion, response.exact, "s", color=RED, label="почти всюду")
        bottom.plot(motion, response.surrogate, "o", color=GREEN, label="с заменами")
    axes[0].set(title="картинка сдвигается", ylabel="сдвиг точки, пиксели")
    axes[1].set(title="картинка поворачивается", ylabel="ориентация, градусы")
    axes[2].set(xlabel="сдвиг картинки, пиксели", ylabel="производная по VJP")
    axes[3].set(xlabel="поворот картинки, градусы", ylabel="производная по VJP")
    axes[0].legend(loc="upper left")
    axes[3].legend(handles=axes[3].lines[1:], loc="center right", bbox_to_anchor=(1, 0.33))
    for ax in axes[2:]:
        ax.set_ylim(-0.1, 1.7)
    decimal_commas(*axes)


def draw_sensitivity(ax: Axes, jacobian: np.ndarray, keypoint: Keypoint) -> None:
    """Map of |∂d/∂I| over the pixels, the grid of the descriptor on top.

    Parameters
    ----------
    jacobian : (128, H, W).
    """
    drawn = ax.imshow(np.linalg.norm(jacobian, axis=0), cmap="magma", vmin=0)
    _finish_map(ax, drawn, keypoint)


def draw_component(ax: Axes, jacobian: np.ndarray, keypoint: Keypoint, component: int) -> None:
    """Signed map of one row of the Jacobian."""
    drawn = ax.imshow(jacobian[component], cmap="PuOr", norm=CenteredNorm())
    _finish_map(ax, drawn, keypoint, color="#444444")


def draw_photo_keypoint(ax: Axes, image: np.ndarray, keypoint: Keypoint) -> None:
    """The photograph with the keypoint and the grid of its descriptor."""
    ax.imshow(image, cmap="gray", vmin=0, vmax=255)
    xy, size, angle = on_photo(keypoint)
    draw_keypoints(ax, xy[None], np.array([size]), np.array([angle]))
    draw_grid(ax, xy, size, angle)
    _pixel_axes(ax)


def on_photo(keypoint: Keypoint) -> tuple[np.ndarray, float, float]:
    """Place (2,), diameter and clockwise angle in degrees, in pixels of the photo itself."""
    pixel, geometry = 2.0 ** (keypoint.octave - 1), keypoint.geometry
    xy = pixel * np.array([geometry.x, geometry.y])
    return xy, 2 * pixel * geometry.scale, -np.rad2deg(geometry.orientation)


def draw_pictures(axes: Sequence[Axes], pictures: Mapping[str, np.ndarray], **show) -> None:
    """Small pictures in a row, titles from the keys."""
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        ax.imshow(picture, **{"cmap": "gray", "vmin": 0, "vmax": 255, **show})
        ax.set_title(title)
        ax.set_axis_off()


def draw_vanishing(axes: Sequence[Axes], grey: Array, points: Candidates, lost: Array) -> None:
    """Which keypoints of a photo are not found in moved copies of it.

    Parameters
    ----------
    axes : for the photo, and for the share of the lost by scale and by contrast, a fifth a bar.
    points : the ``k`` keypoints of the photo.
    lost : bool (copies, k).
    """
    photo, *bars = axes
    show_photo(photo, grey)
    gone = lost.any(axis=0)
    for some, color, line in ((~gone, SKY, "-"), (gone, RED, (0, (2, 1)))):
        draw_circles(
            photo, points.xy[some], 4 * points.scale[some], edgecolors=color, linestyles=[line]
        )
    values = {
        "масштаб σ, пикс.": points.scale,
        "контраст, в порогах": np.abs(points.contrast) / fates.LEAST_CONTRAST,
    }
    for ax, (label, value) in zip(bars, values.items(), strict=True):
        fifths = fates.fifths(value)
        shares = [bootstrap_interval(lost[:, some], np.random.default_rng(0)) for some in fifths]
        height = np.array([share.estimate for share in shares])
        spread = [
            height - [share.low for share in shares],
            [share.high for share in shares] - height,
        ]
        ax.bar(range(5), height, yerr=spread, color=SKY, capsize=2)
        ax.set_xticks(range(5), [text.number(np.median(value[some]), 1) for some in fifths])
        ax.set(xlabel=label, ylim=(0, 0.8))
        ax.grid(visible=False, axis="x")
        percent_ticks(ax.yaxis)
    bars[0].set_ylabel("доля исчезнувших")


def draw_descents(ax: Axes, distances: Mapping[str, np.ndarray], byte: float) -> None:
    """Distance to the target against the step, and the distance that rounding to bytes makes."""
    for (label, values), line in zip(distances.items(), ("-", "--", "-.", ":"), strict=False):
        rounded = [float(f"{value:.3g}") for value in values]  # rounding errors are not drawn
        ax.semilogy(rounded, line, label=label)
    ax.axhline(byte, color="#444444", linewidth=1, linestyle=(0, (1, 1)))
    ax.annotate(
        "округление до байтов", (0, byte), (2, 3), textcoords="offset points", color="#444444"
    )
    ax.set(xlabel="шаг спуска", ylabel="$\\|\\mathbf{d} - \\mathbf{d}^*\\|$")
    ax.legend()


_IDEAL = {"color": "#444444", "linestyle": "--", "linewidth": 1, "label": "как картинка"}


def _curve_with_slope(ax: Axes, t: np.ndarray, value: np.ndarray, slope: np.ndarray) -> None:
    jumps = np.abs(np.diff(slope, append=slope[-1])) > 0.4
    steps = np.abs(np.diff(value, append=value[-1])) > 0.4
    ax.plot(t, np.where(steps, np.nan, value), color=BLUE)
    ax.plot(t, np.where(jumps, np.nan, slope), color=RED, linestyle="--")


def _finish_map(ax: Axes, drawn: AxesImage, keypoint: Keypoint, **grid: str) -> None:
    """The scale of a map of derivatives, and the grid of the descriptor on top."""
    bar = ax.figure.colorbar(drawn, ax=ax, shrink=0.75, label="1 / уровень серого")
    bar.formatter.set_powerlimits((0, 0))
    draw_grid(ax, *on_photo(keypoint), **grid)
    _pixel_axes(ax)


def _pixel_axes(ax: Axes) -> None:
    ax.set(xlabel="столбец, пиксели", ylabel="строка, пиксели")
    ax.grid(visible=False)


def _short(value: float) -> str:
    if np.isnan(value):
        return "NaN"
    digits = 0 if abs(value) >= 100 or abs(value - round(value)) < 1e-6 else 3
    return text.number(value, digits)
