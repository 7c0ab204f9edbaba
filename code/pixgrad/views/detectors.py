"""The detectors that are compared, and their features on pairs of views."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pixgrad.data import Pair
from pixgrad.sift import Features, Sift
from pixgrad.sift.image import to_grey
from pixgrad.views import opencv


def scikit_image_features(image: np.ndarray) -> Features:
    """Features of ``skimage.feature.SIFT`` with its defaults; no response and no octave.

    Examples
    --------
    >>> square = np.zeros((64, 64), np.uint8)
    >>> square[20:44, 20:44] = 255
    >>> found = scikit_image_features(square)
    >>> len(found) > 0, found.descriptors.shape[1]
    (True, 128)
    """
    from skimage.feature import SIFT

    sift = SIFT()
    sift.detect_and_extract(to_grey(image))
    zeros = np.zeros(len(sift.sigmas))
    return Features(
        sift.positions[:, ::-1].astype(np.float32),
        (2 * sift.sigmas).astype(np.float32),
        (np.rad2deg(sift.orientations) % 360).astype(np.float32),
        zeros.astype(np.float32),
        zeros.astype(np.int32),
        sift.descriptors.astype(np.float32),
    )


DETECTORS: Mapping[str, Callable[[np.ndarray], Features]] = {
    "наш": Sift(compiled=False).detect_and_compute,
    "наш, точная": Sift(conventions="precise", compiled=False).detect_and_compute,
    "OpenCV": opencv.detect,
    "OpenCV, точная": lambda image: opencv.detect(image, conventions="precise"),
    "scikit-image": scikit_image_features,
}
"""Detectors by their names in tables; «точная» is the precise grid. Ours run on NumPy, which rounds
as OpenCV does without fused multiply-add: on every processor the same."""


def detect_all(
    pairs: Sequence[Pair], detect: Callable[[np.ndarray], Features]
) -> list[tuple[Features, Features]]:
    """Features of both views of every pair; a first view shared by a sequence is done once.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> pair = load("synthetic")[0]
    >>> views = pair.first[:99, :99], pair.second[:99, :99]
    >>> small = Pair("small", 2, "", *views, "", "", np.eye(3))
    >>> [(first, second)] = detect_all([small], DETECTORS["наш"])
    >>> len(first) > 0 and len(second) > 0
    True
    """
    images = {pair.sequence: pair.first for pair in pairs}
    firsts = {sequence: detect(image) for sequence, image in images.items()}
    return [(firsts[pair.sequence], detect(pair.second)) for pair in pairs]
