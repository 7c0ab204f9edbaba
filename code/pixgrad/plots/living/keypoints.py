"""Keypoints for the figure that shows what SIFT computed at the one pointed to."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pixgrad.sift import Features, orientation
from pixgrad.sift.features import unpack_octave


def payload(
    photo: Mapping[str, Any],
    found: Features,
    gradients: Sequence[tuple[np.ndarray, np.ndarray]],
) -> dict:
    """Place, orientation histogram and descriptor of each.

    Parameters
    ----------
    photo : from :func:`pixgrad.plots.living.picture`.
    found : the keypoints to show.
    gradients : of every octave, from the doubled image on, as `orientation.gradients` of the
        layers 1 … s.

    Returns
    -------
    dict; ``votes`` of a point are the smoothed 36 sums in per cent of the largest.
    """
    octaves, layers = unpack_octave(found.octave)
    scale = np.exp2(octaves.astype(float))  # pixels of the photo in one of the octave
    columns_rows = np.rint(found.xy / scale[:, None]).astype(int)
    points = np.column_stack([layers - 1, columns_rows[:, ::-1]])
    sigma = (found.size / 2 / scale).astype(np.float32)
    rows = []
    for k, octave in enumerate(octaves):
        one = slice(k, k + 1)
        votes = orientation.histograms(*gradients[octave + 1], points[one], sigma[one])[0]
        rows.append(
            {
                "x": round(float(found.xy[k, 0]), 1),
                "y": round(float(found.xy[k, 1]), 1),
                "size": round(float(found.size[k]), 1),
                "angle": round(float(found.angle[k]), 1),
                "votes": np.rint(100 * votes / votes.max()).astype(int).tolist(),
                "descriptor": found.descriptors[k].astype(int).tolist(),
            }
        )
    return {"photo": dict(photo), "points": rows}
