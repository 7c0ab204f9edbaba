"""Kernels made by hand, and what a kernel of any origin responds to."""

import numpy as np

HAND_MADE = {
    "размытие": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16,
    "граница слева направо": np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4,
    "граница сверху вниз": np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]]) / 4,
    "пятно": np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]]) / 4,
    "резкость": np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0]]) / 1.0,
}
"""By what each is for: of correlation, not of convolution, so they are not to be flipped."""


def edge_responses(kernels: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Responses of kernels to a straight edge through their middle.

    Parameters
    ----------
    kernels : (O, K, K).
    angles : (A,), radians: where the light side is, 0 — to the right, π/2 — below.

    Returns
    -------
    float64 (O, A): the sum of kernel x edge, where the edge is +1 on the light side, -1 on the dark
    one and linear over the one pixel between.
    """
    side = kernels.shape[-1]
    place = np.arange(side) - (side - 1) / 2
    across, down = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    edges = np.clip(2 * (across * place[None, None, :] + down * place[None, :, None]), -1, 1)
    return np.einsum("okl,akl->oa", np.asarray(kernels, np.float64), edges)
