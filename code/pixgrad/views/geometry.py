"""Where points of one view lie in the other: homographies, disparity, their errors."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import map_coordinates

from pixgrad.data import Pair, Photo
from pixgrad.data.photos import synthetic_view
from pixgrad.data.resize import shrink


def transfer(pair: Pair, xy: np.ndarray) -> np.ndarray:
    """Where points of the first view lie in the second.

    Parameters
    ----------
    xy : float, shape (N, 2), pixels of the first view (x right, y down).

    Returns
    -------
    float64, shape (N, 2), pixels of the second view; NaN where the geometry is unknown.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> pair = load("synthetic")[0]
    >>> middle = np.array([[255.5, 255.5]])
    >>> transfer(pair, middle).round(3)
    array([[255.5, 255.5]])
    """
    if pair.homography is not None:
        return project(pair.homography, xy)[0]
    place = np.rint(xy).T[::-1]  # row, column
    shift = map_coordinates(pair.disparity, place, np.float64, order=0, cval=np.nan)
    return xy - np.column_stack([shift, 0 * shift])


def magnification(pair: Pair, xy: np.ndarray) -> np.ndarray:
    """How many times larger a small patch at ``xy`` (N, 2) is in the second view: (N,).

    The square root of the area ratio |det J|. Rectified stereo keeps sizes up to the slant of the
    surface.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> pair = load("synthetic")[0]
    >>> magnification(pair, np.array([[255.5, 255.5]])).round(3)
    array([0.95])
    """
    if pair.homography is None:
        return np.ones(len(xy))
    return np.sqrt(np.abs(np.linalg.det(project(pair.homography, xy)[1])))


def project(homography: np.ndarray, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map points by x' ~ H x and give the local affine approximation.

    Parameters
    ----------
    homography : (3, 3), of such a sign that the points before the horizon have depth > 0.
    xy : (N, 2).

    Returns
    -------
    points : (N, 2) float64; NaN for points on or behind the horizon.
    jacobian : (N, 2, 2) float64, ``d points / d xy``.

    Examples
    --------
    >>> points, jacobian = project(np.diag([2.0, 3, 1]), np.array([[10.0, 10]]))
    >>> points, jacobian[0]
    (array([[20., 30.]]), array([[2., 0.],
           [0., 3.]]))
    """
    mapped = _homogeneous(homography, np.asarray(xy, np.float64))
    depth = np.where(mapped[:, 2:] > 0, mapped[:, 2:], np.nan)
    points = mapped[:, :2] / depth
    slope = homography[:2, :2] - points[:, :, None] * homography[2, :2]
    return points, slope / depth[:, :, None]


def shrink_pair(pair: Pair, longest: int = 400) -> Pair:
    """Both views of a planar pair scaled down, and the homography with them.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> shrink_pair(load("synthetic")[0], 100).first.shape
    (100, 100, 3)
    """
    first, second = shrink(pair.first, longest), shrink(pair.second, longest)
    before, after = _scaling(pair.first, first), _scaling(pair.second, second)
    homography = after @ pair.homography @ np.linalg.inv(before)
    return replace(pair, first=first, second=second, homography=homography)


def same_change(pair: Pair, photo: Photo, rng: np.random.Generator) -> Pair:
    """A photo and its view through the homography of a planar pair, with noise of 3 grey levels.

    The homography is scaled about the middle to the photo's shorter side; the photo gives its
    name to the sequence.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> pair = load("synthetic")[0]
    >>> photo = Photo("grey", "серый", np.full((64, 64), 128, np.uint8), "here", "CC0")
    >>> same_change(pair, photo, np.random.default_rng(0)).second.shape
    (64, 64)
    """
    (height, width), (high, wide) = pair.first.shape[:2], photo.image.shape[:2]
    s = min(high, wide) / min(height, width)
    x, y = (wide - 1 - s * (width - 1)) / 2, (high - 1 - s * (height - 1)) / 2
    scale = np.array([[s, 0, x], [0, s, y], [0, 0, 1]])
    homography = scale @ pair.homography @ np.linalg.inv(scale)
    return synthetic_view(photo, pair.number, homography, rng)


def drift_of_bias(pair: Pair, bias: Sequence[float]) -> np.ndarray:
    """Drift of matches if a detector finds every point of both views ``bias`` too far.

    Parameters
    ----------
    bias : (2,), pixels.

    Returns
    -------
    (2,), pixels of the second view: ``(E - A) bias``, with the linear part A of the homography in
    the middle of the first view.

    Examples
    --------
    >>> image = np.zeros((40, 40), np.uint8)
    >>> half_size = Pair("pair", 2, "", image, image, "", "", np.diag([0.5, 0.5, 1]))
    >>> drift_of_bias(half_size, [0.25, 0.25])
    array([0.125, 0.125])
    """
    height, width = pair.first.shape[:2]
    _, (linear,) = project(pair.homography, np.array([[width / 2, height / 2]]))
    return (np.eye(2) - linear) @ np.asarray(bias)


def corner_error(estimated: np.ndarray | None, truth: np.ndarray, shape: tuple[int, ...]) -> float:
    """Mean distance in pixels between the image's corners under two homographies.

    Parameters
    ----------
    estimated, truth : 3x3; no estimate gives infinity, one with corners behind its horizon the
        distance to where the formula puts them.
    shape : (H, W, …) of the first image.

    Examples
    --------
    >>> shifted = np.array([[1.0, 0, 3], [0, 1, 4], [0, 0, 1]])
    >>> corner_error(shifted, np.eye(3), (40, 60))
    5.0
    """
    if estimated is None:
        return float("inf")
    height, width = shape[0] - 1, shape[1] - 1
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], dtype=float)
    there, expected = (_homogeneous(matrix, corners) for matrix in (estimated, truth))
    gap = there[:, :2] / there[:, 2:] - expected[:, :2] / expected[:, 2:]
    return float(np.linalg.norm(gap, axis=1).mean())


def ransac_trials(share: float, confidence: float = 0.99) -> float:
    """Samples of four matches until one holds no false match (Fischler and Bolles, 1981).

    Parameters
    ----------
    share : w, share of correct matches, 0 < w < 1.
    confidence : p, probability of at least one clean sample.

    Returns
    -------
    N = ln(1 - p) / ln(1 - w^4).

    Examples
    --------
    >>> round(ransac_trials(0.5), 1)
    71.4
    """
    return float(np.log1p(-confidence) / np.log1p(-(share**4)))


def _homogeneous(homography: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """H (x, y, 1) of points (N, 2): (N, 3)."""
    return xy @ homography[:, :2].T + homography[:, 2]


def _scaling(large: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Map of pixel centres when an image is resized edge to edge: x' + 1/2 = s (x + 1/2)."""
    s, t = small.shape[1] / large.shape[1], small.shape[0] / large.shape[0]
    return np.array([[s, 0, (s - 1) / 2], [0, t, (t - 1) / 2], [0, 0, 1]])
