"""Overlap of regions against closed forms and pixel counting; scores on made-up features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixgrad import opencv
from pixgrad.data import load
from pixgrad.errors import PixgradError
from pixgrad.sift import Features, Sift, evaluate
from pixgrad.sift.evaluation import average_precision, common_part, overlap_errors, overlapping

SHAPE = (200, 300)


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


def made(xy, size, descriptors):
    n = len(xy)
    flat = np.zeros(n, np.float32)
    return Features(
        np.asarray(xy, np.float32),
        np.full(n, size, np.float32),
        flat,
        flat,
        flat.astype(int),
        descriptors,
    )


@pytest.fixture
def plane():
    """Eight features, their images under a known map, and the map."""
    homography = np.array([[0, -1.2, 260], [1.2, 0, -20], [0, 0, 1]])
    xy = np.array([[40 * i + 30, 40 * j + 60] for i in range(4) for j in range(2)], float)
    there = np.column_stack([260 - 1.2 * xy[:, 1], 1.2 * xy[:, 0] - 20])
    descriptors = np.random.default_rng(3).integers(0, 60, (8, 128)).astype(np.float32)
    return made(xy, 6, descriptors), made(there, 6 * 1.2, descriptors), homography


def test_perfect_features_score_one(plane):
    a, b, homography = plane
    e = evaluate(a, b, homography, SHAPE, SHAPE)
    assert (e.regions, e.correspondences, e.matches, e.correct) == (8, 8, 8, 8)
    assert e.repeatability == e.precision == e.recall == e.matching_score == 1


def test_shares_of_known_damage(plane):
    """One feature is gone, one moved far away, two descriptors swapped."""
    a, b, homography = plane
    xy, descriptors = b.xy.copy(), b.descriptors.copy()
    xy[1] += 25
    descriptors[[2, 3]] = descriptors[[3, 2]]
    b = made(xy[:7], 7.2, descriptors[:7])
    e = evaluate(a, b, homography, SHAPE, SHAPE, ratio=0.8)
    assert (e.regions, e.correspondences, e.matches, e.correct) == (7, 6, 7, 4)
    assert e.repeatability == pytest.approx(6 / 7)
    assert e.matching_score == pytest.approx(4 / 7)
    assert e.precision == pytest.approx(4 / 7)
    assert e.recall == pytest.approx(4 / 6)


@pytest.mark.parametrize(("factor", "corresponds"), [(1.25, True), (1.35, False), (0.75, False)])
def test_scale_must_follow_the_homography(plane, factor, corresponds):
    a, b, homography = plane
    b = made(b.xy, 7.2 * factor, b.descriptors)
    assert (len(overlapping(a, b, homography)[0]) == 8) is corresponds


def test_error_of_a_shift_is_the_lens_of_normalised_circles(plane):
    a, _, _ = plane
    moved = made(a.xy + np.array([6, 0]), 6, a.descriptors)
    i, j, error = overlapping(a, moved, np.eye(3))
    np.testing.assert_array_equal(i, j)
    np.testing.assert_allclose(error, lens(6 / 30), atol=4e-3)


def test_perspective_changes_regions_by_its_jacobian():
    """The mapped circle of a small region, traced point by point, is the expected ellipse."""
    homography = np.array([[1.1, 0.2, 5], [-0.1, 0.9, 8], [4e-4, -3e-4, 1]])
    xy, r = np.array([[120.0, 90.0]]), 1e-3

    def apply(h, points):
        rows = np.column_stack([points, np.ones(len(points))]) @ h.T
        return rows[:, :2] / rows[:, 2:]

    there = apply(homography, xy)
    t = np.linspace(0, 2 * np.pi, 4001)[:-1]
    outline = apply(np.linalg.inv(homography), there + r * np.column_stack([np.cos(t), np.sin(t)]))
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


def test_only_the_common_part_counts(plane):
    a, b, homography = plane
    far = made(np.array([[290.0, 10.0]]), 6, np.full((1, 128), 9, np.float32))
    joined = Features(
        *(
            np.concatenate([x, y])
            for x, y in zip(
                (a.xy, a.size, a.angle, a.response, a.octave, a.descriptors),
                (far.xy, far.size, far.angle, far.response, far.octave, far.descriptors),
                strict=True,
            )
        )
    )
    kept, _ = common_part(joined, b, homography, SHAPE, SHAPE)
    np.testing.assert_array_equal(kept.xy, a.xy)


def test_a_view_of_itself_is_found_whole():
    photo = load("synthetic")[0].first[:160, 100:300]
    f = Sift(compiled=False).detect_and_compute(photo)
    e = evaluate(f, f, np.eye(3), photo.shape, photo.shape, ratio=None)
    assert e.repeatability == 1
    assert e.correct == e.matches >= 0.95 * len(f)  # twins share a descriptor


def test_no_features_no_division_by_zero():
    nothing = made(np.zeros((0, 2)), 1, np.zeros((0, 128), np.float32))
    e = evaluate(nothing, nothing, np.eye(3), SHAPE, SHAPE)
    assert (e.repeatability, e.precision, e.recall, e.matching_score) == (0, 0, 0, 0)


def test_average_precision_by_hand():
    ratio, correct = np.array([0.9, 0.2, 0.5, 0.7]), np.array([True, True, False, True])
    assert average_precision(ratio, correct, 4) == pytest.approx((1 + 2 / 3 + 3 / 4) / 4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1.5, 1.5), min_size=6, max_size=6))
def test_error_is_a_share_and_does_not_depend_on_rotation(numbers):
    shape, gap = np.eye(2) + np.reshape(numbers[:4], (2, 2)) / 4, np.array(numbers[4:])
    t = 0.6
    turn = np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]])
    one, two = overlap_errors(np.stack([shape, turn @ shape]), np.stack([gap, turn @ gap]))
    assert -1e-9 <= one <= 1
    assert one == pytest.approx(two, abs=5e-3)


@pytest.mark.parametrize("threshold", [0.4, 0.5, 0.7])
def test_candidates_are_all_that_overlap(threshold):
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
        if error[k] < threshold and i[k] not in used[0] and j[k] not in used[1]:
            expected.append((i[k], j[k]))
            used[0].add(i[k])
            used[1].add(j[k])
    found = overlapping(a, b, homography, threshold)
    assert len(expected) > 10
    assert list(zip(*found[:2], strict=True)) == sorted(expected)


def test_homography_is_the_same_times_any_number(plane):
    a, b, homography = plane
    assert evaluate(a, b, -7 * homography, SHAPE, SHAPE).correct == 8


def test_points_behind_the_horizon_are_not_common(plane):
    a, b, _ = plane
    tilted = np.array([[1, 0, 0], [0, 1, 0], [-1 / 100, 0, 1.0]])  # the horizon is x = 100
    kept, _ = common_part(a, b, tilted, SHAPE, SHAPE)
    assert (kept.xy[:, 0] < 100).all()


def test_several_matches_of_one_keypoint_count_once(plane):
    a, b, homography = plane
    twin = made(np.repeat(a.xy, 2, axis=0), 6, np.repeat(a.descriptors, 2, axis=0))
    e = evaluate(twin, b, homography, SHAPE, SHAPE)
    assert (e.matches, e.correct, e.correspondences) == (8, 8, 8)


@pytest.mark.parametrize(
    "homography", [np.zeros((3, 3)), np.ones((3, 3)), np.eye(2), np.full((3, 3), np.nan)]
)
def test_unusable_homography(plane, homography):
    a, b, _ = plane
    with pytest.raises(PixgradError, match="гомография"):
        evaluate(a, b, homography, SHAPE, SHAPE)


@pytest.mark.slow
@pytest.mark.parametrize("grid", ["opencv", "precise"])
def test_scores_of_oxford_pairs_are_opencvs(grid):
    """Within one percentage point, on every pair with a homography."""
    pairs = load("pairs")
    if pairs.origin != "data-root":
        pytest.skip("no boat and graf in the data root")
    detectors = (
        Sift(conventions=grid).detect_and_compute,
        lambda image: opencv.detect(image, conventions=grid),
    )
    for pair in pairs:
        scores = []
        for detect in detectors:
            a, b = detect(pair.first), detect(pair.second)
            e = evaluate(a, b, pair.homography, pair.first.shape, pair.second.shape)
            scores.append((e.repeatability, e.precision, e.recall, e.matching_score))
        np.testing.assert_allclose(scores[0], scores[1], atol=0.01, err_msg=pair.sequence)
