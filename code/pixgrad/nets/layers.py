"""The layers of a network by the order in which a signal meets them."""

from torch import nn

from pixgrad.nets.blocks import Block


def weighted_layers(net: nn.Module) -> list[tuple[str, nn.Conv2d | nn.Linear]]:
    """Convolutions and linear layers with their names, in the order of execution.

    Projections in skip connections stand beside the main path and are left out, as He et al. count
    layers: plain-D and resnet-D have exactly D.

    Examples
    --------
    >>> from pixgrad import nets
    >>> len(weighted_layers(nets.skeleton("resnet-20", 10)))
    20
    >>> weighted_layers(nets.skeleton("resnet-20", 10))[0][0]
    'conv1'
    """
    beside = {module for _, block in residual_blocks(net) for module in block.downsample.modules()}
    return [
        (name, module)
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and module not in beside
    ]


def residual_blocks(net: nn.Module) -> list[tuple[str, Block]]:
    """Blocks with a skip connection, with their names, in the order of execution.

    Examples
    --------
    >>> from pixgrad import nets
    >>> [name for name, _ in residual_blocks(nets.skeleton("resnet-8", 10))]
    ['layer1.0', 'layer2.0', 'layer3.0']
    """
    return [
        (name, module)
        for name, module in net.named_modules()
        if isinstance(module, Block) and module.downsample is not None
    ]
