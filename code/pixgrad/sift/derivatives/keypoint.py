"""Stages that find a keypoint: choice of the extremum, refinement, tests, orientation.

Here the derivative often does not exist or is useless: zero almost everywhere. Such stages take
``straight_through``: ``False`` gives the true derivative almost everywhere, ``True`` the one of a
smooth neighbour of the stage, used in its place (Bengio et al. 2013).
"""

from typing import Literal

import numpy as np

from pixgrad.errors import PixgradError
from pixgrad.sift.derivatives.binning import hat, hat_derivative, nearest_turn
from pixgrad.sift.derivatives.types import Array
from pixgrad.sift.orientation import BINS, RADIUS_FACTOR, SIGMA_FACTOR, smooth


def choose_extremum(dog: Array) -> tuple[tuple[Array, float], tuple]:
    """Find the largest value of a piece of the DoG.

    Parameters
    ----------
    dog : (S, H, W), differences of Gaussians (negate them to look for a minimum).

    Returns
    -------
    location : (3,), indices (level, row, column) of the largest value, as floats.
    value : the largest value.
    saved : what :func:`choose_extremum_vjp` needs.
    """
    index = np.unravel_index(np.argmax(dog), dog.shape)
    return (np.array(index, dtype=float), float(dog[index])), (dog,)


def choose_extremum_vjp(
    saved: tuple,
    dlocation: Array,
    dvalue: float,
    straight_through: bool = True,
    temperature: float = 1.0,
) -> Array:
    """VJP of :func:`choose_extremum`: exact for the value, a soft argmax stands for the location.

    The location is piecewise constant: its derivative is zero, at a tie it does not exist.
    ``straight_through`` uses that of ``sum(p * index)`` with ``p = softmax(dog / temperature)``.
    At a tie the value gives its sub-gradient with equal shares.

    Parameters
    ----------
    dlocation : (3,), gradient with respect to the location.
    dvalue : gradient with respect to the value.
    temperature : grey levels.

    Returns
    -------
    ddog : (S, H, W).
    """
    (dog,) = saved
    ties = dog == dog.max()
    ddog = dvalue * ties / ties.sum()
    if straight_through:
        probability = np.exp((dog - dog.max()) / temperature)
        probability /= probability.sum()
        along = np.tensordot(dlocation, np.indices(dog.shape), axes=1)
        ddog = ddog + probability * (along - (probability * along).sum()) / temperature
    return ddog


def refine(cube: Array) -> tuple[tuple[Array, float, float], tuple]:
    """Fit a parabola to 3x3x3 values of the DoG and find its extremum.

    Parameters
    ----------
    cube : (3, 3, 3), DoG around the extremum, axes (level, row, column).

    Returns
    -------
    offset : (3,), extremum relative to the centre, along (column, row, level).
    contrast : value of the parabola at the extremum, grey levels.
    edge_ratio : ``trace^2 / determinant`` of the 2x2 spatial Hessian.
    saved : what :func:`refine_vjp` needs.

    Raises
    ------
    PixgradError
        The Hessian is singular: there is no one extremum, and nothing to differentiate.

    References
    ----------
    Lowe 2004, sections 4 and 4.1.
    """
    gradient = np.array([(stencil * cube).sum() for stencil in _FIRST])
    hessian = np.tensordot(_SECOND, cube, axes=3)
    try:
        offset = -np.linalg.solve(hessian, gradient)
    except np.linalg.LinAlgError:
        raise PixgradError(
            f"гессиан DoG вырожден: {hessian.tolist()}; у такой точки нет единственного экстремума "
            "и нет производной — возьмите другую ключевую точку",
            f"the Hessian of the DoG is singular: {hessian.tolist()}; such a point has no single "
            "extremum and no derivative: take another keypoint",
        ) from None
    contrast = cube[1, 1, 1] + gradient @ offset / 2
    trace = hessian[0, 0] + hessian[1, 1]
    determinant = hessian[0, 0] * hessian[1, 1] - hessian[0, 1] ** 2
    return (offset, contrast, trace**2 / determinant), (hessian, offset, trace, determinant)


def refine_vjp(saved: tuple, doffset: Array, dcontrast: float, dedge_ratio: float = 0.0) -> Array:
    """VJP of :func:`refine` by the implicit function theorem for ``gradient + hessian offset = 0``.

    Parameters
    ----------
    doffset : (3,), along (column, row, level).
    dcontrast, dedge_ratio : gradients with respect to the two numbers.

    Returns
    -------
    dcube : (3, 3, 3).
    """
    hessian, offset, trace, determinant = saved
    # -H^-T doffset; the contrast's own offset term vanishes up to a half (envelope theorem).
    adjoint = -np.linalg.solve(hessian, doffset)
    dgradient = adjoint + dcontrast * offset
    dhessian = np.outer(adjoint, offset) + dcontrast * np.outer(offset, offset) / 2
    dtrace = dedge_ratio * 2 * trace / determinant
    ddeterminant = -dedge_ratio * (trace / determinant) ** 2
    dhessian[0, 0] += dtrace + ddeterminant * hessian[1, 1]
    dhessian[1, 1] += dtrace + ddeterminant * hessian[0, 0]
    dhessian[0, 1] -= ddeterminant * 2 * hessian[0, 1]
    dcube = np.tensordot(dgradient, _FIRST, axes=1) + np.tensordot(dhessian, _SECOND, axes=2)
    dcube[1, 1, 1] += dcontrast
    return dcube


