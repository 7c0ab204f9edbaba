"""The simple classifier: convolutions, then linear layers."""

from torch import Tensor, nn

from pixgrad.nets.blocks import Activation, convolution, normalisation

CHANNELS = (32, 64, 128)
GRID = 4
HIDDEN = 128


class SimpleCNN(nn.Module):
    """Three stages of 3x3 convolution, activation and 2x2 max pooling, then two linear layers.

    Images (N, in_channels, H, W) of any side from 8 pixels on -> logits (N, num_classes): adaptive
    average pooling brings the last maps to 4x4.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        batch_norm: bool = False,
        activation: Activation = nn.ReLU,
    ) -> None:
        super().__init__()
        stages, inputs = [], in_channels
        for channels in CHANNELS:
            stages += [
                convolution(inputs, channels, 3, 1, batch_norm),
                normalisation(channels, batch_norm),
                activation(),
                nn.MaxPool2d(2),
            ]
            inputs = channels
        self.features = nn.Sequential(*stages)
        self.avgpool = nn.AdaptiveAvgPool2d(GRID)
        self.hidden = nn.Linear(inputs * GRID**2, HIDDEN)
        self.activation = activation()
        self.fc = nn.Linear(HIDDEN, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x)).flatten(1)
        return self.fc(self.activation(self.hidden(x)))
