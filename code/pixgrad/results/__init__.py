"""Reader of ``results/``: the records and tables that ``pixgrad run`` wrote."""

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from pixgrad.data.files import read_bytes
from pixgrad.errors import PixgradError, SourceError
from pixgrad.results.records import Record, parse_record

__all__ = ["Results", "load", "load_record", "recorded"]

FOLDER = "results"
RECORD = "record.json"


@dataclass(frozen=True)
class Results:
    """What an experiment left.

    Attributes
    ----------
    record : how it was made.
    tables : each ``.csv`` and ``.parquet``, by its name without the suffix.
    arrays : the contents of ``arrays.npz``.

    Examples
    --------
    >>> found = Results(record=None, tables={}, arrays={"kernels": np.zeros((4, 3, 3))})
    >>> found.arrays["kernels"].shape
    (4, 3, 3)
    """

    record: Record
    tables: dict[str, pd.DataFrame]
    arrays: dict[str, np.ndarray]


def load(name: str, root: Path | None = None) -> Results:
    """Read the results of an experiment; each file is announced as ``pixgrad.read``.

    Parameters
    ----------
    name : of the experiment.
    root : folder with a folder per experiment; ``results`` of the current folder by default.

    Raises
    ------
    PixgradError : there are no such results; SourceError : the record breaks the schema.

    Examples
    --------
    >>> try:
    ...     load("no-such-experiment")
    ... except PixgradError as error:
    ...     print(str(error).partition(" (")[0])
    ...
    нет результатов «no-such-experiment»
    """
    folder = (Path(FOLDER) if root is None else root) / name
    record = load_record(folder)
    arrays = folder / "arrays.npz"
    return Results(
        record,
        {path.stem: _table(path) for path in sorted(folder.glob("*.csv"))}
        | {path.stem: _table(path) for path in sorted(folder.glob("*.parquet"))},
        _arrays(arrays) if arrays.is_file() else {},
    )


def recorded(root: Path | None = None) -> dict[str, Record]:
    """All records by the names of their folders, sorted.

    Parameters
    ----------
    root : as for :func:`load`.

    Examples
    --------
    >>> recorded(Path("no-such-folder"))
    {}
    """
    files = sorted((Path(FOLDER) if root is None else root).glob(f"*/{RECORD}"))
    return {path.parent.name: load_record(path.parent) for path in files}


def load_record(folder: Path) -> Record:
    """Read and check ``record.json`` of one experiment's folder.

    Examples
    --------
    >>> try:
    ...     load_record(Path("results", "no-such-experiment"))
    ... except PixgradError as error:
    ...     print(str(error).partition(" (")[0])
    ...
    нет результатов «no-such-experiment»
    """
    path = folder / RECORD
    if not path.is_file():
        raise PixgradError(
            f"нет результатов «{folder.name}» ({path}); выполните pixgrad run {folder.name}",
            f"no results '{folder.name}' ({path}); run pixgrad run {folder.name}",
        )
    return parse_record(read_bytes(path), path)


def _table(path: Path) -> pd.DataFrame:
    read = pd.read_csv if path.suffix == ".csv" else pd.read_parquet
    raw = read_bytes(path)
    try:
        return read(io.BytesIO(raw))
    except (OSError, ValueError) as error:  # those of pandas and Arrow are kinds of ValueError
        raise _damaged(path, error) from None


def _arrays(path: Path) -> dict[str, np.ndarray]:
    raw = read_bytes(path)
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
            return dict(stored)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> SourceError:
    reason = str(error).partition("\n")[0]
    return SourceError(f"повреждено ({reason})", path, english=f"damaged ({reason})")
