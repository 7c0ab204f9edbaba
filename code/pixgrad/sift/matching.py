"""Matching of descriptors: nearest neighbours, the ratio test, mutual matches, RootSIFT.

References
----------
D. Lowe, IJCV 2004, section 7.1. R. Arandjelovic, A. Zisserman, "Three things everyone should
know to improve object retrieval", CVPR 2012 (RootSIFT).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from ..errors import PixgradError
from .features import Features

CHUNK = 1 << 22  # distances held at once
Described = TypeVar("Described", Features, np.ndarray)


@dataclass(frozen=True)
class Matches:
    """The nearest neighbour of each keypoint of the first image in the second.

    Parameters
    ----------
    first, second : int, (M,), numbers of the keypoints.
    distance : float, (M,), Euclidean distance d1 of the descriptors.
    next_distance : float, (M,), distance d2 to the second nearest descriptor.
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    next_distance: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, chosen: np.ndarray) -> Matches:
        """Some of the matches, by mask or numbers."""
        return Matches(
            self.first[chosen],
            self.second[chosen],
            self.distance[chosen],
            self.next_distance[chosen],
        )

    @property
    def ratio(self) -> np.ndarray:
        """r = d1 / d2, (M,), 0 … 1 (1 where both distances are zero)."""
        ones = np.ones(len(self))
        return np.divide(self.distance, self.next_distance, out=ones, where=self.next_distance > 0)


def rootsift(source: Described) -> Described:
    """Square roots of descriptors with sum 1: their Euclidean distance is Hellinger's.

    Parameters
    ----------
    source : descriptors (N, D), not negative, or features with them.

    Returns
    -------
    (N, D) float32 array of unit vectors (a zero descriptor stays zero), or features with it.
    """
    if isinstance(source, Features):
        return replace(source, descriptors=rootsift(source.descriptors))
    values = np.asarray(source, np.float64)
    total = values.sum(axis=1, keepdims=True)
    return np.sqrt(values / np.where(total > 0, total, 1)).astype(np.float32)


def match(
    a: Features | np.ndarray,
    b: Features | np.ndarray,
    ratio: float | None = 0.8,
    mutual: bool = False,
) -> Matches:
    """Match each descriptor of ``a`` with its nearest neighbour in ``b``.

    Distances of SIFT's whole-number descriptors are exact, so the matches are those of
    ``cv2.BFMatcher`` and do not depend on threads; of equal distances the first wins.

    Parameters
    ----------
    a, b : features, or descriptors (N, D) and (M, D).
    ratio : keep a match if ``d1 < ratio * d2``, where d2 is the distance to the second nearest
        (infinite if there is none); None keeps all.
    mutual : keep a match only if it is nearest in both directions.

    Returns
    -------
    Matches, ordered by the number in ``a``.
    """
    first, second = _descriptors(a), _descriptors(b)
    if first.shape[1] != second.shape[1]:
        raise PixgradError(
            f"дескрипторы разной длины: {first.shape[1]} и {second.shape[1]}; "
            "сопоставлять можно только одинаково вычисленные"
        )
    nearest, distance, next_distance = two_nearest(first, second)
    keep = np.ones(len(nearest), bool) if ratio is None else distance < ratio * next_distance
    if mutual and len(nearest):
        back = two_nearest(second, first)[0]
        keep &= back[nearest] == np.arange(len(nearest))
    matches = Matches(np.arange(len(nearest)), nearest, distance, next_distance)
    return matches[np.flatnonzero(keep)]


def two_nearest(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest row of ``b`` for each row of ``a`` and the two least Euclidean distances.

    Returns
    -------
    nearest (N,) int64, distance (N,), next_distance (N,) float64; nothing if ``b`` is empty.
    """
    n = len(a) if len(b) else 0
    nearest, distance = np.empty(n, np.int64), np.empty((n, 2))
    squares = np.square(b).sum(axis=1)
    rows = max(1, CHUNK // max(1, len(b)))
    for start in range(0, n, rows):
        part = a[start : start + rows]
        # |a - b|^2 without |a|^2, which does not change the order.
        gap = squares - 2 * (part @ b.T)
        here = np.arange(len(part))
        for k in range(2):
            best = gap.argmin(axis=1)
            if k == 0:
                nearest[start : start + rows] = best
            exact = np.sqrt(np.square(part - b[best]).sum(axis=1))
            distance[start : start + rows, k] = np.where(np.isinf(gap[here, best]), np.inf, exact)
            gap[here, best] = np.inf
    return nearest, distance[:, 0], distance[:, 1]


def _descriptors(source: Features | np.ndarray) -> np.ndarray:
    """Descriptors as float64, in which products and sums of whole numbers are exact."""
    values = source.descriptors if isinstance(source, Features) else np.asarray(source)
    if values.ndim != 2:
        raise PixgradError(f"дескрипторы формы {values.shape}; нужна (N, D)")
    return values.astype(np.float64)
