"""Plots of the chapters for the site: lighter, and for both themes.

An SVG in a page follows the page's ``color-scheme``, so a media query inside it is enough. Pictures
with pixels inside (confusion matrices, kernels) stay as they are: what is written over a pixel
would lose its contrast.
"""

import re

DARK = {
    "ffffff": "#15181c",
    "000000": "#e3e6ea",
    "222222": "#e3e6ea",
    "1f2328": "#e3e6ea",
    "444444": "#b4bbc4",
    "57606a": "#a3abb5",
    "8c939c": "#98a0aa",
    "999999": "#98a0aa",
    "b5bac2": "#68717b",
    "d9d9d9": "#3f464e",
    "dddddd": "#343a42",
    "eeeeee": "#262b31",
    # The palette of figures.mplstyle, as light as a dark ground needs
    "0072b2": "#4ba3e3",
    "cc3311": "#ff7a66",
    "009e73": "#2fc497",
    "cc79a7": "#e6a0c8",
    "e69f00": "#f2b632",
    "56b4e9": "#a5dcff",
}
"""Colour of a plot on white -> its colour on the dark page."""

_COLOUR = re.compile(r"(?<=: )#([0-9a-f]{6})(?=[;\"])", re.I)
_STYLE = '<style type="text/css">'
_LONG = re.compile(r'(?<=[ "])(-?\d+\.\d\d)\d+(?=[ "\n])')  # a coordinate, not a scale in brackets
_TOP = re.compile(r"<!DOCTYPE[^>]*>|<metadata>.*?</metadata>|\n *(?=<)", re.S)


def has_pixels(svg: str) -> bool:
    return "<image" in svg


def lightened(svg: str) -> str:
    """A Matplotlib SVG with coordinates to a hundredth of a point and without its metadata."""
    return _LONG.sub(r"\1", _TOP.sub("", svg)) if _STYLE in svg else svg


def themed(svg: str) -> str:
    """A Matplotlib SVG whose colours follow ``prefers-color-scheme``; others unchanged."""
    if has_pixels(svg) or _STYLE not in svg:
        return svg

    def variable(match: re.Match) -> str:
        name = match[1].lower()
        return f"var(--c{name}, #{name})" if name in DARK else match[0]

    rules = "".join(f"--c{name}:{dark};" for name, dark in DARK.items())
    query = f"@media (prefers-color-scheme: dark){{svg{{fill:{DARK['000000']};{rules}}}}}"
    return _COLOUR.sub(variable, svg).replace(_STYLE, _STYLE + query, 1)
