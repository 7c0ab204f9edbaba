"""What was measured in networks as tables of an experiment's results."""

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
    table = rows_table(outcomes, keys, "probed", COLUMNS)
    names = [*keys(outcomes[0]), "epoch", "layer"]
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(table[measures].astype(float)).replace([np.inf, -np.inf], np.nan)
    means = logs.groupby([table[name] for name in names], sort=False).mean()
    return np.exp(means).reset_index()


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
