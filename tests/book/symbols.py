"""Formulas in TeX cut into symbols: letters with their decoration, operators and words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

FONTS = {"mathbf", "mathcal", "mathbb", "boldsymbol"}
ACCENTS = {"hat", "bar", "tilde", "widetilde", "check"}
WORDS = {"operatorname", "mathrm"}
PLAIN = re.compile(
    "frac|tfrac|binom|sqrt|sum|prod|int|lim|left|right|[Bb]igg?[lr]?|big|Big|underbrace|"
    "xrightarrow|textstyle|quad|qquad|l?dots|cdots|cdot|times|pm|mp|pmod|leq?|geq?|ll|gg|in|ni|to|"
    "infty|Longrightarrow|min|max|arg|ln|exp|sin|cos|tanh|rVert|rvert|rangle|rfloor|rceil|sim"
)
"""Commands without a meaning to look up: shape of the formula, school signs, closing brackets."""
DROPPED = re.compile(r"\\(?:text|begin|end)\{[^}]*\}")


class Symbol(NamedTuple):
    r"""What a reader looks up: ``\mathbf x``, ``\hat m``, ``IoU``; ``d·`` stands before a letter.

    ``index`` is its lower index up to the first comma, ``""`` if it has none.
    """

    name: str
    index: str = ""


def argument(tex: str, at: int) -> tuple[str, int]:
    """What a command or an index at ``at`` applies to, and where that ends."""
    at += len(tex[at:]) - len(tex[at:].lstrip())
    if tex[at : at + 1] != "{":
        found = re.match(r"\\(?:[A-Za-z]+|.)|.|", tex[at:], re.S).group()
        if found[1:] in FONTS | ACCENTS | WORDS:
            inner, end = argument(tex, at + len(found))
            return f"{found}{{{inner}}}", end
        return found, at + len(found)
    depth = 0
    for end in range(at, len(tex)):
        depth += (tex[end] == "{") - (tex[end] == "}")
        if not depth:
            return tex[at + 1 : end], end + 1
    raise ValueError(f"no closing brace: {tex[at:]}")


def symbols(tex: str) -> Iterator[Symbol]:
    r"""Symbols of a formula in its order; Latin letters in a lower index are names, not symbols."""
    at = 0
    while at < len(tex):
        found, at = _head(tex, at)
        if found is None:
            continue
        index, above, at = _scripts(tex, at)
        if found:
            yield Symbol(found, re.sub(r"\\[,;! ]|\s", "", index).split(",")[0])
        for script in above:
            yield from symbols(script)
        yield from (one for one in symbols(index) if "\\" in one.name)


def _head(tex: str, at: int) -> tuple[str | None, int]:
    """Name of the symbol at ``at``: None if there is none, ``""`` for what only carries scripts."""
    if dropped := DROPPED.match(tex, at):
        return "", dropped.end()
    if command := re.compile(r"\\([A-Za-z]+)").match(tex, at):
        name, end = command[1], command.end()
        if name in FONTS | ACCENTS:
            inner, end = argument(tex, end)
            return rf"\{name} {' '.join(one.name for one in symbols(inner)) or inner}", end
        if name in WORDS:
            word, end = argument(tex, end)
            name = word if len(word) > 1 else rf"\mathrm {word}"
            return (name if word.isascii() else ""), end
        return ("" if PLAIN.fullmatch(name) else rf"\{name}"), end
    if re.compile(r"d(?=[A-Za-z]|\\(?!cdot|[,;!]))").match(tex, at):
        return "d·", at + 1
    if tex[at] in ")]}|":
        return "", at + 1
    if tex[at] in "_^'":
        return "", at
    if tex[at] == "\\":
        return None, at + 2
    return (tex[at] if tex[at].isalpha() else None), at + 1


def _scripts(tex: str, at: int) -> tuple[str, list[str], int]:
    """Lower index, upper ones and the end of what stands beside the head that ends at ``at``."""
    index, above = "", []
    while sign := re.compile(r"\s*([_^'])").match(tex, at):
        at = sign.end()
        if sign[1] == "_":
            index, at = argument(tex, at)
        elif sign[1] == "^":
            script, at = argument(tex, at)
            above.append(script)
    return index, above, at
