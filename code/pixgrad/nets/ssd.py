"""SSD: a body that gives several feature maps, and on each two convolutions for boxes and classes.

The keys of ``SSD300`` are those of torchvision's ``ssd300_vgg16``, so weights copy directly.

References
----------
Liu et al., "SSD: Single Shot MultiBox Detector" (2016), section 2.1.
Simonyan and Zisserman, "Very deep convolutional networks …" (2015), column D of table 1.
Liu et al., "ParseNet" (2015), section 3.3: the scaled norm of the first map.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor, nn

from pixgrad.nets.blocks import Activation

SSD300_CHANNELS, SSD300_BOXES = (512, 1024, 512, 256, 256, 256), (4, 6, 6, 6, 4, 4)
"""Of the six maps: channels, and default boxes of a cell."""
INITIAL_NORM = 20.0
"""Of the first map at every pixel: its values are larger than those of the other maps."""


class SSD(nn.Module):
    """A detector: (N, 3, H, W) -> offsets (N, A, 4), logits (N, A, num_classes + 1).

    Parameters
    ----------
    backbone : (N, 3, H, W) -> feature maps.
    channels, boxes : of every map, channels and default boxes of a cell.
    num_classes : without the background, which is logit 0.
    """

    def __init__(
        self,
        num_classes: int,
        backbone: nn.Module,
        channels: Sequence[int],
        boxes: Sequence[int],
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.ModuleDict(
            {
                "classification_head": Head(channels, boxes, num_classes + 1),
                "regression_head": Head(channels, boxes, 4),
            }
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.backbone(x)
        return self.head["regression_head"](maps), self.head["classification_head"](maps)


class Head(nn.Module):
    """A 3x3 convolution on every map; its outputs become rows, ``outputs`` numbers a box."""

    def __init__(self, channels: Sequence[int], boxes: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.module_list = nn.ModuleList(
            nn.Conv2d(width, count * outputs, 3, padding=1)
            for width, count in zip(channels, boxes, strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        answers = [layer(of) for layer, of in zip(self.module_list, maps, strict=True)]
        rows = [of.permute(0, 2, 3, 1).reshape(len(of), -1, self.outputs) for of in answers]
        return torch.cat(rows, dim=1)


class SSD300(SSD):
    """SSD300 with VGG-16: 8,732 boxes of a photo of 300x300 pixels."""

    def __init__(
        self, num_classes: int, *, in_channels: int = 3, activation: Activation = nn.ReLU
    ) -> None:
        body = VGG16(in_channels, activation)
        super().__init__(num_classes, body, SSD300_CHANNELS, SSD300_BOXES)


class VGG16(nn.Module):
    """VGG-16 without its linear layers, and the extra layers of SSD300: six maps.

    The third pooling rounds up (38 pixels of 75); the fifth keeps the size; the two first linear
    layers became convolutions, the first of them with holes ("fc6", dilation 6).
    """

    def __init__(self, in_channels: int, activation: Activation) -> None:
        super().__init__()

        def convolutions(channels: int, width: int, count: int) -> list[nn.Module]:
            inputs = [channels] + [width] * (count - 1)
            pairs = ((nn.Conv2d(of, width, 3, padding=1), activation()) for of in inputs)
            return [layer for pair in pairs for layer in pair]

        def extra(channels: int, middle: int, width: int, **options: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(channels, middle, 1),
                activation(),
                nn.Conv2d(middle, width, 3, **options),
                activation(),
            )

        self.scale_weight = nn.Parameter(torch.empty(512))
        self.features = nn.Sequential(
            *convolutions(in_channels, 64, 2),
            nn.MaxPool2d(2),
            *convolutions(64, 128, 2),
            nn.MaxPool2d(2),
            *convolutions(128, 256, 3),
            nn.MaxPool2d(2, ceil_mode=True),
            *convolutions(256, 512, 3),
        )
        fully = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            nn.Conv2d(512, 1024, 3, padding=6, dilation=6),
            activation(),
            nn.Conv2d(1024, 1024, 1),
            activation(),
        )
        self.extra = nn.ModuleList(
            [
                nn.Sequential(nn.MaxPool2d(2), *convolutions(512, 512, 3), fully),
                extra(1024, 256, 512, stride=2, padding=1),
                extra(512, 128, 256, stride=2, padding=1),
                extra(256, 128, 256),
                extra(256, 128, 256),
            ]
        )

    def fill(self) -> None:
        """Initial values of the weights that belong to no layer."""
        nn.init.constant_(self.scale_weight, INITIAL_NORM)

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.features(x)
        maps = [self.scale_weight[:, None, None] * F.normalize(x)]
        for block in self.extra:
            x = block(x)
            maps.append(x)
        return maps


class Lite0Maps(nn.Module):
    """EfficientNet-Lite0 as a body: maps with strides 8, 16 and 32.

    The first two are the widened maps inside the blocks that halve the size, as MobileNet's are in
    its SSD (Sandler et al., 2018, section 6.2); the last is that of the last block. The first
    blocks are frozen; batch normalisation keeps ImageNet's statistics everywhere: batches of a
    detector are small.

    Parameters
    ----------
    net : of :mod:`pixgrad.nets.transfer`.
    frozen : how many of its 16 blocks keep their weights, with the stem before them.
    """

    HALVING = (5, 11)
    CHANNELS = (240, 672, 320)

    def __init__(self, net: nn.Module, frozen: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(net._conv_stem, net._bn0, nn.ReLU6())
        self.blocks = net._blocks
        self.frozen = frozen
        for module in (self.stem, *self.blocks[:frozen]):
            module.requires_grad_(False)
        for module in self.blocks[frozen:]:
            module.requires_grad_(True)
        self.train()

    def train(self, mode: bool = True) -> "Lite0Maps":
        """Batch normalisation stays in evaluation mode; nothing else here has two modes."""
        return super().train(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        with torch.no_grad():
            x = self.stem(x)
            for block in self.blocks[: self.frozen]:
                x = block(x)
        maps = []
        for number, block in enumerate(self.blocks[self.frozen :], self.frozen):
            if number in self.HALVING:
                maps.append(block._swish(block._bn0(block._expand_conv(x))))
            x = block(x)
        return [*maps, x]
