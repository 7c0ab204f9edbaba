"""The ``#|`` cell options that the book knows: name and the type of the value.

Quarto ignores an unknown option without a word; ``freeze`` and ``check`` refuse it.
"""

from __future__ import annotations

from collections.abc import Mapping

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
    # layout
    "fig-align": (str,),
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
