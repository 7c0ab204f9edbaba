"""The first page: its cover and the words of its findings."""

import numpy as np
import pandas as pd
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


def twins(deep: float, shallow: float) -> pd.DataFrame:
    """Three runs a network; plain losses are larger by so much, each a little differently."""
    rows = [
        (depth, skip, seed, 1 + 0.01 * seed + 0.002 * seed * skip + (0 if skip else gap))
        for depth, gap in ((56, deep), (20, shallow))
        for skip in (False, True)
        for seed in (1, 2, 3)
    ]
    return pd.DataFrame(rows, columns=["depth", "skip", "seed", "train_loss"])


@pytest.mark.parametrize(
    ("deep", "shallow", "finding"),
    [
        (0.9, 0.1, "Пропускные связи помогают учиться тем больше, чем глубже сеть."),
        (0.5, 0.5, "Пропускные связи помогают глубокой сети учиться."),
        (0.1, 0.9, "Пропускные связи помогают учиться, мелкой сети даже больше."),
        (0.004, 0.9, "Пользы пропускных связей для глубокой сети мы не увидели."),
        (-0.5, 0.5, "Без пропускных связей глубокая сеть выучила больше."),
    ],
)
def test_the_finding_on_skip_connections_follows_the_numbers(deep, shallow, finding):
    told = front.skip_connections(twins(deep, shallow), 2820).replace("\N{NO-BREAK SPACE}", " ")
    assert told.startswith(f"**{finding}** За 2820 шагов")
    sign = "меньше на" if deep > 0.1 - 1e-9 else "больше на" if deep < 0 else "разница не видна"
    assert f"близнецом: {sign}" in told


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
