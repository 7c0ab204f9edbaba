"""A small network of three stages whose parts can be changed one at a time."""

from collections.abc import Sequence

from torch import Tensor, nn

from pixgrad.nets.blocks import Activation, normalisation
from pixgrad.nets.dropout import Dropout

STAGES, GRID = 3, 4


class SmallCNN(nn.Module):
    """Three stages of convolution, activation, 2x2 max pooling and dropout, then two linear layers.

    Images (N, in_channels, H, W) of 28 or 32 pixels a side -> logits (N, num_classes).

    Parameters
    ----------
    channels : of the first stage; each of the next ones has twice as many, the hidden linear layer
        as many as the last.
    first_kernel : side of the first convolution's kernel; all others are 3x3.
    convolutions : how many in each stage.
    pointwise : so many 1x1 convolutions with activations after each convolution: with two, the
        block of "Network in network" (Lin, Chen and Yan, 2014, section 3.1).
    dropout : probability that a number of a stage or of the hidden layer becomes 0.
    superclasses : of every class, its superclass: the head is a :class:`TwoLevelHead`.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        in_channels: int = 3,
        batch_norm: bool = False,
        activation: Activation = nn.ReLU,
        channels: int = 16,
        first_kernel: int = 3,
        convolutions: int = 1,
        pointwise: int = 0,
        dropout: float = 0.0,
        superclasses: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        layers, inputs = [], in_channels
        for stage in range(STAGES):
            width = channels * 2**stage
            for _ in range(convolutions):
                for side in [3 if layers else first_kernel, *[1] * pointwise]:
                    layers += [
                        nn.Conv2d(inputs, width, side, padding="same", bias=not batch_norm),
                        normalisation(width, batch_norm),
                        activation(),
                    ]
                    inputs = width
            layers += [nn.MaxPool2d(2, ceil_mode=True), Dropout(dropout)]
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(GRID))
        self.hidden = nn.Linear(inputs * GRID**2, inputs)
        self.activation = activation()
        self.dropout = Dropout(dropout)
        self.fc = (
            TwoLevelHead(inputs, superclasses) if superclasses else nn.Linear(inputs, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.hidden(self.features(x).flatten(1)))
        return self.fc(self.dropout(x))


class TwoLevelHead(nn.Module):
    """First the superclass, then the class in it: P(class) = P(superclass) · P(class | superclass).

    Features (N, F) -> ln P(class) (N, K): their cross-entropy is the sum of those of the two steps.

    Parameters
    ----------
    superclasses : of each of K classes, its superclass 0 … S - 1; all have equally many classes.
    """

    def __init__(self, features: int, superclasses: Sequence[int]) -> None:
        super().__init__()
        count = len(superclasses)
        self.first = nn.Linear(features, len(set(superclasses)))
        self.second = nn.Linear(features, count)
        self.order = sorted(range(count), key=superclasses.__getitem__)  # one after another
        self.place = sorted(range(count), key=self.order.__getitem__)

    def forward(self, x: Tensor) -> Tensor:
        superclass = self.first(x).log_softmax(1)
        within = self.second(x)[:, self.order].unflatten(1, (superclass.shape[1], -1))
        return (superclass[:, :, None] + within.log_softmax(2)).flatten(1)[:, self.place]
