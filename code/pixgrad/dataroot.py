"""Where the data files are. Standard library only: the pre-render step imports it."""

from __future__ import annotations

import os
from pathlib import Path


def data_root(project_root: Path) -> Path:
    """``$PIXGRAD_DATA``, else ``../shared/data`` beside the project, else ``~/.cache/pixgrad``."""
    chosen = os.environ.get("PIXGRAD_DATA")
    if chosen:
        return Path(chosen).expanduser()
    beside = Path(project_root).resolve().parent / "shared" / "data"
    return beside if beside.is_dir() else Path.home() / ".cache" / "pixgrad"
