"""The arctangent (OpenCV's polynomial) and the exponential, in plain float32 arithmetic.

Additions and multiplications alone give the same bits on every processor and in compiled code;
``np.exp`` does not, and ``np.arctan2`` differs from OpenCV's angle by up to 0.01 degrees.
"""

from __future__ import annotations

import math

import numpy as np

# Odd polynomial for atan(c), 0 <= c <= 1, in radians; the maximal error is about 0.01 degrees.
_ATAN = (0.9997878412794807, -0.3258083974640975, 0.1555786518463281, -0.04432655554792128)
_DEGREES = np.float32(180 / math.pi)
P1, P3, P5, P7 = (np.float32(p) * _DEGREES for p in _ATAN)
TINY = np.float32(np.finfo(np.float64).eps)

# exp(x) = 2^q 2^(j/64) e^r with 64 q + j = round(64 x / ln 2) and |r| <= ln 2 / 128.
EXP_SCALE = np.float32(64 / math.log(2))
LN2_HIGH = np.float32(round(math.log(2) * 32) / 2048)  # 5 bits: its multiples below are exact
LN2_LOW = np.float32(math.log(2) / 64 - float(LN2_HIGH))
EXP_TABLE = (2.0 ** (np.arange(64) / 64)).astype(np.float32)
SIXTH, HALF = np.float32(1 / 6), np.float32(1 / 2)


def atan2_degrees(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Angle of the vector (x, y) in [0, 360) degrees, error about 0.01 degrees, float32."""
    ax, ay = np.abs(x), np.abs(y)
    c = np.minimum(ax, ay) / (np.maximum(ax, ay) + TINY)
    c2 = c * c
    angle = (((P7 * c2 + P5) * c2 + P3) * c2 + P1) * c
    angle = np.where(ax >= ay, angle, np.float32(90) - angle)
    angle = np.where(x < 0, np.float32(180) - angle, angle)
    return np.where(y < 0, np.float32(360) - angle, angle)


def exp(x: np.ndarray) -> np.ndarray:
    """``e^x`` for x <= 0 in float32, within one unit of the last place."""
    x = np.maximum(x, np.float32(-80))
    whole = np.rint(x * EXP_SCALE)
    r = (x - whole * LN2_HIGH) - whole * LN2_LOW
    index = whole.astype(np.int32)
    table = EXP_TABLE[index & 63]
    power = ((index >> 6) + 127 << 23).view(np.float32)
    return (table + table * (((r * SIXTH + HALF) * r) * r + r)) * power
