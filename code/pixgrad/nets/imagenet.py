"""ResNet-18/34/50/101/152 of He et al. (2015), table 1, block by block.

The keys of the state are those of torchvision, so weights copy directly.
"""

from torch import Tensor, nn

from pixgrad.nets.blocks import Activation, BasicBlock, Bottleneck, normalisation, stage

STAGES: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """Stem with stride 4, four stages, a linear layer: (N, in_channels, H, W) -> (N, num_classes).

    Parameters
    ----------
    depth : a key of ``STAGES``.
    width : inner channels of the first stage's blocks; the next stages double them.
    batch_norm : False — no normalisation, and convolutions with biases.
    """

    def __init__(
        self,
        num_classes: int,
        depth: int = 18,
        *,
        width: int = 64,
        in_channels: int = 3,
        batch_norm: bool = True,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        block, (n1, n2, n3, n4) = STAGES[depth]
        shared = {"skip": "b", "batch_norm": batch_norm, "activation": activation}
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=not batch_norm)
        self.bn1 = normalisation(width, batch_norm)
        self.activation = activation()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(block, width, width, n1, **shared)
        self.layer2 = stage(block, width * block.expansion, 2 * width, n2, 2, **shared)
        self.layer3 = stage(block, 2 * width * block.expansion, 4 * width, n3, 2, **shared)
        self.layer4 = stage(block, 4 * width * block.expansion, 8 * width, n4, 2, **shared)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width * block.expansion, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.activation(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))
