"""Intervals against published quantiles, SciPy, scikit-learn and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pixgrad.errors import PixgradError
from pixgrad.results import calibration
from pixgrad.results import statistics as ours

# --- runs -----------------------------------------------------------------------------------------

SPREADS = st.floats(0.01, 10)
COUNTS = st.integers(2, 12)
SEEDS = st.integers(0, 2**32 - 1)


def by_seed(values, first: int = 1) -> dict[int, float]:
    return {first + n: float(value) for n, value in enumerate(values)}


def test_student_interval_of_five_runs():
    # t(0.975; 4) = 2.776 (any table of Student's distribution); s = √2.5 for 1 … 5.
    half = pytest.approx(2.776 * (2.5 / 5) ** 0.5, rel=2e-4)
    mean, low, high = ours.student_interval([1, 2, 3, 4, 5])
    assert (mean, mean - low, high - mean) == (3, half, half)


def test_student_interval_of_two_runs():
    found = ours.student_interval([0, 2])  # t(0.975; 1) = 12.706
    assert found == pytest.approx((1, 1 - 12.706, 1 + 12.706), rel=1e-4)


@given(SEEDS, COUNTS, st.floats(0.5, 0.99), SPREADS)
def test_paired_student_is_scipys(seed, count, level, spread):
    a, b = np.random.default_rng(seed).normal(scale=spread, size=(2, count))
    found = ours.paired_student(by_seed(a), by_seed(b), ["weights"], level)
    theirs = stats.ttest_rel(a, b)
    low, high = theirs.confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-12)
    assert found.estimate == pytest.approx((low + high) / 2, rel=1e-6, abs=1e-9)
    assert (ours.verdict(found) != "not seen") == (theirs.pvalue < 1 - level)
    assert found.effect == pytest.approx(theirs.statistic / count**0.5)
    assert found.n == (count, count)


@given(SEEDS, COUNTS, COUNTS, st.floats(0.5, 0.99), SPREADS)
def test_welch_is_scipys(seed, count_a, count_b, level, spread):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(1, spread, count_a), rng.normal(0, 1, count_b)
    found = ours.welch(a, b, level)
    theirs = stats.ttest_ind(a, b, equal_var=False)
    low, high = theirs.confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9, abs=1e-12)
    assert found.estimate == pytest.approx(a.mean() - b.mean())
    assert (ours.verdict(found) != "not seen") == (theirs.pvalue < 1 - level)
    pooled = np.sqrt((np.var(a, ddof=1) + np.var(b, ddof=1)) / 2)
    assert found.effect == pytest.approx((a.mean() - b.mean()) / pooled)
    assert found.n == (count_a, count_b)


def test_runs_are_paired_by_seed_in_whatever_order_they_come():
    pandas = pytest.importorskip("pandas")
    a = pandas.Series([1.0, 5.0, 3.0], pandas.Index([1, 3, 2], name="seed"))
    b = pandas.Series([2.5, 1.0, 4.0], pandas.Index([2, 1, 3], name="seed"))
    expected = ours.paired_student(by_seed([1, 3, 5]), by_seed([1, 2.5, 4]), ["batches"])
    assert ours.paired_student(a, b, ["batches"]) == expected
    assert expected.estimate == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("a", "b", "shared", "message"),
    [
        ({1: 1, 2: 2}, {1: 1, 2: 3}, [], "никаких; .* возьмите welch"),
        ({1: 1, 2: 2}, {1: 1, 2: 3}, ["machine"], "machine; .* weights, batches"),
        ({1: 1, 2: 2}, {1: 1, 3: 3}, ["batches"], r"зёрна разные: \[1, 2\] и \[1, 3\]"),
        ({1: 1}, {1: 1}, ["batches"], "хотя бы два запуска"),
        ({1: 1, 2: np.nan}, {1: 1, 2: 3}, ["batches"], "с числом у каждого"),
        ({1: 1, 2: np.inf}, {1: 1, 2: 3}, ["batches"], "с числом у каждого"),
    ],
)
def test_what_is_no_pair_is_refused(a, b, shared, message):
    with pytest.raises(PixgradError, match=message):
        ours.paired_student(a, b, shared)


@pytest.mark.parametrize(
    ("name", "seeds", "message"), [(None, [0, 1], "нужен «seed»"), ("seed", [1, 1], "повторяется")]
)
def test_a_column_without_its_seeds_is_refused(name, seeds, message):
    """The rows of two tables would be paired by their numbers, whatever the seeds are."""
    pandas = pytest.importorskip("pandas")
    column = pandas.Series([1.0, 2.0], pandas.Index(seeds, name=name))
    with pytest.raises(PixgradError, match=message):
        ours.paired_student(column, column, ["weights"])


def test_contrast_of_four_groups_covers_its_value_as_often_as_it_says():
    """(a - b) - (c - d) of groups with unlike spreads."""
    rng = np.random.default_rng(5)
    spreads, means = np.array([1.0, 3.0, 0.5, 2.0]), np.array([5.0, 2.0, 4.0, 3.0])
    hits = 0
    for _ in range(1000):
        a, b, c, d = rng.standard_normal((4, 4)) * spreads[:, None] + means[:, None]
        found = ours.contrast([a, d], [b, c])
        assert found.estimate == pytest.approx(a.mean() - b.mean() - c.mean() + d.mean())
        hits += found.low <= 2 <= found.high
    assert 0.93 <= hits / 1000 <= 0.975
    assert found.n == (8, 8)


def test_welch_needs_two_runs_with_numbers():
    for a in ([1.0], [1.0, np.nan]):
        with pytest.raises(PixgradError, match="хотя бы два запуска"):
            ours.welch(a, [1.0, 2.0])


def test_runs_that_do_not_vary():
    found = ours.welch([2.0, 2.0], [1.0, 1.0])
    assert (found.estimate, found.low, found.high, found.detectable) == (1, 1, 1, 0)
    assert np.isnan(found.effect)


@pytest.mark.parametrize("count", [3, 5, 10])
@pytest.mark.parametrize("power", [0.5, 0.8])
def test_detectable_difference_is_found_so_often(count, power):
    """Runs whose true difference is just detectable are found significant in ``power`` of cases."""
    rng = np.random.default_rng(count)
    unit = stats.zscore(rng.normal(size=count), ddof=1)
    zeros = by_seed(np.zeros(count))
    delta = ours.paired_student(by_seed(unit), zeros, ["weights"], power=power).detectable
    simulated = rng.normal(delta, 1, (40_000, count))
    found = stats.ttest_1samp(simulated, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(power, abs=4 * (power * (1 - power) / 40_000) ** 0.5)


@pytest.mark.parametrize(("counts", "spread"), [((5, 5), 1.0), ((4, 8), 1.0), ((8, 4), 3.0)])
def test_welch_detects_so_often(counts, spread):
    """The noncentral t with Welch's degrees of freedom is close, not exact: within 3 per cent."""
    rng = np.random.default_rng(0)
    spreads = (spread, 1.0)
    a, b = (s * stats.zscore(np.arange(n), ddof=1) for n, s in zip(counts, spreads, strict=True))
    delta = ours.welch(a, b).detectable
    first, second = (
        rng.normal(mean, s, (40_000, n))
        for mean, n, s in zip((delta, 0), counts, spreads, strict=True)
    )
    found = stats.ttest_ind(first, second, axis=1, equal_var=False).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_detectable_difference_under_the_noncentral_t(count):
    differences = by_seed(0.01 * stats.zscore(np.arange(count), ddof=1))
    found = ours.paired_student(differences, by_seed(np.zeros(count)), ["weights"])
    shift = found.detectable / 0.01 * count**0.5
    critical = stats.t(count - 1).ppf(0.975)
    assert stats.nct(count - 1, shift).sf(critical) == pytest.approx(0.8, abs=1e-6)
    # The other tail, by symmetry (SciPy's own cdf gives nan there for two runs).
    assert stats.nct(count - 1, -shift).sf(critical) < 1e-4


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 2, "holds"),
        (-2, -0.1, "opposite"),
        (-1, 1, "not seen"),
        (0, 1, "not seen"),
        (-1, 0, "not seen"),
    ],
)
def test_verdict(low, high, expected):
    assert ours.verdict(ours.Interval((low + high) / 2, low, high)) == expected


