"""What a chapter depends on: names that mean the same on every machine, and digests.

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pixgrad.book.ledger import packages
from pixgrad.book.ledger.code import Code, named_in, relative_roots
from pixgrad.dataroot import data_root
from pixgrad.files import read_json, write

CHANGED_WHILE_RUNNING = "changed while the chapter ran"
"""Stands for the digest of such a file: it never matches, so the chapter is stale at once."""

NOT_SOURCES = {
    ".cache", ".git", ".ipynb_checkpoints", ".quarto", ".venv", "__pycache__", "_book", "_freeze",
    "node_modules", "site_libs", "venv",
}  # fmt: skip
"""Folders with what is made, installed or kept, and not written."""
_SYSTEM = ("/usr", "/etc", "/proc", "/sys", "/dev", "/lib", "/lib64", "/bin", "/run", "/var")
_LIBRARIES = tuple(
    {
        os.path.join(sysconfig.get_path(kind), "")
        for kind in ("stdlib", "platstdlib", "purelib", "platlib")
    }
)
_MOST_BYTES = 1 << 20
_RACY_NS = 2_000_000_000
"""A file younger than this may change again within one tick of its clock: not remembered."""


class Dependencies:
    """Names and digests of the files that the chapters of a book use.

    Digests are remembered outside git by size, times and inode — only to be faster.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._data = root, data_root(root)
        self._memory_path = root / ".cache" / "pixgrad" / "digests.json"
        self._memory: dict[str, list] = read_json(self._memory_path)
        self._grown = False
        self._modules: dict = {}

    def digest(self, path: Path) -> str | None:
        """SHA-256 of the content of a file, None if there is no such file."""
        try:
            stat = path.stat()
            signature = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
            known = self._memory.get(str(path))
            if known and known[:-1] == signature:
                return known[-1]
            digest = _sha256(path)
        except OSError:
            return None
        if time.time_ns() - max(stat.st_mtime_ns, stat.st_ctime_ns) > _RACY_NS:
            self._memory[str(path)] = [*signature, digest]
            self._grown = True
        return digest

    def save(self) -> None:
        """Remember the digests; a checkout that is read-only does without."""
        if self._grown:
            with suppress(OSError):
                write(self._memory_path, json.dumps(self._memory))
            self._grown = False

    def from_trace(
        self, trace: Mapping, started_ns: int, cells: Sequence[str] = (), told: str = ""
    ) -> dict:
        """What is kept of a chapter's trace: digests of files and listings, data sources, units.

        Parameters
        ----------
        started_ns : when the kernel started: a file changed after that has no honest digest.
        told : warnings and tracebacks; the lines that they name are those of whole files.
        """
        files: dict[str, str | None] = {}
        listings: dict[str, str | None] = {}
        # Of libraries there are thousands, once torch is imported.
        opened = [path for path in [*trace["modules"], *trace["reads"]]
                  if not path.startswith(_LIBRARIES)]  # fmt: skip
        named = [(path, self.name_of(path)) for path in opened]
        for path, name in [
            *named,
            *((path, self._explicit_name(path)) for path in trace["explicit"]),
        ]:
            if name is None:
                continue
            if not os.path.isdir(path):
                digest = self.digest(Path(path))
                if digest is not None and os.stat(path).st_ctime_ns >= started_ns:
                    digest = CHANGED_WHILE_RUNNING
                if digest is not None or not name.startswith("file:"):
                    files[name] = digest
            elif path in trace["explicit"]:
                listings[name] = listing_digest(Path(path))
        for path in trace["listings"]:
            name = self.name_of(path)
            # Libraries look for folders that are not there (torch: for CUDA, along sys.path).
            if name and not name.startswith("file:") and os.path.isdir(path):
                listings[name] = listing_digest(Path(path))
        read = {self.name_of(path) for path in [*trace["reads"], *trace["explicit"]]}
        roots = relative_roots(self._root, filter(self._is_ours, trace["path"]))
        return {
            "files": files,
            "listings": listings,
            "sources": dict(trace["sources"]),
            "writes": self._writes(trace["written"]),
            "asked": self._asked(trace["asked"], {*files, *listings}),
            "packages": packages.of_modules(
                name for name in trace["imported"] if self._code(roots).path(name) is None
            ),
            **self._code_record(files, read, roots, cells, told, trace["unpickled"]),
            "absent": self._absent(trace["probed"], roots),
        }

    def _asked(self, paths: Sequence[str], known: set[str]) -> dict[str, str | None]:
        """What was asked for in the project and in the data, but not read: is it there?"""
        named = {self.name_of(path): path for path in paths}
        return {
            name: _kind(Path(path))
            for name, path in named.items()
            if name and name not in known and name.startswith(("project:", "data:"))
        }

    def _writes(self, written: Sequence[str]) -> dict[str, str | None]:
        """Files of the project that the chapter wrote: another one may read them."""
        named = {self.name_of(path): path for path in written}
        found = {name: self.digest(Path(path)) for name, path in named.items()
                 if name and name.startswith("project:")}  # fmt: skip
        return {name: digest for name, digest in found.items() if digest is not None}

    def _absent(self, probed: Sequence[str], roots: Sequence[str]) -> str:
        """Modules that were looked for in vain, as far as the project could have them."""
        code = self._code(roots)
        absent = [name for name in probed if code.path(name) is None]
        parents = {name: name.rpartition(".")[0] for name in absent}
        return " ".join(
            sorted(name for name, its in parents.items() if not its or code.path(its) is not None)
        )

    def version_changes(self, record: Mapping) -> list[str]:
        """Packages that the chapter imported and that have another version here."""
        return packages.changes(record.get("packages", {}), self._site_packages())

    def has_what_it_wrote(self, record: Mapping) -> bool:
        """Whether the files that the chapter wrote are there as it left them."""
        return all(
            self.digest(self._root / shown(name)) == digest
            for name, digest in record.get("writes", {}).items()
        )

    def _code_record(
        self,
        files: Mapping[str, str | None],
        read: set[str | None],
        roots: Sequence[str],
        cells: Sequence[str],
        told: str = "",
        unpickled: Sequence[str] = (),
    ) -> dict:
        """``roots``, ``whole`` (modules that count by their bytes), ``lazy`` and ``units``."""
        code = self._code(roots)
        modules = {name: code.name_of(shown(name)) for name in files if name.startswith("project:")}
        whole = [
            name
            for name, module in modules.items()
            if module and (name in read or Path(name).name in told)
        ]
        imported = [module for module in modules.values() if module]
        named = named_in(self._texts(modules), imported) | set(unpickled)
        used = code.used(cells, imported, sorted(named))
        return {"roots": list(roots), "whole": sorted(whole), **used} if used else {}

    def _texts(self, modules: Mapping[str, str | None]) -> Iterator[str]:
        """The small files of the project that are no modules."""
        for name in (name for name, module in modules.items() if not module):
            path = self._root / shown(name)
            if path.is_file() and path.stat().st_size < _MOST_BYTES:
                yield path.read_bytes().decode("utf-8", "ignore")

    def with_units(self, record: Mapping, cells: Sequence[str], told: str) -> dict:
        """A record of a time when files alone counted, with its units: the files have to agree."""
        roots = self._roots_of_book()
        return {**record, **self._code_record(record["files"], set(), roots, cells, told)}

    def _roots_of_book(self) -> list[str]:
        """The folders of ``PYTHONPATH`` in ``_environment``, and the project."""
        path = self._root / "_environment"
        lines = path.read_text("utf-8").splitlines() if path.is_file() else []
        given = [line.partition("=")[2] for line in lines if line.startswith("PYTHONPATH=")]
        folders = [one.strip("'\"") for text in given for one in text.split(os.pathsep) if one]
        return relative_roots(self._root, [*(str(self._root / one) for one in folders),
                                           str(self._root)])  # fmt: skip

    def _code(self, roots: Sequence[str]) -> Code:
        return Code(self._root, roots, self.digest, self._modules)

    def changes(self, record: Mapping, cells: Sequence[str]) -> tuple[list[str], list[str]]:
        """(names that differ from the record, names that cannot be verified: absent here).

        A file of the project is never "unverified": it travels with ``_freeze``. Where files of
        modules differ, the units that ``cells`` reach in them are compared.
        """
        changed, unverified = [], []
        entries = [(*item, self.digest) for item in record["files"].items()]
        entries += [(*item, listing_digest) for item in record["listings"].items()]
        for name, recorded, digest in entries:
            path = self.locate(name)
            current = None if path is None else digest(path)
            if current == recorded:
                continue
            elsewhere = not name.startswith("project:")
            (unverified if current is None and elsewhere else changed).append(name)
        for name, recorded in record.get("asked", {}).items():
            now = _kind(self.locate(name))
            if now != recorded and (now or name.startswith("project:")):
                changed.append(name)
        if "units" not in record:
            return changed, unverified
        code = self._code(record["roots"])
        appeared = (code.path(name) for name in record.get("absent", "").split())
        changed += [self.name_of(str(path)) for path in appeared if path is not None]
        modules = {name for name in record["files"] if code.name_of(shown(name))}
        in_units = {name for name in changed if name in modules.difference(record["whole"])
                    and record["files"][name] != CHANGED_WHILE_RUNNING
                    and (self._root / shown(name)).is_file()}  # fmt: skip
        moved = [name for name in modules if self._is_hidden(code, name)]
        if in_units or moved:
            units = code.changes(record, cells)
            names = sorted(in_units) if units is None else [f"unit:{unit}" for unit in units]
            changed = [*names, *(name for name in changed if name not in in_units)]
        return changed, unverified

    def _is_hidden(self, code: Code, name: str) -> bool:
        """Whether Python would now find another file under the name of a module."""
        found = code.path(code.name_of(shown(name)) or "")
        return found is not None and found != self._root / shown(name)

    def name_of(self, path: str) -> str | None:
        """Portable name of an opened file; None for what is not the book's business."""
        for kind, folder in (("data", self._data), ("project", self._root)):
            relative = _inside(path, folder)
            if relative is not None:
                noise = _is_noise_inside(path, relative, folder)
                return None if noise else f"{kind}:{relative}"
        return None if _is_noise(path) else _absolute(path)

    def locate(self, name: str) -> Path | None:
        """Where a named file should be on this machine; None if even its folder is unknown."""
        kind, _, relative = name.partition(":")
        folders = {"project": self._root, "data": self._data, "file": Path("/")}
        if kind in folders:
            return folders[kind] / relative
        found = (folder / relative for folder in self._site_packages())
        return next((path for path in found if path.exists()), None)

    def _is_ours(self, folder: str) -> bool:
        """Whether modules that are found in a folder are of the project."""
        return (self.name_of(os.path.join(folder, "x.py")) or "").startswith("project:")

    def _explicit_name(self, path: str) -> str:
        """A reader of the project named this file itself: it counts wherever it lies."""
        packages = [("package", folder) for folder in self._site_packages()]
        for kind, folder in [*packages, ("data", self._data), ("project", self._root)]:
            relative = _inside(path, folder)
            if relative is not None:
                return f"{kind}:{relative}"
        return _absolute(path)

    def _site_packages(self) -> list[Path]:
        kinds = ("site-packages", "dist-packages")
        here = [Path(entry) for entry in sys.path if entry.endswith(kinds)]
        return here + sorted(self._root.glob(".venv/lib/python3*/site-packages"))


def listing_digest(path: Path) -> str | None:
    """Digest of the names in a folder (hidden ones left out), None if there is no such folder."""
    try:
        names = sorted(n for n in os.listdir(path) if n[0] != "." and n != "__pycache__")
    except OSError:
        return None
    return hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()


def _kind(path: Path) -> str | None:
    try:
        return "folder" if path.is_dir() else "file" if path.exists() else None
    except OSError:  # a name too long for the file system, or a loop of links
        return None


def shown(name: str) -> str:
    """The name as the user knows it."""
    kind, _, relative = name.partition(":")
    return relative if kind in ("project", "file", "unit") else name


def _absolute(path: str) -> str:
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
    if any(part in NOT_SOURCES or part.endswith((".egg-info", ".dist-info")) for part in parts):
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


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
