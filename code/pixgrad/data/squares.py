"""Bring images of any shape to squares of one size."""

from __future__ import annotations

import numpy as np
from PIL import Image


def crop_square(image: Image.Image, side: int) -> np.ndarray:
    """Scale the shorter side to ``side`` and cut the middle: uint8, (side, side, 3)."""
    scale = side / min(image.size)
    size = tuple(max(side, round(length * scale)) for length in image.size)
    scaled = image.resize(size, Image.Resampling.LANCZOS) if size != image.size else image
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    return np.asarray(scaled.crop((left, top, left + side, top + side)).convert("RGB"))


def squash_square(image: Image.Image, side: int) -> np.ndarray:
    """Scale to (side, side) whatever the aspect: nothing is cut off (cars in their boxes)."""
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image.convert("RGB"))
