"""The arctangent (OpenCV's polynomial) and the exponential, in plain float32 arithmetic.

Additions and multiplications alone give the same bits on every processor and in compiled code;
``np.exp`` does not, and ``np.arctan2`` differs from OpenCV's angle by up to 0.01 degrees. Both
functions take arrays or, compiled by `compiled`, single numbers.
"""

import math

import numpy as np

# Odd polynomial for atan(c), 0 <= c <= 1, in radians; the maximal error is about 0.01 degrees.
_ATAN = (0.9997878412794807, -0.3258083974640975, 0.1555786518463281, -0.04432655554792128)
_DEGREES = np.float32(180 / math.pi)
P1, P3, P5, P7 = (np.float32(p) * _DEGREES for p in _ATAN)
TINY = np.float32(np.finfo(np.float64).eps)

# e^x = 2^q e^r with q = round(x / ln 2); ln 2 in two parts, so that x - q ln 2 stays exact.
LOG2_E = np.float32(1 / math.log(2))
LN2_HIGH = np.float32(round(math.log(2) * 2**11) / 2**11)
LN2_LOW = np.float32(math.log(2) - float(LN2_HIGH))
T0, T1, T2, T3, T4, T5, T6, T7 = (np.float32(1 / math.factorial(k)) for k in range(8))
EXPONENT_BIAS, MANTISSA_BITS = np.int32(127), np.int32(23)


def atan2_degrees(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Angle of the vector (x, y) in [0, 360) degrees, error about 0.01 degrees, float32."""
    ax, ay = np.abs(x), np.abs(y)
    c = np.minimum(ax, ay) / (np.maximum(ax, ay) + TINY)
    c2 = c * c
    angle = (((P7 * c2 + P5) * c2 + P3) * c2 + P1) * c
    # |a - turn| is turn - a where the fold applies and a elsewhere; np.where is 10 x slower.
    angle = np.abs(angle - np.float32(90) * np.float32(ay > ax))
    angle = np.abs(angle - np.float32(180) * np.float32(x < 0))
    return np.abs(angle - np.float32(360) * np.float32(y < 0))


def exp(x: np.ndarray) -> np.ndarray:
    """``e^x`` for x <= 0 in float32, within one unit of the last place."""
    x = np.maximum(x, np.float32(-80))
    q = np.rint(x * LOG2_E)
    r = (x - q * LN2_HIGH) - q * LN2_LOW
    value = ((((((T7 * r + T6) * r + T5) * r + T4) * r + T3) * r + T2) * r + T1) * r + T0
    # 2^q as the bits of a float32 number: its exponent alone.
    power = np.int32((np.int32(q) + EXPONENT_BIAS) << MANTISSA_BITS).view(np.float32)
    return value * power
