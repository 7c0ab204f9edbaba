"""What the derivatives say: answers of a keypoint to motion, sensitivity of its descriptor."""

from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import spearmanr

from pixgrad.errors import PixgradError
from pixgrad.sift import Sift
from pixgrad.sift.derivatives.chain import locate_in_image, locate_in_image_vjp, octave_levels
from pixgrad.sift.derivatives.descriptor import polar, turned
from pixgrad.sift.derivatives.linear import pixel_differences
from pixgrad.sift.derivatives.types import Array, Geometry, Keypoint
from pixgrad.sift.descriptor import WIDTH

STEP = 1e-4


class Response(NamedTuple):
    """A component of the geometry along a motion of the picture, in pixels or radians.

    All arrays have shape (n,).
    """

    motion: Array
    value: Array
    exact: Array
    """Slope by the true derivative almost everywhere."""
    surrogate: Array
    """Slope with the straight-through substitutes."""

    @property
    def mean_slope(self) -> float:
        """Slope of the straight line through the values."""
        return float(np.polyfit(self.motion, self.value, 1)[0])


def sensitivity_ranks(image: Array, keypoint: Keypoint, jacobian: Array) -> tuple[float, float]:
    """What the sensitivity of a descriptor follows, pixel by pixel of its grid.

    Parameters
    ----------
    image : (H, W), grey levels.
    keypoint : of octave 1 or higher.
    jacobian : (128, H, W), derivatives of the descriptor.

    Returns
    -------
    Rank correlations of ``|d descriptor / d pixel|`` with the Gaussian weight of the pixel and with
    the magnitude of its gradient.
    """
    levels, _ = octave_levels(image, keypoint.octave, keypoint.layer)
    (magnitude, _), _ = polar(*pixel_differences(levels[keypoint.layer])[0])
    step = 2 ** (keypoint.octave - 1)
    sensitivity = np.sqrt((jacobian**2).sum(axis=0))[::step, ::step]
    height, width = (min(sides) for sides in zip(sensitivity.shape, magnitude.shape, strict=True))
    i, j = np.indices((height, width))
    column, row = turned(i - keypoint.geometry.y, j - keypoint.geometry.x, keypoint.geometry)
    inside = np.maximum(np.abs(column), np.abs(row)) < WIDTH / 2
    seen = sensitivity[:height, :width][inside]
    weight = -(column**2 + row**2)[inside]  # ranks are those of the Gaussian
    strength = magnitude[:height, :width][inside]
    return float(spearmanr(seen, weight)[0]), float(spearmanr(seen, strength)[0])


def blob(shift: float = 0.0, turn: float = 0.0) -> Array:
    """A round blob on a slope of brightness, (64, 64), grey levels.

    Parameters
    ----------
    shift : to the right, pixels.
    turn : radians, counter-clockwise as seen: the direction in which it gets brighter.
    """
    y, x = np.indices((64, 64)) - np.array([31.8, 31.7 + shift])[:, None, None]
    u = x * np.cos(turn) - y * np.sin(turn)
    return 128 + 40 * np.exp(-(x**2 + y**2) / 32) + 2.5 * u


def blob_keypoint(image: Array) -> Keypoint:
    """The only keypoint that SIFT finds on the blob, its grey levels rounded."""
    found = Sift(compiled=False).detect_and_compute(image)
    if len(found) != 1:
        raise PixgradError(
            f"SIFT нашёл на пятне ключевых точек: {len(found)}, а нужна одна",
            f"SIFT finds {len(found)} keypoints on the blob, not one",
        )
    return Keypoint.of(found, 0)


def respond(motion: Literal["shift", "turn"], amounts: Array) -> Response:
    """Move the blob and follow its keypoint: ``x`` for a shift, the orientation for a turn.

    The values are those of SIFT itself; the slopes keep its discrete choices (pixel, layer, peak).
    """
    component = {"shift": "x", "turn": "orientation"}[motion]
    dgeometry = Geometry(*(float(name == component) for name in Geometry._fields))
    rows = []
    for amount in amounts:
        image = blob(**{motion: amount})
        keypoint = blob_keypoint(image)
        unit = 2.0 ** (keypoint.octave - 1) if motion == "shift" else 1.0
        _, saved = locate_in_image(image, keypoint)
        moving = blob(**{motion: amount + STEP}) - blob(**{motion: amount - STEP})
        slopes = [
            (locate_in_image_vjp(saved, dgeometry, use) * moving).sum() / (2 * STEP)
            for use in (False, True)
        ]
        rows.append(unit * np.array([getattr(keypoint.geometry, component), *slopes]))
    value, exact, surrogate = np.transpose(rows)
    if motion == "turn":
        value = np.unwrap(value)
    return Response(np.asarray(amounts), value, exact, surrogate)
