"""Pruning: weights near zero become zero, or whole channels go.

Zeros change neither the size of the arrays nor the time of a dense convolution. Channels that are
removed do: what is left is a smaller network of the same kind.

References
----------
Han et al., "Learning both weights and connections for efficient neural networks" (2015), for
weights; Li et al., "Pruning filters for efficient ConvNets" (2017), section 3, for channels.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from pixgrad.checks import number
from pixgrad.nets import residual_blocks, weighted_layers


def magnitude(net: nn.Module, share: float) -> nn.Module:
    """A copy where the ``share`` of the smallest weights of all layers together is zero.

    Examples
    --------
    >>> net = magnitude(nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10)), share=0.75)
    >>> round(zeros(net), 2)
    0.75
    """
    share = number("share", share, most=1)
    net = copy.deepcopy(net).to(memory_format=torch.contiguous_format)  # torch flattens in place
    weights = [(layer, "weight") for _, layer in weighted_layers(net)]
    prune.global_unstructured(weights, prune.L1Unstructured, amount=share)
    for layer, name in weights:
        prune.remove(layer, name)
    return net


def hold_zeros(net: nn.Module) -> None:
    """Let training leave the zero weights of convolutions and linear layers at zero.

    Their gradients are zero from now on; momentum and the L2 penalty then leave them alone.

    Examples
    --------
    >>> net = magnitude(nn.Linear(4, 4), share=0.5)
    >>> hold_zeros(net)
    >>> net(torch.ones(1, 4)).sum().backward()
    >>> bool((net.weight.grad[net.weight == 0] == 0).all())
    True
    """
    for _, layer in weighted_layers(net):
        mask = (layer.weight != 0).to(layer.weight.dtype)
        layer.weight.register_hook(lambda gradient, mask=mask: gradient * mask)


def narrowed(net: nn.Module, share: float) -> nn.Module:
    """A copy without the ``share`` of the channels in every place where channels may go.

    In each place those go whose filters have the smallest sum of absolute weights; weights that
    read channels removed before do not count.

    Examples
    --------
    >>> from pixgrad import nets
    >>> net = nets.build("small-cnn", 10)
    >>> small = narrowed(net, share=0.5)
    >>> small(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    >>> sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in net.parameters()) / 2
    True
    """
    share = number("share", share, most=1)
    net = copy.deepcopy(net)
    for convolution, norm, after in removable(net):
        total = convolution.out_channels
        left = total - round(share * total)
        kept = importance(convolution).topk(left).indices.sort().values
        keep_outputs(convolution, kept)
        if norm is not None:
            keep_features(norm, kept)
        keep_inputs(after, kept, total)
    return net


def importance(convolution: nn.Conv2d) -> Tensor:
    """Of every output channel (O,): the sum of its filter's absolute weights.

    Examples
    --------
    >>> importance(nn.Conv2d(3, 8, 3)).shape
    torch.Size([8])
    """
    return convolution.weight.detach().abs().sum((1, 2, 3))


def removable(
    net: nn.Module,
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None, nn.Conv2d | nn.Linear]]:
    """Where channels may go: convolution, the normalisation after it, the layer that reads them.

    With skip connections only channels inside the blocks: those between blocks are added to each
    other and must match in all blocks of a stage. Without them any convolution's.

    Examples
    --------
    >>> from pixgrad import nets
    >>> [(one.out_channels, norm) for one, norm, _ in removable(nets.build("simple-cnn", 10))]
    [(32, None), (64, None), (128, None)]
    """
    blocks = residual_blocks(net)
    if blocks:
        return [(block.conv1, block.bn1, block.conv2) for _, block in blocks]
    kinds = nn.Conv2d, nn.BatchNorm2d, nn.Linear
    layers = [layer for layer in net.modules() if isinstance(layer, kinds)]
    found = []
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            norm, *others = layers[place + 1 :]
            if isinstance(norm, nn.BatchNorm2d):
                found.append((layer, norm, others[0]))
            else:
                found.append((layer, None, norm))
    return found


def keep_outputs(convolution: nn.Conv2d, kept: Tensor) -> None:
    """Leave only these output channels of a convolution.

    Examples
    --------
    >>> layer = nn.Conv2d(3, 4, 3)
    >>> keep_outputs(layer, torch.tensor([0, 2]))
    >>> layer.weight.shape, layer.out_channels
    (torch.Size([2, 3, 3, 3]), 2)
    """
    convolution.weight = nn.Parameter(convolution.weight.detach()[kept])
    if convolution.bias is not None:
        convolution.bias = nn.Parameter(convolution.bias.detach()[kept])
    convolution.out_channels = len(kept)


def keep_features(norm: nn.BatchNorm2d, kept: Tensor) -> None:
    """Leave only these channels of a normalisation.

    Examples
    --------
    >>> norm = nn.BatchNorm2d(4)
    >>> keep_features(norm, torch.tensor([0, 2]))
    >>> norm.num_features, norm.running_mean.shape
    (2, torch.Size([2]))
    """
    for name in ("weight", "bias"):
        setattr(norm, name, nn.Parameter(getattr(norm, name).detach()[kept]))
    for name in ("running_mean", "running_var"):
        setattr(norm, name, getattr(norm, name)[kept])
    norm.num_features = len(kept)


def keep_inputs(layer: nn.Conv2d | nn.Linear, kept: Tensor, total: int) -> None:
    """Leave only what a layer reads of these channels of ``total``.

    A linear layer may read several numbers of each channel: its map, flattened.

    Examples
    --------
    >>> layer = nn.Linear(4 * 9, 2)  # after a map of four channels, 3x3 each
    >>> keep_inputs(layer, torch.tensor([0, 2]), total=4)
    >>> layer.weight.shape
    torch.Size([2, 18])
    """
    weight = layer.weight.detach()
    by_channel = weight.reshape(len(weight), total, -1)[:, kept]
    if isinstance(layer, nn.Conv2d):
        layer.weight = nn.Parameter(by_channel.reshape(-1, len(kept), *layer.kernel_size))
        layer.in_channels = len(kept)
    else:
        layer.weight = nn.Parameter(by_channel.flatten(1))
        layer.in_features = layer.weight.shape[1]


def zeros(net: nn.Module) -> float:
    """Share of zeros among the weights of convolutions and linear layers, 0 … 1.

    Examples
    --------
    >>> zeros(nn.Sequential(nn.Linear(10, 10)))
    0.0
    """
    weights = [layer.weight for _, layer in weighted_layers(net)]
    return sum(int((of == 0).sum()) for of in weights) / sum(of.numel() for of in weights)
