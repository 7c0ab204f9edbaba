"""Figures and tables of the experiment ``sigmoid_depth``."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from IPython.display import Markdown
from matplotlib.axes import Axes
from scipy import stats

from pixgrad.plots import networks, text
from pixgrad.plots.style import BLUE, GREEN, ORANGE, PURPLE, RED, draw_band
from pixgrad.results.statistics import Interval, student_interval

NETS: Mapping[tuple[str, str], tuple[str, str, str]] = {
    ("sigmoid", "default"): ("сигмоида, PyTorch", RED, "-"),
    ("sigmoid", "glorot"): ("сигмоида, Глоро", ORANGE, "-."),
    ("sigmoid", "glorot-x4"): ("сигмоида, вчетверо больше Глоро", GREEN, "--"),
    ("sigmoid", "kept"): ("сигмоида, $n\\,$Var$\\,w$ = 100", PURPLE, ":"),
    ("relu", "he"): ("ReLU, Хе", BLUE, "-"),
}
"""Activation and initial weights -> name, colour and dash."""
METHODS = {
    ("sgd", 1e-8): "SGD",
    ("adam", 1e-8): "Adam, ε = 10⁻⁸",
    ("adam", 1e-20): "Adam, ε = 10⁻²⁰",
}
"""Optimiser and ε -> name; SGD has no ε."""
LEARNS, MOVES = 0.5, 0.12
"""Test accuracies that the lower end of an arm's interval must exceed (see the protocol)."""


def arms(table: pd.DataFrame) -> dict[tuple[tuple[str, str], tuple[str, float]], pd.DataFrame]:
    """(network, method) -> its rows of the main runs, in the order of ``NETS`` and ``METHODS``."""
    if "stage" in table:
        table = table[table["stage"] == "main"]
    table = table.assign(eps=np.where(table["eps"] < 1e-15, 1e-20, 1e-8))  # may be float32
    rows = dict(iter(table.groupby(["activation", "init", "optimiser", "eps"])))
    return {
        (net, method): rows[net + method]
        for net in NETS
        for method in METHODS
        if net + method in rows
    }


def learning_curves(axes: Sequence[Axes], epochs: pd.DataFrame) -> None:
    """Validation accuracy by epoch; a panel a method."""
    for (net, method), rows in arms(epochs).items():
        ax = axes[list(METHODS).index(method)]
        name, color, dash = NETS[net]
        percent = rows.assign(percent=100 * rows["validation_accuracy"])
        networks.epoch_band(ax, percent, "percent", name, color, linestyle=dash)
        ax.set(title=METHODS[method], ylim=(0, 100), xticks=sorted(rows["epoch"].unique())[::2])
    axes[0].set_ylabel("доля верных на проверке, %")


def first_epoch(axes: Sequence[Axes], gradients: pd.DataFrame) -> None:
    """Of the first epoch, by layer: root mean square of ∂L/∂W, and the length of the steps.

    Left the gradients of all networks under SGD, with Adam's usual ε; right the steps of Adam, over
    the learning rate and the norm of the weights, with both ε where both were tried.
    """
    compared = arms(gradients[gradients["epoch"] == 1])
    for (net, method), rows in compared.items():
        name, color, dash = NETS[net]
        if method[0] == "sgd":
            _by_layer(axes[0], rows, "grad_rms", name, color, dash)
        elif (net, ("adam", 1e-20)) in compared:
            dash = "-" if method[1] == 1e-8 else ":"
            steps = rows.assign(step=rows["update_ratio"] / rows["rate"])
            _by_layer(axes[1], steps, "step", f"{name}; {METHODS[method]}", color, dash)
    axes[0].axhline(1e-8, color="black", linewidth=0.8)
    axes[0].text(12, 1.3e-8, "ε = 10⁻⁸", ha="right", va="bottom")
    axes[0].set(ylabel="средний квадратичный градиент веса")
    axes[1].set(ylabel="шаг / (скорость · норма весов)")


def _by_layer(ax: Axes, rows: pd.DataFrame, column: str, name: str, color: str, dash: str) -> None:
    of = rows.astype({column: float}).groupby("layer")[column]
    curve = of.apply(stats.gmean), of.min(), of.max()
    draw_band(ax, curve[0].index, *curve, color=color, label=name, linestyle=dash)
    ax.set(yscale="log", xlabel="номер слоя от входа", xticks=curve[0].index)


def accuracy(rows: pd.DataFrame) -> Interval:
    """Test accuracy of an arm with its Student interval."""
    return student_interval(rows["test_accuracy"])


def verdict(rows: pd.DataFrame) -> str:
    """What the protocol says of an arm: "learns", "moves" or "stays".

    And "mixed" where the interval says "moves" or "stays", because the runs are far apart, and one
    of them has learned.
    """
    low = accuracy(rows).low
    if low > LEARNS:
        return "learns"
    if rows["test_accuracy"].max() > LEARNS:
        return "mixed"
    return "moves" if low > MOVES else "stays"


def result_table(summary: pd.DataFrame) -> Markdown:
    """A row a network and method: the chosen rate, test accuracy, worst to best, the verdict."""
    told = {
        "learns": "учится",
        "mixed": "по-разному",
        "moves": "сдвинулась",
        "stays": "не учится",
    }
    rows = []
    for (net, method), of in arms(summary).items():
        percents = 100 * of["test_accuracy"]
        rows.append(
            [
                NETS[net][0],
                METHODS[method],
                f"{of['rate'].iloc[0]:g}".replace(".", ",").replace("e-0", "e-"),
                text.number(percents.mean(), 1),
                text.interval(percents.min(), percents.max(), 1),
                told[verdict(of)],
            ]
        )
    header = ["сеть", "метод", "скорость", "верных, %", "от худшего до лучшего", "вывод"]
    return text.table(header, rows, widths=[5, 3, -2, -2, -4, 3])
