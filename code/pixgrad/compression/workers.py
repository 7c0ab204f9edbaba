"""What several workers share in a measurement: the halves of a network, photos, processes."""

import io
from concurrent.futures import Executor

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

PHOTO = 160
"""Pixels a side of the photos to decode."""
_RECEIVED: list[nn.Module] = []
"""In a process of :func:`processes`: the network."""


def halves(net: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A residual network cut where about half of its multiply-adds are done.

    Each block of stages two and three costs as much as one of stage one, so the cut is in the
    middle of the blocks.
    """
    blocks = [block for stage in (net.layer1, net.layer2, net.layer3) for block in stage]
    middle = len(blocks) // 2
    first = nn.Sequential(net.conv1, net.bn1, net.activation, *blocks[:middle])
    return first, nn.Sequential(*blocks[middle:], net.avgpool, nn.Flatten(), net.fc)


def answer(net: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return net(x)


def encoded(count: int, seed: int) -> list[bytes]:
    """JPEG photos of ``PHOTO`` pixels a side: smooth noise, as hard to decode as a photo."""
    rng, files = np.random.default_rng(seed), []
    for _ in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
        file = io.BytesIO()
        coarse.resize((PHOTO, PHOTO), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def decoded(files: list[bytes], side: int) -> Tensor:
    """What must be done to photos before a network sees them."""
    photos = [
        np.asarray(Image.open(io.BytesIO(file)).resize((side, side), Image.Resampling.BICUBIC))
        for file in files
    ]
    return torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 255


def processes(net: nn.Module, x: np.ndarray) -> Executor:
    """Two processes that have the network already and have answered."""
    from joblib.externals.loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(2, initializer=_receive, initargs=(net,), timeout=600)
    list(pool.map(answer_there, [x] * 8))
    return pool


def _receive(net: nn.Module) -> None:
    torch.set_num_threads(1)
    _RECEIVED.append(net)


def answer_there(x: np.ndarray) -> np.ndarray:
    """In another process: the batch goes there and the logits come back."""
    x = torch.from_numpy(x).contiguous(memory_format=torch.channels_last)
    return answer(_RECEIVED[0], x).numpy()
