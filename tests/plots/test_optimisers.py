"""Figures and tables of Adam and AdaMax show the numbers given."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pixgrad.errors import PixgradError
from pixgrad.plots import optimisers
from pixgrad.training import moments

SEEDS, EPOCHS = (1, 2, 3, 4), 8


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def comparison(low: float, high: float) -> pd.DataFrame:
    """As the experiment writes it; the intervals of macro F1's difference are given."""
    missing = float("nan")
    rows = [
        ("accuracy", "adam", "images", 0.5, 0.4, 0.6, missing, missing),
        ("accuracy", "adamax", "images", 0.4, 0.3, 0.5, missing, missing),
        ("macro_f1", "adam", "images", 0.45, 0.4, 0.5, 0.2, missing),
        ("macro_f1", "adamax", "images", 0.35, 0.3, 0.4, 0.19, missing),
        ("accuracy", "difference", "images", 0.1, -0.05, 0.25, missing, missing),
        ("accuracy", "difference", "seeds", 0.1, -0.02, 0.22, missing, 0.2),
        ("macro_f1", "difference", "images", 0.1, 0.02, 0.18, missing, missing),
        ("macro_f1", "difference", "seeds", (low + high) / 2, low, high, missing, 0.15),
    ]
    columns = ["metric", "of", "over", "estimate", "low", "high", "chance", "detectable"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def epochs() -> pd.DataFrame:
    """Adam is ahead by the running loss from epoch 5 on, and never by the others."""
    rng = np.random.default_rng(0)
    rows = []
    for stage, name, seed, epoch in itertools.product(
        ("main", "sweep"), optimisers.NAMES, SEEDS, range(1, EPOCHS + 1)
    ):
        row = {"stage": stage, "optimiser": name, "seed": seed, "epoch": epoch}
        losses = {column: rng.uniform(1, 1.1) / epoch for column in optimisers.LOSSES}
        losses["running_loss"] -= 0.5 * (name == "adam" and epoch >= 5)
        scores = {f"{part}_macro_f1": 1 - 0.5 / epoch for part in ("train", "validation")}
        rows.append(row | losses | scores)
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("low", "high", "better"),
    [(0.01, 0.2, "adam"), (-0.2, -0.01, "adamax"), (-0.1, 0.1, None), (0.0, 0.1, None)],
)
def test_a_winner_needs_an_interval_without_zero(low, high, better):
    assert optimisers.winner(comparison(low, high), "macro_f1") == better


def test_a_winner_over_images_is_another_question():
    assert optimisers.winner(comparison(-0.1, 0.1), "macro_f1", "images") == "adam"


def test_a_verdict_gives_both_intervals_and_the_one_over_seeds_decides():
    """Over images the interval of macro F1 is 0.02 … 0.18."""
    none = optimisers.verdict(comparison(-0.1, 0.3), "macro_f1")
    assert none.startswith(
        "По макро-F1 на тесте разницы не видно: Adam − AdaMax = 0,100, 95-процентный интервал по "
        "зёрнам от −0,100 до 0,300, по фотографиям от 0,020 до 0,180; в первом есть нуль. Второй "
        "интервал нуля не содержит, но он относится лишь к этим обученным сетям"
    )
    assert none.endswith("заметили бы разность 0,150 и больше.")
    adam = optimisers.verdict(comparison(0.01, 0.19), "macro_f1")
    assert adam.startswith("По макро-F1 на тесте лучше Adam: ")
    assert adam.endswith("в первом нуля нет, во втором тоже.")
    adamax = optimisers.verdict(comparison(-0.3, -0.1), "macro_f1")
    assert adamax.startswith("По макро-F1 на тесте лучше AdaMax: Adam − AdaMax = −0,200,")
    accuracy = optimisers.verdict(comparison(0, 1), "accuracy")
    assert "= 10,0\xa0п.\xa0п., 95-процентный интервал по зёрнам от −2,0 до 22,0" in accuracy
    assert "Второй" not in accuracy
    assert "разность 20,0\xa0п.\xa0п. и больше" in accuracy


