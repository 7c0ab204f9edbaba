"""Matches of two views told right or wrong where the geometry between the views is known.

Two keypoints *correspond* if the second lies where the first went and has the size expected there.
A match is correct if its ends correspond; a keypoint is found again if any corresponds with it.

References
----------
K. Mikolajczyk, C. Schmid, "A performance evaluation of local descriptors", PAMI 2005 (recall,
precision). K. Mikolajczyk et al., "A comparison of affine region detectors", IJCV 2005
(repeatability, matching score, there by the overlap of regions).
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import KDTree

from pixgrad.data import Pair
from pixgrad.sift import Features
from pixgrad.views import opencv
from pixgrad.views.geometry import corner_error, magnification, project, transfer
from pixgrad.views.matching import Matches, match, one_per_keypoint

RATIO = 0.8
"""Lowe's threshold of the ratio test."""
TOLERANCE = 3.0
"""Keypoints correspond within so many pixels of where the point truly went."""
OCTAVES = 0.5
"""Their sizes differ from the expected ratio by so many octaves at most, a factor of sqrt(2)."""
FEW = 20
"""Shares of fewer correct matches are noise: such pairs of views enter no mean."""


@dataclass(frozen=True)
class Evaluation:
    """Counts of keypoints of the first view and the scores made of them (0 where there are none).

    Attributes
    ----------
    points : keypoints whose place the other view shows.
    again : of these, those found again.
    matches : of these, those whose match was accepted.
    correct : of these, those whose match is correct.

    Examples
    --------
    >>> found = Evaluation(points=10, again=8, matches=5, correct=4)
    >>> found.repeatability, found.precision, found.recall, found.matching_score
    (0.8, 0.8, 0.5, 0.4)
    """

    points: int
    again: int
    matches: int
    correct: int

    @property
    def repeatability(self) -> float:
        """Share of keypoints found in both views."""
        return _share(self.again, self.points)

    @property
    def precision(self) -> float:
        """Share of correct matches among the accepted."""
        return _share(self.correct, self.matches)

    @property
    def recall(self) -> float:
        """Share of the keypoints found again that were matched: what the descriptors did."""
        return _share(self.correct, self.again)

    @property
    def matching_score(self) -> float:
        """Share of all keypoints that were matched: detector and descriptor together."""
        return _share(self.correct, self.points)


@dataclass(frozen=True)
class Judged:
    """All nearest neighbours between the common parts of two views, each told right or wrong.

    Attributes
    ----------
    a, b : features of the common part, N and M.
    matches : the nearest neighbour of every feature of ``a``, before any test.
    correct : (N,) bool, matches whose ends correspond.
    again : (N,) bool, features of ``a`` found again.

    Examples
    --------
    >>> from pixgrad import data, sift
    >>> image = data.load("synthetic")[0].first[:120, :120]
    >>> pair = Pair("same", 2, "", image, image, "", "", np.eye(3))
    >>> found = sift.Sift().detect_and_compute(image)
    >>> judge(pair, found, found).average_precision > 0.9
    True
    """

    a: Features
    b: Features
    matches: Matches
    correct: np.ndarray
    again: np.ndarray

    def evaluate(self, kept: np.ndarray | None = None) -> Evaluation:
        """Score detection and matching.

        Parameters
        ----------
        kept : (N,) bool, accepted matches; by default those that pass the ratio test.
        """
        kept = self.matches.ratio < RATIO if kept is None else kept
        return Evaluation(
            points=len(self.a),
            again=int(self.again.sum()),
            matches=int(kept.sum()),
            correct=int(self.correct[kept].sum()),
        )

    @property
    def average_precision(self) -> float:
        """Area under precision over recall as the ratio d1/d2 of accepted matches grows."""
        return average_precision(self.matches.ratio, self.correct, int(self.again.sum()))


def judge(pair: Pair, a: Features, b: Features) -> Judged:
    """Match the common part of a planar pair and compare with its homography.

    Parameters
    ----------
    a, b : features of both views; descriptors may be RootSIFT.

    Examples
    --------
    >>> from pixgrad import data, sift
    >>> image = data.load("synthetic")[0].first[:120, :120]
    >>> pair = Pair("same", 2, "", image, image, "", "", np.eye(3))
    >>> found = sift.Sift().detect_and_compute(image)
    >>> judge(pair, found, found).evaluate().repeatability
    1.0
    """
    a, b = common_part(pair, a, b)
    matches = match(a, b)
    correct = corresponds(pair, a[matches.first], b[matches.second])
    return Judged(a, b, matches, correct, found_again(pair, a, b))


