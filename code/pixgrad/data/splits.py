"""The one place where validation (and, for sets without one, a test part) is carved out."""

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


def select(split: str, labels: np.ndarray) -> np.ndarray:
    """Which rows of the source's part belong to ``split`` (bool, shape (N,)).

    ``labels`` are those of the training part, out of which "validation" is carved; for "test" of
    the test part, all of it.

    Raises
    ------
    PixgradError : there are so few images that none is left for this part.
    """
    chosen = np.ones(len(labels), dtype=bool)
    if split not in ("trainval", "test"):
        chosen = carve(labels) == (split == "validation")
    if not chosen.any():
        raise PixgradError(
            f"на часть «{split}» не хватило изображений: их {len(labels)}, а из каждого класса "
            f"берут {VALIDATION_SHARE:.0%}",
            f"no images left for the part '{split}': there are {len(labels)}, and of each class "
            f"{VALIDATION_SHARE:.0%} are taken",
        )
    return chosen
