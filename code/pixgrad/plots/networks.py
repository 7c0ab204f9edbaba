"""Figures of trained networks: curves over epochs, confusion, kernels and tiles of pictures."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pixgrad.data import SOURCES
from pixgrad.plots import text
from pixgrad.plots.gradients import chosen
from pixgrad.plots.style import BLUE, PICTURE, RED, draw_band
from pixgrad.results.statistics import student_interval


def photos_of(source: str) -> str:
    """Which photos a record is of and under which terms, a sentence or two.

    Examples
    --------
    >>> photos_of("imagefolder:../my-data/classes")
    'Фотографии — свои, из папки классов, каждая приведена к квадрату; права у автора.'
    """
    if source not in SOURCES:
        return "Фотографии — свои, из папки классов, каждая приведена к квадрату; права у автора."
    if source.startswith("imagenette"):
        return (
            "Классы ImageNet [@deng2009] взяты из подборки Imagenette [@howard2019]: в ней "
            "фотографии уменьшены и приведены к квадрату, а тестовой частью служит та, что названа "
            f"проверочной. Условия: {SOURCES[source].licence}."
        )
    found = SOURCES[source]
    return f"Данные: {found.description}. Условия: {found.licence}."


def epoch_band(ax: Axes, table, value: str, label: str, color: str, **line) -> None:
    """The mean over seeds of a column by epoch, with a band from the smallest to the largest.

    Parameters
    ----------
    table : columns ``epoch``, ``seed`` and ``value``.
    """
    by_epoch = table.groupby("epoch")[value]
    epochs = np.array(sorted(table["epoch"].unique()))
    curve = by_epoch.mean(), by_epoch.min(), by_epoch.max()
    draw_band(ax, epochs, *curve, color=color, label=label, **line)
    ax.set_xlabel("эпоха")


def digit_curves(axes: Sequence[Axes], epochs, names: Mapping[str, str]) -> None:
    """Losses and shares of errors by epoch, logarithmic: validation solid, training dotted.

    Parameters
    ----------
    axes : two.
    epochs : a row an epoch of a run, with ``network``.
    names : network -> its name in the book; the first is blue, the second red.
    """
    for (network, name), color in zip(names.items(), (BLUE, RED), strict=True):
        mine = epochs[epochs["network"] == network].copy()
        for part, word, dash in (("validation", "проверка", "-"), ("train", "обучение", ":")):
            mine["error"] = 100 * (1 - mine[f"{part}_accuracy"])
            for ax, column in zip(axes, (f"{part}_loss", "error"), strict=True):
                epoch_band(ax, mine, column, f"{name}, {word}", color, linestyle=dash)
    axes[0].set(yscale="log", ylabel="функция потерь")
    axes[1].set_yscale("symlog", linthresh=0.1)
    axes[1].set_ylabel("доля ошибок, %")


def recalibration(epochs, arms: Mapping[str, Mapping[str, object]]) -> str:
    """Validation losses by fresh and by running batch-norm statistics, first and last epoch.

    Parameters
    ----------
    epochs : a row an epoch of a main run: ``validation_loss`` and ``raw_validation_loss``.
    arms : name of a network in the book -> values of the columns that tell its rows.
    """
    told = []
    for when, epoch in (("в первой эпохе", 1), ("В последней", epochs["epoch"].max())):
        words = []
        for name, columns in arms.items():
            rows = chosen(epochs, epoch=epoch, **columns)
            fresh, running = (rows[f"{of}validation_loss"].mean() for of in ("", "raw_"))
            words.append(f"{name} — {text.number(fresh, 2)} и {text.number(running, 2)}")
        told.append(f"{when}: {'; '.join(words)}")
    return ". ".join(told)


def confusion(ax: Axes, matrix: np.ndarray, classes: Sequence[str]) -> None:
    """Counts in every cell; the shade grows with the logarithm, so that rare errors are seen.

    Parameters
    ----------
    matrix : int (K, K), rows are true classes, columns the network's answers.
    """
    ax.imshow(np.log1p(matrix), cmap="Blues", vmin=0)
    for row, column in np.ndindex(*matrix.shape):
        if matrix[row, column]:
            shade = np.log1p(matrix[row, column]) / np.log1p(matrix.max())
            color = "white" if shade > 0.6 else "#222222"
            number = str(matrix[row, column])
            ax.text(column, row, number, ha="center", va="center", color=color, fontsize=7.5)
    ax.set_xticks(range(len(classes)), classes)
    ax.set_yticks(range(len(classes)), classes)
    ax.set(xlabel="ответ сети", ylabel="верный класс")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)


def tiles(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    columns: int,
    size: float = 0.85,
    signed: bool = False,
) -> Figure:
    """Small pictures in rows, each under its title.

    Parameters
    ----------
    images : each (H, W).
    size : of one picture, inches.
    signed : zero is white, negative is red, positive is blue; one scale for all.
    """
    rows = -(-len(images) // columns)
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(size * columns, (size + 0.22) * rows),
        squeeze=False,
        subplot_kw=PICTURE,
    )
    scale = max(float(np.abs(image).max()) for image in images) if signed else None
    limits = {"cmap": "RdBu", "vmin": -scale, "vmax": scale} if signed else {"cmap": "gray"}
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        ax.imshow(image, **limits)
        ax.set_title(title, fontsize=8, pad=2)
    return fig


def run_table(summary, names: Mapping[str, str], columns: Mapping[str, str]):
    """A row a network: means over seeds with Student intervals, accuracies in per cent.

    Where the interval would pass 100 %, the range of the runs stands instead: ``99,9 (99,8–100)``.

    Parameters
    ----------
    summary : a row a run, with ``network`` and the ``columns``.
    names : network -> its name in the book, in the order of rows.
    columns : column of accuracies 0 … 1 -> heading.
    """
    rows = []
    for network, name in names.items():
        runs = summary[summary["network"] == network]
        cells = [_accuracy(100 * runs[column]) for column in columns]
        rows.append([name, str(len(runs)), *cells])
    return text.table(["сеть", "запусков", *columns.values()], rows)


def _accuracy(runs) -> str:
    if student_interval(runs).high <= 100:
        return text.mean_interval(runs, 2)
    return f"{text.number(runs.mean(), 2)} ({text.interval(runs.min(), runs.max(), 2)})"