def gate(value: float, threshold: float) -> tuple[float, tuple]:
    """Test ``value > threshold``: 1.0 or 0.0 (the edge test changes both signs)."""
    return float(value > threshold), (value, threshold)


def gate_vjp(
    saved: tuple, dpassed: float, straight_through: bool = True, temperature: float = 1.0
) -> float:
    """VJP of :func:`gate`: zero away from the threshold; instead, that of a sigmoid."""
    value, threshold = saved
    half = (value - threshold) / (2 * temperature)
    return straight_through * dpassed / (4 * temperature * np.cosh(half) ** 2)


def orientation_histogram(
    magnitude: Array,
    angle: Array,
    column: int,
    row: int,
    scale: float,
    binning: Literal["hard", "linear"] = "hard",
) -> tuple[Array, tuple]:
    """Weighted histogram of gradient directions around a keypoint, smoothed over the circle.

    Parameters
    ----------
    magnitude, angle : (H, W), gradient of the level; angle in radians.
    column, row : centre, pixels of the octave.
    scale : scale of the keypoint, pixels of the octave.
    binning : ``"hard"`` puts a sample in the nearest bin (Lowe, OpenCV); ``"linear"`` shares it
        between the two nearest.

    Returns
    -------
    histogram : (36,).
    saved : what :func:`orientation_histogram_vjp` needs.
    """
    radius = int(np.rint(RADIUS_FACTOR * scale))
    rows = np.arange(max(row - radius, 0), min(row + radius + 1, magnitude.shape[0]))[:, None]
    columns = np.arange(max(column - radius, 0), min(column + radius + 1, magnitude.shape[1]))
    distance2 = (rows - row) ** 2 + (columns - column) ** 2
    weight = np.exp(-distance2 / (2 * (SIGMA_FACTOR * scale) ** 2))
    m = magnitude[rows, columns]
    turn = angle[rows, columns][..., None] * (BINS / (2 * np.pi))
    distance = nearest_turn(turn - np.arange(BINS), BINS)
    nearest = np.rint(turn) % BINS == np.arange(BINS)
    share = nearest.astype(float) if binning == "hard" else hat(distance)
    histogram = np.einsum("yx,yxb->b", weight * m, share)
    saved = (magnitude.shape, rows, columns, distance2, scale, weight, m, distance, share, binning)
    return smooth(histogram), saved


def orientation_histogram_vjp(
    saved: tuple, dhistogram: Array, straight_through: bool = True
) -> tuple[Array, Array, float]:
    """VJP of :func:`orientation_histogram`.

    With hard bins the directions have zero derivative (and jumps between bins); with
    ``straight_through`` the derivative of linear binning stands for it.

    Returns
    -------
    dmagnitude, dangle : (H, W).
    dscale : through the Gaussian weight (the window's radius is rounded: no derivative).
    """
    shape, rows, columns, distance2, scale, weight, m, distance, share, binning = saved
    dbins = smooth(dhistogram)  # the smoothing is symmetric: its own transpose
    dweighted = share @ dbins
    dmagnitude, dangle = np.zeros(shape), np.zeros(shape)
    dmagnitude[rows, columns] = weight * dweighted
    if binning == "linear" or straight_through:
        slope = hat_derivative(distance) @ dbins * (BINS / (2 * np.pi))
        dangle[rows, columns] = weight * m * slope
    dscale = (dweighted * m * weight * distance2).sum() / (SIGMA_FACTOR**2 * scale**3)
    return dmagnitude, dangle, float(dscale)


def peak_orientation(histogram: Array, near: float | None = None) -> tuple[float, tuple]:
    """Direction of a peak of the histogram, by a parabola through three bins.

    Parameters
    ----------
    histogram : (36,), smoothed.
    near : radians; take the local peak closest to it instead of the highest.

    Returns
    -------
    orientation : radians in [0, 2 pi).
    saved : what :func:`peak_orientation_vjp` needs.
    """
    before, after = np.roll(histogram, 1), np.roll(histogram, -1)
    peaks = np.flatnonzero((histogram > before) & (histogram > after))
    score = histogram[peaks]
    if near is not None:
        score = -np.abs(nearest_turn(peaks - near * BINS / (2 * np.pi), BINS))
    peak = peaks[np.argmax(score)]
    rise, curvature = before[peak] - after[peak], before[peak] - 2 * histogram[peak] + after[peak]
    orientation = (peak + rise / curvature / 2) * 2 * np.pi / BINS
    return float(orientation % (2 * np.pi)), (peak, rise, curvature)


def peak_orientation_vjp(saved: tuple, dorientation: float) -> Array:
    """VJP of :func:`peak_orientation`: only the peak and its neighbours matter."""
    peak, rise, curvature = saved
    dposition = dorientation * np.pi / BINS
    drise, dcurvature = dposition / curvature, -dposition * rise / curvature**2
    dhistogram = np.zeros(BINS)
    dhistogram[peak - 1] = drise + dcurvature
    dhistogram[peak] = -2 * dcurvature
    dhistogram[(peak + 1) % BINS] = -drise + dcurvature
    return dhistogram


def _stencil(orders: Array) -> Array:
    """(3, 3, 3) weights of the difference of these orders (0, 1, 2) along column, row and level."""
    along = np.array([[0.0, 1.0, 0.0], [-0.5, 0.0, 0.5], [1.0, -2.0, 1.0]])
    return np.einsum("x,y,s->syx", *along[orders])


_AXES = np.eye(3, dtype=int)
_FIRST = np.array([_stencil(a) for a in _AXES])
_SECOND = np.array([[_stencil(a + b) for b in _AXES] for a in _AXES])
