"""Figures of the experiment on pooling."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pixgrad.plots.style import BLUE, GREEN, PICTURE, PURPLE, RED, draw_band
from pixgrad.results.statistics import student_interval

LOOKS = {
    "max": {"color": BLUE, "marker": "o", "linestyle": "-"},
    "average": {"color": GREEN, "marker": "s", "linestyle": "--"},
    "stride": {"color": RED, "marker": "^", "linestyle": "-."},
    "blur": {"color": PURPLE, "marker": "D", "linestyle": ":"},
}
"""Of the twins, the same in all figures."""


def answers_by(
    ax: Axes, table: pd.DataFrame, x: str, column: str, names: Mapping[str, str]
) -> None:
    """A share in per cent over shifts or scales: the mean over seeds and Student's interval.

    Parameters
    ----------
    table : columns ``network``, ``seed``, ``x`` and ``column``.
    names : network -> its name in the book.
    """
    for network, name in names.items():
        by_x = table[table["network"] == network].groupby(x)[column]
        found = [student_interval(100 * values) for _, values in by_x]
        curve = np.array(found).T
        places = np.array(sorted(by_x.groups))
        draw_band(ax, places, *curve, label=name, markersize=4, **LOOKS[network])


def layers(axes: Sequence[Axes], table: pd.DataFrame, names: Mapping[str, str]) -> None:
    """Residuals of odd shifts by layer: how far each layer is from moving, and from standing still.

    Parameters
    ----------
    axes : for ``moved`` and for ``still``.
    table : ``layers`` of the results; the mean over odd shifts and seeds is drawn.
    """
    odd = table[table["shift"] % 2 == 1]
    order = [f"{kind}{stage}" for stage in (1, 2, 3) for kind in ("relu", "halved")] + ["mean"]
    words = [f"{kind} {stage}" for stage in (1, 2, 3) for kind in ("свёртка", "карта")]
    for ax, column in zip(axes, ("moved", "still"), strict=True):
        shown = order if column == "still" else order[:-1]
        for network, name in names.items():
            mean = odd[odd["network"] == network].groupby("layer")[column].mean()
            ax.plot(range(len(shown)), mean[shown], label=name, **LOOKS[network])
        labels = [*words, "среднее"][: len(shown)]
        ax.set_xticks(range(len(shown)), labels, rotation=40, ha="right")
        ax.set_ylim(bottom=0)


def sizes(
    ax: Axes, summary: pd.DataFrame, kinds: Mapping[str, tuple[str, str, Sequence[str]]]
) -> None:
    """Test accuracy in per cent over the number of weights, with Student's intervals.

    Parameters
    ----------
    summary : a row a run.
    kinds : label -> colour, marker and the networks that belong to it.
    """
    for label, (color, marker, chosen) in kinds.items():
        rows = []
        for count, runs in summary[summary["network"].isin(chosen)].groupby("parameters"):
            found = student_interval(100 * runs["test_accuracy"])
            rows.append((count, found.estimate, found.high - found.estimate))
        x, y, half = np.array(rows).T
        ax.errorbar(x, y, half, color=color, marker=marker, capsize=3, label=label)
    ax.set(xscale="log", xlabel="весов", ylabel="верных ответов на тесте, %")


def colour_kernels(kernels: np.ndarray, columns: int) -> Figure:
    """Kernels as small pictures: grey is zero, one scale for all.

    Parameters
    ----------
    kernels : (O, 3, K, K).
    """
    rows = -(-len(kernels) // columns)
    fig, axes = plt.subplots(
        rows, columns, figsize=(0.72 * columns, 0.78 * rows), squeeze=False, subplot_kw=PICTURE
    )
    for ax, kernel in zip(axes.flat, kernels, strict=False):
        ax.imshow(np.clip(0.5 + kernel.transpose(1, 2, 0) / (2 * np.abs(kernels).max()), 0, 1))
    return fig
