"""Which networks pass gradients to their first layers, before any training.

Depth, skip connections, batch normalisation, initialisation and activation are varied one by one
and together. In every combination: norms of the gradients in every layer, how alike the gradients
are at neighbouring inputs, along paths of which length they come. Training images alone are used.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from pixgrad import nets
from pixgrad.experiments.running import measurement
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.measurement import Measurement
from pixgrad.training import loop, tables
from pixgrad.training.batches import Images
from pixgrad.training.paths import gradient_by_path_length
from pixgrad.training.probe import COLUMNS, probed
from pixgrad.training.run import Outcome
from pixgrad.training.shattering import gradient_correlation

ARCS = 8
"""Pairs of images between which the correlation of gradients is followed."""
PATH_SAMPLES, PATH_IMAGES = 3, 16
"""Paths drawn for each length, and images in their batch."""
ANGLE, PATH = ("angle", "correlation"), ("blocks", "paths", "norm", "share")
"""Columns of the tables."""


@dataclass(frozen=True, kw_only=True)
class Config(measurement.Config):
    """One untrained network.

    Attributes
    ----------
    depth, skip, batch_norm, init, activation : see :func:`pixgrad.nets.build`.
    train_images : in the one batch.
    """

    depth: int
    skip: bool
    batch_norm: bool
    init: str
    activation: str
    train_images: int = 120

    @property
    def network(self) -> str:
        return f"{'resnet' if self.skip else 'plain'}-{self.depth}"

    @property
    def name(self) -> str:
        parts = [self.network, "bn" if self.batch_norm else "nobn", self.init]
        return "-".join([*parts, *[self.activation] * (self.activation != "relu"), str(self.seed)])


@dataclass(kw_only=True)
class Signals(Outcome):
    """What was measured in an untrained network.

    Attributes
    ----------
    probed : rows of :class:`pixgrad.training.probe.GradientProbe`.
    correlation : rows of :func:`pixgrad.training.shattering.gradient_correlation`.
    paths : rows of :func:`pixgrad.training.paths.gradient_by_path_length`.
    """

    probed: list[list[float]]
    correlation: list[list[float]] = field(default_factory=list)
    paths: list[list[float]] = field(default_factory=list)


PRESETS = {"smoke": ((8, 20), 1), "report": ((8, 20, 32, 56), 5)}
"""Depths and seeds."""


class Untrained(Measurement):
    """All combinations."""

    sources = {"smoke": "mnist5k", "report": "cifar10"}
    config = Config
    outcome = Signals
    keys = ("depth", "skip", "batch_norm", "init", "activation")

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        """Every combination of depth, skips, normalisation, weights and activation."""
        depths, number = PRESETS[preset]
        return [
            Config(
                seed=seed,
                depth=depth,
                skip=skip,
                batch_norm=batch_norm,
                init=init,
                activation=activation,
            )
            for depth in depths
            for activation, inits in (("relu", ("default", "he")), ("sigmoid", ("default",)))
            for init in inits
            for batch_norm in (True, False)
            for skip in (True, False)
            for seed in range(1, (seeds or number) + 1)
        ]

    def measure(self, config: Config, data: Images) -> Signals:
        """Gradients in all layers on one batch, their correlation, and the paths they take."""
        data = data.limited(train=config.train_images)
        generator = torch.Generator().manual_seed(config.seed)
        net = nets.build(
            config.network,
            len(data.names),
            in_channels=data.channels,
            batch_norm=config.batch_norm,
            init=config.init,
            activation=config.activation,
            generator=generator,
        ).to(memory_format=torch.channels_last)
        images, labels = data.normalised(data.images["train"]), data.labels["train"]
        rows, logits = probed(net, images, labels)
        loss = cross_entropy(logits, labels).item()
        measured = Signals(config=config, first_losses=[loss], probed=rows)
        if config.activation == "relu":
            table = gradient_correlation(net, images, generator, arcs=ARCS)
            measured.correlation = table.to_numpy().tolist()
            if config.skip:
                few = loop.evenly(len(labels), PATH_IMAGES)
                table = gradient_by_path_length(
                    net, images[few], labels[few], PATH_SAMPLES, generator
                )
                measured.paths = table.to_numpy(dtype=float).tolist()
        return measured

    def findings(self, outcomes: Sequence[Signals], data: Images) -> Findings:
        """Tables ``start``, ``correlation``, ``paths``."""
        return Findings(
            {
                "start": tables.gradients_table(outcomes, self.row),
                "correlation": tables.rows_table(outcomes, self.row, "correlation", ANGLE),
                "paths": tables.rows_table(outcomes, self.row, "paths", PATH),
            },
            metrics={
                one.config.name: {"log10_early_to_late": early_to_late(one)} for one in outcomes
            },
        )


def early_to_late(outcome: Signals) -> float:
    """lg of the mean gradient of the first third of the layers in units of the last third's."""
    first, last = COLUMNS.index("layer"), COLUMNS.index("grad_norm")
    rows = np.array(outcome.probed)
    depth = outcome.config.depth
    with np.errstate(divide="ignore"):
        logs = np.log10(rows[:, last])
    early, late = (
        np.mean(logs[chosen])
        for chosen in (rows[:, first] <= depth / 3, rows[:, first] > 2 * depth / 3)
    )
    return float(early - late)


EXPERIMENT = Untrained()
