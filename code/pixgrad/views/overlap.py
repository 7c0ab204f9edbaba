"""How well regions of two views agree where the homography between them is known.

A keypoint stands for a disc. Discs of the second image are carried to the first by the local
affine approximation of the homography and become ellipses; two regions *correspond* if their
overlap error ``1 - intersection / union`` is small. As in the papers, before it is measured both
regions are scaled alike so that the one of the first image gets a radius of 30 pixels: large
regions would overlap at any accuracy, small ones at none.

References
----------
K. Mikolajczyk et al., "A comparison of affine region detectors", IJCV 2005 (overlap error).
"""

import math

import numpy as np
from scipy.spatial import KDTree

from pixgrad.data import Pair
from pixgrad.sift import Features
from pixgrad.views.geometry import project

RADIUS = 30.0  # of the first region when overlap is measured, pixels
MAX_OVERLAP_ERROR = 0.4
SLICES = 96  # across a disc when an area is integrated
CHUNK = 1 << 11  # pairs of regions whose areas are integrated together


def common_part(pair: Pair, a: Features, b: Features) -> tuple[Features, Features]:
    """Drop the features whose centre the other view of a planar pair does not show."""
    return (
        a[_lands_inside(pair.homography, a.xy, pair.second.shape)],
        b[_lands_inside(np.linalg.inv(pair.homography), b.xy, pair.first.shape)],
    )


def overlapping(
    a: Features, b: Features, homography: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correspondences: pairs of overlapping regions, each region once, the best pairs first.

    Returns
    -------
    i, j : (K,) int64, numbers in ``a`` (ascending) and in ``b``.
    error : (K,) float64, overlap errors below ``MAX_OVERLAP_ERROR``.
    """
    i, j = _candidates(a, b, np.linalg.inv(homography))
    error = region_errors(a[i], b[j], homography)
    used_a, used_b, chosen = np.zeros(len(a), bool), np.zeros(len(b), bool), []
    good = np.flatnonzero(error < MAX_OVERLAP_ERROR)
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
    centre, jacobian = project(np.linalg.inv(homography), b.xy)
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


def _lands_inside(homography: np.ndarray, xy: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    points, _ = project(homography, xy)
    limit = np.array([shape[1] - 1, shape[0] - 1])
    return ((points >= 0) & (points <= limit)).all(axis=1)


def _candidates(a: Features, b: Features, inverse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs that may pass: areas of similar size and centres not too far apart."""
    centre, jacobian = project(inverse, b.xy)
    area_b = np.abs(np.linalg.det(jacobian)) * b.size.astype(np.float64) ** 2
    area_a = a.size.astype(np.float64) ** 2
    # Of regions with overlap >= 1 - threshold, one cannot be larger than 1 / (1 - threshold). With
    # a threshold below 0.5 the centre of the ellipse lies in the disc: else over half is outside.
    least = 1 - MAX_OVERLAP_ERROR
    known = np.flatnonzero(np.isfinite(centre).all(axis=1))
    there = KDTree(centre[known])
    near = KDTree(a.xy).sparse_distance_matrix(there, RADIUS, output_type="ndarray")
    i, j = near["i"], known[near["j"]]
    ratio = area_b[j] / area_a[i]
    similar = (ratio > least) & (ratio < 1 / least)
    order = np.lexsort((j[similar], i[similar]))
    return i[similar][order], j[similar][order]


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
