"""Matching against OpenCV's brute force and plain loops."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_views import described, features

from pixgrad.data import load
from pixgrad.errors import PixgradError
from pixgrad.sift import Sift
from pixgrad.views import matching, opencv
from pixgrad.views.matching import Matches, match, mutual, nearest_rows, rootsift


@pytest.fixture(scope="module")
def views():
    pair = load("synthetic")[0]
    return tuple(
        Sift(compiled=False).detect_and_compute(image[100:300, 100:340])
        for image in (pair.first, pair.second)
    )


@pytest.mark.parametrize("transform", [lambda features: features, rootsift])
def test_neighbours_are_those_of_brute_force(views, transform):
    a, b = (transform(v).descriptors for v in views)
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(a, b, k=2)
    (nearest, _), (distance, next_distance) = (one.T for one in nearest_rows(a, b))
    assert len(a) > 100
    np.testing.assert_array_equal(nearest, [m.trainIdx for m, _ in found])
    np.testing.assert_allclose(distance, [m.distance for m, _ in found], rtol=1e-4)
    np.testing.assert_allclose(next_distance, [n.distance for _, n in found], rtol=1e-4)


def test_mutual_matches_are_those_of_cross_check(views):
    a, b = views
    found = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(a.descriptors, b.descriptors)
    expected = sorted((m.queryIdx, m.trainIdx) for m in found)
    ours = match(a, b)
    ours = ours[mutual(ours, match(b, a))]
    assert list(zip(ours.first, ours.second, strict=True)) == expected


@pytest.mark.parametrize("ratio", [0.6, 0.8, None])
@pytest.mark.parametrize("both_ways", [False, True])
def test_match_against_loops(views, ratio, both_ways):
    a, b = views
    gaps = np.linalg.norm(a.descriptors[:, None].astype(float) - b.descriptors[None], axis=2)
    expected = []
    for i, row in enumerate(gaps):
        j = row.argmin()
        clear = ratio is None or row[j] < ratio * np.delete(row, j).min()
        if clear and (not both_ways or gaps[:, j].argmin() == i):
            expected.append((i, j))
    found = match(a, b)
    kept = found.ratio < (2 if ratio is None else ratio)
    if both_ways:
        kept &= mutual(found, match(b, a))
    found = found[kept]
    assert list(zip(found.first, found.second, strict=True)) == expected
    np.testing.assert_allclose(found.distance, gaps[found.first, found.second])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(2, 60), st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_chunks_change_nothing(n, m, seed, chunk):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, (n, 3)), rng.integers(0, 4, (m, 3))  # many ties
    gaps = np.square(a[:, None] - b[None]).sum(axis=2)
    before = matching.CHUNK
    matching.CHUNK = chunk * m
    try:
        found = nearest_rows(a.astype(float), b.astype(float))
        (nearest, _), (distance, next_distance) = (one.T for one in found)
    finally:
        matching.CHUNK = before
    np.testing.assert_array_equal(nearest, gaps.argmin(axis=1))
    ordered = np.sqrt(np.sort(gaps, axis=1))
    np.testing.assert_array_equal(distance, ordered[:, 0])
    np.testing.assert_array_equal(next_distance, ordered[:, 1])


def test_large_values_leave_float32():
    a = np.full((1, 128), 3000.0, np.float32)
    b = np.stack([a[0] + 1, a[0] + 2])
    found = match(described(a), described(b))
    assert found.second[0] == 0
    np.testing.assert_allclose(
        [found.distance[0], found.next_distance[0]], np.sqrt([128, 512]), rtol=1e-12
    )


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0), (3, 1)])
def test_few_descriptors(n, m):
    descriptors = np.arange(4 * 128, dtype=np.float32).reshape(4, 128) % 7
    a, b = described(descriptors[:n]), described(descriptors[:m])
    found = match(a, b)
    assert len(found) == (n if m == 1 else 0)
    assert mutual(found, match(b, a)).sum() == (1 if m == 1 else 0)
    assert not found.ratio[found.distance > 0].any()  # no second neighbour: nothing is ambiguous


def test_descriptors_must_be_comparable():
    with pytest.raises(PixgradError, match="разной длины: 128 и 64"):
        match(described(np.zeros((2, 128))), described(np.zeros((2, 64))))


def test_rootsift_distance_is_hellingers():
    x, y = np.random.default_rng(1).integers(0, 200, (2, 128)).astype(np.float32)
    one, two = rootsift(described(np.stack([x, y]))).descriptors
    p, q = x / x.sum(), y / y.sum()
    hellinger = np.sqrt(2 - 2 * np.sqrt(p * q).sum())
    assert np.linalg.norm(one - two) == pytest.approx(hellinger, rel=1e-5)
    np.testing.assert_allclose(np.linalg.norm([one, two], axis=1), 1, rtol=1e-6)
    assert not rootsift(described(np.zeros((1, 128), np.float32))).descriptors.any()


def test_rootsift_keeps_the_points(views):
    rooted = rootsift(views[0])
    assert rooted.xy is views[0].xy and rooted.octave is views[0].octave


def test_ratio_of_two_zero_distances_is_one():
    zeros = np.zeros(1)
    assert Matches(zeros.astype(int), zeros.astype(int), zeros, zeros).ratio.tolist() == [1.0]


def test_mutual_against_a_loop():
    one, two = features(60, 2), features(45, 3)
    forward, backward = opencv.brute_force(one, two), opencv.brute_force(two, one)
    back = dict(zip(backward.first, backward.second, strict=True))
    naive = [back[j] == i for i, j in zip(forward.first, forward.second, strict=True)]
    np.testing.assert_array_equal(mutual(forward, backward), naive)
    assert 0 < sum(naive) < len(naive)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_k_nearest_are_those_of_opencv(views, k):
    a, b = (view.descriptors for view in views)
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(a, b, k=k)
    nearest, distance = nearest_rows(a.astype(float), b.astype(float), k)
    np.testing.assert_array_equal(nearest, [[m.trainIdx for m in row] for row in found])
    expected = [[m.distance for m in row] for row in found]
    np.testing.assert_allclose(distance, expected, rtol=1e-6)


def test_fewer_rows_than_wanted_are_infinitely_far():
    _, distance = nearest_rows(np.zeros((2, 3)), np.ones((1, 3)), 3)
    np.testing.assert_array_equal(distance, [[3**0.5, np.inf, np.inf]] * 2)


@pytest.mark.parametrize("side", [0, 1])
def test_a_descriptor_with_nan_has_no_match_and_is_none(views, side):
    """One such row killed every match."""
    a, b = (described(view.descriptors[:60].copy()) for view in views)
    (a, b)[side].descriptors[7, 3] = np.nan
    found = match(a, b)
    others = [
        described(np.delete(one.descriptors, 7, axis=0)) if number == side else one
        for number, one in enumerate((a, b))
    ]
    expected = match(*others)
    shifted = np.where(np.arange(59) < 7, np.arange(59), np.arange(1, 60))
    if side == 0:
        np.testing.assert_array_equal(found.first, shifted[expected.first])
        np.testing.assert_array_equal(found.second, expected.second)
    else:
        np.testing.assert_array_equal(found.second, shifted[expected.second])
    np.testing.assert_array_equal(found.distance, expected.distance)


def test_rootsift_of_what_has_no_root_is_refused():
    for value in (-1, np.nan, np.inf):
        with pytest.raises(PixgradError, match="RootSIFT"):
            rootsift(described(np.full((1, 128), value, np.float32)))


def test_matches_as_opencv_has_them(views):
    a, b = views
    theirs = cv2.BFMatcher(cv2.NORM_L2).match(a.descriptors, b.descriptors)
    for ours, their in zip(match(a, b).to_opencv(), theirs, strict=True):
        assert (ours.queryIdx, ours.trainIdx) == (their.queryIdx, their.trainIdx)
        assert ours.distance == pytest.approx(their.distance, rel=1e-6)
