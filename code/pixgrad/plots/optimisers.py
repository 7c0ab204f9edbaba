"""Figures and tables that set Adam against AdaMax, from the tables of their experiment.

Rows of the tables name the method by ``optimiser``, "adam" or "adamax". Adam is blue, solid and
round, AdaMax red, dashed and square everywhere.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pixgrad.plots import learning_rates, networks, style, text
from pixgrad.plots.style import BLUE, GREY, RED
from pixgrad.results import statistics

NAMES = {"adam": "Adam", "adamax": "AdaMax"}
COLORS = {"adam": BLUE, "adamax": RED}
DASHES = {"adam": "-", "adamax": "--"}
MARKERS = {"adam": "o", "adamax": "s"}
METRICS = {"accuracy": "верных ответов, %", "macro_f1": "макро-F1"}
ADVISED = {"adam": 1e-3, "adamax": 2e-3}
"""Learning rates that Kingma and Ba (2015) advise."""
LOSSES = {
    "running_loss": "обучение, по ходу эпохи",
    "train_loss": "обучение, после эпохи",
    "validation_loss": "проверка, после эпохи",
}


def line(optimiser: str, **changed: object) -> dict[str, object]:
    """Look and name of a method's curve, for ``Axes.plot``."""
    return {
        "label": NAMES[optimiser],
        "color": COLORS[optimiser],
        "linestyle": DASHES[optimiser],
    } | changed


def learning_curves(axes: Sequence[Axes], epochs: pd.DataFrame, num_classes: int) -> None:
    """Losses and macro F1 of the main runs by epoch, after each epoch; a guesser's level in grey.

    Parameters
    ----------
    axes : two.
    epochs : a row an epoch of a run.
    """
    main = epochs[epochs["stage"] == "main"]
    for ax, value, guessed in zip(
        axes, ("loss", "macro_f1"), (np.log(num_classes), 1 / num_classes), strict=True
    ):
        for name, word in NAMES.items():
            mine = main[main["optimiser"] == name]
            for part, title, dash in (
                ("validation", "проверка", DASHES[name]),
                ("train", "обучение", ":"),
            ):
                label, column = f"{word}, {title}", f"{part}_{value}"
                networks.epoch_band(ax, mine, column, label, COLORS[name], linestyle=dash)
        ax.axhline(guessed, color=GREY, linewidth=0.9)
    style.loss_axis(axes[0])
    axes[0].set_ylabel("функция потерь")
    axes[1].set_ylabel("макро-F1")
    style.decimal_commas(axes[1])


def sensitivity(ax: Axes, sweep: pd.DataFrame, value: str, advised: Mapping[str, float]) -> None:
    """How the short runs ended, by their learning rate: means, and segments to the extremes.

    An upright line stands at the advised rate; see :func:`pixgrad.plots.learning_rates.curve`.

    Parameters
    ----------
    sweep : a row a run: ``optimiser``, ``rate``, ``chosen`` and ``value``.
    advised : learning rate by method.
    """
    for optimiser, color in COLORS.items():
        mine = sweep[sweep["optimiser"] == optimiser]
        learning_rates.curve(ax, mine, value, marker=MARKERS[optimiser], **line(optimiser))
        ax.axvline(advised[optimiser], color=color, linewidth=0.9, linestyle=":")
    learning_rates.axis(ax, sweep)


def paired_runs(ax: Axes, summary: pd.DataFrame, value: str) -> None:
    """Both methods by seed, joined: what the paired comparison subtracts.

    Parameters
    ----------
    summary : a row a run: ``optimiser``, ``seed`` and ``value``.
    """
    by_seed = summary.pivot(index="seed", columns="optimiser", values=value)
    ax.vlines(by_seed.index, by_seed.min(axis=1), by_seed.max(axis=1), color=GREY, zorder=1)
    for optimiser, name in NAMES.items():
        look = {"color": COLORS[optimiser], "marker": MARKERS[optimiser]}
        ax.scatter(by_seed.index, by_seed[optimiser], s=28, label=name, zorder=2, **look)
    ax.set(xticks=by_seed.index, xlabel="зерно")


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
        "скорость обучения": learning_rates.as_text(runs["rate"].iloc[0]),
        "запусков": str(len(runs)),
        "обучение, верных ответов, %": text.mean_interval(100 * runs["train_accuracy"], 1),
        "проверка, верных ответов, %": text.mean_interval(100 * runs["validation_accuracy"], 1),
        "тест, верных ответов, %, по зёрнам": text.mean_interval(100 * runs["test_accuracy"], 1),
        "верных ответов, %, по фотографиям": text.interval(
            100 * accuracy["low"], 100 * accuracy["high"], 1
        ),
        "тест, макро-F1, по зёрнам": text.mean_interval(runs["test_macro_f1"], 3),
        "макро-F1, по фотографиям": text.interval(macro["low"], macro["high"], 3),
        "макро-F1 ответов наугад": text.number(macro["chance"], 3),
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
    return {"holds": "adam", "opposite": "adamax", "not seen": None}[statistics.verdict(found)]


