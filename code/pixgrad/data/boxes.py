"""Photos with boxes around objects: BCCD, and the user's own in the layouts of VOC and COCO.

Annotations by hand have mistakes. A box that nothing can be learned from is left out and listed in
``BoxSet.faults``; one that reaches over the edge of its photo is cut.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from pixgrad.data import files
from pixgrad.data.files import Found
from pixgrad.data.resize import squash_square
from pixgrad.data.splits import carve, select
from pixgrad.data.types import BoxSet, Fault
from pixgrad.errors import PixgradError, SourceError, say

SIDE = 224
PARTS = {"train": "train", "validation": "val", "trainval": "trainval", "test": "test"}
"""Our splits and the lists of photos that VOC's layout has for them."""


def bccd(split: str = "train", side: int = SIDE) -> Found:
    """Blood cells: 364 photos of a microscope, 205 + 87 to learn from, 72 to test."""
    folder = files.root() / "bccd" / "BCCD"
    if not folder.is_dir():
        raise files.missing(
            "bccd",
            say("клетки крови с рамками", "blood cells with boxes"),
            [folder],
            say(
                "git clone https://github.com/Shenggan/BCCD_Dataset bccd в папке данных "
                "(её задаёт PIXGRAD_DATA) или возьмите источник scenes",
                "git clone https://github.com/Shenggan/BCCD_Dataset bccd in the data root "
                "(which PIXGRAD_DATA sets), or take the source scenes",
            ),
        )
    return Found("data-root", partial(_read_voc, "bccd", folder, split, side, "data-root"))


def voc(path: str, split: str = "train", side: int = SIDE) -> Found:
    """The user's photos in the layout of Pascal VOC.

    Parameters
    ----------
    path : a folder with ``JPEGImages``, ``Annotations`` and ``ImageSets/Main/PART.txt``. Without a
        list for the test part the one of the validation part serves, and 20 % of the training
        photos are for validation.
    """
    folder = _existing(path, "voc", "JPEGImages, Annotations, ImageSets/Main")
    return Found("folder", partial(_read_voc, f"voc:{path}", folder, split, side, "folder"))


def coco(path: str, split: str = "train", side: int = SIDE) -> Found:
    """The user's photos in the layout of COCO.

    Parameters
    ----------
    path : a folder with ``annotations/instances_trainYEAR.json``, ``…_valYEAR.json`` and photos in
        ``trainYEAR`` and ``valYEAR``. "val" is the test part; 20 % of "train" are for validation.
    """
    folder = _existing(path, "coco", "annotations/instances_train*.json")
    return Found("folder", partial(_read_coco, f"coco:{path}", folder, split, side))


