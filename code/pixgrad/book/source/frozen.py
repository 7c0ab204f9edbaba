"""Read what Quarto's ``_freeze`` holds of a chapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pixgrad.book.source.project import Chapter, Project
from pixgrad.errors import SourceError

Format = Literal["html", "typ"]


def results_path(project: Project, chapter: Chapter, fmt: Format) -> Path:
    """``_freeze/<chapter without .qmd>/execute-results/<fmt>.json``."""
    folder = project.freeze_dir / chapter.path.with_suffix("")
    return folder / "execute-results" / f"{fmt}.json"


def markdown(project: Project, chapter: Chapter, fmt: Format) -> str:
    """The executed markdown of a chapter; of one without cells, its own text.

    Raises
    ------
    SourceError : the chapter was not executed, or was edited since.
    """
    if not chapter.document.cells:
        return chapter.document.text
    path = results_path(project, chapter, fmt)
    if not path.is_file():
        raise SourceError("глава ещё не исполнена; выполните pixgrad freeze", chapter.path)
    frozen = json.loads(path.read_text("utf-8"))
    if frozen["hash"] != chapter.document.md5:
        raise SourceError("глава изменена после исполнения; выполните pixgrad freeze", chapter.path)
    return frozen["result"]["markdown"]
