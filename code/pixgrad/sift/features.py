"""Keypoints with descriptors, and OpenCV's rules for sorting and packing them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ..errors import PixgradError


@dataclass(frozen=True, eq=False)
class Features:
    """Keypoints of one image, in OpenCV's order (by x, then y).

    Attributes
    ----------
    xy : (N, 2) float32, pixels; the centre of the top left pixel is (0, 0).
    size : (N,) float32, diameter of the region: twice the scale, pixels.
    angle : (N,) float32, degrees [0, 360), clockwise on the screen.
    response : (N,) float32, |contrast| for grey values 0..1.
    octave : (N,) int32, packed: octave (signed byte), layer << 8, sub-layer offset << 16.
    descriptors : (N, 128) float32 or uint8, whole numbers 0..255; (N, 0) if not computed.

    Examples
    --------
    >>> import numpy as np
    >>> from pixgrad.sift import Features, Sift
    >>> square = np.zeros((64, 64), np.uint8)
    >>> square[20:44, 20:44] = 255
    >>> found = Sift().detect_and_compute(square)
    >>> again = Features.from_opencv(*found.to_opencv())
    >>> bool((again.xy == found.xy).all())
    True
    """

    xy: np.ndarray
    size: np.ndarray
    angle: np.ndarray
    response: np.ndarray
    octave: np.ndarray
    descriptors: np.ndarray

    def __post_init__(self) -> None:
        """Refuse columns that are not of one length: a keypoint would get another's numbers."""
        shapes = {f.name: np.shape(getattr(self, f.name)) for f in fields(self)}
        n = shapes["xy"][:1]
        rows = all(shapes[name] == n for name in ("size", "angle", "response", "octave"))
        descriptors = shapes["descriptors"]
        if shapes["xy"] != (*n, 2) or not rows or len(descriptors) != 2 or descriptors[:1] != n:
            raise PixgradError(
                f"столбцы не подходят друг к другу: {shapes}", f"columns that do not fit: {shapes}"
            )

    def check_described(self) -> None:
        """Refuse keypoints that have no place or no region, such as those with NaN.

        Raises
        ------
        PixgradError : the first of them, with its numbers.
        """
        numbers = np.column_stack([self.xy, self.size, self.angle])
        wrong = np.flatnonzero(~np.isfinite(numbers).all(axis=1) | ~(self.size > 0))
        if len(wrong):
            k = int(wrong[0])
            raise PixgradError(
                f"точка {k}: x, y, размер и угол {numbers[k].tolist()}; нужны конечные числа и "
                "положительный размер",
                f"keypoint {k}: x, y, size and angle {numbers[k].tolist()}; give finite numbers "
                "and a positive size",
            )

    def __len__(self) -> int:
        return len(self.xy)

    def __getitem__(self, index: slice | np.ndarray) -> Features:
        """Features chosen by a slice, a boolean mask or an array of numbers."""
        return Features(*(getattr(self, f.name)[index] for f in fields(self)))

    @classmethod
    def from_opencv(cls, keypoints, descriptors: np.ndarray | None = None) -> Features:
        """From what ``cv2.SIFT`` returns: a sequence of ``cv2.KeyPoint`` and their descriptors."""
        return cls(
            np.array([k.pt for k in keypoints], np.float32).reshape(-1, 2),
            *(
                np.array([getattr(k, name) for k in keypoints], np.float32)
                for name in ("size", "angle", "response")
            ),
            np.array([k.octave for k in keypoints], np.int32),
            np.empty((len(keypoints), 0), np.float32) if descriptors is None else descriptors,
        )

    def to_opencv(self) -> tuple[tuple, np.ndarray]:
        """What ``cv2.SIFT.detectAndCompute`` returns: ``cv2.KeyPoint`` and the descriptors."""
        import cv2  # only this conversion needs OpenCV

        columns = (*self.xy.T, self.size, self.angle, self.response, self.octave)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return tuple(cv2.KeyPoint(*row) for row in rows), self.descriptors.copy()


def concatenate(parts: list[Features]) -> Features:
    """Join features of several octaves."""
    return Features(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Features))
    )


def sort_unique(features: Features) -> Features:
    """Sort by x, y, larger size, angle, larger response and octave; drop repeated keypoints.

    Refinement may lead two candidates to one point; such twins agree in position, size and
    angle, and the first is kept.
    """
    f = features
    f = f[np.lexsort((-f.octave, -f.response, f.angle, -f.size, f.xy[:, 1], f.xy[:, 0]))]
    key = np.column_stack([f.xy, f.size, f.angle])
    new = np.ones(len(f), bool)
    new[1:] = (key[1:] != key[:-1]).any(axis=1)
    return f[new]


def pack_octave(octave: int, layer: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Pack octave (-1 is the doubled image), layer and sub-layer offset as OpenCV does."""
    fraction = np.rint((offset.astype(np.float64) + 0.5) * 255).astype(np.int32)
    return (octave & 255) + (layer.astype(np.int32) << 8) + (fraction << 16)


def unpack_octave(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Octave (-1, 0, …) and layer of packed values, int32 arrays."""
    octave = packed & 255
    return np.where(octave >= 128, octave - 256, octave), (packed >> 8) & 255
