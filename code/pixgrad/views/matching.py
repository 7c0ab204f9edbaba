"""Matching of descriptors: nearest neighbours, mutual matches, RootSIFT.

References
----------
D. Lowe, IJCV 2004, section 7.1. R. Arandjelovic, A. Zisserman, "Three things everyone should
know to improve object retrieval", CVPR 2012 (RootSIFT).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from pixgrad.checks import whole
from pixgrad.errors import PixgradError
from pixgrad.sift import Features

CHUNK = 1 << 22  # distances held at once


@dataclass(frozen=True)
class Matches:
    """The nearest neighbour of each keypoint of the first image in the second.

    ``matches[matches.ratio < 0.8]`` is Lowe's ratio test; ``to_opencv()`` is what OpenCV draws.

    Parameters
    ----------
    first, second : int, (M,), numbers of the keypoints.
    distance : float, (M,), Euclidean distance d1 of the descriptors.
    next_distance : float, (M,), distance d2 to the second nearest descriptor, infinite if there
        is none.

    Examples
    --------
    >>> numbers = np.arange(2)
    >>> matches = Matches(numbers, numbers, np.array([0.5, 0.9]), np.ones(2))
    >>> matches[matches.ratio < 0.8].first
    array([0])
    """

    first: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    next_distance: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, chosen: np.ndarray) -> Matches:
        """Some of the matches, by mask or numbers."""
        return Matches(*(getattr(self, f.name)[chosen] for f in fields(self)))

    @property
    def ratio(self) -> np.ndarray:
        """r = d1 / d2, (M,), 0 … 1 (1 where both distances are zero)."""
        ones = np.ones(len(self))
        return np.divide(self.distance, self.next_distance, out=ones, where=self.next_distance > 0)

    def to_opencv(self) -> tuple:
        """``cv2.DMatch`` of each, as ``cv2.BFMatcher.match`` returns them."""
        import cv2  # only this conversion needs OpenCV

        columns = (self.first.tolist(), self.second.tolist(), self.distance.tolist())
        return tuple(cv2.DMatch(*row) for row in zip(*columns, strict=True))


def rootsift(features: Features) -> Features:
    """Square roots of descriptors with sum 1: their Euclidean distance is Hellinger's.

    Returns
    -------
    The same keypoints; descriptors are float32 unit vectors, a zero descriptor stays zero.

    Raises
    ------
    PixgradError : a number is negative or not finite.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> from pixgrad.sift import Sift
    >>> found = Sift().detect_and_compute(load("synthetic")[0].first[:120, :160])
    >>> bool(np.allclose(np.square(rootsift(found).descriptors).sum(axis=1), 1))
    True
    """
    values = _numbers(features)
    if not (values >= 0).all() or not np.isfinite(values).all():
        raise PixgradError(
            "RootSIFT — корень из дескриптора, а в нём есть отрицательные числа или NaN",
            "RootSIFT is the root of a descriptor, and this one holds negative numbers or NaN",
        )
    total = values.sum(axis=1, keepdims=True)
    roots = np.sqrt(values / np.where(total > 0, total, 1)).astype(np.float32)
    return replace(features, descriptors=roots)


def match(a: Features, b: Features) -> Matches:
    """Match each descriptor of ``a`` with its nearest neighbour in ``b``.

    Distances of SIFT's whole-number descriptors are exact, so the matches are those of
    ``cv2.BFMatcher`` and do not depend on threads; of equal distances the first wins.

    Returns
    -------
    Matches, ordered by the number in ``a``. A descriptor with NaN has no match and is none.

    Raises
    ------
    PixgradError : the descriptors differ in length.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> from pixgrad.sift import Sift
    >>> pair = load("synthetic")[0]
    >>> a, b = (Sift().detect_and_compute(image[:200, :240]) for image in (pair.first, pair.second))
    >>> matches = match(a, b)
    >>> len(matches) == len(a)
    True
    >>> clear = matches[(matches.ratio < 0.8) & mutual(matches, match(b, a))]
    >>> 0 < len(clear) < len(matches)
    True
    """
    first, second = _numbers(a), _numbers(b)
    if first.shape[1] != second.shape[1]:
        raise PixgradError(
            f"дескрипторы разной длины: {first.shape[1]} и {second.shape[1]}; "
            "сопоставлять можно только одинаково вычисленные",
            f"descriptors of different lengths, {first.shape[1]} and {second.shape[1]}: "
            "only those computed alike can be matched",
        )
    nearest, distance = nearest_rows(first, second)
    found = np.flatnonzero(np.isfinite(distance[:, 0]))
    return Matches(found, nearest[found, 0], *distance[found].T)


def mutual(forward: Matches, backward: Matches) -> np.ndarray:
    """Which of ``forward`` hold both ways: bool, (M,). ``backward`` matches image 2 to image 1.

    Examples
    --------
    >>> there = Matches(np.arange(3), np.array([1, 0, 0]), np.ones(3), np.ones(3))
    >>> back = Matches(np.arange(2), np.array([2, 0]), np.ones(2), np.ones(2))
    >>> mutual(there, back).tolist()
    [True, False, True]
    """
    size = 1 + max(int(forward.second.max(initial=-1)), int(backward.first.max(initial=-1)))
    back = np.full(size, -1)
    back[backward.first] = backward.second
    return back[forward.second] == forward.first


def one_per_keypoint(matches: Matches) -> Matches:
    """Of the matches that share a keypoint of the second image keep the nearest.

    Examples
    --------
    >>> of = Matches(np.arange(3), np.array([4, 7, 4]), np.array([2.0, 5, 1]), np.full(3, 9.0))
    >>> one_per_keypoint(of).first.tolist()
    [1, 2]
    """
    order = np.lexsort((matches.distance, matches.second))
    _, first = np.unique(matches.second[order], return_index=True)
    return matches[np.sort(order[first])]


def nearest_rows(a: np.ndarray, b: np.ndarray, k: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest rows of ``b`` for each row of ``a`` and their Euclidean distances.

    Returns
    -------
    nearest (N, k) int64 and distance (N, k) float64, growing; infinite where ``b`` has fewer rows
    (those with NaN are none) and where the row of ``a`` has NaN. No rows if ``b`` is empty.

    Examples
    --------
    >>> index, distance = nearest_rows(np.array([[0.0, 0]]), np.array([[3.0, 4], [0, 1], [0, 2]]))
    >>> index.tolist(), distance.tolist()
    ([[1, 2]], [[1.0, 2.0]])
    """
    n, k = len(a) if len(b) else 0, whole("k", k)
    nearest, distance = np.empty((n, k), np.int64), np.empty((n, k))
    squares = np.square(b).sum(axis=1)
    rows = max(1, CHUNK // max(1, len(b)))
    for start in range(0, n, rows):
        part = a[start : start + rows]
        # |a - b|^2 without |a|^2, which does not change the order.
        gap = squares - 2 * (part @ b.T)
        gap[np.isnan(gap)] = np.inf
        here = np.arange(len(part))
        for order in range(k):
            best = gap.argmin(axis=1)
            nearest[start : start + rows, order] = best
            exact = np.sqrt(np.square(part - b[best]).sum(axis=1))
            distance[start : start + rows, order] = np.where(
                np.isinf(gap[here, best]), np.inf, exact
            )
            gap[here, best] = np.inf
    return nearest, distance


def _numbers(features: Features) -> np.ndarray:
    """Descriptors in float64, in which products and sums of whole numbers are exact."""
    descriptors = np.asarray(features.descriptors)
    if descriptors.dtype.kind not in "biuf":
        raise PixgradError(
            f"дескрипторы типа {descriptors.dtype}, нужны вещественные числа",
            f"descriptors of type {descriptors.dtype}, not real numbers",
        )
    return descriptors.astype(np.float64)
