"""What kind of value each setting has that the book reads: another is refused with its line.

Quarto's own schema says the same; what it leaves to the formats is not looked at.
"""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from pixgrad.errors import SourceError

_KINDS: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "text": ("текст", (str, int, float, datetime.date)),
    "word": ("текст", (str,)),
    "number": ("число", (int, float)),
    "whole": ("целое число", (int,)),
    "flag": ("true/false", (bool,)),
    "texts": ("список", (list,)),
    "lists": ("список", (list,)),
    "keys": ("ключи", (Mapping,)),
}
_COMMON = {  # at the top of _quarto.yml, below a format, in a chapter
    "word": "lang csl dir fig-format",
    "text": "subtitle date abstract abstract-title toc-title code-summary "
    "output-file code-overflow",
    "text texts": "bibliography css keywords",
    "text texts keys": "author authors theme include-in-header include-before-body "
    "include-after-body",
    "whole": "toc-depth number-depth fig-dpi",
    "number": "fig-width fig-height",
    "flag": "toc number-sections eval error include",
    "flag text": "code-fold code-line-numbers echo output warning",
    "flag keys": "crossref",
    "keys": "execute params",
    "flag word keys": "jupyter",
}
_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "": {
        **_COMMON,
        "text": _COMMON["text"] + " title",
        "word keys": "language format profile",
        "text texts": _COMMON["text texts"] + " metadata-files",
        "keys": _COMMON["keys"] + " project book pixgrad",
    },
    "project": {
        "word": "type execute-dir",
        "text": "output-dir title lib-dir",
        "text texts": "pre-render post-render resources render",
    },
    "book": {
        "text": "title subtitle date description repo-url repo-branch repo-subdir site-url "
        "output-file favicon cover-image cover-image-alt issue-url",
        "text texts keys": "author",
        "text texts": "downloads",
        "flag text texts": "repo-actions",
        "flag keys": "search open-graph",
        "flag text keys": "page-footer",
    },
    "execute": {
        "flag": "eval error include enabled",
        "flag text": "echo output warning freeze cache",
    },
    "format": {"flag word keys": "html typst"},
    "format.html": _COMMON,
    "format.typst": _COMMON,
    "jupyter": {"keys": "kernelspec"},
    "profile": {"text texts": "default", "text lists": "group"},
    "pixgrad": {
        "text": "release",
        "texts": "readers",
        "text texts": "reports",
        "keys": "notebooks",
    },
    "pixgrad.notebooks": {"keys": "every importing"},
}
_OF_KEY: Mapping[tuple[str, ...], tuple[str, ...]] = {
    (*filter(None, scope.split(".")), name): tuple(kinds.split())
    for scope, by_kind in _SETTINGS.items()
    for kinds, names in by_kind.items()
    for name in names.split()
}


def require(given: Mapping[str, Any], lines: Mapping[tuple, int], file: str) -> None:
    """Refuse a setting whose value is of a wrong kind.

    Parameters
    ----------
    given : the settings of a file; nothing is a value of any kind.
    lines : the line of each key path.

    Raises
    ------
    SourceError : the first setting of a wrong kind.
    """
    for path, value in _values(given):
        if not any(_fits(value, kind) for kind in _OF_KEY[path]):
            wanted = " или ".join(_KINDS[kind][0] for kind in _OF_KEY[path])
            shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:60] + "…"
            message = f"{path[-1]}: ожидалось значение вида «{wanted}» вместо {shown}"
            raise SourceError(message, file, lines.get(path))


def _values(given: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple, Any]]:
    for name, value in given.items():
        path = (*above, name)
        if value is None:
            continue
        if path in _OF_KEY:
            yield path, value
        if isinstance(value, Mapping):
            yield from _values(value, path)


def _fits(value: Any, kind: str) -> bool:
    types = _KINDS[kind][1]
    if isinstance(value, bool):
        return bool in types
    if kind == "texts":
        return isinstance(value, list) and all(_is_item(one) for one in value)
    return isinstance(value, types)


def _is_item(one: Any) -> bool:
    return one is None or isinstance(one, Mapping) or _fits(one, "text")
