"""How many bytes a network takes on disk."""

import gzip
import io

import torch
from torch import nn


def file_bytes(net: nn.Module) -> bytes:
    """The file of a network's weights, as ``torch.save`` writes it."""
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    return file.getvalue()


def packed(file: bytes) -> int:
    """Bytes of a file after gzip: repeated zeros cost next to nothing there."""
    return len(gzip.compress(file, mtime=0))
