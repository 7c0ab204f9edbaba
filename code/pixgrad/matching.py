"""Matches between keypoints, and how good they are where the geometry is known."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from pixgrad.data.types import apply_homography
from pixgrad.sift.matching import Matches

TOLERANCE = 3.0
"""A match is correct within so many pixels of where the point truly went."""


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
