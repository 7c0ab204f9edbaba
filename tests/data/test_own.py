"""The reader's own photographs take the place of the book's, with their own names and terms."""

import numpy as np
import pytest
from PIL import Image

from pixgrad import data
from pixgrad.data import own
from pixgrad.errors import PixgradError, SourceError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))
    (tmp_path / "photos").mkdir()
    return tmp_path / "photos"


def draw(path, size=(96, 64), mode="RGB"):
    rng = np.random.default_rng(len(path.name))
    blocks = rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    Image.fromarray(blocks.repeat(8, 0).repeat(8, 1)).convert(mode).save(path)


def fill(folder, *names):
    for name in names or ("b.png", "a.jpg", "c.webp"):
        draw(folder / name)


def test_own_photos_come_first_by_name_and_as_colours(folder):
    (folder.parent / "imagenet_originals").mkdir()
    draw(folder.parent / "imagenet_originals" / "n02123045_tabby.JPEG")
    fill(folder)
    draw(folder / "d.png", mode="L")
    shown = data.load("photos")
    assert shown.origin == "own"
    assert [photo.name for photo in shown] == ["a", "b", "c", "d"]
    assert [photo.image.shape for photo in shown] == 4 * [(64, 96, 3)]
    assert shown[0].source == "собственная фотография, a.jpg"


def test_what_the_table_says_stands_in_their_place(folder):
    fill(folder)
    table = "\N{BOM}file;title;source;licence\r\nb.png;мост;снято нами;CC BY 4.0\r\n"
    (folder / "about.csv").write_text(table, encoding="utf-8", newline="")
    a, b, _ = data.load("photos")
    assert (b.title, b.source, b.licence) == ("мост", "снято нами", "CC BY 4.0")
    assert (a.title, a.licence) == ("a", "права у автора")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("file,title\na.jpg,дом\n", "столбцы должны быть file, title, source, licence"),
        ("file,title,source,licence\nno.jpg,x,y,z\n", "нет фотографии «no.jpg»"),
    ],
)
def test_wrong_table_is_named(folder, table, told):
    fill(folder)
    (folder / "about.csv").write_text(table, "utf-8")
    with pytest.raises(SourceError, match=f"about.csv: {told}"):
        data.load("photos")


def test_too_few_photos_are_refused(folder):
    fill(folder, "a.jpg", "c.png")
    (folder / "b.heic").write_bytes(b"")
    for name in ("photos", "pairs"):
        with pytest.raises(PixgradError, match="фотографий 2, а книге нужно не меньше 3"):
            data.load(name)


def test_camera_photos_are_made_smaller(folder):
    draw(folder / "a.jpg", (2048, 1536))
    fill(folder, "b.png", "c.png")
    assert data.load("photos")[0].image.shape == (768, own.LONGEST, 3)


def test_pairs_are_views_of_the_first_two(folder):
    """Where no measured ones are; a view keeps the name and terms of its photo."""
    fill(folder)
    pairs = data.load("pairs")
    assert pairs.origin == "own" and len(pairs.planar) == len(pairs) == 10
    assert [pair.sequence for pair in pairs] == 5 * ["a"] + 5 * ["b"]
    assert pairs[0].title == "a, синтетический вид\N{NO-BREAK SPACE}2"
    assert pairs[9].source == "собственная фотография, b.png"
