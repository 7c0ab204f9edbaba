"""The Parquet sets of the data root, and the full sets that can stand in for them."""

import io
from functools import partial
from pathlib import Path

import numpy as np

from pixgrad.data import files
from pixgrad.data.files import Found
from pixgrad.data.folder import imagenette_folder, read_folder
from pixgrad.data.parquet import read_set
from pixgrad.data.resize import crop_square, squash_square
from pixgrad.data.splits import select
from pixgrad.data.types import ImageSet
from pixgrad.errors import PixgradError, SourceError, say

IMAGENETTE5 = ("n02102040", "n03028079", "n03394916", "n03417042", "n03888257")


def imagenette5(split: str = "train", side: int = 160) -> Found:
    """Five ImageNet classes: 400 + 100 photos a class to learn from, 200 to test.

    A data root without this file but with the whole Imagenette gives these classes of it.
    """
    whole = imagenette_folder()
    if whole is not None and not (files.root() / "imagenette5_160.parquet").is_file():
        arguments = ("imagenette5", whole, split, side, "torchvision", IMAGENETTE5)
        return Found("torchvision", partial(read_folder, *arguments))
    crop = partial(crop_square, side=side)
    what = say("5 классов ImageNet", "5 classes of ImageNet")
    step = say(
        f"{_put_there()} или выполните pixgrad fetch imagenette",
        f"{_put_there()} or run pixgrad fetch imagenette",
    )
    return _from_parquet("imagenette5", what, "imagenette5_160", split, crop, step)


def cars5(split: str = "train", side: int = 160) -> Found:
    """Stanford Cars by body type: SUV, sedan, coupe, convertible, pickup."""
    what = say("5 типов кузова Stanford Cars", "5 body types of Stanford Cars")
    return _cars("cars5", what, "stanford_cars_body5_160", split, side)


def cars10(split: str = "train", side: int = 160) -> Found:
    """Ten car models of Stanford Cars."""
    what = say("10 моделей Stanford Cars", "10 models of Stanford Cars")
    return _cars("cars10", what, "stanford_cars10_160", split, side)


def cifar10(split: str = "train") -> Found:
    """CIFAR-10: from the data root 15,000 training images, from torchvision all 50,000."""
    part = "test" if split == "test" else "train"
    return _cifar("cifar10", f"cifar10_15k10k_{part}", "CIFAR10", split)


def cifar100(split: str = "train") -> Found:
    """CIFAR-100: from the data root 60 + 20 images a class, from torchvision all of them."""
    return _cifar("cifar100", "cifar100_6k2k", "CIFAR100", split)


def cars196(split: str = "train", side: int = 160) -> Found:
    """All 196 models of Stanford Cars from the original archives, cut to the car's box.

    The site that held them is gone: the folder ``stanford_cars`` of the data root must be laid
    out as ``torchvision.datasets.StanfordCars`` expects it.
    """
    folder = files.root() / "stanford_cars"
    devkit = folder / "devkit"
    annotations, photos = devkit / "cars_train_annos.mat", folder / "cars_train"
    if split == "test":
        annotations, photos = folder / "cars_test_annos_withlabels.mat", folder / "cars_test"
    if not annotations.is_file():
        what = say("все модели Stanford Cars", "all models of Stanford Cars")
        step = say(
            "распакуйте архивы Stanford Cars, как описано у torchvision.datasets.StanfordCars",
            "unpack the archives of Stanford Cars as torchvision.datasets.StanfordCars says",
        )
        raise files.missing("cars196", what, [folder], step)
    return Found("torchvision", partial(_read_cars, devkit, annotations, photos, split, side))


def _cars(name: str, what: str, stem: str, split: str, side: int) -> Found:
    return _from_parquet(name, what, stem, split, partial(squash_square, side=side))


