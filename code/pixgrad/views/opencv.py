"""OpenCV's SIFT and matchers with plain arrays in and out."""

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence

import cv2
import numpy as np

from pixgrad.sift import Features
from pixgrad.views.matching import Matches

FLANN_KDTREE = 1  # cv::flann::FLANN_INDEX_KDTREE has no name in Python
WITH_FMA = ("AVX2", "AVX512-SKX")  # OpenCV's names of the x86 code that fuses multiply and add


def detect(image: np.ndarray, most: int = 0, conventions: str = "opencv") -> Features:
    """Find keypoints and compute descriptors with the default settings of OpenCV.

    Parameters
    ----------
    image : uint8, (H, W) grey or (H, W, 3) RGB.
    most : keep so many of the keypoints with the largest response (0: all).
    conventions : the grid, "opencv" or "precise", as in `Sift`.

    Examples
    --------
    >>> square = np.zeros((64, 64), np.uint8)
    >>> square[20:44, 20:44] = 255
    >>> len(detect(square)) == len(cv2.SIFT_create().detect(square, None))
    True
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    sift = cv2.SIFT_create(nfeatures=most, enable_precise_upscale=conventions == "precise")
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    nothing = np.empty((0, 128), np.float32)
    return Features.from_opencv(keypoints, nothing if descriptors is None else descriptors)


def has_fma() -> bool:
    """Whether OpenCV runs its fused multiply-add code for x86 here.

    Examples
    --------
    >>> has_fma() in (True, False)
    True
    """
    return f"*{WITH_FMA[0]}" in cv2.getCPUFeaturesLine().split()


def detect_without_fma(images: Sequence[np.ndarray], conventions: str = "opencv") -> list[Features]:
    """`detect` on images as on a processor without fused multiply-add.

    On x86 OpenCV can be told not to use an instruction, but only when it is loaded: hence a
    process of its own. Elsewhere this changes nothing.
    """
    return _in_a_process(images, conventions, WITH_FMA)


def detect_with_fma(images: Sequence[np.ndarray], conventions: str = "opencv") -> list[Features]:
    """The same with fused multiply-add, if the processor has it, whatever is switched off here.

    Of the two kinds of such code the older is taken, which more processors have.
    """
    return _in_a_process(images, conventions, WITH_FMA[1:])


def brute_force(first: Features, second: Features) -> Matches:
    """For every descriptor of ``first`` its two nearest in ``second``, found exactly.

    Examples
    --------
    >>> square = np.zeros((64, 64), np.uint8)
    >>> square[20:44, 20:44] = 255
    >>> found = detect(square)
    >>> bool((brute_force(found, found).distance == 0).all())
    True
    """
    return _two_nearest(cv2.BFMatcher(cv2.NORM_L2), first, second)


def flann(first: Features, second: Features, trees: int = 4, checks: int = 32) -> Matches:
    """The same, found approximately with randomised k-d trees.

    Parameters
    ----------
    trees : number of trees built over the descriptors of ``second``.
    checks : how many leaves are looked at for one query: more is slower and more exact.

    Examples
    --------
    >>> square = np.zeros((64, 64), np.uint8)
    >>> square[20:44, 20:44] = 255
    >>> found = detect(square)
    >>> len(flann(found, found)) == len(found)
    True
    """
    cv2.setRNGSeed(0)  # the trees are random
    index = {"algorithm": FLANN_KDTREE, "trees": trees}
    return _two_nearest(cv2.FlannBasedMatcher(index, {"checks": checks}), first, second)


def homography(
    xy: np.ndarray, xy2: np.ndarray, tolerance: float = 3.0
) -> tuple[np.ndarray | None, np.ndarray]:
    """Estimate x' ~ H x from matches of which many may be false (RANSAC).

    Parameters
    ----------
    xy, xy2 : matched points, float, (M, 2).
    tolerance : matches within so many pixels of H agree with it.

    Returns
    -------
    The 3x3 matrix (None if there is none) and a bool mask (M,) of the matches that agree.

    Examples
    --------
    >>> xy = np.random.default_rng(0).uniform(0, 100, (20, 2))
    >>> matrix, agrees = homography(xy, xy + [5, 0])
    >>> bool(np.allclose(matrix, [[1, 0, 5], [0, 1, 0], [0, 0, 1]])), bool(agrees.all())
    (False, True)
    """
    matrix, agrees = None, None
    if len(xy) >= 4:
        matrix, agrees = cv2.findHomography(xy, xy2, cv2.RANSAC, tolerance)
    return matrix, np.zeros(len(xy), bool) if matrix is None else agrees.ravel().astype(bool)


def chance_inliers(xy: np.ndarray, xy2: np.ndarray, trials: int = 20, seed: int = 0) -> np.ndarray:
    """How many matches agree with the best homography when nothing matches at all.

    The second ends are shuffled, so that every match is false but the points stay.

    Returns
    -------
    int, (trials,): RANSAC's number of inliers in each shuffle.

    Examples
    --------
    >>> xy = np.random.default_rng(0).uniform(0, 1000, (50, 2))
    >>> bool((chance_inliers(xy, xy, trials=3) < 10).all())
    True
    """
    rng = np.random.default_rng(seed)
    return np.array([homography(xy, rng.permutation(xy2))[1].sum() for _ in range(trials)])


def _in_a_process(images, conventions, disabled) -> list[Features]:
    settings = {"OPENCV_CPU_DISABLE": ",".join(disabled), "PYTHONPATH": os.pathsep.join(sys.path)}
    answer = subprocess.run(
        [sys.executable, "-c", f"from {__name__} import _answer; _answer()"],
        input=pickle.dumps((list(images), conventions)),
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        check=True,
    )
    return pickle.loads(answer.stdout)


def _answer() -> None:
    images, conventions = pickle.load(sys.stdin.buffer)
    found = [detect(image, conventions=conventions) for image in images]
    pickle.dump(found, sys.stdout.buffer)


def _two_nearest(matcher, first: Features, second: Features) -> Matches:
    found = matcher.knnMatch(first.descriptors, second.descriptors, k=2)
    pairs = [pair for pair in found if len(pair) == 2]
    return Matches(
        np.array([best.queryIdx for best, _ in pairs], int),
        np.array([best.trainIdx for best, _ in pairs], int),
        np.array([best.distance for best, _ in pairs], float),
        np.array([other.distance for _, other in pairs], float),
    )
