"""A network out of PyTorch: an ONNX file, and its answers in ONNX Runtime."""

import io
import logging
import warnings

import numpy as np
import onnxruntime
import torch
from torch import nn

from pixgrad.compression.quantise import INPUT

OPSET = 20
WARNINGS = 3
"""ONNX Runtime's word for "errors only" is 3."""


def export(net: nn.Module, side: int, channels: int = 3) -> bytes:
    """The ONNX file of a network in evaluation mode: weights inside, any number of images.

    Parameters
    ----------
    side, channels : of the images (N, channels, side, side).
    """
    file = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own use of torch
        program = torch.onnx.export(
            net.eval(),
            (torch.zeros(2, channels, side, side),),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=[INPUT],
            output_names=["logits"],
            external_data=False,
            verbose=False,
        )
    program.save(file)
    return file.getvalue()


class Session:
    """An ONNX file, ready to answer.

    Parameters
    ----------
    model : the file.
    threads : of one operation.
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = WARNINGS
        self.session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Logits float32 (N, K) of float32 (N, C, H, W)."""
        return self.session.run(None, {INPUT: images})[0]
