"""Stage 4: gradients and the dominant orientations of keypoints.

References
----------
D. Lowe, IJCV 2004, section 5.
"""

from collections.abc import Iterator

import numpy as np

from .arithmetic import atan2_degrees, exp

BINS = 36
SIGMA_FACTOR = 1.5  # of the keypoint's scale
RADIUS_FACTOR = 3 * SIGMA_FACTOR
PEAK_RATIO = 0.8
CHUNK = 1 << 16  # samples processed at once, to stay in the cache
STRIP_BYTES = 1 << 16


def gradients(layers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Length and direction of the grey-level gradient by central differences.

    Parameters
    ----------
    layers : (L, H, W) float array.

    Returns
    -------
    magnitude, angle : (L, H, W) arrays; zero at the outermost pixels. The angle is in degrees
        [0, 360), counter-clockwise on the screen: ``dy`` points up.
    """
    magnitude, angle = np.zeros_like(layers), np.zeros_like(layers)
    _, height, width = layers.shape
    rows = max(1, STRIP_BYTES // (width * layers.itemsize))
    for layer, image in enumerate(layers):
        for top in range(1, height - 1, rows):
            bottom = min(top + rows, height - 1)
            dx = image[top:bottom, 2:] - image[top:bottom, :-2]
            dy = image[top - 1 : bottom - 1, 1:-1] - image[top + 1 : bottom + 1, 1:-1]
            magnitude[layer, top:bottom, 1:-1] = np.sqrt(dx * dx + dy * dy)
            angle[layer, top:bottom, 1:-1] = atan2_degrees(dy, dx)
    return magnitude, angle


def histograms(
    magnitude: np.ndarray, angle: np.ndarray, point: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Orientation histograms around keypoints: `votes`, smoothed by 1-4-6-4-1."""
    return smooth(votes(magnitude, angle, point, scale))


def votes(
    magnitude: np.ndarray, angle: np.ndarray, point: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """Sums of votes by direction around keypoints.

    Each pixel within ``round(4.5 sigma)`` votes with its gradient's length times a Gaussian of
    ``1.5 sigma``.

    Parameters
    ----------
    magnitude, angle : (L, H, W) float32 arrays from `gradients`.
    point : (N, 3) integer array of (layer, row, column).
    scale : (N,) float32, sigma in pixels of this octave.

    Returns
    -------
    (N, 36) float32 array; bin ``b`` is centred at ``10 b`` degrees.
    """
    sums = np.zeros((len(point), BINS), np.float32)
    radius, exponent = window(scale)
    for r, k in by_radius(radius, CHUNK):
        sums[k] = _votes(magnitude, angle, point[k], exponent[k], r)
    return sums


def by_radius(radius: np.ndarray, samples: int) -> Iterator[tuple[int, np.ndarray]]:
    """Radii of windows, each with numbers of keypoints whose windows hold ``samples`` in all."""
    for r in np.unique(radius):
        group = np.flatnonzero(radius == r)
        size = max(1, samples // (2 * r + 1) ** 2)
        yield from ((int(r), group[start : start + size]) for start in range(0, len(group), size))


def window(scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radius of the window, (N,) int64, and ``-1 / (2 sigma_w^2)`` of its Gaussian, (N,)."""
    sigma = np.float32(SIGMA_FACTOR) * scale
    return np.rint(np.float32(RADIUS_FACTOR) * scale).astype(np.int64), -1 / (2 * sigma * sigma)


def smooth(votes: np.ndarray) -> np.ndarray:
    """Circular convolution of (…, 36) histograms with (1, 4, 6, 4, 1) / 16, from the middle out."""
    far = np.roll(votes, 2, axis=-1) + np.roll(votes, -2, axis=-1)
    near = np.roll(votes, 1, axis=-1) + np.roll(votes, -1, axis=-1)
    return far * (1 / 16) + (near * (4 / 16) + votes * (6 / 16))


def peaks(histogram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local maxima of at least 0.8 of the highest bin, refined by a parabola.

    Parameters
    ----------
    histogram : (N, 36) float array.

    Returns
    -------
    keypoint : (M,) int64, row of the histogram, non-decreasing.
    angle : (M,) degrees in [0, 360), clockwise on the screen (OpenCV's convention).
    """
    keypoint, position = peak_positions(histogram)
    return keypoint, clockwise(360 - (360 / BINS) * position)


def peak_positions(histogram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with the place of the parabola's top, (M,), in bins: [0, 36)."""
    left, right = np.roll(histogram, 1, axis=1), np.roll(histogram, -1, axis=1)
    highest = histogram.max(axis=1, keepdims=True)
    peak = (histogram > left) & (histogram > right) & (histogram >= highest * PEAK_RATIO)
    keypoint, index = np.nonzero(peak)
    low, top, high = left[peak], histogram[peak], right[peak]
    position = index.astype(histogram.dtype) + 0.5 * (low - high) / (low - 2 * top + high)
    return keypoint, position % BINS


def clockwise(angle: np.ndarray) -> np.ndarray:
    """The full turn is no turn."""
    return np.where(angle == 360, 0, angle).astype(angle.dtype)


def _votes(
    magnitude: np.ndarray, angle: np.ndarray, point: np.ndarray, exponent: np.ndarray, radius: int
) -> np.ndarray:
    """Histograms (n, 36) of keypoints that share a radius; pixels outside have no weight."""
    n, (_, height, width) = len(point), magnitude.shape
    step = np.arange(-radius, radius + 1)
    row = np.clip(point[:, 1, None] + step, 0, height - 1)
    column = np.clip(point[:, 2, None] + step, 0, width - 1)
    pixel = ((point[:, 0, None] * height + row) * width)[:, :, None] + column[:, None, :]
    distance = (step[:, None] ** 2 + step**2).astype(np.float32)
    weight = exp(distance * exponent[:, None, None])
    index = np.rint(angle.take(pixel) * np.float32(BINS / 360)).astype(np.int64)
    index -= BINS * (index == BINS)
    index += (np.arange(n) * BINS)[:, None, None]
    votes = np.zeros(n * BINS, np.float32)
    np.add.at(votes, index.ravel(), (weight * magnitude.take(pixel)).ravel())
    return votes.reshape(n, BINS)
