"""Fates of keypoints against the detector itself and pictures whose motion is known."""

from itertools import pairwise

import numpy as np
import pytest

from pixgrad.sift import Sift, fates, refinement


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """Discs of several sizes and brightnesses, (120, 160) uint8."""
    y, x = np.mgrid[:120, :160]
    rng = np.random.default_rng(3)
    grey = np.full((120, 160), 90.0)
    for row in range(20, 120, 28):
        for column in range(20, 160, 28):
            distance = np.hypot(x - column - rng.random(), y - row - rng.random())
            edge = np.clip(rng.uniform(2, 8) - distance + 0.5, 0, 1)
            grey += rng.choice([-60, 80]) * edge
    return grey.round().astype(np.uint8)


def test_those_kept_are_the_keypoints_of_the_detector(picture):
    ours, found = fates.candidates(picture.astype(np.float32)).kept(), Sift().detect(picture)
    theirs = np.unique(np.column_stack([found.xy, found.size]), axis=0)
    mine = np.column_stack([ours.xy, 2 * ours.scale])
    assert len(mine) == len(theirs) > 10
    order = np.lexsort(mine.T[::-1].round(3))
    np.testing.assert_allclose(mine[order], theirs, atol=2e-3)


def test_a_picture_moved_by_whole_pixels_keeps_its_keypoints(picture):
    before = fates.candidates(picture[:, :-4].astype(np.float32)).kept()
    after = fates.candidates(picture[:, 4:].astype(np.float32))
    inside = (before.xy[:, 0] > 40) & (before.xy[:, 0] < 110) & (before.scale < 4)
    fate = fates.fates(before, after, (-4.0, 0.0))
    assert inside.sum() > 5
    assert (fate[inside] == refinement.KEPT).all()


def test_the_candidate_nearby_tells_the_fate():
    places, nothing = np.array([[10.0, 10], [50, 50]]), np.zeros(2)
    points = fates.Candidates(places, np.array([2.0, 2]), nothing, nothing)
    after = fates.Candidates(
        np.array([[11, 10], [11.5, 10], [10, 10.5], [53, 50]]),
        np.array([2.0, 2.5, 3, 2]),
        np.zeros(4),
        np.array([refinement.EDGE, refinement.LOW_CONTRAST, refinement.KEPT, refinement.KEPT]),
    )
    # The third is nearest but too large, the last is farther than the scale.
    assert fates.fates(points, after, (0, 0)).tolist() == [refinement.EDGE, fates.LOST]
    # Moved by 1.4 pixels, the second is nearer; a keypoint goes before what is nearer.
    assert fates.fates(points, after, (1.4, 0)).tolist() == [
        refinement.LOW_CONTRAST,
        refinement.KEPT,
    ]


def test_half_pixel_views_are_means_of_blocks():
    slope = np.add.outer(10.0 * np.arange(7), np.arange(9.0))
    views = fates.half_pixel_views(slope)
    first = views[0, 0]
    assert first.shape == (3, 4)
    for (dx, dy), view in views.items():  # half a pixel of the half size is a pixel of the slope
        np.testing.assert_allclose(view - first, -2 * dx - 20 * dy)


def test_fifths_share_out_all_in_order():
    value = np.random.default_rng(0).normal(size=23)
    parts = fates.fifths(value)
    assert sorted(np.concatenate(parts)) == list(range(23))
    assert all(value[one].max() <= value[two].min() for one, two in pairwise(parts))
