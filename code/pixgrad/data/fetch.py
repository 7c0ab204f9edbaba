"""Download full data sets with torchvision (the explicit step behind ``pixgrad fetch``)."""

from pathlib import Path

from pixgrad.errors import PixgradError

FETCHED = {
    "mnist": "MNIST",
    "fashion": "FashionMNIST",
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "imagenette": "Imagenette",
}
"""Sources and their classes in ``torchvision.datasets``."""


def fetch(name: str, root: Path) -> None:
    """Download the source ``name`` into the data root, where the loaders look for it."""
    if name not in FETCHED:
        raise PixgradError(
            f"«{name}» скачать нельзя; скачиваются: {', '.join(FETCHED)}",
            f"'{name}' cannot be downloaded; these can: {', '.join(FETCHED)}",
        )
    from torchvision import datasets

    # Both parts of Imagenette come in one archive; torchvision refuses to download it twice.
    options = {"split": "train", "size": "160px"} if name == "imagenette" else {}
    try:
        root.mkdir(parents=True, exist_ok=True)
        getattr(datasets, FETCHED[name])(root, download=True, **options)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise PixgradError(
            f"«{name}» не скачивается в {root}: {reason}",
            f"'{name}' does not download into {root}: {reason}",
        ) from None
