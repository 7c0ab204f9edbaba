"""Does a layer move with its input?"""

import torch
from torch import Tensor, nn


@torch.no_grad()
def shift_error(layer: nn.Module, x: Tensor, shift: int, margin: int = 0) -> float:
    """The largest difference between the layer of a moved input and the moved layer.

    Parameters
    ----------
    x : (N, C, H, W), moved to the right on a circle.
    shift : pixels. Where the layer halves the map, half as many cells; of two neighbouring whole
        numbers of cells the better one is taken.
    margin : cells at the left and right edges of the map that do not count.

    Returns
    -------
    Relative to the largest absolute value of the output.
    """
    before, after = layer(x), layer(x.roll(shift, 3))
    columns = before.shape[3]
    inside = slice(margin, columns - margin)
    cells = shift * columns // x.shape[3]
    gaps = [(after - before.roll(near, 3))[..., inside] for near in (cells, cells + 1)]
    return float(min(gap.abs().max() for gap in gaps) / before.abs().max())
