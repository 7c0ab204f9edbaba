"""The book's own Lua filters: pandoc runs them before those of the engine, as Quarto does.

A filter may be a file of the book or come with an extension in ``_extensions``. What asks for
Quarto's own Lua library cannot run without it.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from pixgrad.book.source.metadata import load_yaml
from pixgrad.book.source.project import Project
from pixgrad.errors import SourceError

_OF_QUARTO = re.compile(r"\b(?:quarto|_quarto)\s*\.\s*\w+")
_MARKS = ("quarto", "citeproc")
"""What stands in the list for Quarto's own filters."""


def paths(project: Project) -> list[Path]:
    """The Lua files that can run, in the order of the list."""
    return [path for name in _listed(project) for path in _files(project, name)[0]]


def faults(project: Project) -> Iterator[str]:
    """One line on each of the listed filters that cannot run."""
    for name in _listed(project):
        fault = _files(project, name)[1]
        if fault:
            yield f"filters: {fault}"


def _listed(project: Project) -> Iterator[str]:
    given = project.get("filters")
    for one in given if isinstance(given, list) else [given] if given else []:
        name = str(one.get("path", "") if isinstance(one, Mapping) else one)
        if name not in _MARKS:
            yield name


def _files(project: Project, name: str) -> tuple[list[Path], str | None]:
    """(the Lua files of a filter, why it cannot run)."""
    is_file = name.endswith(".lua")
    files = [project.root / name] if is_file else list(_of_extension(project.root, name))
    if not files or not all(path.is_file() for path in files):
        return [], f"фильтра {name} нет: ни файла .lua, ни расширения в _extensions"
    for path in files:
        asks = _OF_QUARTO.search(path.read_text("utf-8", "replace"))
        if asks:
            return [], f"фильтр {name} просит {asks[0]}: это есть только у самого Quarto"
    return files, None


def _of_extension(root: Path, name: str) -> Iterator[Path]:
    own = name.rpartition("/")[2]
    for config in sorted((root / "_extensions").rglob("_extension.y*ml")):
        if config.parent.name == own:
            try:
                given = load_yaml(config.read_text("utf-8-sig"), config.name)[0]
            except SourceError:
                continue
            contributed = given.get("contributes")
            filters = contributed.get("filters") if isinstance(contributed, Mapping) else None
            for one in filters if isinstance(filters, list) else []:
                file = one.get("path", "") if isinstance(one, Mapping) else one
                yield config.parent / str(file)
