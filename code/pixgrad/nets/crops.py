"""Several views of an image at inference: the ten crops of AlexNet.

References
----------
Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks"
(2012), section 4.1: corners and centre, and their mirror images; the answers are averaged.
"""

import torch
from torch import Tensor

VIEWS = {
    "centre": (slice(4, 5), 1),
    "flip": (slice(4, 5), 2),
    "corners": (slice(0, 5), 1),
    "ten": (slice(0, 5), 2),
}
"""Which of the five windows are taken, and 2 for those and their mirror images."""


def views(padded: Tensor, side: int, name: str) -> list[Tensor]:
    """Windows of images: upper left, upper right, lower left, lower right, centre.

    Parameters
    ----------
    padded : (N, C, S, S) with S > ``side``.
    name : of ``VIEWS``.

    Returns
    -------
    Each (N, C, side, side); a window, then its mirror image.
    """
    far, middle = padded.shape[-1] - side, (padded.shape[-1] - side) // 2
    corners = [(0, 0), (0, far), (far, 0), (far, far), (middle, middle)]
    windows, count = VIEWS[name]
    found = []
    for down, right in corners[windows]:
        window = padded[:, :, down : down + side, right : right + side]
        found += [window, window.flip(3)][:count]
    return found


def averaged(logits: list[Tensor]) -> Tensor:
    """Mean of the probabilities (N, K) of the views."""
    return torch.stack([of.softmax(1) for of in logits]).mean(0)
