"""Downloads: what torchvision is asked for, and that the loaders find what it left."""

import gzip
import struct

import numpy as np
import pytest

datasets = pytest.importorskip("torchvision.datasets")

from pixgrad import data  # noqa: E402  (needs torchvision)
from pixgrad.data.fetch import FETCHED, fetch  # noqa: E402
from pixgrad.errors import PixgradError  # noqa: E402

CLASSES = {
    "mnist": "MNIST",
    "fashion": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "imagenette": "Imagenette",
}


@pytest.mark.parametrize("name", FETCHED)
def test_each_set_is_downloaded_once_into_the_data_root(tmp_path, monkeypatch, name):
    asked = []

    def download(root, **options):
        assert root.is_dir()
        asked.append((root, options))

    monkeypatch.setattr(datasets, CLASSES[name], download)
    fetch(name, tmp_path / "new" / "root")
    part = {"split": "train", "size": "160px"} if name == "imagenette" else {}
    assert asked == [(tmp_path / "new" / "root", {**part, "download": True})]


@pytest.mark.parametrize(("name", "cls"), [("mnist", "MNIST"), ("fashion", "FashionMNIST")])
def test_loader_finds_what_torchvision_left(tmp_path, monkeypatch, name, cls):
    if name == "fashion":  # a system-wide copy would come first
        monkeypatch.setattr("pixgrad.data.idx.Path", lambda path: tmp_path / "nothing")
    images = np.random.default_rng(0).integers(0, 256, (10, 28, 28), dtype=np.uint8)
    labels = np.repeat(np.arange(2, dtype=np.uint8), 5)

    def download(self):
        from pathlib import Path

        folder = Path(self.raw_folder)
        folder.mkdir(parents=True)
        for part in ("train", "t10k"):
            for stem, array in (("images-idx3", images), ("labels-idx1", labels)):
                head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
                raw = head + array.tobytes()
                (folder / f"{part}-{stem}-ubyte").write_bytes(raw)
                (folder / f"{part}-{stem}-ubyte.gz").write_bytes(gzip.compress(raw))

    monkeypatch.setattr(getattr(datasets, cls), "download", download)
    fetch(name, tmp_path)
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))
    found = data.load(name, split="test")
    assert found.origin == "torchvision"
    np.testing.assert_array_equal(found.images, images)


def test_loaders_send_only_to_sets_that_can_be_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path))
    sent = set()
    for name in data.SOURCES:
        try:
            data.load(name)
        except PixgradError as error:
            sent |= {word for word in CLASSES if f"pixgrad fetch {word}" in str(error)}
            assert f"pixgrad fetch {name}" not in str(error) or name in FETCHED
    assert sent >= {"mnist", "cifar10", "cifar100", "imagenette"}


def test_what_cannot_be_downloaded_is_named(tmp_path):
    with pytest.raises(PixgradError, match="«cars196» скачать нельзя; скачиваются: mnist"):
        fetch("cars196", tmp_path / "root")
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("error", [OSError("no route\nto host"), RuntimeError("no route\nhash")])
def test_a_failed_download_is_one_line(tmp_path, monkeypatch, error):
    def download(root, **options):
        raise error

    monkeypatch.setattr(datasets, "CIFAR10", download)
    with pytest.raises(PixgradError) as caught:
        fetch("cifar10", tmp_path)
    assert str(caught.value) == f"«cifar10» не скачивается в {tmp_path}: no route"