@dataclass
class _Gathered:
    """Boxes and faults, photo by photo."""

    boxes: list[tuple[float, ...]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    photo: list[int] = field(default_factory=list)
    photos: list[str] = field(default_factory=list)
    images: list[np.ndarray] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def add_photo(self, path: Path, side: int) -> tuple[int, int]:
        """Its width and height."""
        image = files.decode_image(files.read_bytes(path), path, "RGB")
        self.images.append(squash_square(image, side))
        self.photos.append(path.stem)
        return image.size

    def add_box(self, name: str | None, corners: Iterable[Any], size: tuple[int, int]) -> None:
        """A box of the last photo; corners are left, top, right, bottom in pixels."""
        try:
            given = [float(number) for number in corners]
        except (TypeError, ValueError):
            return self.fault("not a number", name)
        if not np.isfinite(given).all():
            return self.fault("not a number", f"{name} {given}")
        if not name:
            return self.fault("no class", f"{given}")
        shares = np.array(given) / (size * 2)
        left, top, right, bottom = cut = shares.clip(0, 1)
        if given[2] <= given[0] or given[3] <= given[1]:
            return self.fault("no area", f"{name} {given}")
        if right <= left or bottom <= top:
            return self.fault("outside", f"{name} {given}")
        self.boxes.append(tuple(cut))
        self.labels.append(name)
        self.photo.append(len(self.photos) - 1)
        return None

    def fault(self, kind: str, found: str | None) -> None:
        self.faults.append(Fault(self.photos[-1], kind, str(found)))

    def finished(self, name: str, split: str, names: Iterable[str], origin: str) -> BoxSet:
        if not self.images:
            raise PixgradError(
                f"{name}: в части {split} нет фотографий",
                f"{name}: no photos in the part {split}",
            )
        names = tuple(names)
        number = {label: index for index, label in enumerate(names)}
        return BoxSet(
            name,
            split,
            np.stack(self.images),
            np.array(self.boxes, np.float32).reshape(-1, 4),
            np.array([number[label] for label in self.labels], np.int64),
            np.array(self.photo, np.int64),
            tuple(self.photos),
            names,
            tuple(self.faults),
            origin,
        )


def _read_voc(name: str, folder: Path, split: str, side: int, origin: str) -> BoxSet:
    """Corners are taken as edges, as LabelImg writes them and most loaders read them."""
    lists = _voc_lists(folder, name)
    everything = sorted({stem for stems in lists.values() for stem in stems})
    roots = {stem: _xml(folder / "Annotations" / f"{stem}.xml") for stem in everything}
    classes = {one.findtext("name") for root in roots.values() for one in root.iter("object")}
    gathered = _Gathered()
    for stem in lists[PARTS[split]]:
        size = gathered.add_photo(_photo(folder / "JPEGImages", stem), side)
        for one in roots[stem].iter("object"):
            label = one.findtext("name")
            if one.findtext("difficult", "0").strip() == "1":
                gathered.fault("difficult", label)
                continue
            corners = (one.findtext(f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax"))
            gathered.add_box(label, corners, size)
    return gathered.finished(name, split, sorted(filter(None, classes)), origin)


def _voc_lists(folder: Path, name: str) -> dict[str, list[str]]:
    """Names of the photos of "train", "val", "trainval" and "test"."""
    found = {}
    for part in ("train", "val", "test"):
        path = folder / "ImageSets" / "Main" / f"{part}.txt"
        if path.is_file():
            found[part] = files.decode_text(files.read_bytes(path), path).split()
    if not {"train", "val"} <= set(found):
        raise PixgradError(
            f"{name}: нет списков ImageSets/Main/train.txt и val.txt",
            f"{name}: no lists ImageSets/Main/train.txt and val.txt",
        )
    if "test" not in found:
        learned = np.array(found["train"], dtype=object)
        held_out = carve(np.zeros(len(learned), int))
        found = {
            "train": learned[~held_out].tolist(),
            "val": learned[held_out].tolist(),
            "test": found["val"],
        }
    return found | {"trainval": found["train"] + found["val"]}


def _read_coco(name: str, folder: Path, split: str, side: int) -> BoxSet:
    part = "val" if split == "test" else "train"
    found = sorted(folder.glob(f"annotations/instances_{part}*.json"))
    if not found:
        raise PixgradError(
            f"{name}: нет annotations/instances_{part}*.json",
            f"{name}: no annotations/instances_{part}*.json",
        )
    path = found[0]
    try:
        content = json.loads(files.read_bytes(path))
        classes = {one["id"]: one["name"] for one in content["categories"]}
        listed = sorted({one["id"]: str(one["file_name"]) for one in content["images"]}.items())
        of_photo = defaultdict(list)
        for one in content["annotations"]:
            of_photo[one["image_id"]].append(one)
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"это не разметка COCO ({error!r})", path, english=f"no annotations of COCO ({error!r})"
        ) from None
    gathered = _Gathered()
    folder_of_photos = folder / path.stem.removeprefix("instances_")
    for index in np.flatnonzero(select(split, np.zeros(len(listed), int))):
        photo, file_name = listed[index]
        size = gathered.add_photo(folder_of_photos / file_name, side)
        for one in of_photo[photo]:
            label = classes.get(one.get("category_id"))
            if one.get("iscrowd"):
                gathered.fault("crowd", label)
                continue
            try:
                left, top, width, height = one["bbox"]
                corners = (left, top, left + width, top + height)
            except (KeyError, TypeError, ValueError):
                corners = (None,) * 4
            gathered.add_box(label, corners, size)
    names = [classes[key] for key in sorted(classes)]
    return gathered.finished(name, split, names, "folder")


def _xml(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(files.read_bytes(path))
    except ElementTree.ParseError as error:
        raise SourceError(
            f"разметка не читается ({error})",
            path,
            english=f"the annotations cannot be read ({error})",
        ) from None


def _photo(folder: Path, stem: str) -> Path:
    for suffix in (".jpg", ".jpeg", ".png"):
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    raise SourceError(
        "нет фотографии из списка",
        folder / f"{stem}.jpg",
        english="no such photo, though the list has it",
    )


def _existing(path: str, name: str, contents: str) -> Path:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        what = say("ваши фотографии с рамками", "your photos with boxes")
        step = say(f"укажите папку, где есть {contents}", f"name a folder that has {contents}")
        raise files.missing(name, what, [folder], step)
    return folder
