"""Which chapters have to be executed again, because of what, and the results of each.

``_freeze/pixgrad.json`` records what each executed chapter depended on; a :class:`Ledger` compares
that with what there is now.

Other versions of installed packages make nothing stale by themselves: ``State.versions`` says so.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixgrad import files
from pixgrad.book.ledger import frozen, qmd
from pixgrad.book.ledger.dependencies import Dependencies, shown
from pixgrad.errors import PixgradError

FRESH, PROSE, STALE = "fresh", "prose", "stale"

_VERSION = 1
_EXECUTION_KEY = re.compile(r"(fig-[\w-]+|execute|jupyter)\s*:")
_NESTED_KEY = re.compile(r"\s+(execute-dir|eval|error|include|echo|output|warning)\s*:")
"""In ``project:`` and in the formats."""
_BESIDES = ("_quarto-*.yml", "_quarto.yml.local", "_environment-*", "_environment.local")


@dataclass(frozen=True)
class State:
    """How a chapter stands: FRESH, PROSE (only its text was edited) or STALE."""

    chapter: str
    """Path in the project, as in ``_quarto.yml``."""
    document: qmd.Document
    status: str
    cause: str = ""
    """The file that made it stale."""
    unverified: tuple[str, ...] = ()
    """Files it was made from that are absent here."""
    versions: tuple[str, ...] = ()
    """Packages it was made with that have another version here: ``numpy 2.3.1 → 2.4.0``."""


class Ledger:
    """``_freeze`` of the book in ``root``, its records read once.

    Whoever only looks makes one; whoever writes gets one from :meth:`writing`.

    Raises
    ------
    PixgradError : the records are broken.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dependencies = Dependencies(root)
        self.records: dict[str, Any] = _read(root / "_freeze" / "pixgrad.json")
        """Chapter -> its record."""
        self.settings = {
            "_quarto.yml": _digest(execution_settings(_text(root / "_quarto.yml") or "")),
            "_environment": _digest(_text(root / "_environment")),
            **_settings_besides(root, self.records),
        }
        """Digests of the settings that every chapter's execution depends on, by their file."""
        # Where new folders are built: on the same disk, and never inside ``_freeze``.
        self._workshop = root / ".cache" / "pixgrad" / "freeze"

    @classmethod
    @contextmanager
    def writing(cls, root: Path, wait: bool = False) -> Iterator[Ledger]:
        """The one ledger that may write, in one process at a time; what a kill left is put right.

        Raises
        ------
        PixgradError : another process writes, and ``wait`` is not set.
        """
        cache = root / ".cache"
        (cache / "pixgrad" / "freeze").mkdir(parents=True, exist_ok=True)
        if not (cache / ".gitignore").exists():
            files.write(cache / ".gitignore", "*\n")
        with files.lock(cache / "pixgrad", wait):
            files.clean(root / "_freeze", cache / "pixgrad")
            ledger = cls(root)
            ledger._recover()
            yield ledger

    @property
    def is_unfinished(self) -> bool:
        """Whether a killed process has left something for :meth:`writing` to put right."""
        return self._workshop.is_dir() and any(self._workshop.iterdir())

    def folder(self, chapter: str) -> Path:
        """Where Quarto keeps the results of a chapter."""
        return self.root / "_freeze" / Path(chapter).with_suffix("")

    def assess(self, chapters: Iterable[str]) -> list[State]:
        """The state of each chapter that has cells.

        Raises
        ------
        SourceError : a chapter cannot be read or parsed.
        """
        read = {chapter: qmd.read(self.root / chapter, shown_as=chapter) for chapter in chapters}
        states = [self._assess(*item) for item in read.items() if item[1].cells]
        self.dependencies.save()
        return states

    def put(
        self,
        chapter: str,
        document: qmd.Document,
        cells: Mapping[str, Sequence[str]],
        figures: Mapping[str, bytes],
        used: Mapping[str, Any],
    ) -> None:
        """Replace the results of a chapter, then its record.

        The folder changes in one step. The record waits beside it, so that after a kill between
        the two :meth:`writing` finishes the work.

        Parameters
        ----------
        cells, figures : as in ``frozen.write``.
        used : what the execution depended on; the rest of the record is added here.
        """
        new, pending = self._waiting(chapter)
        spans = frozen.write(new, chapter, document, cells, figures)
        record = {
            **used,
            "cells": cells_digest(document),
            "settings": self.settings,
            "spans": spans,
            "results": frozen.digest(new, spans),
        }
        files.write(pending, json.dumps({"chapter": chapter, "record": record}))
        target = self.folder(chapter)
        target.parent.mkdir(parents=True, exist_ok=True)
        files.replace_folder(new, target)
        self.records[chapter] = record
        self.save()
        pending.unlink()
        shutil.rmtree(new, ignore_errors=True)

    def put_prose(self, chapter: str, document: qmd.Document) -> None:
        """Set the edited prose of a chapter around its old cells; nothing is executed."""
        record = self.records[chapter]
        cells, figures = frozen.read_parts(self.folder(chapter), record["spans"])
        self.put(chapter, document, cells, figures, record)

    def complete(self, states: Iterable[State]) -> None:
        """Records of a time when files alone counted get their units while the files agree."""
        for state in states:
            record = self.records.get(state.chapter)
            if state.status != STALE and "units" not in record:
                results = frozen.read(self.folder(state.chapter), "html") or {}
                self.records[state.chapter] = self.dependencies.with_units(
                    record, sources(state.document), json.dumps(results)
                )
                self.save()

    def remove(self, chapter: str) -> None:
        """Remove the results of a chapter that has left the book or has no cells any more.

        The record goes last: while it is there, the next run removes what is left.
        """
        folder, away = self.folder(chapter), self._waiting(chapter)[0]
        if folder.exists():
            folder.rename(away)
        for parent in folder.relative_to(self.root / "_freeze").parents[:-1]:
            place = self.root / "_freeze" / parent
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
        del self.records[chapter]
        self.save()
        shutil.rmtree(away, ignore_errors=True)

    def save(self) -> None:
        """Write the records; the same records give the same bytes."""
        content = {"version": _VERSION, "chapters": self.records}
        text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
        files.write(self.root / "_freeze" / "pixgrad.json", text)

    def _assess(self, chapter: str, document: qmd.Document) -> State:
        record = self.records.get(chapter)
        if record is None:
            return State(chapter, document, STALE, f"{chapter} (ещё не исполнена)")
        if record["cells"] != cells_digest(document):
            return State(chapter, document, STALE, f"{chapter} (изменены ячейки)")
        for file in sorted({*self.settings, *record["settings"]}):
            if record["settings"].get(file) != self.settings.get(file):
                return State(chapter, document, STALE, f"{file} (настройки исполнения)")
        changed, absent = self.dependencies.changes(record, sources(document))
        unverified = tuple(map(shown, absent))
        lost = self._lost_for_others(chapter)
        changed += [name for name in lost if name not in changed]
        folder = self.folder(chapter)
        if changed:
            more = f" и ещё {len(changed) - 3}" if len(changed) > 3 else ""
            cause = ", ".join(map(shown, changed[:3])) + more
            return State(chapter, document, STALE, cause, unverified)
        if record["results"] != frozen.digest(folder, record["spans"]):
            cause = f"{folder.relative_to(self.root).as_posix()} (результаты изменены или удалены)"
            return State(chapter, document, STALE, cause, unverified)
        fresh = frozen.is_current(folder, document, record["spans"])
        status, versions = FRESH if fresh else PROSE, self.dependencies.version_changes(record)
        return State(chapter, document, status, "", unverified, tuple(versions))

    def _lost_for_others(self, chapter: str) -> list[str]:
        """What the chapter wrote and another reads, if it is not there any more as it was."""
        writes = self.records[chapter].get("writes", {})
        read = {name for other, record in self.records.items() if other != chapter
                for name in record["files"]}  # fmt: skip
        return [
            name
            for name, digest in writes.items()
            if name in read and self.dependencies.digest(self.root / shown(name)) != digest
        ]

    def writers(self, chapter: str) -> set[str]:
        """The other chapters whose files this one read when it was last executed."""
        read = self.records.get(chapter, {}).get("files", {})
        return {
            other
            for other, record in self.records.items()
            if other != chapter and not set(record.get("writes", {})).isdisjoint(read)
        }

    def accept_versions(self, states: Iterable[State]) -> None:
        """Take the results as made with the versions that are here."""
        for state in states:
            if state.versions:
                packages = self.records[state.chapter]["packages"]
                packages.update((one.split()[0], one.split()[-1]) for one in state.versions)
                self.save()

    def _waiting(self, chapter: str) -> tuple[Path, Path]:
        """Where the new folder and the new record of a chapter wait for their places."""
        new = self._workshop / chapter.replace("/", "__")
        return new, new.with_name(f"{new.name}.json")

    def _recover(self) -> None:
        """Whole folders, each with its own record; nothing left in the workshop."""
        pending = [json.loads(path.read_text("utf-8")) for path in self._workshop.glob("*.json")]
        for chapter in {*self.records, *(one["chapter"] for one in pending)}:
            files.undo(self._waiting(chapter)[0], self.folder(chapter))
        for chapter, record in ((one["chapter"], one["record"]) for one in pending):
            if record["results"] == frozen.digest(self.folder(chapter), record["spans"]):
                self.records[chapter] = record
                self.save()
        shutil.rmtree(self._workshop)
        self._workshop.mkdir()


