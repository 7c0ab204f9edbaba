"""Figures and tables of Adam and AdaMax show the numbers given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pixgrad.plots import optimisers
from pixgrad.training import moments


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


@pytest.mark.parametrize(
    ("low", "high", "better"),
    [(0.01, 0.2, "adam"), (-0.2, -0.01, "adamax"), (-0.1, 0.1, None), (0.0, 0.1, None)],
)
def test_a_winner_needs_an_interval_without_zero(low, high, better):
    assert optimisers.winner(comparison(low, high), "macro_f1") == better


def test_a_winner_over_images_is_another_question():
    assert optimisers.winner(comparison(-0.1, 0.1), "macro_f1", "images") == "adam"


def test_difference_table_has_accuracy_in_percentage_points():
    rows = optimisers.difference_table(comparison(-0.01, 0.2)).data.splitlines()[2:]
    assert rows == [
        "| верных ответов, % | 10,0 | от −2,0 до 22,0 | от −5,0 до 25,0 | 20,0 |",
        "| macro F1 | 0,095 | от −0,010 до 0,200 | от 0,020 до 0,180 | 0,150 |",
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
    assert "| 0,400–0,500 | 0,300–0,400 |" in rows["macro F1, по фотографиям"]
    assert "| 0,200 | 0,190 |" in rows["macro F1 ответов наугад"]
    assert len(rows) == len(table) - 2  # no two rows share their heading


def test_sensitivity_rings_the_chosen_rate_and_marks_the_advised_one(ax):
    sweep = pd.DataFrame(
        {
            "optimiser": ["adam", "adam", "adamax", "adamax"],
            "rate": [1e-2, 1e-3, 1e-2, 1e-3],
            "loss": [2.0, 1.0, np.nan, 3.0],
            "chosen": [False, True, False, True],
        }
    )
    optimisers.sensitivity(ax, sweep, "loss", {"adam": 1e-3, "adamax": 2e-3})
    curve, ring, advice, other, *_ = ax.lines
    np.testing.assert_array_equal(curve.get_xydata(), [[1e-3, 1], [1e-2, 2]])
    np.testing.assert_array_equal(ring.get_xydata(), [[1e-3, 1]])
    np.testing.assert_array_equal(advice.get_xdata(), [1e-3, 1e-3])
    assert np.isnan(other.get_ydata()[1])  # diverged
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
