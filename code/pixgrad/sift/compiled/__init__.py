"""The slow stages compiled by numba; each function has the signature of its NumPy namesake.

Float32 operations and their order are those of the NumPy functions (``fastmath`` is off), and so
are the bits — but for blur, refinement, the direction of a gradient and the angle of a peak. There
OpenCV uses fused multiply-add where the processor has it (AVX2, NEON), NumPy never does, and
compiled code does always: it has the bits of OpenCV on today's processors, NumPy has those of
OpenCV on old ones. Rows of an image and keypoints
do not depend on each other: threads share them, and change nothing (see `threads`).

Differences and gradients are not stored: they are computed where they are needed, from the layers.

The machine code is kept on disk next to these files, or in ``$NUMBA_CACHE_DIR``, and made anew
when the text of a function's own file changes: what it compiles from other modules is not seen, so
after a change there that cache must go.
"""

import numpy as np

from .. import descriptor, orientation, refinement
from ..extrema import BORDER, CONTRAST
from ..refinement import F
from ..scale_space import gaussian_kernel, mirror
from .blurring import blur_rows, double_rows
from .localising import extrema_of_rows, refine_points
from .threads import spread
from .voting import descriptor_votes, orientation_votes

KEYPOINTS, ROWS = 16, 32  # fewer of them are not worth a thread


def double(image: np.ndarray, precise: bool = False) -> np.ndarray:
    """`scale_space.double` of whole numbers 0 … 255, where nothing is rounded."""
    height, width = image.shape
    even, odd = ((F(1), F(0)), (F(0.5), F(0.5))) if precise else ((F(0.75), F(0.25)),) * 2
    out = np.empty((2 * height, 2 * width), np.float32)
    spread(double_rows, 2 * height, ROWS, image, even, odd, out)
    return out


def blur(image: np.ndarray, sigma: float, out: np.ndarray | None = None) -> np.ndarray:
    """`scale_space.blur`."""
    kernel = gaussian_kernel(sigma, np.float32)
    reach = len(kernel) // 2
    rows, columns = (mirror(np.arange(-reach, n + reach), n) for n in image.shape)
    out = np.empty(image.shape, np.float32) if out is None else out
    least = max(ROWS, 2 * len(kernel))
    spread(blur_rows, len(image), least, np.ascontiguousarray(image), kernel, rows, columns, out)
    return out


def differences(octave: np.ndarray) -> np.ndarray:
    """Nothing yet: the octave itself."""
    return octave


def find_extrema(octave: np.ndarray, threshold: float) -> np.ndarray:
    """`extrema.find_extrema` of the differences of the layers."""
    height, width = octave.shape[1:]
    if height <= 2 * BORDER or width <= 2 * BORDER:
        return np.empty((0, 3), np.int64)
    parts = spread(extrema_of_rows, height - 2 * BORDER, ROWS, octave, F(threshold))
    points = np.concatenate(parts)
    return points[np.argsort(points[:, 0], kind="stable")]


def refine(
    octave: np.ndarray,
    candidates: np.ndarray,
    contrast_threshold: float = CONTRAST,
    edge_threshold: float = 10.0,
) -> refinement.Refined:
    """`refinement.refine` with the differences of the layers."""
    point, n = candidates.copy(), len(candidates)
    offset, contrast = np.zeros((n, 3), np.float32), np.full(n, np.nan, np.float32)
    status = np.empty(n, np.uint8)
    thresholds = F(contrast_threshold), F(edge_threshold)
    spread(refine_points, n, 10 * KEYPOINTS, octave, point, *thresholds, offset, contrast, status)
    return refinement.Refined(point, offset, contrast, status)


def gradients(layers: np.ndarray) -> tuple[np.ndarray]:
    """Nothing yet: the layers themselves."""
    return (layers,)


def histograms(layers: np.ndarray, point: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """`orientation.histograms`."""
    radius, exponent = orientation.window(scale)
    votes = np.zeros((len(point), orientation.BINS), np.float32)
    spread(orientation_votes, len(point), KEYPOINTS, layers, point, radius, exponent, votes)
    return orientation.smooth(votes)


def peaks(histogram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`orientation.peaks`; the angle is rounded once: in float64 its product is exact."""
    keypoint, position = orientation.peak_positions(histogram)
    angle = 360 - (360 / orientation.BINS) * position.astype(np.float64)
    return keypoint, orientation.clockwise(angle.astype(np.float32))


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
    spread(descriptor_votes, len(xy), KEYPOINTS, layers, layer, *window, result)
    return result
