"""Average precision as COCO counts it, and under any weights of the photos (for the bootstrap).

References
----------
Lin et al., "Microsoft COCO: Common Objects in Context" (2014) and pycocotools.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pixgrad.detection.boxes import iou

THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""Of intersection over union, from which a detection counts as found."""
RECALLS = np.linspace(0, 1, 101)
MOST = 100
"""Detections of a photo and class that count."""


@dataclass(frozen=True)
class Judged:
    """Detections of one class in all photos, the surest first, and how many objects there are.

    Attributes
    ----------
    scores : (D,).
    photo : int (D,), where each was found.
    index : int (D,), its place among the detections of that photo as given.
    hits : bool (T, D), whether it found an object, under each threshold.
    objects : int (P,), objects of every photo.

    Examples
    --------
    >>> box, label = np.array([[0.0, 0, 1, 1]]), np.array([0])
    >>> bool(judge([(box, np.array([0.9]), label)], [(box, label)], label=0).hits.all())
    True
    """

    scores: np.ndarray
    photo: np.ndarray
    index: np.ndarray
    hits: np.ndarray
    objects: np.ndarray


def hits(
    boxes: np.ndarray, truth: np.ndarray, thresholds: Sequence[float] = THRESHOLDS
) -> np.ndarray:
    """Which detections of one photo and class found an object of their own.

    In the order of the detections each takes, of the objects still free, the one that it overlaps
    most, if by the threshold or more.

    Parameters
    ----------
    boxes : (D, 4), corners, the surest first.
    truth : (G, 4), corners.

    Returns
    -------
    int (T, D): index of the object, or -1.

    Examples
    --------
    >>> boxes = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9]])
    >>> hits(boxes, boxes[1:], thresholds=(0.5, 0.95))
    array([[ 0, -1],
           [-1,  0]])
    """
    found = np.full((len(thresholds), len(boxes)), -1)
    if not len(truth) or not len(boxes):
        return found
    overlaps = iou(torch.as_tensor(boxes).double(), torch.as_tensor(truth).double()).numpy()
    for row, threshold in enumerate(thresholds):
        free = np.ones(len(truth), bool)
        for place, overlap in enumerate(overlaps):
            mine = np.where(free, overlap, -1)
            best = len(mine) - 1 - mine[::-1].argmax()  # of equal ones the last, as pycocotools
            if mine[best] >= min(threshold, 1 - 1e-10):
                free[best], found[row, place] = False, best
    return found


def judge(
    found: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    truth: Sequence[tuple[np.ndarray, np.ndarray]],
    label: int,
    thresholds: Sequence[float] = THRESHOLDS,
) -> Judged:
    """Put the detections of a class in all photos side by side.

    Parameters
    ----------
    found : of each photo, boxes (D, 4), scores (D,), labels (D,).
    truth : of each photo, boxes (G, 4), labels (G,).

    Examples
    --------
    >>> box, label = np.array([[0.0, 0, 1, 1]]), np.array([0])
    >>> judged = judge([(box + 5, np.array([0.9]), label)], [(box, label)], label=0)
    >>> bool(judged.hits.any()), judged.objects
    (False, array([1]))
    """
    parts = []
    for photo, ((boxes, scores, labels), (real, real_labels)) in enumerate(
        zip(found, truth, strict=True)
    ):
        mine = np.flatnonzero(labels == label)
        mine = mine[np.argsort(-scores[mine], kind="stable")][:MOST]
        hit = hits(boxes[mine], real[real_labels == label], thresholds) >= 0
        parts.append((scores[mine], np.full(len(mine), photo), mine, hit))
    scores, photos, index, hit = (np.concatenate(of, axis=-1) for of in zip(*parts, strict=True))
    order = np.argsort(-scores, kind="stable")
    objects = np.array([int((labels == label).sum()) for _, labels in truth])
    return Judged(scores[order], photos[order], index[order], hit[:, order], objects)


def average_precision(judged: Judged, weights: np.ndarray | None = None) -> np.ndarray:
    """The mean over 101 recalls of the best precision at that recall or above.

    Parameters
    ----------
    weights : (P, R), how often each photo counts in each of R resamples; once by default.

    Returns
    -------
    (T,), or (T, R) with weights; NaN where there are no objects.

    Examples
    --------
    >>> box, label = np.array([[0.0, 0, 1, 1]]), np.array([0])
    >>> found = [(np.vstack([box + 5, box]), np.array([0.9, 0.8]), np.zeros(2))]
    >>> average_precision(judge(found, [(box, label)], label=0, thresholds=(0.5,)))
    array([0.5])
    """
    counts = np.ones((len(judged.objects), 1)) if weights is None else np.asarray(weights, float)
    objects = judged.objects @ counts  # (R,)
    of_each = counts[judged.photo]  # (D, R)
    seen = np.cumsum(of_each, axis=0)
    found = np.full((len(judged.hits), counts.shape[1]), np.nan)
    for row, hit in enumerate(judged.hits):
        true = np.cumsum(of_each * hit[:, None], axis=0)
        precision = np.divide(true, seen, out=np.zeros_like(true), where=seen > 0)
        precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
        for column in np.flatnonzero(objects > 0):
            recall = true[:, column] / objects[column]
            first = np.searchsorted(recall, RECALLS, side="left")
            reached = first < len(recall)
            values = precision[first[reached], column]
            found[row, column] = values.sum() / len(RECALLS)
    return found[:, 0] if weights is None else found


def precision_recall(judged: Judged, row: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision after every detection, (D,) each, under one of the thresholds.

    Examples
    --------
    >>> box, label = np.array([[0.0, 0, 1, 1]]), np.array([0])
    >>> found = [(np.vstack([box + 5, box]), np.array([0.9, 0.8]), np.zeros(2))]
    >>> recall, precision = precision_recall(judge(found, [(box, label)], label=0))
    >>> recall, precision
    (array([0., 1.]), array([0. , 0.5]))
    """
    true = np.cumsum(judged.hits[row])
    return true / max(judged.objects.sum(), 1), true / np.arange(1, len(true) + 1)
