"""Publish a built folder so that a kill at any moment leaves one whole folder, old or new."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pixgrad.errors import PixgradError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


@contextmanager
def workshop(target: Path) -> Iterator[Path]:
    """An empty folder beside ``target`` to build in, removed at the end whatever happens.

    First it puts right what a killed run has left. One run at a time: the parent is locked.

    Raises
    ------
    PixgradError : another run holds the lock.
    """
    with lock(target.parent):
        recover(target)
        # A name of its own: children of a killed run may still be writing into theirs.
        new = Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=target.parent))
        try:
            yield new
        finally:
            shutil.rmtree(new, ignore_errors=True)


def folder(new: Path, target: Path) -> None:
    """Put the folder ``new`` in the place of ``target``; the old one is gone afterwards."""
    if target.exists() and _exchange(new, target):
        shutil.rmtree(new)
        return
    if target.exists():
        # Between these two renames the old folder waits under another name: see recover().
        target.rename(_old(target))
    new.rename(target)
    shutil.rmtree(_old(target), ignore_errors=True)


def recover(target: Path) -> None:
    """Finish or undo what a killed publication has left beside ``target``."""
    if _old(target).exists() and not target.exists():
        _old(target).rename(target)
    shutil.rmtree(_old(target), ignore_errors=True)
    for leftover in target.parent.glob(f"{target.name}.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _old(target: Path) -> Path:
    return target.with_name(f"{target.name}.old")


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold an advisory lock on a folder; the kernel drops it when the process dies."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PixgradError(
                f"в папке {path} уже идёт другая сборка; дождитесь её конца"
            ) from None
        yield
    finally:
        os.close(descriptor)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where the system cannot (not Linux, old file system)."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc >= 2.28
    if renameat2 is None:
        return False
    paths = (os.fsencode(one), os.fsencode(other))
    return renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0
