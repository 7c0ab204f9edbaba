"""Figures of the chapters on backpropagation."""

from collections.abc import Mapping, Sequence

import numpy as np
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from scipy import stats

from pixgrad.backprop import BatchNorm2d
from pixgrad.backprop.batchnorm_steps import Steps
from pixgrad.backprop.compare import GradientCheck
from pixgrad.backprop.trajectories import Landscape
from pixgrad.plots import text
from pixgrad.plots.style import BLUE, RED, draw_band

_SIDE = {"input": "вход", "weight": "веса", "bias": "смещение"}


def computational_graph(
    ax: Axes,
    places: Mapping[str, tuple[float, float]],
    edges: Sequence[tuple[str, str]],
    values: Mapping[str, float | np.ndarray],
    gradients: Mapping[str, float | np.ndarray],
    titles: Mapping[str, str],
    arriving: Mapping[tuple[str, str], float | np.ndarray] | None = None,
    half_width: float = 0.46,
) -> None:
    """Draw a computational graph: in each node its value, below it ∂L/∂node.

    Parameters
    ----------
    places : node -> centre in axes of unit boxes.
    edges : (from, to), the direction of the forward pass; the gradient runs against it.
    values, gradients : node -> number or vector.
    titles : node -> formula in mathtext.
    arriving : edge -> what the gradient that comes back along it is, written on the edge.
    half_width : of a box.
    """
    half_height = 0.42
    for name, (x, y) in places.items():
        ax.add_patch(
            FancyBboxPatch(
                (x - half_width, y - half_height),
                2 * half_width,
                2 * half_height,
                boxstyle="round,pad=0.02,rounding_size=0.1",
                facecolor="white",
                edgecolor="#57606a",
            )
        )
        for height, label, look in (
            (0.24, titles[name], {"fontsize": 11, "color": "#1f2328"}),
            (0, _short(values[name]), {"color": BLUE}),
            (-0.25, _short(gradients[name]), {"color": RED}),
        ):
            ax.text(x, y + height, label, ha="center", va="center", **look)
    for start, end in edges:
        (x0, y0), (x1, y1) = places[start], places[end]
        if x1 - x0 > 2 * half_width + 0.2:  # from side to side
            ends = (x0 + half_width + 0.03, y0), (x1 - half_width - 0.03, y1)
        else:  # from above to below or back, near the corners
            side, up = 0.6 * half_width, np.sign(y1 - y0) * (half_height + 0.03)
            ends = (x0 + side, y0 + up), (x1 - side, y1 - up)
        look = {"arrowstyle": "-|>", "mutation_scale": 12, "color": "#57606a"}
        ax.add_patch(FancyArrowPatch(*ends, **look))
        if arriving and (start, end) in arriving:
            label = _short(arriving[start, end])
            ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}
            look = {"ha": "center", "va": "center", "fontsize": 8.5, "bbox": ground}
            ax.text(*np.mean(ends, axis=0), label, color=RED, **look)
    columns, rows = np.array(list(places.values())).T
    ax.set(
        xlim=(columns.min() - half_width - 0.14, columns.max() + half_width + 0.14),
        ylim=(rows.min() - 0.6, rows.max() + 0.6),
        aspect="equal",
    )
    ax.axis("off")


def _short(value: float | np.ndarray) -> str:
    if np.ndim(value):
        return "(" + "; ".join(map(_short, value)) + ")"
    digits = next(count for count in range(4) if count == 3 or round(float(value), count) == value)
    return text.number(value, digits)


def batchnorm_graph(ax: Axes, steps: Steps) -> None:
    """The graph of batch normalisation: two forks, and what comes back along their arrows."""
    titles = {
        "x": "$x$",
        "mean": r"$\mu$",
        "centred": r"$\Delta x = x - \mu$",
        "variance": r"$\sigma^2$",
        "inv_std": r"$1/\sigma$",
        "normalised": r"$\hat x = \Delta x / \sigma$",
        "weight": r"$\gamma$",
        "bias": r"$\beta$",
        "y": r"$y = \gamma \hat x + \beta$",
    }
    places = {
        "x": (0, 1.4),
        "mean": (1.2, 0),
        "centred": (2.4, 1.4),
        "variance": (3.6, 0),
        "inv_std": (5.1, 0),
        "normalised": (6.3, 1.4),
        "weight": (7.15, 0),
        "bias": (8.6, 0),
        "y": (8.5, 1.4),
    }
    edges = [edge for edge in steps.arriving if edge != ("y", "L")]
    computational_graph(
        ax,
        places,
        edges,
        steps.values,
        {name: steps.gradient(name) for name in places},
        titles,
        {edge: of for edge, of in steps.arriving.items() if edge[0] in ("x", "centred")},
        half_width=0.6,
    )


