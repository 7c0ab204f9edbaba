"""Two views: matching and its evaluation against loops, simulation and known geometry."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pixgrad import data, matching, opencv
from pixgrad.data.types import Pair, apply_homography
from pixgrad.sift import Features, Matches, Sift, evaluate, match

H = np.array([[0.9, -0.2, 12], [0.15, 1.05, -7], [2e-4, -1e-4, 1]])


def features(count, seed, height=200, width=300):
    rng = np.random.default_rng(seed)
    xy = rng.uniform([0, 0], [width, height], (count, 2))
    descriptors = rng.integers(0, 256, (count, 128)).astype(np.float32)
    size, zeros = rng.uniform(2, 20, count), np.zeros(count)
    return Features(xy, size, zeros, np.ones(count), zeros.astype(np.int32), descriptors)


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


# --- detectors on pairs of views ------------------------------------------------------------------


@pytest.fixture(scope="module")
def views():
    return matching.shrink_pair(data.load("synthetic")[1], 200)


@pytest.fixture(scope="module")
def found(views):
    return matching.detect_all([views], Sift(compiled=False).detect_and_compute)[0]


def test_small_homography_maps_the_same_places():
    pair = data.load("synthetic")[2]
    small = matching.shrink_pair(pair, 128)
    scale = np.array(small.first.shape[1::-1]) / np.array(pair.first.shape[1::-1])
    xy = np.random.default_rng(0).uniform(0, 511, (20, 2))
    expected = (pair.transfer(xy) + 0.5) * scale - 0.5
    found = apply_homography(small.homography, (xy + 0.5) * scale - 0.5)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert max(small.second.shape) == 128


def test_first_view_of_a_sequence_is_detected_once(views):
    calls = []

    def detect(image):
        calls.append(image)
        return len(calls)

    assert matching.detect_all([views, replace(views, number=9)], detect) == [(1, 2), (1, 3)]
    assert calls[0] is views.first


@pytest.mark.parametrize("ratio", [None, 0.8])
@pytest.mark.parametrize("mutual", [False, True])
def test_scores_are_those_of_evaluate(views, found, ratio, mutual):
    judged = matching.judge(views, *found)
    kept = judged.matches.ratio < (2 if ratio is None else ratio)
    if mutual:
        kept &= judged.mutual
    e = evaluate(
        *found, views.homography, views.first.shape, views.second.shape, ratio=ratio, mutual=mutual
    )
    assert judged.scores(kept) == pytest.approx((e.precision, e.recall, e.matching_score))
    assert e.correct > 50


def test_mutual_matches_hold_both_ways(views, found):
    judged = matching.judge(views, *found)
    there, back = (
        dict(zip(m.first.tolist(), m.second.tolist(), strict=True))
        for m in (match(judged.a, judged.b, None), match(judged.b, judged.a, None))
    )
    expected = [back[there[i]] == i for i in range(len(judged.a))]
    assert judged.mutual.tolist() == expected
    assert 0 < sum(expected) < len(expected)


def test_scikit_image_finds_a_blob_where_it_is():
    y, x = np.mgrid[:96, :128]
    blob = 40 + 180 * np.exp(-((x - 70) ** 2 + (y - 40) ** 2) / (2 * 4.0**2))
    f = matching.scikit_image_features(blob.round().astype(np.uint8))
    nearest = np.linalg.norm(f.xy - np.array([70, 40]), axis=1).argmin()
    np.testing.assert_allclose(f.xy[nearest], [70, 40], atol=0.3)
    ours = Sift(compiled=False).detect_and_compute(blob.round().astype(np.uint8))
    same = np.linalg.norm(ours.xy - np.array([70, 40]), axis=1).argmin()
    assert f.size[nearest] == pytest.approx(ours.size[same], rel=0.1)
    assert f.descriptors.shape[1] == 128


def test_same_change_of_another_photo():
    """Of its own photo a pair's change is the pair but for noise; sizes scale the geometry."""
    known = data.load("synthetic")[2]
    photo = data.Photo("a", "астронавт", known.first, "", "")
    again = matching.same_change(known, photo, np.random.default_rng(0))
    assert again.sequence == "a" and again.number == known.number
    np.testing.assert_allclose(again.homography, known.homography, atol=1e-9)
    gap = again.second.astype(float) - known.second
    assert np.abs(gap).mean() < 4 and np.abs(gap.mean()) < 0.1
    wide = replace(photo, image=np.repeat(known.first[::2, ::2], 2, axis=1))  # 256 x 512
    small = matching.same_change(known, wide, np.random.default_rng(0))
    middle, centre = np.array([255.5, 255.5]), np.array([255.5, 127.5])
    offset = np.array([[30.0, -50], [0, 0], [-70, 20]])
    there = known.transfer(middle + 2 * offset) - middle
    np.testing.assert_allclose(small.transfer(centre + offset), centre + there / 2)


def test_drift_of_bias_is_what_biased_points_show():
    """A quarter turn, zoom 1.2: both ends of exact matches moved by the bias of the detector."""
    turned = np.array([[0, -1.2, 300], [1.2, 0, 10], [0, 0, 1.0]])
    known, bias = pair(turned), np.array([0.25, 0.1])
    xy = np.random.default_rng(0).uniform(20, 180, (50, 2))
    there = apply_homography(turned, xy)
    shown = (there + bias) - apply_homography(turned, xy + bias)
    np.testing.assert_allclose(
        np.broadcast_to(matching.drift_of_bias(known, bias), shown.shape), shown
    )


def test_location_of_matches_made_by_hand():
    shift = np.array([3.0, 4.0])
    known, count = pair(np.eye(3)), 40
    xy = np.random.default_rng(0).uniform(20, 180, (count, 2)).astype(np.float32)
    one = replace(features(count, 0), xy=xy)
    two = replace(one, xy=xy + np.float32(shift))
    numbers, far = np.arange(count), np.arange(count) >= 30
    matches = Matches(numbers, numbers, np.where(far, 0.9, 0.1), np.ones(count))
    judged = matching.Judged(one, two, matches, ~far, ~far, ~far)
    found = matching.locate(known, judged)
    assert found.error == pytest.approx(5, abs=1e-4)
    np.testing.assert_allclose(found.drift, shift, atol=1e-4)
    assert found.corners == pytest.approx(5, abs=1e-2)
    nothing = matching.locate(known, replace(judged, correct=np.zeros(count, bool)))
    assert np.isnan(nothing.error) and np.isnan(nothing.drift).all()
