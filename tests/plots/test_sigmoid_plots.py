"""Figures and tables of the deep networks of sigmoids show the numbers given."""

import itertools

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from pixgrad.plots import sigmoid

ARMS = [
    (net, method)
    for net in sigmoid.NETS
    for method in sigmoid.METHODS
    if method[1] == 1e-8 or net[1] in ("default", "glorot")
]


def table(extra: dict[str, list]) -> pd.DataFrame:
    """All arms, three seeds, and every combination of further columns."""
    rows = [
        dict(zip(("activation", "init", "optimiser", "eps"), net + method, strict=True))
        | {"stage": stage, "seed": seed, "rate": 1e-3}
        | dict(zip(extra, values, strict=True))
        for net, method in ARMS
        for stage, seed in (("sweep", 101), ("main", 1), ("main", 2), ("main", 3))
        for values in itertools.product(*extra.values())
    ]
    return pd.DataFrame(rows)


def test_every_arm_has_its_curve_and_short_runs_have_none():
    epochs = table({"epoch": [1, 2]})
    epochs["validation_accuracy"] = 0.2 * epochs["seed"].where(epochs["seed"] < 100)
    _, axes = plt.subplots(1, 3)
    sigmoid.learning_curves(axes, epochs)
    assert [len(ax.lines) for ax in axes] == [5, 5, 2]
    assert [ax.get_title() for ax in axes] == list(sigmoid.METHODS.values())
    for line in itertools.chain.from_iterable(ax.lines for ax in axes):
        assert line.get_ydata() == pytest.approx([40, 40])


def test_first_epoch_is_the_first_and_compares_both_epsilons():
    gradients = table({"epoch": [1, 2], "layer": [1, 2]})
    gradients["grad_rms"] = 1e-9 * gradients["layer"] * gradients["epoch"] ** 9
    gradients["eps"] = gradients["eps"].astype("float32")  # as such tables are kept
    gradients["update_ratio"] = gradients["eps"] * gradients["layer"] * gradients["epoch"] ** 9
    _, axes = plt.subplots(1, 2)
    sigmoid.first_epoch(axes, gradients)
    *curves, level = axes[0].lines
    assert len(curves) == 5 and level.get_ydata() == [1e-8, 1e-8]
    assert all(line.get_ydata() == pytest.approx([1e-9, 2e-9]) for line in curves)
    steps = sorted(line.get_ydata()[0] for line in axes[1].lines)  # over the rate, 0.001
    assert steps == pytest.approx([1e-17, 1e-17, 1e-5, 1e-5])


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [
        ((0.9, 0.91, 0.92), "learns"),
        ((0.3, 0.9, 0.9), "mixed"),  # three seeds so far apart say nothing
        ((0.2, 0.21, 0.22), "moves"),
        ((0.1, 0.1, 0.1), "stays"),
    ],
)
def test_verdict_is_that_of_the_protocol(accuracies, verdict):
    assert sigmoid.verdict(pd.DataFrame({"test_accuracy": accuracies})) == verdict


def test_table_has_a_row_an_arm():
    summary = table({}).query("stage == 'main'").drop(columns="stage")
    summary["test_accuracy"] = 0.9 + 0.01 * summary["seed"]
    lines = sigmoid.result_table(summary).data.splitlines()[2:]
    assert len(lines) == len(ARMS)
    cells = lines[0].strip("| ").split(" | ")
    assert cells == ["сигмоида, PyTorch", "SGD", "0,001", "92,0", "91,0–93,0", "учится"]
