"""Geometry of two views against closed forms, finite differences and simulation."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_views import mapped, pair

from pixgrad import data
from pixgrad.views import geometry


def test_magnification_is_the_root_of_the_area_ratio():
    homography = np.array([[1.2, 0.1, 5], [-0.2, 0.9, 3], [1e-3, -5e-4, 1.0]])
    tilted = pair(homography)
    xy, h = np.array([[30.0, 40.0], [100.0, 7.0]]), 1e-4
    dx = (
        geometry.transfer(tilted, xy + np.array([h, 0]))
        - geometry.transfer(tilted, xy - np.array([h, 0]))
    ) / (2 * h)
    dy = (
        geometry.transfer(tilted, xy + np.array([0, h]))
        - geometry.transfer(tilted, xy - np.array([0, h]))
    ) / (2 * h)
    area = np.abs(dx[:, 0] * dy[:, 1] - dx[:, 1] * dy[:, 0])
    np.testing.assert_allclose(geometry.magnification(tilted, xy), np.sqrt(area), rtol=1e-6)


def test_small_homography_maps_the_same_places():
    pair = data.load("synthetic")[2]
    small = geometry.shrink_pair(pair, 128)
    scale = np.array(small.first.shape[1::-1]) / np.array(pair.first.shape[1::-1])
    xy = np.random.default_rng(0).uniform(0, 511, (20, 2))
    expected = (geometry.transfer(pair, xy) + 0.5) * scale - 0.5
    found = mapped(small.homography, (xy + 0.5) * scale - 0.5)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert max(small.second.shape) == 128


def test_same_change_of_another_photo():
    """Of its own photo a pair's change is the pair but for noise; sizes scale the geometry."""
    known = data.load("synthetic")[2]
    photo = data.Photo("a", "астронавт", known.first, "", "")
    again = geometry.same_change(known, photo, np.random.default_rng(0))
    assert again.sequence == "a" and again.number == known.number
    np.testing.assert_allclose(again.homography, known.homography, atol=1e-9)
    gap = again.second.astype(float) - known.second
    assert np.abs(gap).mean() < 4 and np.abs(gap.mean()) < 0.1
    wide = replace(photo, image=np.repeat(known.first[::2, ::2], 2, axis=1))  # 256 x 512
    small = geometry.same_change(known, wide, np.random.default_rng(0))
    middle, centre = np.array([255.5, 255.5]), np.array([255.5, 127.5])
    offset = np.array([[30.0, -50], [0, 0], [-70, 20]])
    there = geometry.transfer(known, middle + 2 * offset) - middle
    np.testing.assert_allclose(geometry.transfer(small, centre + offset), centre + there / 2)


def test_drift_of_bias_is_what_biased_points_show():
    """A quarter turn, zoom 1.2: both ends of exact matches moved by the bias of the detector."""
    turned = np.array([[0, -1.2, 300], [1.2, 0, 10], [0, 0, 1.0]])
    known, bias = pair(turned), np.array([0.25, 0.1])
    xy = np.random.default_rng(0).uniform(20, 180, (50, 2))
    there = mapped(turned, xy)
    shown = (there + bias) - mapped(turned, xy + bias)
    np.testing.assert_allclose(
        np.broadcast_to(geometry.drift_of_bias(known, bias), shown.shape), shown
    )


def test_corner_error_of_a_shift_is_its_length():
    shift = np.array([[1, 0, 3], [0, 1, 4], [0, 0, 1.0]])
    assert geometry.corner_error(shift, np.eye(3), (20, 30)) == pytest.approx(5)
    assert geometry.corner_error(None, np.eye(3), (20, 30)) == np.inf


def test_ransac_trials_against_simulation():
    share = 0.5
    trials = int(np.ceil(geometry.ransac_trials(share)))
    clean = np.random.default_rng(0).uniform(size=(20_000, trials, 4)) < share
    hit = clean.all(axis=2).any(axis=1).mean()
    assert hit == pytest.approx(0.99, abs=0.003)
