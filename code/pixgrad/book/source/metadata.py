"""What ``_quarto.yml`` says together with the files beside it, and what a chapter says besides.

As in Quarto later layers win key by key, and their lists are added: ``_quarto.yml`` with its
``metadata-files``, ``_quarto-<profile>.yml``, ``_quarto.yml.local``; for a chapter then the
``_metadata.yml`` of each folder down to it, and its front matter.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pixgrad.book.source import shapes
from pixgrad.errors import SourceError

CONFIG = "_quarto.yml"
ENVIRONMENT = "_environment"
FOLDER_METADATA = "_metadata.yml"
_REPLACED = ("bibliography", "csl", "theme", "author", "code-links")
"""Lists of a later layer that take the place of the former ones."""


class Place(NamedTuple):
    """Where a key stands."""

    file: str
    line: int


Layer = tuple[dict[str, Any], dict[tuple, Place]]
"""A mapping, and the place of each of its key paths."""


def read(root: Path) -> Layer:
    """The configuration of the project in ``root``; errors as of ``load_yaml``."""
    config, places = file(root, CONFIG)
    names = texts(config.get("metadata-files"))
    names += [f"_quarto-{name}.yml" for name in profiles(config)] + [f"{CONFIG}.local"]
    for name in names:
        if (root / name).is_file():
            layer, its_places = file(root, name)
            config = merged(config, layer)
            places = {**its_places, **places}
    return config, places


def file(root: Path, name: str) -> Layer:
    """The settings of a file and their places; errors as of ``load_yaml`` and ``shapes``."""
    value, lines = load_yaml((root / name).read_text("utf-8-sig"), name)
    shapes.require(value, lines, name)
    return value, {path: Place(name, line) for path, line in lines.items()}


def profiles(config: Mapping[str, Any]) -> list[str]:
    """The active profiles: of ``$QUARTO_PROFILE``, else the default, else one of each group."""
    asked = os.environ.get("QUARTO_PROFILE")
    if asked:
        return [name for name in asked.replace(",", " ").split() if name]
    profile = config.get("profile")
    if not isinstance(profile, Mapping):
        return []
    names = texts(profile.get("default"))
    groups = profile.get("group") or []
    for group in groups if groups and isinstance(groups[0], list) else [groups]:
        members = texts(group)
        if members and not set(names) & set(members):
            names.append(members[0])
    return names


def of_folder(root: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """``_metadata.yml`` of the project's folders down to ``folder`` (relative), outermost first."""
    for place in [*reversed(folder.parents), folder]:
        name = (place / FOLDER_METADATA).as_posix()
        if (root / name).is_file():
            yield file(root, name)[0]


def merged(base: Any, over: Any) -> Any:
    """``base`` with the keys of ``over``; lists are added, all else is replaced."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        result = dict(base)
        for key, value in over.items():
            is_new = key not in base or base[key] is None or key in _REPLACED
            result[key] = value if is_new else merged(base[key], value)
        return result
    if isinstance(base, list) and isinstance(over, list):
        return [*base, *(one for one in over if one not in base)]
    return over


def texts(given: Any) -> list[str]:
    """One text or a list of them as a list."""
    listed = given if isinstance(given, list) else [given]
    return [str(one) for one in listed if one]


def of_format(layer: Mapping[str, Any], *formats: str) -> dict[str, Any]:
    """A layer as a format sees it: the keys below the format's name win."""
    given = layer.get("format")
    result = dict(layer)
    for name in formats:
        own = given.get(name) if isinstance(given, Mapping) else None
        if isinstance(own, Mapping):
            result = merged(result, own)
    return result


def environment(root: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """The variables of ``_environment``, of the profiles' files and of ``_environment.local``."""
    names = [ENVIRONMENT, *(f"{ENVIRONMENT}-{name}" for name in profiles(config))]
    variables: dict[str, str] = {}
    for name in [*names, f"{ENVIRONMENT}.local"]:
        if (root / name).is_file():
            variables |= _variables((root / name).read_text("utf-8"), name)
    if profiles(config):
        variables["QUARTO_PROFILE"] = ",".join(profiles(config))
    return variables


def load_yaml(text: str, file: str, first_line: int = 1) -> tuple[dict, dict[tuple, int]]:
    """A YAML mapping and the line of each key path; duplicate keys and broken syntax are errors."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + first_line if mark else None
        raise SourceError(f"ошибка YAML: {error.problem or error.context}", file, line) from None
    except yaml.YAMLError as error:
        raise SourceError(f"ошибка YAML: {str(error).splitlines()[0]}", file, first_line) from None
    if value is None:
        return {}, {}
    if not isinstance(value, dict):
        raise SourceError("ожидались строки «ключ: значение»", file, first_line)
    lines: dict[tuple, int] = {}
    _key_lines(node, (), lines, file, first_line)
    return value, lines


def _key_lines(node, path: tuple, lines: dict[tuple, int], file: str, first_line: int) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, key.value)
            if here in lines:
                raise SourceError(
                    f"ключ «{key.value}» задан дважды", file, key.start_mark.line + first_line
                )
            lines[here] = key.start_mark.line + first_line
            _key_lines(value, here, lines, file, first_line)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + first_line
            _key_lines(value, (*path, index), lines, file, first_line)


def _variables(text: str, file: str) -> dict[str, str]:
    variables = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.removeprefix("export ").partition("=")
        if not equals or not name.strip().isidentifier():
            raise SourceError(f"ожидалось ИМЯ=значение вместо «{line}»", file, number)
        variables[name.strip()] = "".join(shlex.split(value, comments=True, posix=True))
    return variables
