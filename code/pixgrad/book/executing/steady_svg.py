"""Matplotlib's SVG without what the rounding of one processor or another leaves in it."""

import hashlib
import re

_MADE_BY = "<dc:title>Matplotlib v"
_LONG = re.compile(r'(?<=[ "])(?:-?\d+\.\d{3,}|-0)(?=[ "\n])')
"""A coordinate; a scale or an angle ends with a bracket, a width with a semicolon."""
_MOVED = re.compile(r"(?<=translate\()[^)]*(?=\))")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_NAMED = re.compile(r' id="(\w*?[0-9a-f]{10})"')


def steady(svg: str) -> str:
    """The same picture, with the same bytes from any processor.

    Coordinates are rounded to a hundredth of a point. Matplotlib names clips and markers by a
    digest of numbers with all their digits; here they get the digest of all that is drawn, so that
    names of two pictures on a page differ, and their order. Another program's SVG stays as it is.
    """
    if _MADE_BY not in svg:
        return svg
    svg = _MOVED.sub(lambda found: _NUMBER.sub(_rounded, found.group()), _LONG.sub(_rounded, svg))
    names = list(dict.fromkeys(_NAMED.findall(svg)))
    if not names:
        return svg
    order = {name: f"\0{number}" for number, name in enumerate(names)}
    used = re.compile('(?<=["#])(?:' + "|".join(map(re.escape, names)) + ')(?=[")])')
    svg = used.sub(lambda found: order[found.group()], svg)
    return svg.replace("\0", f"s{hashlib.sha256(svg.encode()).hexdigest()[:8]}-")


def _rounded(found: re.Match) -> str:
    text = f"{float(found.group()):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
