"""Stage 5: descriptors — 4x4 histograms of 8 gradient directions, with trilinear voting.

References
----------
D. Lowe, IJCV 2004, section 6.
"""

import math
from typing import NamedTuple

import numpy as np

from .arithmetic import exp
from .orientation import by_radius

WIDTH = 4  # d: cells along a side
DIRECTIONS = 8  # n: bins of a cell's histogram
CELL_FACTOR = 3.0  # side of a cell, in keypoint scales
CLIP = 0.2
QUANTUM = 512.0
LENGTH = WIDTH * WIDTH * DIRECTIONS
# Votes go to a grid with a spare cell on each side.
_SIZE = (WIDTH + 2) * (WIDTH + 2) * DIRECTIONS
CHUNK = 1 << 17  # samples processed at once: fewer calls, and they stay in the L3 cache


def raw_histograms(
    magnitude: np.ndarray,
    angle: np.ndarray,
    layer: np.ndarray,
    xy: np.ndarray,
    scale: np.ndarray,
    orientation: np.ndarray,
) -> np.ndarray:
    """Sum the votes for each keypoint of one octave; `quantise` makes descriptors of them.

    Parameters
    ----------
    magnitude, angle : (L, H, W) float32 arrays from `orientation.gradients`.
    layer : (N,) integer; xy : (N, 2) float32, pixels of this octave.
    scale : (N,) float32, sigma in pixels of this octave.
    orientation : (N,) float32, degrees, clockwise (as in `Features.angle`).

    Returns
    -------
    (N, 128) float32 array; index ``(4 row + column) 8 + direction``.
    """
    window = windows(xy, scale, orientation, magnitude.shape)
    result = np.zeros((len(xy), LENGTH), np.float32)
    for r, k in by_radius(window.radius, CHUNK):
        chosen = Windows(*(column[k] for column in window))
        sample = _sample(magnitude.shape, layer[k], chosen, r)
        result[k] = _vote(magnitude, angle, chosen.turn, *sample)
    return result


class Windows(NamedTuple):
    """Where the grids of N keypoints lie.

    centre : (N, 2) int64, nearest pixel (x, y).
    cosine, sine : (N,) float32, of the turn, divided by the side of a cell in pixels.
    turn : (N,) float32, counter-clockwise orientation, degrees.
    radius : (N,) int64, half-side of the upright window that holds the grid, pixels.
    """

    centre: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray
    turn: np.ndarray
    radius: np.ndarray


def windows(
    xy: np.ndarray, scale: np.ndarray, orientation: np.ndarray, shape: tuple[int, ...]
) -> Windows:
    """Place the grids; ``shape`` is (L, H, W), the other parameters as in `raw_histograms`."""
    turn = np.where(orientation == 0, 0, np.float32(360) - orientation).astype(np.float32)
    radians = (turn * np.float32(math.pi / 180)).astype(np.float64)
    side = np.float32(CELL_FACTOR) * scale
    reach = side * np.float32(math.sqrt(2)) * np.float32(WIDTH + 1) * np.float32(0.5)
    return Windows(
        np.rint(xy).astype(np.int64),
        np.cos(radians).astype(np.float32) / side,
        np.sin(radians).astype(np.float32) / side,
        turn,
        np.minimum(np.rint(reach).astype(np.int64), int(math.hypot(*shape[1:]))),
    )


def quantise(histogram: np.ndarray) -> np.ndarray:
    """Normalise, clip at 0.2, normalise again, times 512, round to 0..255; (N, 128)."""
    clipped = np.minimum(histogram, _norm(histogram) * np.float32(CLIP))
    factor = np.float32(QUANTUM) / np.maximum(_norm(clipped), np.finfo(np.float32).eps)
    return np.clip(np.rint(clipped * factor), 0, 255)


def _norm(histogram: np.ndarray) -> np.ndarray:
    squares = np.square(histogram, dtype=np.float64).sum(axis=1, keepdims=True)
    return np.sqrt(squares.astype(np.float32))


def _sample(
    shape: tuple[int, ...], layer: np.ndarray, window: Windows, radius: int
) -> tuple[np.ndarray, ...]:
    """List the pixels whose votes reach the grids of keypoints that share a window radius.

    Returns
    -------
    keypoint, pixel : (M,) int64; the pixel is a flat index into the (L, H, W) arrays.
    row, column : (M,) float32, position on the grid in cells, relative to its centre.
    """
    _, height, width = shape
    cosine, sine = window.cosine[:, None], window.sine[:, None]
    x, y = window.centre.T[:, :, None]
    step = np.arange(-radius, radius + 1)
    from_left, from_top = x + step, y + step
    step = step.astype(np.float32)
    column = (step * cosine)[:, None, :] - (step * sine)[:, :, None]
    row = (step * sine)[:, None, :] + (step * cosine)[:, :, None]

    reach = np.float32(WIDTH / 2 + 0.5)
    inside = (np.abs(row) < reach) & (np.abs(column) < reach)
    inside &= ((from_top > 0) & (from_top < height - 1))[:, :, None]
    inside &= ((from_left > 0) & (from_left < width - 1))[:, None, :]
    chosen = np.flatnonzero(inside)
    keypoint = np.repeat(np.arange(len(layer)), np.count_nonzero(inside, axis=(1, 2)))
    pixel = ((layer[:, None] * height + from_top) * width)[:, :, None] + from_left[:, None, :]
    return keypoint, pixel.take(chosen), row.take(chosen), column.take(chosen)


def _vote(
    magnitude: np.ndarray,
    angle: np.ndarray,
    turn: np.ndarray,
    keypoint: np.ndarray,
    pixel: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
) -> np.ndarray:
    """Trilinear votes: each sample adds to 2 rows x 2 columns x 2 directions; (n, 128) float32.

    The shares of the two neighbouring directions are summed together as one complex number.
    """
    weight = exp((column * column + row * row) * np.float32(-1 / (WIDTH * WIDTH * 0.5)))
    vote = magnitude.take(pixel) * weight
    relative = angle.take(pixel) - turn.take(keypoint)
    direction, d = split(relative * np.float32(DIRECTIONS / 360))
    row, r = split(row + np.float32(WIDTH / 2 - 0.5))
    column, c = split(column + np.float32(WIDTH / 2 - 0.5))
    cell = (keypoint * (WIDTH + 2) + row + 1) * (WIDTH + 2) + column + 1
    index = cell * DIRECTIONS + (direction & (DIRECTIONS - 1))

    lower = vote * r
    upper = vote - lower
    lower_right, upper_right = lower * c, upper * c
    lower_left, upper_left = lower - lower_right, upper - upper_right
    corners = (upper_left, upper_right, lower_left, lower_right)
    total = np.zeros((4, len(turn) * _SIZE), np.complex64)
    share = np.empty(len(vote), np.complex64)
    for corner, part in zip(total, corners, strict=True):
        share.imag = part * d
        share.real = part - share.imag
        np.add.at(corner, index, share)
    total = total.reshape(4, -1, WIDTH + 2, WIDTH + 2, DIRECTIONS)
    grid = total[0, :, 1:-1, 1:-1] + total[1, :, 1:-1, :-2]
    grid = (grid + total[2, :, :-2, 1:-1]) + total[3, :, :-2, :-2]
    return (grid.real + np.roll(grid.imag, 1, axis=-1)).reshape(-1, LENGTH)


def split(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whole part (int32) and fraction (float32); compiled code calls this with single numbers."""
    whole = np.floor(value)
    return np.int32(whole), value - whole
