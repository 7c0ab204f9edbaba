"""Data of the site's living figures, written beside the still picture of the same figure.

A cell draws an ordinary figure; the next one ends with ``living.data(label, kind, payload)``. On
the site ``chapters/living/KIND.js`` finds the data and replaces the still picture. The PDF shows
the picture, a notebook the picture and the data. Quarto and the embedded engine both copy the
scripts and the style that the HTML names.
"""

import base64
import io
import json
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

SCRIPTS = "living"
"""Folder of the scripts, seen from a chapter."""
LIMIT = 60_000
"""Bytes that a figure's data may take."""


class Living:
    """Data of a living figure; as Markdown, which other formats show, it is empty."""

    def __init__(self, html: str) -> None:
        self._html = html

    def _repr_html_(self) -> str:
        return self._html

    def _repr_markdown_(self) -> str:
        return ""


def data(label: str, kind: str, payload: Mapping[str, Any]) -> Living:
    """What the last line of a cell gives the site for a living figure.

    Parameters
    ----------
    label : of the figure whose picture is replaced, ``"fig-ravine"``.
    kind : name of its script in ``chapters/living``.
    payload : JSON; numbers already rounded.

    Data of more than ``LIMIT`` bytes are warned of: another photo than the book's may need more.
    """
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    size = len(text.encode())
    if size > LIMIT:
        warnings.warn(f"данные рисунка {label} занимают {size} байт; можно {LIMIT}", stacklevel=2)
    attribute = text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#39;")
    return Living(
        f'<link rel="stylesheet" href="{SCRIPTS}/living.css">\n'
        # In an attribute, as Quarto's search would find the text of a script.
        f'<script type="application/json" class="living" data-for="{label}" data-kind="{kind}" '
        f"data-payload='{attribute}'></script>\n"
        f'<script defer src="{SCRIPTS}/living.js"></script>\n'
        f'<script defer src="{SCRIPTS}/{kind}.js"></script>'
    )


def picture(image: np.ndarray, quality: int = 40, width: int | None = None) -> dict[str, Any]:
    """A photo as a WebP in a data address, with the size in which coordinates are given.

    Parameters
    ----------
    image : (H, W) or (H, W, 3), uint8.
    quality : 0 … 100.
    width : pixels of the WebP itself; by default those of the image.
    """
    packed, drawn = io.BytesIO(), Image.fromarray(image)
    if width is not None:
        drawn = drawn.resize((width, round(width * drawn.height / drawn.width)), Image.LANCZOS)
    drawn.save(packed, "WEBP", quality=quality, method=6)
    address = "data:image/webp;base64," + base64.b64encode(packed.getvalue()).decode()
    return {"src": address, "width": image.shape[1], "height": image.shape[0]}
