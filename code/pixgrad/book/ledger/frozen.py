"""The results of a chapter in Quarto's format, and where each cell stands in them.

``_freeze/<chapter>/execute-results/<format>.json`` holds the executed markdown and the hash of the
``.qmd``; the figures of each format lie in a folder beside it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
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
    cells : format -> markdown of each cell.
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


def assemble(document: qmd.Document, cells: Sequence[str]) -> tuple[str, str]:
    """The executed markdown as Quarto writes it, and where each cell stands in it (characters)."""
    text = _prose(document.head)
    places = []
    remaining = iter(cells)
    for block in document.blocks:
        if isinstance(block, qmd.Cell):
            cell = next(remaining)
            places.append(f"{len(text)}:{len(text) + len(cell)}")
            text += cell
        else:
            text += _prose(block.text)
    return text, " ".join(places)


def _path(folder: Path, fmt: str) -> Path:
    return folder / "execute-results" / f"{fmt}.json"


def _prose(text: str) -> str:
    """Empty lines around a piece of prose become one after it."""
    lines = text.split("\n")
    while lines and not lines[0].strip():
        del lines[0]
    while lines and not lines[-1].strip():
        del lines[-1]
    return "\n".join(lines) + "\n\n" if lines else ""
