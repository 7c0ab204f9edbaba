"""Runs as tables."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_training import build, images, settings

from pixgrad.training.loop import fit
from pixgrad.training.probe import COLUMNS
from pixgrad.training.run import Outcome, epochs_table
from pixgrad.training.tables import gradients_table

MEASURES = [column for column in COLUMNS if column not in ("epoch", "step", "layer")]


def keys(outcome: Outcome) -> dict[str, object]:
    return {"network": "resnet-8", "seed": outcome.config.seed}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> list[Outcome]:
    """A run of two epochs, and one that diverged in its first."""
    folder = tmp_path_factory.mktemp("runs")
    done = fit(settings(epochs=2), build, images(), folder / "done")
    diverged = settings(epochs=2, lr=1e30, seed=2, probe_every=100)
    return [done, fit(diverged, build, images(), folder / "diverged")]


@pytest.mark.parametrize("order", [1, -1])
def test_epochs(outcomes, order):
    table = epochs_table(outcomes[::order], keys)
    expected = [{"network": "resnet-8", "seed": 1} | row for row in outcomes[0].history]
    assert table.to_dict("records") == expected
    assert table.columns.tolist() == list(expected[0])  # the keys first
    assert [str(dtype) for dtype in table.dtypes[2:]] == ["int64"] + ["float64"] * 6


@pytest.mark.parametrize("order", [1, -1])
def test_gradients_are_geometric_means_over_an_epoch(outcomes, order):
    table = gradients_table(outcomes[::order], keys)
    assert table.columns.tolist() == ["network", "seed", "epoch", "layer", *MEASURES]
    assert set(table[MEASURES].dtypes) == {np.dtype("float64")}
    mine = table[table["seed"] == 1]
    assert mine[["epoch", "layer"]].to_numpy().tolist() == [
        [epoch, layer] for epoch in (1, 2) for layer in range(1, 9)
    ]
    rows = np.array(outcomes[0].probed)
    for _, row in mine.iterrows():
        chosen = rows[(rows[:, 0] == row["epoch"]) & (rows[:, 2] == row["layer"])]
        assert len(chosen) == 2  # steps 0, 3 and 6, 9
        for measure in MEASURES:
            product = np.prod(chosen[:, COLUMNS.index(measure)])
            assert row[measure] == pytest.approx(np.sqrt(product), rel=1e-9)


def test_zero_and_infinite_norms_are_missing(outcomes):
    outcome = Outcome(outcomes[0].config, outcomes[0].net)
    one, zero, infinite = ([1, step, 1, *[value] * 7] for step, value in enumerate((4, 0, np.inf)))
    other = [1, 0, 2, *[0.0] * 7]
    outcome.probed = [one, zero, infinite, other]
    table = gradients_table([outcome], keys)
    assert table["grad_norm"].tolist()[0] == pytest.approx(4)
    assert np.isnan(table["grad_norm"].tolist()[1])
