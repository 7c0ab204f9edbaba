"""Stage 0: any picture a user may pass -> a grey ``uint8`` image, or a clear refusal."""

from pathlib import Path

import numpy as np

from ..errors import PixgradError

# 0.299, 0.587, 0.114 in fixed point with 15 fractional bits (ITU-R BT.601; OpenCV's integers).
GREY_WEIGHTS = (9798, 19235, 3735)
GREY_SHIFT = 15
CHUNK_BYTES = 6 << 20
"""What the samples of descriptors take that are processed at once, however small the image."""
SPILL = 1 / 255
"""How far rounding may carry a 0..1 image out of its range: one grey level."""


def to_grey(image: np.ndarray) -> np.ndarray:
    """Convert a picture to the grey ``uint8`` image on which SIFT is defined.

    Range rule. ``uint8`` is taken as it is; other integers must lie in 0..255; ``bool`` becomes
    0 and 255. A floating-point image must be finite: if its maximum is at most 1 (or one grey level
    more, which filters leave) the range is 0..1, from 2 on 0..255, and in between nobody knows. It
    is rounded to ``uint8`` (half to even), so that it gives exactly the features of the rounded
    image.

    Parameters
    ----------
    image : (H, W), (H, W, 1) or (H, W, 3) array, RGB order. Never modified.

    Returns
    -------
    (H, W) uint8 array, C-contiguous.

    Raises
    ------
    PixgradError
        Not an image, empty, NaN or infinite, out of range.
    """
    image = np.asarray(image)
    _check_shape(image)
    pixels = _to_uint8(image)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.ascontiguousarray(pixels.reshape(pixels.shape[:2]))
    red, green, blue = (pixels[:, :, c].astype(np.int32) * GREY_WEIGHTS[c] for c in range(3))
    return ((red + green + blue + (1 << (GREY_SHIFT - 1))) >> GREY_SHIFT).astype(np.uint8)


def check_mask(mask: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray | None:
    """Return the mask as (H, W) bool, or say why it does not fit the image.

    Parameters
    ----------
    mask : (H, W) bool or integer array, non-zero where keypoints are wanted; or None.
    shape : (H, W) of the image.
    """
    if mask is None:
        return None
    mask = np.asarray(mask)
    if mask.shape != shape:
        raise PixgradError(
            f"маска имеет размер {mask.shape}, а изображение — {shape}: они должны совпадать",
            f"the mask is {mask.shape}, the image {shape}: they must be of one size",
        )
    if mask.dtype.kind not in "bui":
        raise PixgradError(
            f"маска имеет тип {mask.dtype}; нужен bool или целый (например, uint8)",
            f"a mask of type {mask.dtype}; give bool or whole numbers (such as uint8)",
        )
    return mask != 0


def peak_copies(n_octave_layers: int) -> int:
    """Float32 copies of the doubled image that detection holds at its peak (benchmarks/sift.py).

    With s layers an octave s + 3 Gaussians, s + 2 differences, 2 s gradients, the image itself.
    """
    return 4 * n_octave_layers + 4


def check_memory(image: np.ndarray, n_octave_layers: int) -> None:
    """Refuse an image whose detection needs more memory than the system can give.

    Raises
    ------
    PixgradError : what it needs and what there is.
    """
    height, width = np.shape(image)[:2] if np.ndim(image) > 1 else (0, 0)
    need, free = memory_estimate(height, width, n_octave_layers), _available_memory()
    if free is not None and need > free:
        raise PixgradError(
            f"изображению {width}×{height} нужно около {need / 2**30:.1f} ГиБ памяти, "
            f"доступно {free / 2**30:.1f} ГиБ; уменьшите изображение или разрежьте его на части",
            f"an image of {width}×{height} needs about {need / 2**30:.1f} GiB of memory, "
            f"{free / 2**30:.1f} GiB are free; shrink the image or cut it into parts",
        )


def memory_estimate(height: int, width: int, n_octave_layers: int = 3) -> int:
    """Bytes that detection needs at its peak: `peak_copies` of float32 (2H, 2W), `CHUNK_BYTES`."""
    return peak_copies(n_octave_layers) * 4 * (2 * height) * (2 * width) + CHUNK_BYTES


def _check_shape(image: np.ndarray) -> None:
    if image.ndim not in (2, 3):
        raise PixgradError(
            f"массив формы {image.shape} — не изображение; нужна форма (H, W) или (H, W, 3)",
            f"an array of shape {image.shape} is no image; give (H, W) or (H, W, 3)",
        )
    if image.size == 0:
        raise PixgradError(
            f"изображение пустое: форма {image.shape}",
            f"the image is empty: shape {image.shape}",
        )
    if image.ndim == 3 and image.shape[2] not in (1, 3):
        raise PixgradError(
            f"в изображении каналов: {image.shape[2]}; нужен 1 (серое) или 3 (RGB). "
            "Прозрачность отбросьте: image[..., :3]",
            f"an image of {image.shape[2]} channels; give 1 (grey) or 3 (RGB). "
            "Leave out transparency: image[..., :3]",
        )


def _available_memory() -> int | None:
    """Bytes the system can give without swapping; None where it does not say (not Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _to_uint8(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind not in "uif":
        raise PixgradError(
            f"тип пикселей {image.dtype} не поддерживается; нужен uint8 или float",
            f"pixels of type {image.dtype}; give uint8 or float",
        )
    low, high = image.min(), image.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise PixgradError(
            "в изображении есть NaN или бесконечность; замените их числами",
            "the image holds NaN or infinity; put numbers in their place",
        )
    is_float, unit = image.dtype.kind == "f", high <= 1 + SPILL
    if low < (-SPILL if is_float and unit else 0) or high > 255:
        raise PixgradError(
            f"значения пикселей лежат в [{low:g}, {high:g}]; нужно 0…1 (float) или 0…255",
            f"pixels lie in [{low:g}, {high:g}]; give 0…1 (float) or 0…255",
        )
    if not is_float:
        return image.astype(np.uint8)
    if 1 + SPILL < high < 2:
        raise PixgradError(
            f"наибольшее значение пикселей {high:g}: непонятно, 0…1 это или 0…255; обрежьте "
            "лишнее, например np.clip(image, 0, 1), или умножьте на 255",
            f"the largest pixel is {high:g}: that may be 0…1 or 0…255; clip what is over, such as "
            "np.clip(image, 0, 1), or multiply by 255",
        )
    return np.rint(np.clip(image, 0, 1) * 255.0 if unit else image).astype(np.uint8)
