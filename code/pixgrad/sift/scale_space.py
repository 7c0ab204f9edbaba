"""Stage 1: the scale space — doubled image, Gaussian octaves, differences of Gaussians.

References
----------
D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004, section 3.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

SIGMA = 1.6  # scale of an octave's first layer, pixels of the octave
LAYERS = 3  # of an octave where extrema are looked for: s
ASSUMED_BLUR = 0.5  # sigma that the camera is taken to have left in the input, pixels
MIN_BASE_VARIANCE = 0.01  # the initial blur is never narrower than 0.1 px
KERNEL_SIGMAS = 4  # a kernel reaches 4 sigma to each side
SMALL_KERNEL = 5  # taps; along rows OpenCV sums so few of them from the middle outwards
STRIP_BYTES = 1 << 18  # rows are filtered in strips that stay in the L2 cache


def double(image: np.ndarray, precise: bool = False) -> np.ndarray:
    """Double the image by linear interpolation.

    The two grids differ in where a sample of the result lies in the input. OpenCV's default
    aligns the *borders*: sample ``x'`` lies at ``x'/2 - 1/4``, but keypoints are halved as if it
    lay at ``x'/2``, hence their bias of 0.25 px. The precise grid puts it at ``x'/2``.

    Parameters
    ----------
    image : (H, W) float array.
    precise : False — OpenCV's default; True — ``enable_precise_upscale``.

    Returns
    -------
    (2H, 2W) array of the same dtype.
    """
    tall = _interleave(image, precise)
    return np.ascontiguousarray(_interleave(tall.T, precise).T)


def gaussian_kernel(sigma: float, dtype: np.dtype | type = np.float32) -> np.ndarray:
    """Sampled Gaussian, normalised to sum 1, of odd length ``round(8 sigma + 1) | 1``."""
    length = round(2 * KERNEL_SIGMAS * sigma + 1) | 1
    x = np.arange(length) - length // 2
    kernel = np.exp(-0.5 * (x / sigma) ** 2)
    return (kernel / kernel.sum()).astype(dtype)


def blur(image: np.ndarray, sigma: float, out: np.ndarray | None = None) -> np.ndarray:
    """Gaussian blur with mirrored borders (``dcb|abcd|cba``): along rows, then along columns.

    It sums shifted copies one after another, in the order of OpenCV's filters, so the rounding
    does not depend on threads or on the BLAS library.

    Parameters
    ----------
    image : (H, W) float array.
    sigma : standard deviation, pixels.
    out : where to write the result; not the image itself.

    Returns
    -------
    (H, W) array of the same dtype.
    """
    kernel = gaussian_kernel(sigma, image.dtype)
    out = np.empty_like(image) if out is None else out
    _filter_columns(_filter_rows(image, kernel), kernel, out)
    return out


def base_image(
    grey: np.ndarray,
    sigma: float = SIGMA,
    precise: bool = False,
    blur: Callable[..., np.ndarray] = blur,
    doubled: bool = True,
    double: Callable[..., np.ndarray] = double,
) -> np.ndarray:
    """Doubled image blurred to the scale ``sigma`` of the first layer, (2H, 2W) float32.

    With ``doubled`` False the image as it is, (H, W): enough to describe keypoints none of which
    lies in the doubled octave.

    The width of the blur is a float32 number as in OpenCV: rounded otherwise, it changes the last
    bits of most layers.
    """
    camera = np.float32((1 + doubled) * ASSUMED_BLUR)
    variance = np.float32(sigma) * np.float32(sigma) - camera**2
    image = grey.astype(np.float32)
    image = double(image, precise) if doubled else image
    return blur(image, float(np.sqrt(np.maximum(variance, np.float32(MIN_BASE_VARIANCE)))))


def octave_count(base_shape: tuple[int, int]) -> int:
    """Octaves of a pyramid over a base image (H, W): the last one is about 4 pixels wide."""
    return max(0, round(math.log2(min(base_shape)) - 2) + 1)


def layer_blurs(sigma: float = SIGMA, n_octave_layers: int = LAYERS) -> list[float]:
    """Blurs that take each layer of an octave to the next one.

    Layer ``i`` has the scale ``sigma c^i`` with ``c = 2^(1/n)``; variances add, hence
    ``sqrt((sigma c^i)^2 - (sigma c^(i-1))^2)`` for ``i = 1 … n+2``.
    """
    c = 2.0 ** (1.0 / n_octave_layers)
    scales = [sigma * c**i for i in range(n_octave_layers + 3)]
    return [math.sqrt(b * b - a * a) for a, b in pairwise(scales)]


def gaussian_pyramid(
    base: np.ndarray,
    sigma: float = SIGMA,
    n_octave_layers: int = LAYERS,
    blur: Callable[..., np.ndarray] = blur,
    octaves: int | None = None,
) -> list[np.ndarray]:
    """Octaves of Gaussian layers; each octave starts from every second pixel of the last.

    Parameters
    ----------
    base : (H, W) float array with blur ``sigma``.
    blur : the function to blur with.
    octaves : how many, while there are pixels; None — `octave_count`.

    Returns
    -------
    list of (s + 3, H_o, W_o) arrays; ``H_o = H // 2^o``.
    """
    pyramid: list[np.ndarray] = []
    blurs = layer_blurs(sigma, n_octave_layers)
    for _ in range(octave_count(base.shape) if octaves is None else octaves):
        if not base.size:
            break
        octave = np.empty((n_octave_layers + 3, *base.shape), base.dtype)
        octave[0] = base
        for i, step in enumerate(blurs):
            blur(octave[i], step, out=octave[i + 1])
        pyramid.append(octave)
        base = halve(octave[n_octave_layers])
    return pyramid


def halve(image: np.ndarray) -> np.ndarray:
    """Every second pixel, (H // 2, W // 2): the layer with twice the scale needs no more."""
    height, width = image.shape
    return image[: height // 2 * 2 : 2, : width // 2 * 2 : 2]


def difference_of_gaussians(octave: np.ndarray) -> np.ndarray:
    """Neighbouring layers subtracted: (s + 3, H, W) -> (s + 2, H, W)."""
    return octave[1:] - octave[:-1]


def _interleave(image: np.ndarray, precise: bool) -> np.ndarray:
    """Twice as many rows; both rules are exact in float32 for 8-bit values."""
    before, after = (np.concatenate(p) for p in ((image[:1], image[:-1]), (image[1:], image[-1:])))
    if precise:
        pair = image, 0.5 * image + 0.5 * after
    else:
        pair = 0.75 * image + 0.25 * before, 0.75 * image + 0.25 * after
    return np.stack(pair, axis=1).reshape(-1, image.shape[1])


def _filter_rows(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve each row, summing the taps from left to right, a small kernel's from the middle.

    A strip of padded rows is treated as one long row, so that every tap is a single pass over
    contiguous memory; what mixes neighbouring rows falls on the padding and is dropped.
    """
    height, width = image.shape
    radius = len(kernel) // 2
    columns = mirror(np.arange(-radius, width + radius), width)
    pitch = width + 2 * radius
    rows = max(1, STRIP_BYTES // (pitch * image.itemsize))
    result = np.empty_like(image)
    padded = np.zeros(rows * pitch + 2 * radius, image.dtype)
    total, term = np.empty(rows * pitch, image.dtype), np.empty(rows * pitch, image.dtype)
    for top in range(0, height, rows):
        strip = image[top : top + rows]
        n = len(strip) * pitch
        grid = padded[:n].reshape(-1, pitch)
        grid[:, radius : radius + width] = strip
        grid[:, :radius] = strip[:, columns[:radius]]
        grid[:, radius + width :] = strip[:, columns[radius + width :]]
        if len(kernel) <= SMALL_KERNEL:
            taps = [padded[i : i + n] for i in range(len(kernel))]
            _sum_outwards(taps, kernel, total[:n], term[:n])
        else:
            np.multiply(padded[:n], kernel[0], out=total[:n])
            for i in range(1, len(kernel)):
                np.multiply(padded[i : i + n], kernel[i], out=term[:n])
                np.add(total[:n], term[:n], out=total[:n])
        result[top : top + rows] = total[:n].reshape(-1, pitch)[:, :width]
    return result


def _filter_columns(image: np.ndarray, kernel: np.ndarray, out: np.ndarray) -> None:
    """Convolve each column, from the middle tap outwards, mirrored taps added first."""
    height, width = image.shape
    radius = len(kernel) // 2
    padded = image[mirror(np.arange(-radius, height + radius), height)]
    rows = max(1, STRIP_BYTES // (width * image.itemsize))
    term = np.empty((rows, width), image.dtype)
    for top in range(0, height, rows):
        total = out[top : top + rows]
        n = len(total)
        taps = [padded[top + i : top + i + n] for i in range(len(kernel))]
        _sum_outwards(taps, kernel, total, term[:n])


def _sum_outwards(
    taps: list[np.ndarray], kernel: np.ndarray, total: np.ndarray, pair: np.ndarray
) -> None:
    """Weighted sum of the taps from the middle one outwards, mirrored ones added first.

    Parameters
    ----------
    taps : what each of the kernel's numbers is multiplied by.
    total, pair : where the sum goes, and space of the same shape.
    """
    middle = len(kernel) // 2
    np.multiply(taps[middle], kernel[middle], out=total)
    for i in range(1, middle + 1):
        np.add(taps[middle - i], taps[middle + i], out=pair)
        np.multiply(pair, kernel[middle + i], out=pair)
        np.add(total, pair, out=total)


def mirror(index: np.ndarray, length: int) -> np.ndarray:
    """Reflect indices into 0 … length-1 about the border samples, as often as needed."""
    if length == 1:
        return np.zeros_like(index)
    index = np.abs(index) % (2 * length - 2)
    return np.minimum(index, 2 * length - 2 - index)
