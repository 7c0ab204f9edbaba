"""Settings that nothing was written for are refused here, with their value."""

from __future__ import annotations

import math
from numbers import Integral, Real

from pixgrad.errors import PixgradError, say


def whole(name: str, value: object, least: int = 1) -> int:
    """``value`` if it is a whole number from ``least`` on, of Python or of NumPy.

    Raises
    ------
    PixgradError : it is not; truth values are none.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise PixgradError(
            f"{name}={value!r}: нужно целое число от {least}",
            f"{name}={value!r}: give a whole number from {least} on",
        )
    return int(value)


def number(name: str, value: object, least: float = 0.0, most: float = math.inf) -> float:
    """``value`` if it is a finite number from ``least`` to ``most``.

    Raises
    ------
    PixgradError : it is not.
    """
    finite = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not finite or not least <= value <= most:
        end = "" if math.isinf(most) else say(f" до {most:g}", f" to {most:g}")
        raise PixgradError(
            f"{name}={value!r}: нужно конечное число от {least:g}{end}",
            f"{name}={value!r}: give a finite number from {least:g}{end}",
        )
    return value
