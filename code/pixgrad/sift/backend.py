"""The slow stages as NumPy functions or, where numba is installed, as compiled ones."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple

from ..errors import PixgradError
from . import descriptor, extrema, orientation, refinement, scale_space

SWITCH = "PIXGRAD_NUMBA"  # environment variable: 0 keeps to NumPy


class Stages(NamedTuple):
    """Functions of the stages.

    ``find_extrema`` and ``refine`` get what ``differences`` gave, ``histograms`` and
    ``raw_histograms`` what ``gradients`` gave: NumPy computes both for whole layers, compiled code
    where it needs them.
    """

    double: Callable
    blur: Callable
    differences: Callable
    find_extrema: Callable
    refine: Callable
    gradients: Callable
    histograms: Callable
    peaks: Callable
    raw_histograms: Callable


NUMPY = Stages(
    scale_space.double,
    scale_space.blur,
    scale_space.difference_of_gaussians,
    extrema.find_extrema,
    refinement.refine,
    orientation.gradients,
    orientation.histograms,
    orientation.peaks,
    descriptor.raw_histograms,
)


_WORDS = {"": True, "1": True, "true": True, "yes": True, "on": True} | dict.fromkeys(
    ("0", "false", "no", "off"), False
)


def _is_on(word: str) -> bool:
    if word.lower() not in _WORDS:
        raise PixgradError(
            f"{SWITCH}={word}: нужно 0 или 1",
            f"{SWITCH}={word}: give 0 or 1",
        )
    return _WORDS[word.lower()]


def choose(compiled: bool | None = None) -> Stages:
    """Pick the implementation: the bits of OpenCV with fused multiply-add or without it.

    Compiled blur, refinement, directions of gradients and angles of peaks round ``a b + c`` once,
    as OpenCV does on processors that have the instruction; NumPy rounds twice, as OpenCV does on
    the rest. Everything else gives equal bits.

    Parameters
    ----------
    compiled : True — numba or an error; False — NumPy; None — numba if it is installed and the
        environment variable ``PIXGRAD_NUMBA`` is not 0 (or "false", "no", "off").

    Raises
    ------
    PixgradError : numba is wanted and not there; the variable is neither yes nor no.
    """
    if compiled not in (None, True, False):
        raise PixgradError(
            f"compiled={compiled!r}: нужно True, False или None",
            f"compiled={compiled!r}: give True, False or None",
        )
    if compiled is None:
        compiled = _is_on(os.environ.get(SWITCH, "")) and find_spec("numba") is not None
    if not compiled:
        return NUMPY
    try:
        from . import compiled as fast
    except ImportError as error:
        raise PixgradError(
            f"ускоренному SIFT нужен numba ({error}); pip install numba или compiled=False",
            f"compiled SIFT needs numba ({error}); pip install numba, or compiled=False",
        ) from error
    return Stages(
        fast.double,
        fast.blur,
        fast.differences,
        fast.find_extrema,
        fast.refine,
        fast.gradients,
        fast.histograms,
        fast.peaks,
        fast.raw_histograms,
    )