def _settings_besides(root: Path, chapters: Iterable[str]) -> dict[str, str | None]:
    """Digests of the files that a book may have besides: for a machine, a profile, a folder."""
    folders = {parent for chapter in chapters for parent in Path(chapter).parents}
    named = re.findall(r"[\w./-]+\.ya?ml\b", _text(root / "_quarto.yml") or "")  # metadata-files
    names = {path.name for pattern in _BESIDES for path in root.glob(pattern)}
    names |= {(folder / "_metadata.yml").as_posix() for folder in folders} | set(named)
    found = {name: _text(root / name) for name in names - {"_quarto.yml", "_environment"}}
    return {
        name: _digest(execution_settings(text) if ".yml" in name else text)
        for name, text in found.items()
        if text is not None
    }


def execution_settings(yaml_text: str) -> str:
    """The lines of a YAML text that tell how to execute: fig-*, execute, echo, …"""
    kept: list[str] = []
    inside = False
    for line in yaml_text.splitlines():
        line = line.rstrip()
        if not line or line.lstrip().startswith("#"):
            continue
        if not line[0].isspace() and not line.startswith("-"):
            inside = bool(_EXECUTION_KEY.match(line))
        if inside or _NESTED_KEY.match(line):
            kept.append(line)
    return "\n".join(kept)


def sources(document: qmd.Document) -> list[str]:
    """What the kernel runs."""
    return [one.source for one in document.runs]


def cells_digest(document: qmd.Document) -> str:
    """Digest of what is executed: the cells with their options, and the chapter's own settings."""
    parts = [execution_settings(document.front_matter), *(one.text for one in document.runs)]
    return _digest("\0".join(parts))


def absent_text(names: Sequence[str]) -> str:
    """Files that are absent, for one line: the first of them and how many there are."""
    more = f" и ещё {len(names) - 1}" if len(names) > 1 else ""
    return f"файлов нет: {names[0]}{more}"


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise PixgradError(
            f"{path} испорчен (не JSON); верните его из git или удалите папку _freeze"
        ) from None
    return content["chapters"] if content.get("version") == _VERSION else {}


def _text(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None


def _digest(text: str | None) -> str | None:
    return None if text is None else hashlib.sha256(text.encode("utf-8")).hexdigest()
