"""Doubling; blur, several taps in one pass over a row: sums stay in registers between them."""

import numpy as np

from ..scale_space import SMALL_KERNEL
from .numbers import compiled, fma, inlined

ROW_VECTOR, COLUMN_VECTOR = 4, 8  # sums that OpenCV's filters of rows and columns do at once


@compiled
def double_rows(first, last, image, even, odd, out):
    """Doubled rows first … last; ``even`` and ``odd`` are weights of a sample and its neighbour.

    (The one before it, then the one after it; the sample stands for one that is not there.)
    """
    height, width = image.shape
    row = np.empty(width, np.float32)
    (a, b), (c, d) = even, odd
    for y in range(first, last):
        i = y // 2
        here, near, far = image[i], image[max(i - 1, 0)], image[min(i + 1, height - 1)]
        if y % 2:
            for x in range(width):
                row[x] = c * here[x] + d * far[x]
        else:
            for x in range(width):
                row[x] = a * here[x] + b * near[x]
        wide = out[y]
        wide[0], wide[2 * width - 1] = (a + b) * row[0], (c + d) * row[width - 1]
        inner = wide[1 : 2 * width - 1]
        for x in range(width - 1):
            inner[2 * x] = c * row[x] + d * row[x + 1]
            inner[2 * x + 1] = a * row[x + 1] + b * row[x]


@compiled
def blur_rows(first, last, image, kernel, rows, columns, out):
    """Filtered rows wait in a ring, just as many as the filter of columns looks at."""
    height, width = image.shape
    reach = len(kernel) // 2
    ring = np.empty((len(kernel), width), np.float32)
    padded = np.empty(len(columns), np.float32)
    place = np.empty(len(kernel), np.int64)  # of each tap's row in the ring
    ready = max(0, first - reach)
    for y in range(first, last):
        while ready < min(y + reach + 1, height):
            _pad(image[ready], columns, reach, padded)
            if len(kernel) <= SMALL_KERNEL:
                _filter_small(padded, kernel, ring[ready % len(kernel)])
            else:
                _filter_row(padded, kernel, ring[ready % len(kernel)])
            ready += 1
        for i in range(len(kernel)):
            place[i] = rows[y + i] % len(kernel)
        _filter_column(ring, place, kernel, out[y])


@compiled
def _pad(row, columns, reach, padded):
    inner = padded[reach : reach + len(row)]
    for x in range(len(row)):
        inner[x] = row[x]
    for x in range(reach):
        padded[x] = row[columns[x]]
        padded[len(padded) - reach + x] = row[columns[len(padded) - reach + x]]


@compiled
def _filter_row(padded, kernel, total):
    """Taps from left to right; OpenCV takes the remainder at the right by fours, unfused."""
    taps, width = len(kernel), len(total)
    fused = width - width % ROW_VECTOR
    if taps > 8:
        _start_nine(padded, kernel, total, fused)
        i = 9
    else:
        _start_one(padded, kernel[0], total, fused)
        i = 1
    while taps - i >= 8:
        _add_eight(padded[i:], kernel[i:], total, fused)
        i += 8
    while taps - i >= 2:
        _add_two(padded[i:], kernel[i:], total, fused)
        i += 2
    unrolled = (taps - 1) // 4 * 4
    for x in range(fused, width):
        total[x] = padded[x] * kernel[0]
        for j in range(1, taps, 2):
            a, b = kernel[j], kernel[j + 1]
            if j <= unrolled:
                total[x] = (total[x] + padded[x + j] * a) + padded[x + j + 1] * b
            else:
                total[x] = fma(padded[x + j + 1], b, fma(padded[x + j], a, total[x]))


@compiled
def _start_one(p, weight, total, width):
    for x in range(width):
        total[x] = p[x] * weight


