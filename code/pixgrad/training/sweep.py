"""The choice of a learning rate on validation."""

from __future__ import annotations

from collections.abc import Sequence

from pixgrad.errors import PixgradError
from pixgrad.training.loop import HISTORY, Outcome


def best_rate(outcomes: Sequence[Outcome]) -> float:
    """The learning rate of the run with the smallest validation loss at its end.

    Raises
    ------
    PixgradError : all runs diverged.
    """
    done = [outcome for outcome in outcomes if outcome.status == "done"]
    if not done:
        first = outcomes[0]
        raise PixgradError(
            f"{first.config.name}: разошлись прогоны при всех скоростях; первый: {first.message}"
        )
    loss = HISTORY.index("validation_loss")
    return min(done, key=lambda outcome: outcome.history[-1][loss]).config.lr
