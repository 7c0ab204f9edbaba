"""Matches of two views for the figure with the slider of the ratio threshold."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pixgrad.views.judging import Judged


def payload(judged: Judged, photos: Sequence[Mapping[str, Any]], threshold: float) -> dict:
    """All nearest neighbours of two views, right and wrong.

    Parameters
    ----------
    photos : both views from :func:`pixgrad.plots.living.picture`.
    threshold : of the ratio, to begin with.

    Returns
    -------
    dict; ``ratio`` in thousandths, rounded down: a multiple of 0.001 lets the same matches pass.
    ``flags`` is 1 if the match is correct, plus 2 if the first keypoint was found again.
    """
    ends = np.hstack([judged.a.xy[judged.matches.first], judged.b.xy[judged.matches.second]])
    columns = dict(zip(("x1", "y1", "x2", "y2"), np.rint(ends).astype(int).T.tolist(), strict=True))
    return {
        "threshold": threshold,
        "photos": list(photos),
        **columns,
        "ratio": np.floor(1000 * judged.matches.ratio.astype(float)).astype(int).tolist(),
        "flags": (judged.correct + 2 * judged.again).tolist(),
    }
