"""How good keypoints and matches are where the homography between the images is known.

A keypoint stands for a disc. Discs of the second image are carried to the first by the local
affine approximation of the homography and become ellipses; two regions *correspond* if their
overlap error ``1 - intersection / union`` is small. As in the papers, before it is measured both
regions are scaled alike so that the one of the first image gets a radius of 30 pixels: large
regions would overlap at any accuracy, small ones at none.

References
----------
K. Mikolajczyk, C. Schmid, "A performance evaluation of local descriptors", PAMI 2005 (recall,
precision). K. Mikolajczyk et al., "A comparison of affine region detectors", IJCV 2005
(overlap error, repeatability, matching score).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import PixgradError
from .features import Features
from .matching import Matches, match

RADIUS = 30.0  # of the first region when overlap is measured, pixels
MAX_OVERLAP_ERROR = 0.4
SLICES = 96  # across a disc when an area is integrated
BLOCK = 1 << 20  # pairs of keypoints looked at together
CHUNK = 1 << 11  # pairs of regions whose areas are integrated together


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


def evaluate(
    features_a: Features,
    features_b: Features,
    homography: np.ndarray,
    shape_a: tuple[int, ...],
    shape_b: tuple[int, ...],
    max_overlap_error: float = MAX_OVERLAP_ERROR,
    ratio: float | None = 0.8,
    mutual: bool = False,
) -> Evaluation:
    """Score detection and matching on an image pair with a known homography.

    Keypoints outside the common part of the images are dropped first. A match is correct if the
    overlap error of its regions is below the threshold; if several keypoints match one, the
    least distance counts.

    Parameters
    ----------
    features_a, features_b : features of both images (``descriptors`` may be RootSIFT).
    homography : (3, 3), ``x_b ~ H x_a``.
    shape_a, shape_b : (H, W, …) of both images.
    max_overlap_error : 0.4 in the comparison of detectors, 0.5 in that of descriptors.
    ratio, mutual : as in `match`.
    """
    a, b = common_part(features_a, features_b, homography, shape_a, shape_b)
    pairs, _, _ = overlapping(a, b, homography, max_overlap_error)
    matches = one_per_keypoint(match(a, b, ratio, mutual))
    error = region_errors(a[matches.first], b[matches.second], homography)
    correct = int((error < max_overlap_error).sum())
    return Evaluation(min(len(a), len(b)), len(pairs), len(matches), correct)


def common_part(
    a: Features,
    b: Features,
    homography: np.ndarray,
    shape_a: tuple[int, ...],
    shape_b: tuple[int, ...],
) -> tuple[Features, Features]:
    """Drop the features whose centre the other image does not show."""
    homography = _checked(homography)
    return (
        a[_lands_inside(homography, a.xy, shape_b)],
        b[_lands_inside(np.linalg.inv(homography), b.xy, shape_a)],
    )


def overlapping(
    a: Features,
    b: Features,
    homography: np.ndarray,
    max_overlap_error: float = MAX_OVERLAP_ERROR,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correspondences: pairs of overlapping regions, each region once, the best pairs first.

    Returns
    -------
    i, j : (K,) int64, numbers in ``a`` (ascending) and in ``b``.
    error : (K,) float64, overlap errors below the threshold.
    """
    i, j = _candidates(a, b, np.linalg.inv(_checked(homography)), max_overlap_error)
    error = region_errors(a[i], b[j], homography)
    used_a, used_b, chosen = np.zeros(len(a), bool), np.zeros(len(b), bool), []
    good = np.flatnonzero(error < max_overlap_error)
    for k in good[np.argsort(error[good], kind="stable")]:
        if not (used_a[i[k]] or used_b[j[k]]):
            used_a[i[k]] = used_b[j[k]] = True
            chosen.append(k)
    chosen = np.sort(np.array(chosen, np.int64))
    return i[chosen], j[chosen], error[chosen]


def region_errors(a: Features, b: Features, homography: np.ndarray) -> np.ndarray:
    """Overlap errors of regions in pairs: the first of ``a`` with the first of ``b`` and so on.

    Parameters
    ----------
    a, b : N features each; only ``xy`` and ``size`` are used.
    homography : (3, 3), ``x_b ~ H x_a``.

    Returns
    -------
    (N,) float64 in [0, 1].
    """
    centre, jacobian = project(np.linalg.inv(_checked(homography)), b.xy)
    # Both regions times RADIUS / r_a, the gap of the centres in pixels; then in units of RADIUS.
    scale = b.size / a.size.astype(np.float64)
    return overlap_errors(jacobian * scale[:, None, None], (centre - a.xy) / RADIUS)


