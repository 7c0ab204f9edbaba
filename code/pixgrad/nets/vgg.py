"""VGG: small kernels in a deep row.

References
----------
Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition" (2015),
table 1: the configurations A, B, C, D, E.
"""

from torch import Tensor, nn

from pixgrad.nets.blocks import Activation, normalisation

WIDTHS = (64, 128, 256, 512, 512)
STAGES: dict[str, tuple[str, str, str, str, str]] = {
    "11": ("3", "3", "33", "33", "33"),
    "13": ("33", "33", "33", "33", "33"),
    "16": ("33", "33", "333", "333", "333"),
    "16-c": ("33", "33", "331", "331", "331"),
    "19": ("33", "33", "3333", "3333", "3333"),
}
"""Kernel sizes of every stage; a 2x2 max pooling follows each."""
GRID = 7


class VGG(nn.Module):
    """Five stages of convolutions, three linear layers: (N, in_channels, H, W) -> (N, num_classes).

    Images of any side from 32 pixels on: adaptive pooling brings the last maps to 7x7. The keys of
    the state are those of torchvision, with and without batch normalisation.

    Parameters
    ----------
    configuration : a key of ``STAGES``: layers with weights, and "-c" for the one with 1x1 kernels.
    """

    def __init__(
        self,
        num_classes: int,
        configuration: str = "16",
        *,
        in_channels: int = 3,
        batch_norm: bool = False,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        layers, inputs = [], in_channels
        for kernels, width in zip(STAGES[configuration], WIDTHS, strict=True):
            for kernel in map(int, kernels):
                layers.append(nn.Conv2d(inputs, width, kernel, padding=kernel // 2))
                layers += [normalisation(width, True)] if batch_norm else []
                layers.append(activation())
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(GRID)
        self.classifier = nn.Sequential(
            nn.Linear(inputs * GRID**2, 4096),
            activation(),
            nn.Dropout(0.5),
            nn.Linear(4096, 4096),
            activation(),
            nn.Dropout(0.5),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))
