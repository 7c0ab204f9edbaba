"""Blocks of architectures that were small from the start, in networks for small images.

Both networks have the widths that bring them to about as many parameters as the ResNet-8 of this
book has: what is compared is the block.

References
----------
Iandola et al., "SqueezeNet" (2016), section 3.1 and figure 2; Howard et al., "MobileNets" (2017),
section 3.1 and figure 3. Batch normalisation follows every convolution in both, as in MobileNet.
"""

import torch
from torch import Tensor, nn

from pixgrad.nets.blocks import Activation, convolution, normalisation


class Fire(nn.Module):
    """A 1×1 convolution to few channels, then 1×1 and 3×3 side by side: (N, C, H, W) -> 2 expand.

    Parameters
    ----------
    squeeze : channels between.
    expand : channels of each of the two convolutions.
    """

    def __init__(
        self, in_channels: int, squeeze: int, expand: int, batch_norm: bool, activation: Activation
    ) -> None:
        super().__init__()
        self.squeeze = convolution(in_channels, squeeze, 1, 1, batch_norm)
        self.bn1 = normalisation(squeeze, batch_norm)
        self.activation1 = activation()
        self.expand1 = convolution(squeeze, expand, 1, 1, batch_norm)
        self.bn2 = normalisation(expand, batch_norm)
        self.expand3 = convolution(squeeze, expand, 3, 1, batch_norm)
        self.bn3 = normalisation(expand, batch_norm)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation1(self.bn1(self.squeeze(x)))
        return self.activation(torch.cat([self.bn2(self.expand1(x)), self.bn3(self.expand3(x))], 1))


class Separable(nn.Module):
    """A 3×3 convolution of every channel alone, then a 1×1 that mixes them."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        batch_norm: bool,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, 3, stride, 1, groups=in_channels, bias=not batch_norm
        )
        self.bn1 = normalisation(in_channels, batch_norm)
        self.activation1 = activation()
        self.pointwise = convolution(in_channels, channels, 1, 1, batch_norm)
        self.bn2 = normalisation(channels, batch_norm)
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation1(self.bn1(self.depthwise(x)))
        return self.activation(self.bn2(self.pointwise(x)))


class _Small(nn.Module):
    """A 3×3 convolution, blocks, global average pooling and a linear layer."""

    def __init__(
        self, stem: int, blocks: nn.Sequential, last: int, num_classes: int, **options
    ) -> None:
        super().__init__()
        self.conv1 = convolution(options["in_channels"], stem, 3, 1, options["batch_norm"])
        self.bn1 = normalisation(stem, options["batch_norm"])
        self.activation = options["activation"]()
        self.blocks = blocks
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.activation(self.bn1(self.conv1(x))))
        return self.fc(self.avgpool(x).flatten(1))


class FireNet(_Small):
    """Six fire modules, the map halved twice by max pooling."""

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        batch_norm: bool = True,
        activation: Activation = nn.ReLU,
    ) -> None:
        shared = batch_norm, activation
        blocks = nn.Sequential(
            Fire(32, 8, 24, *shared),
            Fire(48, 8, 24, *shared),
            nn.MaxPool2d(2),
            Fire(48, 24, 48, *shared),
            Fire(96, 24, 48, *shared),
            nn.MaxPool2d(2),
            Fire(96, 32, 64, *shared),
            Fire(128, 32, 64, *shared),
        )
        options = {"in_channels": in_channels, "batch_norm": batch_norm, "activation": activation}
        super().__init__(32, blocks, 128, num_classes, **options)


class MobileNet(_Small):
    """Six depthwise separable blocks, the map halved twice by strides."""

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        batch_norm: bool = True,
        activation: Activation = nn.ReLU,
    ) -> None:
        shared = batch_norm, activation
        plan = ((32, 48, 1), (48, 64, 1), (64, 96, 2), (96, 96, 1), (96, 160, 2), (160, 160, 1))
        blocks = nn.Sequential(*(Separable(*sizes, *shared) for sizes in plan))
        options = {"in_channels": in_channels, "batch_norm": batch_norm, "activation": activation}
        super().__init__(32, blocks, 160, num_classes, **options)