def _from_parquet(
    name: str, what: str, stem: str, split: str, to_array, step: str | None = None
) -> Found:
    path = files.root() / f"{stem}.parquet"
    if not path.is_file():
        raise files.missing(name, what, [path], step or _put_there())
    return Found("data-root", partial(read_set, name, path, split, to_array))


def _put_there() -> str:
    return say(
        "положите файл в папку данных (её задаёт PIXGRAD_DATA)",
        "put the file into the data root (which PIXGRAD_DATA sets)",
    )


def _cifar(name: str, stem: str, torchvision_name: str, split: str) -> Found:
    root = files.root()
    path = root / f"{stem}.parquet"
    if path.is_file():
        return Found("data-root", partial(read_set, name, path, split))
    folder = {"CIFAR10": "cifar-10-batches-py", "CIFAR100": "cifar-100-python"}[torchvision_name]
    if (root / folder).is_dir():
        return Found(
            "torchvision", partial(_torchvision_cifar, name, torchvision_name, root, split)
        )
    places = [path, root / folder]
    raise files.missing(name, torchvision_name, places, files.run(f"pixgrad fetch {name}"))


def _torchvision_cifar(name: str, torchvision_name: str, root: Path, split: str) -> ImageSet:
    from torchvision import datasets

    try:
        whole = getattr(datasets, torchvision_name)(root, train=split != "test")
    except RuntimeError as error:  # torchvision checks the md5 of its files
        raise PixgradError(
            f"{root}: {error}; выполните pixgrad fetch {name}",
            f"{root}: {error}; run pixgrad fetch {name}",
        ) from None
    labels = np.array(whole.targets, dtype=np.int64)
    keep = select(split, labels)
    names = tuple(whole.classes)
    return ImageSet(name, split, whole.data[keep], labels[keep], names, "torchvision")


def _read_cars(devkit: Path, annotations: Path, photos: Path, split: str, side: int) -> ImageSet:
    names = tuple(str(name) for name in _mat(devkit / "cars_meta.mat", "class_names"))
    rows = _mat(annotations, "annotations")
    try:
        labels = np.array([int(row["class"]) - 1 for row in rows], dtype=np.int64)
    except (IndexError, TypeError, ValueError) as error:
        raise SourceError(
            f"у машин нет номера класса ({error})",
            annotations,
            english=f"cars without the number of a class ({error})",
        ) from None
    keep = np.flatnonzero(select(split, labels))
    images = [_car(photos / str(rows[index]["fname"]), rows[index], side) for index in keep]
    return ImageSet("cars196", split, np.stack(images), labels[keep], names, "torchvision")


def _mat(path: Path, name: str) -> np.ndarray:
    """The array called ``name``, with one axis at least."""
    from scipy.io import loadmat

    raw = files.read_bytes(path)
    try:
        return np.atleast_1d(loadmat(io.BytesIO(raw), squeeze_me=True)[name])
    except Exception as error:  # SciPy does not say what it may raise
        reason = f"{type(error).__name__}: {error}"
        raise SourceError(
            f"не файл MATLAB ({reason})", path, english=f"not a file of MATLAB ({reason})"
        ) from None


def _car(path: Path, row, side: int) -> np.ndarray:
    """A car in its box, corners counted from one; what reaches over the photo's edge is cut."""
    image = files.decode_image(files.read_bytes(path), path, "RGB")
    given = [row[key] for key in ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")]
    try:
        left, top, right, bottom = (int(number) for number in given)
    except (OverflowError, TypeError, ValueError):
        left = top = right = bottom = 0
    box = (max(left - 1, 0), max(top - 1, 0), min(right, image.width), min(bottom, image.height))
    if box[0] >= box[2] or box[1] >= box[3]:
        listed = ", ".join(map(str, given))
        raise SourceError(
            f"рамка [{listed}] не на фотографии {image.width}×{image.height}",
            path,
            english=f"the box [{listed}] is not in the photo {image.width}×{image.height}",
        )
    return squash_square(image.crop(box), side)
