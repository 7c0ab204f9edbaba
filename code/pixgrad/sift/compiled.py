"""The slow stages compiled by numba: the same results as the NumPy functions, bit for bit.

Each function has the signature of its NumPy namesake and does the same float32 operations in the
same order; no fused multiply-add and no reordering (numba's defaults, ``fastmath`` off). The
machine code is kept on disk next to this file, or in ``$NUMBA_CACHE_DIR``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from . import descriptor, orientation
from .arithmetic import LN2_HIGH, LN2_LOW, LOG2_E, P1, P3, P5, P7, TAYLOR, TINY
from .extrema import BORDER, positions
from .scale_space import gaussian_kernel, mirror

BINS = orientation.BINS
WIDTH, DIRECTIONS = descriptor.WIDTH, descriptor.DIRECTIONS
SIDE = WIDTH + 2
T7, T6, T5, T4, T3, T2, T1, T0 = TAYLOR
POWERS_OF_TWO = (2.0 ** np.arange(-120, 1)).astype(np.float32)
F = np.float32


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """`scale_space.blur`."""
    kernel = gaussian_kernel(sigma, np.float32)
    reach = len(kernel) // 2
    rows = mirror(np.arange(-reach, image.shape[0] + reach), image.shape[0])
    columns = mirror(np.arange(-reach, image.shape[1] + reach), image.shape[1])
    return _blur(image, kernel, rows, columns)


def find_extrema(dog: np.ndarray, threshold: float) -> np.ndarray:
    """`extrema.find_extrema`."""
    if min(dog.shape[1:]) <= 2 * BORDER:
        return np.empty((0, 3), np.int64)
    marks = np.zeros((len(dog) - 2, *dog.shape[1:]), np.bool_)
    _mark_extrema(dog, F(threshold), marks)
    return positions(marks) + np.array([1, 0, 0])


def gradients(layers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`orientation.gradients`."""
    magnitude, angle = np.empty_like(layers), np.empty_like(layers)
    _gradients(layers, magnitude, angle)
    for result in (magnitude, angle):
        result[:, [0, -1]] = result[:, :, [0, -1]] = 0
    return magnitude, angle


