"""Runs as tables, and as fields of a record."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_training import build, images, settings

from pixgrad.results import records
from pixgrad.training.loop import HISTORY, Outcome, fit
from pixgrad.training.probe import COLUMNS
from pixgrad.training.tables import epochs_table, gradients_table, record_fields

MEASURES = [column for column in COLUMNS if column not in ("epoch", "step", "layer")]


def keys(outcome: Outcome) -> dict[str, object]:
    return {"network": "resnet-8", "seed": outcome.config.seed}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory) -> list[Outcome]:
    """A run of two epochs, and one that diverged in its first."""
    folder = tmp_path_factory.mktemp("runs")
    done = fit(settings(epochs=2), build, images(), folder / "done")
    diverged = settings(epochs=2, lr=1e30, seed=2, probe_every=100)
    return [done, fit(diverged, build, images(), folder / "diverged", in_sweep=True)]


@pytest.mark.parametrize("order", [1, -1])
def test_epochs(outcomes, order):
    table = epochs_table(outcomes[::order], keys)
    assert table.columns.tolist() == ["network", "seed", *HISTORY]
    assert table[list(HISTORY)].to_numpy().tolist() == outcomes[0].history
    assert table["seed"].tolist() == [1, 1]
    assert [str(table[name].dtype) for name in HISTORY] == ["int64"] + ["float64"] * 6


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


@pytest.mark.parametrize("number", [0, 1])
def test_fields_of_a_record(outcomes, number):
    outcome = outcomes[number]

    class Named(type(outcome.config)):
        name = "resnet-8-1"

    outcome = Outcome(
        Named(**vars(outcome.config)),
        **{name: value for name, value in vars(outcome).items() if name != "config"},
    )
    run = records.Run(**record_fields(outcome, {"accuracy": 0.5}))
    assert (run.name, run.seed, run.status) == (
        "resnet-8-1",
        1 + number,
        ["done", "diverged"][number],
    )
    assert Named(**run.config) == outcome.config
    assert run.first_losses == outcome.first_losses
    assert run.steps == outcome.steps
    assert run.metrics == {"accuracy": 0.5}
