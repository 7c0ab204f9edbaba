"""The record of an experiment: what was run, on which data, by which code, and what came out."""

import ast
import hashlib
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

import pixgrad
from pixgrad.errors import SourceError

PACKAGE = Path(pixgrad.__file__).parent
UNKNOWN_COMMIT = "unknown"


class Run(BaseModel):
    """One training run.

    Attributes
    ----------
    name : unique in the experiment, such as "relu-1".
    seed : the one seed of the run.
    config : all settings of the run, enough to repeat it.
    status : "done", or "diverged" where the loss stopped being finite.
    steps : optimiser steps made.
    message : for a diverged run, the layer that produced the first non-finite value.
    wall_s, cpu_s : seconds on the clock and of the processor: they part on a busy machine.
    first_losses : losses of the first steps, for ``pixgrad verify``.
    metrics : what the run reached, by name.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    seed: int
    config: dict[str, JsonValue]
    status: Literal["done", "diverged"]
    steps: int
    message: str = ""
    wall_s: float
    cpu_s: float
    first_losses: list[float]
    metrics: dict[str, float]


class Record(BaseModel):
    """``record.json`` of an experiment.

    Attributes
    ----------
    data : name of the data source.
    data_fingerprint : SHA-256 of each part of it that was used.
    git_commit : with "-dirty" where the working tree had changes.
    code_digest : ``code_digest`` of the experiment's module.
    versions : of Python and of the libraries that compute.
    device : the processor.
    threads : of the numerical libraries in one run.
    wall_s : seconds that the runs took, one after another, interruptions apart.
    """

    model_config = ConfigDict(extra="forbid")

    experiment: str
    preset: str
    seeds: list[int]
    data: str
    data_fingerprint: dict[str, str]
    git_commit: str
    code_digest: str
    versions: dict[str, str]
    device: str
    threads: int
    wall_s: float
    runs: list[Run]


def parse_record(raw: bytes, file: Path) -> Record:
    """Check ``record.json`` against the schema.

    Raises
    ------
    SourceError : not JSON, or not a record; names the first wrong field.
    """
    try:
        return Record.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "JSON"
        raise SourceError(
            f"запись опыта неверна: {field}: {first['msg']}",
            file,
            english=f"not a record of an experiment: {field}: {first['msg']}",
        ) from None


def code_digest(module: str) -> str:
    """SHA-256 over the sources of ``module`` and of all project modules that it imports.

    Imports are read from the sources, transitively, inside functions too. Line ends do not count.
    The loaders of ``pixgrad.data`` are left out: the fingerprint of what they gave stands for them.
    """
    digest = hashlib.sha256()
    for path in sorted(imported_files(module)):
        name, text = path.relative_to(PACKAGE).as_posix(), path.read_text(encoding="utf-8")
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()


def imported_files(module: str) -> set[Path]:
    """The project files that the computation of ``module`` may execute (see ``code_digest``)."""
    found: set[Path] = set()
    waiting = [module]
    while waiting:
        path = _module_file(waiting.pop())
        if path is None or path in found or path.is_relative_to(PACKAGE / "data"):
            continue
        found.add(path)
        waiting += _imported_names(ast.parse(path.read_text(encoding="utf-8"), path))
    return found


def git_commit(folder: Path = PACKAGE) -> str:
    """The commit of the working tree, with "-dirty" where tracked files differ from it."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN_COMMIT
    return done.stdout.strip()


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, of ``packages`` and of the BLAS kernels that the processor gets."""
    from threadpoolctl import threadpool_info

    blas = [
        f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".strip()
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in packages},
        "blas": ", ".join(sorted(set(blas))),
    }


def device() -> str:
    """The processor's name, as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _module_file(name: str) -> Path | None:
    """The file of a project module, None for anything else (a class, a library)."""
    package, *parts = name.split(".")
    if package != PACKAGE.name:
        return None
    place = PACKAGE.joinpath(*parts)
    candidates = (place / "__init__.py", place.with_suffix(".py")) if parts else ()
    return next((path for path in candidates if path.is_file()), None)


def _imported_names(tree: ast.AST) -> list[str]:
    """Dotted names that a source imports: modules, their packages and what is taken from them."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [
        ".".join(parts[:length])
        for parts in (name.split(".") for name in names if name)
        for length in range(1, len(parts) + 1)
    ]
