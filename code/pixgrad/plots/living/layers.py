"""Norms of gradients by layer for the figure with switches and a slider of epochs."""

import numpy as np
import pandas as pd


def payload(table: pd.DataFrame, epochs: int = 12) -> dict:
    """Norms by layer of every network, epoch by epoch.

    Parameters
    ----------
    table : columns ``depth, skip, batch_norm, init, seed, epoch, layer, grad_norm``; epoch 0 is
        before training.
    epochs : at most so many of a network are kept, evenly chosen.

    Returns
    -------
    dict; ``logs[e][l]`` is the mean decimal logarithm over seeds, None where no norm is positive
    and finite.
    """
    named = ["depth", "skip", "batch_norm", "init"]
    norms = table["grad_norm"].where(np.isfinite(table["grad_norm"]) & (table["grad_norm"] > 0))
    mean = np.log10(norms).groupby([table[name] for name in [*named, "epoch", "layer"]]).mean()
    networks = []
    for cell, logs in mean.groupby(level=named):
        by_epoch = logs.droplevel(named).unstack("layer")
        chosen = np.linspace(0, len(by_epoch) - 1, min(epochs, len(by_epoch))).round().astype(int)
        by_epoch = by_epoch.iloc[chosen]
        networks.append(
            dict(
                zip(named, (int(cell[0]), bool(cell[1]), bool(cell[2]), str(cell[3])), strict=True)
            )
            | {
                "epochs": by_epoch.index.tolist(),
                "logs": [
                    [None if np.isnan(log) else round(log, 2) for log in row]
                    for row in by_epoch.to_numpy().tolist()
                ],
            }
        )
    return {"networks": networks}
