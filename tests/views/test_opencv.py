"""What OpenCV is asked for, against loops and known geometry."""

import cv2
import numpy as np
from tiny_views import H, features, mapped

from pixgrad.views import geometry, opencv


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
    there = mapped(H, xy) + rng.normal(0, 0.3, xy.shape)
    there[60:] = rng.uniform([0, 0], [300, 200], (40, 2))
    estimated, agrees = opencv.homography(xy, there)
    assert agrees[:60].all() and agrees[60:].sum() <= 2
    assert geometry.corner_error(estimated, H, (200, 300)) < 1.5
    assert agrees.sum() > opencv.chance_inliers(xy, there, trials=10).max() + 20
    assert opencv.homography(xy[:3], there[:3])[0] is None
