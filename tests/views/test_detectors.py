"""Detectors on pairs of views."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_views import pair

from pixgrad.sift import Sift
from pixgrad.views import detectors


def test_first_view_of_a_sequence_is_detected_once():
    views = pair()
    calls = []

    def detect(image):
        calls.append(image)
        return len(calls)

    assert detectors.detect_all([views, replace(views, number=9)], detect) == [(1, 2), (1, 3)]
    assert calls[0] is views.first


def test_scikit_image_finds_a_blob_where_it_is():
    y, x = np.mgrid[:96, :128]
    blob = 40 + 180 * np.exp(-((x - 70) ** 2 + (y - 40) ** 2) / (2 * 4.0**2))
    f = detectors.scikit_image_features(blob.round().astype(np.uint8))
    nearest = np.linalg.norm(f.xy - np.array([70, 40]), axis=1).argmin()
    np.testing.assert_allclose(f.xy[nearest], [70, 40], atol=0.3)
    ours = Sift(compiled=False).detect_and_compute(blob.round().astype(np.uint8))
    same = np.linalg.norm(ours.xy - np.array([70, 40]), axis=1).argmin()
    assert f.size[nearest] == pytest.approx(ours.size[same], rel=0.1)
    assert f.descriptors.shape[1] == 128
