"""Figures of gradients show what an independent computation finds in the tables."""

import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from scipy import stats

from pixgrad.plots import gradients

LINE = {"color": "black", "label": "сеть"}


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return plt.subplots()[1]


def runs_of(depths=(8, 20), seeds=3, epochs=2):
    """Log-normal norms of every layer, epoch and run of a full factorial."""
    rng = np.random.default_rng(0)
    names = ["depth", "skip", "batch_norm", "init", "seed"]
    cells = itertools.product(
        depths, (True, False), (True, False), ("default", "he"), range(1, seeds + 1)
    )
    tables = [
        pd.DataFrame(list(itertools.product(range(1, epochs + 1), range(1, cell[0] + 1))),
                     columns=["epoch", "layer"]).assign(**dict(zip(names, cell, strict=True)))
        for cell in cells
    ]  # fmt: skip
    table = pd.concat(tables, ignore_index=True).assign(activation="relu")
    return table.assign(grad_norm=np.exp(rng.normal(-3, 2, len(table))))


def band(ax):
    """Lower and upper edge of the band by x."""
    corners = pd.DataFrame(ax.collections[0].get_paths()[0].vertices, columns=["x", "y"])
    edges = corners.groupby("x")["y"]
    return edges.min(), edges.max()


CELL = {"depth": 8, "skip": True, "batch_norm": False, "init": "he"}


def test_norm_by_depth_is_geometric_with_students_interval(ax):
    table = gradients.chosen(runs_of(), **CELL, epoch=1)
    assert len(table) == 3 * 8
    gradients.norm_by_depth(ax, table, "grad_norm", **LINE)
    values = table.pivot(index="seed", columns="layer", values="grad_norm").to_numpy()
    layers, mean = ax.lines[0].get_data()
    np.testing.assert_array_equal(layers, range(1, 9))
    np.testing.assert_allclose(mean, stats.gmean(values))
    logs = np.log(values)
    expected = stats.t.interval(0.95, 2, logs.mean(axis=0), stats.sem(logs))
    for edge, theirs in zip(band(ax), expected, strict=True):
        np.testing.assert_allclose(edge, np.exp(theirs))
    assert ax.get_yscale() == "log"


def test_zeros_and_infinities_are_left_out(ax):
    table = pd.DataFrame(
        {
            "layer": [1, 1, 1, 2, 2, 3, 3],
            "grad_norm": [4.0, 1.0, 0.0, 0.0, np.nan, 5.0, np.inf],
        }
    )
    gradients.norm_by_depth(ax, table, "grad_norm", **LINE)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [2, np.nan, 5])


def test_heat_map_is_the_logarithm_of_the_geometric_mean():
    table = gradients.chosen(runs_of(), **CELL)
    table.loc[(table["layer"] == 3) & (table["epoch"] == 2), "grad_norm"] = 0
    table = table[(table["layer"] != 5) | (table["epoch"] != 1)]
    fig, ax = plt.subplots()
    image = gradients.layer_epoch_heat_map(ax, table, "grad_norm", limits=(-5, 1))
    shown = image.get_array().filled(np.nan)
    assert shown.shape == (8, 2)
    for layer, epoch in itertools.product(range(1, 9), (1, 2)):
        values = table[(table["layer"] == layer) & (table["epoch"] == epoch)]["grad_norm"]
        found = shown[layer - 1, epoch - 1]
        if (layer, epoch) in {(3, 2), (5, 1)}:
            assert math.isnan(found)
        else:
            assert found == pytest.approx(math.log10(stats.gmean(values)))
    assert image.get_extent() == [0.5, 2.5, 0.5, 8.5] and image.origin == "lower"
    assert image.get_clim() == (-5, 1)
    bar = gradients.power_bar(fig, image, [ax], "норма")
    fig.canvas.draw()
    assert "$10^{-2}$" in [tick.get_text() for tick in bar.ax.get_yticklabels()]


@pytest.mark.parametrize(("depth", "early", "late"), [(8, 2, 6), (20, 6, 14)])
def test_ratio_of_the_first_to_the_last_third(depth, early, late):
    table = runs_of()
    ratios = gradients.early_late_ratio(table, "grad_norm")
    assert len(ratios) == 2 * 2 * 2 * 2 * 3 * 2
    run = {**CELL, "depth": depth, "seed": 2, "epoch": 2}
    values = gradients.chosen(table, **run).set_index("layer")["grad_norm"]
    expected = stats.gmean(values.loc[:early]) / stats.gmean(values.loc[late:])
    assert gradients.chosen(ratios, **run)["ratio"].item() == pytest.approx(expected)


def test_ratio_is_missing_where_a_third_has_vanished():
    table = gradients.chosen(runs_of(), **CELL, seed=1, epoch=1)
    table.loc[table["layer"] <= 2, "grad_norm"] = 0
    assert gradients.early_late_ratio(table, "grad_norm")["ratio"].isna().all()


def test_ratio_curve_marks_one(ax):
    ratios = pd.DataFrame({"epoch": [1, 1, 2, 2], "ratio": [1.0, 4.0, 9.0, 1.0]})
    gradients.ratio_curve(ax, ratios, "epoch", **LINE)
    one, curve = ax.lines
    assert set(one.get_ydata()) == {1}
    np.testing.assert_allclose(curve.get_xydata(), [[1, 2], [2, 3]])


