"""Inception-BN: inception blocks with batch normalisation, two 3x3 kernels in place of a 5x5.

References
----------
Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal
covariate shift" (2015), section 4.2 and figure 5, the table of the network.
"""

from functools import partial

import torch
from torch import Tensor, nn

from pixgrad.nets.blocks import Activation
from pixgrad.nets.googlenet import Convolution

BLOCKS = {
    "3a": (64, 64, 64, 64, 96, "average", 32),
    "3b": (64, 64, 96, 64, 96, "average", 64),
    "3c": (0, 128, 160, 64, 96, "max", 0),
    "4a": (224, 64, 96, 96, 128, "average", 128),
    "4b": (192, 96, 128, 96, 128, "average", 128),
    "4c": (160, 128, 160, 128, 160, "average", 96),
    "4d": (96, 128, 192, 160, 192, "average", 96),
    "4e": (0, 128, 192, 192, 256, "max", 0),
    "5a": (352, 192, 320, 160, 224, "average", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}
"""Channels: 1x1; 1x1 and 3x3; 1x1 and twice 3x3; the pooling and its 1x1. Blocks without 1x1
halve the maps and pass the pooled channels on.

In 4c and 4d the table of the paper has 128 channels after the pooling; with them the outputs would
not be the 576 channels that the same table states, nor 4e the 1024. TensorFlow-Slim, which the
authors published, has 96, and so have we."""


class DoubleInception(nn.Module):
    """(N, in_channels, H, W) -> (N, sum of branches, H, W), or half the size with ``ones`` of 0."""

    def __init__(
        self,
        in_channels: int,
        ones: int,
        reduce3: int,
        threes: int,
        reduce_double: int,
        doubles: int,
        pooling: str,
        pooled: int,
        **options,
    ) -> None:
        super().__init__()
        conv = partial(Convolution, **options)
        stride = 1 if ones else 2
        pool = nn.MaxPool2d if pooling == "max" else nn.AvgPool2d
        self.branch1 = conv(in_channels, ones, 1) if ones else None
        self.branch2 = nn.Sequential(
            conv(in_channels, reduce3, 1), conv(reduce3, threes, 3, stride)
        )
        self.branch3 = nn.Sequential(
            conv(in_channels, reduce_double, 1),
            conv(reduce_double, doubles, 3),
            conv(doubles, doubles, 3, stride),
        )
        self.branch4 = nn.Sequential(pool(3, stride, 1))
        if pooled:
            self.branch4.append(conv(in_channels, pooled, 1))
        self.channels = ones + threes + doubles + (pooled or in_channels)

    def forward(self, x: Tensor) -> Tensor:
        branches = self.branch1, self.branch2, self.branch3, self.branch4
        return torch.cat([branch(x) for branch in branches if branch is not None], 1)


class InceptionBN(nn.Module):
    """A stem, ten blocks, one linear layer: (N, in_channels, H, W) -> (N, num_classes)."""

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        batch_norm: bool = True,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        options = {"batch_norm": batch_norm, "activation": activation}
        conv = partial(Convolution, **options)
        self.stem = nn.Sequential(
            conv(in_channels, 64, 7, 2),
            nn.MaxPool2d(3, 2, 1),
            conv(64, 64, 1),
            conv(64, 192, 3),
            nn.MaxPool2d(3, 2, 1),
        )
        self.blocks, channels = nn.Sequential(), 192
        for name, widths in BLOCKS.items():
            block = DoubleInception(channels, *widths, **options)
            self.blocks.add_module(f"inception{name}", block)
            channels = block.channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.avgpool(self.blocks(self.stem(x))).flatten(1))
