"""Which chapters have to be executed again, and because of what.

``_freeze/pixgrad.json`` records what each executed chapter depended on; here that is compared with
what there is now.

Versions of installed packages are not recorded: after an upgrade delete ``_freeze`` to redo all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixgrad import files
from pixgrad.book.ledger import qmd
from pixgrad.book.ledger.dependencies import Digests, changes, shown
from pixgrad.errors import PixgradError

FIGURES = {"html": "figure-html", "typ": "figure-typst"}
"""Format (as in ``execute-results/<format>.json``) -> its folder of figures."""

FRESH, PROSE, STALE = "fresh", "prose", "stale"

_VERSION = 1
_EXECUTION_KEY = re.compile(r"(fig-[\w-]+|execute|jupyter)\s*:")
_EXECUTE_DIR = re.compile(r"\s+execute-dir\s*:")


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


def assess(root: Path, chapters: Iterable[str], digests: Digests) -> list[State]:
    """The state of each chapter that has cells.

    Raises
    ------
    SourceError : a chapter cannot be read or parsed.
    """
    records = read_records(root)
    now = settings(root)
    states = []
    for chapter in chapters:
        document = qmd.read(root / chapter, shown_as=chapter)
        if document.cells:
            states.append(_assess(root, chapter, document, records.get(chapter), now, digests))
    return states


def read_records(root: Path) -> dict[str, Any]:
    """Chapter -> its record."""
    path = _records_path(root)
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise PixgradError(
            f"{path} испорчен (не JSON); верните его из git или удалите папку _freeze"
        ) from None
    return content["chapters"] if content.get("version") == _VERSION else {}


def write_records(root: Path, records: Mapping[str, Any]) -> None:
    """Write the records; the same records give the same bytes."""
    content = {"version": _VERSION, "chapters": records}
    text = json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    files.write(_records_path(root), text)


def settings(root: Path) -> dict[str, str | None]:
    """Digests of the settings that every chapter's execution depends on, by their file."""
    config, environment = root / "_quarto.yml", root / "_environment"
    blocks = execution_settings(config.read_text("utf-8")) if config.is_file() else ""
    variables = environment.read_text("utf-8") if environment.is_file() else None
    return {
        "_quarto.yml": _digest(blocks),
        "_environment": None if variables is None else _digest(variables),
    }


def execution_settings(yaml_text: str) -> str:
    """The lines of a YAML text that tell how to execute: fig-*, execute, jupyter, execute-dir."""
    kept: list[str] = []
    inside = False
    for line in yaml_text.splitlines():
        line = line.rstrip()
        if not line or line.lstrip().startswith("#"):
            continue
        if not line[0].isspace() and not line.startswith("-"):
            inside = bool(_EXECUTION_KEY.match(line))
        if inside or _EXECUTE_DIR.match(line):
            kept.append(line)
    return "\n".join(kept)


def cells_digest(document: qmd.Document) -> str:
    """Digest of what is executed: the cells with their options, and the chapter's own settings."""
    parts = [execution_settings(document.front_matter), *(cell.text for cell in document.cells)]
    return _digest("\0".join(parts))


def results_digest(folder: Path, spans: Mapping[str, str]) -> str | None:
    """Digest of the rendered cells and figures in a chapter's folder, None if it is not whole."""
    digest = hashlib.sha256()
    for fmt, figures in FIGURES.items():
        frozen = read_frozen(folder, fmt)
        if frozen is None:
            return None
        for start, stop in decode_spans(spans[fmt]):
            digest.update(frozen["result"]["markdown"][start:stop].encode("utf-8") + b"\0")
        for path in sorted((folder / figures).glob("*")):
            digest.update(path.name.encode("utf-8") + b"\0" + path.read_bytes())
    return digest.hexdigest()


def absent_text(files: Sequence[str]) -> str:
    """Files that are absent, for one line: the first of them and how many there are."""
    more = f" и ещё {len(files) - 1}" if len(files) > 1 else ""
    return f"файлов нет: {files[0]}{more}"


def chapter_folder(root: Path, chapter: str) -> Path:
    """Where Quarto keeps the results of a chapter."""
    return root / "_freeze" / Path(chapter).with_suffix("")


def read_frozen(folder: Path, fmt: str) -> dict[str, Any] | None:
    """``execute-results/<fmt>.json`` of a chapter's folder, None if it is absent or broken."""
    path = folder / "execute-results" / f"{fmt}.json"
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def encode_spans(spans: Iterable[tuple[int, int]]) -> str:
    return " ".join(f"{start}:{stop}" for start, stop in spans)


def decode_spans(text: str) -> list[tuple[int, int]]:
    pairs = (item.split(":") for item in text.split())
    return [(int(start), int(stop)) for start, stop in pairs]


def _assess(
    root: Path,
    chapter: str,
    document: qmd.Document,
    record: Mapping[str, Any] | None,
    now: Mapping[str, str | None],
    digests: Digests,
) -> State:
    if record is None:
        return State(chapter, document, STALE, f"{chapter} (ещё не исполнена)")
    if record["cells"] != cells_digest(document):
        return State(chapter, document, STALE, f"{chapter} (изменены ячейки)")
    for file, digest in now.items():
        if record["settings"].get(file) != digest:
            return State(chapter, document, STALE, f"{file} (настройки исполнения)")
    changed, absent = changes(record, root, digests)
    unverified = tuple(shown(name) for name in absent)
    if changed:
        more = f" и ещё {len(changed) - 3}" if len(changed) > 3 else ""
        cause = ", ".join(map(shown, changed[:3])) + more
        return State(chapter, document, STALE, cause, unverified)
    folder = chapter_folder(root, chapter)
    if record["results"] != results_digest(folder, record["spans"]):
        cause = f"{folder.relative_to(root).as_posix()} (результаты изменены или удалены)"
        return State(chapter, document, STALE, cause, unverified)
    frozen = [read_frozen(folder, fmt) for fmt in FIGURES]
    fresh = all(one is not None and one["hash"] == document.md5 for one in frozen)
    return State(chapter, document, FRESH if fresh else PROSE, unverified=unverified)


def _records_path(root: Path) -> Path:
    return root / "_freeze" / "pixgrad.json"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
