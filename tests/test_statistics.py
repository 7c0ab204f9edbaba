"""Intervals against published quantiles, SciPy, scikit-learn and simulation."""

import numpy as np
import pytest
from scipy import stats

from pixgrad.results import statistics as ours
from pixgrad.results.statistics import student_interval


def test_student_interval_of_five_runs():
    # t(0.975; 4) = 2.776 (any table of Student's distribution); s = √2.5 for 1 … 5.
    mean, half = student_interval([1, 2, 3, 4, 5])
    assert mean == 3
    assert half == pytest.approx(2.776 * (2.5 / 5) ** 0.5, rel=2e-4)


def test_student_interval_of_two_runs():
    mean, half = student_interval([0, 2])  # t(0.975; 1) = 12.706
    assert (mean, half) == (1, pytest.approx(12.706, rel=1e-4))


@pytest.mark.parametrize("level", [0.9, 0.95])
def test_paired_student_is_scipys_interval(level):
    a, b = np.random.default_rng(0).normal(size=(2, 6))
    theirs = stats.ttest_rel(a, b).confidence_interval(level)
    mean, half = ours.paired_student(a, b, level)
    assert (mean - half, mean + half) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("count", [3, 5, 10])
@pytest.mark.parametrize("power", [0.5, 0.8])
def test_detectable_difference_is_found_so_often(count, power):
    """Runs whose true difference is just detectable are found significant in ``power`` of cases."""
    rng = np.random.default_rng(count)
    unit = stats.zscore(rng.normal(size=count), ddof=1)
    delta = ours.detectable_difference(unit, power)  # in units of the standard deviation
    simulated = rng.normal(delta, 1, (40_000, count))
    found = stats.ttest_1samp(simulated, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(power, abs=4 * (power * (1 - power) / 40_000) ** 0.5)


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_detectable_difference_under_the_noncentral_t(count):
    differences = 0.01 * stats.zscore(np.arange(count), ddof=1)
    shift = ours.detectable_difference(differences) / 0.01 * count**0.5
    critical = stats.t(count - 1).ppf(0.975)
    assert stats.nct(count - 1, shift).sf(critical) == pytest.approx(0.8, abs=1e-6)
    # The other tail, by symmetry (SciPy's own cdf gives nan there for two runs).
    assert stats.nct(count - 1, -shift).sf(critical) < 1e-4


def test_accuracy_interval_is_scipys_bootstrap():
    rng = np.random.default_rng(1)
    correct = rng.random((5, 400)) < rng.uniform(0.6, 1, 400)
    result = ours.bootstrap_interval(correct, rng)
    theirs = stats.bootstrap(
        (correct.mean(axis=0),), np.mean, n_resamples=10_000, method="percentile", rng=rng
    ).confidence_interval
    assert result.estimate == pytest.approx(correct.mean())
    assert (result.low, result.high) == pytest.approx((theirs.low, theirs.high), abs=1e-3)


def test_accuracy_interval_of_one_run_is_binomial():
    correct = np.arange(1000) < 800
    result = ours.bootstrap_interval(correct, np.random.default_rng(2))
    low, high = stats.binom(1000, 0.8).ppf([0.025, 0.975]) / 1000
    assert (result.low, result.high) == pytest.approx((low, high), abs=1.1e-3)


def test_paired_accuracy_interval_is_scipys_bootstrap():
    rng = np.random.default_rng(3)
    chance = rng.uniform(0.5, 1, 400)
    a, b = rng.random((5, 400)) < chance, rng.random((3, 400)) < chance - 0.03
    result = ours.paired_bootstrap(a, b, rng)
    theirs = stats.bootstrap(
        (a.mean(axis=0), b.mean(axis=0)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        paired=True,
        n_resamples=10_000,
        method="percentile",
        rng=rng,
    ).confidence_interval
    assert result.estimate == pytest.approx(a.mean() - b.mean())
    assert (result.low, result.high) == pytest.approx((theirs.low, theirs.high), abs=1.5e-3)


def test_pairing_helps_when_networks_err_on_the_same_images():
    rng = np.random.default_rng(4)
    hard = rng.random(500) < 0.2
    a, b = ~hard, ~(hard | (rng.random(500) < 0.03))
    paired = ours.paired_bootstrap(a, b, rng)
    assert paired.low > 0
    alone = [ours.bootstrap_interval(answers, rng) for answers in (a, b)]
    assert alone[0].low < alone[1].high


@pytest.fixture
def answers():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 4, 300)
    a, b = (np.where(rng.random((s, 300)) < p, labels, rng.integers(0, 4, (s, 300)))
            for s, p in ((3, 0.7), (2, 0.6)))  # fmt: skip
    return labels, a, b


def test_f1_scores_are_scikit_learns(answers):
    f1_score = pytest.importorskip("sklearn.metrics").f1_score
    labels, a, _ = answers
    theirs = [f1_score(labels, row, average=None) for row in a]
    np.testing.assert_allclose(ours.f1_scores(labels, a, 4), theirs)


def test_weights_count_images(answers):
    labels, a, _ = answers
    weights = np.random.default_rng(6).integers(0, 4, (300, 2))
    repeated = [np.repeat(np.arange(300), column) for column in weights.T]
    expected = [ours.f1_scores(labels[index], a[:, index], 4) for index in repeated]
    np.testing.assert_allclose(ours.f1_scores(labels, a, 4, weights), np.stack(expected, axis=-1))


def test_a_class_without_answers_and_members_has_no_f1():
    scores = ours.f1_scores(np.array([0, 0, 1]), np.array([0, 1, 1]), 3)
    np.testing.assert_allclose(scores, [2 / 3, 2 / 3, 0])


def test_f1_intervals_are_a_bootstrap_of_images(answers):
    """Against resampling image by image with scikit-learn's definition written out anew."""
    labels, a, b = answers
    rng = np.random.default_rng(7)
    macro, of_class = ours.macro_f1_bootstrap(labels, a, 4, rng, resamples=4000)
    paired = ours.paired_macro_f1_bootstrap(labels, a, b, 4, rng, resamples=4000)
    indices = rng.integers(0, 300, (4000, 300))
    plain = np.array(
        [
            [np.mean([_f1(labels[i], row[i]) for row in rows], axis=0) for rows in (a, b)]
            for i in indices
        ]
    )  # (resamples, 2, classes)
    for result, values, tolerance in (
        (macro, plain[:, 0].mean(axis=1), 3e-3),
        (of_class, plain[:, 0], 6e-3),
        (paired, (plain[:, 0] - plain[:, 1]).mean(axis=1), 3e-3),
    ):
        low, high = np.quantile(values, [0.025, 0.975], axis=0)
        np.testing.assert_allclose(result.low, low, atol=tolerance)
        np.testing.assert_allclose(result.high, high, atol=tolerance)
    assert macro.estimate == pytest.approx(ours.f1_scores(labels, a, 4).mean())
    assert paired.estimate == pytest.approx(
        ours.f1_scores(labels, a, 4).mean() - ours.f1_scores(labels, b, 4).mean()
    )
    np.testing.assert_allclose(of_class.estimate, ours.f1_scores(labels, a, 4).mean(axis=0))


def _f1(labels, told):
    """F1 of four classes from precision and recall."""
    confusion = np.bincount(4 * labels + told, minlength=16).reshape(4, 4)
    precision, recall = np.diag(confusion) / confusion.sum(0), np.diag(confusion) / confusion.sum(1)
    return 2 * precision * recall / (precision + recall)


def test_the_interval_covers_the_truth_in_95_per_cent():
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(400):
        result = ours.bootstrap_interval(rng.random(300) < 0.7, rng, resamples=1000)
        inside += result.low <= 0.7 <= result.high
    assert inside / 400 == pytest.approx(0.95, abs=4 * (0.95 * 0.05 / 400) ** 0.5)


def test_the_same_generator_gives_the_same_interval():
    correct = np.random.default_rng(9).random((3, 200)) < 0.8
    first, again = (ours.bootstrap_interval(correct, np.random.default_rng(1)) for _ in range(2))
    assert first == again
