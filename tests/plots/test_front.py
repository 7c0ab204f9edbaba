"""The first page: its cover and the words of its findings."""

import numpy as np
import pytest
from PIL import Image

from pixgrad.plots import cover, front

POINTS = ("точка", "точки", "точек")


@pytest.mark.parametrize(
    ("count", "total", "words"),
    [(559, 559, "все 559 точек"), (21, 22, "21 точка из 22")],
)
def test_of_all(count, total, words):
    assert front.of_all(count, total, *POINTS).replace("\N{NO-BREAK SPACE}", " ") == words


def test_the_cover_begins_with_large_pixels_and_ends_in_the_dark(tmp_path):
    pytest.importorskip("skimage")
    path = tmp_path / "cover.jpg"
    cover.draw(path)
    with Image.open(path) as opened:
        picture = np.asarray(opened.convert("L"), dtype=float)
    assert picture.shape == (cover.HEIGHT, cover.WIDTH)
    assert path.stat().st_size < 150_000
    block = picture[8:56, 8:56]  # inside one pixel of 64
    assert block.std() < 3
    assert np.median(picture[:, -200:]) < 45 < np.median(picture[:, :200])