def test_paired_losses_are_those_of_the_paired_t_test(epochs):
    """Of the main runs alone."""
    main = epochs[epochs["stage"] == "main"]
    for column in optimisers.LOSSES:
        paired = optimisers.paired_losses(epochs, column)
        for epoch, of in main.groupby("epoch"):
            adam, adamax = (of[of["optimiser"] == name][column] for name in optimisers.NAMES)
            test = stats.ttest_rel(adam, adamax)
            low, high = test.confidence_interval()
            expected = [adam.mean(), adamax.mean(), adam.mean() - adamax.mean(), low, high]
            np.testing.assert_allclose(paired.loc[epoch], expected)


def test_loss_verdict_counts_the_epochs_of_each_kind_of_loss(epochs):
    counts = {}
    for column, name in optimisers.LOSSES.items():
        paired = optimisers.paired_losses(epochs, column)
        counts[name] = ((paired["high"] < 0).sum(), (paired["low"] > 0).sum())
    adam, adamax = counts.pop("обучение, по ходу эпохи")
    assert adam == 4
    told = optimisers.loss_verdict(epochs).split("; ")
    assert told[0].startswith(
        f"обучение, по ходу эпохи — разница видна в {4 + adamax} из 8\xa0эпох"
    )
    assert "в 4 меньше у Adam" in told[0]
    for (name, seen), sentence in zip(counts.items(), told[1:], strict=True):
        assert sentence.startswith(f"{name} — разниц")
        assert ("не видно ни в одной из 8\xa0эпох" in sentence) == (sum(seen) == 0)


def test_loss_table_has_four_epochs_of_each_kind(epochs):
    rows = [
        row.strip("| ").split(" | ") for row in optimisers.loss_table(epochs).data.splitlines()[2:]
    ]
    assert [row[:2] for row in rows] == [
        [name, epoch] for name in optimisers.LOSSES.values() for epoch in "1248"
    ]
    adam = epochs.query("stage == 'main' and optimiser == 'adam' and epoch == 8")["train_loss"]
    assert rows[7][2] == f"{adam.mean():.3f}".replace(".", ",")


def test_one_common_seed_is_refused(epochs):
    alone = epochs[(epochs["seed"] == 1) | (epochs["optimiser"] == "adam")]
    with pytest.raises(PixgradError, match="нужны хотя бы два запуска"):
        optimisers.loss_verdict(alone)


def test_learning_curves_are_those_of_the_main_runs(epochs):
    figure, axes = plt.subplots(1, 2)
    optimisers.learning_curves(axes, epochs, 5)
    curve, *_ = axes[0].lines
    adam = epochs.query("stage == 'main' and optimiser == 'adam'").groupby("epoch")
    np.testing.assert_allclose(curve.get_ydata(), adam["validation_loss"].mean())
    labels = [f"{name}, {part}" for name in ("Adam", "AdaMax") for part in ("проверка", "обучение")]
    assert axes[1].get_legend_handles_labels()[1] == labels
    guesses = [ax.lines[-1].get_ydata()[0] for ax in axes]
    assert guesses == [pytest.approx(np.log(5)), 0.2]
    plt.close(figure)


def test_difference_table_has_accuracy_in_percentage_points():
    rows = optimisers.difference_table(comparison(-0.01, 0.2)).data.splitlines()[2:]
    assert rows == [
        "| верных ответов, % | 10,0 | от −2,0 до 22,0 | от −5,0 до 25,0 | 20,0 |",
        "| макро-F1 | 0,095 | от −0,010 до 0,200 | от 0,020 до 0,180 | 0,150 |",
    ]


