"""GoogLeNet: inception blocks, auxiliary heads, one linear layer.

References
----------
Szegedy et al., "Going deeper with convolutions" (2015): figure 2, (a) the naive block and (b) the
one with dimension reduction; table 1; section 5 for the auxiliary heads.
"""

from functools import partial

import torch
from torch import Tensor, nn

from pixgrad.nets.blocks import Activation

BLOCKS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
"""Channels of the blocks, in the order of table 1: 1x1; 1x1 and 3x3; 1x1 and 5x5; after pooling."""


class Convolution(nn.Module):
    """A convolution that keeps the size at stride 1, batch normalisation, activation."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel: int,
        stride: int = 1,
        *,
        batch_norm: bool = True,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, channels, kernel, stride, kernel // 2, bias=not batch_norm
        )
        self.bn = nn.BatchNorm2d(channels, eps=1e-3) if batch_norm else nn.Identity()
        self.activation = activation()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.bn(self.conv(x)))


class Inception(nn.Module):
    """Features of several sizes side by side: (N, in_channels, H, W) -> (N, sum, H, W).

    Parameters
    ----------
    ones : channels of the 1x1 convolution.
    reduce3, threes : of the 3x3 convolution and of the 1x1 before it.
    reduce5, fives : of the largest one, ``kernel`` x ``kernel``, and of the 1x1 before it.
    pooled : of the 1x1 convolution after 3x3 max pooling.
    """

    def __init__(
        self,
        in_channels: int,
        ones: int,
        reduce3: int,
        threes: int,
        reduce5: int,
        fives: int,
        pooled: int,
        *,
        kernel: int = 3,
        **options,
    ) -> None:
        super().__init__()
        conv = partial(Convolution, **options)
        self.branch1 = conv(in_channels, ones, 1)
        self.branch2 = nn.Sequential(conv(in_channels, reduce3, 1), conv(reduce3, threes, 3))
        self.branch3 = nn.Sequential(conv(in_channels, reduce5, 1), conv(reduce5, fives, kernel))
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), conv(in_channels, pooled, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        branches = self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)
        return torch.cat(branches, 1)


class NaiveInception(nn.Module):
    """The block of figure 2 (a), without reductions: pooling passes all its channels on.

    The output has ``ones + threes + fives + in_channels`` channels: it widens from block to block.
    """

    def __init__(self, in_channels: int, ones: int, threes: int, fives: int, **options) -> None:
        super().__init__()
        conv = partial(Convolution, **options)
        self.branch1 = conv(in_channels, ones, 1)
        self.branch2 = conv(in_channels, threes, 3)
        self.branch3 = conv(in_channels, fives, 5)
        self.branch4 = nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        branches = self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)
        return torch.cat(branches, 1)


class AuxiliaryHead(nn.Module):
    """A classifier on the maps of a middle block: (N, in_channels, H, W) -> (N, num_classes).

    Parameters
    ----------
    channels : of the 1x1 convolution; the linear layer after it has ``8 * channels`` outputs.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: int = 128,
        *,
        batch_norm: bool,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(4)  # 14x14 in the paper: 5x5 windows with stride 3
        self.conv = Convolution(
            in_channels, channels, 1, batch_norm=batch_norm, activation=activation
        )
        self.fc1 = nn.Linear(16 * channels, 8 * channels)
        self.activation = activation()
        self.dropout = nn.Dropout(0.7)
        self.fc2 = nn.Linear(8 * channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.avgpool(x)).flatten(1)
        return self.fc2(self.dropout(self.activation(self.fc1(x))))


class GoogLeNet(nn.Module):
    """A stem, nine inception blocks, one linear layer: (N, in_channels, H, W) -> (N, num_classes).

    While a network with auxiliary heads learns, it gives three logits: its own and those of the
    heads after the blocks 4a and 4d.

    Parameters
    ----------
    published : True — as in the paper: 5x5 kernels, response normalisation in the stem, no batch
        normalisation; False — as in torchvision, with its keys: 3x3 kernels in place of 5x5.
    auxiliary : with the two heads.
    """

    divisor = 1
    """Of all widths."""

    def __init__(
        self,
        num_classes: int,
        published: bool = False,
        auxiliary: bool = False,
        *,
        in_channels: int = 3,
        batch_norm: bool | None = None,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        batch_norm = not published if batch_norm is None else batch_norm
        options = {"batch_norm": batch_norm, "activation": activation}
        pool = partial(nn.MaxPool2d, stride=2, ceil_mode=True)
        channels, heads = self.add_stem(in_channels, published, **options), {}
        for name, widths in BLOCKS.items():
            if name == "4a":
                self.maxpool3 = pool(3)
            if name == "5a":
                self.maxpool4 = pool(3 if published else 2)
            widths = [width // self.divisor for width in widths]
            block = Inception(channels, *widths, kernel=5 if published else 3, **options)
            self.add_module(f"inception{name}", block)
            ones, _, threes, _, fives, pooled = widths
            heads[name] = channels = ones + threes + fives + pooled
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.4 if published else 0.2)
        self.fc = nn.Linear(channels, num_classes)
        # Last: so a network with heads and one without get the same weights from one seed.
        for number, place in ((1, "4a"), (2, "4d")):
            head = partial(AuxiliaryHead, heads[place], num_classes, 128 // self.divisor, **options)
            self.add_module(f"aux{number}", head() if auxiliary else None)

    def add_stem(self, in_channels: int, published: bool, **options) -> int:
        """The layers before the first block; the number of channels that it gets."""
        conv = partial(Convolution, **options)
        response = partial(nn.LocalResponseNorm, 5) if published else nn.Identity
        self.conv1 = conv(in_channels, 64, 7, 2)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.response1 = response()
        self.conv2 = conv(64, 64, 1)
        self.conv3 = conv(64, 192, 3)
        self.response2 = response()
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        return 192

    def stem(self, x: Tensor) -> Tensor:
        x = self.response1(self.maxpool1(self.conv1(x)))
        return self.maxpool2(self.response2(self.conv3(self.conv2(x))))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        x = self.inception3b(self.inception3a(self.stem(x)))
        first = x = self.inception4a(self.maxpool3(x))
        second = x = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        logits = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        if self.aux1 is None or not self.training:
            return logits
        return logits, self.aux1(first), self.aux2(second)


class SmallGoogLeNet(GoogLeNet):
    """For images of 32 pixels: a stem of one 3x3 convolution and a pooling, a quarter of the width.

    No dropout: it would draw from the global generator.
    """

    divisor = 4

    def __init__(
        self,
        num_classes: int,
        auxiliary: bool = False,
        *,
        in_channels: int = 3,
        batch_norm: bool = True,
        activation: Activation = nn.ReLU,
    ) -> None:
        options = {"batch_norm": batch_norm, "activation": activation}
        super().__init__(num_classes, True, auxiliary, in_channels=in_channels, **options)
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0

    def add_stem(self, in_channels: int, published: bool, **options) -> int:
        self.conv1 = Convolution(in_channels, 48, 3, **options)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        return 48

    def stem(self, x: Tensor) -> Tensor:
        return self.maxpool1(self.conv1(x))
