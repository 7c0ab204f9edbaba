"""Matches told right or wrong: on made-up features, against loops and known geometry."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_views import H, features, made, mapped, pair, plane

from pixgrad import data
from pixgrad.sift import Sift
from pixgrad.views import detectors, geometry, judging, opencv
from pixgrad.views.matching import Matches, match


def test_perfect_features_score_one():
    a, b, homography = plane()
    e = judging.judge(pair(homography), a, b).evaluate()
    assert (e.regions, e.correspondences, e.matches, e.correct) == (8, 8, 8, 8)
    assert e.repeatability == e.precision == e.recall == e.matching_score == 1


def test_shares_of_known_damage():
    """One feature is gone, one moved far away, two descriptors swapped."""
    a, b, homography = plane()
    xy, descriptors = b.xy.copy(), b.descriptors.copy()
    xy[1] += 25
    descriptors[[2, 3]] = descriptors[[3, 2]]
    b = made(xy[:7], 7.2, descriptors[:7])
    e = judging.judge(pair(homography), a, b).evaluate()
    assert (e.regions, e.correspondences, e.matches, e.correct) == (7, 6, 7, 4)
    assert e.repeatability == pytest.approx(6 / 7)
    assert e.matching_score == pytest.approx(4 / 7)
    assert e.precision == pytest.approx(4 / 7)
    assert e.recall == pytest.approx(4 / 6)


def test_a_view_of_itself_is_found_whole():
    photo = data.load("synthetic")[0].first[:160, 100:300]
    f = Sift(compiled=False).detect_and_compute(photo)
    judged = judging.judge(pair(np.eye(3), photo.shape), f, f)
    e = judged.evaluate(np.ones(len(judged.a), bool))
    assert e.repeatability == 1
    assert e.correct == e.matches >= 0.95 * len(f)  # twins share a descriptor


def test_no_features_no_division_by_zero():
    nothing = made(np.zeros((0, 2)), 1, np.zeros((0, 128), np.float32))
    e = judging.judge(pair(np.eye(3)), nothing, nothing).evaluate()
    assert (e.repeatability, e.precision, e.recall, e.matching_score) == (0, 0, 0, 0)


def test_average_precision_by_hand():
    ratio, correct = np.array([0.9, 0.2, 0.5, 0.7]), np.array([True, True, False, True])
    assert judging.average_precision(ratio, correct, 4) == pytest.approx((1 + 2 / 3 + 3 / 4) / 4)


def test_homography_is_the_same_times_any_number():
    a, b, homography = plane()
    assert judging.judge(pair(-7 * homography), a, b).evaluate().correct == 8


def test_several_matches_of_one_keypoint_count_once():
    a, b, homography = plane()
    twin = made(np.repeat(a.xy, 2, axis=0), 6, np.repeat(a.descriptors, 2, axis=0))
    e = judging.judge(pair(homography), twin, b).evaluate()
    assert (e.matches, e.correct, e.correspondences) == (8, 8, 8)


@pytest.mark.slow
@pytest.mark.parametrize("grid", ["opencv", "precise"])
def test_scores_of_oxford_pairs_are_opencvs(grid):
    """Within one percentage point, on every pair with a homography."""
    known = data.load("pairs")
    if known.origin != "data-root":
        pytest.skip("no boat and graf in the data root")
    both = (
        Sift(conventions=grid).detect_and_compute,
        lambda image: opencv.detect(image, conventions=grid),
    )
    for views in known:
        scores = []
        for detect in both:
            e = judging.judge(views, detect(views.first), detect(views.second)).evaluate()
            scores.append((e.repeatability, e.precision, e.recall, e.matching_score))
        np.testing.assert_allclose(scores[0], scores[1], atol=0.01, err_msg=views.sequence)


def test_matchable_against_loops():
    one, two = features(150, 4), features(400, 5)
    known = pair()
    got = judging.matchable(known, one.xy, one.size, two.xy, two.size, tolerance=6.0)
    there = geometry.transfer(known, one.xy)
    naive = np.zeros(len(one), dtype=bool)
    for i in range(len(one)):
        for j in range(len(two)):
            near = np.hypot(*(there[i] - two.xy[j])) <= 6.0
            scale = two.size[j] / (
                one.size[i] * geometry.magnification(known, one.xy[i : i + 1])[0]
            )
            naive[i] |= near and 2**-0.5 <= scale <= 2**0.5
    np.testing.assert_array_equal(got, naive)
    assert 0 < naive.sum() < len(naive)


def test_errors_of_true_ends_are_zero():
    xy = features(20, 6).xy
    np.testing.assert_allclose(judging.errors(pair(), xy, mapped(H, xy)), 0, atol=1e-9)


def sample(seed, count=300):
    rng = np.random.default_rng(seed)
    can = rng.uniform(size=count) < 0.6
    correct = can & (rng.uniform(size=count) < 0.7)
    ratio = np.where(correct, rng.beta(4, 4, count), rng.beta(8, 1.5, count))
    return ratio, correct, can, rng.uniform([0, 0], [800, 600], (count, 2))


def test_ratio_curve_against_its_definition():
    ratio, correct, can, xy = sample(0)
    threshold = np.array([0.05, 0.5, 0.8, 1.0])
    curve = judging.ratio_curve(ratio, correct, can, xy, threshold, resamples=50)
    for k, t in enumerate(threshold):
        kept = ratio < t
        precision = correct[kept].mean() if kept.any() else np.nan
        np.testing.assert_allclose(curve.precision[k], precision)
        np.testing.assert_allclose(curve.recall[k], (correct & kept).sum() / can.sum())


def test_bootstrap_interval_is_as_wide_as_the_binomial_one_for_independent_points():
    widths, binomial = [], []
    for seed in range(20):
        ratio, correct, can, xy = sample(seed)
        curve = judging.ratio_curve(ratio, correct, can, xy, np.array([0.8]), tile=40)
        low, high = curve.precision_interval[:, 0]
        widths.append(high - low)
        p, n = curve.precision[0], (ratio < 0.8).sum()
        binomial.append(2 * 1.96 * np.sqrt(p * (1 - p) / n))
    assert np.mean(widths) == pytest.approx(np.mean(binomial), rel=0.12)


@pytest.fixture(scope="module")
def views():
    return geometry.shrink_pair(data.load("synthetic")[1], 200)


@pytest.fixture(scope="module")
def found(views):
    return detectors.detect_all([views], Sift(compiled=False).detect_and_compute)[0]


def test_scores_count_a_keypoint_of_the_second_view_once(views, found):
    judged = judging.judge(views, *found)
    kept = judged.mutual | (judged.matches.ratio < 0.9)
    m, nearest = judged.matches, {}
    for n in np.flatnonzero(kept):
        best = nearest.setdefault(int(m.second[n]), n)
        if m.distance[n] < m.distance[best]:
            nearest[int(m.second[n])] = n
    e = judged.evaluate(kept)
    assert (e.matches, e.correct) == (len(nearest), judged.correct[list(nearest.values())].sum())
    assert kept.sum() > e.matches > e.correct > 50
    assert judged.evaluate() == judged.evaluate(m.ratio < 0.8)


def test_mutual_matches_hold_both_ways(views, found):
    judged = judging.judge(views, *found)
    there, back = (
        dict(zip(m.first.tolist(), m.second.tolist(), strict=True))
        for m in (match(judged.a, judged.b), match(judged.b, judged.a))
    )
    expected = [back[there[i]] == i for i in range(len(judged.a))]
    assert judged.mutual.tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_location_of_matches_made_by_hand():
    shift = np.array([3.0, 4.0])
    known, count = pair(np.eye(3)), 40
    xy = np.random.default_rng(0).uniform(20, 180, (count, 2)).astype(np.float32)
    one = replace(features(count, 0), xy=xy)
    two = replace(one, xy=xy + np.float32(shift))
    numbers, far = np.arange(count), np.arange(count) >= 30
    matches = Matches(numbers, numbers, np.where(far, 0.9, 0.1), np.ones(count))
    judged = judging.Judged(one, two, matches, ~far, ~far)
    found = judging.locate(known, judged)
    assert found.error == pytest.approx(5, abs=1e-4)
    np.testing.assert_allclose(found.drift, shift, atol=1e-4)
    assert found.corners == pytest.approx(5, abs=1e-2)
    nothing = judging.locate(known, replace(judged, correct=np.zeros(count, bool)))
    assert np.isnan(nothing.error) and np.isnan(nothing.drift).all()