def test_test_table_has_a_column_a_method():
    summary = pd.DataFrame(
        {
            "optimiser": ["adam", "adamax", "adam", "adamax"],
            "rate": [1e-3, 2e-3, 1e-3, 2e-3],
            "train_accuracy": [0.6, 0.5, 0.6, 0.5],
            "validation_accuracy": [0.6, 0.5, 0.6, 0.5],
            "test_accuracy": [0.49, 0.4, 0.51, 0.4],
            "test_macro_f1": [0.45, 0.35, 0.45, 0.35],
        }
    )
    table = optimisers.test_table(summary, comparison(0.01, 0.2)).data.splitlines()
    assert table[0] == "|  | Adam | AdaMax |"
    rows = {row.split(" | ")[0].removeprefix("| "): row for row in table[2:]}
    assert rows["скорость обучения"] == "| скорость обучения | 0,001 | 0,002 |"
    # Two runs: t(0.975, 1) = 12.706, s / √2 = 1
    assert "| 50,0\xa0±\xa012,7 | 40,0\xa0±\xa00,0 |" in rows["тест, верных ответов, %, по зёрнам"]
    assert "| 40,0–60,0 | 30,0–50,0 |" in rows["верных ответов, %, по фотографиям"]
    assert "| 0,400–0,500 | 0,300–0,400 |" in rows["макро-F1, по фотографиям"]
    assert "| 0,200 | 0,190 |" in rows["макро-F1 ответов наугад"]
    assert len(rows) == len(table) - 2  # no two rows share their heading


def test_sensitivity_rings_the_chosen_rate_and_marks_the_advised_one(ax):
    sweep = pd.DataFrame(
        {
            "optimiser": ["adam"] * 4 + ["adamax"] * 3,
            "rate": [1e-2, 1e-3, 1e-3, 1e-2, 1e-2, 1e-2, 1e-3],
            "loss": [2.0, 0.5, 1.5, 4.0, np.nan, 1.0, 3.0],
            "chosen": [False, True, True, False, False, False, True],
        }
    )
    optimisers.sensitivity(ax, sweep, "loss", {"adam": 1e-3, "adamax": 2e-3})
    curve, ring, advice, other, *_ = ax.lines
    np.testing.assert_array_equal(curve.get_xydata(), [[1e-3, 1], [1e-2, 3]])
    np.testing.assert_array_equal(ring.get_xydata(), [[1e-3, 1]])
    np.testing.assert_array_equal(advice.get_xdata(), [1e-3, 1e-3])
    assert np.isnan(other.get_ydata()[1])  # diverged
    segments = ax.collections[0].get_segments()
    np.testing.assert_array_equal(segments, [[[1e-3, 0.5], [1e-3, 1.5]], [[1e-2, 2], [1e-2, 4]]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0,001", "0,01"]


def test_paired_runs_join_the_methods_of_a_seed(ax):
    summary = pd.DataFrame(
        {
            "optimiser": ["adamax", "adam", "adam", "adamax"],
            "seed": [1, 1, 2, 2],
            "score": [0.1, 0.2, 0.4, 0.5],
        }
    )
    optimisers.paired_runs(ax, summary, "score")
    joins, adam, adamax = ax.collections
    np.testing.assert_array_equal(
        joins.get_segments(), [[[1, 0.1], [1, 0.2]], [[2, 0.4], [2, 0.5]]]
    )
    np.testing.assert_array_equal(adam.get_offsets(), [[1, 0.2], [2, 0.4]])
    np.testing.assert_array_equal(adamax.get_offsets(), [[1, 0.1], [2, 0.5]])


def test_quantiles_are_those_of_the_values():
    values = np.random.default_rng(0).normal(-1, 0.7, (2, 200_000))
    edges = moments.HISTOGRAM_EDGES
    histogram = np.stack([np.histogram(one.clip(-4, 1), edges)[0] / one.size for one in values])
    shares = [0.1, 0.5, 0.9]
    expected = np.quantile(values, shares, axis=1).T
    np.testing.assert_allclose(optimisers.quantiles(histogram, edges, shares), expected, atol=0.01)