def common_part(pair: Pair, a: Features, b: Features) -> tuple[Features, Features]:
    """Drop the features whose place the other view of a planar pair does not show.

    Examples
    --------
    >>> from pixgrad import data, sift
    >>> pair = data.load("synthetic")[0]
    >>> found = sift.Sift().detect_and_compute(pair.first[:100, :100])
    >>> seen, _ = common_part(pair, found, found)
    >>> 0 < len(seen) <= len(found)
    True
    """
    return (
        a[_lands_inside(pair.homography, a.xy, pair.second.shape)],
        b[_lands_inside(np.linalg.inv(pair.homography), b.xy, pair.first.shape)],
    )


def corresponds(pair: Pair, a: Features, b: Features) -> np.ndarray:
    """Whether keypoints in pairs, the first of ``a`` with the first of ``b`` and so on, are one.

    Returns
    -------
    bool, (N,): at most `TOLERANCE` pixels of the second view and `OCTAVES` apart.

    Examples
    --------
    >>> image = np.zeros((40, 40), np.uint8)
    >>> pair = Pair("same", 2, "", image, image, "", "", np.eye(3))
    >>> a = Features(10 * np.eye(2), *np.ones((4, 2)), np.eye(2))
    >>> corresponds(pair, a, a[::-1]), corresponds(pair, a, a)
    (array([False, False]), array([ True,  True]))
    """
    near = np.linalg.norm(transfer(pair, a.xy) - b.xy, axis=1) <= TOLERANCE
    return near & _same_size(b.size, a.size * magnification(pair, a.xy))


def found_again(pair: Pair, a: Features, b: Features) -> np.ndarray:
    """Which keypoints of ``a`` correspond with any of ``b``: those a perfect matcher could match.

    Returns
    -------
    bool, (N,).

    Examples
    --------
    >>> image = np.zeros((40, 40), np.uint8)
    >>> pair = Pair("same", 2, "", image, image, "", "", np.eye(3))
    >>> a = Features(10 * np.eye(2), *np.ones((4, 2)), np.eye(2))
    >>> found_again(pair, a, a[:1])
    array([ True, False])
    """
    there, expected = transfer(pair, a.xy), a.size * magnification(pair, a.xy)
    known = np.flatnonzero(np.isfinite(there).all(axis=1))
    near = KDTree(b.xy).query_ball_point(there[known], TOLERANCE) if len(b) else []
    found = np.zeros(len(a), dtype=bool)
    for n, close in zip(known, near, strict=bool(len(b))):
        found[n] = _same_size(b.size[close], expected[n]).any()
    return found


def found_by_chance(pair: Pair, a: Features, b: Features) -> float:
    """Share of ``a`` found again if the points of ``b`` lay as densely but elsewhere.

    Those of ``b`` are moved by a third of the view, round its sides.

    Examples
    --------
    >>> image = np.zeros((40, 40), np.uint8)
    >>> pair = Pair("same", 2, "", image, image, "", "", np.eye(3))
    >>> a = Features(10 * np.eye(2), *np.ones((4, 2)), np.eye(2))
    >>> found_by_chance(pair, a, a)
    0.0
    """
    extent = np.array(pair.second.shape[1::-1], dtype=np.float32)
    elsewhere = replace(b, xy=(b.xy + extent / 3) % extent)
    return _share(int(found_again(pair, a, elsewhere).sum()), len(a))


def average_precision(ratio: np.ndarray, correct: np.ndarray, possible: int) -> float:
    """Area under precision over recall when matches are accepted by growing ratio.

    Parameters
    ----------
    ratio : (M,), d1 / d2 of the matches; correct : (M,) bool.
    possible : the number of correct matches that a perfect matcher finds.

    Examples
    --------
    >>> ratio, correct = np.array([0.3, 0.5, 0.9]), np.array([True, False, True])
    >>> round(average_precision(ratio, correct, possible=2), 3)
    0.833
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

    Examples
    --------
    >>> Location(error=0.4, drift=np.zeros(2), corners=1.5).error
    0.4
    """

    error: float
    drift: np.ndarray
    corners: float


