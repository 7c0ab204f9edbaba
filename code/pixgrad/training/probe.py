"""``GradientProbe``: signals and gradients in every layer while a network learns."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pixgrad.nets import weighted_layers

COLUMNS = (
    "epoch",
    "step",
    "layer",
    "grad_norm",
    "grad_rms",
    "weight_norm",
    "scale_free",
    "activation_rms",
    "activation_grad_norm",
    "update_ratio",
)


class GradientProbe:
    """Measures every convolution and linear layer of a network at every k-th step.

    One row of the table is one layer at one step. With W the layer's weight, z its output before
    normalisation and activation, and L the mean loss of the batch:

    * ``epoch`` — from 1; ``step`` — number of optimiser steps made before; ``layer`` — 1 at the
      input;
    * ``grad_norm`` — Frobenius norm of dL/dW. Squares are summed in float64: in float32 a square
      underflows below 1e-19, and plain networks do go there;
    * ``grad_rms`` — the same per element: it does not grow with the size of the layer;
    * ``weight_norm`` — of W, and ``scale_free`` = ``weight_norm`` x ``grad_norm``: it does not
      change when W is rescaled before a batch normalisation, which divides the scale out again;
    * ``activation_rms`` — of z per element, ``activation_grad_norm`` — norm of dL/dz;
    * ``update_ratio`` — norm of the step that the optimiser made, relative to ``weight_norm``.

    Parameters
    ----------
    net : a network of :mod:`pixgrad.nets`.
    every : k, in optimiser steps; at the other steps the probe does nothing.

    Examples
    --------
    >>> probe = GradientProbe(net, every=10)
    >>> with probe.watch(epoch=1, step=0):
    ...     loss = criterion(net(x), y)
    ...     loss.backward()
    ...     optimiser.step()
    """

    def __init__(self, net: nn.Module, every: int = 10) -> None:
        self.layers = weighted_layers(net)
        self.every = every
        self.rows: list[list[float]] = []
        """Rows of the table; a run that is resumed puts its old rows here."""

    @contextmanager
    def watch(self, epoch: int, step: int) -> Iterator[None]:
        """Measure the one training step made inside, if it is a k-th one.

        Gradients must still be there at the end: clear them before a step, not after it. A step
        that raises leaves no rows.
        """
        if step % self.every:
            yield
            return
        signals: list[dict[str, float]] = [{} for _ in self.layers]
        before = [layer.weight.detach().clone() for _, layer in self.layers]
        with ExitStack() as hooks:
            for (_, layer), found in zip(self.layers, signals, strict=True):
                hook = layer.register_forward_hook(partial(_measure_output, found))
                hooks.enter_context(hook)
            yield
        for number, ((_, layer), old, found) in enumerate(
            zip(self.layers, before, signals, strict=True), start=1
        ):
            grad_norm, weight_norm = norm(layer.weight.grad), norm(old)
            row = {
                "epoch": epoch,
                "step": step,
                "layer": number,
                "grad_norm": grad_norm,
                "grad_rms": grad_norm / old.numel() ** 0.5,
                "weight_norm": weight_norm,
                "scale_free": weight_norm * grad_norm,
                "update_ratio": norm(layer.weight.detach() - old) / weight_norm,
                **found,
            }
            self.rows.append([row[column] for column in COLUMNS])


def probed(net: nn.Module, images: Tensor, labels: Tensor) -> tuple[list[list[float]], Tensor]:
    """Rows of one forward and backward pass without a step, and the logits (N, K)."""
    probe = GradientProbe(net)
    with probe.watch(epoch=1, step=0):
        logits = net(images)
        cross_entropy(logits, labels).backward()
    return probe.rows, logits.detach()


def norm(tensor: Tensor) -> float:
    """Square root of the sum of squares, summed in float64."""
    return torch.linalg.vector_norm(tensor, dtype=torch.float64).item()


def _measure_output(found: dict[str, float], layer: nn.Module, inputs: tuple, output: Tensor):
    found["activation_rms"] = norm(output.detach()) / output.numel() ** 0.5
    output.register_hook(lambda grad: found.update(activation_grad_norm=norm(grad)))
