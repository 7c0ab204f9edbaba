"""The files a chapter depends on: names that mean the same on every machine, and digests.

A name is ``project:chapters/x.csv``,
``data:photos/cat.jpg`` (in the data root), ``package:foolbox/data/0.jpg`` (in site-packages) or
``file:/absolute/path``.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pixgrad.dataroot import data_root
from pixgrad.files import write

CHANGED_WHILE_RUNNING = "changed while the chapter ran"
"""Stands for the digest of such a file: it never matches, so the chapter is stale at once."""

_NOT_SOURCES = {
    ".cache", ".git", ".ipynb_checkpoints", ".quarto", ".venv", "__pycache__", "_book", "_freeze",
    "node_modules", "site_libs", "venv",
}  # fmt: skip
_SYSTEM = ("/usr", "/etc", "/proc", "/sys", "/dev", "/lib", "/lib64", "/bin", "/run", "/var")
_LIBRARIES = tuple(
    {
        os.path.join(sysconfig.get_path(kind), "")
        for kind in ("stdlib", "platstdlib", "purelib", "platlib")
    }
)
_RACY_NS = 2_000_000_000
"""A file younger than this may change again within one tick of its clock: not remembered."""


class Digests:
    """SHA-256 of files. Remembers them outside git by size, times and inode — only to be faster."""

    def __init__(self, root: Path) -> None:
        self._memory_path = root / ".cache" / "pixgrad" / "digests.json"
        self._memory: dict[str, list] = _load(self._memory_path)
        self._grown = False

    def file(self, path: Path) -> str | None:
        """Digest of the content, None if there is no such file."""
        try:
            stat = path.stat()
        except OSError:
            return None
        signature = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
        known = self._memory.get(str(path))
        if known and known[:-1] == signature:
            return known[-1]
        try:
            digest = _sha256(path)
        except OSError:
            return None
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _RACY_NS:
            self._memory[str(path)] = [*signature, digest]
            self._grown = True
        return digest

    def save(self) -> None:
        if self._grown:
            write(self._memory_path, json.dumps(self._memory))


def listing_digest(path: Path) -> str | None:
    """Digest of the names in a folder (hidden ones left out), None if there is no such folder."""
    try:
        names = sorted(n for n in os.listdir(path) if n[0] != "." and n != "__pycache__")
    except OSError:
        return None
    return hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()


def from_trace(
    trace: Mapping, root: Path, started_ns: int, digests: Digests
) -> dict[str, dict[str, str | None]]:
    """What is kept of a chapter's trace: digests of its files and listings, its data sources.

    ``started_ns`` is when the kernel started: a file changed after that has no honest digest.
    """
    files: dict[str, str | None] = {}
    listings: dict[str, str | None] = {}
    for path in [*trace["modules"], *trace["reads"]]:
        if path.startswith(_LIBRARIES):  # thousands, once torch is imported
            continue
        _add_file(files, Path(path), name_of(path, root), started_ns, digests)
    for path in trace["explicit"]:
        if os.path.isdir(path):
            listings[_explicit_name(path, root)] = listing_digest(Path(path))
        else:
            _add_file(files, Path(path), _explicit_name(path, root), started_ns, digests)
    for path in trace["listings"]:
        name = name_of(path, root)
        # Libraries look for folders that are not there (torch: for CUDA, along sys.path).
        if name and not name.startswith("file:") and os.path.isdir(path):
            listings[name] = listing_digest(Path(path))
    return {"files": files, "listings": listings, "sources": dict(trace["sources"])}


def changes(record: Mapping, root: Path, digests: Digests) -> tuple[list[str], list[str]]:
    """(names that differ from the record, names that cannot be verified: absent here).

    A file of the project is never "unverified": it travels with ``_freeze``.
    """
    changed, unverified = [], []
    entries = [(*item, digests.file) for item in record["files"].items()]
    entries += [(*item, listing_digest) for item in record["listings"].items()]
    for name, recorded, digest in entries:
        path = locate(name, root)
        current = None if path is None else digest(path)
        if current == recorded:
            continue
        elsewhere = not name.startswith("project:")
        (unverified if current is None and elsewhere else changed).append(name)
    return changed, unverified


def name_of(path: str, root: Path) -> str | None:
    """Portable name of a file that a chapter opened; None for what is not the book's business."""
    for kind, folder in (("data", data_root(root)), ("project", root)):
        relative = _inside(path, folder)
        if relative is not None:
            noise = _is_noise_inside(path, relative, folder)
            return None if noise else f"{kind}:{relative}"
    return None if _is_noise(path) else f"file:{Path(os.path.realpath(path)).as_posix()}"


def locate(name: str, root: Path) -> Path | None:
    """Where a named file should be on this machine; None if even its folder is unknown."""
    kind, _, relative = name.partition(":")
    if kind == "project":
        return root / relative
    if kind == "data":
        return data_root(root) / relative
    if kind == "file":
        return Path(relative)
    for folder in _site_packages(root):
        if (folder / relative).exists():
            return folder / relative
    return None


def shown(name: str) -> str:
    """The name as the user knows it."""
    kind, _, relative = name.partition(":")
    return relative if kind in ("project", "file") else name


def _add_file(
    files: dict[str, str | None],
    path: Path,
    name: str | None,
    started_ns: int,
    digests: Digests,
) -> None:
    if name is None or path.is_dir():
        return
    digest = digests.file(path)
    if digest is None and name.startswith("file:"):
        return
    if digest is not None and path.stat().st_ctime_ns >= started_ns:
        digest = CHANGED_WHILE_RUNNING
    files[name] = digest


def _explicit_name(path: str, root: Path) -> str:
    """A reader of the project named this file itself: it counts wherever it lies."""
    candidates: Sequence[tuple[str, Path]] = [
        *(("package", folder) for folder in _site_packages(root)),
        ("data", data_root(root)),
        ("project", root),
    ]
    for kind, folder in candidates:
        relative = _inside(path, folder)
        if relative is not None:
            return f"{kind}:{relative}"
    return f"file:{Path(os.path.realpath(path)).as_posix()}"


def _inside(path: str, folder: Path) -> str | None:
    """``path`` relative to ``folder`` if it lies there (as written, else with links resolved)."""
    for resolve in (os.path.abspath, os.path.realpath):
        try:
            return Path(resolve(path)).relative_to(resolve(folder)).as_posix()
        except ValueError:
            continue
    return None


def _is_noise_inside(path: str, relative: str, folder: Path) -> bool:
    parts = relative.split("/")
    if any(part in _NOT_SOURCES or part.endswith((".egg-info", ".dist-info")) for part in parts):
        return True
    own_environment = _inside(sys.prefix, folder) is not None
    return own_environment and _inside(path, Path(sys.prefix)) is not None


def _is_noise(path: str) -> bool:
    """The interpreter, its packages, the system, temporary files, caches and settings at home."""
    folders = [*_SYSTEM, sys.prefix, sys.base_prefix, tempfile.gettempdir()]
    if any(_inside(path, Path(folder)) is not None for folder in folders):
        return True
    at_home = _inside(path, Path.home())
    return "site-packages" in path or (at_home is not None and at_home.startswith("."))


def _site_packages(root: Path) -> list[Path]:
    here = [Path(entry) for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))]
    return here + sorted(root.glob(".venv/lib/python3*/site-packages"))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _load(path: Path) -> dict[str, list]:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
