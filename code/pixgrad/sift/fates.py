"""What becomes of keypoints when the picture moves by half a pixel.

The scene does not change; the list of its keypoints does, for the tests of the detector are
thresholds, and the pixels are means over other squares.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from pixgrad.sift import extrema, refinement, scale_space

LEAST_CONTRAST = extrema.CONTRAST / scale_space.LAYERS
"""The threshold of the contrast of one layer, grey values 0..1."""
LOST = len(refinement.STATUS_NAMES)
"""A fate beside the statuses of `refinement`: no candidate near."""


class Candidates(NamedTuple):
    """Candidates of all octaves after refinement, n of them.

    xy : (n, 2), pixels of the image, ``x`` to the right.
    scale : (n,), sigma, the same pixels.
    contrast : (n,), grey values 0..1; NaN where the place did not converge.
    status : (n,), of `refinement`.
    """

    xy: np.ndarray
    scale: np.ndarray
    contrast: np.ndarray
    status: np.ndarray

    def kept(self) -> "Candidates":
        """The keypoints among them."""
        return Candidates(*(of[self.status == refinement.KEPT] for of in self))


def half_pixel_views(grey: np.ndarray) -> dict[tuple[float, float], np.ndarray]:
    """The same picture at half its size, by means of 2x2 blocks from four starts.

    Parameters
    ----------
    grey : (H, W), grey levels.

    Returns
    -------
    (dx, dy) -> (h, w) float32: how far the picture has moved, pixels of the half size.

    Examples
    --------
    >>> views = half_pixel_views(np.arange(25.0).reshape(5, 5))
    >>> [float(view[0, 0]) for view in views.values()]
    [3.0, 4.0, 8.0, 9.0]
    """
    height, width = ((side - 1) // 2 for side in grey.shape)
    return {
        (-column / 2, -row / 2): grey[row : row + 2 * height, column : column + 2 * width]
        .reshape(height, 2, width, 2)
        .mean(axis=(1, 3), dtype=np.float32)
        for row in (0, 1)
        for column in (0, 1)
    }


def candidates(grey: np.ndarray) -> Candidates:
    """Refined candidates of SIFT with its default settings, whether they pass the tests or not.

    Parameters
    ----------
    grey : (H, W) float32, grey levels.
    """
    parts = []
    for number, octave in enumerate(scale_space.gaussian_pyramid(scale_space.base_image(grey))):
        dog = scale_space.difference_of_gaussians(octave)
        start = extrema.find_extrema(dog, extrema.prior_threshold())
        found = refinement.refine(dog, start)
        settled = ~np.isnan(found.contrast)
        place = start[:, ::-1].astype(float)  # x, y, layer
        place[settled] = found.point[settled, ::-1] + found.offset[settled]
        unit = 2.0 ** (number - 1)
        scale = unit * scale_space.SIGMA * 2 ** (place[:, 2] / scale_space.LAYERS)
        parts.append((unit * place[:, :2], scale, found.contrast, found.status))
    return Candidates(*map(np.concatenate, zip(*parts, strict=True)))


def fates(points: Candidates, after: Candidates, moved: tuple[float, float]) -> np.ndarray:
    """What keypoints of one view are in another: a status of `refinement`, or `LOST`.

    Near a keypoint is what lies no farther from its place than its scale, and has a scale of at
    most the square root of 2 times more or less. A keypoint near it is the same one; without any,
    the nearest candidate tells.

    Parameters
    ----------
    points : (k,), of the first view.
    after : all candidates of the other.
    moved : (dx, dy), of the picture between the views.

    Returns
    -------
    (k,).
    """
    xy, fate = points.xy + np.array(moved), np.full(len(points.xy), LOST)
    near = KDTree(after.xy).query_ball_point(xy, points.scale)
    for number, them in enumerate(near):
        them = np.array(them, int)
        them = them[np.abs(np.log2(after.scale[them] / points.scale[number])) <= 0.5]
        if len(them):
            other = after.status[them] != refinement.KEPT
            distance = np.hypot(*(after.xy[them] - xy[number]).T)
            fate[number] = after.status[them[np.lexsort((distance, other))[0]]]
    return fate


def fifths(value: np.ndarray) -> list[np.ndarray]:
    """Numbers of the smallest fifth of the values, of the next, …, of the largest."""
    return np.array_split(np.argsort(value, kind="stable"), 5)