def overlap_errors(shape: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Overlap errors of the unit disc at 0 and the ellipses ``gap + shape · unit disc``.

    The disc is cut into slices across x; in each, the common part of the two chords is summed.
    With ``x = sin t`` the integrand is smooth at the ends of the disc.

    Parameters
    ----------
    shape : (N, 2, 2); gap : (N, 2).

    Returns
    -------
    (N,) float64 in [0, 1].
    """
    result = np.empty(len(gap))
    for start in range(0, len(gap), CHUNK):
        part = slice(start, start + CHUNK)
        result[part] = 1 - _intersection_over_union(shape[part], gap[part])
    return result


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


def project(homography: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map points and give the local affine approximation.

    Parameters
    ----------
    homography : (3, 3); xy : (N, 2).

    Returns
    -------
    points : (N, 2) float64; NaN for points on or behind the horizon.
    jacobian : (N, 2, 2) float64, ``d points / d xy``.
    """
    xy = np.asarray(xy, np.float64)
    mapped = xy @ homography[:, :2].T + homography[:, 2]
    depth = np.where(mapped[:, 2:] > 0, mapped[:, 2:], np.nan)
    points = mapped[:, :2] / depth
    slope = homography[:2, :2] - points[:, :, None] * homography[2, :2]
    return points, slope / depth[:, :, None]


def _checked(homography: np.ndarray) -> np.ndarray:
    homography = np.asarray(homography, np.float64)
    if homography.shape != (3, 3) or not np.isfinite(homography).all():
        raise PixgradError(f"гомография должна быть конечной матрицей 3×3, а не {homography}")
    if abs(np.linalg.det(homography)) <= 1e-12 * np.abs(homography).max() ** 3:
        raise PixgradError("гомография вырождена: её определитель равен нулю")
    # The horizon must not be crossed at the origin: depth is positive on the image's side.
    return homography / homography[2, 2] if homography[2, 2] else homography


def _lands_inside(homography: np.ndarray, xy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    points, _ = project(homography, xy)
    limit = np.array([shape[1] - 1, shape[0] - 1])
    return ((points >= 0) & (points <= limit)).all(axis=1)


def _candidates(
    a: Features, b: Features, inverse: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that may pass: areas of similar size and centres not too far apart."""
    centre, jacobian = project(inverse, b.xy)
    area_b = np.abs(np.linalg.det(jacobian)) * b.size.astype(np.float64) ** 2
    area_a = a.size.astype(np.float64) ** 2
    # Of regions with overlap >= 1 - threshold, one cannot be larger than 1 / (1 - threshold).
    least = 1 - threshold
    reach = np.full(len(b), RADIUS)
    if threshold > 0.5:
        # Below that an ellipse whose centre leaves the disc has over half its area outside.
        stretch = np.linalg.norm(jacobian, 2, axis=(1, 2)) / _root_det(jacobian)
        reach = RADIUS * (1 + stretch / least)
    rows = max(1, BLOCK // max(1, len(b)))
    found = []
    for start in range(0, len(a), rows):
        part = slice(start, start + rows)
        dx = a.xy[part, 0, None] - centre[:, 0]
        dy = a.xy[part, 1, None] - centre[:, 1]
        ratio = area_b / area_a[part, None]
        near = (dx * dx + dy * dy < reach**2) & (ratio > least) & (ratio < 1 / least)
        i, j = np.nonzero(near)
        found.append((i + start, j))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    return np.concatenate([i for i, _ in found]), np.concatenate([j for _, j in found])


def _root_det(jacobian: np.ndarray) -> np.ndarray:
    return np.sqrt(np.abs(np.linalg.det(jacobian)))


def _intersection_over_union(shape: np.ndarray, gap: np.ndarray) -> np.ndarray:
    t = (np.arange(SLICES) + 0.5) / SLICES * math.pi - math.pi / 2
    x, half, thickness = np.sin(t), np.cos(t), np.cos(t) * math.pi / SLICES
    covariance = shape @ shape.transpose(0, 2, 1)
    xx, xy, yy = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    beyond = x - gap[:, :1]
    middle = gap[:, 1:] + (xy / xx)[:, None] * beyond
    inside = np.maximum(1 - beyond**2 / xx[:, None], 0)
    reach = np.sqrt((yy - xy * xy / xx)[:, None] * inside)
    common = np.minimum(half, middle + reach) - np.maximum(-half, middle - reach)
    intersection = (np.maximum(common, 0) * (inside > 0) * thickness).sum(axis=1)
    return intersection / (math.pi * (1 + np.abs(np.linalg.det(shape))) - intersection)


def one_per_keypoint(matches: Matches) -> Matches:
    """Of the matches that share a keypoint of the second image keep the nearest."""
    order = np.lexsort((matches.distance, matches.second))
    first = np.ones(len(order), bool)
    first[1:] = matches.second[order][1:] != matches.second[order][:-1]
    return matches[np.sort(order[first])]


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
