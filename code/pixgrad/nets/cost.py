"""What a network costs: weights and multiply-adds, module by module, without computing anything."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def on_paper(build: Callable[[], nn.Module]) -> nn.Module:
    """A network that has shapes and no numbers, however large it is (torch's meta device)."""
    with torch.device("meta"):
        return build().eval()


def weights(module: nn.Module) -> int:
    """Numbers that training sets."""
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def multiply_adds(net: nn.Module, *inputs: object) -> dict[str, int]:
    """Multiplications with an addition of convolutions and matrix products, by module's name.

    Parameters
    ----------
    net : of :func:`on_paper` or a real one.
    inputs : its arguments; on the device of the network.

    Returns
    -------
    "" — of the whole network; a module's number includes those of the modules inside.
    """
    root = type(net).__name__
    with FlopCounterMode(display=False) as counter:
        net(*inputs)
    found = {"": counter.get_total_flops() // 2}
    for name, operations in counter.get_flop_counts().items():
        if name.startswith(f"{root}."):
            found[name.removeprefix(f"{root}.")] = sum(operations.values()) // 2
    return found
