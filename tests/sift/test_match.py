"""Matching against OpenCV's brute force and plain loops."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixgrad.data import load
from pixgrad.errors import PixgradError
from pixgrad.sift import Sift, match, rootsift
from pixgrad.sift.matching import two_nearest


@pytest.fixture(scope="module")
def views():
    pair = load("synthetic")[0]
    return tuple(
        Sift(compiled=False).detect_and_compute(image[100:300, 100:340])
        for image in (pair.first, pair.second)
    )


@pytest.mark.parametrize("transform", [np.asarray, rootsift])
def test_neighbours_are_those_of_brute_force(views, transform):
    a, b = (transform(v.descriptors) for v in views)
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(a, b, k=2)
    nearest, distance, next_distance = two_nearest(a, b)
    assert len(a) > 100
    np.testing.assert_array_equal(nearest, [m.trainIdx for m, _ in found])
    np.testing.assert_allclose(distance, [m.distance for m, _ in found], rtol=1e-4)
    np.testing.assert_allclose(next_distance, [n.distance for _, n in found], rtol=1e-4)


def test_mutual_matches_are_those_of_cross_check(views):
    a, b = views
    found = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(a.descriptors, b.descriptors)
    expected = sorted((m.queryIdx, m.trainIdx) for m in found)
    ours = match(a, b, ratio=None, mutual=True)
    assert list(zip(ours.first, ours.second, strict=True)) == expected


@pytest.mark.parametrize("ratio", [0.6, 0.8, None])
@pytest.mark.parametrize("mutual", [False, True])
def test_match_against_loops(views, ratio, mutual):
    a, b = views
    gaps = np.linalg.norm(a.descriptors[:, None].astype(float) - b.descriptors[None], axis=2)
    expected = []
    for i, row in enumerate(gaps):
        j = row.argmin()
        clear = ratio is None or row[j] < ratio * np.delete(row, j).min()
        if clear and (not mutual or gaps[:, j].argmin() == i):
            expected.append((i, j))
    found = match(a, b, ratio, mutual)
    assert list(zip(found.first, found.second, strict=True)) == expected
    np.testing.assert_allclose(found.distance, gaps[found.first, found.second])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(2, 60), st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_chunks_change_nothing(n, m, seed, chunk):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, (n, 3)), rng.integers(0, 4, (m, 3))  # many ties
    gaps = np.square(a[:, None] - b[None]).sum(axis=2)
    from pixgrad.sift import matching

    before = matching.CHUNK
    matching.CHUNK = chunk * m
    try:
        nearest, distance, next_distance = two_nearest(a.astype(float), b.astype(float))
    finally:
        matching.CHUNK = before
    np.testing.assert_array_equal(nearest, gaps.argmin(axis=1))
    ordered = np.sqrt(np.sort(gaps, axis=1))
    np.testing.assert_array_equal(distance, ordered[:, 0])
    np.testing.assert_array_equal(next_distance, ordered[:, 1])


def test_large_values_leave_float32():
    a = np.full((1, 128), 3000.0, np.float32)
    b = np.stack([a[0] + 1, a[0] + 2])
    found = match(a, b, ratio=None)
    assert found.second[0] == 0
    np.testing.assert_allclose(
        [found.distance[0], found.next_distance[0]], np.sqrt([128, 512]), rtol=1e-12
    )


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0), (3, 1)])
def test_few_descriptors(n, m):
    descriptors = np.arange(4 * 128, dtype=np.float32).reshape(4, 128) % 7
    a, b = descriptors[:n], descriptors[:m]
    assert len(match(a, b)) == (n if m == 1 else 0)
    assert len(match(a, b, mutual=True)) == (1 if m == 1 else 0)


def test_bytes_are_descriptors_too(views):
    a, b = (v.descriptors for v in views)
    one, two = match(a, b), match(a.astype(np.uint8), b.astype(np.uint8))
    np.testing.assert_array_equal(one.second, two.second)


def test_descriptors_must_be_comparable():
    with pytest.raises(PixgradError, match="разной длины: 128 и 64"):
        match(np.zeros((2, 128)), np.zeros((2, 64)))
    with pytest.raises(PixgradError, match=r"форма|формы"):
        match(np.zeros(128), np.zeros((2, 128)))


def test_rootsift_distance_is_hellingers():
    x, y = np.random.default_rng(1).integers(0, 200, (2, 128)).astype(np.float32)
    one, two = rootsift(np.stack([x, y]))
    p, q = x / x.sum(), y / y.sum()
    hellinger = np.sqrt(2 - 2 * np.sqrt(p * q).sum())
    assert np.linalg.norm(one - two) == pytest.approx(hellinger, rel=1e-5)
    np.testing.assert_allclose(np.linalg.norm([one, two], axis=1), 1, rtol=1e-6)
    assert not rootsift(np.zeros((1, 128), np.float32)).any()


def test_rootsift_of_features_keeps_the_points(views):
    points = views[0]
    rooted = rootsift(points)
    np.testing.assert_array_equal(rooted.descriptors, rootsift(points.descriptors))
    assert rooted.xy is points.xy and rooted.octave is points.octave
