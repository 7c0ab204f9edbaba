"""Figures of the chapter on vanishing gradients, from the tables of its experiment.

Rows of the tables name their network by ``depth``, ``skip``, ``batch_norm``, ``init``,
``activation`` and ``seed``; a function draws one curve from the rows that it is given, so choose
them with :func:`chosen`. A plain network is red and dashed, a residual one blue and solid
everywhere. Norms are averaged over seeds geometrically, and their intervals are Student's for the
logarithms; what is 0 or not finite is left out.
"""

from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pixgrad.plots import text
from pixgrad.plots.style import BLUE, RED, decimal_commas, draw_band, percent_ticks
from pixgrad.results.statistics import student_interval

RUN = ("depth", "skip", "batch_norm", "init", "activation", "seed")
LINES = {
    False: {"color": RED, "linestyle": "--", "label": "без пропускных связей"},
    True: {"color": BLUE, "linestyle": "-", "label": "с пропускными связями"},
}
"""Look and name of the curve of a network by its ``skip``."""
INIT = {"default": "PyTorch", "he": "Хе"}


def chosen(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Rows whose columns have these values: ``chosen(start, depth=20, skip=True)``."""
    keep = np.logical_and.reduce([table[column] == value for column, value in values.items()])
    return table[keep]


def norm_by_depth(ax: Axes, table: pd.DataFrame, value: str, **line) -> None:
    """A norm in every layer: geometric mean over seeds, its 95 % interval as a band.

    Parameters
    ----------
    table : rows of one network and epoch: ``layer``, 1 at the input, and ``value``.
    line : of the curve: ``**LINES[skip]`` or its label, color and linestyle.
    """
    _band(ax, table, "layer", value, log=True, **line)
    ax.set_xlabel("номер слоя от входа")
    ax.set_xlim(left=0.5, auto=True)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def layer_epoch_heat_map(
    ax: Axes,
    table: pd.DataFrame,
    value: str,
    limits: tuple[float, float] | None = None,
) -> AxesImage:
    """Epochs to the right, layers upwards from the input; the colour is the decimal logarithm.

    Parameters
    ----------
    table : rows of one network: ``epoch``, ``layer`` and ``value``; geometric mean over the rest.
        Where there is none the map is hatched.
    limits : of the colours, as logarithms; those of the table by default.

    Returns
    -------
    The picture, for :func:`power_bar`.
    """
    logs = _finite_log(table[value]) / np.log(10)
    mean = logs.groupby([table["layer"], table["epoch"]]).mean().unstack()
    mean = mean.reindex(
        index=range(1, mean.index.max() + 1),
        columns=range(mean.columns.min(), mean.columns.max() + 1),
    )
    low, high = limits or (mean.min(axis=None), mean.max(axis=None))
    ax.patch.set(hatch="////", edgecolor="#999999", facecolor="#eeeeee")
    ax.grid(False)
    ax.set(xlabel="эпоха", ylabel="номер слоя от входа")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    epochs = mean.columns
    return ax.imshow(
        mean.to_numpy(),
        cmap="cividis",
        vmin=low,
        vmax=high,
        origin="lower",
        aspect="auto",
        extent=(epochs[0] - 0.5, epochs[-1] + 0.5, 0.5, len(mean) + 0.5),
    )


def power_bar(figure: Figure, image: AxesImage, axes: Sequence[Axes], label: str) -> Colorbar:
    """The scale of heat maps in powers of ten."""
    bar = figure.colorbar(image, ax=axes, label=label)
    bar.ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda power, _: f"$10^{{{power:.0f}}}$"))
    return bar


def early_late_ratio(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """How much larger a norm is in the first third of the layers than in the last third.

    Parameters
    ----------
    table : with ``layer`` and ``value`` for each run, and epoch if there are several.

    Returns
    -------
    A row a run and epoch: what names them and ``ratio`` of the geometric means of the two thirds;
    below 1 the gradient fades towards the input. Missing if a third has no finite norm.
    """
    keys = [column for column in (*RUN, "epoch") if column in table]
    groups = [table[column] for column in keys]
    depth = table.groupby(keys)["layer"].transform("max")
    logs = _finite_log(table[value])
    early = logs.where(table["layer"] <= depth / 3).groupby(groups).mean()
    late = logs.where(table["layer"] > 2 * depth / 3).groupby(groups).mean()
    return np.exp(early - late).rename("ratio").reset_index()


def log_ratios(table: pd.DataFrame) -> pd.Series:
    """Natural logarithm of early over late gradients by seed, of one network at one epoch."""
    return np.log(early_late_ratio(table, "grad_norm").set_index("seed")["ratio"])


def ratio_curve(ax: Axes, ratios: pd.DataFrame, x: str, **line) -> None:
    """Ratios of early to late layers by ``x`` ("epoch" or "depth"), with 1 marked.

    Parameters
    ----------
    ratios : of :func:`early_late_ratio`, the rows of one curve.
    """
    ax.axhline(1, color="#444444", linewidth=0.8, zorder=1)
    _band(ax, ratios, x, "ratio", log=True, marker="o", **line)
    ax.set(
        xlabel={"epoch": "эпоха", "depth": "слоёв в сети"}[x],
        ylabel="первая треть / последняя",
        xticks=sorted(ratios[x].unique()),
    )


def factorial_grid(table: pd.DataFrame, value: str, ylabel: str) -> Figure:
    """A panel for each depth, normalisation and initialisation, with both kinds of networks.

    Parameters
    ----------
    table : of all networks at one epoch, with one activation.
    """
    depths = sorted(table["depth"].unique())
    pairs = table[["batch_norm", "init"]].drop_duplicates().sort_values(["batch_norm", "init"])

    def draw(ax: Axes, line: dict, **cell) -> None:
        norm_by_depth(ax, chosen(table, **cell), value, **line)

    rows = [[(depth, *pair) for depth in depths] for pair in pairs.itertuples(index=False)]
    return _grid(rows, draw, ylabel, sharey="row")


def training_grid(
    epochs: pd.DataFrame, runs: pd.DataFrame, value: str, ylabel: str, columns: int = 3
) -> Figure:
    """Training curves of all networks, a panel for each pair that differs in the skips alone.

    Parameters
    ----------
    epochs, runs : as for :func:`training_curve`, of all networks, with one activation.
    """
    cells = list(
        runs[["depth", "batch_norm", "init"]].drop_duplicates().itertuples(index=False, name=None)
    )

    def draw(ax: Axes, line: dict, **cell) -> None:
        training_curve(ax, chosen(epochs, **cell), chosen(runs, **cell), value, **line)

    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    return _grid(rows, draw, ylabel, sharey="all")


def training_curve(ax: Axes, epochs: pd.DataFrame, runs: pd.DataFrame, value: str, **line) -> None:
    """A measure by epoch: mean and 95 % interval of the finished runs; crosses end the others.

    Parameters
    ----------
    epochs : rows of one network: ``seed``, ``epoch`` and ``value``.
    runs : its runs: ``seed`` and ``status``, "done" or "diverged". A run that diverged before the
        end of its first epoch has its cross at the top of the axes.
    """
    done = runs.loc[runs["status"] == "done", "seed"]
    lost = runs.loc[runs["status"] == "diverged", "seed"]
    _band(ax, epochs[epochs["seed"].isin(done)], "epoch", value, log=False, **line)
    cross = {"color": line["color"], "marker": "x", "markersize": 8, "markeredgewidth": 2}
    for seed in lost:
        rows = epochs[(epochs["seed"] == seed) & np.isfinite(epochs[value])].sort_values("epoch")
        if len(rows):
            ax.plot(rows["epoch"], rows[value], color=line["color"], linewidth=0.8, zorder=2)
            ax.plot(rows["epoch"].iloc[-1], rows[value].iloc[-1], **cross)
        else:
            ax.plot(1, 0.93, transform=ax.get_xaxis_transform(), **cross)
    if len(lost):
        note = f"разошлось {len(lost)} из {len(runs)}"
        ax.annotate(note, (0.97, 0.93), xycoords="axes fraction", ha="right", va="center",
                    color=line["color"], fontsize=8)  # fmt: skip
    ax.set_xlabel("эпоха")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def correlation_curve(ax: Axes, table: pd.DataFrame, **line) -> None:
    """Correlation of gradients by the angle between the inputs: mean over seeds, 95 % interval.

    Parameters
    ----------
    table : rows of one network: ``angle`` in radians and ``correlation``, see
        :func:`pixgrad.training.shattering.gradient_correlation`.
    """
    _band(ax, table.assign(degrees=np.degrees(table["angle"])), "degrees", "correlation", **line)
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda angle, _: f"{angle:g}°".replace(".", ",")))
    ax.set(xlabel="угол между изображениями", ylabel="корреляция градиентов")
    decimal_commas(ax)


def path_curve(ax: Axes, table: pd.DataFrame, **line) -> None:
    """Share of the gradient by path length: mean over seeds, 95 % interval.

    Parameters
    ----------
    table : rows of one network: ``blocks`` and ``share``, see
        :func:`pixgrad.training.paths.gradient_by_path_length`.
    """
    _band(ax, table, "blocks", "share", marker="o", markersize=3, **line)
    percent_ticks(ax.yaxis)
    ax.set(xlabel="через сколько блоков идёт путь", ylabel="доля суммы норм")


def path_counts(ax: Axes, table: pd.DataFrame) -> None:
    """Bars behind the curves: what share of all paths has each length.

    Parameters
    ----------
    table : ``blocks`` and ``paths`` of one network.
    """
    counts = table.drop_duplicates("blocks")
    share = counts["paths"] / counts["paths"].sum()
    ax.bar(counts["blocks"], share, width=1, color="#d9d9d9", zorder=0.5, label="доля путей")


def _band(ax: Axes, table: pd.DataFrame, x: str, value: str, log: bool = False, **line) -> None:
    """Mean of the rows at each x, geometric with ``log``, and its Student interval as a band."""
    values = _finite_log(table[value]) if log else table[value].where(np.isfinite(table[value]))
    groups = values.groupby(table[x])
    at = np.array(list(groups.groups))
    curves = np.array([_mean_low_high(group.dropna()) for _, group in groups]).reshape(-1, 3).T
    draw_band(ax, at, *(np.exp(curves) if log else curves), **line)
    if log:
        ax.set_yscale("log")


def _mean_low_high(values: pd.Series) -> tuple[float, float, float]:
    """A single value has no interval; none has no mean."""
    if len(values) < 2:
        return (values.mean(),) * 3
    return student_interval(values)


def _finite_log(values: pd.Series) -> pd.Series:
    """Natural logarithm of positive finite values, missing for all others."""
    values = values.astype(float)
    return np.log(values.where((values > 0) & np.isfinite(values)))


def _grid(
    rows: Sequence[Sequence[tuple[int, bool, str]]],
    draw: Callable[..., None],
    ylabel: str,
    sharey: str,
) -> Figure:
    """A panel a (depth, batch_norm, init) with a plain and a residual network, one legend for all.

    Parameters
    ----------
    draw : (ax, look of the line, depth=…, batch_norm=…, init=…, skip=…) draws one network.
    sharey : "row" or "all".
    """
    columns = max(map(len, rows))
    size = (2 * columns + 0.5, 2 * len(rows) + 0.5)
    fig, axes = plt.subplots(len(rows), columns, figsize=size, squeeze=False, sharey=sharey)
    for row, column in np.ndindex(axes.shape):
        ax = axes[row, column]
        if column >= len(rows[row]):
            ax.axis("off")
            continue
        depth, batch_norm, init = rows[row][column]
        for skip, line in LINES.items():
            draw(ax, line, depth=depth, batch_norm=batch_norm, init=init, skip=skip)
        decimal_commas(ax)
        layers = text.plural(depth, "слой", "слоя", "слоёв")
        normalisation = "нормализация" if batch_norm else "без нормализации"
        ax.set_title(f"{layers}, {normalisation},\n{INIT[init]}", fontsize=8)
        if row + 1 < len(rows) and column < len(rows[row + 1]):
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
    fig.supylabel(ylabel, fontsize=9.5)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return fig
