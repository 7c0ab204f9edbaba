"""The output folder: nothing is replaced or removed there but what the generator wrote.

It knows its own files by a list among them: the book that they are of, and the SHA-256 of each. A
file that has changed since is not its own any more. The list lies in the folder, not in ``.cache``,
because a folder such as ``docs`` is committed.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from pixgrad import files
from pixgrad.book.ledger.ledger import Ledger
from pixgrad.book.source.project import CONFIG, Project

LIST = ".pixgrad-output.json"

_KEY = ("project", "output-dir")
_RESERVED = (".cache", ".git", ".quarto", ".venv", "_freeze", "notebooks")


def require_place(project: Project) -> None:
    """Refuse an output folder where the book's sources, its results or another book lie.

    Raises
    ------
    SourceError : with the line of ``output-dir``.
    """
    reason = _reason_against(project, project.output_dir)
    if reason:
        shown = project.get(*_KEY, default="_book")
        raise project.error(
            f"output-dir: {shown}: {reason}; выберите для сборки другую папку", *_KEY
        )


def listed(project: Project) -> dict[str, str]:
    """Name -> SHA-256 of all files that the book has in the output folder."""
    return files.read_json(project.output_dir / LIST).get("files", {})


def unchanged(project: Project) -> list[str]:
    """Names of the files in the output folder that are as they were written."""
    digests = listed(project).items()
    return [name for name, digest in digests if _digest(project.output_dir / name) == digest]


def publish(project: Project, new: Path) -> None:
    """Put ``new`` in the place of the output folder; files that are not ours move along.

    Raises
    ------
    SourceError : a file that is not ours is in the way; nothing was changed.
    """
    folder, written = project.output_dir, set(unchanged(project))
    made = {name: _digest(path) for name, path in _entries(new)}
    clashes = _keep_foreign(folder, new, written)
    if clashes:
        more = f" и ещё {len(clashes) - 1}" if len(clashes) > 1 else ""
        raise project.error(
            f"{folder / clashes[0]}{more}: файл уже есть, и записал его не pixgrad render (или его "
            "потом изменили); уберите его или выберите другую папку (output-dir)",
            *_KEY,
        )
    owner = os.path.relpath(project.root, folder)
    text = json.dumps({"book": owner, "files": made}, ensure_ascii=False, indent=1, sort_keys=True)
    files.write(new / LIST, text + "\n")
    files.replace_folder(new, folder)
    _keep_foreign(new, folder, written)  # what has come there since


def link(source: Path, target: Path) -> None:
    """Give a file a second name; a copy where the file system knows no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _reason_against(project: Project, folder: Path) -> str | None:
    root = project.root
    if root.is_relative_to(folder):
        return "это папка самой книги или та, в которой она лежит"
    if folder.exists() and not folder.is_dir():
        return "это не папка"
    for name in _RESERVED:
        place = (root / name).resolve()
        if folder.is_relative_to(place) or place.is_relative_to(folder):
            return f"в {name} хранится не сборка"
    if ".git" in folder.parts:
        return "там история Git"
    for source in _sources(project):
        if (root / source).resolve().is_relative_to(folder):
            return f"там лежит {source}, источник книги"
    for parent in (folder, *folder.parents):
        if root.is_relative_to(parent):
            break
        if (parent / CONFIG).exists():
            return f"там другая книга ({parent / CONFIG})"
    for name, path in _entries(folder):
        if (path.name == CONFIG or path.suffix == ".qmd") and name not in listed(project):
            return f"там лежит источник книги {name}"
    owner = files.read_json(folder / LIST).get("book", os.path.relpath(root, folder))
    if (folder / owner).resolve() != root:
        return f"там сборка другой книги ({(folder / owner).resolve()})"
    return None


def _sources(project: Project) -> Iterator[str]:
    """What is known to belong to the book: chapters, bibliography, what the cells have read."""
    yield from (chapter.path.as_posix() for chapter in project.chapters)
    yield from project.texts("bibliography")
    for record in Ledger(project.root).records.values():
        for name in record["files"]:
            kind, _, path = name.partition(":")
            if kind == "project":
                yield path


def _keep_foreign(old: Path, new: Path, written: set[str]) -> list[str]:
    """Link into ``new`` what others have put into ``old``; names of what cannot stand there."""
    clashes = []
    for name, path in _entries(old):
        if name == LIST or name in written:
            continue
        place = new / name
        try:
            if path.is_dir() and not path.is_symlink():
                place.mkdir(parents=True, exist_ok=True)
            elif not os.path.lexists(place):
                link(path, place)
            elif _digest(path) is None or _digest(path) != _digest(place):
                clashes.append(name)
        except (FileExistsError, NotADirectoryError):
            clashes.append(name)
    return clashes


def _entries(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files, links and empty folders below ``folder`` with their names in it."""
    for parent, folders, names in os.walk(folder):
        linked = [name for name in folders if Path(parent, name).is_symlink()]
        empty = [] if folders or names or Path(parent) == folder else [""]
        for path in (Path(parent, name) for name in [*names, *linked, *empty]):
            yield path.relative_to(folder).as_posix(), path


def _digest(path: Path) -> str | None:
    """SHA-256 of a file; None for anything else."""
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
