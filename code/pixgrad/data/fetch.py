"""Download full data sets with torchvision (the explicit step behind ``pixgrad fetch``)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pixgrad.errors import PixgradError

FETCHED = ("mnist", "fashion", "cifar10", "cifar100", "imagenette")


def fetch(name: str, root: Path) -> None:
    """Download the source ``name`` into the data root, where the loaders look for it."""
    if name not in FETCHED:
        raise PixgradError(f"«{name}» скачать нельзя; скачиваются: {', '.join(FETCHED)}")
    try:
        root.mkdir(parents=True, exist_ok=True)
        _downloader(name)(root)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise PixgradError(f"«{name}» не скачивается в {root}: {reason}") from None


def _downloader(name: str) -> Callable[[Path], object]:
    from torchvision import datasets

    def imagenette(root: Path) -> None:
        # Both parts come in one archive; torchvision refuses to download it twice.
        datasets.Imagenette(root, "train", size="160px", download=True)

    return {
        "mnist": lambda root: datasets.MNIST(root, download=True),
        "fashion": lambda root: datasets.FashionMNIST(root, download=True),
        "cifar10": lambda root: datasets.CIFAR10(root, download=True),
        "cifar100": lambda root: datasets.CIFAR100(root, download=True),
        "imagenette": imagenette,
    }[name]