def test_no_verdict_without_an_interval():
    with pytest.raises(PixgradError, match="нет концов"):
        ours.verdict(ours.Interval(1.0, np.nan, np.nan))


# --- test images ----------------------------------------------------------------------------------


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


def test_calibration_by_hand():
    """Six answers in two of ten bins: |0.85 - 1/2| for four of them, |0.62 - 1| for two."""
    sure = np.array([0.82, 0.84, 0.86, 0.88, 0.61, 0.63])
    probabilities = np.stack([sure, 1 - sure], axis=1)
    labels = np.array([0, 0, 1, 1, 0, 0])
    share, confidence, accuracy = calibration.reliability(probabilities, labels, bins=10)
    assert np.flatnonzero(share).tolist() == [6, 8]
    np.testing.assert_allclose(share[[6, 8]], [2 / 6, 4 / 6])
    np.testing.assert_allclose(confidence[[6, 8]], [0.62, 0.85])
    np.testing.assert_allclose(accuracy[[6, 8]], [1, 0.5])
    error = calibration.calibration_error(probabilities, labels, bins=10)
    assert error == pytest.approx((2 * 0.38 + 4 * 0.35) / 6)


def test_answers_as_sure_as_they_are_right_have_no_calibration_error():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1, 200_000)
    probabilities = np.stack([sure, 1 - sure], axis=1)
    labels = (rng.random(len(sure)) > sure).astype(int)
    assert calibration.calibration_error(probabilities, labels) < 0.005
    sure = np.eye(2)[[0, 1, 1]]
    assert calibration.calibration_error(sure, np.array([0, 1, 0])) == pytest.approx(1 / 3)
