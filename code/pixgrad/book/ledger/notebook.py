"""A chapter that is a Jupyter notebook, as the text of a ``.qmd``: as in Quarto, nothing of it is
executed unless ``execute: enabled: true`` asks for that; its stored outputs are shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pixgrad.book.ledger.include import Place
from pixgrad.errors import SourceError

SUFFIX = ".ipynb"

_ATTACHMENT = re.compile(r"\(attachment:([^)\s]+)\)")
_RAW = {"text/html": "html", "text/latex": "tex", "application/pdf": "tex", "text/markdown": ""}
_TAGS = {"cell": "include", "input": "echo", "output": "output", "stderr": "warning"}
"""Tags of Jupyter Book (``remove-input``) -> the option of Quarto that they set to false."""


def cells(raw: str, file: str | Path) -> list[dict[str, Any]]:
    """The cells of a notebook of version 4, their sources joined.

    Raises
    ------
    SourceError : it is no such notebook.
    """
    try:
        found = json.loads(raw)["cells"]
        return [{**cell, "source": _joined(cell["source"])} for cell in found]
    except (ValueError, KeyError, TypeError):
        raise SourceError("это не блокнот Jupyter (нужен формат 4)", file) from None


def as_qmd(raw: str, file: str | Path) -> tuple[str, tuple[Place, ...]]:
    """The text, and the cell and the line where each line of it stands (errors of ``cells``)."""
    text, places = "", []
    for number, cell in enumerate(cells(raw, file), start=1):
        kind = cell["cell_type"]
        before, source, after = {"code": _code, "raw": _raw}.get(kind, _markdown)(cell)
        if kind == "code" and not source.strip():
            continue
        is_front = not text and source.startswith("---\n")
        part = before + source.rstrip("\n") + "\n" + after + ("" if is_front else "\n")
        first = 1 - before.count("\n")
        for line in range(part.count("\n")):
            places.append((f"{file} (ячейка {number})", max(first + line, 1)))
        text += part
    return text, tuple(places)


def code_cells(raw: str, file: str | Path) -> Iterator[dict[str, Any]]:
    """The cells that ``as_qmd`` makes cells of, in order."""
    for cell in cells(raw, file):
        if cell["cell_type"] == "code" and cell["source"].strip():
            yield cell


def _code(cell: dict[str, Any]) -> tuple[str, str, str]:
    ticks = "`" * max([2, *(len(run) for run in re.findall(r"^\s*(`+)", cell["source"], re.M))])
    tags = {str(tag).replace("_", "-") for tag in cell.get("metadata", {}).get("tags", [])}
    hidden = [name for tag, name in _TAGS.items() if f"remove-{tag}" in tags]
    options = "".join(f"#| {name}: false\n" for name in hidden)
    return f"{ticks}`{{python}}\n{options}", cell["source"], f"{ticks}`\n"


def _raw(cell: dict[str, Any]) -> tuple[str, str, str]:
    metadata = cell.get("metadata", {})
    name = _RAW.get(metadata.get("raw_mimetype", metadata.get("format", "")))
    return (f"```{{={name}}}\n", cell["source"], "```\n") if name else ("", cell["source"], "")


def _markdown(cell: dict[str, Any]) -> tuple[str, str, str]:
    """Pictures that were pasted into the cell become addresses with the data in them."""
    files = cell.get("attachments", {})

    def embedded(match: re.Match) -> str:
        for mime, data in files.get(match[1], {}).items():
            return f"(data:{mime};base64,{''.join(_joined(data).split())})"
        return match[0]

    return "", _ATTACHMENT.sub(embedded, cell["source"]), ""


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)
