"""Extrema of the differences of Gaussians, and their refinement."""

import numpy as np

from ..extrema import BORDER
from ..refinement import EDGE, KEPT, LOW_CONTRAST, MAX_STEPS, OUTSIDE, UNSTABLE, F, differences
from .numbers import compiled, fma, inlined

_differences = inlined(differences)
WORD = 8  # marks that are looked at together


@compiled
def extrema_of_rows(first, last, octave, threshold):
    """Extrema of rows BORDER + (first … last), sorted by row, layer and column."""
    n, width = len(octave) - 1, octave.shape[2]
    dog = np.empty((n, 3, width), np.float32)  # three rows of each difference, row y at y % 3
    highest, lowest = np.empty((n, width), np.float32), np.empty((n, width), np.float32)
    high, low = np.empty(width, np.float32), np.empty(width, np.float32)
    marks = np.zeros((width + WORD - 1) // WORD * WORD, np.uint8)
    words = marks.view(np.uint64)
    found, count = np.empty((1024, 3), np.int64), 0
    top, bottom = first + BORDER, last + BORDER
    for layer in range(n):
        for y in (top - 1, top):
            _subtract(octave[layer + 1, y], octave[layer, y], dog[layer, y % 3])
    for y in range(top, bottom):
        for layer in range(n):
            _subtract(octave[layer + 1, y + 1], octave[layer, y + 1], dog[layer, (y + 1) % 3])
            a, b, c = dog[layer, 0], dog[layer, 1], dog[layer, 2]
            _highest(a, b, c, highest[layer])
            _lowest(a, b, c, lowest[layer])
        for layer in range(1, n - 1):
            _highest(highest[layer - 1], highest[layer], highest[layer + 1], high)
            _lowest(lowest[layer - 1], lowest[layer], lowest[layer + 1], low)
            if not _mark(dog[layer, y % 3], high, low, threshold, marks):
                continue
            for word in range(len(words)):
                if words[word] == 0:
                    continue
                for x in range(WORD * word, WORD * word + WORD):
                    if marks[x]:
                        if count == len(found):
                            found = np.concatenate((found, np.empty_like(found)))
                        found[count, 0], found[count, 1], found[count, 2] = layer, y, x
                        count += 1
    return found[:count]


@compiled
def _subtract(one, two, difference):
    for x in range(len(difference)):
        difference[x] = one[x] - two[x]


@compiled
def _highest(a, b, c, high):
    """Column by column. (LLVM makes vectors of a loop if it meets few arrays.)"""
    for x in range(len(high)):
        v = a[x] if a[x] > b[x] else b[x]
        high[x] = v if v > c[x] else c[x]


@compiled
def _lowest(a, b, c, low):
    for x in range(len(low)):
        v = a[x] if a[x] < b[x] else b[x]
        low[x] = v if v < c[x] else c[x]


@compiled
def _mark(row, high, low, threshold, marks):
    """Mark values that reach what is highest or lowest in their column and the next to it."""
    any_mark = np.uint8(0)
    inner = slice(BORDER, len(row) - BORDER)
    value, mark = row[inner], marks[inner]
    left, right = slice(BORDER - 1, len(row) - BORDER - 1), slice(BORDER + 1, len(row) - BORDER + 1)
    a, b, c, d, e, f = high[left], high[inner], high[right], low[left], low[inner], low[right]
    for x in range(len(value)):
        v = value[x]
        top = (v > threshold) & (v >= a[x]) & (v >= b[x]) & (v >= c[x])
        pit = (v < -threshold) & (v <= d[x]) & (v <= e[x]) & (v <= f[x])
        mark[x] = np.uint8(top | pit)
        any_mark |= np.uint8(top | pit)
    return any_mark > 0


@compiled
def refine_points(
    first, last, octave, point, contrast_threshold, edge_threshold, offset, contrast, status
):
    """Products are fused where the compiler of OpenCV's packages fuses them (GCC, -mfma)."""
    layers, height, width = octave.shape
    unit, half, limit = F(1 / 255), F(0.5), (edge_threshold + F(1)) * (edge_threshold + F(1))
    cube = np.empty((3, 3, 3), np.float32)
    for k in range(first, last):
        status[k] = UNSTABLE
        for _ in range(MAX_STEPS):
            i, y, x = point[k]
            _fill(cube, octave, i, y, x)
            gx, gy, gs, xx, yy, ss, xy, xs, ys = _differences(cube, unit)
            ux, uy, us = _solve(xx, yy, ss, xy, xs, ys, gx, gy, gs)
            offset[k] = -ux, -uy, -us
            largest = max(abs(ux), abs(uy), abs(us))
            if largest < half:
                slope = -fma(gs, us, gx * ux + gy * uy)
                value = contrast[k] = fma(cube[1, 1, 1], unit, slope * half)
                trace, det = xx + yy, fma(xx, yy, -(xy * xy))
                if abs(value) * F(layers - 3) < contrast_threshold:
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
            if not (1 <= i < layers - 2 and inside):
                status[k] = OUTSIDE
                break


@compiled
def _fill(cube, octave, i, y, x):
    """Differences around a point."""
    for layer in range(3):
        for row in range(3):
            for column in range(3):
                j, a, b = i - 1 + layer, y - 1 + row, x - 1 + column
                cube[layer, row, column] = octave[j + 1, a, b] - octave[j, a, b]


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
