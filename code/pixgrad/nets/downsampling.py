"""Small networks that differ in how a map is halved, and a network without convolutions.

For one seed the convolutional ones of one width have the same initial weights: no way of halving
has weights of its own.

References
----------
Springenberg, Dosovitskiy, Brox, Riedmiller, "Striving for simplicity" (2015), section 2: the
stride of a convolution in the place of a pooling.
Zhang, "Making convolutional networks shift-invariant again" (2019), section 3: blurred pooling.
"""

from collections.abc import Callable

from torch import Tensor, nn

from pixgrad.nets.blocks import convolution, normalisation


def blurred_pooling() -> nn.Module:
    """The maximum of every 2x2 window, then a blur, then every second pixel.

    The filter (1, 2, 1) / 4 each way is the mean of two pixels taken twice. The border is reflected
    before the maximum, not after it as in the paper: with a circular border instead the layer is
    exactly equivariant to shifts by two pixels.
    """
    return nn.Sequential(
        nn.ReflectionPad2d(1),
        nn.MaxPool2d(2, stride=1),
        nn.AvgPool2d(2, stride=1),
        nn.AvgPool2d(2, stride=2),
    )


HALVING: dict[str, tuple[int, Callable[[], nn.Module]]] = {
    "max": (1, lambda: nn.MaxPool2d(2)),
    "average": (1, lambda: nn.AvgPool2d(2)),
    "stride": (2, nn.Identity),
    "blur": (1, blurred_pooling),
    "none": (1, nn.Identity),
}
"""Stride of the convolution, and what follows its activation."""
STAGES = 3


class SmallCNN(nn.Module):
    """Three stages of 3x3 convolution, normalisation, ReLU and halving, then a linear layer.

    Images (N, in_channels, side, side) -> logits (N, num_classes).

    Parameters
    ----------
    halving : a key of ``HALVING``.
    width : channels of the first stage; each next one has twice as many.
    flat : the linear layer takes all of the last maps, not the mean of each.
    side : of the images, a multiple of 8.
    """

    def __init__(
        self,
        num_classes: int,
        halving: str,
        width: int,
        *,
        flat: bool = False,
        in_channels: int = 3,
        side: int = 24,
    ) -> None:
        super().__init__()
        stride, make = HALVING[halving]
        stages, inputs = [], in_channels
        for channels in (width << number for number in range(STAGES)):
            stages.append(
                nn.Sequential(
                    convolution(inputs, channels, 3, stride, True),
                    normalisation(channels, True),
                    nn.ReLU(),
                    make(),
                )
            )
            inputs = channels
        self.features = nn.Sequential(*stages)
        self.collect = (
            nn.Flatten() if flat else nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        )
        last = side if halving == "none" else side >> STAGES
        self.fc = nn.Linear(inputs * (last**2 if flat else 1), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.collect(self.features(x)))


class TwoLayers(nn.Module):
    """Two linear layers: images (N, in_channels, side, side) -> logits (N, num_classes)."""

    def __init__(
        self, num_classes: int, hidden: int, *, in_channels: int = 3, side: int = 24
    ) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_channels * side**2, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.activation = nn.ReLU()
        self.fc = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.activation(self.norm(self.hidden(x.flatten(1)))))
