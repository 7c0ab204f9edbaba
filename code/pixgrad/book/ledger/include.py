"""The text of a chapter with ``{{< include file >}}`` replaced, and where each line comes from."""

from __future__ import annotations

import re
from pathlib import Path

from pixgrad.errors import SourceError

Place = tuple[str, int]
"""(file as it is told to the reader, 1-based line)."""

_INCLUDE = re.compile(r"^\s*\{\{<\s*include\s+(?P<path>.+?)\s*>\}\}\s*$")


def read_text(path: Path, shown_as: str | Path) -> str:
    """The text of a file, line ends as LF, without a BOM.

    Raises
    ------
    SourceError : it cannot be read, or is not UTF-8.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SourceError(f"файл не читается: {error.strerror}", shown_as) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise SourceError(f"не UTF-8 (байт {raw[error.start]:#04x})", shown_as, line) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def expanded(text: str, path: Path, name: Path) -> tuple[str, tuple[Place, ...]]:
    """The text with the files it includes, these with theirs.

    As in Quarto a path is looked for from the chapter, wherever it is written; ``/x`` is looked for
    from the project.

    Parameters
    ----------
    name : the chapter's path in the project, the end of ``path``.
    """
    lines: list[str] = []
    places: list[Place] = []
    root = path.parents[len(name.parts) - 1] if not name.is_absolute() else path.parent
    _add(text, name.as_posix(), path.parent, root, (path.resolve(),), lines, places)
    return "".join(lines), tuple(places)


def _add(
    text: str,
    name: str,
    folder: Path,
    root: Path,
    inside: tuple[Path, ...],
    lines: list[str],
    places: list[Place],
) -> None:
    in_comment = False
    for number, line in enumerate(text.split("\n"), start=1):
        in_comment = in_comment or line.lstrip().startswith("<!--")
        found = None if in_comment else _INCLUDE.match(line)
        in_comment = in_comment and "-->" not in line
        if not found:
            lines.append(line if number == 1 else "\n" + line)
            places.append((name, number))
            continue
        written = found["path"].strip("\"'")
        file = (
            root / written.lstrip("/") if written.startswith("/") else folder / written
        ).resolve()
        if file in inside:
            raise SourceError(f"файл {written} включает сам себя", name, number)
        if not file.is_file():
            raise SourceError(f"включаемого файла {written} нет", name, number)
        shown = file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)
        if number > 1:
            lines.append("\n")
        _add(read_text(file, shown), shown, folder, root, (*inside, file), lines, places)
