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
    batch_norm : False — no normalisation, and convolutions with biases.
    """

    def __init__(
        self,
        num_classes: int,
        depth: int = 18,
        *,
        in_channels: int = 3,
        batch_norm: bool = True,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        block, (n1, n2, n3, n4) = STAGES[depth]
        shared = {"skip": "b", "batch_norm": batch_norm, "activation": activation}
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=not batch_norm)
        self.bn1 = normalisation(64, batch_norm)
        self.activation = activation()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = stage(block, 64, 64, n1, **shared)
        self.layer2 = stage(block, 64 * block.expansion, 128, n2, 2, **shared)
        self.layer3 = stage(block, 128 * block.expansion, 256, n3, 2, **shared)
        self.layer4 = stage(block, 256 * block.expansion, 512, n4, 2, **shared)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * block.expansion, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.activation(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))
