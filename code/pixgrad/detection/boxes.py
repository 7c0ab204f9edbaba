"""Boxes: two ways to write them, how much two overlap, the grid of default boxes, offsets.

References
----------
Liu et al., "SSD: Single Shot MultiBox Detector" (2016), section 2.2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CENTRE_SCALE, SIZE_SCALE = 10.0, 5.0
"""By which offsets are multiplied, to have a spread near 1: "variances" 0.1 and 0.2 of the paper's
code."""
LARGEST_GROWTH = math.log(1000 / 16)
"""Of the logarithm of a size: exp of more overflows early in training (torchvision's bound)."""


@dataclass(frozen=True)
class Grid:
    """The default boxes of one feature map.

    Attributes
    ----------
    rows, columns : of the map.
    scale, next_scale : side of the square box, and of the next map's: shares of the photo.
    ratios : width over height of further boxes; each also stands upright, as 1 / ratio.
    pitch : distance of neighbouring centres, shares of the photo; 1 / columns by default.

    Examples
    --------
    >>> grid = Grid(rows=2, columns=2, scale=0.25, next_scale=0.25, ratios=())
    >>> grid.shapes
    [(0.25, 0.25), (0.25, 0.25)]
    """

    rows: int
    columns: int
    scale: float
    next_scale: float
    ratios: tuple[float, ...] = (2.0,)
    pitch: float | None = None

    @property
    def shapes(self) -> list[tuple[float, float]]:
        """Widths and heights of the boxes of a cell."""
        between = math.sqrt(self.scale * self.next_scale)
        shapes = [(self.scale, self.scale), (between, between)]
        for ratio in self.ratios:
            root = math.sqrt(ratio)
            shapes += [
                (self.scale * root, self.scale / root),
                (self.scale / root, self.scale * root),
            ]
        return [(min(width, 1.0), min(height, 1.0)) for width, height in shapes]


def default_boxes(grids: Sequence[Grid]) -> Tensor:
    """Default boxes of all maps, float32 (A, 4): centre x, centre y, width, height.

    Maps in their order, then rows, columns, shapes.

    Examples
    --------
    >>> grid = Grid(rows=1, columns=2, scale=0.25, next_scale=0.25, ratios=())
    >>> default_boxes([grid])[::2]
    tensor([[0.2500, 0.5000, 0.2500, 0.2500],
            [0.7500, 0.5000, 0.2500, 0.2500]])
    """
    found = []
    for grid in grids:
        pitches = (grid.pitch or 1 / grid.rows), (grid.pitch or 1 / grid.columns)
        y, x = (
            (torch.arange(count) + 0.5) * pitch
            for count, pitch in zip((grid.rows, grid.columns), pitches, strict=True)
        )
        centres = torch.cartesian_prod(y, x).flip(1)[:, None]  # (cells, 1, 2), x first
        shapes = torch.tensor(grid.shapes)[None]
        both = torch.broadcast_tensors(centres, shapes)
        found.append(torch.cat(both, dim=2).reshape(-1, 4))
    return torch.cat(found)


def to_corners(boxes: Tensor) -> Tensor:
    """(…, 4) centre x, centre y, width, height -> left, top, right, bottom.

    Examples
    --------
    >>> to_corners(torch.tensor([0.5, 0.5, 0.5, 0.25]))
    tensor([0.2500, 0.3750, 0.7500, 0.6250])
    """
    centre, size = boxes[..., :2], boxes[..., 2:]
    return torch.cat([centre - size / 2, centre + size / 2], dim=-1)


def to_centres(corners: Tensor) -> Tensor:
    """(…, 4) left, top, right, bottom -> centre x, centre y, width, height.

    Examples
    --------
    >>> to_centres(torch.tensor([0.25, 0.375, 0.75, 0.625]))
    tensor([0.5000, 0.5000, 0.5000, 0.2500])
    """
    first, last = corners[..., :2], corners[..., 2:]
    return torch.cat([(first + last) / 2, last - first], dim=-1)


def area(corners: Tensor) -> Tensor:
    """(…, 4) -> (…).

    Examples
    --------
    >>> area(torch.tensor([[0.0, 0.0, 0.5, 0.5]]))
    tensor([0.2500])
    """
    return (corners[..., 2] - corners[..., 0]) * (corners[..., 3] - corners[..., 1])


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every pair of boxes, corners (A, 4) and (B, 4) -> (A, B).

    Two boxes without area have 0.

    Examples
    --------
    >>> whole, half = torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[0.0, 0, 1, 0.5], [2, 2, 3, 3]])
    >>> iou(whole, half)
    tensor([[0.5000, 0.0000]])
    """
    first, last = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    common = (last - first).clamp(min=0).prod(dim=2)
    union = area(a)[:, None] + area(b) - common
    return torch.where(union > 0, common / union, 0.0)


def encode(boxes: Tensor, defaults: Tensor) -> Tensor:
    """Offsets y* of boxes b from default boxes a: all (…, 4), boxes by centre and size.

    y*_x = 10 (b_x - a_x) / a_w, y*_w = 5 ln(b_w / a_w), and so down and for the height.

    Examples
    --------
    >>> box, default = torch.tensor([0.5, 0.5, 0.5, 0.5]), torch.tensor([0.25, 0.5, 0.5, 0.5])
    >>> encode(box, default)
    tensor([5., 0., 0., 0.])
    """
    centre = (boxes[..., :2] - defaults[..., :2]) / defaults[..., 2:] * CENTRE_SCALE
    size = torch.log(boxes[..., 2:] / defaults[..., 2:]) * SIZE_SCALE
    return torch.cat([centre, size], dim=-1)


def decode(offsets: Tensor, defaults: Tensor) -> Tensor:
    """The boxes that ``encode`` made offsets of.

    Examples
    --------
    >>> default = torch.tensor([0.25, 0.5, 0.5, 0.5])
    >>> decode(torch.tensor([5.0, 0, 0, 0]), default)
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    centre = defaults[..., :2] + offsets[..., :2] / CENTRE_SCALE * defaults[..., 2:]
    growth = (offsets[..., 2:] / SIZE_SCALE).clamp(max=LARGEST_GROWTH)
    return torch.cat([centre, growth.exp() * defaults[..., 2:]], dim=-1)
