"""Matching and its evaluation against naive loops, simulation and known geometry."""

import cv2
import numpy as np
import pytest

from pixgrad import matching, opencv
from pixgrad.data.types import Pair, apply_homography
from pixgrad.matching import Matches

H = np.array([[0.9, -0.2, 12], [0.15, 1.05, -7], [2e-4, -1e-4, 1]])


def features(count, seed, height=200, width=300):
    rng = np.random.default_rng(seed)
    xy = rng.uniform([0, 0], [width, height], (count, 2))
    descriptors = rng.integers(0, 256, (count, 128)).astype(np.float32)
    return opencv.Features(
        xy, rng.uniform(2, 20, count), np.zeros(count), np.ones(count), descriptors
    )


def pair(homography=H):
    image = np.zeros((200, 300), np.uint8)
    return Pair("s", 2, "", image, image, "", "", homography)


def test_brute_force_and_ratio_against_all_distances():
    one, two = features(40, 0), features(50, 1)
    distances = np.linalg.norm(one.descriptors[:, None] - two.descriptors[None], axis=2)
    found = opencv.brute_force(one, two)
    np.testing.assert_array_equal(found.first, np.arange(40))
    np.testing.assert_array_equal(found.second, distances.argmin(axis=1))
    nearest = np.sort(distances, axis=1)
    np.testing.assert_allclose(found.ratio, nearest[:, 0] / nearest[:, 1], rtol=1e-5)


def test_flann_is_exact_when_it_looks_at_everything():
    one, two = features(40, 0), features(500, 1)
    exact, found = opencv.brute_force(one, two), opencv.flann(one, two, checks=5000)
    np.testing.assert_array_equal(found.second, exact.second)


def test_flann_is_the_same_every_time():
    one, two = features(200, 0), features(2000, 1)
    np.testing.assert_array_equal(
        opencv.flann(one, two, checks=8).second, opencv.flann(one, two, checks=8).second
    )


def test_ratio_of_two_zero_distances_is_one():
    zeros = np.zeros(1)
    assert Matches(zeros.astype(int), zeros.astype(int), zeros, zeros).ratio.tolist() == [1.0]


def test_mutual_against_a_loop():
    one, two = features(60, 2), features(45, 3)
    forward, backward = opencv.brute_force(one, two), opencv.brute_force(two, one)
    back = dict(zip(backward.first, backward.second, strict=True))
    naive = [back[j] == i for i, j in zip(forward.first, forward.second, strict=True)]
    np.testing.assert_array_equal(matching.mutual(forward, backward), naive)
    assert 0 < sum(naive) < len(naive)


def test_detect_agrees_with_the_keypoints_of_opencv_and_survives_a_blank_image():
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.normal(size=(120, 160, 3)), (0, 0), 2)
    image = np.clip(128 + 400 * noise, 0, 255).astype(np.uint8)
    found = opencv.detect(image)
    theirs = cv2.SIFT_create().detect(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
    assert len(found) == len(theirs) > 20
    np.testing.assert_allclose(found.xy, [k.pt for k in theirs])
    blank = opencv.detect(np.zeros((64, 64), np.uint8))
    assert len(blank) == 0 and blank.descriptors.shape == (0, 128)


def test_homography_is_recovered_among_false_matches():
    rng = np.random.default_rng(0)
    xy = rng.uniform([0, 0], [300, 200], (100, 2))
    there = apply_homography(H, xy) + rng.normal(0, 0.3, xy.shape)
    there[60:] = rng.uniform([0, 0], [300, 200], (40, 2))
    estimated, agrees = opencv.homography(xy, there)
    assert agrees[:60].all() and agrees[60:].sum() <= 2
    assert matching.corner_error(estimated, H, (200, 300)) < 1.5
    assert agrees.sum() > opencv.chance_inliers(xy, there, trials=10).max() + 20
    assert opencv.homography(xy[:3], there[:3])[0] is None


def test_corner_error_of_a_shift_is_its_length():
    shift = np.array([[1, 0, 3], [0, 1, 4], [0, 0, 1.0]])
    assert matching.corner_error(shift, np.eye(3), (20, 30)) == pytest.approx(5)
    assert matching.corner_error(None, np.eye(3), (20, 30)) == np.inf


def test_matchable_against_loops():
    one, two = features(150, 4), features(400, 5)
    known = pair()
    got = matching.matchable(known, one.xy, one.size, two.xy, two.size, tolerance=6.0)
    there = known.transfer(one.xy)
    naive = np.zeros(len(one), dtype=bool)
    for i in range(len(one)):
        for j in range(len(two)):
            near = np.hypot(*(there[i] - two.xy[j])) <= 6.0
            scale = two.size[j] / (one.size[i] * known.magnification(one.xy[i : i + 1])[0])
            naive[i] |= near and 2**-0.5 <= scale <= 2**0.5
    np.testing.assert_array_equal(got, naive)
    assert 0 < naive.sum() < len(naive)


def test_errors_of_true_ends_are_zero():
    xy = features(20, 6).xy
    np.testing.assert_allclose(matching.errors(pair(), xy, apply_homography(H, xy)), 0, atol=1e-9)


def sample(seed, count=300):
    rng = np.random.default_rng(seed)
    can = rng.uniform(size=count) < 0.6
    correct = can & (rng.uniform(size=count) < 0.7)
    ratio = np.where(correct, rng.beta(4, 4, count), rng.beta(8, 1.5, count))
    return ratio, correct, can, rng.uniform([0, 0], [800, 600], (count, 2))


def test_ratio_curve_against_its_definition():
    ratio, correct, can, xy = sample(0)
    threshold = np.array([0.05, 0.5, 0.8, 1.0])
    curve = matching.ratio_curve(ratio, correct, can, xy, threshold, resamples=50)
    for k, t in enumerate(threshold):
        kept = ratio < t
        precision = correct[kept].mean() if kept.any() else np.nan
        np.testing.assert_allclose(curve.precision[k], precision)
        np.testing.assert_allclose(curve.recall[k], (correct & kept).sum() / can.sum())


def test_bootstrap_interval_is_as_wide_as_the_binomial_one_for_independent_points():
    widths, binomial = [], []
    for seed in range(20):
        ratio, correct, can, xy = sample(seed)
        curve = matching.ratio_curve(ratio, correct, can, xy, np.array([0.8]), tile=40)
        low, high = curve.precision_interval[:, 0]
        widths.append(high - low)
        p, n = curve.precision[0], (ratio < 0.8).sum()
        binomial.append(2 * 1.96 * np.sqrt(p * (1 - p) / n))
    assert np.mean(widths) == pytest.approx(np.mean(binomial), rel=0.12)


def test_ransac_trials_against_simulation():
    share = 0.5
    trials = int(np.ceil(matching.ransac_trials(share)))
    clean = np.random.default_rng(0).uniform(size=(20_000, trials, 4)) < share
    hit = clean.all(axis=2).any(axis=1).mean()
    assert hit == pytest.approx(0.99, abs=0.003)
