"""Scenes of several digits with a box around each, from the digits of a wheel: on any machine."""

from functools import partial

import numpy as np
from PIL import Image

from pixgrad.checks import whole
from pixgrad.data import digits5k
from pixgrad.data.files import Found
from pixgrad.data.idx import DIGITS
from pixgrad.data.types import BoxSet, ImageSet

COUNTS = {"train": 200, "validation": 60, "trainval": 260, "test": 60}
DIGITS_A_SCENE = (3, 7)
SIZES = (0.14, 0.4)
"""Of a digit's square, in shares of the scene's side."""
SMALLEST = 32
"""Side of a scene, pixels, where the ink of every digit is still seen."""
OVERLAP = 0.1
"""Largest share of a digit's square that an earlier one may cover."""
PAPER, INK = ((150, 215), (160, 215), (165, 220)), ((20, 90), (20, 80), (60, 130))
"""Ranges of the three colour channels."""


def scenes(split: str = "train", side: int = 96) -> Found:
    """Scenes that differ in digits, their sizes, places and colours; split by the digits' own."""
    whole("side", side, least=SMALLEST)
    digits = digits5k.mnist5k(split)
    return Found(digits.origin, lambda: _draw(digits.read(), side))


def _draw(digits: ImageSet, side: int) -> BoxSet:
    rng = np.random.default_rng(len(digits))
    count = COUNTS[digits.split]
    drawn = [_scene(digits, side, rng) for _ in range(count)]
    sizes = [len(labels) for _, _, labels in drawn]
    return BoxSet(
        "scenes",
        digits.split,
        np.stack([image for image, _, _ in drawn]),
        np.concatenate([boxes for _, boxes, _ in drawn]).astype(np.float32),
        np.concatenate([labels for _, _, labels in drawn]).astype(np.int64),
        np.repeat(np.arange(count), sizes),
        tuple(f"scene-{index}" for index in range(count)),
        DIGITS,
        (),
        digits.origin,
    )


def _scene(digits: ImageSet, side: int, rng: np.random.Generator):
    """Image uint8 (side, side, 3), boxes (M, 4) in shares, labels (M,)."""
    colour = partial(_colour, rng)
    image = np.tile(colour(PAPER), (side, side, 1)) + rng.normal(0, 4, (side, side, 1))
    boxes, labels, squares = [], [], []
    for _ in range(rng.integers(*DIGITS_A_SCENE, endpoint=True)):
        size = round(side * rng.uniform(*SIZES))
        top, left = rng.integers(0, side - size, 2, endpoint=True)
        square = np.array([left, top, left + size, top + size])
        if any(_covered(square, other) > OVERLAP for other in squares):
            continue
        index = rng.integers(len(digits))
        drawn = Image.fromarray(digits.images[index]).resize((size, size), Image.Resampling.BICUBIC)
        ink = np.asarray(drawn, float)[..., None] / 255
        patch = image[top : top + size, left : left + size]
        patch += ink * (colour(INK) - patch)
        rows, columns = (np.flatnonzero(ink[..., 0].max(axis) > 0.2) for axis in (1, 0))
        corners = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        boxes.append((np.array([left, top] * 2) + corners) / side)
        labels.append(digits.labels[index])
        squares.append(square)
    return image.round().clip(0, 255).astype(np.uint8), np.array(boxes), np.array(labels)


def _colour(rng: np.random.Generator, ranges) -> np.ndarray:
    return np.array([rng.uniform(low, high) for low, high in ranges])


def _covered(square: np.ndarray, other: np.ndarray) -> float:
    """Share of the smaller of two squares that the other one covers."""
    common = (np.minimum(square[2:], other[2:]) - np.maximum(square[:2], other[:2])).clip(0).prod()
    return common / min((square[2:] - square[:2]).prod(), (other[2:] - other[:2]).prod())