def locate(pair: Pair, judged: Judged) -> Location:
    """Measure positions in a planar pair, with the matches that pass the ratio test.

    RANSAC is given one match for a feature of ``b``.

    Examples
    --------
    >>> from pixgrad import data, sift
    >>> image = data.load("synthetic")[0].first[:120, :120]
    >>> pair = Pair("same", 2, "", image, image, "", "", np.eye(3))
    >>> found = sift.Sift().detect_and_compute(image)
    >>> locate(pair, judge(pair, found, found)).error
    0.0
    """
    accepted = judged.matches[judged.matches.ratio < RATIO]
    single = one_per_keypoint(accepted)
    matrix, _ = opencv.homography(judged.a.xy[single.first], judged.b.xy[single.second])
    corners = corner_error(matrix, pair.homography, pair.first.shape)
    right = accepted[judged.correct[accepted.first]]
    if not len(right):
        return Location(np.nan, np.full(2, np.nan), corners)
    off = judged.b.xy[right.second] - transfer(pair, judged.a.xy[right.first])
    return Location(float(np.median(np.linalg.norm(off, axis=1))), np.median(off, axis=0), corners)


def rejected(matches: Matches, correct: np.ndarray, threshold: float) -> tuple[float, float]:
    """Shares of the false and of the correct matches that the ratio test r < t throws away.

    Examples
    --------
    >>> numbers = np.arange(2)
    >>> found = Matches(numbers, numbers, np.array([0.5, 0.9]), np.ones(2))
    >>> rejected(found, np.array([True, False]), threshold=0.8)
    (1.0, 0.0)
    """
    thrown = matches.ratio >= threshold
    return float(thrown[~correct].mean()), float(thrown[correct].mean())


@dataclass(frozen=True)
class RatioCurve:
    """Precision and recall against the ratio threshold; ``*_interval`` is (2, T), 95 %.

    Examples
    --------
    >>> ratio, correct = np.array([0.5, 0.9]), np.array([True, False])
    >>> xy = np.array([[0.0, 0], [200, 0]])
    >>> ratio_curve(ratio, correct, correct, xy, np.array([0.8]), resamples=50).precision
    array([1.])
    """

    threshold: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    precision_interval: np.ndarray
    recall_interval: np.ndarray


def ratio_curve(
    ratio: np.ndarray,
    correct: np.ndarray,
    again: np.ndarray,
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
    ratio, correct, again : of every keypoint's nearest neighbour, (N,).
    xy : the keypoints, (N, 2).
    threshold : (T,), the values of t in the test r < t.
    tile : side of a tile in pixels.

    Examples
    --------
    >>> ratio, correct = np.array([0.5, 0.7, 0.9, 0.95]), np.array([True, True, False, True])
    >>> xy = np.array([[0.0, 0], [200, 0], [0, 200], [200, 200]])
    >>> curve = ratio_curve(ratio, correct, correct, xy, np.array([0.8]), resamples=50)
    >>> curve.precision, curve.recall.round(3)
    (array([1.]), array([0.667]))
    """
    kept = ratio[:, None] < threshold
    counts = _per_tile(np.floor(xy / tile).astype(int), kept, correct, again)
    precision, recall = _shares(*(count.sum(axis=0) for count in counts))
    rng = np.random.default_rng(seed)
    tiles = len(counts[0])
    weights = rng.multinomial(tiles, np.full(tiles, 1 / tiles), size=resamples)
    drawn = _shares(*(weights @ count for count in counts))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")  # a threshold that nothing passes
        bounds = [np.nanpercentile(values, [2.5, 97.5], axis=0) for values in drawn]
    return RatioCurve(threshold, precision, recall, *bounds)


def _per_tile(tile_of, kept, correct, again):
    """Of each tile: correct among the kept, kept, found again."""
    _, tile = np.unique(tile_of, axis=0, return_inverse=True)
    member = np.equal.outer(np.arange(tile.max() + 1), tile.ravel()).astype(float)
    return member @ (kept & correct[:, None]), member @ kept, member @ again[:, None]


def _shares(hits, kept, possible):
    """Precision and recall; NaN where nothing was kept or nothing could be."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / kept, hits / possible


def _same_size(size: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.abs(np.log2(size / expected)) <= OCTAVES


def _lands_inside(homography: np.ndarray, xy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    points, _ = project(homography, xy)
    limit = np.array([shape[1] - 1, shape[0] - 1])
    return ((points >= 0) & (points <= limit)).all(axis=1)


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
