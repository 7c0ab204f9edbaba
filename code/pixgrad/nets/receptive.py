"""Receptive fields: by formula for any network, by the gradient and by occlusion for a trained one.

Output cell i of a layer sees the input pixels ``jump * i + low`` … ``jump * i + high`` along an
axis. A window of k cells with stride s, padding p and dilation d moves the ends by

    low' = low - p * jump,    high' = high + (d (k - 1) - p) * jump,    jump' = s * jump,

and where branches meet, the ends are the outermost ones.

References
----------
Araujo, Norris, Sim, "Computing receptive fields of convolutional neural networks", Distill (2019).
Luo, Li, Urtasun, Zemel, "Understanding the effective receptive field in deep convolutional neural
networks" (2016), section 2.
Zeiler, Fergus, "Visualizing and understanding convolutional networks" (2014), section 4.2.
"""

import operator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, fx, nn

from pixgrad.errors import PixgradError
from pixgrad.nets.blocks import Subsample

Module = nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d | Subsample


@dataclass(frozen=True)
class Field:
    """What a cell of a map sees along an axis: pixels ``jump * i + low`` … ``jump * i + high``."""

    low: int = 0
    high: int = 0
    jump: int = 1

    @property
    def size(self) -> int:
        """The receptive field, pixels."""
        return self.high - self.low + 1

    def after(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> "Field":
        """The field after one more window."""
        low = self.low - padding * self.jump
        high = self.high + (dilation * (kernel - 1) - padding) * self.jump
        return Field(low, high, self.jump * stride)

    def joined(self, other: "Field") -> "Field":
        """The field of a sum or a concatenation of two maps."""
        if self.jump != other.jump:
            raise PixgradError(
                f"ветви с разным шагом {self.jump} и {other.jump} не сложить",
                f"branches of different steps {self.jump} and {other.jump} cannot be added",
            )
        return replace(self, low=min(self.low, other.low), high=max(self.high, other.high))


def fields(net: nn.Module) -> dict[str, Field]:
    """Theoretical receptive fields of the layers with windows, in the order of execution.

    Parameters
    ----------
    net : any network that ``torch.fx`` can follow. What gathers a whole map (adaptive pooling, the
        linear layers after it) ends the count.

    Returns
    -------
    Field by the name of the module; sums and concatenations count under their node's name.
    """
    graph = _Windows().trace(net)
    modules, found, named = dict(net.named_modules()), {}, {}
    for node in graph.nodes:
        inputs = [found[one] for one in node.all_input_nodes if one in found]
        if node.op == "placeholder":
            found[node] = Field()
        elif not inputs or node.target in (torch.flatten, "flatten", torch.mean, "mean"):
            continue
        elif node.op == "call_module":
            module, (field, *_) = modules[node.target], inputs
            if isinstance(module, nn.AdaptiveAvgPool2d | nn.Flatten | nn.Linear):
                continue
            found[node] = _through(module, field)
            if isinstance(module, Module):
                named[node.target] = found[node]
        else:
            found[node] = inputs[0]
            for other in inputs[1:]:
                found[node] = found[node].joined(other)
            if node.target in (torch.cat, operator.add, torch.add):
                named[node.name] = found[node]
    return named


def main_path(net: nn.Module) -> dict[str, Field]:
    """:func:`fields` of the layers alone, without projections in skip connections."""
    modules = dict(net.named_modules())
    return {
        name: field
        for name, field in fields(net).items()
        if name in modules and ".downsample" not in name
    }


def gradient_field(features: nn.Module, images: Tensor, cell: int) -> Tensor:
    """How strongly each input pixel moves one cell: the mean over images and colours of |∂y/∂x|.

    Parameters
    ----------
    features : (N, C, H, W) -> maps (N, K, h, w), in evaluation mode.
    cell : row and column of the cell; y is the sum of its K channels.

    Returns
    -------
    float32, (H, W).
    """
    x = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(features(x)[:, :, cell, cell].sum(), x)
    return gradient.abs().mean((0, 1))


@torch.no_grad()
def occlusion_field(features: nn.Module, images: Tensor, cell: int, side: int) -> Tensor:
    """How far one cell moves when a square of the input is covered with zeros (the mean colour).

    Parameters
    ----------
    features, cell : as for :func:`gradient_field`.
    side : of the square, pixels.

    Returns
    -------
    float32, (H - side + 1, W - side + 1): the mean over images of the Euclidean distance between
    the cell's K channels with and without the square at each place.
    """
    height, width = (size - side + 1 for size in images.shape[2:])
    before = features(images)[:, :, cell, cell]
    moved = torch.zeros(height, width)
    for row in range(height):
        covered = images.repeat(width, 1, 1, 1, 1)  # a copy a column: one call a row
        for column in range(width):
            covered[column, :, :, row : row + side, column : column + side] = 0
        after = features(covered.flatten(0, 1))[:, :, cell, cell]
        moved[row] = (after.unflatten(0, (width, -1)) - before).norm(dim=2).mean(1)
    return moved


def effective_side(field: Tensor) -> float:
    """Side of the square that would hold as much if spread evenly: √((Σg)² / Σg²), pixels."""
    return float((field.sum().square() / field.square().sum()).sqrt())


class _Windows(fx.Tracer):
    """Leaves :class:`Subsample` whole: its stride is hidden in an index."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, Subsample) or super().is_leaf_module(module, name)


def _through(module: nn.Module, field: Field) -> Field:
    if isinstance(module, Subsample):
        return field.after(1, module.stride)
    if isinstance(module, nn.Upsample):
        raise PixgradError(
            "после увеличения карты поле этой формулой не считается",
            "the formula does not hold after a map is enlarged",
        )
    if not isinstance(module, Module):
        pad = getattr(module, "padding", 0) if "Pad2d" in type(module).__name__ else (0,)
        return field.after(1, 1, _one(pad))
    sizes = module.kernel_size, module.stride, module.padding, getattr(module, "dilation", 1)
    return field.after(*map(_one, sizes))


def _one(value: int | tuple[int, ...]) -> int:
    """The larger of the two axes' numbers."""
    return value if isinstance(value, int) else max(value)
