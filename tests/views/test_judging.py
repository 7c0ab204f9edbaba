"""Matches told right or wrong: on made-up features, against loops and known geometry."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_views import features, made, pair, plane

from pixgrad import data
from pixgrad.sift import Sift
from pixgrad.views import detectors, geometry, judging, opencv
from pixgrad.views.matching import Matches


def test_perfect_features_score_one():
    a, b, homography = plane()
    e = judging.judge(pair(homography), a, b).evaluate()
    assert (e.points, e.again, e.matches, e.correct) == (8, 8, 8, 8)
    assert e.repeatability == e.precision == e.recall == e.matching_score == 1


def test_shares_of_known_damage():
    """One feature is gone, one moved far away, two descriptors swapped."""
    a, b, homography = plane()
    xy, descriptors = b.xy.copy(), b.descriptors.copy()
    xy[1] += 25
    descriptors[[2, 3]] = descriptors[[3, 2]]
    b = made(xy[:7], 7.2, descriptors[:7])
    judged = judging.judge(pair(homography), a, b)
    e = judged.evaluate(np.ones(8, bool))
    assert (e.points, e.again, e.matches, e.correct) == (8, 6, 8, 4)
    assert e.repeatability == pytest.approx(6 / 8)
    assert e.matching_score == e.precision == pytest.approx(4 / 8)
    assert e.recall == pytest.approx(4 / 6)
    assert judged.evaluate() == judged.evaluate(judged.matches.ratio < 0.8)


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


@pytest.mark.parametrize(("factor", "same"), [(1.4, True), (1.43, False), (0.7, False)])
def test_scale_must_follow_the_homography(factor, same):
    a, b, homography = plane()
    b = made(b.xy, 7.2 * factor, b.descriptors)
    assert judging.judge(pair(homography), a, b).evaluate().again == 8 * same


@pytest.mark.parametrize(("shift", "same"), [(2.9, True), (3.1, False)])
def test_place_must_follow_the_homography(shift, same):
    a, b, homography = plane()
    b = made(b.xy + np.array([0, shift]), 7.2, b.descriptors)
    e = judging.judge(pair(homography), a, b).evaluate(np.ones(8, bool))
    assert e.again == e.correct == 8 * same


def test_common_part_is_cut_on_both_sides():
    homography = np.array(
        [[1, 0, 150], [0, 1, 0], [0, 0, 1.0]]
    )  # the right half comes from the left
    xy = np.array([[10.0, 50], [140, 50], [160, 50], [290, 50]])
    f = made(xy, 5, np.zeros((4, 128)))
    a, b = judging.common_part(pair(homography), f, f)
    assert (a.xy[:, 0].tolist(), b.xy[:, 0].tolist()) == ([10, 140], [160, 290])


def test_chance_is_the_share_of_the_view_that_the_discs_cover():
    one, two = features(4000, 7), features(300, 8)
    known = pair(np.eye(3))
    covered = 300 * np.pi * judging.TOLERANCE**2 / (200 * 300)
    same = np.abs(np.log2(np.divide.outer(one.size, two.size))) <= 0.5
    chance = judging.found_by_chance(known, one, two)
    assert chance == pytest.approx(covered * same.mean(), rel=0.25)
    assert (
        judging.found_by_chance(known, one, one)
        < 0.5
        < 1
        == judging.found_again(known, one, one).mean()
    )


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


def test_found_again_and_corresponds_against_loops():
    one, two = features(150, 4), features(500, 5)
    known = pair()
    there = geometry.transfer(known, one.xy)
    growth = geometry.magnification(known, one.xy)
    naive = np.zeros((len(one), len(two)), dtype=bool)
    for i, j in np.ndindex(naive.shape):
        near = np.hypot(*(there[i] - two.xy[j])) <= 3
        naive[i, j] = near and 2**-0.5 <= two.size[j] / (one.size[i] * growth[i]) <= 2**0.5
    np.testing.assert_array_equal(judging.found_again(known, one, two), naive.any(axis=1))
    ends = np.arange(len(one)), np.arange(len(one))[::-1] + 100
    pairs = judging.corresponds(known, one[ends[0]], two[ends[1]])
    np.testing.assert_array_equal(pairs, naive[ends])
    assert 5 < naive.any(axis=1).sum() < len(one)


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


def test_correct_matches_are_among_the_points_found_again(views, found):
    judged = judging.judge(views, *found)
    assert not (judged.correct & ~judged.again).any()
    assert 50 < judged.correct.sum() < judged.again.sum() < len(judged.a)


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
