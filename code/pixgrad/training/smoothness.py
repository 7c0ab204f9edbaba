"""What batch normalisation changes: the shift of a layer's inputs, and the loss along the step.

Two notions of internal covariate shift, and the smoothness that was proposed in their place.

References
----------
Ioffe, Szegedy, "Batch normalization" (2015), section 2: the distribution of a layer's inputs
changes as the layers before it learn. Santurkar, Tsipras, Ilyas, Madry, "How does batch
normalization help optimization?" (2018), definition 2.1: the change of a layer's gradient when the
layers before it make their step; section 3.1: how far the loss and its gradient change along the
gradient.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pixgrad.nets import weighted_layers

SHIFT = ("layer", "input_shift", "gradient_change", "gradient_cosine")
ALONG = ("size", "loss_change", "gradient_change")
"""Columns of the rows."""


def parameter_groups(net: nn.Module) -> list[list[nn.Parameter]]:
    """The parameters of every layer with weights, with those of its normalisation after it."""
    firsts = {layer.weight for _, layer in weighted_layers(net)}
    groups: list[list[nn.Parameter]] = []
    for parameter in net.parameters():
        if parameter in firsts:
            groups.append([])
        groups[-1].append(parameter)
    return groups


def gradients(net: nn.Module, x: Tensor, y: Tensor) -> tuple[float, list[Tensor]]:
    """The loss of a batch and its gradients by all parameters; those kept in the net stay."""
    loss = cross_entropy(net(x), y)
    return loss.item(), list(torch.autograd.grad(loss, list(net.parameters())))


def layer_shifts(
    net: nn.Module, before: Sequence[Tensor], x: Tensor, y: Tensor
) -> list[list[float]]:
    """What one step of the optimiser did to the inputs and gradients of every layer but the first.

    Parameters
    ----------
    net : after the step.
    before : the values of its parameters before the step.
    x, y : the batch of the step.

    Returns
    -------
    Rows of ``SHIFT``. ``input_shift``: root mean square, over channels, of the change of the mean
    of the layer's input, in units of its root mean square deviation. ``gradient_change``: norm of
    G' - G over that of G, and ``gradient_cosine``: of the angle between them, where G is the
    gradient by the layer's weight before the step and G' the one after the layers before it have
    made their step and the others not. The net ends as it came.
    """
    layers, groups = [layer for _, layer in weighted_layers(net)], parameter_groups(net)
    after = [parameter.detach().clone() for parameter in net.parameters()]
    new = dict(zip(net.parameters(), after, strict=True))
    moments_after = _input_moments(net, layers, x)
    _set(net.parameters(), before)
    moments_before = _input_moments(net, layers, x)
    _, found = gradients(net, x, y)
    first = dict(zip(net.parameters(), found, strict=True))
    rows = []
    for number in range(1, len(layers)):
        # All layers before this one have moved already but the last of them.
        _set(groups[number - 1], [new[parameter] for parameter in groups[number - 1]])
        weight = layers[number].weight
        (moved,) = torch.autograd.grad(cross_entropy(net(x), y), [weight])
        old = first[weight]
        cosine = torch.nn.functional.cosine_similarity(moved.flatten(), old.flatten(), dim=0)
        (mean, deviation), (mean_after, _) = moments_before[number], moments_after[number]
        shift = (mean_after - mean).square().mean().sqrt() / deviation.square().mean().sqrt()
        rows.append(
            [number + 1, shift.item(), ((moved - old).norm() / old.norm()).item(), cosine.item()]
        )
    _set(net.parameters(), after)
    return rows


def along_gradient(
    net: nn.Module, x: Tensor, y: Tensor, sizes: Sequence[float]
) -> list[list[float]]:
    """The loss and its gradient at the points reached by steps against the gradient.

    Parameters
    ----------
    sizes : of the steps: the parameters become theta - size * g.

    Returns
    -------
    Rows of ``ALONG``: the change of the loss, and the norm of the change of the gradient over the
    norm of the gradient g. The net ends as it came.
    """
    parameters = list(net.parameters())
    start = [parameter.detach().clone() for parameter in parameters]
    loss, gradient = gradients(net, x, y)
    rows = []
    for size in sizes:
        _set(parameters, [old - size * of for old, of in zip(start, gradient, strict=True)])
        there, moved = gradients(net, x, y)
        change = _norm([a - b for a, b in zip(moved, gradient, strict=True)])
        rows.append([size, there - loss, change / _norm(gradient)])
    _set(parameters, start)
    return rows


def _input_moments(
    net: nn.Module, layers: Sequence[nn.Module], x: Tensor
) -> list[tuple[Tensor, Tensor]]:
    """Means and standard deviations of every layer's input, by channel."""
    found = []

    def keep(layer: nn.Module, inputs: tuple[Tensor]) -> None:
        by_channel = inputs[0].transpose(0, 1).flatten(1)
        found.append((by_channel.mean(1), by_channel.std(1)))

    hooks = [layer.register_forward_pre_hook(keep) for layer in layers]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return found


@torch.no_grad()
def _set(parameters: Sequence[nn.Parameter], values: Sequence[Tensor]) -> None:
    for parameter, value in zip(parameters, values, strict=True):
        parameter.copy_(value)


def _norm(tensors: Sequence[Tensor]) -> float:
    return torch.stack([tensor.norm() for tensor in tensors]).norm().item()
