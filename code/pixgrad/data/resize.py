"""Bring images to the size that is needed."""

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


def shrink(image: np.ndarray, longest: int = 512) -> np.ndarray:
    """Scale an image down so that its longer side is at most ``longest`` pixels."""
    height, width = image.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    size = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
