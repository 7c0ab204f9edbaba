"""What a network consists of: weights, multiply-adds, activations, depth, receptive field."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import fx, nn

from pixgrad.nets import skeleton
from pixgrad.nets.cost import multiply_adds, weights
from pixgrad.nets.receptive import fields


@dataclass(frozen=True)
class Anatomy:
    """Numbers of one network for one image.

    Attributes
    ----------
    weights, linear_weights : of the whole network, and of its linear layers.
    multiply_adds : of convolutions and linear layers.
    activations : numbers in the outputs of all layers, which training keeps for the way back.
    depth : layers with weights on the longest way from the image to the logits.
    field : receptive field of a cell of the last maps, pixels.
    """

    weights: int
    linear_weights: int
    multiply_adds: int
    activations: int
    depth: int
    field: int

    @property
    def linear_share(self) -> float:
        """Of the weights, 0 … 1."""
        return self.linear_weights / self.weights


def anatomy(name: str, num_classes: int = 1000, side: int = 224) -> Anatomy:
    """Count a network of :func:`pixgrad.nets.build` by its modules; nothing is computed.

    Parameters
    ----------
    side : of the square image, pixels.
    """
    net = skeleton(name, num_classes).eval()
    image = torch.zeros(1, 3, side, side, device="meta")
    linear = [module for module in net.modules() if isinstance(module, nn.Linear)]
    return Anatomy(
        weights(net),
        sum(map(weights, linear)),
        multiply_adds(net, image)[""],
        sum(outputs(net, image).values()),
        depth(net),
        max(field.size for field in fields(net).values()),
    )


def outputs(net: nn.Module, image: torch.Tensor) -> dict[str, int]:
    """How many numbers each layer gives for an image, by its name; what only passes is left out."""
    found: dict[str, int] = {}

    def keep(name: str):
        return lambda module, inputs, output: found.update({name: output.numel()})

    hooks = [module.register_forward_hook(keep(name)) for name, module in _layers(net)]
    with torch.no_grad():
        net(image)
    for hook in hooks:
        hook.remove()
    return found


def depth(net: nn.Module) -> int:
    """Layers with weights on the longest way through the network."""
    modules, reached = dict(net.named_modules()), {}
    for node in fx.symbolic_trace(net).graph.nodes:
        before = max((reached[one] for one in node.all_input_nodes), default=0)
        module = modules.get(node.target) if node.op == "call_module" else None
        reached[node] = before + isinstance(module, nn.Conv2d | nn.Linear)
    return max(reached.values())


def _layers(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in net.named_modules():
        passes = isinstance(module, nn.Identity | nn.Dropout | nn.Flatten)
        if not passes and next(module.children(), None) is None:
            yield name, module
