"""Two views of a scene with known geometry: detectors run on them, their matches judged."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import KDTree

from pixgrad import opencv
from pixgrad.data import Pair, Photo
from pixgrad.data.photos import warp
from pixgrad.data.resize import shrink
from pixgrad.data.types import apply_homography
from pixgrad.sift import Features, Matches, Sift, match
from pixgrad.sift.evaluation import (
    MAX_OVERLAP_ERROR,
    average_precision,
    common_part,
    one_per_keypoint,
    overlapping,
    project,
    region_errors,
)
from pixgrad.sift.image import to_grey

TOLERANCE = 3.0
"""A match is correct within so many pixels of where the point truly went."""


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
    "OpenCV": opencv.detect,
    "OpenCV, точная": lambda image: opencv.detect(image, conventions="precise"),
    "scikit-image": scikit_image_features,
}
"""Detectors by their names in tables; «точная» is the precise grid."""


def shrink_pair(pair: Pair, longest: int = 400) -> Pair:
    """Both views of a planar pair scaled down, and the homography with them."""
    first, second = shrink(pair.first, longest), shrink(pair.second, longest)
    before, after = _scaling(pair.first, first), _scaling(pair.second, second)
    homography = after @ pair.homography @ np.linalg.inv(before)
    return replace(pair, first=first, second=second, homography=homography / homography[2, 2])


def same_change(pair: Pair, photo: Photo, rng: np.random.Generator) -> Pair:
    """A photo and its view through the homography of a planar pair, with noise of 3 grey levels.

    The homography is scaled about the middle to the photo's shorter side; the photo gives its
    name to the sequence.
    """
    (height, width), (high, wide) = pair.first.shape[:2], photo.image.shape[:2]
    s = min(high, wide) / min(height, width)
    x, y = (wide - 1 - s * (width - 1)) / 2, (high - 1 - s * (height - 1)) / 2
    scale = np.array([[s, 0, x], [0, s, y], [0, 0, 1]])
    homography = scale @ pair.homography @ np.linalg.inv(scale)
    homography /= homography[2, 2]
    noisy = warp(photo.image, homography) + rng.normal(0, 3, photo.image.shape)
    return Pair(
        photo.name,
        pair.number,
        f"{photo.title}, синтетический вид\N{NO-BREAK SPACE}{pair.number}",
        photo.image,
        np.clip(noisy, 0, 255).round().astype(np.uint8),
        photo.source,
        photo.licence,
        homography,
    )


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


@dataclass(frozen=True)
class Location:
    """How exactly the correct of the accepted matches lie, in pixels of the second view.

    Attributes
    ----------
    error : median distance from where the point truly went; NaN without correct matches.
    drift : (2,), median vector of that error.
    corners : `corner_error` of the homography that RANSAC finds from the accepted matches.
    """

    error: float
    drift: np.ndarray
    corners: float


def locate(pair: Pair, judged: Judged, ratio: float = 0.8) -> Location:
    """Measure positions in a planar pair, with the matches that pass the ratio test."""
    accepted = judged.matches.ratio < ratio
    xy = judged.a.xy.astype(float)
    there = judged.b.xy[judged.matches.second].astype(float)
    off = (there - pair.transfer(xy))[accepted & judged.correct]
    matrix, _ = opencv.homography(xy[accepted], there[accepted])
    corners = corner_error(matrix, pair.homography, pair.first.shape)
    if not len(off):
        return Location(np.nan, np.full(2, np.nan), corners)
    return Location(float(np.median(np.linalg.norm(off, axis=1))), np.median(off, axis=0), corners)


def drift_of_bias(pair: Pair, bias: Sequence[float]) -> np.ndarray:
    """Drift of matches if a detector finds every point of both views ``bias`` too far.

    Parameters
    ----------
    bias : (2,), pixels.

    Returns
    -------
    (2,), pixels of the second view: ``(E - A) bias``, with the linear part A of the homography in
    the middle of the first view.
    """
    height, width = pair.first.shape[:2]
    _, (linear,) = project(pair.homography, np.array([[width / 2, height / 2]]))
    return (np.eye(2) - linear) @ np.asarray(bias)


def mutual(forward: Matches, backward: Matches) -> np.ndarray:
    """Which of ``forward`` hold both ways: bool, (M,). ``backward`` matches image 2 to image 1."""
    size = 1 + max(int(forward.second.max(initial=-1)), int(backward.first.max(initial=-1)))
    back = np.full(size, -1)
    back[backward.first] = backward.second
    return back[forward.second] == forward.first


def errors(pair, xy: np.ndarray, xy2: np.ndarray) -> np.ndarray:
    """Distance in the second image between where points went and where they were matched.

    Parameters
    ----------
    pair : a :class:`pixgrad.data.Pair`.
    xy, xy2 : matched points, (M, 2).

    Returns
    -------
    float, (M,), pixels; NaN where the geometry is unknown.
    """
    return np.linalg.norm(pair.transfer(xy) - xy2, axis=1)


def matchable(
    pair,
    xy: np.ndarray,
    size: np.ndarray,
    xy2: np.ndarray,
    size2: np.ndarray,
    tolerance: float = TOLERANCE,
) -> np.ndarray:
    """Which keypoints of the first image were found again in the second.

    Found again means: where the point went there is a keypoint within ``tolerance`` pixels whose
    size differs from the one expected there by a factor of at most sqrt(2), half an octave. By
    place alone many keypoints of a dense image would seem found by chance.

    Parameters
    ----------
    xy, size, xy2, size2 : all keypoints of both images, (N, 2), (N,), (N2, 2), (N2,).

    Returns
    -------
    bool, (N,): those that a perfect matcher could match; the denominator of recall.
    """
    there = pair.transfer(xy)
    expected = size * pair.magnification(xy)
    known = np.flatnonzero(np.isfinite(there).all(axis=1))
    near = KDTree(xy2).query_ball_point(there[known], tolerance)
    found = np.zeros(len(xy), dtype=bool)
    for index, close in zip(known, near, strict=True):
        found[index] = np.any(np.abs(np.log2(size2[close] / expected[index])) <= 0.5)
    return found


def rejected(matches: Matches, correct: np.ndarray, threshold: float) -> tuple[float, float]:
    """Shares of the false and of the correct matches that the ratio test r < t throws away."""
    thrown = matches.ratio >= threshold
    return float(thrown[~correct].mean()), float(thrown[correct].mean())


@dataclass(frozen=True)
class RatioCurve:
    """Precision and recall against the ratio threshold; ``*_interval`` is (2, T), 95 %."""

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    precision_interval: np.ndarray
    recall_interval: np.ndarray


def ratio_curve(
    ratio: np.ndarray,
    correct: np.ndarray,
    can_match: np.ndarray,
    xy: np.ndarray,
    threshold: np.ndarray,
    tile: float = 100.0,
    resamples: int = 1000,
    seed: int = 0,
) -> RatioCurve:
    """Precision and recall of the ratio test with bootstrap intervals.

    Neighbouring keypoints look at the same pixels and are not independent, so whole tiles of the
    image are resampled, not single keypoints.

    Parameters
    ----------
    ratio, correct, can_match : of every keypoint's nearest neighbour, (N,).
    xy : the keypoints, (N, 2).
    threshold : (T,), the values of t in the test r < t.
    tile : side of a tile in pixels.
    """
    kept = ratio[:, None] < threshold
    counts = _per_tile(np.floor(xy / tile).astype(int), kept, correct, can_match)
    precision, recall = _shares(*(count.sum(axis=0) for count in counts))
    rng = np.random.default_rng(seed)
    tiles = len(counts[0])
    weights = rng.multinomial(tiles, np.full(tiles, 1 / tiles), size=resamples)
    drawn = _shares(*(weights @ count for count in counts))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")  # a threshold that nothing passes
        bounds = [np.nanpercentile(values, [2.5, 97.5], axis=0) for values in drawn]
    return RatioCurve(threshold, precision, recall, *bounds)


def ransac_trials(share: float, confidence: float = 0.99) -> float:
    """Samples of four matches until one holds no false match (Fischler and Bolles, 1981).

    Parameters
    ----------
    share : w, share of correct matches, 0 < w < 1.
    confidence : p, probability of at least one clean sample.

    Returns
    -------
    N = ln(1 - p) / ln(1 - w^4).
    """
    return float(np.log1p(-confidence) / np.log1p(-(share**4)))


def corner_error(estimated: np.ndarray | None, truth: np.ndarray, shape: tuple[int, ...]) -> float:
    """Mean distance in pixels between the image's corners under two homographies.

    Parameters
    ----------
    estimated, truth : 3x3; no estimate gives infinity.
    shape : (H, W, …) of the first image.
    """
    if estimated is None:
        return float("inf")
    height, width = shape[0] - 1, shape[1] - 1
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
    gap = apply_homography(estimated, corners) - apply_homography(truth, corners)
    return float(np.linalg.norm(gap, axis=1).mean())


def _per_tile(tile_of, kept, correct, can_match):
    """Of each tile: correct among the kept, kept, found again among them, possible to find."""
    _, tile = np.unique(tile_of, axis=0, return_inverse=True)
    member = np.equal.outer(np.arange(tile.max() + 1), tile.ravel()).astype(float)
    hits, found = kept & correct[:, None], kept & (correct & can_match)[:, None]
    return member @ hits, member @ kept, member @ found, member @ can_match[:, None]


def _shares(hits, kept, found, possible):
    """Precision and recall; NaN where nothing was kept or nothing could be."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / kept, found / possible


def _scaling(large: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Map of pixel centres when an image is resized edge to edge: x' + 1/2 = s (x + 1/2)."""
    s, t = small.shape[1] / large.shape[1], small.shape[0] / large.shape[0]
    return np.array([[s, 0, (s - 1) / 2], [0, t, (t - 1) / 2], [0, 0, 1]])
