"""A ResNet with a feature pyramid, and the head of RetinaNet that answers on every level.

References
----------
Lin et al., "Feature pyramid networks for object detection" (2017), section 3; Lin et al., "Focal
loss for dense object detection" (2017), section 4 for P6, P7 and the head.
"""

import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor, nn

from pixgrad.nets import imagenet

LEVELS = (3, 4, 5, 6, 7)


class ResNetFPN(nn.Module):
    """Images (N, in_channels, H, W) -> maps of P3 … P7 by level, ``outputs`` channels each.

    Parameters
    ----------
    depth, width : of the ResNet.

    Attributes
    ----------
    lateral : 1x1 convolutions of the last three stages; coarser maps are added to finer ones.
    smooth : 3x3 convolutions of the sums.
    coarse : 3x3 convolutions of stride 2 that give P6 and P7.
    norms : batch normalisation of every level.
    """

    def __init__(
        self,
        num_classes: None = None,
        depth: int = 50,
        outputs: int = 256,
        *,
        width: int = 64,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.body = imagenet.ResNet(1, depth, width=width, in_channels=in_channels)
        del self.body.fc
        block, _ = imagenet.STAGES[depth]
        sizes = [times * width * block.expansion for times in (2, 4, 8)]
        self.lateral = nn.ModuleList(nn.Conv2d(size, outputs, 1) for size in sizes)
        self.smooth = nn.ModuleList(nn.Conv2d(outputs, outputs, 3, padding=1) for _ in sizes)
        self.coarse = nn.ModuleList(
            nn.Conv2d(outputs, outputs, 3, stride=2, padding=1) for _ in range(2)
        )
        self.norms = nn.ModuleDict({str(level): nn.BatchNorm2d(outputs) for level in LEVELS})

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        body, stages = self.body, []
        x = body.layer1(body.maxpool(body.activation(body.bn1(body.conv1(x)))))
        for stage in (body.layer2, body.layer3, body.layer4):
            x = stage(x)
            stages.append(x)
        sums = [lateral(of) for lateral, of in zip(self.lateral, stages, strict=True)]
        for finer in (1, 0):
            grown = F.interpolate(sums[finer + 1], sums[finer].shape[2:], mode="nearest")
            sums[finer] = sums[finer] + grown
        maps = [smooth(of) for smooth, of in zip(self.smooth, sums, strict=True)]
        maps.append(self.coarse[0](maps[-1]))
        maps.append(self.coarse[1](maps[-1].relu()))
        return {level: self.norms[str(level)](of) for level, of in zip(LEVELS, maps, strict=True)}


class RetinaHead(nn.Module):
    """Maps by level -> class logits and box offsets by level; convolutions are shared by levels.

    Parameters
    ----------
    inputs : channels of the maps.
    width : channels of the inner convolutions; ``depth`` of them in each of the two branches.
    num_classes, anchors : answers at every place.
    """

    def __init__(
        self, inputs: int, width: int, depth: int = 4, num_classes: int = 90, anchors: int = 9
    ) -> None:
        super().__init__()
        self.classes = _Branch(inputs, width, depth, anchors * num_classes)
        self.boxes = _Branch(inputs, width, depth, anchors * 4)

    def forward(self, maps: dict[int, Tensor]) -> dict[int, tuple[Tensor, Tensor]]:
        return {
            level: (self.classes(of, level), self.boxes(of, level)) for level, of in maps.items()
        }


class _Branch(nn.Module):
    """3x3 convolutions shared by all levels; each level has batch normalisations of its own."""

    def __init__(self, inputs: int, width: int, depth: int, outputs: int) -> None:
        super().__init__()
        sizes = [inputs] + [width] * (depth - 1)
        self.inner = nn.ModuleList(nn.Conv2d(size, width, 3, padding=1) for size in sizes)
        self.norms = nn.ModuleDict(
            {str(level): nn.ModuleList(nn.BatchNorm2d(width) for _ in sizes) for level in LEVELS}
        )
        self.last = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, x: Tensor, level: int) -> Tensor:
        for convolution, norm in zip(self.inner, self.norms[str(level)], strict=True):
            x = norm(convolution(x)).relu()
        return self.last(x)