@compiled
def _start_nine(p, kernel, total, width):
    a, b, c, d, e = kernel[0], kernel[1], kernel[2], kernel[3], kernel[4]
    f, g, h, i = kernel[5], kernel[6], kernel[7], kernel[8]
    for x in range(width):
        t = fma(p[x + 4], e, fma(p[x + 3], d, fma(p[x + 2], c, fma(p[x + 1], b, p[x] * a))))
        total[x] = fma(p[x + 8], i, fma(p[x + 7], h, fma(p[x + 6], g, fma(p[x + 5], f, t))))


@compiled
def _add_eight(p, kernel, total, width):
    a, b, c, d = kernel[0], kernel[1], kernel[2], kernel[3]
    e, f, g, h = kernel[4], kernel[5], kernel[6], kernel[7]
    for x in range(width):
        t = fma(p[x + 3], d, fma(p[x + 2], c, fma(p[x + 1], b, fma(p[x], a, total[x]))))
        total[x] = fma(p[x + 7], h, fma(p[x + 6], g, fma(p[x + 5], f, fma(p[x + 4], e, t))))


@compiled
def _add_two(p, kernel, total, width):
    a, b = kernel[0], kernel[1]
    for x in range(width):
        total[x] = fma(p[x + 1], b, fma(p[x], a, total[x]))


@compiled
def _filter_column(ring, place, kernel, total):
    """Mirrored taps from the middle one outwards.

    OpenCV fuses whole vectors only: the few sums that remain at the right are rounded twice (with 3
    taps it has code of its own, which fuses all).
    """
    reach, width = len(kernel) // 2, len(total)
    fused = width - width % COLUMN_VECTOR if reach > 1 else width
    middle, weight = ring[place[reach]], kernel[reach]
    if reach > 3:
        _start_pairs(
            middle, ring, place[reach - 4 :], place[reach + 1 :], kernel[reach:], total, fused
        )
        i = 5
    else:
        _start_one(middle, weight, total, fused)
        i = 1
    while reach - i >= 3:
        _add_pairs(
            ring, place[reach - i - 3 :], place[reach + i :], kernel[reach + i :], total, fused
        )
        i += 4
    while i <= reach:
        _add_pair(ring[place[reach - i]], ring[place[reach + i]], kernel[reach + i], total, fused)
        i += 1
    for x in range(fused, width):
        total[x] = middle[x] * weight
        for j in range(1, reach + 1):
            near = ring[place[reach - j], x] + ring[place[reach + j], x]
            total[x] += near * kernel[reach + j]


@compiled
def _start_pairs(middle, ring, above, below, kernel, total, width):
    """The middle row and four pairs."""
    a, b, c, d = ring[above[3]], ring[above[2]], ring[above[1]], ring[above[0]]
    e, f, g, h = ring[below[0]], ring[below[1]], ring[below[2]], ring[below[3]]
    n, i, j, k, m = kernel[0], kernel[1], kernel[2], kernel[3], kernel[4]
    for x in range(width):
        t = fma(b[x] + f[x], j, fma(a[x] + e[x], i, middle[x] * n))
        total[x] = fma(d[x] + h[x], m, fma(c[x] + g[x], k, t))


@compiled
def _add_pairs(ring, above, below, kernel, total, width):
    """Four pairs; ``above[3]`` and ``below[0]`` are the nearest rows."""
    a, b, c, d = ring[above[3]], ring[above[2]], ring[above[1]], ring[above[0]]
    e, f, g, h = ring[below[0]], ring[below[1]], ring[below[2]], ring[below[3]]
    i, j, k, m = kernel[0], kernel[1], kernel[2], kernel[3]
    for x in range(width):
        t = fma(b[x] + f[x], j, fma(a[x] + e[x], i, total[x]))
        total[x] = fma(d[x] + h[x], m, fma(c[x] + g[x], k, t))


@compiled
def _add_pair(above, below, weight, total, width):
    for x in range(width):
        total[x] = fma(above[x] + below[x], weight, total[x])


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
