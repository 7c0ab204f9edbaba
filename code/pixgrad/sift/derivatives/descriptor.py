"""Stages that describe a keypoint: gradient in polar form, 4x4x8 histogram, normalisation."""

import numpy as np

from pixgrad.sift.derivatives.binning import hat, hat_derivative, nearest_turn
from pixgrad.sift.derivatives.types import Array, Geometry
from pixgrad.sift.descriptor import CELL_FACTOR, CLIP, DIRECTIONS, QUANTUM, WIDTH


def polar(gx: Array, gy: Array) -> tuple[tuple[Array, Array], tuple]:
    """Magnitude and direction of the gradient.

    Parameters
    ----------
    gx, gy : (H, W), differences to the right and upwards.

    Returns
    -------
    magnitude, angle : (H, W); angle in radians in (-pi, pi].
    saved : what :func:`polar_vjp` needs.
    """
    magnitude = np.hypot(gx, gy)
    return (magnitude, np.arctan2(gy, gx)), (gx, gy, magnitude)


def polar_vjp(saved: tuple, dmagnitude: Array, dangle: Array) -> tuple[Array, Array]:
    """VJP of :func:`polar`; at a zero gradient, where there is no derivative, it gives zero.

    Returns
    -------
    dgx, dgy : (H, W).
    """
    gx, gy, magnitude = saved
    safe = np.where(magnitude > 0, magnitude, 1.0)
    cosine, sine = gx / safe, gy / safe  # both zero where the magnitude is
    turning = dangle / safe
    return dmagnitude * cosine - turning * sine, dmagnitude * sine + turning * cosine


def histogram(
    magnitude: Array, angle: Array, geometry: Geometry, subpixel: bool = False
) -> tuple[Array, tuple]:
    """Histogram of gradients over a turned 4x4 grid with 8 directions, trilinear shares.

    Parameters
    ----------
    magnitude, angle : (H, W), gradient of the level; angle in radians.
    geometry : centre, scale and orientation in pixels of the octave.
    subpixel : ``False`` rounds the centre to a pixel as OpenCV does.

    Returns
    -------
    cells : (4, 4, 8), axes (row of the grid, column of the grid, direction).
    saved : what :func:`histogram_vjp` needs.

    References
    ----------
    Lowe 2004, section 6.1.
    """
    window, i, j = _window(geometry, magnitude.shape, subpixel)
    column, row = turned(i, j, geometry)
    weight = np.exp(-(column**2 + row**2) / (WIDTH**2 / 2))
    turn = (angle[window] - geometry.orientation) * (DIRECTIONS / (2 * np.pi))
    to_row = row[..., None] - _CENTRES
    to_column = column[..., None] - _CENTRES
    to_bin = nearest_turn(turn[..., None] - np.arange(DIRECTIONS), DIRECTIONS)
    m = magnitude[window]
    cells = np.einsum(
        "p,pk,pl,pb->klb", weight * m, hat(to_row), hat(to_column), hat(to_bin), optimize=True
    )
    saved = (magnitude.shape, geometry, window, column, row, weight, m, to_row, to_column, to_bin)
    return cells, (*saved, subpixel)


def histogram_vjp(
    saved: tuple, dcells: Array, straight_through: bool = True
) -> tuple[Array, Array, Geometry]:
    """VJP of :func:`histogram` with respect to the gradient field and the geometry.

    Where the centre was rounded its derivative is zero; ``straight_through`` passes the derivative
    of the unrounded formula instead.

    Returns
    -------
    dmagnitude, dangle : (H, W).
    dgeometry : gradients with respect to x, y, scale, orientation.
    """
    shape, geometry, window, column, row, weight, m, to_row, to_column, to_bin, subpixel = saved
    A, B, dA, dB = hat(to_row), hat(to_column), hat_derivative(to_row), hat_derivative(to_column)
    along_bins = np.tensordot(hat(to_bin), dcells, (1, 2))  # (p, 4, 4), by a product of matrices
    turning = np.tensordot(hat_derivative(to_bin), dcells, (1, 2))
    along_rows = np.einsum("pkl,pk->pl", along_bins, A)
    dweighted = np.einsum("pl,pl->p", along_rows, B)
    dcolumn = weight * m * np.einsum("pl,pl->p", along_rows, dB)
    drow = weight * m * np.einsum("pkl,pk,pl->p", along_bins, dA, B)
    dturn = weight * m * np.einsum("pkl,pk,pl->p", turning, A, B)
    # The Gaussian weight depends on the place as well.
    dcolumn -= dweighted * m * weight * column * (4 / WIDTH**2)
    drow -= dweighted * m * weight * row * (4 / WIDTH**2)

    dmagnitude, dangle = np.zeros(shape), np.zeros(shape)
    dmagnitude[window] = weight * dweighted
    dangle[window] = dturn * (DIRECTIONS / (2 * np.pi))
    moves = subpixel or straight_through
    return (
        dmagnitude,
        dangle,
        _geometry_gradient(geometry, column, row, dcolumn, drow, dangle, moves),
    )


