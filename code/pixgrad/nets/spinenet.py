"""SpineNet: a backbone whose blocks change scale in any order, with connections across scales.

References
----------
Du et al., "SpineNet: Learning scale-permuted backbone for recognition and localization" (2020),
figure 5 and section 3; where the paper is silent, the authors' published settings are followed
(tensorflow/models, official/vision/modeling/backbones/spinenet.py).
"""

import math
from dataclasses import dataclass

import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor, nn

from pixgrad.nets.blocks import BasicBlock, Bottleneck, convolution

FILTERS = {2: 64, 3: 128, 4: 256, 5: 256, 6: 256, 7: 256}
"""F of a level: the inner channels of its blocks."""
LEVELS = (3, 4, 5, 6, 7)
"""Of the outputs."""
STEM = 2
"""Blocks of level 2 before the search: 0 and 1."""


@dataclass(frozen=True)
class Spec:
    """A row of the block table.

    Attributes
    ----------
    level : its maps have size / 2^level.
    bottleneck : a block of three convolutions and 4 F channels, else of two and F.
    parents : numbers of the two blocks that it joins.
    output : it gives the output of its level.
    """

    level: int
    bottleneck: bool
    parents: tuple[int, int]
    output: bool = False


TABLE = (
    Spec(2, True, (0, 1)),
    Spec(4, False, (0, 1)),
    Spec(3, True, (2, 3)),
    Spec(4, True, (2, 4)),
    Spec(6, False, (3, 5)),
    Spec(4, True, (3, 5)),
    Spec(5, False, (6, 7)),
    Spec(7, False, (6, 8)),
    Spec(5, True, (8, 9)),
    Spec(5, True, (8, 10)),
    Spec(4, True, (5, 10), output=True),
    Spec(3, True, (4, 10), output=True),
    Spec(5, True, (7, 12), output=True),
    Spec(7, True, (5, 14), output=True),
    Spec(6, True, (12, 14), output=True),
)
"""Blocks 2 … 16, found by the search."""
ALL = (Spec(2, True, (0, 0)),) * STEM + TABLE
"""By number, those of the stem too."""
LEVEL_2 = Spec(2, True, (2, 13), output=True)
"""A block that the authors' later code has after these, for maps of level 2; the published counts
leave it out."""


@dataclass(frozen=True)
class Variant:
    """What tells the networks of the family apart.

    Attributes
    ----------
    width : factor of all F.
    alpha : factor of a parent's F while it is resampled.
    repeats : blocks in a row at every place of the table.
    outputs : channels of P3 … P7.
    """

    width: float
    alpha: float
    repeats: int
    outputs: int


VARIANTS = {
    "49s": Variant(width=0.65, alpha=0.5, repeats=1, outputs=128),
    "49": Variant(width=1.0, alpha=0.5, repeats=1, outputs=256),
    "96": Variant(width=1.0, alpha=0.5, repeats=2, outputs=256),
    "143": Variant(width=1.0, alpha=1.0, repeats=3, outputs=256),
    "190": Variant(width=1.3, alpha=1.0, repeats=4, outputs=512),
}
COCO = {
    640: (("ResNet-50-FPN", 97.0, 40.4), ("SpineNet-49", 85.4, 42.8)),
    1024: (("ResNet-101-FPN", 326.3, 43.9), ("SpineNet-96", 265.4, 46.7)),
    1280: (("ResNet-152-FPN", 630.5, 45.2), ("SpineNet-143", 524.0, 48.0)),
}
"""The paper's table: RetinaNet on COCO by the image's side: network, multiply-adds, 10⁹, AP, %."""

CLASSIFIED = {
    ("ResNet-50", "SpineNet-49"): ((77.1, 77.0), (54.6, 59.3)),
    ("ResNet-101", "SpineNet-96"): ((78.2, 78.2), (57.0, 61.7)),
    ("ResNet-152", "SpineNet-143"): ((78.4, 79.0), (58.4, 63.6)),
}
"""The paper's table: accuracy, %, of both networks on ImageNet and on iNaturalist-2017."""


