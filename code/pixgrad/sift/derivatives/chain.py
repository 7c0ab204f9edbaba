"""The whole way from pixels to a descriptor and back."""

import math

import numpy as np

from pixgrad.sift.derivatives import descriptor as d
from pixgrad.sift.derivatives import keypoint as k
from pixgrad.sift.derivatives import linear
from pixgrad.sift.derivatives.types import LOWE, Array, Geometry, Keypoint, ScaleSpace
from pixgrad.sift.descriptor import LENGTH
from pixgrad.sift.scale_space import ASSUMED_BLUR, MIN_BASE_VARIANCE, layer_blurs


def descriptor_vjp(
    image: Array,
    keypoint: Keypoint,
    ddescriptor: Array,
    parameters: ScaleSpace = LOWE,
    moving: bool = False,
    subpixel: bool = False,
    straight_through: bool = True,
) -> Array:
    """Gradient of ``ddescriptor . descriptor(image)`` with respect to every pixel.

    Parameters
    ----------
    image : (H, W), grey levels 0..255.
    keypoint : where the descriptor is taken.
    ddescriptor : (128,), gradient with respect to the descriptor of unit length.
    parameters : of the scale space; Lowe's by default.
    moving : whether place, scale and orientation answer to the pixels too, or stay.
    subpixel : ``False`` rounds the centre of the descriptor to a pixel, as OpenCV does.
    straight_through : for a moving keypoint, whether derivatives of smooth neighbours replace the
        zero ones (rounded centre, hard bins of the orientation histogram).

    Returns
    -------
    dimage : (H, W).
    """
    _, saved = describe(image, keypoint, parameters, moving, subpixel)
    return describe_vjp(saved, ddescriptor, straight_through)


def descriptor_jacobian(
    image: Array, keypoint: Keypoint, moving: bool = False, straight_through: bool = True
) -> Array:
    """All derivatives of a descriptor, one VJP a component: (128, H, W)."""
    _, saved = describe(image, keypoint, moving=moving)
    return np.array([describe_vjp(saved, row, straight_through) for row in np.eye(LENGTH)])


def describe(
    image: Array,
    keypoint: Keypoint,
    parameters: ScaleSpace = LOWE,
    moving: bool = False,
    subpixel: bool = False,
) -> tuple[Array, tuple]:
    """Descriptor of an image in a keypoint; see :func:`descriptor_vjp` for the parameters.

    Returns
    -------
    descriptor : (128,), unit length.
    saved : what :func:`describe_vjp` needs.
    """
    top = keypoint.layer + 2 if moving else keypoint.layer
    levels, from_pyramid = octave_levels(image, keypoint.octave, top, parameters)
    (magnitude, angle), from_polar = d.polar(*linear.pixel_differences(levels[keypoint.layer])[0])
    geometry, from_locate = keypoint.geometry, None
    if moving:
        geometry, from_locate = locate(levels, magnitude, angle, keypoint, parameters)
    cells, from_histogram = d.histogram(magnitude, angle, geometry, subpixel)
    descriptor, from_normalise = d.normalise(cells)
    saved = (from_pyramid, from_polar, from_locate, from_histogram, from_normalise)
    return descriptor, (keypoint.layer, levels.shape, *saved)


def describe_vjp(saved: tuple, ddescriptor: Array, straight_through: bool = True) -> Array:
    """VJP of :func:`describe`: the stages in reverse order."""
    layer, shape, from_pyramid, from_polar, from_locate, from_histogram, from_normalise = saved
    dlevels = np.zeros(shape)
    dcells = d.normalise_vjp(from_normalise, ddescriptor)
    dmagnitude, dangle, dgeometry = d.histogram_vjp(from_histogram, dcells, straight_through)
    if from_locate is not None:
        dlevels, dm, da = locate_vjp(from_locate, dgeometry, shape, straight_through)
        dmagnitude, dangle = dmagnitude + dm, dangle + da
    dgx, dgy = d.polar_vjp(from_polar, dmagnitude, dangle)
    dlevels[layer] += linear.pixel_differences_vjp((), dgx, dgy)
    return octave_levels_vjp(from_pyramid, dlevels)


def locate_in_image(
    image: Array, keypoint: Keypoint, parameters: ScaleSpace = LOWE
) -> tuple[Geometry, tuple]:
    """Geometry of a keypoint as a function of the pixels alone; see :func:`locate`."""
    layer = keypoint.layer
    levels, from_pyramid = octave_levels(image, keypoint.octave, layer + 2, parameters)
    (magnitude, angle), from_polar = d.polar(*linear.pixel_differences(levels[layer])[0])
    geometry, from_locate = locate(levels, magnitude, angle, keypoint, parameters)
    return geometry, (layer, levels.shape, from_pyramid, from_polar, from_locate)


def locate_in_image_vjp(saved: tuple, dgeometry: Geometry, straight_through: bool = True) -> Array:
    """VJP of :func:`locate_in_image`: (H, W)."""
    layer, shape, from_pyramid, from_polar, from_locate = saved
    dlevels, *dpolar = locate_vjp(from_locate, dgeometry, shape, straight_through)
    dlevels[layer] += linear.pixel_differences_vjp((), *d.polar_vjp(from_polar, *dpolar))
    return octave_levels_vjp(from_pyramid, dlevels)


