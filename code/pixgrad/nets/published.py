"""Published weights: reading the files, and preparing images as the authors did."""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pixgrad.data import files
from pixgrad.errors import SourceError

# Channel means and deviations of ImageNet photos in units of the range 0 … 1.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def read_weights(path: Path) -> dict:
    """What ``torch.save`` wrote; tensors and containers only, no code is run.

    Parameters
    ----------
    path : its name ends with the beginning of the file's SHA-256 digest, as torch.hub has it:
        ``resnet20-12fca82f.th``.

    Raises
    ------
    SourceError : the file cannot be read or is not the published one.
    """
    raw, sha256 = files.read_bytes(path), path.stem.rpartition("-")[2]
    found = hashlib.sha256(raw).hexdigest()
    if not found.startswith(sha256):
        raise SourceError(
            f"файл весов повреждён: SHA-256 {found[:12]}…, а должна начинаться с {sha256}; "
            "скачайте его заново",
            path,
            english=f"damaged weights: SHA-256 {found[:12]}… should begin with {sha256}; "
            "download them again",
        )
    return torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)


def normalised(
    images: np.ndarray, mean: tuple[float, float, float], std: tuple[float, float, float]
) -> Tensor:
    """(x / 255 - mean) / std, channel by channel.

    Parameters
    ----------
    images : uint8, (N, H, W, 3), RGB.
    mean, std : in units of the range 0 … 1.

    Returns
    -------
    float32, (N, 3, H, W), in the memory order of the images (channels last).
    """
    x = torch.from_numpy(np.array(images, np.float32, order="C") / 255).permute(0, 3, 1, 2)
    return (x - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
