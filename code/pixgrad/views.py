"""Views of one scene for a comparison of SIFTs: smaller views, detectors, measures of matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from pixgrad.data import Pair
from pixgrad.data.resize import shrink
from pixgrad.matching import Matches, mutual
from pixgrad.sift import Features, Sift, match
from pixgrad.sift.agreement import opencv_features
from pixgrad.sift.evaluation import (
    MAX_OVERLAP_ERROR,
    average_precision,
    common_part,
    one_per_keypoint,
    overlapping,
    region_errors,
)
from pixgrad.sift.image import to_grey


def scikit_image_features(image: np.ndarray) -> Features:
    """Features of ``skimage.feature.SIFT`` with its defaults; no response and no octave."""
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
    "наш": Sift().detect_and_compute,
    "наш, точная": Sift(conventions="precise").detect_and_compute,
    "OpenCV": opencv_features,
    "OpenCV, точная": lambda image: opencv_features(image, "precise"),
    "scikit-image": scikit_image_features,
}
"""Detectors by their names in tables; «точная» is the precise grid."""


def shrink_pair(pair: Pair, longest: int = 400) -> Pair:
    """Both views of a planar pair scaled down, and the homography with them."""
    first, second = shrink(pair.first, longest), shrink(pair.second, longest)
    before, after = _scaling(pair.first, first), _scaling(pair.second, second)
    homography = after @ pair.homography @ np.linalg.inv(before)
    return replace(pair, first=first, second=second, homography=homography / homography[2, 2])


def detect_all(pairs: list[Pair], detect: Callable[[np.ndarray], Features]):
    """Features of both views of every pair; a first view shared by a sequence is done once.

    Returns
    -------
    list of (Features, Features).
    """
    firsts: dict[str, Features] = {}
    for pair in pairs:
        if pair.sequence not in firsts:
            firsts[pair.sequence] = detect(pair.first)
    return [(firsts[pair.sequence], detect(pair.second)) for pair in pairs]


@dataclass(frozen=True)
class Judged:
    """All nearest neighbours between the common parts of two views, each told right or wrong.

    Attributes
    ----------
    a, b : features of the common part, N and M.
    matches : the nearest neighbour of every feature of ``a``, before any test.
    correct, mutual : (N,) bool, of the matches.
    corresponds : (N,) bool, features of ``a`` that have a correspondence.
    """

    a: Features
    b: Features
    matches: Matches
    correct: np.ndarray
    mutual: np.ndarray
    corresponds: np.ndarray

    def scores(self, kept: np.ndarray) -> tuple[float, float, float]:
        """Precision, recall and matching score of the matches marked in ``kept`` (N,) bool."""
        chosen = self._accepted(kept)
        correct = int(self.correct[chosen].sum())
        possible = (len(chosen), int(self.corresponds.sum()), min(len(self.a), len(self.b)))
        return tuple(correct / count if count else 0.0 for count in possible)

    @property
    def average_precision(self) -> float:
        """Area under precision over recall as the ratio d1/d2 of accepted matches grows."""
        chosen = self._accepted(np.ones(len(self.a), bool))
        return average_precision(
            self.matches.ratio[chosen], self.correct[chosen], int(self.corresponds.sum())
        )

    def _accepted(self, kept: np.ndarray) -> np.ndarray:
        """Numbers of the kept matches, one for a feature of ``b``."""
        return one_per_keypoint(self.matches[np.flatnonzero(kept)]).first


def judge(pair: Pair, a: Features, b: Features) -> Judged:
    """Match the common part of a planar pair and compare with its homography."""
    a, b = common_part(a, b, pair.homography, pair.first.shape, pair.second.shape)
    matches, back = match(a, b, ratio=None), match(b, a, ratio=None)
    error = region_errors(a[matches.first], b[matches.second], pair.homography)
    corresponds = np.zeros(len(a), bool)
    corresponds[overlapping(a, b, pair.homography)[0]] = True
    both = mutual(matches, back)
    return Judged(a, b, matches, error < MAX_OVERLAP_ERROR, both, corresponds)


def _scaling(large: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Map of pixel centres when an image is resized edge to edge: x' + 1/2 = s (x + 1/2)."""
    s, t = small.shape[1] / large.shape[1], small.shape[0] / large.shape[0]
    return np.array([[s, 0, (s - 1) / 2], [0, t, (t - 1) / 2], [0, 0, 1]])
