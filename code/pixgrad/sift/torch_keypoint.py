"""The stages that find a keypoint, in torch: what autograd is compared with in chapter and tests.

Independent of :mod:`pixgrad.sift.derivatives`; smooth neighbours of stages without a derivative are
written here as ordinary functions.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from pixgrad.sift.torch_descriptor import LAYERS, SIGMA, describe_level, octave_levels, polar

BINS = 36


def describe_moving(image: Tensor, octave: int, point: tuple[int, int, int], near: float) -> Tensor:
    """Descriptor whose place, scale and orientation are computed from the pixels as well.

    Parameters
    ----------
    image : (H, W), grey levels.
    octave : 0 is the doubled image.
    point : (layer, row, column) of the extremum in the octave.
    near : radians, the peak of the orientation histogram to follow.

    Returns
    -------
    (128,) tensor of unit length.
    """
    layer, row, column = point
    levels = torch.stack(octave_levels(image, octave, layer + 2))
    cube = levels.diff(dim=0)[layer - 1 : layer + 2, row - 1 : row + 2, column - 1 : column + 2]
    x, y, s = refine(cube)[0]
    scale = SIGMA * 2 ** ((layer + s) / LAYERS)
    magnitude, angle = polar(levels[layer])
    bins = orientation_histogram(magnitude, angle, column, row, scale)
    orientation = peak_orientation(bins, near)
    geometry = torch.stack([column + x, row + y, scale, orientation])
    return describe_level(levels[layer], geometry)


def soft_location(dog: Tensor, temperature: float = 1.0) -> Tensor:
    """Mean index (3,) under ``softmax(dog / temperature)``: a smooth stand-in of argmax."""
    probability = torch.softmax(dog.flatten() / temperature, 0).reshape(dog.shape)
    grids = torch.meshgrid(*(torch.arange(n, dtype=dog.dtype) for n in dog.shape), indexing="ij")
    return torch.stack([(probability * grid).sum() for grid in grids])


def refine(cube: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Extremum of the parabola through 3x3x3 values: offset (x, y, level), contrast, edge ratio."""
    slopes = torch.gradient(cube.permute(2, 1, 0))  # axes (x, y, level)
    g = torch.stack([slope[1, 1, 1] for slope in slopes])
    bends = [torch.stack([b[1, 1, 1] for b in torch.gradient(slope)]) for slope in slopes]
    # Along one axis the inner differences are one-sided, and their mean is half the second one.
    H = torch.stack(bends) * (1 + torch.eye(3, dtype=cube.dtype))
    offset = -torch.linalg.inv(H) @ g
    contrast = cube[1, 1, 1] + (g * offset).sum() / 2
    return offset, contrast, H[:2, :2].trace() ** 2 / torch.linalg.det(H[:2, :2])


def orientation_histogram(
    magnitude: Tensor,
    angle: Tensor,
    column: int,
    row: int,
    scale: Tensor,
    binning: Literal["hard", "linear"] = "hard",
) -> Tensor:
    """Smoothed orientation histogram (36,); the fields are those of :func:`polar`, (H-2, W-2)."""
    radius = round(4.5 * scale.item())
    height, width = magnitude.shape
    rows = torch.arange(max(row - radius, 1), min(row + radius, height) + 1)
    columns = torch.arange(max(column - radius, 1), min(column + radius, width) + 1)
    distance2 = (rows[:, None] - row) ** 2 + (columns - column) ** 2
    vote = magnitude[rows - 1][:, columns - 1] * torch.exp(-distance2 / (4.5 * scale**2))
    turn = angle[rows - 1][:, columns - 1] * (BINS / (2 * math.pi))
    bins = torch.zeros(BINS, dtype=vote.dtype)
    if binning == "hard":
        bins = bins.index_add(0, turn.round().long().flatten() % BINS, vote.flatten())
    else:
        low = turn.detach().floor()
        for index, share in ((low, 1 - (turn - low)), (low + 1, turn - low)):
            bins = bins.index_add(0, index.long().flatten() % BINS, (vote * share).flatten())
    padded = torch.cat([bins[-2:], bins, bins[:2]])
    kernel = torch.tensor([1, 4, 6, 4, 1], dtype=bins.dtype) / 16
    return torch.nn.functional.conv1d(padded[None, None], kernel[None, None])[0, 0]


def peak_orientation(histogram: Tensor, near: float | None = None) -> Tensor:
    """Direction (radians) of the highest peak, or of the one closest to ``near``."""
    before, after = histogram.roll(1), histogram.roll(-1)
    peaks = torch.nonzero((histogram > before) & (histogram > after))[:, 0]
    score = histogram[peaks]
    if near is not None:
        score = torch.cos(peaks * (2 * math.pi / BINS) - near)
    peak = peaks[score.argmax()]
    left, top, right = before[peak], histogram[peak], after[peak]
    position = peak + (left - right) / (left - 2 * top + right) / 2
    return position * (2 * math.pi / BINS) % (2 * math.pi)
