"""Figures and tables of trained networks and of gradient comparisons show the numbers given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pixgrad.backprop.compare import GradientCheck
from pixgrad.plots import backprop, networks


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_epoch_band_is_the_mean_between_the_extremes(ax):
    table = pd.DataFrame(
        {"epoch": [2, 1, 1, 2], "seed": [1, 1, 2, 2], "loss": [4.0, 1.0, 3.0, 8.0]}
    )
    networks.epoch_band(ax, table, "loss", "сеть", "black")
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[1, 2], [2, 6]])
    corners = {tuple(point) for point in ax.collections[0].get_paths()[0].vertices}
    assert corners == {(1, 1), (1, 3), (2, 4), (2, 8)}


def test_recalibration_tells_both_losses_of_both_ends():
    rows = [
        {"network": name, "seed": seed, "epoch": epoch, "validation_loss": loss + seed}
        | {"raw_validation_loss": 10 * loss + seed}
        for name, loss in (("a", 1.0), ("b", 2.0))
        for seed in (0, 1)
        for epoch in (1, 2, 3)
    ]
    told = networks.recalibration(
        pd.DataFrame(rows), {"А": {"network": "a"}, "Б": {"network": "b"}}
    )
    pair = "А — 1,50 и 10,50; Б — 2,50 и 20,50"
    assert told == f"в первой эпохе: {pair}. В последней: {pair}"


def test_digit_curves_show_losses_and_errors_of_both_parts():
    parts = {
        "train_loss": 0.1,
        "validation_loss": 0.2,
        "train_accuracy": 1,
        "validation_accuracy": 0.9,
    }
    rows = [
        {"network": name, "seed": 1, "epoch": epoch, **parts} for name in "ab" for epoch in (1, 2)
    ]
    figure, axes = plt.subplots(1, 2)
    networks.digit_curves(axes, pd.DataFrame(rows), {"a": "А", "b": "Б"})
    shown = [[line.get_ydata()[0] for line in ax.lines] for ax in axes]
    assert shown == [[0.2, 0.1] * 2, [pytest.approx(10), 0] * 2]
    assert [line.get_label() for line in axes[0].lines] == [
        *("А, проверка", "А, обучение", "Б, проверка", "Б, обучение"),
    ]
    plt.close(figure)


def test_run_table_is_in_per_cent_with_student_intervals_that_never_pass_100():
    runs = {
        "network": ["b", "a", "a", "b"],
        "test": [0.5, 0.90, 0.91, 0.5],
        "train": [1, 1, 0.99, 1],
    }
    names, columns = {"a": "А", "b": "Б"}, {"test": "тест", "train": "обучение"}
    rows = networks.run_table(pd.DataFrame(runs), names, columns).data.splitlines()
    # Two runs: t(0.975, 1) = 12.706, s / √2 = 0.5
    assert rows[2] == "| А | 2 | 90,50\xa0±\xa06,35 | 99,50 (99,00–100,00) |"
    assert rows[3] == "| Б | 2 | 50,00\xa0±\xa00,00 | 100,00\xa0±\xa00,00 |"


def test_confusion_has_true_classes_in_rows(ax):
    networks.confusion(ax, np.array([[5, 1], [0, 7]]), ["а", "б"])
    assert {(*text.get_position(), text.get_text()) for text in ax.texts} == {
        (0, 0, "5"),
        (1, 0, "1"),
        (1, 1, "7"),
    }
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("ответ сети", "верный класс")


@pytest.mark.parametrize(
    ("difference", "shown"), [(1e-12, "$\\le 10^{-12}$"), (1.1e-12, "**$1{,}1 \\cdot 10^{-12}$**")]
)
def test_comparison_table_shows_what_is_more_than_rounding(difference, shown):
    row = GradientCheck("Linear", "weight", difference, 1e-9)
    cells = backprop.comparison_table([row]).data.splitlines()[2].strip("| ").split(" | ")
    assert cells == ["Linear", "веса", shown, "$\\le 10^{-8}$"]


def test_batchnorm_gradient_has_no_part_in_what_the_layer_removes():
    figure, axes = plt.subplots(1, 2)
    backprop.batchnorm_cosines(axes, batches=20)
    for axis in axes:
        dy, dx = (line.get_xdata() for line in axis.lines)
        assert np.abs(dx).max() < 1e-4  # ε over the variance is left along x̂
        assert np.abs(dy).max() > 0.3
    plt.close(figure)
