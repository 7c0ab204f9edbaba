"""Blocks of the plain and residual networks: y = act(F(x) + skip(x)), or y = act(F(x)) without it.

Attributes that hold weights are named as in torchvision, so that its weights fit. Every use of an
activation is a module of its own and none works in place: hooks see each signal as it was.

References
----------
He, Zhang, Ren, Sun, "Deep residual learning for image recognition" (2015): figures 2 and 5;
section 3.3 for the options of the skip connection.
"""

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor, nn

Activation = Callable[[], nn.Module]
Skip = Literal["a", "b"] | None


class Block(nn.Module):
    """The part that all blocks share: the addition and the activation after it.

    Attributes
    ----------
    downsample : the skip connection, see :func:`skip_connection`; None in a plain network.
    """

    downsample: nn.Module | None
    activation: nn.Module

    def residual(self, x: Tensor) -> Tensor:
        """F(x), the signal before the addition."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        residual = self.residual(x)
        if self.downsample is None:
            return self.activation(residual)
        return self.activation(residual + self.downsample(x))


class BasicBlock(Block):
    """Two 3x3 convolutions: (N, C, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride))."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        *,
        skip: Skip = None,
        batch_norm: bool = True,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, channels, 3, stride, batch_norm)
        self.bn1 = normalisation(channels, batch_norm)
        self.activation1 = activation()
        self.conv2 = convolution(channels, channels, 3, 1, batch_norm)
        self.bn2 = normalisation(channels, batch_norm)
        self.downsample = skip_connection(skip, in_channels, channels, stride, batch_norm)
        self.activation = activation()

    def residual(self, x: Tensor) -> Tensor:
        x = self.activation1(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(x))


class Bottleneck(Block):
    """1x1, 3x3 and 1x1 convolutions; the output has ``4 * channels`` channels.

    The stride is in the 3x3 convolution, as in torchvision ("ResNet v1.5"); in the paper it is in
    the first 1x1.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        *,
        skip: Skip = None,
        batch_norm: bool = True,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, channels, 1, 1, batch_norm)
        self.bn1 = normalisation(channels, batch_norm)
        self.activation1 = activation()
        self.conv2 = convolution(channels, channels, 3, stride, batch_norm)
        self.bn2 = normalisation(channels, batch_norm)
        self.activation2 = activation()
        self.conv3 = convolution(channels, channels * self.expansion, 1, 1, batch_norm)
        self.bn3 = normalisation(channels * self.expansion, batch_norm)
        self.downsample = skip_connection(
            skip, in_channels, channels * self.expansion, stride, batch_norm
        )
        self.activation = activation()

    def residual(self, x: Tensor) -> Tensor:
        x = self.activation1(self.bn1(self.conv1(x)))
        x = self.activation2(self.bn2(self.conv2(x)))
        return self.bn3(self.conv3(x))


class Subsample(nn.Module):
    """Every ``stride``-th pixel; the channels that are missing are zeros.

    Half of the zero channels go before and half after: the paper leaves their place open, and the
    published CIFAR-10 weights were trained so.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        missing = channels - in_channels
        self.stride, self.padding = stride, (missing // 2, missing - missing // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, *self.padding))


def stage(
    block: type[BasicBlock | Bottleneck],
    in_channels: int,
    channels: int,
    length: int,
    stride: int = 1,
    **options,
) -> nn.Sequential:
    """``length`` blocks in a row, the first one with the ``stride``.

    Parameters
    ----------
    options : ``skip``, ``batch_norm`` and ``activation`` of the blocks.
    """
    first = block(in_channels, channels, stride, **options)
    outputs = channels * block.expansion
    return nn.Sequential(first, *(block(outputs, channels, **options) for _ in range(length - 1)))


def skip_connection(
    option: Skip, in_channels: int, channels: int, stride: int, batch_norm: bool
) -> nn.Module | None:
    """The identity, or where the shape changes: a :class:`Subsample`, or a projection.

    Parameters
    ----------
    option : None — a plain network without a skip; "a" — never with weights; "b" — the projection
        is a 1x1 convolution, normalised.
    """
    if option is None:
        return None
    if stride == 1 and in_channels == channels:
        return nn.Identity()
    if option == "a":
        return Subsample(in_channels, channels, stride)
    return nn.Sequential(
        convolution(in_channels, channels, 1, stride, batch_norm),
        normalisation(channels, batch_norm),
    )


def convolution(
    in_channels: int, channels: int, kernel_size: int, stride: int, batch_norm: bool
) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1; without batch normalisation it has a bias."""
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, channels, kernel_size, stride, padding, bias=not batch_norm)


def normalisation(channels: int, batch_norm: bool) -> nn.Module:
    return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()
