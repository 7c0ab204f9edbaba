"""The slow stages compiled by numba; each function has the signature of its NumPy namesake.

Float32 operations and their order are those of the NumPy functions (``fastmath`` is off), and so
are the bits — but for blur and refinement. There OpenCV uses fused multiply-add where the
processor has it (AVX2, NEON), NumPy never does, and compiled code does always: it has the bits of
OpenCV on today's processors, NumPy has those of OpenCV on old ones. The machine code is kept on
disk next to this file, or in ``$NUMBA_CACHE_DIR``, and made anew when this file changes: touch it
after a change of the formulas that are compiled from other modules.
"""

import numpy as np
from numba import float32, njit
from numba.extending import intrinsic

from . import descriptor, orientation, refinement
from .arithmetic import atan2_degrees, exp
from .extrema import BORDER, positions
from .refinement import EDGE, KEPT, LOW_CONTRAST, MAX_STEPS, OUTSIDE, UNSTABLE, F, differences
from .scale_space import SMALL_KERNEL, gaussian_kernel, mirror

BINS, WIDTH, DIRECTIONS = orientation.BINS, descriptor.WIDTH, descriptor.DIRECTIONS
SIDE = WIDTH + 2
ROW_VECTOR, COLUMN_VECTOR = 4, 8  # sums that OpenCV's filters of rows and columns do at once

compiled = njit(cache=True, error_model="numpy")
inlined = njit(cache=True, error_model="numpy", inline="always")
_atan2_degrees, _exp = inlined(atan2_degrees), inlined(exp)
_differences, _split = inlined(differences), inlined(descriptor.split)


def blur(image: np.ndarray, sigma: float, out: np.ndarray | None = None) -> np.ndarray:
    """`scale_space.blur`."""
    kernel = gaussian_kernel(sigma, np.float32)
    reach = len(kernel) // 2
    rows, columns = (mirror(np.arange(-reach, n + reach), n) for n in image.shape)
    out = np.empty(image.shape, np.float32) if out is None else out
    _blur(np.ascontiguousarray(image), kernel, rows, columns, out)
    return out


def find_extrema(dog: np.ndarray, threshold: float) -> np.ndarray:
    """`extrema.find_extrema`."""
    marks = np.zeros((len(dog) - 2, *dog.shape[1:]), np.bool_)
    _mark_extrema(dog, F(threshold), marks)
    return positions(marks) + np.array([1, 0, 0])


def refine(
    dog: np.ndarray,
    candidates: np.ndarray,
    contrast_threshold: float = 0.04,
    edge_threshold: float = 10.0,
) -> refinement.Refined:
    """`refinement.refine`."""
    point, n = candidates.copy(), len(candidates)
    offset, contrast = np.zeros((n, 3), np.float32), np.full(n, np.nan, np.float32)
    status = np.empty(n, np.uint8)
    _refine(dog, point, F(contrast_threshold), F(edge_threshold), offset, contrast, status)
    return refinement.Refined(point, offset, contrast, status)


def gradients(layers: np.ndarray) -> tuple[np.ndarray]:
    """Nothing yet: compiled code computes gradients where it needs them, from the layers."""
    return (layers,)


