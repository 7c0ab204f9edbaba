"""The ``#|`` cell options that the book knows: name and the type of the value.

Quarto ignores an unknown option without a word; ``freeze`` and ``check`` refuse it.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pixgrad.book.ledger.qmd import Cell, Inline
from pixgrad.book.source.project import cell_options
from pixgrad.errors import SourceError

EXECUTION_DEFAULTS: Mapping[str, Any] = {
    "eval": True,
    "error": False,
    "include": True,
    "echo": True,
    "output": True,
    "warning": True,
}
"""Options that ``execute:`` of ``_quarto.yml`` or of a chapter sets for all cells."""

CELL_OPTIONS: Mapping[str, tuple[type, ...]] = {
    # execution
    "eval": (bool,),
    "error": (bool,),
    "include": (bool,),
    "tags": (list,),
    # what is shown
    "echo": (bool, str),  # true, false, fenced
    "output": (bool, str),  # true, false, asis
    "warning": (bool,),
    "code-fold": (bool, str),  # true, false, show
    "code-summary": (str,),
    "code-line-numbers": (bool, str),
    "code-overflow": (str,),
    "classes": (str, list),
    # labels, captions, alternative text
    "label": (str,),
    "fig-cap": (str, list),
    "fig-subcap": (str, list, bool),
    "fig-alt": (str, list),
    "tbl-cap": (str,),
    "tbl-subcap": (list, bool),
    "tbl-colwidths": (list, str, bool),
    "lst-label": (str,),
    "lst-cap": (str,),
    # what only the div of the cell carries
    "id": (str,),
    "class": (str, list),
    "filename": (str,),
    "code-annotations": (bool, str),
    "fig-width": (float, int),
    "fig-height": (float, int),
    "fig-asp": (float, int),
    "fig-dpi": (int,),
    "fig-format": (str,),
    "fig-pos": (str, bool),
    "fig-env": (str,),
    "fig-scap": (str, list),
    "fig-link": (str, list),
    "fig-responsive": (bool,),
    "out-width": (str, float, int),
    "out-height": (str, float, int),
    "lightbox": (bool, str, dict),
    "message": (bool, str),
    "cache": (bool, str),
    "panel": (str,),
    "output-location": (str,),
    "renderings": (list,),
    "export": (str, list),
    "slideshow": (dict,),
    "html-table-processing": (str,),
    # layout
    "fig-align": (str, list),
    "fig-column": (str,),
    "tbl-column": (str,),
    "layout-border": (str,),
    "cap-location": (str,),
    "fig-cap-location": (str,),
    "tbl-cap-location": (str,),
    "layout": (str, list),
    "layout-ncol": (int,),
    "layout-nrow": (int,),
    "layout-align": (str,),
    "layout-valign": (str,),
    "column": (str,),
}

_WORDS = {"echo": ("fenced",), "output": ("asis",), "code-fold": ("show",)}
_LABEL = re.compile(r"[^\s{}#=,\"']+")


def of_run(
    run: Cell | Inline, file: str, defaults: Mapping[str, Any], strict: bool = True
) -> dict[str, Any]:
    """The options of a cell; code in a line has none and is always evaluated."""
    if isinstance(run, Inline):
        return dict(EXECUTION_DEFAULTS)
    return of_cell(run, file, defaults, strict)


def of_cell(
    cell: Cell, file: str, defaults: Mapping[str, Any], strict: bool = True
) -> dict[str, Any]:
    """The options of a cell, those of ``EXECUTION_DEFAULTS`` always present.

    Parameters
    ----------
    strict : whether a fault is an error; else an unknown option is kept, as in Quarto, and a known
        one with a wrong value has no effect.

    Raises
    ------
    SourceError : an unknown option, a value of another type.
    """
    options, lines = cell_options(cell, file)
    for name, value in list(options.items()):
        try:
            _check_name(name, file, lines[name])
            _check_value(name, value, file, lines[name])
        except SourceError:
            if strict:
                raise
            if name in CELL_OPTIONS:
                del options[name]
    return {**EXECUTION_DEFAULTS, **defaults, **options}


def faults(cell: Cell, file: str) -> Iterator[tuple[SourceError, bool]]:
    """What is wrong with the options of a cell; is it only an unknown one?

    Raises
    ------
    SourceError : they are no YAML.
    """
    for name, line in cell_options(cell, file)[1].items():
        try:
            _check_name(name, file, line)
            _check_value(name, cell_options(cell, file)[0][name], file, line)
        except SourceError as error:
            yield error, name not in CELL_OPTIONS


def _check_name(name: str, file: str, line: int) -> None:
    if name not in CELL_OPTIONS:
        like = get_close_matches(name, CELL_OPTIONS, 1, 0.75)
        hint = f"; похоже на «{like[0]}»" if like else ""
        raise SourceError(f"неизвестная настройка ячейки «{name}»{hint}", file, line)


def _check_value(name: str, value: Any, file: str, line: int) -> None:
    types = CELL_OPTIONS[name]
    fits = isinstance(value, types) and (bool in types or not isinstance(value, bool))
    if fits and isinstance(value, str) and name in _WORDS:
        fits = value in _WORDS[name]
    if not fits:
        words = [*_WORDS.get(name, ()), *(_TYPE_NAMES[one] for one in types)]
        expected = " или ".join(word for word in words if not (word == "текст" and name in _WORDS))
        raise SourceError(f"настройка {name}: ожидалось {expected} вместо {value!r}", file, line)
    if name == "label" and not _LABEL.fullmatch(value):
        raise SourceError(
            f"метка «{value}»: в ней не бывает пробелов, кавычек и знаков {{}}#=,", file, line
        )


_TYPE_NAMES = {
    bool: "true/false",
    str: "текст",
    list: "список",
    int: "целое число",
    float: "число",
    dict: "ключи",
}
