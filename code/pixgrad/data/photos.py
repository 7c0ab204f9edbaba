"""Photographs for SIFT and pairs of views with known geometry."""

import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import starmap
from pathlib import Path

import numpy as np
from PIL import Image

from pixgrad.data import files, own
from pixgrad.data.files import Found
from pixgrad.data.resize import shrink
from pixgrad.data.types import Pair, Pairs, Photo, Photos
from pixgrad.errors import PixgradError, SourceError, say

IMAGENET_TERMS = "только некоммерческие исследования и обучение"
OXFORD = "Oxford VGG, Affine Covariant Regions"
OXFORD_TERMS = "без формальной лицензии; принято ссылаться на Mikolajczyk et al., 2005"
ORIGINALS = {
    "n01806143_peacock": "павлин",
    "n02099601_golden_retriever": "золотистый ретривер",
    "n02123045_tabby": "полосатая кошка",
    "n03028079_church": "церковь",
    "n03345487_fire_engine": "пожарная машина",
    "n03417042_garbage_truck": "мусоровоз",
    "n04285008_sports_car": "спортивный автомобиль",
}
# foolbox names its photos imagenet_<number>_<ImageNet class>.jpg
FOOLBOX = {
    "915": "юрта",
    "853": "соломенная крыша",
    "741": "молитвенный коврик",
    "609": "джип",
    "471": "пушка",
    "251": "далматинец",
    "243": "бульмастиф",
    "22": "белоголовый орлан",
    "99": "гусь",
    "129": "колпица",
    "305": "навозный жук",
    "317": "цикадка",
    "438": "мензурка",
    "455": "крышка от бутылки",
    "541": "барабан",
    "559": "складной стул",
    "630": "туфли",
    "949": "клубника",
    "990": "конский каштан",
}
SKIMAGE = {
    "coffee": ("чашка кофе", "Rachel Michetti, CC0"),
    "astronaut": ("астронавт", "NASA, общественное достояние"),
    "rocket": ("ракета", "SpaceX, CC0"),
    "chelsea": ("кошка", "Stéfan van der Walt, CC0"),
}
SEQUENCES = {"boat": "лодка", "graf": "граффити"}
VIEWS = "пары видов с известной геометрией", "pairs of views with known geometry"
# (rotation in degrees, scale, perspective) of the synthetic views, mild to severe.
SYNTHETIC = ((10, 0.95, 0.0), (30, 0.85, 1e-4), (60, 0.75, 2e-4), (120, 0.65, 3e-4), (170, 0.5, 0))


def photos() -> Found:
    """The reader's own photographs, else ImageNet originals, foolbox's or scikit-image's."""
    mine = own.paths()
    if mine:
        return _found(Photos, "own", lambda: _own(mine))
    originals = files.root() / "imagenet_originals"
    found = sorted(originals.glob("*.JPEG"))
    if found:
        return _found(Photos, "data-root", lambda: map(_original, found))
    folder = files.wheel_folder("foolbox", "data")
    if folder is not None:
        paths = {path.stem.split("_")[2]: path for path in sorted(folder.glob("imagenet_*.jpg"))}
        shown = [(paths[c], title) for c, title in FOOLBOX.items() if c in paths]
        return _found(Photos, "foolbox", lambda: starmap(_foolbox, shown))
    folder = files.wheel_folder("skimage", "data")
    if folder is not None:
        return _found(Photos, "scikit-image", lambda: (_skimage(folder, name) for name in SKIMAGE))
    places, step = files.package("foolbox")
    places = [originals, *places, *files.package("scikit-image")[0]]
    raise files.missing("photos", say("фотографии для SIFT", "photos for SIFT"), places, step)


def photo(name: str) -> Photo:
    """One photograph of scikit-image, the same on every machine: see ``SKIMAGE``."""
    folder = files.wheel_folder("skimage", "data")
    if folder is None:
        raise files.missing(name, say("фотография", "a photo"), *files.package("scikit-image"))
    return _skimage(folder, name)


def pairs() -> Found:
    """Views of one scene with known geometry.

    Oxford's boat (rotation and zoom) and graf (viewpoint) of the data root; else the first two of
    the reader's own photos under synthetic homographies; else so a photo of scikit-image, and its
    stereo pair with disparity.
    """
    folder = files.root() / "homography"
    found = [
        (sequence, int(path.name[4:-1]))
        for sequence in SEQUENCES
        for path in sorted((folder / sequence).glob("H1to?p"))
    ]
    if found:
        return _found(Pairs, "data-root", lambda: (_oxford(folder, *key) for key in found))
    mine = own.paths()
    if mine:
        return _found(Pairs, "own", lambda: _views(_own(mine[:2])))
    wheel = files.wheel_folder("skimage", "data")
    if wheel is not None:
        return _found(Pairs, "scikit-image", lambda: (*_synthetic(wheel), _motorcycle(wheel)))
    places, step = files.package("scikit-image")
    raise files.missing("pairs", say(*VIEWS), [folder, *places], step)


def synthetic() -> Found:
    """A photo of scikit-image under known rotation, scale, tilt and noise, as Lowe (2004) did."""
    wheel = files.wheel_folder("skimage", "data")
    if wheel is None:
        raise files.missing("synthetic", say(*VIEWS), *files.package("scikit-image"))
    return _found(Pairs, "scikit-image", lambda: _synthetic(wheel))


