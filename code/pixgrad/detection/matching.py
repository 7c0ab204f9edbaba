"""Which default box answers for which object (Liu et al., 2016, section 2.2)."""

import torch
from torch import Tensor

from pixgrad.detection.boxes import encode, iou, to_centres, to_corners

BACKGROUND = -1


def match(truth: Tensor, defaults: Tensor, threshold: float = 0.5) -> Tensor:
    """The object of every default box.

    A box takes the object that it overlaps most, if by ``threshold`` or more; besides, every object
    gets the default box that overlaps it most, however little.

    Parameters
    ----------
    truth : (G, 4), corners.
    defaults : (A, 4), centres and sizes.

    Returns
    -------
    int64 (A,): index of the object, or ``BACKGROUND``.

    Examples
    --------
    >>> defaults = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.75, 0.5, 0.5, 1.0]])
    >>> match(torch.tensor([[0.0, 0.0, 0.4, 1.0]]), defaults)
    tensor([ 0, -1])
    """
    if not len(truth):
        return torch.full((len(defaults),), BACKGROUND)
    overlap = iou(truth, to_corners(defaults))
    largest, matched = overlap.max(dim=0)
    matched[largest < threshold] = BACKGROUND
    for number, box in enumerate(overlap.argmax(dim=1).tolist()):
        matched[box] = number
    return matched


def targets(
    truth: Tensor, labels: Tensor, defaults: Tensor, threshold: float = 0.5
) -> tuple[Tensor, Tensor]:
    """What the network shall answer for one photo.

    Parameters
    ----------
    truth, labels : (G, 4) corners and int64 (G,) classes from 0.

    Returns
    -------
    offsets : (A, 4), zeros for background.
    classes : int64 (A,), 0 — background, else label + 1.

    Examples
    --------
    >>> defaults = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.75, 0.5, 0.5, 1.0]])
    >>> offsets, classes = targets(torch.tensor([[0.0, 0, 0.5, 1]]), torch.tensor([4]), defaults)
    >>> classes, offsets[0]
    (tensor([5, 0]), tensor([0., 0., 0., 0.]))
    """
    matched = match(truth, defaults, threshold)
    offsets, classes = torch.zeros(len(defaults), 4), torch.zeros(len(defaults), dtype=torch.int64)
    positive = matched != BACKGROUND
    chosen = matched[positive]
    offsets[positive] = encode(to_centres(truth[chosen]), defaults[positive])
    classes[positive] = labels[chosen] + 1
    return offsets, classes
