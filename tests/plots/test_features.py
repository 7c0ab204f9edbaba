"""Drawings of SIFT features against OpenCV's own geometry, on images whose answer is known."""

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import EllipseCollection, LineCollection

from pixgrad.plots import features


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def opencv_descriptor(image, xy, size, angle):
    # octave 0, layer 1 in OpenCV's packing: the keypoint is read on the image as it is
    keypoint = cv2.KeyPoint(*xy, size, angle, 1, 1 << 8)
    return cv2.SIFT_create().compute(image, [keypoint])[1][0]


def rays(ax):
    """Starts and vectors of the 128 rays: (4, 4, 8, 2) each."""
    drawn = [c for c in ax.collections if isinstance(c, LineCollection)][1]
    segments = np.array(drawn.get_segments()).reshape(4, 4, 8, 2, 2)
    return segments[..., 0, :], segments[..., 1, :] - segments[..., 0, :]


@pytest.mark.parametrize("towards", [0, 45, 90, 160, 250, 300])
@pytest.mark.parametrize("angle", [0.0, 30.0, 135.0, 275.0])
def test_rays_point_along_the_gradient(ax, towards, angle):
    """A plane that brightens in one direction: the rays' sum points there, however turned."""
    y, x = np.mgrid[:128, :128] - 63.5
    direction = np.array([np.cos(np.deg2rad(towards)), np.sin(np.deg2rad(towards))])
    image = (127 + 0.9 * (x * direction[0] + y * direction[1])).round().astype(np.uint8)
    centre = np.array([63.5, 63.5])
    descriptor = opencv_descriptor(image, centre, 12.0, angle)
    features.draw_descriptor(ax, centre, 12.0, angle, descriptor)
    _, vectors = rays(ax)
    total = vectors.sum(axis=(0, 1, 2))
    cosine = total @ direction / np.linalg.norm(total)
    assert cosine > np.cos(np.deg2rad(4))


@pytest.mark.parametrize("angle", [0.0, 60.0, 200.0])
@pytest.mark.parametrize("cell", [(0, 0), (1, 3), (2, 1), (3, 0)])
def test_cells_lie_where_opencv_looks(ax, cell, angle):
    """A small blob drawn in the middle of one cell must fill that cell's histogram most."""
    centre, size = np.array([100.0, 100.0]), 16.0
    features.draw_descriptor(ax, centre, size, angle, np.ones(128))
    starts, _ = rays(ax)
    middle = starts[cell][0]
    y, x = np.mgrid[:200, :200]
    blob = np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / (2 * 4.0**2))
    descriptor = opencv_descriptor((200 * blob).round().astype(np.uint8), centre, size, angle)
    energy = descriptor.reshape(4, 4, 8).sum(axis=2)
    assert np.unravel_index(energy.argmax(), (4, 4)) == cell


def test_the_longest_ray_reaches_the_side_of_its_cell(ax):
    size = 10.0
    features.draw_descriptor(ax, np.array([50.0, 50.0]), size, 20.0, np.arange(128.0))
    _, vectors = rays(ax)
    longest = np.linalg.norm(vectors, axis=-1).max()
    assert longest == pytest.approx(3 * (size / 2) / 2)


def test_keypoints_have_their_diameter_and_direction(ax):
    xy, size, angle = np.array([[10.0, 20.0], [30.0, 5.0]]), np.array([4.0, 8.0]), [0.0, 90.0]
    features.draw_keypoints(ax, xy, size, np.array(angle))
    circles = next(c for c in ax.collections if isinstance(c, EllipseCollection))
    np.testing.assert_array_equal(circles.get_widths(), size)
    radii = next(c for c in ax.collections if isinstance(c, LineCollection)).get_segments()
    # 90 degrees is down on the screen, as in OpenCV
    np.testing.assert_allclose([line[1] for line in radii], [[12, 20], [30, 9]], atol=1e-12)


def test_matches_end_in_their_own_photograph():
    images = np.zeros((50, 80), np.uint8), np.zeros((70, 40, 3), np.uint8)
    ends = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[5.0, 6.0], [7.0, 8.0]])
    figure = features.draw_matches(images, *ends, np.array([True, False]), gap=10)
    lines = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    false, good = (np.array(c.get_segments()).tolist() for c in lines)
    assert good == [[[1, 2], [95, 6]]]
    assert false == [[[3, 4], [97, 8]]]
    assert figure.axes[0].images[0].get_array().shape == (70, 130)
    plt.close(figure)


def test_spread_keypoints_are_strong_apart_and_inside():
    rng = np.random.default_rng(0)
    xy = rng.uniform(0, 300, (400, 2))
    size, response = rng.uniform(3, 12, 400), rng.uniform(size=400)
    chosen = features.spread(xy, size, response, (300, 300), 5)
    assert len(chosen) == 5 and (size[chosen] >= 6).all()
    assert (np.diff(response[chosen]) <= 0).all()
    reach = 3 * size / 2 * 2 * np.sqrt(2)
    for i, a in enumerate(chosen):
        assert (xy[a] >= reach[a]).all() and (xy[a] <= 299 - reach[a]).all()
        for b in chosen[:i]:
            assert np.hypot(*(xy[a] - xy[b])) > reach[a] + reach[b]
