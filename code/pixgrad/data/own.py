"""The reader's own photographs: a folder of the data root, and a table of what they show."""

import csv
import io
from pathlib import Path

import numpy as np

from pixgrad.data import files
from pixgrad.data.folder import SUFFIXES
from pixgrad.data.resize import shrink
from pixgrad.data.types import Photo
from pixgrad.errors import PixgradError, SourceError, say

FOLDER, TABLE = "photos", "about.csv"
COLUMNS = ("file", "title", "source", "licence")
LEAST = 3
"""Photos: a chapter shows two different ones and starts a descent from a third."""
LONGEST = 1024
"""Pixels of the longer side; what a camera gives is made smaller."""


def paths() -> list[Path]:
    """The photos by name; empty where the data root has no such folder.

    Raises
    ------
    PixgradError : there is the folder, and fewer than `LEAST` photos in it.
    """
    folder = files.root() / FOLDER
    if not folder.is_dir():
        return []
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if len(found) < LEAST:
        listed = ", ".join(sorted(SUFFIXES))
        raise PixgradError(
            f"{folder}: фотографий {len(found)}, а книге нужно не меньше {LEAST} ({listed})",
            f"{folder}: {len(found)} photos, the book needs at least {LEAST} ({listed})",
        )
    return found


def read(path: Path, about: dict[str, dict[str, str]]) -> Photo:
    """A photo with what `about` says of it; without a word it is named by its file."""
    said = about.get(path.name, {})
    own = say(f"собственная фотография, {path.name}", f"an own photo, {path.name}")
    return Photo(
        path.stem,
        said.get("title") or path.stem,
        shrink(np.asarray(files.decode_image(files.read_bytes(path), path, "RGB")), LONGEST),
        said.get("source") or own,
        said.get("licence") or say("права у автора", "rights with the author"),
    )


def about() -> dict[str, dict[str, str]]:
    """The rows of ``about.csv`` beside the photos by their file; commas or semicolons between.

    Raises
    ------
    SourceError : a column is unknown or missing, or a row names a file that is not there.
    """
    path = files.root() / FOLDER / TABLE
    if not path.is_file():
        return {}
    text = files.decode_text(files.read_bytes(path), path).removeprefix("\N{BOM}")
    between = ";" if ";" in text.partition("\n")[0] else ","
    table = csv.DictReader(io.StringIO(text), delimiter=between)
    if set(table.fieldnames or ()) != set(COLUMNS):
        raise SourceError(
            f"столбцы должны быть {', '.join(COLUMNS)}",
            path,
            english=f"the columns should be {', '.join(COLUMNS)}",
        )
    rows = {row["file"]: row for row in table}
    for name in rows:
        if not (path.parent / name).is_file():
            raise SourceError(
                f"нет фотографии «{name}» рядом", path, english=f"no photo '{name}' beside it"
            )
    return rows
