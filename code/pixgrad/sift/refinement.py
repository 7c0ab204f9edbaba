"""Stage 3: sub-pixel position by a Taylor expansion; the contrast and edge tests.

Around a candidate the DoG is ``D(u) = D + g·u + u·H u / 2``; its extremum is ``u = -H^-1 g``.
If ``u`` leaves the pixel's cell, the expansion moves to the neighbour, at most five times.

References
----------
D. Lowe, IJCV 2004, sections 4 and 4.1; M. Brown, D. Lowe, BMVC 2002.
"""

from typing import NamedTuple

import numpy as np

from .extrema import BORDER, CONTRAST

F = np.float32
MAX_STEPS = 5
KEPT, UNSTABLE, OUTSIDE, LOW_CONTRAST, EDGE = range(5)
STATUS_NAMES = ("kept", "does not converge", "leaves the image", "low contrast", "edge")


class Refined(NamedTuple):
    """Candidates after refinement; those with ``status == KEPT`` are keypoints.

    point : (N, 3) int64, the last (layer, row, column) of the expansion.
    offset : (N, 3) float, ``u`` in the order (x, y, layer), pixels.
    contrast : (N,) float, ``D + g·u / 2`` for grey values 0..1; NaN where no step converged.
    status : (N,) uint8, index into `STATUS_NAMES`.
    """

    point: np.ndarray
    offset: np.ndarray
    contrast: np.ndarray
    status: np.ndarray


def refine(
    dog: np.ndarray,
    candidates: np.ndarray,
    contrast_threshold: float = CONTRAST,
    edge_threshold: float = 10.0,
) -> Refined:
    """Refine candidates and apply the two tests of Lowe.

    Parameters
    ----------
    dog : (s + 2, H, W) float array, grey values 0..255.
    candidates : (N, 3) integer array of (layer, row, column).
    contrast_threshold : keep if ``|contrast| * s >= contrast_threshold``.
    edge_threshold : r; keep if ``tr(H)^2 / det(H) < (r + 1)^2 / r`` for the 2x2 Hessian.
    """
    n_octave_layers = len(dog) - 2
    point, offset, status = _localise(dog, candidates)
    contrast = np.full(len(point), np.nan, dog.dtype)
    settled = np.flatnonzero(status == KEPT)
    cube = neighbourhood(dog, point[settled])
    gradient, hessian = derivatives(cube)
    u = offset[settled]
    slope = gradient[:, 0] * u[:, 0] + gradient[:, 1] * u[:, 1] + gradient[:, 2] * u[:, 2]
    contrast[settled] = cube[:, 1, 1, 1] * _unit(dog) + slope * 0.5
    weak = np.abs(contrast[settled]) * n_octave_layers < dog.dtype.type(contrast_threshold)
    status[settled] = np.where(
        weak, LOW_CONTRAST, np.where(is_edge(hessian, edge_threshold), EDGE, KEPT)
    )
    return Refined(point, offset, contrast, status)


