"""Overlap of regions against closed forms, pixel counting and a full table of errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_views import made, mapped, pair, plane

from pixgrad.sift.features import concatenate
from pixgrad.views.overlap import common_part, overlap_errors, overlapping


def lens(d):
    """Overlap error of two unit circles whose centres are d apart."""
    common = 2 * np.arccos(d / 2) - d / 2 * np.sqrt(4 - d * d)
    return 1 - common / (2 * np.pi - common)


@pytest.mark.parametrize("direction", [0.0, 0.7, np.pi / 2])
def test_equal_circles(direction):
    d = np.linspace(0, 1.9, 12)
    gap = d[:, None] * np.array([np.cos(direction), np.sin(direction)])
    np.testing.assert_allclose(
        overlap_errors(np.tile(np.eye(2), (12, 1, 1)), gap), lens(d), atol=4e-3
    )


def test_concentric_circles_and_inscribed_ellipses():
    shape = np.array([np.eye(2) * 0.8, np.diag([1.0, 0.5]), [[0.3, -0.4], [0.4, 0.3]]])
    expected = 1 - np.array([0.64, 0.5, 0.25])
    np.testing.assert_allclose(overlap_errors(shape, np.zeros((3, 2))), expected, atol=3e-3)


def test_ellipses_against_counted_pixels():
    rng = np.random.default_rng(0)
    shape = np.eye(2) + rng.uniform(-0.4, 0.4, (8, 2, 2))
    gap = rng.uniform(-0.4, 0.4, (8, 2))
    y, x = np.mgrid[-2.5:2.5:1001j, -2.5:2.5:1001j]
    points = np.stack([x.ravel(), y.ravel()])
    circle = (points**2).sum(axis=0) <= 1
    for one, centre, error in zip(shape, gap, overlap_errors(shape, gap), strict=True):
        ellipse = ((np.linalg.inv(one) @ (points - centre[:, None])) ** 2).sum(axis=0) <= 1
        counted = 1 - (circle & ellipse).sum() / (circle | ellipse).sum()
        assert error == pytest.approx(counted, abs=6e-3)


@pytest.mark.parametrize(("factor", "corresponds"), [(1.25, True), (1.35, False), (0.75, False)])
def test_scale_must_follow_the_homography(factor, corresponds):
    a, b, homography = plane()
    b = made(b.xy, 7.2 * factor, b.descriptors)
    assert (len(overlapping(a, b, homography)[0]) == 8) is corresponds


def test_error_of_a_shift_is_the_lens_of_normalised_circles():
    a, _, _ = plane()
    moved = made(a.xy + np.array([6, 0]), 6, a.descriptors)
    i, j, error = overlapping(a, moved, np.eye(3))
    np.testing.assert_array_equal(i, j)
    np.testing.assert_allclose(error, lens(6 / 30), atol=4e-3)


def test_perspective_changes_regions_by_its_jacobian():
    """The mapped circle of a small region, traced point by point, is the expected ellipse."""
    homography = np.array([[1.1, 0.2, 5], [-0.1, 0.9, 8], [4e-4, -3e-4, 1]])
    xy, r = np.array([[120.0, 90.0]]), 1e-3

    there = mapped(homography, xy)
    t = np.linspace(0, 2 * np.pi, 4001)[:-1]
    outline = mapped(np.linalg.inv(homography), there + r * np.column_stack([np.cos(t), np.sin(t)]))
    x, y = (outline - xy).T
    area = 0.5 * abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())
    a = made(xy, 2 * np.sqrt(area / np.pi), np.ones((1, 128), np.float32))
    b = made(there, 2 * r, np.ones((1, 128), np.float32))
    _, _, error = overlapping(a, b, homography)
    # The common part in polar coordinates about the common centre.
    lengths = np.hypot(x, y) / np.sqrt(area / np.pi)
    counted = np.minimum(lengths, 1) ** 2
    angle = np.unwrap(np.arctan2(y, x))
    common = 0.5 * abs((counted * np.gradient(angle)).sum())
    assert error[0] == pytest.approx(1 - common / (2 * np.pi - common), abs=5e-3)


def test_only_the_common_part_counts():
    a, b, homography = plane()
    far = made(np.array([[290.0, 10.0]]), 6, np.full((1, 128), 9, np.float32))
    joined = concatenate([a, far])
    kept, _ = common_part(pair(homography), joined, b)
    np.testing.assert_array_equal(kept.xy, a.xy)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1.5, 1.5), min_size=6, max_size=6))
def test_error_is_a_share_and_does_not_depend_on_rotation(numbers):
    shape, gap = np.eye(2) + np.reshape(numbers[:4], (2, 2)) / 4, np.array(numbers[4:])
    t = 0.6
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    one, two = overlap_errors(np.stack([shape, turn @ shape]), np.stack([gap, turn @ gap]))
    assert -1e-9 <= one <= 1
    assert one == pytest.approx(two, abs=5e-3)


def test_candidates_are_all_that_overlap():
    """The one-to-one pairs against a greedy choice over the full table of errors."""
    rng = np.random.default_rng(1)
    homography = np.array([[1.1, 0.3, 5], [-0.2, 0.7, 40], [6e-4, -4e-4, 1]])
    n = 120
    ones = np.ones((n, 128), np.float32)
    a, b = (made(rng.uniform(20, 180, (n, 2)), 1, ones) for _ in range(2))
    a.size[:], b.size[:] = rng.uniform(4, 12, n), rng.uniform(4, 12, n)
    i, j = (x.ravel() for x in np.mgrid[:n, :n])
    xy, step = b.xy.astype(float), 1e-4
    flat = []
    for shift in (np.zeros(2), *(step * np.eye(2))):
        rows = np.column_stack([xy + shift, np.ones(n)]) @ np.linalg.inv(homography).T
        flat.append(rows[:, :2] / rows[:, 2:])
    jacobian = np.stack([(moved - flat[0]) / step for moved in flat[1:]], axis=2)
    shape = jacobian[j] * (b.size[j] / a.size[i])[:, None, None]
    error = overlap_errors(shape, (flat[0][j] - a.xy[i]) / 30)
    expected, used = [], (set(), set())
    for k in np.argsort(error):
        if error[k] < 0.4 and i[k] not in used[0] and j[k] not in used[1]:
            expected.append((i[k], j[k]))
            used[0].add(i[k])
            used[1].add(j[k])
    found = overlapping(a, b, homography)
    assert len(expected) > 10
    assert list(zip(*found[:2], strict=True)) == sorted(expected)


def test_points_behind_the_horizon_are_not_common():
    a, b, _ = plane()
    tilted = np.array([[1, 0, 0], [0, 1, 0], [-1 / 100, 0, 1.0]])  # the horizon is x = 100
    kept, _ = common_part(pair(tilted), a, b)
    assert (kept.xy[:, 0] < 100).all()
