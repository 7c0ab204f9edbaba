"""The whole of SIFT: image -> keypoints with descriptors."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..checks import number, whole
from ..errors import PixgradError
from . import backend
from .descriptor import LENGTH, quantise
from .extrema import CONTRAST, prior_threshold
from .features import Features, concatenate, pack_octave, sort_unique, unpack_octave
from .image import check_mask, check_memory, to_grey
from .refinement import KEPT
from .scale_space import LAYERS, SIGMA, base_image, gaussian_pyramid

LARGEST_SIGMA = 1e6  # its kernel has eight million taps
FIRST_LAYER = np.array([1, 0, 0])  # keypoints start at layer 1, and so do the gradients
NOTHING = Features(
    np.empty((0, 2), np.float32),
    *np.empty((3, 0), np.float32),
    np.empty(0, np.int32),
    np.empty((0, 0), np.float32),
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
    nfeatures : keep so many keypoints with the largest response (and those that tie with the last
        of them, as OpenCV does); 0 — all. A mask drops keypoints later, from those kept.
    descriptor_type : "float32" or "uint8", as OpenCV's ``descriptorType``: the same whole numbers.
    compiled : True — numba, False — NumPy, None — see `backend.choose`, which also says how the
        results differ: as OpenCV's do between processors with fused multiply-add and without it.

    References
    ----------
    D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from pixgrad.sift import Sift
    >>> y, x = np.mgrid[:80, :80]
    >>> blob = (255 * np.exp(-((x - 40) ** 2 + (y - 40) ** 2) / 72)).astype(np.uint8)
    >>> keypoint = Sift(nfeatures=1).detect_and_compute(blob)[:1]
    >>> np.round(keypoint.xy, 0).tolist(), keypoint.descriptors.shape
    ([[40.0, 40.0]], (1, 128))
    """

    n_octave_layers: int = LAYERS
    contrast_threshold: float = CONTRAST
    edge_threshold: float = 10.0
    sigma: float = SIGMA
    conventions: Literal["opencv", "precise"] = "opencv"
    nfeatures: int = 0
    descriptor_type: Literal["float32", "uint8"] = "float32"
    compiled: bool | None = None

    def __post_init__(self) -> None:
        for name, choices in (
            ("conventions", ("opencv", "precise")),
            ("descriptor_type", ("float32", "uint8")),
        ):
            if getattr(self, name) not in choices:
                raise PixgradError(
                    f"{name}={getattr(self, name)!r}: есть {', '.join(choices)}",
                    f"{name}={getattr(self, name)!r}: there are {', '.join(choices)}",
                )
        for name, least in (("n_octave_layers", 1), ("nfeatures", 0)):
            whole(name, getattr(self, name), least)
        number("contrast_threshold", self.contrast_threshold)
        number("edge_threshold", self.edge_threshold)
        number("sigma", self.sigma, most=LARGEST_SIGMA)
        if self.sigma == 0:
            raise PixgradError(
                "sigma=0: нужно положительное число",
                "sigma=0: give a positive number",
            )

    def detect_and_compute(self, image: np.ndarray, mask: np.ndarray | None = None) -> Features:
        """Find keypoints and describe them.

        Parameters
        ----------
        image : (H, W) or (H, W, 3) RGB; the range rule is that of `to_grey`.
        mask : (H, W), non-zero where keypoints are wanted.

        Raises
        ------
        PixgradError : not an image, see `to_grey`; a mask of another size; not enough memory.
        """
        return self._find(image, mask, described=True)

    def detect(self, image: np.ndarray, mask: np.ndarray | None = None) -> Features:
        """Find keypoints without describing them: descriptors are (N, 0)."""
        return self._find(image, mask, described=False)

    def compute(self, image: np.ndarray, keypoints: Features) -> Features:
        """Describe given keypoints, of this image or of another, in their order.

        Their octave and layer say which blurred image each is described on (a keypoint made by hand
        has both 0), their size and angle the grid on it: as ``cv2.SIFT.compute``.

        Raises
        ------
        PixgradError : a keypoint without a place or a size; one whose octave or layer is not in the
            pyramid of this image.
        """
        keypoints.check_described()
        octaves, layers = unpack_octave(keypoints.octave)
        first = -1 if (octaves < 0).any() else 0
        count = int(octaves.max(initial=first)) - first + 1
        stages, pyramid = self._pyramid(image, doubled=first < 0, octaves=count)
        last, top = first + len(pyramid) - 1, self.n_octave_layers + 2
        strange = np.flatnonzero((octaves < first) | (octaves > last) | (layers > top))
        if len(strange):
            k = int(strange[0])
            raise PixgradError(
                f"точка {k}: октава {octaves[k]}, слой {layers[k]}, а у этого изображения октавы "
                f"{first}…{last} и слои 0…{top}",
                f"keypoint {k}: octave {octaves[k]}, layer {layers[k]}, but this image has octaves "
                f"{first}…{last} and layers 0…{top}",
            )
        gradients = (stages.gradients(octave) for octave in pyramid)
        return self._describe(stages, keypoints, first, gradients, layers)

    def _find(self, image: np.ndarray, mask: np.ndarray | None, described: bool) -> Features:
        mask = check_mask(mask, np.shape(image)[:2])
        stages, pyramid = self._pyramid(image)
        parts, gradients = [NOTHING], []
        for o in range(-1, len(pyramid) - 1):
            found, maps = self._process_octave(stages, o, pyramid.pop(0))  # its memory is freed
            parts.append(found)
            gradients.append(maps)
        found = sort_unique(concatenate(parts))
        if 0 < self.nfeatures < len(found):
            least = np.partition(found.response, -self.nfeatures)[-self.nfeatures]
            found = found[found.response >= least]
        if mask is not None:
            column, row = (found.xy + np.float32(0.5)).astype(np.int64).T
            found = found[mask[row, column]]
        if not described:
            return found
        _, layers = unpack_octave(found.octave)
        return self._describe(stages, found, -1, gradients, layers - FIRST_LAYER[0])

    def _pyramid(
        self, image: np.ndarray, doubled: bool = True, octaves: int | None = None
    ) -> tuple[backend.Stages, list[np.ndarray]]:
        check_memory(image, self.n_octave_layers)
        stages, precise = backend.choose(self.compiled), self.conventions == "precise"
        grey = to_grey(image)
        base = base_image(grey, self.sigma, precise, stages.blur, doubled, stages.double)
        s = self.n_octave_layers
        return stages, gaussian_pyramid(base, self.sigma, s, stages.blur, octaves)

    def _describe(
        self,
        stages: backend.Stages,
        keypoints: Features,
        first: int,
        gradients: Iterable[tuple[np.ndarray, ...]],
        layers: np.ndarray,
    ) -> Features:
        """Describe keypoints on the layers (N,) of the gradients of octaves ``first``, …"""
        octaves, _ = unpack_octave(keypoints.octave)
        votes = np.zeros((len(keypoints), LENGTH), np.float32)
        for o, maps in enumerate(gradients, start=first):
            k = np.flatnonzero(octaves == o)
            to_octave = np.float32(2.0**-o)
            xy, scale = keypoints.xy[k] * to_octave, keypoints.size[k] * to_octave / np.float32(2)
            if len(k):
                votes[k] = stages.raw_histograms(*maps, layers[k], xy, scale, keypoints.angle[k])
        descriptors = quantise(votes).astype(self.descriptor_type, copy=False)
        return replace(keypoints, descriptors=descriptors)

    def _process_octave(
        self, stages: backend.Stages, o: int, octave: np.ndarray
    ) -> tuple[Features, tuple[np.ndarray, ...]]:
        """Features of octave ``o`` (-1 is the doubled image), in pixels of the input.

        Returns
        -------
        features without descriptors; the gradients of layers 1 … s, if there are features.
        """
        s = self.n_octave_layers
        dog = stages.differences(octave)
        candidates = stages.find_extrema(dog, prior_threshold(self.contrast_threshold, s))
        refined = stages.refine(dog, candidates, self.contrast_threshold, self.edge_threshold)
        del dog
        kept = refined.status == KEPT
        point, offset, contrast = refined.point[kept], refined.offset[kept], refined.contrast[kept]
        if not len(point):
            return NOTHING, ()
        octaves = (point[:, 0] + offset[:, 2]).astype(np.float32) / np.float32(s)
        scale = np.float32(self.sigma) * np.exp2(octaves.astype(np.float64)).astype(np.float32)

        gradients = stages.gradients(octave[1 : s + 1])
        histogram = stages.histograms(*gradients, point - FIRST_LAYER, scale)
        k, direction = stages.peaks(histogram)

        xy = point[:, :0:-1].astype(np.float32) + offset[:, :2]
        to_input = np.float32(2.0**o)
        found = Features(
            xy[k] * to_input,
            scale[k] * (2 * to_input),
            direction,
            np.abs(contrast[k]),
            pack_octave(o, point[k, 0], offset[k, 2]),
            np.empty((len(k), 0), np.float32),
        )
        return found, gradients
