"""How much data does a Vision Transformer need, beside a convolutional network of its size?

Both learn from growing shares of CIFAR-10, once for equally many steps and once for equally many
epochs. Each arm's rate is chosen on the validation part in short runs; the test part is used once.
At the whole share the patches of all images are also put in another order, the Transformer's
positions are taken away, the convolutional network learns with another optimiser, and a smaller one
shows what the Transformer's accuracy costs it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from pixgrad.experiments.running import training
from pixgrad.experiments.running.training import Arm, Budget, Tested, Training, examples
from pixgrad.nets.attention_maps import attention_distance, attention_maps, rollout
from pixgrad.nets.vit import SIZES
from pixgrad.training.batches import Images

VIT, CNN, SMALL_CNN = "vit-32px", "resnet-14", "resnet-8"
EXAMPLES, MEASURED = 12, 256
"""Test images kept for pictures, and those over which attention distances are averaged."""
ORDER_SEED = 20240607
"""Of the one order in which the patches of every image are put."""


@dataclass(frozen=True, kw_only=True)
class Config(training.Config):
    """Settings of one run.

    Attributes
    ----------
    equal : what the shares have in common: "steps" — an epoch has as many images as the whole
        share, the few ones repeated; "epochs" — it has each image once.
    shuffled : patches of all images stand in another order, the same for all.
    positions : of the Transformer's tokens; False — it does not know them.
    test_images : how many to use; None — all.
    """

    equal: Literal["steps", "epochs"] = "steps"
    shuffled: bool = False
    positions: bool = True
    whole: int = 12_000
    test_images: int | None = None

    @property
    def arm(self) -> str:
        parts = [self.network, self.optimiser, f"{self.train_images}", self.equal]
        parts += ["shuffled"] * self.shuffled + ["nopositions"] * (not self.positions)
        return "-".join(parts)


SOURCES = {"smoke": "mnist5k", "report": "cifar10"}
RATES = (0.0003, 0.001, 0.003, 0.01)
CNN_RATES = (0.001, 0.003, 0.01, 0.03)
SGD_RATES = (0.01, 0.03, 0.1, 0.3)
ADAMW = {"optimiser": "adamw", "weight_decay": 0.05}
SGD = {"optimiser": "sgd", "weight_decay": 1e-4}
SHARES = (600, 1200, 3000, 6000, 12_000)
SHARED = {"batch_size": 32, "warmup_epochs": 0.3, "validation_images": 1000, "test_images": 5000}
NETWORKS = {
    VIT: (ADAMW | {"network": VIT}, RATES),
    CNN: (ADAMW | {"network": CNN, "recalibrate": 1000}, CNN_RATES),
}
WHOLE = (
    (NETWORKS[VIT][0] | {"positions": False}, RATES),
    (NETWORKS[VIT][0] | {"shuffled": True}, RATES),
    (NETWORKS[CNN][0] | {"shuffled": True}, CNN_RATES),
    (NETWORKS[CNN][0] | SGD, SGD_RATES),
    (NETWORKS[CNN][0] | {"network": SMALL_CNN}, CNN_RATES),
)
"""Arms on the whole share alone."""
SHORT_EPOCHS = {600: 6, 1200: 6, 3000: 3, 6000: 2}
"""Of short runs with equal epochs: a run of one epoch would have a dozen steps."""


def _report() -> list[Arm]:
    shared = SHARED | {"train_images": SHARES[-1]}
    steps, epochs = Budget(6, 1, seeds=3), SHORT_EPOCHS.items()
    return [
        *(
            Arm(SHARED | net | {"train_images": share}, rates, steps)
            for share in SHARES
            for net, rates in NETWORKS.values()
        ),
        *(
            Arm(
                SHARED | net | {"train_images": share, "equal": "epochs"},
                rates,
                Budget(6, short, seeds=3),
            )
            for share, short in epochs
            for net, rates in NETWORKS.values()
        ),
        *(Arm(shared | net, rates, steps) for net, rates in WHOLE),
    ]


FEW = {"validation_images": 100, "test_images": 100, "whole": 400, "side": 32, "flip": False}
PRESETS = {
    "smoke": [
        Arm(
            SHARED | net | FEW | {"train_images": share, "equal": equal},
            rates[1:3],
            Budget(1, 1, 1),
        )
        for share, equal in ((400, "steps"), (100, "steps"), (100, "epochs"))
        for net, rates in NETWORKS.values()
    ],
    "report": _report(),
}


class VitData(Training):
    """Two networks of one size on growing shares of a data set."""

    sources = SOURCES
    presets = PRESETS
    config = Config
    keys = ("network", "optimiser", "train_images", "equal", "shuffled", "positions")
    keeps_probabilities = False

    def images(self, config: Config, data: Images) -> Images:
        """The images of a run; few ones are repeated where steps are to be equal."""
        mine = super().images(config, data)
        if config.shuffled:
            patch = SIZES[VIT].patch
            mine = replace(
                mine, images={part: shuffled(of, patch) for part, of in mine.images.items()}
            )
        if config.equal == "epochs":
            return mine
        times = config.whole // len(mine.labels["train"])
        return replace(
            mine,
            images=mine.images | {"train": mine.images["train"].repeat(times, 1, 1, 1)},
            labels=mine.labels | {"train": mine.labels["train"].repeat(times)},
        )

    def tested_images(self, config: Config, data: Images) -> Images:
        return self.images(config, data.limited(test=config.test_images))

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        if config.network != VIT:
            return super().build(config, data, generator, **options)
        net = super().build(config, data, generator, init="default", **options)
        if not config.positions:
            net.positions.requires_grad_(False).zero_()
        return net

    def arrays(self, tested: Sequence[Tested], data: Images) -> dict[str, np.ndarray]:
        """What the first Transformer of the whole share learned, and where it looks.

        ``example_index``, ``example_images``, ``example_logits`` (E, K); ``example_attention``
        (E, depth, heads, T) float16 — of the class token; ``example_rollout`` (E, T - 1);
        ``distance.trained`` and ``distance.untrained`` (depth, heads); ``learned_positions``
        (T, D) float16; ``kernels`` (D, C, p, p) float16 of the patches.
        """
        one = next(
            one
            for one in tested
            for config in [one.outcome.config]
            if config.network == VIT
            and config.train_images == config.whole
            and config.positions
            and not config.shuffled
        )
        net, images, config = one.outcome.net.eval(), one.images, one.outcome.config
        kept = examples(images, EXAMPLES, images.images["test"].shape[-1])
        index = kept["example_index"]
        maps = attention_maps(net, images.normalised(images.images["test"][index]))
        spread = images.normalised(
            images.images["test"][:: max(1, len(images.images["test"]) // MEASURED)]
        )
        untrained = self.build(config, images, torch.Generator().manual_seed(config.seed))
        patch = net.size.patch
        return kept | {
            "example_logits": one.logits[index].numpy().astype(np.float16),
            "example_attention": maps[:, :, :, 0].numpy().astype(np.float16),
            "example_rollout": rollout(maps).numpy().astype(np.float32),
            "distance.trained": attention_distance(attention_maps(net, spread), patch).numpy(),
            "distance.untrained": attention_distance(
                attention_maps(untrained.eval(), spread), patch
            ).numpy(),
            "learned_positions": net.positions[0].detach().numpy().astype(np.float16),
            "kernels": net.patches.weight.detach().contiguous().numpy().astype(np.float16),
        }


def shuffled(images: Tensor, patch: int) -> Tensor:
    """The same patches of each image (N, C, H, W) in another order, the same for all images."""
    n, channels, height, width = images.shape
    rows, columns = height // patch, width // patch
    cut = images.reshape(n, channels, rows, patch, columns, patch).permute(0, 2, 4, 1, 3, 5)
    order = torch.randperm(rows * columns, generator=torch.Generator().manual_seed(ORDER_SEED))
    moved = cut.flatten(1, 2)[:, order].reshape(cut.shape)
    return moved.permute(0, 3, 1, 4, 2, 5).reshape(images.shape)


EXPERIMENT = VitData()
