"""Stage 2: candidate keypoints — extrema of the DoG among their 26 neighbours.

References
----------
D. Lowe, IJCV 2004, section 3.1.
"""

import math

import numpy as np

from .scale_space import LAYERS

CONTRAST = 0.04  # the contrast threshold of a whole octave, grey values 0..1
BORDER = 5  # pixels at each side where no keypoint is looked for
STRIP_BYTES = 1 << 19  # rows are searched in strips that stay in the cache


def prior_threshold(contrast_threshold: float = CONTRAST, n_octave_layers: int = LAYERS) -> int:
    """Least |DoG|, in grey levels 0..255, worth refining: half the final contrast threshold."""
    return math.floor(0.5 * contrast_threshold / n_octave_layers * 255)


def find_extrema(dog: np.ndarray, threshold: float) -> np.ndarray:
    """Find pixels that are not below (or not above) any of their 26 neighbours.

    Equal neighbours do not disqualify a pixel: a plateau gives several candidates, as in OpenCV.

    Parameters
    ----------
    dog : (s + 2, H, W) float array, one octave.
    threshold : |value| must exceed it.

    Returns
    -------
    (N, 3) int64 array of (layer, row, column), in this order; ``1 <= layer <= s``.
    """
    layers, height, width = dog.shape
    if height <= 2 * BORDER or width <= 2 * BORDER:
        return np.empty((0, 3), np.int64)
    rows = max(1, STRIP_BYTES // (layers * width * dog.itemsize))
    found = []
    for top in range(BORDER, height - BORDER, rows):
        bottom = min(top + rows, height - BORDER)
        strip = dog[:, top - 1 : bottom + 1, BORDER - 1 : width - BORDER + 1]
        found.append(positions(_is_extremum(strip, threshold)) + np.array([1, top, BORDER]))
    points = np.concatenate(found)
    return points[np.argsort(points[:, 0], kind="stable")]


def positions(marks: np.ndarray) -> np.ndarray:
    """Indices of the marks, (N, 3); the same as ``np.argwhere`` and ten times faster."""
    return np.column_stack(np.unravel_index(np.flatnonzero(marks), marks.shape))


def _is_extremum(dog: np.ndarray, threshold: float) -> np.ndarray:
    """Mark extrema away from the sides of a block: (L, H, W) -> (L - 2, H - 2, W - 2) bool."""
    value = dog[1:-1, 1:-1, 1:-1]
    highest = (value > threshold) & (value >= _pool(dog, np.maximum))
    lowest = (value < -threshold) & (value <= _pool(dog, np.minimum))
    return highest | lowest


def _pool(dog: np.ndarray, extreme: np.ufunc) -> np.ndarray:
    """Maximum or minimum over 3x3x3 blocks, one axis after another."""
    dog = extreme(extreme(dog[:, :, :-2], dog[:, :, 1:-1]), dog[:, :, 2:])
    dog = extreme(extreme(dog[:, :-2], dog[:, 1:-1]), dog[:, 2:])
    return extreme(extreme(dog[:-2], dog[1:-1]), dog[2:])