def warp(image: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """The image seen through x' ~ H x (pixel centres at whole numbers), same size, bicubic."""
    # Pillow wants the inverse map and puts pixel centres at halves.
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    try:
        back = half @ np.linalg.inv(homography) @ np.linalg.inv(half)
    except np.linalg.LinAlgError:
        raise PixgradError(
            f"гомография вырождена: {homography}", f"the homography is degenerate: {homography}"
        ) from None
    height, width = image.shape[:2]
    warped = Image.fromarray(image).transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        (back / back[2, 2]).ravel()[:8],
        Image.Resampling.BICUBIC,
    )
    return np.asarray(warped)


def synthetic_view(
    photo: Photo, number: int, homography: np.ndarray, rng: np.random.Generator
) -> Pair:
    """A photo and its view through a homography, with noise of 3 grey levels.

    The photo gives its name to the sequence.
    """
    homography = homography / homography[2, 2]
    noisy = warp(photo.image, homography) + rng.normal(0, 3, photo.image.shape)
    second = np.clip(noisy, 0, 255).round().astype(np.uint8)
    title = f"{photo.title}, синтетический вид\N{NBSP}{number}"
    images, origin = (photo.image, second), (photo.source, photo.licence)
    return Pair(photo.name, number, title, *images, *origin, homography)


def _found(kind: type, origin: str, read: Callable[[], Iterable[Photo | Pair]]) -> Found:
    """``kind``: ``Photos`` or ``Pairs``."""
    return Found(origin, lambda: kind(tuple(read()), origin))


def _own(mine: list[Path]) -> list[Photo]:
    about = own.about()
    return [own.read(path, about) for path in mine]


def _views(shown: Iterable[Photo]) -> list[Pair]:
    """Photos at the readers' usual size under the synthetic homographies, a sequence each."""
    small = (replace(photo, image=shrink(photo.image)) for photo in shown)
    return [pair for photo in small for pair in _changed(photo)]


def _original(path: Path) -> Photo:
    title = ORIGINALS.get(path.stem, path.stem)
    return Photo(path.stem, title, files.read_photo(path), f"ImageNet, {path.stem}", IMAGENET_TERMS)


def _foolbox(path: Path, title: str) -> Photo:
    source = f"ImageNet (пакет foolbox, {path.name})"
    return Photo(path.stem, title, files.read_photo(path), source, IMAGENET_TERMS)


def _skimage(folder: Path, name: str) -> Photo:
    title, licence = SKIMAGE[name]
    path = next(folder.glob(f"{name}.*"))
    return Photo(name, title, files.read_photo(path), "scikit-image", licence)


def _oxford(folder: Path, sequence: str, number: int) -> Pair:
    first, second = (
        files.read_photo(
            next((folder / sequence).glob(f"img{view}.p?m"), None)
            or next((folder / sequence).glob(f"img{view}.*"))
        )
        for view in (1, number)
    )
    path = folder / sequence / f"H1to{number}p"
    try:
        homography = np.loadtxt(io.BytesIO(files.read_bytes(path))).reshape(3, 3)
    except ValueError:
        raise SourceError(
            "ожидались девять чисел, матрица 3x3",
            path,
            english="expected nine numbers, a 3x3 matrix",
        ) from None
    title = f"{SEQUENCES[sequence]}, виды\N{NBSP}1\N{NBSP}и\N{NBSP}{number}"
    return Pair(sequence, number, title, first, second, OXFORD, OXFORD_TERMS, homography)


def _synthetic(wheel: Path) -> list[Pair]:
    return _changed(replace(_skimage(wheel, "astronaut"), name="synthetic"))


def _changed(photo: Photo) -> list[Pair]:
    """A photo under each synthetic homography."""
    rng = np.random.default_rng(20240607)
    return [
        synthetic_view(photo, number, _homography(photo.image.shape, *change), rng)
        for number, change in enumerate(SYNTHETIC, start=2)
    ]


def _homography(shape, degrees: float, scale: float, perspective: float) -> np.ndarray:
    """Rotation, scale and tilt about the centre of the image."""
    centre = np.array([[1, 0, (shape[1] - 1) / 2], [0, 1, (shape[0] - 1) / 2], [0, 0, 1.0]])
    cos, sin = scale * np.cos(np.deg2rad(degrees)), scale * np.sin(np.deg2rad(degrees))
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [perspective, perspective, 1]])
    return centre @ turn @ np.linalg.inv(centre)


def _motorcycle(wheel: Path) -> Pair:
    left, right = (files.read_photo(wheel / f"motorcycle_{side}.png") for side in ("left", "right"))
    path = wheel / "motorcycle_disp.npz"
    try:
        disparity = np.load(io.BytesIO(files.read_bytes(path)), allow_pickle=False)["arr_0"]
    except (ValueError, KeyError, OSError) as error:
        raise SourceError(
            f"карта смещений не читается ({error})",
            path,
            english=f"the disparity map cannot be read ({error})",
        ) from None
    disparity = np.where(np.isfinite(disparity), disparity, np.nan)
    title, source = "мотоцикл, стереопара", "Middlebury 2014 (пакет scikit-image)"
    return Pair("motorcycle", 2, title, left, right, source, "CC0", disparity=disparity)
