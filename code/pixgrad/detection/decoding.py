"""From the answers of a network to a list of objects: decoding and non-maximum suppression."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pixgrad.detection.boxes import decode, iou, to_corners


@dataclass(frozen=True)
class Detections:
    """Objects found in one photo, the surest first.

    Attributes
    ----------
    boxes : (D, 4), corners.
    scores : (D,), 0 … 1.
    labels : int64 (D,), classes from 0.

    Examples
    --------
    >>> one = Detections(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([0.9]), torch.tensor([2]))
    >>> len(one.boxes), one.labels
    (1, tensor([2]))
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.scores)


def nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Non-maximum suppression: indices of the boxes that stay, the surest first.

    From the surest box on: it stays, and those that overlap it by more than ``threshold`` go.

    Parameters
    ----------
    boxes : (D, 4), corners.
    scores : (D,).

    Examples
    --------
    >>> boxes = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3]])
    >>> nms(boxes, torch.tensor([0.5, 0.9, 0.7]), threshold=0.45)
    tensor([1, 2])
    """
    order = scores.argsort(descending=True, stable=True)
    overlaps = iou(boxes[order], boxes[order]) > threshold
    stays = torch.ones(len(order), dtype=torch.bool)
    for place, row in enumerate(overlaps):
        if stays[place]:
            stays[place + 1 :] &= ~row[place + 1 :]
    return order[stays]


def detections(
    offsets: Tensor,
    logits: Tensor,
    defaults: Tensor,
    *,
    lowest: float = 0.01,
    candidates: int = 400,
    overlap: float = 0.45,
    most: int = 200,
) -> Detections:
    """Objects of one photo.

    Parameters
    ----------
    offsets, logits : (A, 4) and (A, K + 1), background first.
    defaults : (A, 4), centres and sizes.
    lowest : smallest score.
    candidates : of each class, the surest ones.
    overlap : of two boxes of one class with more only the surer stays.
    most : objects of the photo, the surest ones.

    Examples
    --------
    >>> defaults = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.75, 0.5, 0.5, 1.0]])
    >>> logits = torch.tensor([[0.0, 9.0], [9.0, 0.0]])  # an object of class 0 in the left half
    >>> found = detections(torch.zeros(2, 4), logits, defaults)
    >>> found.boxes, found.labels
    (tensor([[0.0000, 0.0000, 0.5000, 1.0000]]), tensor([0]))
    """
    boxes = to_corners(decode(offsets, defaults)).clamp(0, 1)
    scores = logits.softmax(dim=1)[:, 1:]
    found = []
    for label, of_class in enumerate(scores.unbind(1)):
        sure = torch.nonzero(of_class > lowest).squeeze(1)
        best = of_class[sure].topk(min(candidates, len(sure))).indices
        sure = sure[best]
        kept = sure[nms(boxes[sure], of_class[sure], overlap)]
        found.append((boxes[kept], of_class[kept], torch.full((len(kept),), label)))
    boxes, scores, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    best = scores.argsort(descending=True, stable=True)[:most]
    return Detections(boxes[best], scores[best], labels[best])
