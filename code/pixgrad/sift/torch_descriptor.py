"""The SIFT descriptor in torch: autograd gives its derivatives, the hand-written ones must agree.

Written on its own, with gathers and scatters where :mod:`pixgrad.sift.derivatives` multiplies
dense shares, so that agreement of the two means something. Everything is differentiable with
respect to the pixels and to the four numbers of the geometry.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

GRID, BINS, CELL, CLIP = 4, 8, 3.0, 0.2
SIGMA, LAYERS = 1.6, 3


def describe(image: Tensor, geometry: Tensor, octave: int = 0, layer: int = 1) -> Tensor:
    """Descriptor of an image in one keypoint; scale space and grid are OpenCV's defaults.

    Parameters
    ----------
    image : (H, W), grey levels 0..255, float64 for comparisons.
    geometry : (4,), x, y, scale in pixels of the octave and orientation in radians.
    octave : 0 is the doubled image.
    layer : level of the octave.

    Returns
    -------
    (128,) tensor of unit length.

    Examples
    --------
    >>> image = torch.rand(48, 48, dtype=torch.float64, requires_grad=True)
    >>> geometry = torch.tensor([47.0, 48.0, 2.1, 0.3], dtype=torch.float64)
    >>> describe(image, geometry)[5].backward()
    >>> image.grad.shape
    torch.Size([48, 48])
    """
    return describe_level(octave_levels(image, octave, layer)[layer], geometry)


def octave_levels(image: Tensor, octave: int, top: int) -> list[Tensor]:
    """Levels 0..top of one octave, each (H', W')."""
    level = blur(double(image), math.sqrt(SIGMA**2 - 1))
    for _ in range(octave):
        level = _climb(level, LAYERS)[-1]
        height, width = level.shape
        level = level[: height // 2 * 2 : 2, : width // 2 * 2 : 2]
    return _climb(level, top)


def describe_level(level: Tensor, geometry: Tensor) -> Tensor:
    """Descriptor of a level (H, W) of the scale space; the centre is not rounded."""
    magnitude, angle = polar(level)
    return normalise(histogram(magnitude, angle, geometry))


def double(image: Tensor) -> Tensor:
    """Doubled image by linear interpolation: (H, W) -> (2H, 2W)."""
    return functional.interpolate(image[None, None], scale_factor=2, mode="bilinear")[0, 0]


def blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (H, W) with mirrored borders."""
    radius = (round(8 * sigma + 1) | 1) // 2
    x = torch.arange(-radius, radius + 1, dtype=image.dtype)
    kernel = torch.softmax(-(x**2) / (2 * sigma**2), 0)
    return _filter_rows(_filter_rows(image, kernel).T, kernel).T


def polar(level: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitude and angle of the gradient inside the border, (H-2, W-2) each.

    Where the gradient is zero the formulas have no derivative; it is taken to be zero.
    """
    gx = level[1:-1, 2:] - level[1:-1, :-2]
    gy = level[:-2, 1:-1] - level[2:, 1:-1]
    flat = (gx == 0) & (gy == 0)
    # A constant in place of the zero vector keeps NaN out of the backward pass.
    gx = torch.where(flat, torch.ones_like(gx), gx)
    magnitude = torch.where(flat, torch.zeros_like(gx), torch.sqrt(gx**2 + gy**2))
    return magnitude, torch.atan2(gy, gx)


def histogram(magnitude: Tensor, angle: Tensor, geometry: Tensor) -> Tensor:
    """The 4x4x8 histogram, flat (128,), by scattering each sample to eight cells.

    Parameters
    ----------
    magnitude, angle : (H-2, W-2), as :func:`polar` gives them.
    geometry : (4,), see :func:`describe`.
    """
    x, y, scale, orientation = geometry
    side = CELL * scale
    reach = round(side.item() * math.sqrt(2) * (GRID + 1) / 2)
    rows = _span(y, reach, magnitude.shape[0])
    columns = _span(x, reach, magnitude.shape[1])
    i, j = rows[:, None] - y, columns[None, :] - x
    column = (j * torch.cos(orientation) - i * torch.sin(orientation)) / side
    row = (j * torch.sin(orientation) + i * torch.cos(orientation)) / side
    weight = torch.exp(-(column**2 + row**2) / (GRID**2 / 2))
    vote = weight * magnitude[rows - 1][:, columns - 1]
    turn = (angle[rows - 1][:, columns - 1] - orientation) * (BINS / (2 * math.pi))
    return _scatter(vote, row + GRID / 2 - 0.5, column + GRID / 2 - 0.5, turn)


def normalise(cells: Tensor, clip: float = CLIP) -> Tensor:
    """Unit length, components clipped, unit length again; zeros stay zeros."""
    if not cells.any():
        return torch.zeros_like(cells) * cells.sum()
    unit = cells / torch.linalg.vector_norm(cells)
    clipped = unit.clamp(max=clip)
    return clipped / torch.linalg.vector_norm(clipped)


def _scatter(vote: Tensor, row: Tensor, column: Tensor, turn: Tensor) -> Tensor:
    cells = torch.zeros(GRID * GRID * BINS, dtype=vote.dtype)
    low = [place.detach().floor() for place in (row, column, turn)]
    part = [place - floor for place, floor in zip((row, column, turn), low, strict=True)]
    for corner in range(8):
        up = [(corner >> axis) & 1 for axis in range(3)]
        share = vote
        for p, u in zip(part, up, strict=True):
            share = share * (p if u else 1 - p)
        r, c, o = ((floor + u).long() for floor, u in zip(low, up, strict=True))
        inside = (r >= 0) & (r < GRID) & (c >= 0) & (c < GRID)
        index = ((r * GRID + c) * BINS + o % BINS)[inside]
        cells = cells.index_add(0, index, share[inside])
    return cells


def _span(centre: Tensor, reach: int, size: int) -> Tensor:
    """Pixels within ``reach`` of the centre that have a gradient: 1..size."""
    middle = round(centre.item())
    return torch.arange(max(middle - reach, 1), min(middle + reach, size) + 1)


def _climb(level: Tensor, top: int) -> list[Tensor]:
    levels, factor = [level], 2 ** (1 / LAYERS)
    for step in range(top):
        levels.append(blur(levels[-1], SIGMA * factor**step * math.sqrt(factor**2 - 1)))
    return levels


def _filter_rows(image: Tensor, kernel: Tensor) -> Tensor:
    radius, n = len(kernel) // 2, len(image)
    index = torch.arange(-radius, n + radius).abs() % max(2 * n - 2, 1)
    padded = image[torch.minimum(index, (2 * n - 2 - index).abs())]
    return functional.conv1d(padded.T[:, None], kernel[None, None])[:, 0].T
