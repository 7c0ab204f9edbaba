"""IDX files (MNIST, Fashion-MNIST): a strict reader and the sets kept in this format."""

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np

from pixgrad.data import files
from pixgrad.data.files import Found
from pixgrad.data.splits import select
from pixgrad.data.types import ImageSet
from pixgrad.errors import SourceError, say

# Type codes of the format: http://yann.lecun.com/exdb/mnist/
DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_AXES = 32  # NumPy before 2 has no more
DIGITS = tuple(str(digit) for digit in range(10))
CLOTHES = (
    "футболка",
    "брюки",
    "свитер",
    "платье",
    "пальто",
    "сандалия",
    "рубашка",
    "кроссовок",
    "сумка",
    "ботинок",
)


def parse_idx(raw: bytes, file: Path | str) -> np.ndarray:
    """Decode an IDX file, gzipped or plain.

    Returns
    -------
    Array in native byte order with the shape and type that the header states.

    Raises
    ------
    SourceError : bad magic number, unknown type, or a length that does not match the header.
    """
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(
                f"архив gzip повреждён ({error})", file, english=f"damaged gzip archive ({error})"
            ) from None
    if len(raw) < 4 or raw[:2] != b"\0\0":
        raise SourceError(
            "не IDX: первые два байта должны быть нулями",
            file,
            english="not IDX: the first two bytes must be zeros",
        )
    code, ndim = raw[2], raw[3]
    if code not in DTYPES:
        raise SourceError(
            f"не IDX: неизвестный тип данных 0x{code:02x}",
            file,
            english=f"not IDX: unknown type 0x{code:02x}",
        )
    if ndim > MOST_AXES:
        raise SourceError(
            f"не IDX: осей {ndim}, а бывает не больше {MOST_AXES}",
            file,
            english=f"not IDX: {ndim} axes, there are at most {MOST_AXES}",
        )
    start = 4 + 4 * ndim
    if len(raw) < start:
        raise SourceError(
            f"файл обрывается в заголовке ({len(raw)} байт)",
            file,
            english=f"cut off in the header ({len(raw)} bytes)",
        )
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", ndim, 4))
    dtype = np.dtype(DTYPES[code])
    expected = start + prod(shape) * dtype.itemsize
    if len(raw) != expected:
        raise SourceError(
            f"длина {len(raw)} байт, а заголовок {shape} обещает {expected}",
            file,
            english=f"{len(raw)} bytes long, while the header {shape} promises {expected}",
        )
    return np.frombuffer(raw, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def mnist(split: str = "train") -> Found:
    """The 70,000 handwritten digits, 28x28."""
    root = files.root()
    places = {root / "mnist_idx": "data-root", root / "MNIST" / "raw": "torchvision"}
    return _find(
        "mnist",
        say("рукописные цифры", "handwritten digits"),
        split,
        DIGITS,
        places,
        files.run("pixgrad fetch mnist"),
    )


def fashion(split: str = "train") -> Found:
    """Fashion-MNIST: 70,000 pieces of clothing, 28x28."""
    root = files.root()
    places = {
        root / "fashion_idx": "data-root",
        Path("/usr/share/datasets/fashion-mnist"): "debian",
        root / "FashionMNIST" / "raw": "torchvision",
    }
    what = say("одежда, Fashion-MNIST", "clothes, Fashion-MNIST")
    step = say(
        "выполните apt-get install dataset-fashion-mnist или pixgrad fetch fashion",
        "run apt-get install dataset-fashion-mnist or pixgrad fetch fashion",
    )
    return _find("fashion", what, split, CLOTHES, places, step)


def _find(name, what, split, names, places: dict[Path, str], step: str) -> Found:
    part = "t10k" if split == "test" else "train"

    def read() -> ImageSet:
        x, y = read_labelled(images, labels, len(names))
        keep = select(split, y)
        return ImageSet(name, split, x[keep], y[keep], names, origin)

    for folder, origin in places.items():
        images, labels = _file(folder, f"{part}-images-idx3"), _file(folder, f"{part}-labels-idx1")
        if images and labels:
            return Found(origin, read)
    raise files.missing(name, what, places, step)


def _file(folder: Path, stem: str) -> Path | None:
    candidates = (folder / f"{stem}-ubyte.gz", folder / f"{stem}-ubyte")
    return next((path for path in candidates if path.is_file()), None)


def read_labelled(images: Path, labels: Path, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Read an image file and its label file and check that they fit each other.

    Returns
    -------
    images : uint8, shape (N, H, W); labels : int64, shape (N,).
    """
    x = parse_idx(files.read_bytes(images), images)
    y = parse_idx(files.read_bytes(labels), labels)
    if x.ndim != 3 or x.dtype != np.uint8:
        raise SourceError(
            f"ожидались изображения uint8 (N, H, W), а там {x.dtype} {x.shape}",
            images,
            english=f"expected images uint8 (N, H, W), found {x.dtype} {x.shape}",
        )
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise SourceError(
            f"ожидались целые метки (N,), а там {y.dtype} {y.shape}",
            labels,
            english=f"expected whole labels (N,), found {y.dtype} {y.shape}",
        )
    if len(x) != len(y):
        raise SourceError(
            f"меток {len(y)}, а изображений {len(x)}",
            labels,
            english=f"{len(y)} labels for {len(x)} images",
        )
    outside = np.flatnonzero((y.astype(np.int64) < 0) | (y.astype(np.int64) >= num_classes))
    if len(outside):
        row = int(outside[0])
        raise SourceError(
            f"строка {row}: метка {y[row]}, а допустимы 0…{num_classes - 1}",
            labels,
            english=f"row {row}: label {y[row]}, allowed are 0…{num_classes - 1}",
        )
    return x, y.astype(np.int64)
