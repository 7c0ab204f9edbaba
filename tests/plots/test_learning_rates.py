"""What is said and drawn of the chosen learning rates is what the short runs gave."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pixgrad.plots import learning_rates

ARMS = {"обычная": {"skip": False}, "ResNet": {"skip": True}}


def sweep(plain: float, residual: float, lost: tuple[float, ...] = ()) -> pd.DataFrame:
    """Two short runs at each of three rates; at ``lost`` one of the plain network's diverged."""
    rows = [
        {
            "skip": skip,
            "seed": seed,
            "rate": rate,
            "status": "diverged" if not skip and rate in lost and seed == 101 else "done",
            "chosen": rate == (residual if skip else plain),
            "validation_loss": np.nan if not skip and rate in lost and seed == 101 else seed * rate,
        }
        for skip in (False, True)
        for rate in (0.01, 0.03, 0.1)
        for seed in (101, 102)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (sweep(0.03, 0.03), " Краёв сетки среди них нет."),
        (sweep(0.1, 0.03), " На краю сетки: обычная; лучшая скорость может лежать за ним."),
        (sweep(0.01, 0.1), " На краю сетки: обычная, ResNet; лучшая скорость может лежать за ним."),
        (sweep(0.01, 0.03, (0.01, 0.03, 0.1)), " На всех скоростях расходились: обычная."),
    ],
)
def test_the_sentence_names_rates_and_edges(table, words):
    (plain,) = table.loc[table["chosen"] & ~table["skip"], "rate"].unique()
    (residual,) = table.loc[table["chosen"] & table["skip"], "rate"].unique()
    shown = [f"{rate:g}".replace(".", ",") for rate in (plain, residual)]
    begun = f"Выбраны скорости: обычная — {shown[0]}; ResNet — {shown[1]}."
    assert learning_rates.told(table, ARMS) == begun + words


def test_a_curve_has_a_gap_where_a_run_diverged_and_a_ring_round_the_choice():
    figure, ax = plt.subplots()
    table = sweep(0.03, 0.1, (0.1,))
    learning_rates.curve(ax, table[~table["skip"]], "validation_loss", color="red", label="a")
    learning_rates.axis(ax, table)
    means, ring = ax.lines
    np.testing.assert_allclose(means.get_ydata(), [101.5 * 0.01, 101.5 * 0.03, np.nan])
    assert ring.get_xydata().tolist() == [[0.03, pytest.approx(101.5 * 0.03)]]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0,01", "0,03", "0,1"]
    plt.close(figure)
