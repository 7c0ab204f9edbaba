"""Types shared by the derivatives of SIFT's stages."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pixgrad.sift.features import Features, unpack_octave
from pixgrad.sift.scale_space import LAYERS, SIGMA

Array = NDArray[np.float64]


class Geometry(NamedTuple):
    """Where a descriptor is taken, in pixels of its octave (also the shape of its gradient)."""

    x: float
    """Column of the centre."""
    y: float
    """Row of the centre."""
    scale: float
    """Standard deviation of the Gaussian level, pixels of the octave."""
    orientation: float
    """Dominant direction, radians, counter-clockwise as seen (the y axis looks up)."""


@dataclass(frozen=True)
class ScaleSpace:
    """Parameters of the scale space; the defaults are those of Lowe and OpenCV."""

    n_octave_layers: int = LAYERS
    sigma: float = SIGMA
    precise: bool = False
    """Grid of the doubled image, see :func:`pixgrad.sift.scale_space.double`."""


LOWE = ScaleSpace()


@dataclass(frozen=True)
class Keypoint:
    """The discrete choices of the detector and the geometry that they led to."""

    octave: int
    """0 is the doubled image."""
    layer: int
    """Level of the octave on which the extremum lies, 1..n_octave_layers."""
    geometry: Geometry

    @classmethod
    def of(cls, features: Features, index: int) -> Keypoint:
        """Keypoint number ``index`` of what :class:`pixgrad.sift.Sift` found."""
        octave, layer = (int(value) for value in unpack_octave(features.octave[index]))
        pixel = 2.0**octave  # a pixel of the octave, in pixels of the photo
        x, y = features.xy[index].astype(float) / pixel
        scale = float(features.size[index]) / (2 * pixel)
        orientation = math.radians(360 - float(features.angle[index]))
        return cls(octave + 1, layer, Geometry(x, y, scale, orientation))

    def crop(self, image: Array, side: int) -> tuple[Array, Keypoint]:
        """A square of the image around the keypoint, and the keypoint in it.

        The square begins at a pixel that every octave up to this one has, so that the keypoint
        stays one (but for what the blur brings over the new border).

        Parameters
        ----------
        image : (H, W).
        side : of the square, pixels of the image; smaller at the image's border.
        """
        pixel = 2.0 ** (self.octave - 1)
        grid = max(1, int(pixel))
        middle = int(pixel * self.geometry.y), int(pixel * self.geometry.x)
        top, left = (max(0, (m - side // 2) // grid * grid) for m in middle)
        x, y = self.geometry.x - left / pixel, self.geometry.y - top / pixel
        geometry = self.geometry._replace(x=x, y=y)
        return image[top : top + side, left : left + side], replace(self, geometry=geometry)

    @property
    def row(self) -> int:
        """Pixel of the octave around which the last parabola was fitted."""
        return int(np.rint(self.geometry.y))

    @property
    def column(self) -> int:
        return int(np.rint(self.geometry.x))
