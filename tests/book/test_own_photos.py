"""With photographs that the book has never seen no sentence tells of the book's own ones.

What a chapter says of its photos is printed by cells from the data; here these cells run with
pictures that are drawn. Captions cannot know whose photo they stand under and point to a section.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixgrad.book.ledger import qmd

ROOT = Path(__file__).parent.parent.parent
TELLING = {
    "01-sift-opencv": ("import os", "text.credits(photos)", 'data.load("pairs").planar'),
    "02-sift-anatomy": ("import matplotlib", "text.credits([shot])"),
    "03-sift-backprop": ("import matplotlib", "half_pixel_views", "text.credits([detailed"),
}
"""Chapter → what its cells with such sentences contain, and those that they need."""
OF_THE_BOOK = re.compile(r"ImageNet|Oxford|[Лл]одк|[Гг]раффити|церк|пожарн|кошк|павлин|некоммерч")
CAPTION = re.compile(r"^#\| fig-(?:cap|alt): .*$", re.M)
SHOWS_PHOTOS = ("01", "02", "03", "04", "10", "15")


@pytest.fixture
def own_photos(tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        blocks = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(blocks).resize((256, 192), Image.BICUBIC).save(folder / f"{number}.png")
    about = "file,title,source,licence\n0.png,забор,наш двор,CC0\n1.png,лестница,наш двор,CC0\n"
    (folder / "about.csv").write_text(about, "utf-8")
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))


@pytest.mark.parametrize("chapter", TELLING)
def test_sentences_tell_of_the_readers_photos(chapter, own_photos, monkeypatch):
    monkeypatch.setenv("OPENCV_CPU_DISABLE", "")  # the chapter sets it for its own process
    cells = [cell.source for cell in qmd.read(ROOT / "chapters" / f"{chapter}.qmd").runs]
    said, names = io.StringIO(), {}
    for mark in TELLING[chapter]:
        (source,) = [source for source in cells if mark in source]
        with contextlib.redirect_stdout(said):
            exec(compile(source, chapter, "exec"), names)
    assert "наш двор" in said.getvalue() and "Условия: CC0." in said.getvalue()
    assert not OF_THE_BOOK.findall(said.getvalue()), said.getvalue()


@pytest.mark.parametrize("chapter", SHOWS_PHOTOS)
def test_captions_do_not_name_what_is_shown(chapter):
    (path,) = (ROOT / "chapters").glob(f"{chapter}-*.qmd")
    for caption in CAPTION.findall(path.read_text("utf-8")):
        assert not OF_THE_BOOK.search(caption), caption
