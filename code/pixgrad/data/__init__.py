"""Named data sources: ``load("mnist", split="test")`` gives NumPy arrays with a fingerprint.

NumPy only; no torch here. Chapters and experiments read data through these loaders alone, so that
the report generator sees every file (audit events ``pixgrad.read``) and every choice between
alternatives (``pixgrad.source``).
"""

import difflib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pixgrad.checks import whole
from pixgrad.data import boxes, digits5k, folder, idx, scenes, sets
from pixgrad.data import photos as photographs
from pixgrad.data.files import Found
from pixgrad.data.splits import SPLITS
from pixgrad.data.types import BoxSet, Fault, ImageSet, Pair, Pairs, Photo, Photos
from pixgrad.errors import PixgradError, say

__all__ = [
    "SOURCES",
    "BoxSet",
    "Fault",
    "ImageSet",
    "Pair",
    "Pairs",
    "Photo",
    "Photos",
    "Source",
    "find",
    "load",
]

IMAGENET = "ImageNet: только некоммерческие исследования и обучение"
CARS = "Stanford Cars: только некоммерческие исследования"
CIFAR = "без формальной лицензии; ссылка на Krizhevsky, 2009"


@dataclass(frozen=True)
class Source:
    """A named source: what finds it, what it is (Russian) and under which terms.

    Examples
    --------
    >>> SOURCES["mnist"].description, SOURCES["mnist"].licence
    ('рукописные цифры, 60 000 + 10 000', 'LeCun, Cortes, Burges')
    """

    find: Callable[..., Found]
    description: str
    licence: str


SOURCES = {
    "photos": Source(photographs.photos, "фотографии для SIFT", "названа у каждой фотографии"),
    "pairs": Source(
        photographs.pairs, "пары видов с известной геометрией", "названа у каждой пары"
    ),
    "synthetic": Source(
        photographs.synthetic,
        "виды одной фотографии под известной гомографией",
        "NASA, без ограничений",
    ),
    "mnist": Source(idx.mnist, "рукописные цифры, 60 000 + 10 000", "LeCun, Cortes, Burges"),
    "mnist5k": Source(digits5k.mnist5k, "5000 цифр MNIST", "LeCun, Cortes, Burges"),
    "fashion": Source(idx.fashion, "Fashion-MNIST, 60 000 + 10 000", "MIT"),
    "cifar10": Source(sets.cifar10, "CIFAR-10", CIFAR),
    "cifar100": Source(sets.cifar100, "CIFAR-100", CIFAR),
    "imagenette": Source(folder.imagenette, "10 классов ImageNet", IMAGENET),
    "imagenette5": Source(sets.imagenette5, "5 классов ImageNet", IMAGENET),
    "cars5": Source(sets.cars5, "Stanford Cars, 5 типов кузова", CARS),
    "cars10": Source(sets.cars10, "Stanford Cars, 10 моделей", CARS),
    "cars196": Source(sets.cars196, "Stanford Cars, все модели", CARS),
    "bccd": Source(boxes.bccd, "клетки крови с рамками", "MIT"),
    "scenes": Source(scenes.scenes, "сцены из цифр с рамками", "LeCun, Cortes, Burges"),
}
OWN = {"imagefolder": folder.image_folder, "voc": boxes.voc, "coco": boxes.coco}
"""Kinds of the user's own data, named ``KIND:PATH``."""


def load(name: str, **options: Any) -> Any:
    """Load a source by name.

    Parameters
    ----------
    name : a key of ``SOURCES``; for the user's own photos ``imagefolder:PATH``, and with boxes
        ``voc:PATH`` or ``coco:PATH``.
    options : what the loader takes: ``split`` ("train", "validation", "trainval", "test") for
        labelled images, ``side`` in pixels where photos are cut to squares.

    Returns
    -------
    ImageSet, BoxSet, Photos or Pairs.

    Examples
    --------
    >>> pairs = load("synthetic")
    >>> len(pairs), pairs[0].first.shape, pairs.origin
    (5, (512, 512, 3), 'scikit-image')
    """
    found = find(name, **options)
    sys.audit("pixgrad.source", name, found.origin)
    return found.read()


def find(name: str, **options: Any) -> Found:
    """Which alternative would serve :func:`load`; no file is read.

    Examples
    --------
    >>> find("synthetic").origin
    'scikit-image'
    """
    split = options.get("split", "train")
    if split not in SPLITS:
        raise PixgradError(
            f"нет части «{split}»; есть {', '.join(SPLITS)}",
            f"no part '{split}'; there are {', '.join(SPLITS)}",
        )
    kind, _, path = str(name).partition(":")
    if path and kind in OWN:
        return OWN[kind](path, **_accepted(name, OWN[kind], options))
    if name not in SOURCES:
        close = difflib.get_close_matches(str(name), SOURCES, n=1)
        hint = say(f"; может быть, «{close[0]}»?", f"; perhaps '{close[0]}'?") if close else "."
        raise PixgradError(
            f"нет источника «{name}»{hint} Есть: {', '.join(SOURCES)}",
            f"no source '{name}'{hint} There are: {', '.join(SOURCES)}",
        )
    return SOURCES[name].find(**_accepted(name, SOURCES[name].find, options))


def _accepted(name: str, finder: Callable[..., Found], options: dict[str, Any]) -> dict[str, Any]:
    """The options, if the finder of the source takes them."""
    taken = inspect.signature(finder).parameters.keys() - {"path"}
    for option in options.keys() - taken:
        raise PixgradError(
            f"источник «{name}» не принимает {option}; есть: {', '.join(sorted(taken)) or '—'}",
            f"the source '{name}' takes no {option}; there are: {', '.join(sorted(taken)) or '—'}",
        )
    if "side" in options:
        whole("side", options["side"])
    return options
