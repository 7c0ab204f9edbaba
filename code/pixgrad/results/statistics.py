"""Intervals for the numbers of the book: over runs by Student, over test images by bootstrap.

The two answer different questions. Student's interval over seeds says how far another set of
trainings would carry the number; the bootstrap over images says how far another set of test images
would, the trained networks staying as they are. A difference that is to hold for both needs both.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy import special, stats

from pixgrad.errors import PixgradError, say

RESAMPLES = 10_000
_BLOCK = 500
"""Resamples drawn at a time: bounds the memory."""


STREAMS = ("weights", "batches", "augmentation")
"""Random streams that two runs can share: initial weights, order of images, their changes."""


class Interval(NamedTuple):
    """A number, or an array of numbers, with the ends of its interval."""

    estimate: float | np.ndarray
    low: float | np.ndarray
    high: float | np.ndarray


@dataclass(frozen=True)
class Difference:
    """The mean of runs ``a`` minus that of runs ``b``.

    Attributes
    ----------
    estimate, low, high : the difference and its Student interval; the two-sided t test at
        1 - level rejects "no difference" exactly where the interval leaves zero out.
    effect : Cohen's d, the difference over the standard deviation: of the differences of pairs, or
        the root mean square of the two groups'. NaN where nothing varies.
    detectable : the difference that as many runs of the same spread would show at this level with
        the asked probability.
    n : runs of ``a`` and of ``b``.
    """

    estimate: float
    low: float
    high: float
    effect: float
    detectable: float
    n: tuple[int, int]


def student_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Mean of independent runs and its Student interval, ± t s / √n, n - 1 degrees of freedom.

    Parameters
    ----------
    values : one number a run, at least two.
    level : coverage, 0 … 1.

    Examples
    --------
    >>> round(student_interval([1.0, 2.0, 3.0]).high, 3)
    4.484
    """
    array = np.asarray(values, dtype=float)
    quantile = stats.t.ppf((1 + level) / 2, len(array) - 1)
    half = float(quantile * array.std(ddof=1) / math.sqrt(len(array)))
    return Interval(mean := float(array.mean()), mean - half, mean + half)


def paired_student(
    a: Mapping[int, float],
    b: Mapping[int, float],
    shared: Collection[str],
    level: float = 0.95,
    power: float = 0.8,
) -> Difference:
    """Compare runs of the same seeds that share random streams (paired t test).

    Parameters
    ----------
    a, b : the number of each run by its seed: mappings, or pandas Series with the index "seed".
    shared : which of ``STREAMS`` two runs of one seed have in common. Runs that share none are no
        pairs: ``welch`` is for them.
    level : coverage of the interval, 0 … 1.
    power : probability to find the detectable difference, 0 … 1.

    Raises
    ------
    PixgradError : nothing shared, other seeds, fewer than two pairs, or a run without a number.

    Examples
    --------
    >>> found = paired_student({1: 5.0, 2: 7.0, 3: 9.5}, {1: 4.0, 2: 6.1, 3: 8.4}, ["weights"])
    >>> round(found.estimate, 3), verdict(found)
    (1.0, 'holds')
    """
    if not shared or not set(shared) <= set(STREAMS):
        named = ", ".join(shared) or say("никаких", "none")
        raise PixgradError(
            f"общие потоки случайных чисел: {named}; для сравнения парами "
            f"назовите хотя бы один из {', '.join(STREAMS)}, без общих возьмите welch",
            f"shared random streams: {named}; to compare in pairs name at least one of "
            f"{', '.join(STREAMS)}, or take welch if none is shared",
        )
    first, second = _by_seed(a), _by_seed(b)
    if set(first) != set(second):
        raise PixgradError(
            f"зёрна разные: {sorted(first)} и {sorted(second)}; пар из них не сложить",
            f"different seeds: {sorted(first)} and {sorted(second)} make no pairs",
        )
    gaps = _runs([first[seed] - second[seed] for seed in first])
    spread, count = float(gaps.std(ddof=1)), len(gaps)
    error = spread / math.sqrt(count)
    return _difference(gaps.mean(), error, count - 1, spread, (count, count), level, power)