def locate(
    levels: Array, magnitude: Array, angle: Array, keypoint: Keypoint, parameters: ScaleSpace
) -> tuple[Geometry, tuple]:
    """Place, scale and orientation of a keypoint whose discrete choices are given.

    Parameters
    ----------
    levels : (S, H, W), levels 0..layer+2 of the keypoint's octave.
    magnitude, angle : (H, W), gradient of the keypoint's level.
    keypoint : its pixel, layer and the peak of the orientation histogram are kept.

    Returns
    -------
    geometry : in pixels of the octave.
    saved : what :func:`locate_vjp` needs.
    """
    layer, row, column = keypoint.layer, keypoint.row, keypoint.column
    dog, _ = linear.difference_of_gaussians(levels[layer - 1 : layer + 3])
    cube = dog[:, row - 1 : row + 2, column - 1 : column + 2]
    (offset, _, _), from_refine = k.refine(cube)
    n = parameters.n_octave_layers
    scale = parameters.sigma * 2 ** ((layer + offset[2]) / n)
    bins, from_bins = k.orientation_histogram(magnitude, angle, column, row, scale)
    orientation, from_peak = k.peak_orientation(bins, near=keypoint.geometry.orientation)
    geometry = Geometry(column + offset[0], row + offset[1], scale, orientation)
    return geometry, (layer, row, column, n, scale, from_refine, from_bins, from_peak)


def locate_vjp(
    saved: tuple,
    dgeometry: Geometry,
    shape: tuple[int, int, int],
    straight_through: bool = True,
) -> tuple[Array, Array, Array]:
    """VJP of :func:`locate`: gradients of the levels (S, H, W), magnitude and angle (H, W)."""
    layer, row, column, n, scale, from_refine, from_bins, from_peak = saved
    dbins = k.peak_orientation_vjp(from_peak, dgeometry.orientation)
    dmagnitude, dangle, dscale = k.orientation_histogram_vjp(from_bins, dbins, straight_through)
    doffset_level = (dgeometry.scale + dscale) * scale * np.log(2) / n
    dcube = k.refine_vjp(from_refine, np.array([dgeometry.x, dgeometry.y, doffset_level]), 0.0)
    dlevels = np.zeros(shape)
    here = (slice(layer - 1, layer + 3), slice(row - 1, row + 2), slice(column - 1, column + 2))
    dlevels[here] = linear.difference_of_gaussians_vjp((), dcube)
    return dlevels, dmagnitude, dangle


def octave_levels(
    image: Array, octave: int, top: int, parameters: ScaleSpace = LOWE
) -> tuple[Array, tuple]:
    """Levels 0..top of one octave of the Gaussian scale space.

    Parameters
    ----------
    image : (H, W), grey levels 0..255.
    octave : 0 is the doubled image.
    top : index of the last level wanted, at most n_octave_layers + 2.

    Returns
    -------
    levels : (top + 1, H', W').
    saved : what :func:`octave_levels_vjp` needs.
    """
    n = parameters.n_octave_layers
    level, doubling = linear.double(np.asarray(image, dtype=float), parameters.precise)
    # What is missing to ``sigma`` in the doubled image, its pixels.
    missing = parameters.sigma**2 - (2 * ASSUMED_BLUR) ** 2
    level, first_blur = linear.blur(level, math.sqrt(max(missing, MIN_BASE_VARIANCE)))
    decimations = []
    for _ in range(octave):
        levels, _ = _climb(level, n, parameters)
        level, saved = linear.decimate(levels[n])
        decimations.append(saved)
    levels, blurs = _climb(level, max(top, n if octave else 0), parameters)
    return levels[: top + 1], (doubling, first_blur, decimations, blurs, n)


def octave_levels_vjp(saved: tuple, dlevels: Array) -> Array:
    """VJP of :func:`octave_levels`: (top + 1, H', W') -> (H, W)."""
    doubling, first_blur, decimations, blurs, n = saved
    dlevel = _descend(dlevels, blurs)
    for decimation in reversed(decimations):
        dtop = linear.decimate_vjp(decimation, dlevel)
        dlevel = _descend([0.0] * n + [dtop], blurs)
    return linear.double_vjp(doubling, linear.blur_vjp(first_blur, dlevel))


def _climb(level: Array, top: int, parameters: ScaleSpace) -> tuple[Array, list[tuple]]:
    levels, blurs = [level], []
    for sigma in layer_blurs(parameters.sigma, parameters.n_octave_layers)[:top]:
        level, saved = linear.blur(level, sigma)
        levels.append(level)
        blurs.append(saved)
    return np.array(levels), blurs


def _descend(dlevels: Array | list, blurs: list[tuple]) -> Array:
    """Transpose of the cascade of blurs: gradient of level 0 from those of all the levels."""
    dlevel = dlevels[-1]
    for step in reversed(range(len(dlevels) - 1)):
        dlevel = linear.blur_vjp(blurs[step], dlevel) + dlevels[step]
    return dlevel
