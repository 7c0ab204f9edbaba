"""The user's own scripts before and after a rendering, as Quarto runs them."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pixgrad.book.source.project import Project

_OWN = ("pixgrad/book/prerender.py", "pixgrad.book.prerender")
"""Our way into Quarto: the engine has executed the chapters itself."""
_INTERPRETERS = {".py": [sys.executable], ".sh": ["bash"], ".js": ["node"], ".R": ["Rscript"]}


def before(project: Project) -> bool:
    """Run ``project: pre-render``; whether there was anything to run.

    Raises
    ------
    SourceError : a script failed (the line of ``_quarto.yml``).
    """
    files = [chapter.path.as_posix() for chapter in project.chapters]
    return _run(project, "pre-render", project.output_dir, {"QUARTO_PROJECT_INPUT_FILES": files})


def after(project: Project, new: Path) -> bool:
    """Run ``project: post-render`` on the new output before it takes the place of the old one."""
    files = [str(path) for path in sorted(new.rglob("*.html")) + sorted(new.glob("*.pdf"))]
    return _run(project, "post-render", new, {"QUARTO_PROJECT_OUTPUT_FILES": files})


def _run(project: Project, key: str, output: Path, lists: dict[str, Sequence[str]]) -> bool:
    listed = project.texts("project", key)
    commands = [one for one in listed if not any(own in one for own in _OWN)]
    environment = {
        **project.environment,
        **os.environ,
        "QUARTO_PROJECT_DIR": str(project.root),
        "QUARTO_PROJECT_ROOT": str(project.root),
        "QUARTO_PROJECT_OUTPUT_DIR": str(output),
        "QUARTO_PROJECT_RENDER_ALL": "1",
        **{name: "\n".join(values) for name, values in lists.items()},
    }
    for command in commands:
        _one(project, key, _arguments(project.root, command), environment)
    return bool(commands)


def _arguments(root: Path, command: str) -> list[str]:
    """The program and its arguments: a script by its ending, anything else as it is written."""
    if (root / command).is_file():
        return [*_INTERPRETERS.get(Path(command).suffix, []), str(root / command)]
    words = shlex.split(command)
    return [*_INTERPRETERS.get(Path(words[0]).suffix, []), *words]


def _one(project: Project, key: str, command: list[str], environment: dict[str, str]) -> None:
    shown = shlex.join(command)
    try:
        code = subprocess.run(command, cwd=project.root, env=environment, check=False).returncode
    except OSError as error:
        raise project.error(f"{key}: «{shown}»: {error.strerror}", "project", key) from None
    if code:
        raise project.error(f"{key}: «{shown}» завершилась с кодом {code}", "project", key)
