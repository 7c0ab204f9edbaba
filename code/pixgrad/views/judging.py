"""Matches of two views told right or wrong: by the overlap of regions, or by the place.

References
----------
K. Mikolajczyk, C. Schmid, "A performance evaluation of local descriptors", PAMI 2005 (recall,
precision). K. Mikolajczyk et al., "A comparison of affine region detectors", IJCV 2005
(repeatability, matching score).
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import KDTree

from pixgrad.data import Pair
from pixgrad.sift import Features
from pixgrad.views import opencv
from pixgrad.views.geometry import corner_error, magnification, transfer
from pixgrad.views.matching import Matches, match, mutual, one_per_keypoint
from pixgrad.views.overlap import MAX_OVERLAP_ERROR, common_part, overlapping, region_errors

RATIO = 0.8
"""Lowe's threshold of the ratio test."""
TOLERANCE = 3.0
"""By place, a match is correct within so many pixels of where the point truly went."""


@dataclass(frozen=True)
class Evaluation:
    """Counts over an image pair and the scores made of them (0 where nothing was found).

    Attributes
    ----------
    regions : the smaller number of regions whose centre the other image shows.
    correspondences : one-to-one pairs of overlapping regions.
    matches : matches between regions of the common part, one for a region.
    correct : matches whose regions overlap.
    """

    regions: int
    correspondences: int
    matches: int
    correct: int

    @property
    def repeatability(self) -> float:
        """Share of regions found in both images."""
        return _share(self.correspondences, self.regions)

    @property
    def precision(self) -> float:
        """Share of correct matches among the matches."""
        return _share(self.correct, self.matches)

    @property
    def recall(self) -> float:
        """Correct matches over correspondences: what the descriptors made of the regions."""
        return _share(self.correct, self.correspondences)

    @property
    def matching_score(self) -> float:
        """Correct matches over regions: detector and descriptor together."""
        return _share(self.correct, self.regions)


@dataclass(frozen=True)
class Judged:
    """All nearest neighbours between the common parts of two views, each told right or wrong.

    Attributes
    ----------
    a, b : features of the common part, N and M.
    matches : the nearest neighbour of every feature of ``a``, before any test.
    correct : (N,) bool, matches whose regions overlap.
    corresponds : (N,) bool, features of ``a`` that have a correspondence.
    """

    a: Features
    b: Features
    matches: Matches
    correct: np.ndarray
    corresponds: np.ndarray

    @cached_property
    def mutual(self) -> np.ndarray:
        """(N,) bool, matches that hold both ways."""
        return mutual(self.matches, match(self.b, self.a))

    def evaluate(self, kept: np.ndarray | None = None) -> Evaluation:
        """Score detection and matching.

        Parameters
        ----------
        kept : as in `accepted`.
        """
        chosen = self.accepted(kept)
        return Evaluation(
            regions=min(len(self.a), len(self.b)),
            correspondences=int(self.corresponds.sum()),
            matches=len(chosen),
            correct=int(self.correct[chosen].sum()),
        )

    @property
    def average_precision(self) -> float:
        """Area under precision over recall as the ratio d1/d2 of accepted matches grows."""
        chosen = self.accepted(np.ones(len(self.a), bool))
        return average_precision(
            self.matches.ratio[chosen], self.correct[chosen], int(self.corresponds.sum())
        )

    def accepted(self, kept: np.ndarray | None = None) -> np.ndarray:
        """Numbers of the accepted matches, one for a feature of ``b``: the least distance counts.

        Parameters
        ----------
        kept : (N,) bool, matches to choose from; by default those that pass the ratio test.
        """
        kept = self.matches.ratio < RATIO if kept is None else kept
        return one_per_keypoint(self.matches[np.flatnonzero(kept)]).first


def judge(pair: Pair, a: Features, b: Features) -> Judged:
    """Match the common part of a planar pair and compare with its homography.

    A match is correct if the overlap error of its regions is below ``MAX_OVERLAP_ERROR``.

    Parameters
    ----------
    a, b : features of both views; descriptors may be RootSIFT.
    """
    a, b = common_part(pair, a, b)
    matches = match(a, b)
    error = region_errors(a[matches.first], b[matches.second], pair.homography)
    corresponds = np.isin(np.arange(len(a)), overlapping(a, b, pair.homography)[0])
    return Judged(a, b, matches, error < MAX_OVERLAP_ERROR, corresponds)


def average_precision(ratio: np.ndarray, correct: np.ndarray, possible: int) -> float:
    """Area under precision over recall when matches are accepted by growing ratio.

    Parameters
    ----------
    ratio : (M,), d1 / d2 of the matches; correct : (M,) bool.
    possible : correspondences, the number of correct matches that a perfect matcher finds.
    """
    hit = correct[np.argsort(ratio, kind="stable")]
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    return _share(float(precision[hit].sum()), possible)


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


def locate(pair: Pair, judged: Judged) -> Location:
    """Measure positions in a planar pair, with the accepted matches, one for a feature of ``b``."""
    chosen = judged.accepted()
    xy = judged.a.xy[chosen].astype(float)
    there = judged.b.xy[judged.matches.second[chosen]].astype(float)
    off = (there - transfer(pair, xy))[judged.correct[chosen]]
    matrix, _ = opencv.homography(xy, there)
    corners = corner_error(matrix, pair.homography, pair.first.shape)
    if not len(off):
        return Location(np.nan, np.full(2, np.nan), corners)
    return Location(float(np.median(np.linalg.norm(off, axis=1))), np.median(off, axis=0), corners)


def errors(pair: Pair, xy: np.ndarray, xy2: np.ndarray) -> np.ndarray:
    """Distance in the second image between where points went and where they were matched.

    Parameters
    ----------
    xy, xy2 : matched points, (M, 2).

    Returns
    -------
    float, (M,), pixels; NaN where the geometry is unknown.
    """
    return np.linalg.norm(transfer(pair, xy) - xy2, axis=1)


def matchable(
    pair: Pair,
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
    there = transfer(pair, xy)
    expected = size * magnification(pair, xy)
    known = np.flatnonzero(np.isfinite(there).all(axis=1))
    near = KDTree(xy2).query_ball_point(there[known], tolerance)
    found = np.zeros(len(xy), dtype=bool)
    found[known] = [
        np.any(np.abs(np.log2(size2[close] / size)) <= 0.5)
        for close, size in zip(near, expected[known], strict=True)
    ]
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


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
