"""How many directions a layer's channels take: the effective rank of its outputs.

References
----------
Roy, Vetterli, "The effective rank: a measure of effective dimensionality" (EUSIPCO
2007), section 2.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn


def effective_rank(outputs: Tensor) -> float:
    """exp of the entropy of the singular values, taken as shares of their sum.

    Parameters
    ----------
    outputs : (N, C, H, W) or (N, C); a channel's mean over the batch and positions is taken away.

    Returns
    -------
    1 … C: 1 where all channels are multiples of one, C where they are uncorrelated and of equal
    spread. 0 where all are constant.
    """
    rows = outputs.detach().transpose(0, 1).flatten(1).double()
    rows = rows - rows.mean(1, keepdim=True)
    # Squares of the singular values; rounding may make the smallest ones negative.
    squares = torch.linalg.eigvalsh(rows @ rows.T).clamp(min=0)
    values = squares.sqrt()
    if values.sum() == 0:
        return 0.0
    return torch.special.entr(values / values.sum()).sum().exp().item()


@contextmanager
def effective_ranks(layers: Sequence[nn.Module]) -> Iterator[list[float]]:
    """Ranks of the layers' outputs in a forward pass made inside, in the order of the layers."""
    ranks = [0.0] * len(layers)

    def hook(number: int):
        return lambda layer, inputs, output: ranks.__setitem__(number, effective_rank(output))

    with ExitStack() as hooks:
        for number, layer in enumerate(layers):
            hooks.enter_context(layer.register_forward_hook(hook(number)))
        yield ranks
