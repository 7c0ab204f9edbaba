"""Exporting takes a second or two: the same network is exported once."""

from __future__ import annotations

import pytest
from torch import nn

from pixgrad.compression import runtime, size


def export_once(patch: pytest.MonkeyPatch) -> None:
    """Remember the files of networks by their weights."""
    export, known = runtime.export, {}

    def remembered(net: nn.Module, side: int, channels: int = 3) -> bytes:
        key = size.file_bytes(net), side, channels
        if key not in known:
            known[key] = export(net, side, channels)
        return known[key]

    patch.setattr(runtime, "export", remembered)
