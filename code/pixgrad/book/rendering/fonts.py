"""The typefaces of the site: cut down to the characters in use while rendering, none committed.

Text is set in Gentium Book Plus, headings, tables and controls in Source Sans 3 (both from the
package ``rendercv-fonts``), formulas in STIX Two Math (from ``ziamath``; without a font that has a
MATH table brackets would not grow). All are under the SIL Open Font License, copied beside them.
"""

import base64
import io
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pixgrad import files

FACES = {
    "text-regular": ("rendercv_fonts", "Gentium Book Plus/GentiumBookPlus-Regular.ttf"),
    "text-italic": ("rendercv_fonts", "Gentium Book Plus/GentiumBookPlus-Italic.ttf"),
    "text-bold": ("rendercv_fonts", "Gentium Book Plus/GentiumBookPlus-Bold.ttf"),
    "sans-regular": ("rendercv_fonts", "Source Sans 3/SourceSans3-Regular.ttf"),
    "sans-bold": ("rendercv_fonts", "Source Sans 3/SourceSans3-Bold.ttf"),
    "math": ("ziamath", "fonts/STIXTwoMath-Regular.ttf"),
}
"""Name of the WOFF2 in the site -> (package, file in it)."""

_LICENCES = {
    "OFL-GentiumBookPlus.txt": ("rendercv_fonts", "Gentium Book Plus/OFL.txt"),
    "OFL-SourceSans3.txt": ("rendercv_fonts", "Source Sans 3/OFL.txt"),
}
_STIX = (
    "STIX Two Math: Copyright 2001-2021 The STIX Fonts Project Authors, SIL Open Font License 1.1\n"
)

_RANGES = [(0x20, 0x7F), (0xA0, 0x100), (0x410, 0x450)]  # Latin, signs, Russian
_MATH_RANGES = [(0x391, 0x3CA), (0x1D434, 0x1D468), (0x1D6E2, 0x1D71C)]  # Greek, italic letters
_MATH_SIGNS = [(0x2190, 0x2300), (0x27E8, 0x27EA), (0x1D400, 0x1D434)]
_MORE = "Ёё–—‘’“”„…№−×·•←↑→↓≈≠≤≥∞ℎℓ‖′\u2009\u202f\u2011\u2061"
_FEATURES = ["kern", "liga", "locl", "mark", "mkmk", "ccmp", "tnum", "lnum", "ssty"]


def write(folder: Path, used: Iterable[str] = (), cached: Callable[..., str] | None = None) -> None:
    """Write the faces as WOFF2 and their licences into ``folder``.

    Parameters
    ----------
    used : characters of the pages, if known; Russian and Latin letters and the usual signs are
        always kept.
    cached : ``cached(what, key, make)`` gives ``make()``, or what it gave before for the same key.
    """
    for name, (package, path) in FACES.items():
        font, wanted = _file(package, path), sorted({*used, *_always(name, bool(used))})

        def make(font: Path = font, wanted: list[str] = wanted) -> str:
            return base64.b64encode(_subset(font, wanted)).decode()

        key = [font.stat().st_size, "".join(wanted)]
        encoded = cached(f"font-{name}", key, make) if cached else make()
        files.write(folder / f"{name}.woff2", base64.b64decode(encoded))
    for name, place in _LICENCES.items():
        files.write(folder / name, _file(*place).read_bytes())
    licence = _file(*_LICENCES["OFL-SourceSans3.txt"]).read_text("utf-8")
    files.write(folder / "OFL-STIXTwoMath.txt", _STIX + licence[licence.index("\n") :])


def _file(package: str, name: str) -> Path:
    return Path(find_spec(package).origin).parent / name


def _always(name: str, is_known: bool) -> str:
    """Kept whatever the pages use; all signs of mathematics if that is not known."""
    ranges = [*_RANGES]
    if name == "math":
        ranges += _MATH_RANGES if is_known else _MATH_RANGES + _MATH_SIGNS
    return _MORE + "".join(chr(code) for start, end in ranges for code in range(start, end))


def _subset(path: Path, characters: list[str]) -> bytes:
    from fontTools import subset
    from fontTools.ttLib import TTFont

    options: Any = subset.Options(layout_features=_FEATURES, hinting=False, notdef_outline=True)
    options.drop_tables += ["Silf", "Sill", "Glat", "Gloc", "Feat"]  # Graphite
    options.name_IDs = [0, 1, 2, 13, 14]  # copyright and licence stay in the file
    font = TTFont(path, lazy=True)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=map(ord, characters))
    cutter.subset(font)
    font.flavor = "woff2"
    stream = io.BytesIO()
    font.save(stream)
    return stream.getvalue()
