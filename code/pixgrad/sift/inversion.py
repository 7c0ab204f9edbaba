"""Pictures found by gradient descent from their SIFT descriptors.

References
----------
Weinzaepfel, Jégou, Pérez 2011 (descriptors give the image away); Mahendran, Vedaldi 2015
(inversion by gradient descent on the pixels).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pixgrad.backprop.optimisers import Optimiser
from pixgrad.sift.derivatives import (
    Geometry,
    normalise,
    normalise_vjp,
    octave_levels,
    octave_levels_vjp,
    pixel_differences,
    pixel_differences_vjp,
    polar,
    polar_vjp,
)
from pixgrad.sift.derivatives.binning import hat, hat_derivative, nearest_turn
from pixgrad.sift.derivatives.descriptor import spatial_shares
from pixgrad.sift.derivatives.types import Array
from pixgrad.sift.descriptor import DIRECTIONS


class DescriptorField:
    """Descriptors in fixed places of one level, all upright: orientation 0.

    What does not depend on the pixels — the shares of the 4x4 cells — is computed once, so that K
    descriptors and their VJP are K small matrix products.

    Parameters
    ----------
    octave, layer : the level; octave 0 is the doubled image.
    places : centres and scales in pixels of the octave.
    shape : (H, W) of the image.
    """

    def __init__(
        self, octave: int, layer: int, places: Sequence[Geometry], shape: tuple[int, int]
    ) -> None:
        self.octave, self.layer = octave, layer
        level_shape = tuple(2 * side // 2**octave for side in shape)
        self._windows = [spatial_shares(place, level_shape) for place in places]

    def forward(self, image: Array) -> tuple[Array, tuple]:
        """Descriptors (K, 128) of an image (H, W), and what :meth:`vjp` needs."""
        levels, from_pyramid = octave_levels(image, self.octave, self.layer)
        (magnitude, angle), from_polar = polar(*pixel_differences(levels[self.layer])[0])
        turn = angle[..., None] * (DIRECTIONS / (2 * np.pi)) - np.arange(DIRECTIONS)
        distance = nearest_turn(turn, DIRECTIONS)
        votes = magnitude[..., None] * hat(distance)  # (H', W', 8)
        found = [
            normalise(shares @ votes[rows, columns].reshape(-1, DIRECTIONS))
            for rows, columns, shares in self._windows
        ]
        descriptors, from_normalise = zip(*found, strict=True)
        saved = (levels.shape, from_pyramid, from_polar, magnitude, distance, from_normalise)
        return np.array(descriptors), saved

    def vjp(self, saved: tuple, ddescriptors: Array) -> Array:
        """Gradient (H, W) with respect to the pixels from the one of the descriptors (K, 128)."""
        shape, from_pyramid, from_polar, magnitude, distance, from_normalise = saved
        dvotes = np.zeros((*magnitude.shape, DIRECTIONS))
        for (rows, columns, shares), part, ddescriptor in zip(
            self._windows, from_normalise, ddescriptors, strict=True
        ):
            dcells = normalise_vjp(part, ddescriptor)
            window = dvotes[rows, columns]
            window += (shares.T @ dcells).reshape(window.shape)
        dmagnitude = (dvotes * hat(distance)).sum(-1)
        dturn = magnitude * (dvotes * hat_derivative(distance)).sum(-1)
        dpolar = polar_vjp(from_polar, dmagnitude, dturn * (DIRECTIONS / (2 * np.pi)))
        dlevels = np.zeros(shape)
        dlevels[self.layer] = pixel_differences_vjp((), *dpolar)
        return octave_levels_vjp(from_pyramid, dlevels)


class Descent(NamedTuple):
    """A picture on its way to the target."""

    image: Array
    """(H, W), the last one."""
    distances: Array
    """(steps + 1,), mean distance of the descriptors to their targets, before each step."""
    snapshots: dict[int, Array]
    """Step number -> picture before that step."""


def descend(
    field: DescriptorField,
    target: Array,
    start: Array,
    optimiser: Callable[[dict[str, Array]], Optimiser],
    steps: int,
    keep: Sequence[int] = (),
) -> Descent:
    """Minimise half the squared distances to the target descriptors over the pixels.

    The step size falls to zero along a half cosine; pixels stay within 0..255.

    Parameters
    ----------
    field : where the descriptors are taken.
    target : (K, 128), descriptors of unit length.
    start : (H, W), grey levels; left as it is.
    optimiser : makes an optimiser of ``{"pixels": array}``.
    steps : number of steps.
    keep : steps before which the picture is kept.
    """
    image = start.astype(float)
    rule = optimiser({"pixels": image})
    first_lr = rule.lr
    distances, snapshots = [], {}
    for step in range(steps + 1):
        found, saved = field.forward(image)
        residual = found - target
        distances.append(float(np.linalg.norm(residual, axis=1).mean()))
        if step in keep:
            snapshots[step] = image.copy()
        if step < steps:
            rule.lr = first_lr * (1 + np.cos(np.pi * step / steps)) / 2
            rule.step({"pixels": field.vjp(saved, residual)})
            np.clip(image, 0, 255, out=image)
    return Descent(image, np.array(distances), snapshots)


def lattice(shape: tuple[int, int], step: float, scale: float) -> list[Geometry]:
    """Places of overlapping descriptors that cover the doubled image of a picture (H, W).

    Parameters
    ----------
    shape : (H, W) of the picture.
    step : distance between neighbours, pixels of the doubled image.
    scale : of every descriptor, the same pixels.
    """
    rows, columns = (np.arange(step / 2, 2 * side, step) for side in shape)
    return [Geometry(x, y, scale, 0.0) for y in rows for x in columns]


def noise(shape: tuple[int, int], seed: int, deviation: float = 10.0) -> Array:
    """Grey picture with normal noise, (H, W)."""
    return np.clip(np.random.default_rng(seed).normal(128, deviation, shape), 0, 255)
