"""AlexNet, of one branch and of two.

References
----------
Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks"
(2012), figure 2: two branches on two GPUs, which meet in the third convolution and in the linear
layers. Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014),
footnote 1: one branch, narrower.
"""

from torch import Tensor, nn

from pixgrad.nets.blocks import Activation, normalisation

GRID = 6


class AlexNet(nn.Module):
    """Five convolutions and three linear layers: (N, in_channels, 224, 224) -> (N, num_classes).

    Images of any side from 63 pixels on: adaptive pooling brings the last maps to 6x6.

    Parameters
    ----------
    branches : 1 — the network of 2014, with the keys of torchvision's; 2 — that of 2012: a
        convolution in two groups is two convolutions side by side, each sees its half of the
        channels; the third convolution sees both halves.
    """

    def __init__(
        self,
        num_classes: int,
        branches: int = 1,
        *,
        in_channels: int = 3,
        batch_norm: bool = False,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (64, 192, 384, 256, 256) if branches == 1 else (96, 256, 384, 384, 256)

        def convolution(inputs: int, outputs: int, kernel: int, groups: int = 1, **options) -> list:
            layer = nn.Conv2d(inputs, outputs, kernel, groups=groups, **options)
            return [layer, *([normalisation(outputs, True)] if batch_norm else []), activation()]

        def response() -> list:
            """Each response is divided by a sum over five neighbouring channels; 2012 only."""
            return [nn.LocalResponseNorm(5, alpha=5e-4, k=2)] if branches == 2 else []

        self.features = nn.Sequential(
            *convolution(in_channels, c1, 11, stride=4, padding=2),
            *response(),
            nn.MaxPool2d(3, stride=2),
            *convolution(c1, c2, 5, branches, padding=2),
            *response(),
            nn.MaxPool2d(3, stride=2),
            *convolution(c2, c3, 3, padding=1),
            *convolution(c3, c4, 3, branches, padding=1),
            *convolution(c4, c5, 3, branches, padding=1),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(GRID)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Linear(c5 * GRID**2, 4096),
            activation(),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            activation(),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))
