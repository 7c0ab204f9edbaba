"""Histograms of gradient directions: orientations and descriptors."""

import numpy as np

from .. import descriptor, orientation
from ..arithmetic import P1, P3, P5, P7, TINY
from ..refinement import F
from .numbers import compiled, exp, fma, inlined, split

BINS, WIDTH, DIRECTIONS = orientation.BINS, descriptor.WIDTH, descriptor.DIRECTIONS
SIDE = WIDTH + 2
REACH = F(WIDTH / 2 + 0.5)  # votes of pixels farther from the centre reach no cell


@compiled
def orientation_votes(first, last, layers, point, radius, factor, votes):
    _, height, width = layers.shape
    most = (2 * radius.max() + 1) ** 2 if len(radius) else 0
    vote, angle = np.empty(most, np.float32), np.empty(most, np.float32)
    exponent = np.empty(most, np.float32)
    for k in range(first, last):
        layer, y, x = point[k]
        r = radius[k]
        left, count = max(x - r, 1), min(x + r, width - 2) - max(x - r, 1) + 1
        n = 0
        for j in range(max(y - r, 1), min(y + r, height - 2) + 1):
            run = slice(n, n + count)
            _gradient(layers[layer], j, left, vote[run], angle[run])
            _set_distances(j - y, left - x, factor[k], exponent[run])
            n += count
        _to_polar(vote[:n], angle[:n])
        _scale_by_exp(vote[:n], exponent[:n])
        _add_directions(angle[:n], vote[:n], votes[k])


@compiled
def descriptor_votes(first, last, layers, layer, centre, cosine, sine, turn, radius, result):
    most = (2 * radius.max() + 1) ** 2 if len(radius) else 0
    row, column = np.empty(most, np.float32), np.empty(most, np.float32)
    vote, direction = np.empty(most, np.float32), np.empty(most, np.float32)
    exponent, index = np.empty(most, np.float32), np.empty(most, np.int32)
    sums = np.empty((SIDE * SIDE * DIRECTIONS, 8), np.float32)
    for k in range(first, last):
        x, y = centre[k]
        image, c, s = layers[layer[k]], cosine[k], sine[k]
        n = _collect(image, x, y, c, s, radius[k], row, column, vote, direction)
        _to_polar(vote[:n], direction[:n])
        for i in range(n):
            distance = column[i] * column[i] + row[i] * row[i]
            exponent[i] = distance * F(-1 / (WIDTH * WIDTH * 0.5))
        _scale_by_exp(vote[:n], exponent[:n])
        _place(index[:n], direction[:n], turn[k], row[:n], column[:n])
        _add(sums, index[:n], vote[:n], row[:n], column[:n], direction[:n])
        _fold(sums, result[k])


@compiled
def _gradient(image, y, left, dx, dy):
    """Central differences along a run of pixels of row ``y``; ``dy`` points up."""
    n = len(dx)
    before, after = image[y, left - 1 : left - 1 + n], image[y, left + 1 : left + 1 + n]
    above, below = image[y - 1, left : left + n], image[y + 1, left : left + n]
    for i in range(n):
        dx[i] = after[i] - before[i]
        dy[i] = above[i] - below[i]


@compiled
def _set_distances(down, right, factor, exponent):
    for i in range(len(exponent)):
        step = np.int32(right) + np.int32(i)
        exponent[i] = F(np.int32(down) * np.int32(down) + step * step) * factor


@compiled
def _to_polar(dx, dy):
    """Replace components by length and angle in degrees."""
    for s in range(len(dx)):
        x, y = dx[s], dy[s]
        dx[s] = np.sqrt(x * x + y * y)
        dy[s] = _atan2_degrees(y, x)


@inlined
def _atan2_degrees(y, x):
    """`arithmetic.atan2_degrees` with a fused polynomial.

    Between two bins of 10 degrees the last bit decides where a whole vote goes.
    """
    ax, ay = abs(x), abs(y)
    c = min(ax, ay) / (max(ax, ay) + TINY)
    c2 = c * c
    angle = fma(fma(fma(c2, P7, P5), c2, P3), c2, P1) * c
    angle = abs(angle - F(90) * F(ay > ax))
    angle = abs(angle - F(180) * F(x < 0))
    return abs(angle - F(360) * F(y < 0))


@compiled
def _scale_by_exp(vote, exponent):
    for s in range(len(vote)):
        vote[s] *= exp(exponent[s])


