"""How far two implementations of SIFT agree, keypoint by keypoint."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from pixgrad.sift import Features, Sift

POSITION = 0.05  # pixels
SIZE = 0.005  # share of the size
ANGLE = 0.5  # degrees


@dataclass(frozen=True)
class Agreement:
    """Two sets of features paired one to one.

    Attributes
    ----------
    missed, extra : keypoints of the reference without a pair, and of the other without one.
    swapped : how often a pair stands before its predecessor in the reference; 0 — same order.
    response_error : largest relative difference of the responses of a pair.
    same_response : share of pairs with equal response, to the bit.
    same_octave : share of pairs with equal packed octave, layer and sub-layer offset.
    equal_descriptors : share of pairs with all 128 numbers equal.
    distance : (M,) relative L2 distance of paired descriptors, ``|a - b| / |b|``.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> found = Sift().detect_and_compute(load("synthetic")[0].first[:100, :100])
    >>> compare(found, found).equal_descriptors
    1.0
    """

    missed: int
    extra: int
    swapped: int
    response_error: float
    same_response: float
    same_octave: float
    equal_descriptors: float
    distance: np.ndarray


def compare(found: Features, reference: Features) -> Agreement:
    """Pair keypoints within 0.05 px, 0.5 % of size and 0.5 degrees, and compare the pairs.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> found = Sift().detect_and_compute(load("synthetic")[0].first[:100, :100])
    >>> result = compare(found[1:], found)
    >>> result.missed, result.extra
    (1, 0)
    """
    a, b = pair(found, reference)
    one, two = found[a], reference[b]
    gap = np.linalg.norm(one.descriptors - two.descriptors, axis=1)
    return Agreement(
        missed=len(reference) - len(b),
        extra=len(found) - len(a),
        swapped=int((np.diff(b) < 0).sum()),
        response_error=float((np.abs(one.response - two.response) / two.response).max(initial=0)),
        same_response=float((one.response == two.response).mean()),
        same_octave=float((one.octave == two.octave).mean()),
        equal_descriptors=float((gap == 0).mean()),
        distance=gap / np.linalg.norm(two.descriptors, axis=1),
    )


def pool(parts: Sequence[Agreement]) -> Agreement:
    """The agreement over several images together.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> found = Sift().detect_and_compute(load("synthetic")[0].first[:100, :100])
    >>> pool([compare(found[1:], found), compare(found[2:], found)]).missed
    3
    """
    weights = [len(part.distance) for part in parts]
    shares = ("same_response", "same_octave", "equal_descriptors")
    return Agreement(
        **{name: sum(getattr(p, name) for p in parts) for name in ("missed", "extra", "swapped")},
        **{
            name: float(np.average([getattr(p, name) for p in parts], weights=weights))
            for name in shares
        },
        response_error=max(part.response_error for part in parts),
        distance=np.concatenate([part.distance for part in parts]),
    )


def pair(found: Features, reference: Features) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the keypoints that are each other's nearest within the tolerances.

    Returns
    -------
    (M,) increasing numbers in ``found``, (M,) numbers in ``reference``.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> found = Sift().detect_and_compute(load("synthetic")[0].first[:100, :100])
    >>> a, b = pair(found[::-1], found)
    >>> bool((a + b == len(found) - 1).all())
    True
    """
    period = np.array([0, 0, 0, 360 / ANGLE])
    return _mutual_nearest(_coordinates(found), _coordinates(reference), period)


def half_turn_shifts(image: np.ndarray, sift: Sift) -> np.ndarray:
    """Where keypoints move if the image is turned by 180 degrees and the points turned back.

    An unbiased detector finds the same places; a detector that reports every point ``b`` pixels
    too far along both axes shows the shift ``2 b``.

    Returns
    -------
    (M, 2) float32, pixels: keypoints of the image minus those of the turned one, for keypoints
    that are each other's nearest within 2 px and have sizes within 10 %.

    Examples
    --------
    >>> from pixgrad.data import load
    >>> image = load("synthetic")[0].first[:120, :120]
    >>> shifts = half_turn_shifts(image, Sift())
    >>> np.median(shifts, axis=0).round(1)  # twice 0.25 px, OpenCV's bias
    array([0.5, 0.5], dtype=float32)
    """
    here = sift.detect(image)
    turned = sift.detect(np.ascontiguousarray(image[::-1, ::-1]))
    corner = np.array([image.shape[1] - 1, image.shape[0] - 1], np.float32)
    back_xy = corner - turned.xy
    one = np.column_stack([here.xy / 2, np.log(here.size) / 0.1])
    two = np.column_stack([back_xy / 2, np.log(turned.size) / 0.1])
    kept, there = _mutual_nearest(one, two)
    return here.xy[kept] - back_xy[there]


def _coordinates(features: Features) -> np.ndarray:
    """Position, size and angle in units of the tolerances, (N, 4) float64."""
    f = features
    angle = f.angle.astype(np.float64) % 360 / ANGLE
    return np.column_stack([f.xy / POSITION, np.log(f.size) / np.log1p(SIZE), angle])


def _mutual_nearest(
    one: np.ndarray, two: np.ndarray, period: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows that are each other's nearest and nowhere more than 1 apart."""
    distance, there = KDTree(two, boxsize=period).query(one, p=np.inf)
    _, back = KDTree(one, boxsize=period).query(two, p=np.inf)
    numbers = np.flatnonzero((distance <= 1) & (back[there] == np.arange(len(one))))
    return numbers, there[numbers]
