"""The loss of SSD (Liu et al., 2016, formulas 1-3), with hard negative mining."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, smooth_l1_loss

NEGATIVES = 3
"""Of background boxes for each positive one."""


def multibox_loss(
    offsets: Tensor,
    logits: Tensor,
    true_offsets: Tensor,
    classes: Tensor,
    negatives: int | None = NEGATIVES,
) -> tuple[Tensor, Tensor]:
    """Loss of places and loss of classes, each divided by the number of positive boxes (or by 1).

    Parameters
    ----------
    offsets, true_offsets : (N, A, 4).
    logits : (N, A, K + 1), background first.
    classes : int64 (N, A), 0 — background.
    negatives : background boxes that count for every positive one of a photo, those with the
        largest loss; None — all of them.

    Examples
    --------
    >>> places, classes = torch.zeros(1, 2, 4), torch.tensor([[1, 0]])
    >>> sure = torch.tensor([[[0.0, 99.0], [99.0, 0.0]]])
    >>> multibox_loss(places, sure, places, classes)
    (tensor(0.), tensor(0.))
    """
    positive = classes > 0
    count = positive.sum().clamp(min=1)
    place = smooth_l1_loss(offsets[positive], true_offsets[positive], reduction="sum")
    each = cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none")
    each = each.view(classes.shape)
    counted = positive | (
        ~positive if negatives is None else hardest_negatives(each.detach(), positive, negatives)
    )
    return place / count, each[counted].sum() / count


def hardest_negatives(losses: Tensor, positive: Tensor, negatives: int) -> Tensor:
    """In every photo the background boxes with the largest loss, ``negatives`` a positive box.

    Parameters
    ----------
    losses : (N, A), of the classes.
    positive : bool (N, A).

    Returns
    -------
    bool (N, A).

    Examples
    --------
    >>> losses = torch.tensor([[9.0, 1, 3, 2]])
    >>> positive = torch.tensor([[True, False, False, False]])
    >>> hardest_negatives(losses, positive, negatives=2)
    tensor([[False, False,  True,  True]])
    """
    of_background = losses.masked_fill(positive, -torch.inf)
    rank = of_background.argsort(dim=1, descending=True).argsort(dim=1)
    return (rank < negatives * positive.sum(dim=1, keepdim=True)) & ~positive