def histograms(layers: np.ndarray, point: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """`orientation.histograms`."""
    radius, exponent = orientation.window(scale)
    votes = np.zeros((len(point), BINS), np.float32)
    _orientation_votes(layers, point, radius, exponent, votes)
    return orientation.smooth(votes)


def raw_histograms(
    layers: np.ndarray,
    layer: np.ndarray,
    xy: np.ndarray,
    scale: np.ndarray,
    direction: np.ndarray,
) -> np.ndarray:
    """`descriptor.raw_histograms`."""
    window = descriptor.windows(xy, scale, direction, layers.shape)
    result = np.zeros((len(xy), descriptor.LENGTH), np.float32)
    _descriptor_votes(layers, layer, *window, result)
    return result


@intrinsic
def fma(context, a, b, c):
    """``a b + c`` rounded once; by the processor or, where it cannot, by the C library."""

    signature = float32(float32, float32, float32)
    return signature, lambda context, builder, signature, arguments: builder.fma(*arguments)


@compiled
def _blur(image, kernel, rows, columns, out):
    """Filtered rows wait in a ring, just as many as the filter of columns looks at.

    OpenCV fuses whole vectors only: the few sums that remain at the right are rounded twice (with 3
    taps it has code of its own, which fuses all).
    """
    height, width = image.shape
    reach = len(kernel) // 2
    fused = width - width % COLUMN_VECTOR if reach > 1 else width
    ring = np.empty((len(kernel), width), np.float32)
    padded = np.empty(len(columns), np.float32)
    ready = 0
    for y in range(height):
        while ready < min(y + reach + 1, height):
            _filter_row(image[ready], kernel, columns, padded, ring[ready % len(kernel)])
            ready += 1
        total, middle = out[y], ring[y % len(kernel)]
        for x in range(width):
            total[x] = middle[x] * kernel[reach]
        for i in range(1, reach + 1):
            above = ring[rows[y + reach - i] % len(kernel)]
            below = ring[rows[y + reach + i] % len(kernel)]
            weight = kernel[reach + i]
            for x in range(fused):
                total[x] = fma(above[x] + below[x], weight, total[x])
            for x in range(fused, width):
                total[x] += (above[x] + below[x]) * weight


@inlined
def _filter_small(padded, kernel, total):
    """3 or 5 taps: OpenCV has code of their own for them, whose compiler fuses two sums at once.

    An odd last one is fused in another order (3 taps) or not at all (5 taps).
    """
    middle, last = len(kernel) // 2, len(total) - 1
    paired = len(total) - len(total) % 2
    a, b = kernel[middle], kernel[middle + 1]
    for x in range(paired):
        near = padded[x + middle - 1] + padded[x + middle + 1]
        total[x] = fma(padded[x + middle], a, near * b)
    if paired < len(total):
        centre, near = padded[last + middle], padded[last + middle - 1] + padded[last + middle + 1]
        total[last] = fma(near, b, centre * a) if middle == 1 else centre * a + near * b
    if middle == 2:
        for x in range(paired):
            total[x] = fma(padded[x] + padded[x + 4], kernel[4], total[x])
        if paired < len(total):
            total[last] += (padded[last] + padded[last + 4]) * kernel[4]


@compiled
def _filter_row(row, kernel, columns, padded, total):
    fused = len(total) - len(total) % ROW_VECTOR
    for x in range(len(columns)):
        padded[x] = row[columns[x]]
    if len(kernel) <= SMALL_KERNEL:
        _filter_small(padded, kernel, total)
        return
    unrolled = (len(kernel) - 1) // 4 * 4  # taps that its compiler takes by fours, unfused
    for x in range(len(total)):
        total[x] = padded[x] * kernel[0]
    for i in range(1, len(kernel), 2):
        a, b = kernel[i], kernel[i + 1]
        left, right = padded[i : i + len(total)], padded[i + 1 : i + 1 + len(total)]
        here = fused if i <= unrolled else len(total)
        for x in range(here):
            total[x] = fma(right[x], b, fma(left[x], a, total[x]))
        for x in range(here, len(total)):
            total[x] = (total[x] + left[x] * a) + right[x] * b


@compiled
def _mark_extrema(dog, threshold, marks):
    layers, height, width = dog.shape
    highest, lowest = np.empty(width, np.float32), np.empty(width, np.float32)
    extreme = np.empty(width, np.bool_)
    for layer in range(1, layers - 1):
        for y in range(BORDER, height - BORDER):
            _mark_row(dog, layer, y, threshold, highest, lowest, extreme)
            marks[layer - 1, y, BORDER:-BORDER] = extreme[BORDER:-BORDER]


@compiled
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


@compiled
def _refine(dog, point, contrast_threshold, edge_threshold, offset, contrast, status):
    """Products are fused where the compiler of OpenCV's packages fuses them (GCC, -mfma)."""
    layers, height, width = dog.shape
    unit, half, limit = F(1 / 255), F(0.5), (edge_threshold + F(1)) * (edge_threshold + F(1))
    for k in range(len(point)):
        status[k] = UNSTABLE
        for _ in range(MAX_STEPS):
            i, y, x = point[k]
            cube = dog[i - 1 : i + 2, y - 1 : y + 2, x - 1 : x + 2]
            gx, gy, gs, xx, yy, ss, xy, xs, ys = _differences(cube, unit)
            ux, uy, us = _solve(xx, yy, ss, xy, xs, ys, gx, gy, gs)
            offset[k] = -ux, -uy, -us
            largest = max(abs(ux), abs(uy), abs(us))
            if largest < half:
                slope = -fma(gs, us, gx * ux + gy * uy)
                value = contrast[k] = fma(cube[1, 1, 1], unit, slope * half)
                trace, det = xx + yy, fma(xx, yy, -(xy * xy))
                if abs(value) * F(layers - 2) < contrast_threshold:
                    status[k] = LOW_CONTRAST
                elif det <= 0 or trace * trace * edge_threshold >= limit * det:
                    status[k] = EDGE
                else:
                    status[k] = KEPT
                break
            if not largest <= (2**31 - 1) // 3:
                break
            i, y, x = i - int(np.rint(us)), y - int(np.rint(uy)), x - int(np.rint(ux))
            point[k] = i, y, x
            inside = BORDER <= y < height - BORDER and BORDER <= x < width - BORDER
            if not (1 <= i < layers - 1 and inside):
                status[k] = OUTSIDE
                break


@inlined
def _solve(xx, yy, ss, xy, xs, ys, gx, gy, gs):
    """`refinement.solve` for one system."""
    m12, m02, m01 = _minor(yy, ss, ys, ys), _minor(xy, ss, ys, xs), _minor(xy, ys, yy, xs)
    b0, b1, b2 = _minor(xy, gs, gy, xs), _minor(gy, ys, yy, gs), _minor(gy, ss, ys, gs)
    det = _expand(xx, m12, xy, m02, xs, m01)
    if det == 0:
        return F(0), F(0), F(0)
    inverse = F(1) / det
    return (
        _expand(gx, m12, xy, b2, xs, b1) * inverse,
        _expand(xx, b2, gx, m02, xs, b0) * inverse,
        _expand(xx, -b1, xy, b0, gx, m01) * inverse,
    )


@inlined
def _minor(a, d, b, c):
    return fma(a, d, -(b * c))


@inlined
def _expand(a, m, b, n, c, p):
    """a m - b n + c p"""
    return fma(c, p, fma(a, m, -(b * n)))


@compiled
def _gradient(image, y, left, dx, dy):
    """Central differences along a run of pixels of row ``y``; ``dy`` points up."""
    above, here, below = image[y - 1], image[y], image[y + 1]
    for i in range(len(dx)):
        dx[i] = here[left + i + 1] - here[left + i - 1]
        dy[i] = above[left + i] - below[left + i]


@compiled
def _to_polar(dx, dy):
    """Replace components by length and angle in degrees."""
    for s in range(len(dx)):
        x, y = dx[s], dy[s]
        dx[s] = np.sqrt(x * x + y * y)
        dy[s] = _atan2_degrees(y, x)


@compiled
def _scale_by_exp(vote, exponent):
    for s in range(len(vote)):
        vote[s] *= _exp(exponent[s])


@compiled
def _orientation_votes(layers, point, radius, factor, votes):
    _, height, width = layers.shape
    most = (2 * radius.max() + 1) ** 2 if len(radius) else 0
    vote, angle = np.empty(most, np.float32), np.empty(most, np.float32)
    exponent = np.empty(most, np.float32)
    for k in range(len(point)):
        layer, y, x = point[k]
        r = radius[k]
        left, count = max(x - r, 1), min(x + r, width - 2) - max(x - r, 1) + 1
        n = 0
        for j in range(max(y - r, 1), min(y + r, height - 2) + 1):
            _gradient(layers[layer], j, left, vote[n : n + count], angle[n : n + count])
            for i in range(count):
                distance = (j - y) * (j - y) + (left + i - x) * (left + i - x)
                exponent[n + i] = F(distance) * factor[k]
            n += count
        _to_polar(vote[:n], angle[:n])
        _scale_by_exp(vote[:n], exponent[:n])
        for s in range(n):
            index = np.int32(np.rint(angle[s] * F(BINS / 360)))
            votes[k, 0 if index == BINS else index] += vote[s]


@compiled
def _descriptor_votes(layers, layer, centre, cosine, sine, turn, radius, result):
    most = (2 * radius.max() + 1) ** 2 if len(radius) else 0
    row, column = np.empty(most, np.float32), np.empty(most, np.float32)
    vote, direction = np.empty(most, np.float32), np.empty(most, np.float32)
    exponent, index = np.empty(most, np.float32), np.empty(most, np.int32)
    sums = np.empty((SIDE * SIDE * DIRECTIONS, 8), np.float32)
    for k in range(len(layer)):
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
def _collect(image, x, y, cosine, sine, radius, row, column, dx, dy):
    """List the pixels under the grid; in each row of the window they are a run."""
    height, width = image.shape
    n = 0
    for j in range(max(-radius, 1 - y), min(radius, height - 2 - y) + 1):
        j_sine, j_cosine = F(j) * sine, F(j) * cosine
        left, right = max(-radius, 1 - x), min(radius, width - 2 - x)
        while left <= right and not _inside(left, cosine, sine, j_cosine, j_sine):
            left += 1
        while right > left and not _inside(right, cosine, sine, j_cosine, j_sine):
            right -= 1
        count = max(right - left + 1, 0)
        for i in range(count):
            row[n + i] = F(left + i) * sine + j_cosine
            column[n + i] = F(left + i) * cosine - j_sine
        _gradient(image, y + j, x + left, dx[n : n + count], dy[n : n + count])
        n += count
    return n


@inlined
def _inside(i, cosine, sine, j_cosine, j_sine):
    reach = F(WIDTH / 2 + 0.5)
    return abs(F(i) * cosine - j_sine) < reach and abs(F(i) * sine + j_cosine) < reach


@compiled
def _place(index, direction, turn, row, column):
    """Turn positions into the numbers of first cells and bins, and the fractions beyond them."""
    for s in range(len(index)):
        bin, direction[s] = _split((direction[s] - turn) * F(DIRECTIONS / 360))
        down, row[s] = _split(row[s] + F(WIDTH / 2 - 0.5))
        right, column[s] = _split(column[s] + F(WIDTH / 2 - 0.5))
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
