"""Gradients of trained residual networks: the published ResNet-20 and ResNet-56 of CIFAR-10.

Beside each trained network an untrained one with He's initialisation gets the same batches. Along
paths of which length the gradient comes, how alike it is at neighbouring images, how the first
layers' gradients compare with the last ones'. Batch normalisation uses the statistics of the batch,
as in a training step. The images are those that no weights of the network have seen: test images.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as changed

import torch
from torch.nn.functional import cross_entropy

from pixgrad import nets
from pixgrad.experiments.running import measurement
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.measurement import Measurement
from pixgrad.experiments.untrained import ANGLE, Signals, early_to_late
from pixgrad.nets import cifar_weights
from pixgrad.training import tables
from pixgrad.training.batches import Images
from pixgrad.training.paths import gradient_by_path_length, gradient_sums_by_length
from pixgrad.training.probe import probed
from pixgrad.training.shattering import gradient_correlation

ARCS = 4
"""Pairs of images of every batch between which the correlation of gradients is followed."""
PATH_SAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class Config(measurement.Config):
    """One network and batch.

    Attributes
    ----------
    trained : with the published weights, or untrained with weights drawn by the seed.
    seed : number of the batch too, from 1.
    batch_size : images of the batch; of them ``path_images`` for the paths.
    """

    network: str
    trained: bool
    batch_size: int = 128
    path_images: int = 16

    @property
    def depth(self) -> int:
        return int(self.network.partition("-")[2])

    @property
    def name(self) -> str:
        return f"{self.network}-{'trained' if self.trained else 'untrained'}-{self.seed}"


@dataclass(kw_only=True)
class Answered(Signals):
    """What was measured; and the answers.

    Attributes
    ----------
    paths : rows of blocks, norm and share of :func:`pixgrad.training.paths.gradient_by_path_length`
        and norm of :func:`pixgrad.training.paths.gradient_sums_by_length`.
    accuracy : on the batch, 0 … 1.
    """

    accuracy: float = 0.0


BOTH = tuple((name, trained) for name in ("resnet-20", "resnet-56") for trained in (True, False))
PRESETS = {"smoke": ((("resnet-8", False),), 1), "report": (BOTH, 20)}
"""Networks, trained or not, and batches."""


class Published(Measurement):
    """Trained networks beside untrained ones."""

    sources = {"smoke": "mnist5k", "report": "cifar10"}
    config = Config
    outcome = Answered
    keys = ("network", "trained")

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        kinds, number = PRESETS[preset]
        return [
            Config(network=network, trained=trained, seed=seed)
            for seed in range(1, (seeds or number) + 1)
            for network, trained in kinds
        ]

    def measure(self, config: Config, data: Images) -> Answered:
        generator = torch.Generator().manual_seed(config.seed)
        if config.trained:
            net = cifar_weights.load(config.network).train()
            mean, std = (255 * torch.tensor(of) for of in (cifar_weights.MEAN, cifar_weights.STD))
            data = changed(data, mean=mean, std=std)
        else:
            net = nets.build(
                config.network,
                len(data.names),
                in_channels=data.channels,
                init="he",
                generator=generator,
            )
        order = torch.randperm(len(data.labels["test"]), generator=torch.Generator().manual_seed(0))
        chosen = order[(config.seed - 1) * config.batch_size :][: config.batch_size]
        images, labels = data.normalised(data.images["test"][chosen]), data.labels["test"][chosen]
        rows, logits = probed(net, images, labels)
        few = slice(config.path_images)
        paths = gradient_by_path_length(net, images[few], labels[few], PATH_SAMPLES, generator)
        paths = paths.assign(sum=gradient_sums_by_length(net, images[few], labels[few])["norm"])
        alike = gradient_correlation(net, images, generator, arcs=ARCS)
        return Answered(
            config=config,
            first_losses=[cross_entropy(logits, labels).item()],
            probed=rows,
            correlation=alike.to_numpy().tolist(),
            paths=paths[["blocks", "norm", "share", "sum"]].to_numpy(float).tolist(),
            accuracy=(logits.argmax(1) == labels).float().mean().item(),
        )

    def findings(self, outcomes: Sequence[Answered], data: Images) -> Findings:
        """Tables ``gradients``, ``correlation``, ``paths``."""
        paths = ("blocks", "norm", "share", "sum")
        written = {
            "gradients": tables.gradients_table(outcomes, self.row),
            "correlation": tables.rows_table(outcomes, self.row, "correlation", ANGLE),
            "paths": tables.rows_table(outcomes, self.row, "paths", paths),
        }
        metrics = {
            one.config.name: {
                "log10_early_to_late": early_to_late(one),
                "loss": one.first_losses[0],
                "accuracy": one.accuracy,
            }
            for one in outcomes
        }
        return Findings(written, metrics=metrics)


EXPERIMENT = Published()