@compiled
def _add_directions(angle, vote, votes):
    for s in range(len(vote)):
        index = np.int32(np.rint(angle[s] * F(BINS / 360)))
        votes[0 if index == BINS else index] += vote[s]


@compiled
def _collect(image, x, y, cosine, sine, radius, row, column, dx, dy):
    """List the pixels under the grid; in each row of the window they are a run."""
    height, width = image.shape
    n = 0
    for j in range(max(-radius, 1 - y), min(radius, height - 2 - y) + 1):
        left, right = _run(j, cosine, sine, max(-radius, 1 - x), min(radius, width - 2 - x))
        if left <= right:
            run = slice(n, n + right - left + 1)
            _turn(left, j, cosine, sine, row[run], column[run])
            _gradient(image, y + j, x + left, dx[run], dy[run])
            n += right - left + 1
    return n


@compiled
def _run(j, cosine, sine, left, right):
    """First and last pixel of row ``j`` under the grid: a bit more by division, then exactly.

    Rounding keeps an order, so what is inside stays one run.
    """
    j_sine, j_cosine = F(j) * sine, F(j) * cosine
    reach, first, last = REACH + F(1e-4), F(left), F(right)
    for slope, middle in ((cosine, j_sine), (sine, -j_cosine)):
        if slope != 0:
            one, two = (middle - reach) / slope, (middle + reach) / slope
            first, last = max(first, min(one, two)), min(last, max(one, two))
    if first > last + F(2):
        return 0, -1
    start, stop = max(left, int(first) - 1), min(right, int(last) + 1)
    while start <= stop and not _inside(start, cosine, sine, j_cosine, j_sine):
        start += 1
    while stop > start and not _inside(stop, cosine, sine, j_cosine, j_sine):
        stop -= 1
    return start, stop


@inlined
def _inside(i, cosine, sine, j_cosine, j_sine):
    return abs(F(i) * cosine - j_sine) < REACH and abs(F(i) * sine + j_cosine) < REACH


@compiled
def _turn(left, j, cosine, sine, row, column):
    """Positions of a run of pixels on the grid, in cells."""
    j_sine, j_cosine = F(j) * sine, F(j) * cosine
    for i in range(len(row)):
        step = F(np.int32(left) + np.int32(i))
        row[i] = step * sine + j_cosine
        column[i] = step * cosine - j_sine


@compiled
def _place(index, direction, turn, row, column):
    """Turn positions into the numbers of first cells and bins, and the fractions beyond them."""
    for s in range(len(index)):
        bin, direction[s] = split((direction[s] - turn) * F(DIRECTIONS / 360))
        down, row[s] = split(row[s] + F(WIDTH / 2 - 0.5))
        right, column[s] = split(column[s] + F(WIDTH / 2 - 0.5))
        index[s] = ((down + 1) * SIDE + right + 1) * DIRECTIONS + (bin & (DIRECTIONS - 1))


@compiled
def _add(sums, index, vote, row, column, direction):
    """Vote: 4 corner cells x (this direction, the next), summed apart side by side."""
    sums[:] = 0
    for s in range(len(index)):
        lower = vote[s] * row[s]
        upper = vote[s] - lower
        upper_right, lower_right = upper * column[s], lower * column[s]
        upper_left, lower_left = upper - upper_right, lower - lower_right
        slot, d = sums[index[s]], direction[s]
        for i, part in enumerate((upper_left, upper_right, lower_left, lower_right)):
            slot[i] += part - part * d
            slot[i + 4] += part * d


@compiled
def _fold(sums, histogram):
    """Join the corners, drop the spare cells; the next direction after the last is the first."""
    for j in range(WIDTH):
        for i in range(WIDTH):
            cell = (j + 1) * SIDE + i + 1
            for o in range(DIRECTIONS):
                here = _corners(sums, cell * DIRECTIONS + o, 0)
                before = _corners(sums, cell * DIRECTIONS + ((o - 1) & (DIRECTIONS - 1)), 4)
                histogram[(j * WIDTH + i) * DIRECTIONS + o] = here + before


@inlined
def _corners(sums, cell, part):
    above = sums[cell, part] + sums[cell - DIRECTIONS, part + 1]
    below = cell - SIDE * DIRECTIONS
    return (above + sums[below, part + 2]) + sums[below - DIRECTIONS, part + 3]
