"""Intervals for the numbers of the book."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats


def student_interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Mean of independent runs and the half-width of its Student interval.

    Parameters
    ----------
    values : one number a run, at least two.
    level : coverage, 0 … 1.

    Returns
    -------
    mean, half-width t · s / √n with n - 1 degrees of freedom.
    """
    array = np.asarray(values, dtype=float)
    quantile = stats.t.ppf((1 + level) / 2, len(array) - 1)
    return float(array.mean()), float(quantile * array.std(ddof=1) / math.sqrt(len(array)))