def welch(
    a: Collection[float], b: Collection[float], level: float = 0.95, power: float = 0.8
) -> Difference:
    """Compare independent runs, whose spread may differ (B. L. Welch, Biometrika, 1947).

    The detectable difference takes the noncentral t distribution with Welch's degrees of freedom.

    Parameters
    ----------
    a, b : one number a run, at least two each.
    level, power : as in ``paired_student``.

    Raises
    ------
    PixgradError : fewer than two runs, or a run without a number.

    Examples
    --------
    >>> verdict(welch([5.0, 7.0, 9.5], [4.0, 6.1, 8.4]))
    'not seen'
    """
    return contrast([a], [b], level, power)


def contrast(
    plus: Sequence[Collection[float]],
    minus: Sequence[Collection[float]],
    level: float = 0.95,
    power: float = 0.8,
) -> Difference:
    """Means of independent groups of runs added and subtracted, such as (a - b) - (c - d).

    The degrees of freedom are those of F. E. Satterthwaite (Biometrics Bulletin, 1946); with one
    group on either side this is ``welch``.

    Parameters
    ----------
    plus, minus : groups whose means are added, and subtracted: one number a run, two at least.
    level, power : as in ``paired_student``.

    Raises
    ------
    PixgradError : a group of fewer than two runs, or a run without a number.
    """
    signs = [1.0] * len(plus) + [-1.0] * len(minus)
    groups = [_runs(group) for group in (*plus, *minus)]
    counts = [len(group) for group in groups]
    variances = [group.var(ddof=1) for group in groups]
    shares = [variance / count for variance, count in zip(variances, counts, strict=True)]
    below = sum(share**2 / (count - 1) for share, count in zip(shares, counts, strict=True))
    freedom = sum(shares) ** 2 / below if below else sum(counts) - len(counts)
    spread = math.sqrt(sum(variances) / len(groups))
    estimate = sum(sign * group.mean() for sign, group in zip(signs, groups, strict=True))
    n = sum(counts[: len(plus)]), sum(counts[len(plus) :])
    return _difference(estimate, math.sqrt(sum(shares)), freedom, spread, n, level, power)


def verdict(interval: Interval | Difference) -> Literal["holds", "not seen", "opposite"]:
    """What an interval says of "the number is above zero".

    Raises
    ------
    PixgradError : its ends are no numbers.

    Examples
    --------
    >>> verdict(Interval(1.0, 0.5, 1.5)), verdict(Interval(1.0, -0.5, 2.5))
    ('holds', 'not seen')
    """
    if not interval.low <= interval.high:
        raise PixgradError(
            f"у интервала нет концов: {interval}",
            f"an interval without ends: {interval}",
        )
    return "holds" if interval.low > 0 else "opposite" if interval.high < 0 else "not seen"


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

    Examples
    --------
    >>> f1_scores(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), num_classes=2).round(3)
    array([0.8  , 0.667])
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


def _by_seed(runs: Mapping[int, float]) -> dict[int, float]:
    index = getattr(runs, "index", None)
    if index is not None and index.name != "seed":
        raise PixgradError(
            f"индекс столбца — «{index.name}», а нужен «seed»: .set_index('seed')",
            f"the column's index is '{index.name}', not 'seed': .set_index('seed')",
        )
    if len(set(runs.keys())) < len(runs):
        raise PixgradError(
            f"зерно повторяется: {sorted(runs.keys())}",
            f"a seed comes twice: {sorted(runs.keys())}",
        )
    return dict(runs.items())


def _runs(values: Collection[float]) -> np.ndarray:
    array = np.array([*values], dtype=float)
    if len(array) < 2 or not np.isfinite(array).all():
        raise PixgradError(
            f"для сравнения нужны хотя бы два запуска с числом у каждого: {array}",
            f"a comparison needs at least two runs with a number each: {array}",
        )
    return array


def _difference(
    estimate: float,
    error: float,
    freedom: float,
    spread: float,
    n: tuple[int, int],
    level: float,
    power: float,
) -> Difference:
    """From the standard error and the degrees of freedom.

    If the true difference is δ, t has the noncentral distribution with noncentrality δ / error.
    Rejections in the wrong direction (below 10⁻⁴ at 80 %) do not count.
    """
    critical = float(stats.t.ppf((1 + level) / 2, freedom))
    return Difference(
        estimate=float(estimate),
        low=float(estimate - critical * error),
        high=float(estimate + critical * error),
        effect=float(estimate / spread) if spread else math.nan,
        detectable=float(special.nctdtrinc(freedom, 1 - power, critical) * error),
        n=n,
    )
