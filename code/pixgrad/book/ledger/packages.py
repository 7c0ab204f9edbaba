"""Versions of the installed packages that a chapter imported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from pixgrad.book.ledger.units import is_standard

_INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.(?:dist|egg)-info")


def of_modules(names: Iterable[str]) -> dict[str, str]:
    """Package -> version of those that give these top-level modules; the same Python imports them.

    Modules that belong to no package are left out.
    """
    providers = metadata.packages_distributions()
    packages = {one for name in names if not is_standard(name) for one in providers.get(name, ())}
    return {_normal(name): metadata.version(name) for name in sorted(packages)}


def changes(recorded: Mapping[str, str], folders: Iterable[Path]) -> list[str]:
    """What is installed in another version now; what is not installed says nothing.

    Parameters
    ----------
    folders : ``site-packages``, the first ones win. Nothing is imported: any Python can ask.
    """
    installed: dict[str, str] = {}
    for folder in folders:
        for path in folder.glob("*-info"):
            found = _INFO.fullmatch(path.name)
            if found:
                installed.setdefault(_normal(found["name"]), found["version"])
    return [
        f"{name} {version} → {installed[name]}"
        for name, version in recorded.items()
        if installed.get(name, version) != version
    ]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
