"""What kind of mistake a detection is (after Bolya et al., "TIDE", 2020, section 2.1)."""

from collections import Counter

import numpy as np
import torch

from pixgrad.detection.boxes import iou
from pixgrad.detection.metrics import hits

KINDS = ("found", "double", "wrong class", "badly placed", "background", "missed")
FITS, TOUCHES = 0.5, 0.1
"""Overlap from which a box is well placed, and from which it is near an object."""


def kinds(
    boxes: np.ndarray,
    labels: np.ndarray,
    truth: np.ndarray,
    true_labels: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The kind of every detection of one photo, and which objects were found.

    A detection has "found" an object; or it fits one of its class that a surer one has found
    ("double"), fits one of another class, is near one of its class, or there is none: "background".

    Parameters
    ----------
    boxes, labels : (D, 4) corners, the surest first; (D,).
    truth, true_labels : (G, 4), (G,).

    Returns
    -------
    Kinds, str (D,); bool (G,).

    Examples
    --------
    >>> boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [5, 5, 6, 6]])
    >>> found, seen = kinds(boxes, np.zeros(3), boxes[:1], np.zeros(1))
    >>> found.tolist(), seen.tolist()
    (['found', 'double', 'background'], [True])
    """
    found, seen = np.full(len(boxes), "background", object), np.zeros(len(truth), bool)
    if not len(truth) or not len(boxes):
        return found.astype(str), seen
    overlap = iou(torch.as_tensor(boxes).double(), torch.as_tensor(truth).double()).numpy()
    same = labels[:, None] == true_labels
    own, other = np.where(same, overlap, 0).max(1), np.where(same, 0, overlap).max(1)
    found[own >= TOUCHES] = "badly placed"
    found[other >= FITS] = "wrong class"
    found[own >= FITS] = "double"
    for label in np.unique(labels):
        mine, real = np.flatnonzero(labels == label), np.flatnonzero(true_labels == label)
        of_each = hits(boxes[mine], truth[real], (FITS,))[0]
        found[mine[of_each >= 0]] = "found"
        seen[real[of_each[of_each >= 0]]] = True
    return found.astype(str), seen


def count(kinds_of_photos: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, int]:
    """How many of each of ``KINDS`` in all photos.

    Examples
    --------
    >>> boxes = np.array([[0.0, 0, 1, 1]])
    >>> count([kinds(boxes, np.zeros(1), boxes + 5, np.zeros(1))])["missed"]
    1
    """
    total = Counter()
    for of_detections, seen in kinds_of_photos:
        total.update(of_detections.tolist())
        total["missed"] += int((~seen).sum())
    return {kind: total[kind] for kind in KINDS}
