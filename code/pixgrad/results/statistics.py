"""Intervals for the numbers of the book: over runs by Student, over test images by bootstrap.

The two answer different questions. Student's interval over seeds says how far another set of
trainings would carry the number; the bootstrap over images says how far another set of test images
would, the trained networks staying as they are. A difference that is to hold for both needs both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import special, stats

RESAMPLES = 10_000
_BLOCK = 500
"""Resamples drawn at a time: bounds the memory."""


class Interval(NamedTuple):
    """A number, or an array of numbers, with the ends of its interval."""

    estimate: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray


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


def paired_student(
    a: Sequence[float], b: Sequence[float], level: float = 0.95
) -> tuple[float, float]:
    """Mean of a - b over runs that share their seed, and its Student half-width.

    The difference is significant at 1 - ``level`` (paired t test, two-sided) exactly where the
    interval leaves zero out.

    Parameters
    ----------
    a, b : one number a run, of the same seeds in the same order; at least two.
    """
    return student_interval(np.subtract(a, b, dtype=float), level)


def detectable_difference(
    differences: Sequence[float], power: float = 0.8, level: float = 0.95
) -> float:
    """The smallest mean difference that a paired t test on as many runs would find.

    If the true mean were so large and the spread as seen here, the two-sided test at 1 - ``level``
    would reject "no difference" with probability ``power``: t has the noncentral distribution with
    noncentrality δ √n / s. Rejections in the wrong direction (below 10⁻⁴ at 80 %) do not count.

    Parameters
    ----------
    differences : one a pair of runs, at least two.
    power : probability to find it, 0 … 1.
    """
    count = len(differences)
    critical = stats.t.ppf((1 + level) / 2, count - 1)
    noncentrality = special.nctdtrinc(count - 1, 1 - power, critical)
    return float(noncentrality * np.std(differences, ddof=1) / math.sqrt(count))


def bootstrap(
    statistic: Callable[[np.ndarray, np.ndarray], np.ndarray],
    outcomes: np.ndarray,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of a statistic over test images drawn anew with replacement.

    To draw N images is to draw how often each distinct outcome comes: one multinomial count for all
    images that every network answers alike. It is the same distribution, and far fewer numbers.
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.)

    Parameters
    ----------
    statistic : (outcomes (M, K), weights (K, R)) -> (…, R): its value under each column of weights,
        which say how often each of the K outcomes is counted.
    outcomes : (M, N), all that the statistic needs to know of each image.
    resamples : how many sets of images to draw.
    level : coverage, 0 … 1.

    Returns
    -------
    Interval of shape (…): the value on the images as they are and its interval.
    """
    distinct, counts = np.unique(outcomes, axis=1, return_counts=True)
    total = counts.sum()
    blocks = [min(_BLOCK, resamples - start) for start in range(0, resamples, _BLOCK)]
    values = [
        statistic(distinct, generator.multinomial(total, counts / total, size).T.astype(float))
        for size in blocks
    ]
    low, high = np.quantile(
        np.concatenate(values, axis=-1), [(1 - level) / 2, (1 + level) / 2], axis=-1
    )
    return Interval(statistic(distinct, counts[:, None].astype(float))[..., 0][()], low, high)


def bootstrap_interval(correct: np.ndarray, generator: np.random.Generator, **options) -> Interval:
    """Accuracy, averaged over the seeds, with its interval over images.

    Parameters
    ----------
    correct : bool (S, N) or (N,), a row a seed.
    options : of ``bootstrap``.
    """
    return bootstrap(_mean, np.atleast_2d(correct).mean(axis=0)[None], generator, **options)


def paired_bootstrap(
    a: np.ndarray, b: np.ndarray, generator: np.random.Generator, **options
) -> Interval:
    """Accuracy of ``a`` minus that of ``b`` on the same images, each averaged over its seeds.

    Parameters
    ----------
    a, b : bool (S, N) or (N,), whether the answer is correct; the number of seeds may differ.
    options : of ``bootstrap``.
    """
    difference = np.atleast_2d(a).mean(axis=0) - np.atleast_2d(b).mean(axis=0)
    return bootstrap(_mean, difference[None], generator, **options)


def f1_scores(
    labels: np.ndarray,
    predictions: np.ndarray,
    num_classes: int,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """F1 of every class: 2 · hits / (answers + members). Their mean over classes is macro F1.

    Parameters
    ----------
    labels : int (N,), the true classes.
    predictions : int (…, N).
    weights : (N, R), how often each image counts in each of R resamples; once by default.

    Returns
    -------
    (…, num_classes) or (…, num_classes, R). A class with neither answers nor members has 0.
    """
    classes = np.arange(num_classes)[:, None]
    member, answered = labels == classes, np.asarray(predictions)[..., None, :] == classes
    count = np.ones(len(labels)) if weights is None else weights
    hits = (answered & member).astype(float) @ count
    everything = (answered.astype(float) + member) @ count
    return np.divide(2 * hits, everything, out=np.zeros_like(hits), where=everything > 0)


def macro_f1_bootstrap(
    labels: np.ndarray,
    predictions: np.ndarray,
    num_classes: int,
    generator: np.random.Generator,
    **options,
) -> tuple[Interval, Interval]:
    """Macro F1, and F1 of every class, averaged over the seeds, with intervals over images.

    Parameters
    ----------
    labels : int (N,).
    predictions : int (S, N) or (N,), a row a seed.
    options : of ``bootstrap``.

    Returns
    -------
    Interval of macro F1, Interval of arrays (num_classes,).
    """

    def scores(outcomes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        of_class = f1_scores(outcomes[0], outcomes[1:], num_classes, weights).mean(axis=0)
        return np.concatenate([of_class.mean(axis=0)[None], of_class])

    both = bootstrap(scores, np.vstack([labels, predictions]), generator, **options)
    return Interval(*(ends[0] for ends in both)), Interval(*(ends[1:] for ends in both))


def paired_macro_f1_bootstrap(
    labels: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    num_classes: int,
    generator: np.random.Generator,
    **options,
) -> Interval:
    """Macro F1 of ``a`` minus that of ``b`` on the same images, each averaged over its seeds.

    Parameters
    ----------
    labels : int (N,).
    a, b : int (S, N) or (N,), predicted classes; the number of seeds may differ.
    options : of ``bootstrap``.
    """
    a, b = np.atleast_2d(a), np.atleast_2d(b)

    def difference(outcomes: np.ndarray, weights: np.ndarray) -> np.ndarray:
        macro = f1_scores(outcomes[0], outcomes[1:], num_classes, weights).mean(axis=1)
        return macro[: len(a)].mean(axis=0) - macro[len(a) :].mean(axis=0)

    return bootstrap(difference, np.vstack([labels, a, b]), generator, **options)


def _mean(outcomes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(1, K), (K, R) -> (R,): the weighted mean of the one row."""
    return outcomes[0] @ weights / weights.sum(axis=0)
