"""The results of a chapter in Quarto's format, and where each cell stands in them.

``_freeze/<chapter>/execute-results/<format>.json`` holds the executed markdown and the hash of the
``.qmd``; the figures of each format lie in a folder beside it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from pixgrad import files
from pixgrad.book.ledger import qmd

FIGURES = {"html": "figure-html", "typ": "figure-typst"}
"""Format (as in ``execute-results/<format>.json``) -> its folder of figures."""


def read(folder: Path, fmt: str) -> dict[str, Any] | None:
    """``execute-results/<fmt>.json`` of a chapter's folder, None if it is absent or broken."""
    return files.read_json(_path(folder, fmt)) or None


def write(
    folder: Path,
    chapter: str,
    document: qmd.Document,
    cells: Mapping[str, Sequence[str]],
    figures: Mapping[str, bytes],
) -> dict[str, str]:
    """Write the results of a chapter into a new folder.

    Parameters
    ----------
    cells : format -> what each of ``document.runs`` gave, as markdown.
    figures : ``figure-html/fig-x-output-1.png`` -> content.

    Returns
    -------
    format -> where each cell stands in the markdown (see :func:`spans`)
    """
    supporting = PurePosixPath(chapter).stem + "_files"
    contents, places = dict(figures), {}
    for fmt, name in FIGURES.items():
        markdown, places[fmt] = assemble(document, cells[fmt])
        result: dict[str, Any] = {
            "engine": "jupyter",
            "markdown": markdown,
            "supporting": [supporting if fmt == "html" else f"{supporting}/{name}"],
            "filters": [],
            **({"includes": {}} if fmt == "html" else {}),
        }
        frozen = {"hash": document.md5, "result": result}
        text = json.dumps(frozen, ensure_ascii=False, indent=2)
        contents[_path(Path(), fmt).as_posix()] = text.encode("utf-8")
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return places


def is_current(folder: Path, document: qmd.Document, places: Mapping[str, str]) -> bool:
    """Whether the text around the cells is the chapter's own and that of what it includes."""
    parts = read_parts(folder, places)
    if parts is None:
        return False
    for fmt, values in parts[0].items():
        found = read(folder, fmt)
        whole = assemble(document, values)[0]
        if found is None or found["hash"] != document.md5 or found["result"]["markdown"] != whole:
            return False
    return True


def read_parts(
    folder: Path, places: Mapping[str, str]
) -> tuple[dict[str, list[str]], dict[str, bytes]] | None:
    """The ``cells`` and ``figures`` that :func:`write` was given, None if they are not whole."""
    cells: dict[str, list[str]] = {}
    figures: dict[str, bytes] = {}
    for fmt, name in FIGURES.items():
        frozen = read(folder, fmt)
        if frozen is None:
            return None
        markdown = frozen["result"]["markdown"]
        cells[fmt] = [markdown[start:stop] for start, stop in spans(places[fmt])]
        for path in sorted((folder / name).glob("*")):
            figures[f"{name}/{path.name}"] = path.read_bytes()
    return cells, figures


def digest(folder: Path, places: Mapping[str, str]) -> str | None:
    """Digest of the rendered cells and figures in a chapter's folder, None if it is not whole."""
    parts = read_parts(folder, places)
    if parts is None:
        return None
    cells, figures = parts
    sha = hashlib.sha256()
    for fmt, name in FIGURES.items():
        for cell in cells[fmt]:
            sha.update(cell.encode("utf-8") + b"\0")
        for path, content in figures.items():
            if path.startswith(f"{name}/"):
                sha.update(path[len(name) + 1 :].encode("utf-8") + b"\0" + content)
    return sha.hexdigest()


def spans(places: str) -> list[tuple[int, int]]:
    """``"7:29 41:60"`` -> [(7, 29), (41, 60)]."""
    pairs = (item.split(":") for item in places.split())
    return [(int(start), int(stop)) for start, stop in pairs]


def assemble(document: qmd.Document, values: Sequence[str]) -> tuple[str, str]:
    """The executed markdown as Quarto writes it, and where in it stands what each run gave.

    Parameters
    ----------
    values : of ``document.runs``: the markdown of a cell, the value of code in a line.
    """
    text = document.head.rstrip("\n") + "\n\n" if document.head else ""
    places = []
    remaining = iter(values)
    for is_cell, group in groupby(document.blocks, lambda one: isinstance(one, qmd.Cell)):
        blocks = list(group)
        parts = [_text(block, remaining) for block in blocks]
        for block, part in zip(blocks, parts if is_cell else _trimmed(parts)):  # noqa: B905 - Python 3.9
            if not isinstance(block, qmd.Prose):
                places.append(f"{len(text)}:{len(text) + len(part)}")
            text += part
        if not is_cell and any(part.strip() for part in parts):
            text += "\n\n"
    return text, " ".join(places)


def _text(block: qmd.Block, values: Iterator[str]) -> str:
    """Prose as it is; what a run gave, or without any its own text."""
    return block.text if isinstance(block, qmd.Prose) else next(values, block.text)


def _path(folder: Path, fmt: str) -> Path:
    return folder / "execute-results" / f"{fmt}.json"


def _trimmed(parts: Sequence[str]) -> list[str]:
    """The parts of a stretch of prose without the empty lines around it."""
    if not any(part.strip() for part in parts):
        return [""] * len(parts)
    first = re.sub(r"\A(?:[^\S\n]*\n)+", "", parts[0])
    parts = [first, *parts[1:]]
    return [*parts[:-1], re.sub(r"(?:\n[^\S\n]*)+\Z", "", parts[-1])]