def neighbourhood(dog: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Cubes (N, 3, 3, 3) of the DoG around the points (N, 3), axes (layer, row, column)."""
    step = np.arange(-1, 2)
    layer, row, column = (point[:, i, None, None, None] for i in range(3))
    return dog[layer + step[:, None, None], row + step[:, None], column + step]


def derivatives(cube: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Central differences in the order (x, y, layer), for grey values 0..1.

    Parameters
    ----------
    cube : (N, 3, 3, 3) float array, axes (layer, row, column), grey values 0..255.

    Returns
    -------
    gradient (N, 3), hessian (N, 3, 3)
    """
    x, y, s, xx, yy, ss, xy, xs, ys = differences(np.moveaxis(cube, 0, -1), _unit(cube))
    hessian = np.stack([xx, xy, xs, xy, yy, ys, xs, ys, ss], axis=-1)
    return np.stack([x, y, s], axis=-1), hessian.reshape(-1, 3, 3)


def differences(c: np.ndarray, unit: np.generic) -> tuple[np.ndarray, ...]:
    """First differences x, y, s and second ones xx, yy, ss, xy, xs, ys in the centre of a cube.

    Parameters
    ----------
    c : (3, 3, 3, …), axes (layer, row, column, …); compiled code calls this with one cube.
    unit : what a grey level is worth.
    """
    half, quarter, twice = unit * F(0.5), unit * F(0.25), c[1, 1, 1] * F(2)
    return (
        (c[1, 1, 2] - c[1, 1, 0]) * half,
        (c[1, 2, 1] - c[1, 0, 1]) * half,
        (c[2, 1, 1] - c[0, 1, 1]) * half,
        (c[1, 1, 2] + c[1, 1, 0] - twice) * unit,
        (c[1, 2, 1] + c[1, 0, 1] - twice) * unit,
        (c[2, 1, 1] + c[0, 1, 1] - twice) * unit,
        (c[1, 2, 2] - c[1, 2, 0] - c[1, 0, 2] + c[1, 0, 0]) * quarter,
        (c[2, 1, 2] - c[2, 1, 0] - c[0, 1, 2] + c[0, 1, 0]) * quarter,
        (c[2, 2, 1] - c[2, 0, 1] - c[0, 2, 1] + c[0, 0, 1]) * quarter,
    )


def solve(hessian: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Solve ``H x = g`` for a batch of symmetric 3x3 systems by Cramer's rule.

    Parameters
    ----------
    hessian : (N, 3, 3); gradient : (N, 3).

    Returns
    -------
    (N, 3); zeros where the determinant is zero.
    """
    a, b = np.moveaxis(hessian, 0, -1), gradient.T
    # The 2x2 minors of the last two rows, without b and with b in place of one column.
    m12, m02, m01 = (a[1, i] * a[2, j] - a[1, j] * a[2, i] for i, j in ((1, 2), (0, 2), (0, 1)))
    b0, b1, b2 = (b[1] * a[2, i] - a[1, i] * b[2] for i in range(3))
    det = a[0, 0] * m12 - a[0, 1] * m02 + a[0, 2] * m01
    inverse = np.divide(1, det, out=np.zeros_like(det), where=det != 0)
    x = np.empty_like(gradient)
    x[:, 0] = (b[0] * m12 - a[0, 1] * b2 + a[0, 2] * b1) * inverse
    x[:, 1] = (a[0, 0] * b2 - b[0] * m02 - a[0, 2] * b0) * inverse
    x[:, 2] = (-a[0, 0] * b1 + a[0, 1] * b0 + b[0] * m01) * inverse
    return x


def is_edge(hessian: np.ndarray, edge_threshold: float) -> np.ndarray:
    """Tell ridges from blobs by the principal curvatures in the image plane, (N,) bool."""
    trace = hessian[:, 0, 0] + hessian[:, 1, 1]
    det = hessian[:, 0, 0] * hessian[:, 1, 1] - hessian[:, 0, 1] * hessian[:, 0, 1]
    limit = (edge_threshold + 1) * (edge_threshold + 1)
    return (det <= 0) | (trace * trace * edge_threshold >= limit * det)


def _localise(dog: np.ndarray, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move each candidate until its offset stays within half a pixel: point, offset, status."""
    point = candidates.copy()
    offset = np.zeros((len(point), 3), dog.dtype)
    status = np.full(len(point), UNSTABLE, np.uint8)
    active, border = np.arange(len(point)), np.array([1, BORDER, BORDER])
    for _ in range(MAX_STEPS):
        gradient, hessian = derivatives(neighbourhood(dog, point[active]))
        with np.errstate(over="ignore", invalid="ignore"):  # a determinant of almost zero
            u = offset[active] = -solve(hessian, gradient)
        inside = (np.abs(u) < 0.5).all(axis=1)
        status[active[inside]] = KEPT
        sane = ~inside & (np.abs(u) <= (2**31 - 1) // 3).all(axis=1)
        active, u = active[sane], u[sane]
        point[active] += np.rint(u[:, ::-1]).astype(np.int64)
        moved = point[active]
        allowed = ((moved >= border) & (moved < np.array(dog.shape) - border)).all(axis=1)
        status[active[~allowed]] = OUTSIDE
        active = active[allowed]
    return point, offset, status


def _unit(array: np.ndarray) -> np.generic:
    """One grey level, 1/255, in the array's precision."""
    return array.dtype.type(1 / 255)
