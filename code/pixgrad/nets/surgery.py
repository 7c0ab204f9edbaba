"""Blocks of a trained network switched off: the signal goes past them.

References
----------
Veit, Wilber, Belongie, "Residual networks behave like ensembles of relatively shallow networks"
(2016), section 4.1.
"""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn

from pixgrad.nets.blocks import BasicBlock, Subsample


def basic_blocks(net: nn.Module) -> list[BasicBlock]:
    """The blocks of a plain or residual network, in the order of execution."""
    return [module for module in net.modules() if isinstance(module, BasicBlock)]


@contextmanager
def switched_off(net: nn.Module, numbers: Collection[int]) -> Iterator[None]:
    """Inside, the blocks of these numbers (from 0) give their input as it came.

    Where a block changes the shape, its output is the input subsampled and padded with zero
    channels, as the skip connections of option A do; in a plain network too.
    """
    blocks = basic_blocks(net)
    with ExitStack() as hooks:
        for number in numbers:
            hooks.enter_context(blocks[number].register_forward_hook(_past))
        yield


def _past(block: BasicBlock, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    first = block.conv1
    if first.stride == (1, 1) and first.in_channels == first.out_channels:
        return inputs[0]
    return Subsample(first.in_channels, first.out_channels, first.stride[0])(inputs[0])
