"""Matching against OpenCV's brute force and plain loops."""

import cv2
import numpy as np
import pytest

from pixgrad.data import load
from pixgrad.sift import Features, Sift, match, matching, rootsift
from pixgrad.sift.matching import two_nearest


def with_descriptors(descriptors):
    n = len(descriptors)
    flat = np.zeros(n, np.float32)
    return Features(np.zeros((n, 2), np.float32), flat, flat, flat, flat.astype(int), descriptors)


@pytest.fixture(scope="module")
def views():
    pair = load("synthetic")[0]
    return tuple(
        Sift(compiled=False).detect_and_compute(image[100:300, 100:340])
        for image in (pair.first, pair.second)
    )


def test_neighbours_are_those_of_brute_force(views):
    a, b = views
    found = cv2.BFMatcher(cv2.NORM_L2).knnMatch(a.descriptors, b.descriptors, k=2)
    nearest, distance, next_distance = two_nearest(*(f.descriptors.astype(float) for f in (a, b)))
    assert len(a) > 100
    np.testing.assert_array_equal(nearest, [m.trainIdx for m, _ in found])
    np.testing.assert_allclose(distance, [m.distance for m, _ in found], rtol=1e-6)
    np.testing.assert_allclose(next_distance, [n.distance for _, n in found], rtol=1e-6)


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


def test_many_rows_are_compared_in_blocks(monkeypatch):
    monkeypatch.setattr(matching, "CHUNK", 5000)
    a, b = np.random.default_rng(0).uniform(0, 100, (2, 400, 128))
    gaps = np.linalg.norm(a[:, None] - b, axis=2)
    nearest, distance, next_distance = two_nearest(a, b)
    np.testing.assert_array_equal(nearest, gaps.argmin(axis=1))
    expected = np.sort(gaps, axis=1)[:, :2].T
    np.testing.assert_allclose([distance, next_distance], expected, rtol=1e-12)


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (0, 0), (3, 1)])
def test_few_descriptors(n, m):
    descriptors = np.arange(4 * 128, dtype=np.float32).reshape(4, 128) % 7
    a, b = with_descriptors(descriptors[:n]), with_descriptors(descriptors[:m])
    assert len(match(a, b)) == (n if m == 1 else 0)
    assert len(match(a, b, mutual=True)) == (1 if m == 1 else 0)


def test_rootsift_distance_is_hellingers():
    x, y = np.random.default_rng(1).integers(0, 200, (2, 128)).astype(np.float32)
    one, two = rootsift(np.stack([x, y]))
    p, q = x / x.sum(), y / y.sum()
    hellinger = np.sqrt(2 - 2 * np.sqrt(p * q).sum())
    assert np.linalg.norm(one - two) == pytest.approx(hellinger, rel=1e-5)
    np.testing.assert_allclose(np.linalg.norm([one, two], axis=1), 1, rtol=1e-6)
    assert not rootsift(np.zeros((1, 128), np.float32)).any()
