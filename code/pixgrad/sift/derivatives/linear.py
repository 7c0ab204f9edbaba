"""Linear stages of SIFT and their transposes: doubling, blur, decimation, DoG, pixel differences.

A linear stage ``y = A x`` has the vector-Jacobian product ``dx = A^T dy``: nothing of ``x`` needs
to be kept, only its shape. The forward halves are those of :mod:`pixgrad.sift.scale_space`, run in
float64.
"""

import numpy as np

from pixgrad.sift import scale_space
from pixgrad.sift.derivatives.types import Array


def double(image: Array, precise: bool = False) -> tuple[Array, tuple]:
    """Double the image along both axes by linear interpolation.

    Parameters
    ----------
    image : (H, W), grey levels.
    precise : grid of the result, see :func:`pixgrad.sift.scale_space.double`.

    Returns
    -------
    doubled : (2H, 2W).
    saved : what :func:`double_vjp` needs.
    """
    return scale_space.double(image, precise), (precise,)


def double_vjp(saved: tuple, ddoubled: Array) -> Array:
    """Transpose of :func:`double`: (2H, 2W) -> (H, W)."""
    (precise,) = saved
    return _double_rows_vjp(_double_rows_vjp(ddoubled, precise).T, precise).T


def blur(image: Array, sigma: float) -> tuple[Array, tuple]:
    """Separable Gaussian blur with mirrored borders.

    Parameters
    ----------
    image : (H, W), grey levels.
    sigma : standard deviation, pixels.

    Returns
    -------
    blurred : (H, W).
    saved : what :func:`blur_vjp` needs.
    """
    return scale_space.blur(image, sigma), (sigma,)


def blur_vjp(saved: tuple, dblurred: Array) -> Array:
    """Transpose of :func:`blur`: the same kernel, but border pixels collect their mirror images."""
    (sigma,) = saved
    kernel = scale_space.gaussian_kernel(sigma, dblurred.dtype)
    rows = _filter_rows_vjp(dblurred, kernel)
    return _filter_rows_vjp(rows.T.copy(), kernel).T.copy()  # rows of a copy: twice as fast


def decimate(image: Array) -> tuple[Array, tuple]:
    """Keep every second row and column: (H, W) -> (H//2, W//2)."""
    return scale_space.halve(image), (image.shape,)


def decimate_vjp(saved: tuple, dsmall: Array) -> Array:
    """Transpose of :func:`decimate`: values return to their places, dropped pixels get zero."""
    (shape,) = saved
    dimage = np.zeros(shape)
    scale_space.halve(dimage)[:] = dsmall  # a view of every second pixel
    return dimage


def difference_of_gaussians(levels: Array) -> tuple[Array, tuple]:
    """Differences of neighbouring levels: (S, H, W) -> (S-1, H, W)."""
    return scale_space.difference_of_gaussians(levels), ()


def difference_of_gaussians_vjp(saved: tuple, ddog: Array) -> Array:
    """Transpose of :func:`difference_of_gaussians`: (S-1, H, W) -> (S, H, W)."""
    padded = np.pad(ddog, ((1, 1), (0, 0), (0, 0)))
    return padded[:-1] - padded[1:]


def pixel_differences(level: Array) -> tuple[tuple[Array, Array], tuple]:
    """Central differences, ``gx`` to the right and ``gy`` upwards; zero on the border pixels.

    Parameters
    ----------
    level : (H, W), a level of the scale space.

    Returns
    -------
    gx, gy : (H, W) each, not divided by two (as in Lowe's code and OpenCV).
    saved : empty, the stage is linear.
    """
    gx = np.pad(level[1:-1, 2:] - level[1:-1, :-2], 1)
    gy = np.pad(level[:-2, 1:-1] - level[2:, 1:-1], 1)
    return (gx, gy), ()


def pixel_differences_vjp(saved: tuple, dgx: Array, dgy: Array) -> Array:
    """Transpose of :func:`pixel_differences`: each difference gives to its two pixels."""
    dlevel = np.zeros_like(dgx)
    dlevel[1:-1, 2:] += dgx[1:-1, 1:-1]
    dlevel[1:-1, :-2] -= dgx[1:-1, 1:-1]
    dlevel[:-2, 1:-1] += dgy[1:-1, 1:-1]
    dlevel[2:, 1:-1] -= dgy[1:-1, 1:-1]
    return dlevel


def _double_rows_vjp(ddoubled: Array, precise: bool) -> Array:
    even, odd = ddoubled[0::2], ddoubled[1::2]
    if precise:  # even rows are copies, odd ones the means of a row and the next one
        dimage, dbefore, dafter = even + odd / 2, np.zeros_like(even), odd / 2
    else:  # three quarters of a row, a quarter of its neighbour
        dimage, dbefore, dafter = 0.75 * (even + odd), even / 4, odd / 4
    dimage[1:] += dafter[:-1]
    dimage[:-1] += dbefore[1:]
    dimage[0] += dbefore[0]  # the border rows are their own neighbours
    dimage[-1] += dafter[-1]
    return dimage


def _filter_rows_vjp(dblurred: Array, kernel: Array) -> Array:
    """Transpose of the convolution along axis 0."""
    n, radius = len(dblurred), len(kernel) // 2
    dpadded = np.zeros((n + 2 * radius, dblurred.shape[1]))
    for k, weight in enumerate(kernel):
        dpadded[k : k + n] += weight * dblurred
    dimage = dpadded[radius : radius + n].copy()
    source = scale_space.mirror(np.arange(-radius, n + radius), n)
    for k in (*range(radius), *range(radius + n, n + 2 * radius)):
        dimage[source[k]] += dpadded[k]
    return dimage
