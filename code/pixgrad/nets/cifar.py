"""Plain and residual networks of He et al. (2015), section 4.2, for small images.

A 3x3 convolution, three stages of n blocks of two 3x3 convolutions with 16, 32 and 64 channels,
global average pooling and a linear layer: 6n + 2 layers with weights. The skip connections have no
weights (option A), so a plain network and its residual twin have the same parameters.
"""

from torch import Tensor, nn

from pixgrad.nets.blocks import Activation, BasicBlock, convolution, normalisation, stage

DEPTHS = (8, 14, 20, 32, 56, 110)


class CifarNet(nn.Module):
    """A network of 6n + 2 layers: images (N, in_channels, H, W) -> logits (N, num_classes).

    Parameters
    ----------
    depth : 6n + 2.
    skip : True — residual network, False — its plain twin.
    batch_norm : False — no normalisation, and convolutions with biases.
    """

    def __init__(
        self,
        num_classes: int,
        depth: int = 20,
        *,
        skip: bool = True,
        in_channels: int = 3,
        batch_norm: bool = True,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        n = (depth - 2) // 6
        shared = {
            "skip": "a" if skip else None,
            "batch_norm": batch_norm,
            "activation": activation,
        }
        self.conv1 = convolution(in_channels, 16, 3, 1, batch_norm)
        self.bn1 = normalisation(16, batch_norm)
        self.activation = activation()
        self.layer1 = stage(BasicBlock, 16, 16, n, **shared)
        self.layer2 = stage(BasicBlock, 16, 32, n, 2, **shared)
        self.layer3 = stage(BasicBlock, 32, 64, n, 2, **shared)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.avgpool(x).flatten(1))
