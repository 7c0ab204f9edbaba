"""Style transfer: an image with the content of one picture and the style of another.

References
----------
Gatys, Ecker, Bethge, "Image style transfer using convolutional neural networks" (2016), section 2.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Features = Callable[[Tensor], Sequence[Tensor]]
"""Images (1, 3, H, W), 0 … 1 -> maps (1, C, h, w) of several layers, shallow to deep."""


def gram(maps: Tensor) -> Tensor:
    """Which channels light up together, wherever it is: (1, C, h, w) -> (C, C)."""
    flat = maps[0].flatten(1)
    return flat @ flat.T / flat.shape[1]


def transferred(
    features: Features,
    content: Tensor,
    style: Tensor,
    steps: int,
    style_weight: float,
    smooth_weight: float,
    lr: float = 0.03,
) -> tuple[Tensor, list[tuple[float, float]]]:
    """Descend by the pixels, from the content picture on.

    Parameters
    ----------
    content, style : float32, (1, 3, H, W), 0 … 1.
    style_weight : of the relative errors of the Gram matrices; the content's weight is 1.
    smooth_weight : of the mean squared difference of neighbouring pixels, relative to the start.

    Returns
    -------
    The image, 0 … 1, and the losses of content and style before every step. Each is relative: 1
    is that of an image whose maps are all 0.
    """
    with torch.no_grad():
        wanted_content = features(content)[-1]
        wanted_style = [gram(maps) for maps in features(style)]
    image = content.clone().requires_grad_()
    optimiser, losses = torch.optim.Adam([image], lr=lr), []
    rough = _roughness(content)
    for _ in range(steps):
        found = features(image)
        content_loss = _relative(found[-1], wanted_content)
        style_losses = [
            _relative(gram(maps), wanted) for maps, wanted in zip(found, wanted_style, strict=True)
        ]
        style_loss = sum(style_losses) / len(style_losses)
        smooth = smooth_weight * _roughness(image) / rough
        optimiser.zero_grad()
        (content_loss + style_weight * style_loss + smooth).backward()
        optimiser.step()
        with torch.no_grad():
            image.clamp_(0, 1)
        losses.append((content_loss.item(), style_loss.item()))
    return image.detach(), losses


def _relative(found: Tensor, wanted: Tensor) -> Tensor:
    return (found - wanted).square().sum() / wanted.square().sum()


def _roughness(image: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels."""
    return image.diff(dim=2).square().mean() + image.diff(dim=3).square().mean()
