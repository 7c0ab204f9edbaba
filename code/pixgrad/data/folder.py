"""Photos in folders, one folder a class: the reader's own ImageNet classes and Imagenette."""

from collections.abc import Collection
from functools import partial
from pathlib import Path

import numpy as np

from pixgrad.data import files
from pixgrad.data.files import Found
from pixgrad.data.resize import crop_square
from pixgrad.data.splits import carve, select
from pixgrad.data.types import ImageSet
from pixgrad.errors import PixgradError, say

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
IMAGENETTE = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


def image_folder(path: str, split: str = "train", side: int = 160) -> Found:
    """Photos of a folder, cut to squares.

    Parameters
    ----------
    path : a folder with ``CLASS/photo.jpg``, or with ``train/CLASS/…`` and ``val/CLASS/…``
        (the latter is the test part). Without ``val`` 20 % of each class is the test part.
    side : pixels of the side of the square.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise files.missing(
            "imagefolder",
            say("ваши фотографии", "your photos"),
            [folder],
            say("укажите папку с подпапками классов", "name a folder with a folder per class"),
        )
    name = f"imagefolder:{path}"
    return Found("folder", partial(read_folder, name, folder, split, side, "folder"))


def imagenette(split: str = "train", side: int = 160) -> Found:
    """Ten ImageNet classes of fastai's Imagenette, cut to squares."""
    folder = imagenette_folder()
    if folder is None:
        raise files.missing(
            "imagenette",
            say("10 классов ImageNet", "10 classes of ImageNet"),
            [files.root() / "imagenette2-160"],
            files.run("pixgrad fetch imagenette"),
        )
    read = partial(read_folder, "imagenette", folder, split, side, "torchvision")
    return Found("torchvision", read)


def imagenette_folder() -> Path | None:
    """The unpacked Imagenette of any resolution in the data root, if there is one."""
    places = (files.root() / f"imagenette2{size}" for size in ("-160", "-320", ""))
    return next((place for place in places if place.is_dir()), None)


def read_folder(
    name: str,
    folder: Path,
    split: str,
    side: int,
    origin: str,
    only: Collection[str] | None = None,
) -> ImageSet:
    """Read one split of a folder of photos (layouts: see :func:`image_folder`).

    ``only`` keeps the classes whose folders are named so.
    """
    has_parts = (folder / "train").is_dir()
    train = _listed(folder / "train" if has_parts else folder, only)
    classes = sorted({path.parent.name for path in train})
    paths, labels = _labelled(train, classes, folder)
    if has_parts and split == "test":
        paths, labels = _labelled(_listed(folder / "val", only), classes, folder)
    elif not has_parts:
        part = carve(labels) == (split == "test")
        paths, labels = paths[part], labels[part]
    keep = select(split, labels)
    images = [
        crop_square(files.decode_image(files.read_bytes(path), path, "RGB"), side)
        for path in paths[keep]
    ]
    names = tuple(IMAGENETTE.get(cls, cls) for cls in classes)
    return ImageSet(name, split, np.stack(images), labels[keep], names, origin)


def _listed(folder: Path, only: Collection[str] | None) -> list[Path]:
    photos = [
        path
        for path in sorted(folder.glob("*/*"))
        if path.suffix.lower() in SUFFIXES and (only is None or path.parent.name in only)
    ]
    if not photos:
        raise PixgradError(
            f"в {folder} нет фотографий вида КЛАСС/фото.jpg",
            f"no photos CLASS/photo.jpg in {folder}",
        )
    return photos


def _labelled(photos: list[Path], classes: list[str], folder: Path):
    unknown = sorted({path.parent.name for path in photos} - set(classes))
    if unknown:
        raise PixgradError(
            f"{folder}: класс «{unknown[0]}» есть в val, но не в train",
            f"{folder}: the class '{unknown[0]}' is in val and not in train",
        )
    labels = np.array([classes.index(path.parent.name) for path in photos], dtype=np.int64)
    return np.array(photos, dtype=object), labels
