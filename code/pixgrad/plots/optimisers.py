"""Figures and tables that set Adam against AdaMax, from the tables of their experiment.

Rows of the tables name the method by ``optimiser``, "adam" or "adamax". Adam is blue, solid and
round, AdaMax red, dashed and square everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes

from pixgrad.plots import text
from pixgrad.plots.style import BLUE, VERMILION
from pixgrad.results.statistics import verdict

if TYPE_CHECKING:
    import pandas as pd

NAMES = {"adam": "Adam", "adamax": "AdaMax"}
COLORS = {"adam": BLUE, "adamax": VERMILION}
DASHES = {"adam": "-", "adamax": "--"}
MARKERS = {"adam": "o", "adamax": "s"}
METRICS = {"accuracy": "верных ответов, %", "macro_f1": "macro F1"}


def line(optimiser: str, **changed: object) -> dict[str, object]:
    """Look and name of a method's curve, for ``Axes.plot``."""
    return {
        "label": NAMES[optimiser],
        "color": COLORS[optimiser],
        "linestyle": DASHES[optimiser],
    } | changed


def sensitivity(ax: Axes, sweep: pd.DataFrame, value: str, advised: Mapping[str, float]) -> None:
    """How the short runs ended, by their learning rate.

    A ring is round the chosen rate, an upright line stands at the advised one; a run that diverged
    leaves a gap.

    Parameters
    ----------
    sweep : a row a run: ``optimiser``, ``rate``, ``chosen`` and ``value``.
    advised : learning rate by method.
    """
    for optimiser in NAMES:
        mine = sweep[sweep["optimiser"] == optimiser].sort_values("rate")
        marker = MARKERS[optimiser]
        ax.plot(mine["rate"], mine[value], marker=marker, **line(optimiser, markersize=4))
        best = mine[mine["chosen"]]
        ring = {"markersize": 11, "fillstyle": "none", "color": COLORS[optimiser]}
        ax.plot(best["rate"], best[value], marker=marker, linestyle="none", **ring)
        ax.axvline(advised[optimiser], color=COLORS[optimiser], linewidth=0.9, linestyle=":")
    rates = sorted(sweep["rate"].unique())
    ax.set_xscale("log")
    ax.set_xticks(rates, [f"{rate:g}".replace(".", ",") for rate in rates])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("скорость обучения α")


def paired_runs(ax: Axes, summary: pd.DataFrame, value: str) -> None:
    """Both methods by seed, joined: what the paired comparison subtracts.

    Parameters
    ----------
    summary : a row a run: ``optimiser``, ``seed`` and ``value``.
    """
    by_seed = summary.pivot(index="seed", columns="optimiser", values=value)
    ax.vlines(by_seed.index, by_seed.min(axis=1), by_seed.max(axis=1), color="#8c939c", zorder=1)
    for optimiser, name in NAMES.items():
        look = {"color": COLORS[optimiser], "marker": MARKERS[optimiser]}
        ax.scatter(by_seed.index, by_seed[optimiser], s=28, label=name, zorder=2, **look)
    ax.set_xticks(by_seed.index)
    ax.set_xlabel("зерно")


def test_table(summary: pd.DataFrame, comparison: pd.DataFrame):
    """A column a method: its rate, accuracies and macro F1 with both intervals.

    Parameters
    ----------
    summary, comparison : tables of the experiment.
    """
    columns = [_tested(summary, comparison, optimiser) for optimiser in NAMES]
    rows = [[heading, *(column[heading] for column in columns)] for heading in columns[0]]
    return text.table(["", *NAMES.values()], rows)


def _tested(summary: pd.DataFrame, comparison: pd.DataFrame, optimiser: str) -> dict[str, str]:
    runs = summary[summary["optimiser"] == optimiser]
    accuracy, macro = (_row(comparison, metric, optimiser, "images") for metric in METRICS)
    return {
        "скорость обучения": f"{runs['rate'].iloc[0]:g}".replace(".", ","),
        "запусков": str(len(runs)),
        "обучение, верных ответов, %": text.mean_interval(100 * runs["train_accuracy"], 1),
        "проверка, верных ответов, %": text.mean_interval(100 * runs["validation_accuracy"], 1),
        "тест, верных ответов, %, по зёрнам": text.mean_interval(100 * runs["test_accuracy"], 1),
        "верных ответов, %, по фотографиям": text.interval(
            100 * accuracy["low"], 100 * accuracy["high"], 1
        ),
        "тест, macro F1, по зёрнам": text.mean_interval(runs["test_macro_f1"], 3),
        "macro F1, по фотографиям": text.interval(macro["low"], macro["high"], 3),
        "macro F1 ответов наугад": text.number(macro["chance"], 3),
    }


def difference_table(comparison: pd.DataFrame):
    """Adam less AdaMax: estimate, both intervals, and the difference that would have been seen.

    Parameters
    ----------
    comparison : table of the experiment. Accuracies are shown in percentage points.
    """
    rows = []
    for metric, name in METRICS.items():
        scale, digits = (100, 1) if metric == "accuracy" else (1, 3)
        row = [name]
        for over in ("seeds", "images"):
            found = _row(comparison, metric, "difference", over)
            estimate, low, high = scale * found[["estimate", "low", "high"]].astype(float)
            if over == "seeds":
                row.append(text.number(estimate, digits))
                detectable = text.number(scale * found["detectable"], digits)
            # A dash between the ends would read as a minus.
            row.append(f"от {text.number(low, digits)} до {text.number(high, digits)}")
        rows.append([*row, detectable])
    header = ["Adam − AdaMax", "разность", "по зёрнам", "по фотографиям", "различимо"]
    return text.table(header, rows)


def winner(comparison: pd.DataFrame, metric: str, over: str = "seeds") -> str | None:
    """The method whose interval of the difference leaves zero out on its side; None — neither.

    Parameters
    ----------
    metric : a key of ``METRICS``.
    over : "seeds" or "images": which interval.
    """
    found = _row(comparison, metric, "difference", over)
    return {"holds": "adam", "opposite": "adamax", "not seen": None}[verdict(found)]


def quantiles(histogram: np.ndarray, edges: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Quantiles from shares of bins, each bin taken as evenly filled.

    Parameters
    ----------
    histogram : (…, B), sums to 1 over the bins.
    edges : (B + 1,).
    shares : (Q,), 0 … 1.

    Returns
    -------
    (…, Q), in the units of the edges.
    """
    below = np.cumsum(np.asarray(histogram, dtype=float), axis=-1)
    below = np.concatenate([np.zeros_like(below[..., :1]), below / below[..., -1:]], axis=-1)
    return np.apply_along_axis(lambda one: np.interp(shares, one, edges), -1, below)


def _row(comparison: pd.DataFrame, metric: str, of: str, over: str) -> pd.Series:
    keep = comparison["metric"].eq(metric) & comparison["of"].eq(of) & comparison["over"].eq(over)
    return comparison[keep].iloc[0]
