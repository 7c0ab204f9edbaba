"""Numbers as 8-bit integers: x ≈ s (q − z), with a scale s and a zero point z.

References
----------
Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
inference" (CVPR 2018), section 2.
"""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnxruntime import quantization as ort

from pixgrad.checks import number, whole

INPUT = "images"
"""Name of a network's input in its file."""


@dataclass(frozen=True)
class Grid:
    """The numbers that 8 bits can hold.

    Attributes
    ----------
    scale : Δ, the step of the grid.
    zero_point : the integer that stands for 0: zero itself must be exact, it is what padding and
        ReLU give.
    low, high : of the integers.
    """

    scale: float
    zero_point: int
    low: int
    high: int

    def quantise(self, x: np.ndarray) -> np.ndarray:
        """Steps in x, rounded, and the zero point; held to the range."""
        q = np.round(np.asarray(x) / self.scale) + self.zero_point
        return np.clip(q, self.low, self.high).astype(np.int64)

    def dequantise(self, q: np.ndarray) -> np.ndarray:
        """Δ times the distance of q from the zero point."""
        return self.scale * (np.asarray(q) - self.zero_point)


def asymmetric(low: float, high: float, bits: int = 8) -> Grid:
    """For activations: unsigned integers over the whole range, which is made to hold 0."""
    low, high, top = min(low, 0.0), max(high, 0.0), 2 ** whole("bits", bits) - 1
    scale = (high - low) / top or 1.0  # of zeros alone any grid is right
    return Grid(scale, round(-low / scale), 0, top)


def symmetric(largest: float, bits: int = 8) -> Grid:
    """For weights: signed integers about a zero point of 0; −2^(bits−1) is left out."""
    top = 2 ** (whole("bits", bits, least=2) - 1) - 1
    return Grid(number("largest", largest) / top or 1.0, 0, -top, top)


@dataclass(frozen=True)
class Static:
    """How a network's weights and activations become integers before it is used.

    Attributes
    ----------
    signed : activations as int8, else uint8: the kernels of a processor may like only one.
    per_channel : a scale for every output channel of a convolution, else one for all.
    method : how the range of activations follows from calibration images: "min-max" takes it whole,
        "percentile" leaves out the rarest 0.001 % at each end.
    """

    signed: bool = False
    per_channel: bool = True
    method: str = "min-max"


METHODS = {
    "min-max": ort.CalibrationMethod.MinMax,
    "percentile": ort.CalibrationMethod.Percentile,
}


def static(model: bytes, batches: Sequence[np.ndarray], how: Static) -> bytes:
    """The ONNX file of a network in 8-bit integers; scales of activations come from ``batches``.

    Every tensor is rounded where it is made (QDQ: a quantisation, then a dequantisation); ONNX
    Runtime turns the pairs around a convolution into one in integers.

    Parameters
    ----------
    model : the ONNX file in float32, of a network without batch normalisations
        (:func:`pixgrad.compression.fold.folded`): each would be rounded by itself.
    batches : float32 (B, C, H, W) each: images that are like those to come.
    """
    activations = ort.QuantType.QInt8 if how.signed else ort.QuantType.QUInt8
    with TemporaryDirectory() as folder, _silence():
        target = Path(folder, "int8.onnx")
        ort.quantize_static(
            onnx.load_from_string(model),
            target,
            _Reader(batches),
            quant_format=ort.QuantFormat.QDQ,
            activation_type=activations,
            weight_type=ort.QuantType.QInt8,
            per_channel=how.per_channel,
            calibrate_method=METHODS[how.method],
        )
        return target.read_bytes()


def dynamic(model: bytes) -> bytes:
    """The ONNX file with integer weights in the linear layers.

    The scale of what comes into them is found anew for each input, so no images are needed.
    """
    with TemporaryDirectory() as folder, _silence():
        target = Path(folder, "int8.onnx")
        ort.quantize_dynamic(
            onnx.load_from_string(model),
            target,
            op_types_to_quantize=["MatMul", "Gemm"],
            weight_type=ort.QuantType.QInt8,
            per_channel=True,
        )
        return target.read_bytes()


@contextmanager
def _silence() -> Iterator[None]:
    """The library prints its progress and advises a pass that folding has made needless."""
    log = logging.getLogger()
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        log.setLevel(level)


class _Reader(ort.CalibrationDataReader):
    """Gives the batches one after another, as the library asks for them."""

    def __init__(self, batches: Sequence[np.ndarray]) -> None:
        self.batches: Iterator[np.ndarray] = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {INPUT: batch}