def normalise(cells: Array, clip: float = CLIP) -> tuple[Array, tuple]:
    """Unit length, clip large components, unit length again.

    Parameters
    ----------
    cells : (4, 4, 8) or any shape, non-negative.
    clip : largest component after the first normalisation.

    Returns
    -------
    descriptor : (128,), unit length; zeros for an empty histogram.
    saved : what :func:`normalise_vjp` needs.

    References
    ----------
    Lowe 2004, section 6.1.
    """
    norm = np.linalg.norm(cells)
    if norm == 0:
        return np.zeros(cells.size), (cells.shape, None)
    unit = cells.ravel() / norm
    clipped = np.minimum(unit, clip)
    clipped_norm = np.linalg.norm(clipped)
    descriptor = clipped / clipped_norm
    return descriptor, (cells.shape, (norm, unit, clip, clipped_norm, descriptor))


def normalise_vjp(saved: tuple, ddescriptor: Array) -> Array:
    """VJP of :func:`normalise`: two projections and, between them, the mask of the clip.

    Exactly on the clip the half sum of the one-sided derivatives is used; for an empty histogram
    (no derivative) zero.
    """
    shape, parts = saved
    if parts is None:
        return np.zeros(shape)
    norm, unit, clip, clipped_norm, descriptor = parts
    dclipped = (ddescriptor - descriptor * (descriptor @ ddescriptor)) / clipped_norm
    dunit = dclipped * np.heaviside(clip - unit, 0.5)
    return ((dunit - unit * (unit @ dunit)) / norm).reshape(shape)


def quantise(descriptor: Array) -> tuple[Array, tuple]:
    """OpenCV's storage: times 512, rounded, at most 255."""
    scaled = descriptor * QUANTUM
    return np.rint(np.minimum(scaled, 255)), (scaled,)


def quantise_vjp(saved: tuple, dquantised: Array, straight_through: bool = True) -> Array:
    """VJP of :func:`quantise`: zero almost everywhere; instead, as if nothing had been rounded."""
    (scaled,) = saved
    return QUANTUM * dquantised * (scaled < 255) * straight_through


def spatial_shares(geometry: Geometry, shape: tuple[int, int]) -> tuple[slice, slice, Array]:
    """Weights with which the pixels of a window enter the 4x4 cells; the centre is rounded.

    Parameters
    ----------
    geometry : in pixels of the octave.
    shape : (H, W) of the level.

    Returns
    -------
    rows, columns : the window.
    shares : (16, pixels of the window), Gaussian weight times the two linear shares.
    """
    rows, columns = _span(geometry, shape)
    i = np.arange(rows.start, rows.stop)[:, None] - np.rint(geometry.y)
    j = np.arange(columns.start, columns.stop) - np.rint(geometry.x)
    column, row = (place.ravel() for place in turned(i, j, geometry))
    weight = np.exp(-(column**2 + row**2) / (WIDTH**2 / 2))
    to_row, to_column = hat(row - _CENTRES[:, None]), hat(column - _CENTRES[:, None])
    return rows, columns, (weight * to_row[:, None] * to_column).reshape(WIDTH**2, -1)


_CENTRES = np.arange(WIDTH) - (WIDTH - 1) / 2


def _window(geometry: Geometry, shape: tuple[int, int], subpixel: bool) -> tuple:
    """Pixels under the grid: their indices and their offsets (down, right) from the centre."""
    rows, columns = (np.arange(span.start, span.stop) for span in _span(geometry, shape))
    y, x = (grid.ravel() for grid in np.meshgrid(rows, columns, indexing="ij"))
    centre = (geometry.x, geometry.y) if subpixel else np.rint((geometry.x, geometry.y))
    i, j = y - centre[1], x - centre[0]
    inside = np.maximum(*np.abs(turned(i, j, geometry))) < (WIDTH + 1) / 2
    return (y[inside], x[inside]), i[inside], j[inside]


def _span(geometry: Geometry, shape: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the level that the turned grid may touch."""
    reach = CELL_FACTOR * geometry.scale * np.sqrt(2) * (WIDTH + 1) / 2
    radius = min(int(np.rint(reach)), int(np.hypot(*shape)))
    middle = int(np.rint(geometry.y)), int(np.rint(geometry.x))
    return tuple(
        slice(max(m - radius, 0), min(m + radius + 1, side))
        for m, side in zip(middle, shape, strict=True)
    )


def turned(i: Array, j: Array, geometry: Geometry) -> tuple[Array, Array]:
    """Offsets (down, right) in pixels -> place on the grid (column, row) in cells."""
    side = CELL_FACTOR * geometry.scale
    cosine, sine = np.cos(geometry.orientation), np.sin(geometry.orientation)
    return (j * cosine - i * sine) / side, (j * sine + i * cosine) / side


def _geometry_gradient(
    geometry: Geometry,
    column: Array,
    row: Array,
    dcolumn: Array,
    drow: Array,
    dangle: Array,
    moves: bool,
) -> Geometry:
    side = CELL_FACTOR * geometry.scale
    cosine, sine = np.cos(geometry.orientation), np.sin(geometry.orientation)
    dx = -(dcolumn.sum() * cosine + drow.sum() * sine) / side
    dy = (dcolumn.sum() * sine - drow.sum() * cosine) / side
    dscale = -(dcolumn * column + drow * row).sum() / geometry.scale
    dorientation = (drow * column - dcolumn * row).sum() - dangle.sum()
    return Geometry(dx * moves, dy * moves, dscale, dorientation)
