"""The code that a chapter depends on: modules of the project, found and read as they are now.

A record keeps the digests of the modules' files, and under ``units`` what the chapter's cells reach
in them. As long as no file differs nothing else is looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pixgrad.book.ledger.mentions import words
from pixgrad.book.ledger.reach import MODULE, Reach, static_modules
from pixgrad.book.ledger.units import Module


class Code:
    """The modules below the folders from which a book imports.

    Parameters
    ----------
    root : of the project.
    roots : folders in it, in the order in which Python looks through them; "" is the project.
    digest : of a file, None if there is none.
    memory : modules read before: (name, path, digest) -> module.
    """

    def __init__(
        self,
        root: Path,
        roots: Sequence[str],
        digest: Callable[[Path], str | None],
        memory: dict,
    ) -> None:
        self._root, self._roots, self._digest, self._memory = root, roots, digest, memory

    def path(self, name: str) -> Path | None:
        """Where a module is, None if the project has none of this name."""
        for folder in self._roots:
            stem = self._root / folder / name.replace(".", "/")
            for path in (stem / "__init__.py", stem.with_name(stem.name + ".py")):
                if path.is_file():
                    return path
        return None

    def load(self, name: str) -> Module | None:
        path = self.path(name)
        if path is None:
            return None
        key = (name, str(path), self._digest(path))
        if key not in self._memory:
            text = path.read_text("utf-8-sig")
            self._memory[key] = Module(name, text, path.name == "__init__.py")
        return self._memory[key]

    def name_of(self, relative: str) -> str | None:
        """The dotted name of a file of the project, None if it is no module."""
        for folder in self._roots:
            inside = relative[len(folder) + 1 :] if folder else relative
            if relative.startswith(f"{folder}/" if folder else "") and inside.endswith(".py"):
                parts = inside[:-3].split("/")
                parts = parts[:-1] if parts[-1] == "__init__" else parts
                if parts and all(part.isidentifier() for part in parts):
                    return ".".join(parts)
        return None

    def used(
        self, cells: Sequence[str], modules: Iterable[str], named: Sequence[str] = ()
    ) -> dict[str, object]:
        """What a record keeps of the code: ``units`` and ``lazy``; nothing if it is not readable.

        Parameters
        ----------
        modules : all that were imported.
        named : what stands in files that were read (see :func:`named_in`).
        """
        try:
            lazy = sorted(set(modules) - static_modules(cells, self.load))
            return {
                "lazy": lazy,
                "named": list(named),
                "units": packed(self._units(cells, lazy, named)),
            }
        except (SyntaxError, ValueError, RecursionError):
            return {}

    def changes(self, record: Mapping, cells: Sequence[str]) -> list[str] | None:
        """The units that differ from the record; None if this Python cannot read the code."""
        try:
            now = self._units(cells, record["lazy"], record["named"])
        except (SyntaxError, ValueError, RecursionError):
            return None
        before = unpacked(record["units"])
        names = []
        for module in sorted({*now, *before}, key=lambda name: (name == MODULE, name)):
            old, new = before.get(module, {}), now.get(module, {})
            different = [name for name in {*old, *new} if old.get(name) != new.get(name)]
            names += [_shown(module, name) for name in sorted(different)]
        return names

    def _units(
        self, cells: Sequence[str], lazy: Sequence[str], named: Sequence[str]
    ) -> dict[str, dict[str, str]]:
        key = ("units", tuple(cells), tuple(lazy), tuple(named))
        digests = self._memory.get(key)
        if digests is None or any(self._memory_key(name) != old for name, old in digests[0]):
            found = Reach(cells, self.load, lazy, named)
            places = [(name, self._memory_key(name)) for name in found.world]
            digests = self._memory[key] = places, found.digests()
        return digests[1]

    def _memory_key(self, name: str) -> tuple:
        path = self.path(name)
        return str(path), None if path is None else self._digest(path)


def named_in(texts: Iterable[str], modules: Iterable[str]) -> set[str]:
    """Names of a project in what is no code: ``figure.hooks: package.module:function``."""
    tops = sorted({re.escape(name.partition(".")[0]) for name in modules})
    pattern = re.compile(rf"\b(?:{'|'.join(tops)})((?:[.:]\w+)+)")
    return {
        word for text in texts if tops for found in pattern.findall(text) for word in words(found)
    }


def packed(units: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """A line a module, to be read by people and to be short."""
    return {
        module: ", ".join(f"{name} {digest}" for name, digest in sorted(names.items()))
        for module, names in sorted(units.items())
    }


def unpacked(lines: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {
        module: dict(one.rsplit(" ", 1) for one in line.split(", "))
        for module, line in lines.items()
    }


def _shown(module: str, name: str) -> str:
    if module == MODULE:
        return name
    return f"{module}.{name}" if name != MODULE else f"{module} (код модуля)"


def relative_roots(root: Path, folders: Iterable[str]) -> list[str]:
    """The folders that lie in the project, relative to it; "" is the project itself."""
    found = []
    for folder in folders:
        inside = os.path.relpath(os.path.realpath(folder or "."), os.path.realpath(root))
        if not inside.startswith(".."):
            found.append("" if inside == "." else Path(inside).as_posix())
    return list(dict.fromkeys(found))
