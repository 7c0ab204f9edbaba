"""Runs of the training loop as tables of an experiment's results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from pixgrad.training.run import Outcome
from pixgrad.training.probe import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

Keys = Callable[[Outcome], Mapping[str, object]]
"""What tells a run from the others: the first columns of its rows."""


def record_fields(outcome: Outcome, metrics: Mapping[str, float]) -> dict:
    """A run as fields of :class:`pixgrad.results.records.Run`."""
    return {
        "name": outcome.config.name,
        "seed": outcome.config.seed,
        "config": asdict(outcome.config),
        "status": outcome.status,
        "steps": outcome.steps,
        "message": outcome.message,
        "wall_s": round(outcome.wall_s, 1),
        "cpu_s": round(outcome.cpu_s, 1),
        "first_losses": outcome.first_losses,
        "metrics": dict(metrics),
    }


def epochs_table(outcomes: Sequence[Outcome], keys: Keys) -> pd.DataFrame:
    """A row a run and epoch: ``keys`` and the columns of ``HISTORY``."""
    import pandas as pd

    tables = []
    for outcome in outcomes:
        table = pd.DataFrame(outcome.history, columns=list(HISTORY), dtype=float)
        table = table.astype({"epoch": int})
        tables.append(table.assign(**keys(outcome)))
    return _keys_first(pd.concat(tables, ignore_index=True), HISTORY)


def gradients_table(outcomes: Sequence[Outcome], keys: Keys) -> pd.DataFrame:
    """A row a run, epoch and layer: geometric means of what the probe measured in the epoch.

    ``epoch`` counts from 1; norms that are 0 or not finite count as missing.
    """
    import pandas as pd

    measures = [column for column in COLUMNS if column not in ("epoch", "step", "layer")]
    tables = []
    for outcome in outcomes:
        table = pd.DataFrame(outcome.probed, columns=list(COLUMNS), dtype=float)
        table = table.astype({"epoch": int, "layer": int})
        with np.errstate(divide="ignore", invalid="ignore"):
            table[measures] = np.log(table[measures]).replace([np.inf, -np.inf], np.nan)
        means = np.exp(table.groupby(["epoch", "layer"])[measures].mean()).reset_index()
        tables.append(means.assign(**keys(outcome)))
    return _keys_first(pd.concat(tables, ignore_index=True), ("epoch", "layer", *measures))


def _keys_first(table: pd.DataFrame, rest: Sequence[str]) -> pd.DataFrame:
    return table[[column for column in table.columns if column not in rest] + list(rest)]
