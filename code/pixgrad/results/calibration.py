"""How sure a classifier is, and how often it is right where it is so sure."""

import numpy as np


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> np.ndarray:
    """How often a classifier is right where it is so sure.

    Parameters
    ----------
    probabilities : (N, K), labels : int (N,).
    bins : equal parts of 0 … 1, by the probability of the answer.

    Returns
    -------
    (3, bins): share of the images, mean probability of the answer, share of right answers; the
    last two are 0 where there are no images.

    Examples
    --------
    >>> sure = np.array([[0.9, 0.1], [0.9, 0.1]])
    >>> reliability(sure, np.array([0, 1]), bins=2)
    array([[0. , 1. ],
           [0. , 0.9],
           [0. , 0.5]])
    """
    sure, right = probabilities.max(1), probabilities.argmax(1) == labels
    place = np.minimum((sure * bins).astype(int), bins - 1)
    count, total, hits = (np.bincount(place, of, bins) for of in (np.ones_like(sure), sure, right))
    filled = np.maximum(count, 1)
    return np.stack([count / len(labels), total / filled, hits / filled])


def calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: mean of |confidence - accuracy| over bins, by their images.

    (Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", 2017, section 2.)

    Examples
    --------
    >>> sure = np.array([[0.9, 0.1], [0.9, 0.1]])
    >>> round(calibration_error(sure, np.array([0, 1])), 2)
    0.4
    """
    share, confidence, accuracy = reliability(probabilities, labels, bins)
    return float(share @ np.abs(confidence - accuracy))
