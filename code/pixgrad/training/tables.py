"""What was measured in networks as tables of an experiment's results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pixgrad.training.probe import COLUMNS
from pixgrad.training.run import Keys, Outcome


def gradients_table(outcomes: Sequence[Outcome], keys: Keys) -> pd.DataFrame:
    """A row a run, epoch and layer: geometric means of what the probe measured in the epoch.

    ``epoch`` counts from 1; norms that are 0 or not finite count as missing.
    """
    measures = [column for column in COLUMNS if column not in ("epoch", "step", "layer")]
    tables = []
    for outcome in outcomes:
        table = pd.DataFrame(outcome.probed, columns=list(COLUMNS), dtype=float)
        table = table.astype({"epoch": int, "layer": int})
        with np.errstate(divide="ignore", invalid="ignore"):
            table[measures] = np.log(table[measures]).replace([np.inf, -np.inf], np.nan)
        means = np.exp(table.groupby(["epoch", "layer"])[measures].mean()).reset_index()
        for place, (key, value) in enumerate(keys(outcome).items()):
            means.insert(place, key, value)
        tables.append(means)
    return pd.concat(tables, ignore_index=True)


def rows_table(
    outcomes: Sequence[Outcome], keys: Keys, rows: str, columns: Sequence[str]
) -> pd.DataFrame:
    """A row for each row of numbers that the outcomes have in the attribute ``rows``."""
    return pd.DataFrame(
        [
            {**keys(one), **dict(zip(columns, row, strict=True))}
            for one in outcomes
            for row in getattr(one, rows)
        ]
    )
