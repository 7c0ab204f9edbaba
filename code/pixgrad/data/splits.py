"""The one place where validation (and, for sets without one, a test part) is carved out."""

from __future__ import annotations

import numpy as np

from pixgrad.errors import PixgradError

SPLITS = ("train", "validation", "trainval", "test")
VALIDATION_SHARE = 0.2
SEED = 20240607


def carve(labels: np.ndarray, share: float = VALIDATION_SHARE, seed: int = SEED) -> np.ndarray:
    """Choose ``share`` of every class at random, the same for the same labels.

    Parameters
    ----------
    labels : int, shape (N,).
    share : part of each class to take, 0 … 1, rounded to whole images.

    Returns
    -------
    bool, shape (N,): True for the chosen ones.
    """
    rng = np.random.default_rng(seed)
    taken = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        taken[members[: round(share * len(members))]] = True
    return taken


def select(split: str, train_labels: np.ndarray) -> np.ndarray:
    """Which rows of the source's training part belong to ``split`` (bool, shape (N,))."""
    if split == "trainval":
        return np.ones(len(train_labels), dtype=bool)
    held_out = carve(train_labels)
    return held_out if split == "validation" else ~held_out


def check_split(split: str) -> None:
    if split not in SPLITS:
        raise PixgradError(f"нет части «{split}»; есть {', '.join(SPLITS)}")