def histograms(
    magnitude: np.ndarray, angle: np.ndarray, point: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """`orientation.histograms`."""
    radius, exponent = orientation.window(scale)
    votes = np.zeros((len(point), BINS), np.float32)
    _orientation_votes(magnitude, angle, point, radius, exponent, votes)
    return orientation.smooth(votes)


def raw_histograms(
    magnitude: np.ndarray,
    angle: np.ndarray,
    layer: np.ndarray,
    xy: np.ndarray,
    scale: np.ndarray,
    direction: np.ndarray,
) -> np.ndarray:
    """`descriptor.raw_histograms`."""
    window = descriptor.windows(xy, scale, direction, magnitude.shape)
    result = np.zeros((len(xy), descriptor.LENGTH), np.float32)
    _descriptor_votes(magnitude, angle, layer, *window, result)
    return result


@njit(cache=True, error_model="numpy")
def _blur(image, kernel, rows, columns):
    height, width = image.shape
    reach = len(kernel) // 2
    filtered = np.empty_like(image)
    padded = np.empty(len(columns), np.float32)
    for y in range(height):
        for x in range(len(columns)):
            padded[x] = image[y, columns[x]]
        total = filtered[y]
        for x in range(width):
            total[x] = padded[x] * kernel[0]
        for i in range(1, len(kernel)):
            for x in range(width):
                total[x] += padded[x + i] * kernel[i]
    result = np.empty_like(image)
    for y in range(height):
        total, middle = result[y], filtered[y]
        for x in range(width):
            total[x] = middle[x] * kernel[reach]
        for i in range(1, reach + 1):
            above, below = filtered[rows[y + reach - i]], filtered[rows[y + reach + i]]
            weight = kernel[reach + i]
            for x in range(width):
                total[x] += (above[x] + below[x]) * weight
    return result


@njit(cache=True, error_model="numpy")
def _mark_extrema(dog, threshold, marks):
    layers, height, width = dog.shape
    highest, lowest = np.empty(width, np.float32), np.empty(width, np.float32)
    extreme = np.empty(width, np.bool_)
    for layer in range(1, layers - 1):
        for y in range(BORDER, height - BORDER):
            _mark_row(dog, layer, y, threshold, highest, lowest, extreme)
            marks[layer - 1, y, BORDER:-BORDER] = extreme[BORDER:-BORDER]


@njit(cache=True, error_model="numpy")
def _mark_row(dog, layer, y, threshold, highest, lowest, extreme):
    """Extrema of one row: of each column's 9 values first, then of 3 columns; vectorised."""
    a, b, c = dog[layer - 1, y - 1], dog[layer - 1, y], dog[layer - 1, y + 1]
    d, e, f = dog[layer, y - 1], dog[layer, y], dog[layer, y + 1]
    g, h, i = dog[layer + 1, y - 1], dog[layer + 1, y], dog[layer + 1, y + 1]
    for x in range(len(e)):
        high = low = e[x]
        for v in (a[x], b[x], c[x], d[x], f[x], g[x], h[x], i[x]):
            high = v if v > high else high
            low = v if v < low else low
        highest[x], lowest[x] = high, low
    for x in range(1, len(e) - 1):
        v = e[x]
        high = (v >= highest[x - 1]) & (v >= highest[x]) & (v >= highest[x + 1])
        low = (v <= lowest[x - 1]) & (v <= lowest[x]) & (v <= lowest[x + 1])
        extreme[x] = ((v > threshold) & high) | ((v < -threshold) & low)


@njit(cache=True, error_model="numpy")
def _gradients(layers, magnitude, angle):
    count, height, width = layers.shape
    for layer in range(count):
        for y in range(1, height - 1):
            above, here, below = layers[layer, y - 1], layers[layer, y], layers[layer, y + 1]
            length, direction = magnitude[layer, y], angle[layer, y]
            for x in range(1, width - 1):
                dx = here[x + 1] - here[x - 1]
                dy = above[x] - below[x]
                length[x] = np.sqrt(dx * dx + dy * dy)
                direction[x] = _atan2_degrees(dy, dx)


@njit(cache=True, error_model="numpy", inline="always")
def _atan2_degrees(y, x):
    ax, ay = abs(x), abs(y)
    c = (ax if ax < ay else ay) / ((ay if ax < ay else ax) + TINY)
    c2 = c * c
    angle = (((P7 * c2 + P5) * c2 + P3) * c2 + P1) * c
    angle = F(90) - angle if ay > ax else angle
    angle = F(180) - angle if x < 0 else angle
    return F(360) - angle if y < 0 else angle


@njit(cache=True, error_model="numpy", inline="always")
def _exp(x):
    x = x if x > F(-80) else F(-80)
    q = np.rint(x * LOG2_E)
    r = (x - q * LN2_HIGH) - q * LN2_LOW
    value = ((((((T7 * r + T6) * r + T5) * r + T4) * r + T3) * r + T2) * r + T1) * r + T0
    return value * POWERS_OF_TWO[np.int32(q) + 120]


@njit(cache=True, error_model="numpy")
def _orientation_votes(magnitude, angle, point, radius, exponent, votes):
    _, height, width = magnitude.shape
    to_bin = F(BINS / 360)
    for k in range(len(point)):
        layer, y, x = point[k]
        r = radius[k]
        left, right = max(x - r, 1), min(x + r, width - 2)
        for j in range(max(y - r, 1), min(y + r, height - 2) + 1):
            for i in range(left, right + 1):
                distance = F((j - y) * (j - y) + (i - x) * (i - x))
                index = np.int32(np.rint(angle[layer, j, i] * to_bin))
                index = 0 if index == BINS else index
                votes[k, index] += _exp(distance * exponent[k]) * magnitude[layer, j, i]


@njit(cache=True, error_model="numpy")
def _descriptor_votes(magnitude, angle, layer, centre, cosine, sine, turn, radius, result):
    _, height, width = magnitude.shape
    most = (2 * radius.max() + 1) ** 2 if len(radius) else 0
    row, column = np.empty(most, np.float32), np.empty(most, np.float32)
    vote, relative = np.empty(most, np.float32), np.empty(most, np.float32)
    index, d = np.empty(most, np.int32), np.empty(most, np.float32)
    reach = F(WIDTH / 2 + 0.5)
    sums = np.empty((SIDE * SIDE * DIRECTIONS, 8), np.float32)
    for k in range(len(layer)):
        # The pixels under the grid.
        x, y = centre[k]
        r = radius[k]
        left, right = max(-r, 1 - x), min(r, width - 2 - x)
        length, direction = magnitude[layer[k]], angle[layer[k]]
        n = 0
        for j in range(max(-r, 1 - y), min(r, height - 2 - y) + 1):
            j_sine, j_cosine = F(j) * sine[k], F(j) * cosine[k]
            for i in range(left, right + 1):
                c = F(i) * cosine[k] - j_sine
                r_ = F(i) * sine[k] + j_cosine
                if abs(c) < reach and abs(r_) < reach:
                    row[n], column[n] = r_, c
                    vote[n] = length[y + j, x + i]
                    relative[n] = direction[y + j, x + i]
                    n += 1
        # Their places in the grid: first row, column and direction, and the fractions.
        for s in range(n):
            c, r_ = column[s], row[s]
            vote[s] *= _exp((c * c + r_ * r_) * F(-1 / (WIDTH * WIDTH * 0.5)))
            o = (relative[s] - turn[k]) * F(DIRECTIONS / 360)
            r_, c = r_ + F(WIDTH / 2 - 0.5), c + F(WIDTH / 2 - 0.5)
            r0, c0, o0 = np.floor(r_), np.floor(c), np.floor(o)
            row[s], column[s], d[s] = r_ - r0, c - c0, o - o0
            cell = (np.int32(r0) + 1) * SIDE + np.int32(c0) + 1
            index[s] = cell * DIRECTIONS + (np.int32(o0) & (DIRECTIONS - 1))
        # Votes: 4 corner cells x (this direction, the next), summed apart side by side.
        for j in range(len(sums)):
            for i in range(8):
                sums[j, i] = 0
        for s in range(n):
            lower = vote[s] * row[s]
            upper = vote[s] - lower
            upper_right, lower_right = upper * column[s], lower * column[s]
            upper_left, lower_left = upper - upper_right, lower - lower_right
            slot = sums[index[s]]
            slot[4] += upper_left * d[s]
            slot[5] += upper_right * d[s]
            slot[6] += lower_left * d[s]
            slot[7] += lower_right * d[s]
            slot[0] += upper_left - upper_left * d[s]
            slot[1] += upper_right - upper_right * d[s]
            slot[2] += lower_left - lower_left * d[s]
            slot[3] += lower_right - lower_right * d[s]
        for j in range(WIDTH):
            for i in range(WIDTH):
                cell = (j + 1) * SIDE + i + 1
                for o in range(DIRECTIONS):
                    here = _corners(sums, cell * DIRECTIONS + o, 0)
                    before = _corners(sums, cell * DIRECTIONS + ((o - 1) & (DIRECTIONS - 1)), 4)
                    result[k, (j * WIDTH + i) * DIRECTIONS + o] = here + before


@njit(cache=True, error_model="numpy", inline="always")
def _corners(sums, cell, part):
    above = sums[cell, part] + sums[cell - DIRECTIONS, part + 1]
    below = cell - SIDE * DIRECTIONS
    return (above + sums[below, part + 2]) + sums[below - DIRECTIONS, part + 3]