def verdict(comparison: pd.DataFrame, metric: str) -> str:
    """Who is better on the test, in a sentence or more: the interval over seeds decides.

    Parameters
    ----------
    comparison : table of the experiment.
    metric : a key of ``METRICS``.
    """
    name, scale, digits, unit = {
        "accuracy": ("доле верных ответов", 100, 1, f"{text.NBSP}п.{text.NBSP}п."),
        "macro_f1": ("макро-F1", 1, 3, ""),
    }[metric]
    seeds, images = (_row(comparison, metric, "difference", over) for over in ("seeds", "images"))
    ends = [
        " ".join(
            f"{word} {text.number(scale * row[end], digits)}"
            for word, end in (("от", "low"), ("до", "high"))
        )
        for row in (seeds, images)
    ]
    best, of_images = (winner(comparison, metric, over) for over in ("seeds", "images"))
    measured = (
        f"Adam − AdaMax = {text.number(scale * seeds['estimate'], digits)}{unit}, "
        f"95-процентный интервал по зёрнам {ends[0]}, по фотографиям {ends[1]}"
    )
    if best is not None:
        agrees = (
            "во втором тоже"
            if of_images == best
            else "но второй содержит нуль, и на других фотографиях ответ мог бы быть иным"
        )
        return f"По {name} на тесте лучше {NAMES[best]}: {measured}; в первом нуля нет, {agrees}."
    least = f"{text.number(scale * seeds['detectable'], digits)}{unit}"
    doubt = (
        ""
        if of_images is None
        else (
            " Второй интервал нуля не содержит, но он относится лишь к этим обученным сетям, "
            "а сравниваем мы методы: их следующее обучение дало бы другие сети."
        )
    )
    return (
        f"По {name} на тесте разницы не видно: {measured}; в первом есть нуль.{doubt} Столько "
        f"запусков с вероятностью 80{text.NBSP}% заметили бы разность {least} и больше."
    )


def paired_losses(epochs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Both methods by epoch over the seeds they share, and what the paired comparison says.

    Parameters
    ----------
    epochs : a row an epoch of a run; the main runs count.
    column : a key of ``LOSSES``.

    Returns
    -------
    By epoch: means ``adam`` and ``adamax``; ``difference`` and its 95 % interval ``low``, ``high``.

    Raises
    ------
    PixgradError : fewer than two common seeds.
    """
    main = epochs[epochs["stage"] == "main"]
    wide = main.pivot(index="seed", columns=["epoch", "optimiser"], values=column).dropna()
    rows = {}
    for epoch in sorted(main["epoch"].unique()):
        runs = wide[epoch]
        found = statistics.paired_student(
            runs["adam"], runs["adamax"], shared=("weights", "batches")
        )
        rows[epoch] = [*runs[list(NAMES)].mean(), found.estimate, found.low, found.high]
    return pd.DataFrame.from_dict(rows, "index", columns=[*NAMES, "difference", "low", "high"])


def loss_table(epochs: pd.DataFrame):
    """Losses after the first epoch, a quarter, a half and the whole of the training."""
    rows = []
    for column, name in LOSSES.items():
        paired = paired_losses(epochs, column)
        last = paired.index.max()
        for epoch in sorted({1, max(1, round(last / 4)), max(1, round(last / 2)), last}):
            *means, low, high = (text.number(value, 3) for value in paired.loc[epoch])
            rows.append([name, str(epoch), *means, f"от {low} до {high}"])
    header = ["потери", "эпоха", *NAMES.values(), "разность", "интервал"]
    return text.table(header, rows)


def loss_verdict(epochs: pd.DataFrame) -> str:
    """In how many epochs the interval of the losses leaves zero out, and for whom."""
    told = []
    for column, name in LOSSES.items():
        paired = paired_losses(epochs, column)
        better = {"adam": (paired["high"] < 0).sum(), "adamax": (paired["low"] > 0).sum()}
        seen = [f"в {count} меньше у {NAMES[who]}" for who, count in better.items() if count]
        of = text.plural(len(paired), "эпохи", "эпох", "эпох")
        told.append(
            f"{name} — разница видна в {sum(better.values())} из {of} ({', '.join(seen)})"
            if seen
            else f"{name} — разницы не видно ни в одной из {of}"
        )
    return "; ".join(told)


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
