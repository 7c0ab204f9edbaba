"""Figures of the first page: one measured finding each, readable as a card."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pixgrad.plots import features, text
from pixgrad.plots.gradients import LINES
from pixgrad.plots.style import GREEN, decimal_commas
from pixgrad.results.statistics import STREAMS, contrast, paired_student, student_interval, verdict
from pixgrad.sift import Features

SIZE = (4.4, 3.1)
"""Inches; all the cards are alike."""


def same_keypoints(image: np.ndarray, ours: Features, theirs: Features) -> Figure:
    """A photograph with the keypoints of two programs: circles of one, crosses of the other."""
    figure, ax = plt.subplots(figsize=SIZE)
    features.show_photo(ax, features.to_grey(image))
    large = ours.size > 6
    features.draw_keypoints(ax, ours.xy[large], ours.size[large], ours.angle[large])
    ax.plot(*theirs.xy[theirs.size > 6].T, "+", color=GREEN, markersize=6)
    return figure


def early_late(ratios: pd.DataFrame, depth: int) -> Figure:
    """How much larger the gradient is near the input than near the output, before training.

    Parameters
    ----------
    ratios : of ``early_late_ratio``: depth, skip, batch_norm, init and ratio of each run.
    """
    rows = [
        (False, "default", "веса PyTorch"),
        (False, "he", "веса Хе"),
        (True, "he", "с нормализацией"),
    ]
    figure, ax = plt.subplots(figsize=SIZE)
    for height, (batch_norm, init, _) in enumerate(rows):
        for skip, line in LINES.items():
            cell = (ratios["batch_norm"] == batch_norm) & (ratios["init"] == init)
            of_depth = (ratios["depth"] == depth) & (ratios["skip"] == skip)
            mean = np.exp(np.log(ratios.loc[cell & of_depth, "ratio"]).mean())
            name = line["label"] if height == 0 else None
            color, marker = line["color"], "o" if skip else "s"
            ax.plot([1, mean], 2 * [height + 0.14 - 0.28 * skip], color=color, linewidth=3)
            ax.plot(mean, height + 0.14 - 0.28 * skip, marker, color=color, label=name)
    ax.axvline(1, color="#444444", linewidth=0.8)
    ax.set_xscale("log")
    ax.set_xlabel("градиент у входа / градиент у выхода")
    ax.set_yticks(range(len(rows)), [name for *_, name in rows])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=2, columnspacing=1)
    return figure


def loss_by_depth(runs: pd.DataFrame) -> Figure:
    """Loss after training by depth, plain and residual: mean over seeds and Student's interval."""
    figure, ax = plt.subplots(figsize=SIZE)
    for skip, line in LINES.items():
        groups = runs[runs["skip"] == skip].groupby("depth")["train_loss"]
        found = [(depth, *student_interval(losses)) for depth, losses in groups]
        depths, means, lows, _ = np.transpose(found)
        marker = "o" if skip else "s"
        ax.errorbar(depths, means, means - lows, marker=marker, capsize=3, **line)
    ax.set(xlabel="слоёв в сети", ylabel="потери на обучении")
    ax.set_xticks(sorted(runs["depth"].unique()))
    ax.legend(loc="lower center", bbox_to_anchor=(0.45, 1), ncols=2, columnspacing=1)
    decimal_commas(ax)
    return figure


def skip_connections(runs: pd.DataFrame, steps: int) -> str:
    """What skip connections did for the shallow and the deep twins, in two sentences.

    Parameters
    ----------
    runs : a row a run of two depths: depth, skip, seed and train_loss.
    steps : of each run.
    """
    networks = runs.set_index("seed").groupby(["depth", "skip"])["train_loss"]
    losses = dict(iter(networks))
    shallow, deep = sorted(runs["depth"].unique())
    gaps = [
        paired_student(losses[depth, False], losses[depth, True], STREAMS)
        for depth in (deep, shallow)
    ]
    # (plain - residual) of the deep twins less that of the shallow ones
    grown = contrast(
        [losses[deep, False], losses[shallow, True]], [losses[deep, True], losses[shallow, False]]
    )
    finding = {
        ("holds", "holds"): "Пропускные связи помогают учиться тем больше, чем глубже сеть.",
        ("holds", "not seen"): "Пропускные связи помогают глубокой сети учиться.",
        ("holds", "opposite"): "Пропускные связи помогают учиться, мелкой сети даже больше.",
        ("not seen",): "Пользы пропускных связей для глубокой сети мы не увидели.",
        ("opposite",): "Без пропускных связей глубокая сеть выучила больше.",
    }
    seen = verdict(gaps[0])
    key = (seen, verdict(grown)) if seen == "holds" else (seen,)
    words = [text.compared(gap, 2, "меньше", "больше") for gap in gaps]
    return (
        f"**{finding[key]}** За {text.plural(steps, 'шаг', 'шага', 'шагов')} потери на обучении "
        f"у остаточной сети из {deep} слоёв с нормализацией, по сравнению с её обычным близнецом: "
        f"{words[0]}; из {shallow} слоёв: {words[1]}."
    )


def of_all(count: int, total: int, *forms: str) -> str:
    """«все 812 точек» or «810 точек из 812»; ``forms`` as in ``text.plural``."""
    if count == total:
        return f"все {text.plural(total, *forms)}"
    return f"{text.plural(count, *forms)} из {text.number(total)}"