def test_factorial_has_a_panel_a_cell_and_a_line_a_kind():
    table = gradients.chosen(runs_of(), epoch=1)
    fig = gradients.factorial_grid(table, "grad_norm", "норма")
    panels = {ax.get_title(): ax for ax in fig.axes}
    assert len(panels) == 8
    ax = panels["8\u00a0слоёв, без нормализации,\nХе"]
    assert [line.get_label() for line in ax.lines] == [
        "без пропускных связей",
        "с пропускными связями",
    ]
    for skip, line in zip((False, True), ax.lines, strict=True):
        mine = gradients.chosen(table, **CELL | {"skip": skip})
        expected = mine.groupby("layer")["grad_norm"].apply(stats.gmean)
        np.testing.assert_allclose(line.get_ydata(), expected)
    assert "20\u00a0слоёв, нормализация,\nPyTorch" in panels
    assert len(fig.legends[0].texts) == 2


def training(**status):
    """Two epochs of four runs; ``status`` by s + seed, (status, epochs)."""
    ends = {f"s{seed}": ("done", 2) for seed in range(1, 5)} | status
    runs = pd.DataFrame(
        [{**CELL, "seed": int(name[1]), "status": state} for name, (state, _) in ends.items()]
    )
    epochs = pd.DataFrame(
        [
            {**CELL, "seed": int(name[1]), "epoch": epoch, "loss": int(name[1]) / epoch}
            for name, (_, last) in ends.items()
            for epoch in range(1, last + 1)
        ],
        columns=[*CELL, "seed", "epoch", "loss"],
    ).astype({"loss": float})
    return epochs, runs


def test_training_curve_is_of_the_runs_that_finished(ax):
    epochs, runs = training(s4=("diverged", 1), s3=("diverged", 0))
    gradients.training_curve(ax, epochs, runs, "loss", **LINE)
    mean, top, thin, cross = ax.lines
    np.testing.assert_allclose(mean.get_xydata(), [[1, 1.5], [2, 0.75]])
    low, high = band(ax)
    half = stats.t(1).ppf(0.975) * 0.5
    assert (low[1], high[1]) == pytest.approx((1.5 - half, 1.5 + half))
    np.testing.assert_allclose(thin.get_xydata(), [[1, 4]])
    np.testing.assert_allclose(cross.get_xydata(), [[1, 4]])
    assert cross.get_marker() == top.get_marker() == "x"
    assert top.get_transform() == ax.get_xaxis_transform()
    assert [note.get_text() for note in ax.texts] == ["разошлось 2 из 4"]


def test_a_network_whose_runs_all_diverged_has_crosses_alone(ax):
    epochs, runs = training(**{f"s{seed}": ("diverged", 0) for seed in range(1, 5)})
    gradients.training_curve(ax, epochs, runs, "loss", **LINE)
    assert len(ax.lines[0].get_xdata()) == 0
    assert [line.get_marker() for line in ax.lines[1:]] == ["x"] * 4


def test_training_grid_has_a_panel_a_pair():
    epochs, runs = training()
    several = [
        {"depth": 8},
        {"depth": 20},
        {"skip": False},
        {"batch_norm": True},
        {"init": "default"},
    ]
    epochs, runs = (pd.concat([table.assign(**cell) for cell in several], ignore_index=True)
                    for table in (epochs, runs))  # fmt: skip
    fig = gradients.training_grid(epochs, runs, "loss", "потери")
    shown = [ax for ax in fig.axes if ax.axison]
    assert [ax.get_title() for ax in shown] == [
        "8\u00a0слоёв, без нормализации,\nХе",
        "20\u00a0слоёв, без нормализации,\nХе",
        "8\u00a0слоёв, нормализация,\nХе",
        "8\u00a0слоёв, без нормализации,\nPyTorch",
    ]
    # Only the panel that has another below it goes without the name of its axis.
    assert [ax.get_xlabel() for ax in shown] == ["", "эпоха", "эпоха", "эпоха"]
    plain, residual = shown[0].lines
    np.testing.assert_allclose(residual.get_ydata(), [2.5, 1.25])
    np.testing.assert_allclose(plain.get_ydata(), [2.5, 1.25])
    assert len(shown[1].lines[0].get_xdata()) == 0  # no plain network of 20 layers was trained


def test_correlation_is_drawn_by_degrees(ax):
    table = pd.DataFrame({"angle": [0.01, 0.1, 0.01, 0.1], "correlation": [0.8, 0.5, 1, 0.1]})
    gradients.correlation_curve(ax, table, **LINE)
    expected = [[math.degrees(0.01), 0.9], [math.degrees(0.1), 0.3]]
    np.testing.assert_allclose(ax.lines[0].get_xydata(), expected)
    ax.figure.canvas.draw()
    assert "0,1°" in [tick.get_text() for tick in ax.get_xticklabels()] or ax.get_xlim()[0] > 0.1
    assert ax.get_xscale() == "log"


def test_paths_are_shares_before_the_binomial_law(ax):
    k = np.arange(5)
    counts = stats.binom(4, 0.5).pmf(k)
    one = pd.DataFrame({"blocks": k, "paths": 16 * counts, "share": stats.binom(4, 0.2).pmf(k)})
    two = one.assign(share=stats.binom(4, 0.4).pmf(k))
    table = pd.concat([one, two])
    gradients.path_counts(ax, table)
    gradients.path_curve(ax, table, **LINE)
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], counts)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), (one["share"] + two["share"]) / 2)


def test_kinds_of_networks_differ_in_grey_by_their_line():
    plain, residual = gradients.LINES[False], gradients.LINES[True]
    assert plain["linestyle"] != residual["linestyle"]
    assert to_rgb(plain["color"]) != to_rgb(residual["color"])
