"""Small Quarto books for the tests and the benchmark of ``pixgrad.book``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CONFIG = """\
project:
  type: book
  execute-dir: project
lang: ru
book:
  title: "Проба"
  author: "Проба"
  chapters:
    - index.qmd
{chapters}
execute: {{freeze: auto}}
pixgrad: {{}}
fig-width: 3
fig-height: 2
fig-dpi: 72
fig-format: svg
"""


def write_book(
    root: Path,
    chapters: Mapping[str, str],
    files: Mapping[str, str] | None = None,
    config: str = "",
) -> Path:
    """A book with these chapters and other files (path -> text), ``config`` added to its own."""
    listed = "\n".join(f"    - {name}" for name in chapters)
    fixed = {
        "_quarto.yml": _config(listed, config),
        "_environment": "PYTHONPATH=code\n",
        "index.qmd": "# Предисловие {.unnumbered}\n\nБез ячеек.\n",
    }
    return write_files(root, {**fixed, **chapters, **(files or {})})


def _config(listed: str, more: str) -> str:
    """Every book names pixgrad, once."""
    own = CONFIG.format(chapters=listed)
    return (own.replace("pixgrad: {}", "#") if "pixgrad:" in more else own) + more


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    """Write the files (path -> text) below a folder, which is returned."""
    for name, text in files.items():
        write(root / name, text)
    return root


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", newline="\n")


def cell(source: str, *options: str) -> str:
    lines = "".join(f"#| {option}\n" for option in options)
    return f"```{{python}}\n{lines}{source}\n```\n"


def chapter(title: str, *blocks: str) -> str:
    return "\n".join([f"# {title}\n", *blocks])


def pixgrad(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``pixgrad`` on a book in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pixgrad", *arguments, "--project", str(root)],
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )


def clean_environment(**changes: str) -> dict[str, str]:
    """This environment without what points at other caches, data and modules."""
    own = {"JUPYTERCACHE", "PIXGRAD_DATA", "PYTHONPATH"}
    kept = {key: value for key, value in os.environ.items() if key not in own}
    return {**kept, "OMP_NUM_THREADS": "1", **changes}


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def times(folder: Path) -> dict[str, int]:
    """When each file below a folder was written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
