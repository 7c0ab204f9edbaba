"""The whole of SIFT: image -> keypoints with descriptors."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import PixgradError
from . import backend
from .descriptor import LENGTH, quantise
from .extrema import prior_threshold
from .features import Features, concatenate, pack_octave, sort_unique
from .image import check_mask, to_grey
from .orientation import peaks
from .refinement import KEPT
from .scale_space import base_image, difference_of_gaussians, gaussian_pyramid

FIRST_LAYER = np.array([1, 0, 0])  # keypoints start at layer 1, and so do the gradients
NOTHING = Features(
    np.empty((0, 2), np.float32),
    *np.empty((3, 0), np.float32),
    np.empty(0, np.int32),
    np.empty((0, LENGTH), np.float32),
)


@dataclass(frozen=True)
class Sift:
    """SIFT with the parameters, arithmetic and order of OpenCV's ``cv2.SIFT``.

    Parameters
    ----------
    n_octave_layers : s, scales in an octave where extrema are looked for.
    contrast_threshold : divided by s; grey values 0..1.
    edge_threshold : largest ratio of principal curvatures.
    sigma : scale of the first layer, in pixels of the doubled image.
    conventions : ``"opencv"`` — OpenCV's default grid, biased by 0.25 px; ``"precise"`` —
        unbiased, as ``cv2.SIFT_create(enable_precise_upscale=True)``.
    compiled : True — numba, False — NumPy, None — see `backend.choose`, which also says how the
        results differ: as OpenCV's do between processors with fused multiply-add and without it.

    References
    ----------
    D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004.
    """

    n_octave_layers: int = 3
    contrast_threshold: float = 0.04
    edge_threshold: float = 10.0
    sigma: float = 1.6
    conventions: Literal["opencv", "precise"] = "opencv"
    compiled: bool | None = None

    def __post_init__(self) -> None:
        if self.conventions not in ("opencv", "precise"):
            raise PixgradError(f"conventions={self.conventions!r}: есть 'opencv' и 'precise'")
        if self.n_octave_layers < 1 or self.sigma <= 0:
            raise PixgradError(
                f"n_octave_layers={self.n_octave_layers}, sigma={self.sigma}: нужны положительные"
            )

    def detect_and_compute(self, image: np.ndarray, mask: np.ndarray | None = None) -> Features:
        """Find keypoints and describe them.

        Parameters
        ----------
        image : (H, W) or (H, W, 3) RGB; the range rule is that of `to_grey`.
        mask : (H, W), non-zero where keypoints are wanted.
        """
        grey = to_grey(image)
        mask = check_mask(mask, grey.shape)
        stages = backend.choose(self.compiled)
        base = base_image(grey, self.sigma, self.conventions == "precise", stages.blur)
        pyramid = gaussian_pyramid(base, self.sigma, self.n_octave_layers, stages.blur)
        parts = [self._process_octave(stages, o, octave, mask) for o, octave in enumerate(pyramid)]
        return sort_unique(concatenate([NOTHING, *parts]))

    def _process_octave(
        self, stages: backend.Stages, o: int, octave: np.ndarray, mask: np.ndarray | None
    ) -> Features:
        """Features of octave ``o`` (0 is the doubled image), in pixels of the input."""
        s = self.n_octave_layers
        dog = difference_of_gaussians(octave)
        candidates = stages.find_extrema(dog, prior_threshold(self.contrast_threshold, s))
        refined = stages.refine(dog, candidates, self.contrast_threshold, self.edge_threshold)
        del dog
        kept = refined.status == KEPT
        point, offset, contrast = refined.point[kept], refined.offset[kept], refined.contrast[kept]
        if not len(point):
            return NOTHING
        octaves = (point[:, 0] + offset[:, 2]).astype(np.float32) / np.float32(s)
        scale = np.float32(self.sigma) * np.exp2(octaves.astype(np.float64)).astype(np.float32)

        gradients = stages.gradients(octave[1 : s + 1])
        histogram = stages.histograms(*gradients, point - FIRST_LAYER, scale)
        k, direction = peaks(histogram)

        xy = point[:, :0:-1].astype(np.float32) + offset[:, :2]
        to_input = np.float32(2.0 ** (o - 1))
        if mask is not None:
            column, row = (xy[k] * to_input + np.float32(0.5)).astype(np.int64).T
            wanted = mask[row, column]
            k, direction = k[wanted], direction[wanted]
        layer, xy, scale = point[k, 0] - FIRST_LAYER[0], xy[k], scale[k]
        votes = stages.raw_histograms(*gradients, layer, xy, scale, direction)
        return Features(
            xy * to_input,
            scale * (2 * to_input),
            direction,
            np.abs(contrast[k]),
            pack_octave(o - 1, point[k, 0], offset[k, 2]),
            quantise(votes),
        )
