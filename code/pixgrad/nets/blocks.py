"""Blocks of the plain and residual networks: y = act(F(x) + skip(x)), or y = act(F(x)) without it.

Attributes that hold weights are named as in torchvision, so that its weights fit. Every use of an
activation is a module of its own and none works in place: hooks see each signal as it was.

References
----------
He, Zhang, Ren, Sun, "Deep residual learning for image recognition" (2015): figures 2 and 5;
section 3.3 for the options of the skip connection.
Veit, Wilber, Belongie, "Residual networks behave like ensembles of relatively shallow networks"
(2016): gradients of single paths.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor, nn

Activation = Callable[[], nn.Module]


class Block(nn.Module):
    """The part that all blocks share: the addition and the activation after it.

    Attributes
    ----------
    downsample : the skip connection, as :func:`option_a` or :func:`option_b` makes it; None in a
        plain network.
    last_norm : the batch normalisation that ends F (the identity where there is none).
    gradient_path : where the backward signal may go; the forward values are the same in all three.
        "both" — everywhere; "residual" — through F alone (the skip's output is detached);
        "skip" — through the skip alone (F's output is detached: its weights get no gradient).
        A choice in every block leaves the gradient of one path through the network.
    """

    downsample: nn.Module | None
    activation: nn.Module
    last_norm: nn.Module
    gradient_path: str = "both"

    def residual(self, x: Tensor) -> Tensor:
        """F(x), the signal before the addition."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        residual = self.residual(x)
        if self.downsample is None:
            return self.activation(residual)
        return self.activation(join(residual, self.downsample(x), self.gradient_path))


class BasicBlock(Block):
    """Two 3x3 convolutions: (N, C, H, W) -> (N, channels, ceil(H / stride), ceil(W / stride))."""

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        downsample: nn.Module | None,
        batch_norm: bool,
        activation: Activation,
    ) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, channels, 3, stride, batch_norm)
        self.bn1 = normalisation(channels, batch_norm)
        self.activation1 = activation()
        self.conv2 = convolution(channels, channels, 3, 1, batch_norm)
        self.bn2 = normalisation(channels, batch_norm)
        self.downsample = downsample
        self.activation = activation()

    @property
    def last_norm(self) -> nn.Module:
        return self.bn2

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
        stride: int,
        downsample: nn.Module | None,
        batch_norm: bool,
        activation: Activation,
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
        self.downsample = downsample
        self.activation = activation()

    @property
    def last_norm(self) -> nn.Module:
        return self.bn3

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
    stride: int,
    skip: Callable[[int, int, int, bool], nn.Module | None],
    batch_norm: bool,
    activation: Activation,
) -> nn.Sequential:
    """``length`` blocks in a row, the first one with the ``stride``.

    Parameters
    ----------
    skip : :func:`no_skip`, :func:`option_a` or :func:`option_b`.
    """
    outputs = channels * block.expansion
    steps = [(in_channels, stride)] + [(outputs, 1)] * (length - 1)
    return nn.Sequential(
        *(
            block(
                inputs,
                channels,
                step,
                skip(inputs, outputs, step, batch_norm),
                batch_norm,
                activation,
            )
            for inputs, step in steps
        )
    )


def no_skip(in_channels: int, channels: int, stride: int, batch_norm: bool) -> None:
    """A plain network."""
    return None


def option_a(in_channels: int, channels: int, stride: int, batch_norm: bool) -> nn.Module:
    """A skip connection without weights."""
    if stride == 1 and in_channels == channels:
        return nn.Identity()
    return Subsample(in_channels, channels, stride)


def option_b(in_channels: int, channels: int, stride: int, batch_norm: bool) -> nn.Module:
    """The identity, or where the shape changes a projection: a 1x1 convolution, normalised."""
    if stride == 1 and in_channels == channels:
        return nn.Identity()
    return nn.Sequential(
        convolution(in_channels, channels, 1, stride, batch_norm),
        normalisation(channels, batch_norm),
    )


def join(residual: Tensor, skip: Tensor, gradient_path: str) -> Tensor:
    """F(x) + skip(x), with the backward signal let through where ``gradient_path`` says."""
    if gradient_path == "residual":
        skip = skip.detach()
    elif gradient_path == "skip":
        residual = residual.detach()
    elif gradient_path != "both":
        raise ValueError(f"gradient_path is {gradient_path!r}, not both, residual or skip")
    return residual + skip


def convolution(
    in_channels: int, channels: int, kernel_size: int, stride: int, batch_norm: bool
) -> nn.Conv2d:
    """A convolution that keeps the size at stride 1; without batch normalisation it has a bias."""
    padding = kernel_size // 2
    return nn.Conv2d(in_channels, channels, kernel_size, stride, padding, bias=not batch_norm)


def normalisation(channels: int, batch_norm: bool) -> nn.Module:
    return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()
