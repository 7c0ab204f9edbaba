"""Learning rates as short runs chose them: the curves of the choice and words about it.

Rows of the table ``sweep`` of an experiment that trains: a short run each, with its ``rate``, its
``status``, how it ended and whether its rate was ``chosen``.
"""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from pixgrad.plots.gradients import chosen

Arms = Mapping[str, Mapping[str, object]]
"""Name of an arm in the book -> the values of the columns that tell its rows."""


class Choice(NamedTuple):
    """The rate of an arm.

    Attributes
    ----------
    rate : chosen.
    on_edge : it is the smallest or the largest of the grid.
    learned : at some rate all short runs came to an end.
    """

    rate: float
    on_edge: bool
    learned: bool


def as_text(rate: float) -> str:
    """As few digits as it has: ``0,003``."""
    return f"{rate:g}".replace(".", ",")


def choices(sweep: pd.DataFrame, arms: Arms) -> dict[str, Choice]:
    """What each arm has chosen, by its name."""
    found = {}
    for name, columns in arms.items():
        mine = chosen(sweep, **columns)
        (rate,) = mine.loc[mine["chosen"], "rate"].unique()
        ended = (mine["status"] == "done").groupby(mine["rate"]).all()
        on_edge = rate in (mine["rate"].min(), mine["rate"].max())
        found[name] = Choice(float(rate), bool(on_edge), bool(ended.any()))
    return found


def told(sweep: pd.DataFrame, arms: Arms) -> str:
    """The chosen rates, and which of them stand on the edge of their grid."""
    found = choices(sweep, arms)
    rates = "; ".join(f"{name} — {as_text(one.rate)}" for name, one in found.items())
    edge = [name for name, one in found.items() if one.on_edge and one.learned]
    lost = [name for name, one in found.items() if not one.learned]
    return f"Выбраны скорости: {rates}." + (
        (f" На краю сетки: {', '.join(edge)}; лучшая скорость может лежать за ним." if edge else "")
        + (f" На всех скоростях расходились: {', '.join(lost)}." if lost else "")
        + ("" if edge or lost else " Краёв сетки среди них нет.")
    )


def curve(ax: Axes, runs: pd.DataFrame, value: str, **line) -> None:
    """How the short runs of an arm ended, by rate: means, and segments to the extremes.

    A ring is round the chosen rate; a rate at which some run diverged leaves a gap.

    Parameters
    ----------
    runs : rows of one arm.
    line : color, marker, label and what else ``Axes.plot`` takes.
    """
    by_rate = runs.groupby("rate")[value]
    means = by_rate.apply(lambda of: of.mean(skipna=False))
    ax.plot(means.index, means, **{"markersize": 4} | line)
    best = runs.loc[runs["chosen"], "rate"].unique()
    ring = {"markersize": 11, "fillstyle": "none", "linestyle": "none", "label": None}
    ax.plot(best, means[best], **line | ring)
    ax.vlines(means.index, by_rate.min(), by_rate.max(), color=line["color"], linewidth=0.9)


def axis(ax: Axes, sweep: pd.DataFrame) -> None:
    """A logarithmic axis with all rates of the grids as its ticks."""
    rates = sorted(sweep["rate"].unique())
    ax.set_xscale("log")
    ax.set_xticks(rates, [as_text(rate) for rate in rates])
    ax.set_xticks([], minor=True)
    ax.set_xlabel("скорость обучения")
