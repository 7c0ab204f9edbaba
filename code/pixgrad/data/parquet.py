"""Sets kept as Parquet: one row an image, encoded, with its label and its split."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from pixgrad.data import files
from pixgrad.data.splits import select
from pixgrad.data.types import ImageSet
from pixgrad.errors import SourceError

COLUMNS = ["image", "label", "label_name", "split"]


def read_set(
    name: str,
    path: Path,
    split: str,
    to_array: Callable[[Image.Image], np.ndarray] = np.asarray,
) -> ImageSet:
    """Read one split of a Parquet file.

    Rows whose ``split`` is "train" are the training part (validation is carved from it); all
    others ("val", "test") are the test part.

    Parameters
    ----------
    to_array : turns a decoded RGB image into a uint8 array; all must come out of one shape.

    Raises
    ------
    SourceError : not Parquet, a column missing, a broken image (with its row), a bad label.
    """
    table = _read_table(path)
    labels = np.asarray(table["label"])
    if labels.dtype.kind not in "iu":
        raise SourceError(
            f"метки типа {labels.dtype}, нужны целые числа",
            path,
            english=f"labels of type {labels.dtype}, not whole numbers",
        )
    labels = labels.astype(np.int64)
    names = _class_names(labels, table["label_name"].to_pylist(), path)
    is_train = np.asarray(table["split"].to_pylist(), dtype=object) == "train"
    rows = np.flatnonzero(~is_train if split == "test" else is_train)
    if not len(rows):
        raise SourceError(
            f"в файле нет строк части «{split}»", path, english=f"no rows of the part '{split}'"
        )
    rows = rows[select(split, labels[rows])]
    encoded = table["image"].to_pylist()
    images = [to_array(files.decode_image(encoded[row], path, "RGB", row)) for row in rows.tolist()]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise SourceError(
            f"изображения разного размера: {sorted(shapes)[:3]}…",
            path,
            english=f"images of different sizes: {sorted(shapes)[:3]}…",
        )
    return ImageSet(name, split, np.stack(images), labels[rows], names, "data-root")


def _read_table(path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(pa.BufferReader(files.read_bytes(path)), columns=COLUMNS)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(
            f"не читается как Parquet ({reason})",
            path,
            english=f"cannot be read as Parquet ({reason})",
        ) from None


def _class_names(labels: np.ndarray, row_names: list[str], path: Path) -> tuple[str, ...]:
    by_label: dict[int, str] = {}
    if not all(isinstance(name, str) for name in row_names):
        raise SourceError(
            "не у каждой строки есть имя класса", path, english="rows without the name of a class"
        )
    for row, (label, label_name) in enumerate(zip(labels.tolist(), row_names, strict=True)):
        if by_label.setdefault(label, label_name) != label_name:
            raise SourceError(
                f"строка {row}: метка {label} названа «{label_name}», а раньше «{by_label[label]}»",
                path,
                english=f"row {row}: label {label} is called '{label_name}', "
                f"before that '{by_label[label]}'",
            )
    if sorted(by_label) != list(range(len(by_label))):
        raise SourceError(
            f"метки должны идти подряд от 0, а там {sorted(by_label)}",
            path,
            english=f"labels must run from 0 without gaps, found {sorted(by_label)}",
        )
    return tuple(by_label[label] for label in range(len(by_label)))
