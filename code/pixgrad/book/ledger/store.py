"""Write the results of a chapter into ``_freeze`` in Quarto's format, each chapter in one step."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from pixgrad import files
from pixgrad.book.ledger import qmd
from pixgrad.book.ledger.staleness import (
    FIGURES,
    chapter_folder,
    decode_spans,
    encode_spans,
    read_frozen,
    read_records,
    results_digest,
    write_records,
)


def was_interrupted(root: Path) -> bool:
    """Whether a killed run has left something for ``writing`` to put right."""
    workshop = _workshop(root)
    return workshop.is_dir() and any(workshop.iterdir())


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """The right to write ``_freeze``, one process at a time; first rights what a kill has left."""
    workshop = _workshop(root)
    workshop.mkdir(parents=True, exist_ok=True)
    ignore = root / ".cache" / ".gitignore"
    if not ignore.exists():
        files.write(ignore, "*\n")
    with files.lock(workshop.parent):
        files.clean(root / "_freeze", workshop.parent)
        _recover(root)
        yield


def put(
    root: Path,
    chapter: str,
    document: qmd.Document,
    cells: Mapping[str, Sequence[str]],
    figures: Mapping[str, bytes],
    record: Mapping[str, Any],
) -> None:
    """Replace the results of a chapter, then its record.

    The folder changes in one step. The record waits beside it, so that after a kill between the
    two ``writing`` finishes the work.

    Parameters
    ----------
    cells : format -> markdown of each cell.
    figures : ``figure-html/fig-x-output-1.png`` -> content.
    record : what the execution depended on; ``spans`` and ``results`` are added here.
    """
    name = _flat(chapter)
    new, pending = _workshop(root) / name, _workshop(root) / f"{name}.json"
    spans = {}
    for fmt in FIGURES:
        markdown, positions = assemble(document, cells[fmt])
        spans[fmt] = encode_spans(positions)
        frozen = _frozen(chapter, fmt, document.md5, markdown)
        path = new / "execute-results" / f"{fmt}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(json.dumps(frozen, ensure_ascii=False, indent=2).encode("utf-8"))
    for name, content in figures.items():
        path = new / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    record = {**record, "spans": spans, "results": results_digest(new, spans)}
    files.write(pending, json.dumps({"chapter": chapter, "record": record}))
    target = chapter_folder(root, chapter)
    target.parent.mkdir(parents=True, exist_ok=True)
    files.replace_folder(new, target)
    write_records(root, {**read_records(root), chapter: record})
    pending.unlink()
    shutil.rmtree(new, ignore_errors=True)


def put_prose(root: Path, chapter: str, document: qmd.Document) -> None:
    """Set the edited prose of a chapter around its old cells; nothing is executed."""
    record, old = read_records(root)[chapter], chapter_folder(root, chapter)
    cells: dict[str, list[str]] = {}
    figures: dict[str, bytes] = {}
    for fmt, folder in FIGURES.items():
        markdown = read_frozen(old, fmt)["result"]["markdown"]
        cells[fmt] = [markdown[start:stop] for start, stop in decode_spans(record["spans"][fmt])]
        for path in (old / folder).glob("*"):
            figures[f"{folder}/{path.name}"] = path.read_bytes()
    put(root, chapter, document, cells, figures, record)


def remove(root: Path, chapter: str) -> None:
    """Remove the results of a chapter that has left the book or has no cells any more.

    The record goes last: while it is there, the next run removes what is left.
    """
    folder, away = chapter_folder(root, chapter), _workshop(root) / _flat(chapter)
    if folder.exists():
        folder.rename(away)
    for parent in folder.relative_to(root / "_freeze").parents[:-1]:
        place = root / "_freeze" / parent
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
    records = read_records(root)
    del records[chapter]
    write_records(root, records)
    shutil.rmtree(away, ignore_errors=True)


def assemble(document: qmd.Document, cells: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The executed markdown as Quarto writes it, and where each cell stands in it (characters)."""
    head = document.text[: len(document.text) - sum(len(block.text) for block in document.blocks)]
    text = _prose(head)
    spans = []
    remaining = iter(cells)
    for block in document.blocks:
        if isinstance(block, qmd.Cell):
            cell = next(remaining)
            spans.append((len(text), len(text) + len(cell)))
            text += cell
        else:
            text += _prose(block.text)
    return text, spans


def _prose(text: str) -> str:
    """Empty lines around a piece of prose become one after it."""
    lines = text.split("\n")
    while lines and not lines[0].strip():
        del lines[0]
    while lines and not lines[-1].strip():
        del lines[-1]
    return "\n".join(lines) + "\n\n" if lines else ""


def _frozen(chapter: str, fmt: str, md5: str, markdown: str) -> dict[str, Any]:
    files = PurePosixPath(chapter).stem + "_files"
    result: dict[str, Any] = {
        "engine": "jupyter",
        "markdown": markdown,
        "supporting": [files if fmt == "html" else f"{files}/{FIGURES[fmt]}"],
        "filters": [],
    }
    if fmt == "html":
        result["includes"] = {}
    return {"hash": md5, "result": result}


def _recover(root: Path) -> None:
    """Whole folders, each with its own record; nothing left in the workshop."""
    records = read_records(root)
    pending = [json.loads(path.read_text("utf-8")) for path in _workshop(root).glob("*.json")]
    for chapter in {*records, *(one["chapter"] for one in pending)}:
        files.undo(_workshop(root) / _flat(chapter), chapter_folder(root, chapter))
    for chapter, record in ((one["chapter"], one["record"]) for one in pending):
        if record["results"] == results_digest(chapter_folder(root, chapter), record["spans"]):
            records[chapter] = record
            write_records(root, records)
    shutil.rmtree(_workshop(root))
    _workshop(root).mkdir()


def _flat(chapter: str) -> str:
    return chapter.replace("/", "__")


def _workshop(root: Path) -> Path:
    """Where new folders are built: on the same disk, and never inside ``_freeze``."""
    return root / ".cache" / "pixgrad" / "freeze"
