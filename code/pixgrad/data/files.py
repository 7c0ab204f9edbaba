"""Reading files so that the report generator sees it, and decoding images."""

import importlib.util
import io
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from pixgrad.dataroot import data_root
from pixgrad.errors import PixgradError, SourceError, say

# Trying only these halves the time of opening a small image.
FORMATS = ("WEBP", "JPEG", "PNG", "PPM", "BMP")


def root() -> Path:
    """The data root of the project in the current folder."""
    return data_root(Path.cwd())


@dataclass(frozen=True)
class Found:
    """The alternative that serves a source here; nothing has been read yet."""

    origin: str
    read: Callable[[], Any]


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, announced to audit hooks as ``pixgrad.read``."""
    sys.audit("pixgrad.read", str(path))
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SourceError(
            f"файл не читается: {error.strerror}", path, english=f"cannot be read: {error.strerror}"
        ) from None


def decode_image(raw: bytes, path: Path, mode: str | None = None, row: int | None = None):
    """Decode an image fully.

    Parameters
    ----------
    raw : the encoded image.
    path, row : named in the error.
    mode : "L", "RGB", or None for whichever of the two the file holds.

    Raises
    ------
    SourceError : broken or truncated image.
    """
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I;16") or image.mode == "I":
                image = _eight_bits(image)
            return image.convert(mode or ("L" if image.mode in ("1", "L") else "RGB"))
    except (OSError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError) as error:
        where = "" if row is None else say(f"строка {row}: ", f"row {row}: ")
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(
            f"{where}изображение повреждено ({reason})",
            path,
            english=f"{where}damaged image ({reason})",
        ) from None


def decode_text(raw: bytes, path: Path) -> str:
    """UTF-8, or the error of a file that is something else."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"не текст UTF-8 ({error})", path, english=f"no text in UTF-8 ({error})"
        ) from None


def _eight_bits(image: Image.Image) -> Image.Image:
    """The upper byte of 16-bit grey levels, as OpenCV reads them; Pillow's own would be white."""
    return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))


def read_photo(path: Path) -> np.ndarray:
    """An image file as uint8, (H, W) or (H, W, 3)."""
    return np.asarray(decode_image(read_bytes(path), path))


def wheel_folder(module: str, *parts: str) -> Path | None:
    """A folder inside an installed package, without importing it; None if it is not there."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)), *parts)
    return folder if folder.is_dir() else None


def missing(name: str, what: str, looked: Iterable[Path | str], step: str) -> PixgradError:
    """The error of a source that no alternative can serve: what, where we looked, what to do."""
    places = ", ".join(str(place) for place in looked)
    return PixgradError(
        f"нет данных «{name}» ({what}); искали: {places}. Что сделать: {step}",
        f"no data '{name}' ({what}); looked in: {places}. What to do: {step}",
    )


def run(command: str) -> str:
    """The step "run ``command``" of :func:`missing`."""
    return say(f"выполните {command}", f"run {command}")


def package(name: str) -> tuple[list[str], str]:
    """``looked`` and ``step`` of :func:`missing` for data inside a package."""
    return [say(f"пакет {name}", f"the package {name}")], run(f"pip install {name}")