def norms_by_layer(
    ax: Axes, norms: Mapping[str, np.ndarray], colors: Mapping[str, str], ylabel: str
) -> None:
    """Lines of the geometric mean over seeds with a band from the smallest to the largest.

    Parameters
    ----------
    norms : label -> (seeds, depth).
    colors : label -> colour.
    """
    for label, values in norms.items():
        layers = np.arange(1, values.shape[1] + 1)
        curve = stats.gmean(values), values.min(axis=0), values.max(axis=0)
        look = {"color": colors[label], "marker": "o", "markersize": 3.5}
        draw_band(ax, layers, *curve, label=label, **look)
    ax.set(yscale="log", xlabel="номер слоя от входа", ylabel=ylabel, xticks=layers)


def comparison_table(rows: Sequence[GradientCheck]) -> Markdown:
    """One row a hand-written gradient: its differences, as bounds where they are rounding."""
    return text.table(
        ("слой", "градиент по", "разница с PyTorch", "с разностями"),
        [
            (
                row.layer,
                _SIDE[row.gradient],
                text.bound(row.torch_difference, -12),
                text.bound(row.finite_difference, -8),
            )
            for row in rows
        ],
    )


def descent_paths(
    ax: Axes,
    landscape: Landscape,
    paths: Mapping[str, np.ndarray],
    colors: Mapping[str, str],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
) -> None:
    """Level lines (logarithmic) of a landscape with paths of optimisers over them.

    Parameters
    ----------
    paths : label -> (steps + 1, 2).
    colors : label -> colour.
    """
    x, y = np.meshgrid(np.linspace(*x_range, 240), np.linspace(*y_range, 240))
    heights = np.log10(landscape.value(np.stack([x, y])) + 1e-4)
    levels = heights.round(9)  # the last bit of a logarithm is each processor's own
    ax.contour(x, y, levels, levels=12, colors="#b5bac2", linewidths=0.7, linestyles="solid")
    for (label, path), marker in zip(paths.items(), "osD^v", strict=False):
        every = max(1, len(path) // 12)
        ax.plot(*path.T, color=colors[label], marker=marker, markevery=every, label=label)
    ax.plot(*landscape.minimum, marker="*", markersize=12, color="black", linestyle="none")
    ax.set(xlim=x_range, ylim=y_range, xlabel="$w_1$", ylabel="$w_2$")


def matrix(ax: Axes, values: np.ndarray, title: str) -> None:
    """A small matrix with its numbers written in the cells; zeros are left empty."""
    ax.imshow(values, cmap="Blues", vmin=0, vmax=1.3 * max(1.0, float(values.max())))
    for (row, column), value in np.ndenumerate(values):
        if value:
            ax.text(column, row, text.number(value), ha="center", va="center")
    ax.set_title(title)
    ax.set_xticks(np.arange(values.shape[1] + 1) - 0.5, labels=[])
    ax.set_yticks(np.arange(values.shape[0] + 1) - 0.5, labels=[])
    ax.tick_params(length=0)


def batchnorm_cosines(axes: Sequence[Axes], batches: int, seed: int = 0) -> None:
    """Angles of the gradient before and after batch normalisation with what it removes.

    For each random batch of one channel, 4 × 5 × 5 numbers: the cosines of dy and of dx with the
    constant direction (left axes) and with the normalised input (right axes).
    """
    rng = np.random.default_rng(seed)
    found = np.array([_batch_cosines(rng) for _ in range(batches)])  # (batches, dy/dx, direction)
    for place, (ax, title) in enumerate(
        zip(axes, ("постоянное направление", r"направление $\hat x$"), strict=True)
    ):
        for number, (name, color) in enumerate((("$dy$", RED), ("$dx$", BLUE))):
            spread = number + rng.uniform(-0.25, 0.25, batches)
            ax.plot(found[:, number, place], spread, ".", color=color, markersize=3)
            ax.text(-1.05, number, name, va="center", ha="right", color=color)
        ax.set(title=title, xlim=(-1, 1), yticks=[], xlabel="косинус угла")


def _batch_cosines(rng: np.random.Generator) -> list[list[float]]:
    layer = BatchNorm2d(1, dtype=np.float64)
    x = rng.gamma(2.0, 1.0, (4, 1, 5, 5))
    normalised = layer.forward(x)
    dy = rng.standard_normal() + rng.standard_normal() * normalised + rng.standard_normal(x.shape)
    dx = layer.backward(dy)
    return [
        [
            float(np.sum(g * d) / np.linalg.norm(g) / np.linalg.norm(d))
            for d in (np.ones_like(x), normalised)
        ]
        for g in (dy, dx)
    ]