class SpineNet(nn.Module):
    """Images (N, in_channels, H, W) -> maps of P3 … P7 by level.

    Parameters
    ----------
    num_classes : None — the maps themselves; a number — the logits of a linear layer on their mean
        over levels and places.
    """

    def __init__(self, num_classes: int | None, variant: Variant, *, in_channels: int = 3) -> None:
        super().__init__()
        self.variant = variant
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        inner = filters(2, variant)
        self.first = block_group(64, inner, True, variant)
        self.second = block_group(4 * inner, inner, True, variant)
        self.blocks = nn.ModuleList(
            Place(spec, [ALL[number] for number in spec.parents], variant) for spec in TABLE
        )
        self.joints = joined(variant)
        self.outputs = nn.ModuleDict(
            {
                str(spec.level): normalised(channels(spec, variant), variant.outputs)
                for spec in TABLE
                if spec.output
            }
        )
        self.head = None if num_classes is None else nn.Linear(variant.outputs, num_classes)

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """P3 … P7, each (N, outputs, H / 2^level, W / 2^level)."""
        signals = [self.first(self.stem(x))]
        signals.append(self.second(signals[0]))
        outputs = {}
        for number, (spec, block) in enumerate(zip(TABLE, self.blocks, strict=True), STEM):
            parents = [signals[parent] for parent in spec.parents]
            extra = [signals[parent] for parent in self.joints.get(number, ())]
            sides = tuple(math.ceil(side / 2**spec.level) for side in x.shape[2:])
            signals.append(block(parents, extra, sides))
            if spec.output:
                outputs[spec.level] = self.outputs[str(spec.level)](signals[-1]).relu()
        return dict(sorted(outputs.items()))

    def forward(self, x: Tensor) -> dict[int, Tensor] | Tensor:
        maps = self.features(x)
        if self.head is None:
            return maps
        return self.head(sum(of.mean((2, 3)) for of in maps.values()) / len(maps))


class Place(nn.Module):
    """A place of the table: two resampled parents are added, then come the blocks."""

    def __init__(self, spec: Spec, parents: list[Spec], variant: Variant) -> None:
        super().__init__()
        self.resample = nn.ModuleList(Resample(parent, spec, variant) for parent in parents)
        outer = channels(spec, variant)
        self.blocks = block_group(outer, filters(spec.level, variant), spec.bottleneck, variant)

    def forward(self, parents: list[Tensor], extra: list[Tensor], sides: tuple[int, ...]) -> Tensor:
        """``extra``: signals of the same shape that are added as they are; ``sides``: of it."""
        pairs = zip(self.resample, parents, strict=True)
        return self.blocks(sum([change(x, sides) for change, x in pairs] + extra).relu())


class Resample(nn.Module):
    """A parent's signal in the scale and channels of another place of the table."""

    def __init__(self, parent: Spec, target: Spec, variant: Variant) -> None:
        super().__init__()
        outer = channels(parent, variant)
        inner = int((outer // 4 if parent.bottleneck else outer) * variant.alpha)
        self.reduce = normalised(outer, inner)
        self.steps = target.level - parent.level
        self.down = normalised(inner, inner, 3, stride=2) if self.steps > 0 else None
        self.expand = normalised(inner, channels(target, variant))

    def forward(self, x: Tensor, sides: tuple[int, ...]) -> Tensor:
        """(N, C, H, W) -> (N, channels of the target, the target's sides)."""
        x = self.reduce(x).relu()
        if self.down is not None:
            x = self.down(x).relu()
            for _ in range(self.steps - 1):
                x = F.max_pool2d(x, 3, stride=2, padding=1)
        elif self.steps < 0:
            x = F.interpolate(x, sides, mode="nearest")
        return self.expand(x)


def filters(level: int, variant: Variant) -> int:
    """F of a level in a variant."""
    return int(FILTERS[level] * variant.width)


def channels(spec: Spec, variant: Variant) -> int:
    """Of the block's output."""
    return filters(spec.level, variant) * (4 if spec.bottleneck else 1)


def block_group(inputs: int, inner: int, bottleneck: bool, variant: Variant) -> nn.Sequential:
    """So many residual blocks in a row as the variant repeats."""
    kind = Bottleneck if bottleneck else BasicBlock
    outer = inner * kind.expansion
    sizes = [inputs] + [outer] * (variant.repeats - 1)
    return nn.Sequential(*(kind(size, inner, skip="b") for size in sizes))


def normalised(inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> nn.Sequential:
    """A convolution and its batch normalisation."""
    return nn.Sequential(
        convolution(inputs, outputs, kernel, stride, batch_norm=True), nn.BatchNorm2d(outputs)
    )


def joined(variant: Variant) -> dict[int, list[int]]:
    """By the number of an output: blocks that nobody took before it and that fit its shape."""
    free, found = set(), {}
    for number, spec in enumerate(ALL):
        free -= set(spec.parents if number >= STEM else ())
        fit = [
            one
            for one in sorted(free)
            if (ALL[one].level, channels(ALL[one], variant))
            == (spec.level, channels(spec, variant))
        ]
        if spec.output and fit:
            found[number] = fit
            free -= set(fit)
        free.add(number)
    return found
