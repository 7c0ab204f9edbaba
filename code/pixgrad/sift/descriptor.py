"""Stage 5: descriptors — 4x4 histograms of 8 gradient directions, with trilinear voting.

References
----------
D. Lowe, IJCV 2004, section 6.
"""

from __future__ import annotations

import math

import numpy as np

from .arithmetic import exp

WIDTH = 4  # d: cells along a side
DIRECTIONS = 8  # n: bins of a cell's histogram
CELL_FACTOR = 3.0  # side of a cell, in keypoint scales
CLIP = 0.2
QUANTUM = 512.0
LENGTH = WIDTH * WIDTH * DIRECTIONS
# Votes go to a grid with one spare cell on each side and one spare direction (8 is again 0).
_PITCH = DIRECTIONS + 1
_ROW = (WIDTH + 2) * _PITCH
_SIZE = (WIDTH + 2) * _ROW
_CORNERS = np.array([0, 1, _PITCH, _PITCH + 1, _ROW, _ROW + 1, _ROW + _PITCH, _ROW + _PITCH + 1])
CHUNK = 1 << 16  # samples processed at once, to stay in the cache


def describe(
    magnitude: np.ndarray,
    angle: np.ndarray,
    layer: np.ndarray,
    xy: np.ndarray,
    scale: np.ndarray,
    orientation: np.ndarray,
) -> np.ndarray:
    """Descriptors of keypoints of one octave, rounded to whole numbers 0..255.

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
    return quantise(raw_histograms(magnitude, angle, layer, xy, scale, orientation))


def raw_histograms(
    magnitude: np.ndarray,
    angle: np.ndarray,
    layer: np.ndarray,
    xy: np.ndarray,
    scale: np.ndarray,
    orientation: np.ndarray,
) -> np.ndarray:
    """Sums of votes before normalisation, (N, 128) float32; parameters as in `describe`."""
    turn = np.where(orientation == 0, 0, np.float32(360) - orientation).astype(np.float32)
    side = np.float32(CELL_FACTOR) * scale
    radius = window_radius(side, magnitude.shape[1:])
    result = np.zeros((len(xy), LENGTH), np.float32)
    for r in np.unique(radius):
        group = np.flatnonzero(radius == r)
        size = max(1, CHUNK // (2 * r + 1) ** 2)
        for start in range(0, len(group), size):
            k = group[start : start + size]
            votes = _votes(magnitude, angle, layer[k], xy[k], side[k], turn[k], int(r))
            result[k] = fold(votes)
    return result


def window_radius(side: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Half-side of the window that holds the rotated grid of cells of the given side, pixels."""
    reach = side * np.float32(math.sqrt(2)) * np.float32(WIDTH + 1) * np.float32(0.5)
    return np.minimum(np.rint(reach).astype(np.int64), int(math.hypot(*shape)))


def fold(votes: np.ndarray) -> np.ndarray:
    """Drop the spare cells and add the spare direction to the first: (N, 324) -> (N, 128)."""
    grid = votes.reshape(-1, WIDTH + 2, WIDTH + 2, _PITCH)[:, 1:-1, 1:-1].astype(np.float32)
    grid[..., 0] += grid[..., DIRECTIONS]
    return grid[..., :DIRECTIONS].reshape(-1, LENGTH)


def quantise(histogram: np.ndarray) -> np.ndarray:
    """Normalise, clip at 0.2, normalise again, times 512, round to 0..255; (N, 128)."""
    clipped = np.minimum(histogram, _norm(histogram) * np.float32(CLIP))
    factor = np.float32(QUANTUM) / np.maximum(_norm(clipped), np.finfo(np.float32).eps)
    return np.clip(np.rint(clipped * factor), 0, 255)


def _norm(histogram: np.ndarray) -> np.ndarray:
    squares = np.square(histogram, dtype=np.float64).sum(axis=1, keepdims=True)
    return np.sqrt(squares.astype(np.float32))


def _votes(
    magnitude: np.ndarray,
    angle: np.ndarray,
    layer: np.ndarray,
    xy: np.ndarray,
    side: np.ndarray,
    turn: np.ndarray,
    radius: int,
) -> np.ndarray:
    """Trilinear votes (n, 324) of keypoints that share a window radius."""
    n, (_, height, width) = len(layer), magnitude.shape
    centre = np.rint(xy).astype(np.int64)
    # Rotated coordinates in cells, relative to the centre of the grid.
    radians = (turn * np.float32(math.pi / 180)).astype(np.float64)
    cosine = (np.cos(radians).astype(np.float32) / side)[:, None, None]
    sine = (np.sin(radians).astype(np.float32) / side)[:, None, None]
    step = np.arange(-radius, radius + 1, dtype=np.float32)
    down, right = step[:, None], step
    c_turned = right * cosine - down * sine
    r_turned = right * sine + down * cosine
    # Only what falls on the grid is looked at further, as one flat list of samples.
    reach = np.float32(WIDTH / 2 + 0.5)
    inside = (np.abs(c_turned) < reach) & (np.abs(r_turned) < reach)
    whole = np.arange(-radius, radius + 1)
    row, column = centre[:, 1, None] + whole, centre[:, 0, None] + whole
    inside &= ((row > 0) & (row < height - 1))[:, :, None]
    inside &= ((column > 0) & (column < width - 1))[:, None, :]
    sample = np.flatnonzero(inside)
    keypoint = sample // inside[0].size
    pixel = ((layer[:, None] * height + row) * width)[:, :, None] + column[:, None, :]
    pixel = pixel.ravel()[sample]
    c, r = c_turned.ravel()[sample], r_turned.ravel()[sample]

    weight = exp((c * c + r * r) * np.float32(-1 / (WIDTH * WIDTH * 0.5)))
    vote = magnitude.take(pixel) * weight
    o = (angle.take(pixel) - turn[keypoint]) * np.float32(DIRECTIONS / 360)
    r, c = r + np.float32(WIDTH / 2 - 0.5), c + np.float32(WIDTH / 2 - 0.5)
    r0, c0, o0 = np.floor(r), np.floor(c), np.floor(o)
    r, c, o = r - r0, c - c0, o - o0
    o0 = o0.astype(np.int64)
    o0 += np.where(o0 < 0, DIRECTIONS, 0)
    o0 -= np.where(o0 >= DIRECTIONS, DIRECTIONS, 0)
    cell = (r0.astype(np.int64) + 1) * _ROW + (c0.astype(np.int64) + 1) * _PITCH + o0

    v_r1 = vote * r
    v_r0 = vote - v_r1
    v_rc11, v_rc01 = v_r1 * c, v_r0 * c
    v_rc10, v_rc00 = v_r1 - v_rc11, v_r0 - v_rc01
    shares = np.empty((len(sample), 8), np.float32)
    for i, part in enumerate((v_rc00, v_rc01, v_rc10, v_rc11)):
        shares[:, 2 * i + 1] = part * o
        shares[:, 2 * i] = part - shares[:, 2 * i + 1]
    index = (keypoint * _SIZE + cell)[:, None] + _CORNERS
    return np.bincount(index.ravel(), shares.ravel(), n * _SIZE).reshape(n, _SIZE)
