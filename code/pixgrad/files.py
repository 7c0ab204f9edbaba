"""Writing so that nothing is lost: files and whole folders change in one step, or not at all.

After a kill or a power cut the old or the new content is whole under its name, or, where the system
cannot exchange two folders, comes back at the next start. Standard library only, Python 3.9.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pixgrad.errors import PixgradError

_MARK = ".pixgrad-tmp"
_ASIDE = ".old"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h


def write(path: Path, content: str | bytes | memoryview) -> None:
    """Replace a file by ``content``; text is UTF-8, its line ends as they are.

    What is written lies beside ``path`` under a name of this process until it is whole; what a kill
    leaves, ``clean`` removes. Writers such as ``torch.save`` pack into memory first: a stream that
    fails under their hands makes them raise errors of their own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # tells clean() that its writer is alive
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_entries(path.parent)


def read_json(path: Path) -> dict:
    """What a file of our own holds; ``{}`` where it is absent or broken."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def clean(*folders: Path) -> None:
    """Remove what killed processes have left in the folders; those at work are not disturbed."""
    for leftover in (path for folder in folders for path in folder.glob(f".*{_MARK}")):
        with suppress(OSError, PixgradError), lock(leftover):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """An empty folder that takes the place of ``target`` at the end, if nothing is raised.

    Others that replace folders in the same place are waited for.
    """
    with workshop(target, wait=True) as place:
        new = place / "new"
        new.mkdir()
        yield new
        replace_folder(new, target)


@contextmanager
def workshop(target: Path, wait: bool = False) -> Iterator[Path]:
    """An empty folder beside ``target`` to build in, removed at the end whatever happens.

    First it puts right what a killed process has left. The parent is locked.

    Raises
    ------
    PixgradError : another process works there, and ``wait`` is not set.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with lock(target.parent, wait):
        recover(target)
        # A name of its own: children of a killed process may still be writing into theirs.
        place = Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=target.parent))
        try:
            yield place
        finally:
            recover(target)


def replace_folder(new: Path, target: Path) -> None:
    """Put the folder ``new`` in the place of ``target``.

    The old one is left under the name of ``new``, for the caller to remove.
    """
    _sync_tree(new)
    if not (target.exists() and _exchange(new, target)):
        try:
            if target.exists():
                target.rename(_aside(new))
            new.rename(target)
        except BaseException:
            undo(new, target)
            raise
        with suppress(OSError):  # there was no old one, or it goes with the folder around it
            _aside(new).rename(new)
    _sync_entries(target.parent)


def undo(new: Path, target: Path) -> None:
    """Bring ``target`` back if :func:`replace_folder` was stopped between its two renames."""
    if _aside(new).exists() and not target.exists():
        _aside(new).rename(target)
        _sync_entries(target.parent)


def recover(target: Path) -> None:
    """Undo what is unfinished beside ``target``, and remove what is left there."""
    for place in target.parent.glob(f"{target.name}.new-*"):
        for aside in place.glob(f"*{_ASIDE}"):
            undo(aside.with_suffix(""), target)
        shutil.rmtree(place, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder, if there is one: it is whole or gone, whatever happens."""
    if folder.exists():
        folder.rename(_temporary(folder))
        _sync_entries(folder.parent)
        shutil.rmtree(_temporary(folder), ignore_errors=True)


@contextmanager
def lock(path: Path, wait: bool = False) -> Iterator[None]:
    """Hold an advisory lock on a folder or a file; the kernel drops it when the process dies.

    Raises
    ------
    PixgradError : another process holds it, and ``wait`` is not set.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise PixgradError(
                f"в папке {path} уже идёт другая сборка; дождитесь её конца",
                f"another build is at work in {path}; wait until it ends",
            ) from None
        yield
    finally:
        os.close(descriptor)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}{_MARK}")


def _aside(new: Path) -> Path:
    """Where the old folder waits between two renames."""
    return new.with_name(new.name + _ASIDE)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where the system cannot (not Linux, old file system)."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc >= 2.28
    if renameat2 is None:
        return False
    paths = (os.fsencode(one), os.fsencode(other))
    return renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            if not path.is_symlink():
                _sync(path)
        _sync_entries(Path(parent))


def _sync_entries(folder: Path) -> None:
    """Make the names in a folder durable. Some file systems refuse that; they cannot do more."""
    with suppress(OSError):
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
