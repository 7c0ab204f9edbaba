"""Compressed networks by name, so that an experiment and a test make the same ones."""

from collections.abc import Callable
from functools import partial

from torch import nn

from pixgrad.compression import factorise
from pixgrad.compression.fold import folded
from pixgrad.compression.prune import magnitude, narrowed

Change = Callable[[nn.Module, float], nn.Module]


def _low_rank(net: nn.Module, share: float) -> nn.Module:
    return factorise.replaced(net, partial(factorise.low_rank, share=share))


VARIANTS: dict[str, Change] = {
    "float": lambda net, level: net,
    "folded": lambda net, level: folded(net),
    "magnitude": magnitude,
    "channels": narrowed,
    "low-rank": _low_rank,
    "row-column": lambda net, level: factorise.replaced(net, factorise.row_column),
    "depthwise": lambda net, level: factorise.replaced(net, factorise.depthwise),
}
"""What a network becomes; the level is a share: of weights or channels that go, of weights that
stay in "low-rank"; the others have none."""
