"""Three checks of trained networks: blocks switched off, batch normalisation by mode, ten crops.

The published ResNet-20 and ResNet-56 of CIFAR-10 answer test images, which no weights have seen;
nothing is chosen. For the blocks, a plain network and its residual twin are trained here too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pixgrad import nets
from pixgrad.experiments.running import measurement
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.measurement import Measurement
from pixgrad.nets import cifar_weights, crops
from pixgrad.nets.surgery import basic_blocks, switched_off
from pixgrad.training import loop
from pixgrad.training.batches import Images
from pixgrad.training.run import Outcome

PAD = 4
"""Pixels that crops move by: as far as the images were moved when the weights learned."""
TOGETHER = (2, 3, 5, 8, 12)
"""How many blocks are switched off together; of each as many random sets as ``DRAWS``."""
DRAWS = 5
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
SETTINGS = {"lr": 0.1, "batch_size": 32, "epochs": 5}
"""Of the twins that learn here."""


@dataclass(frozen=True, kw_only=True)
class Config(measurement.Config):
    """One network and check.

    Attributes
    ----------
    network : "published" weights, or a network that is trained here, with ``train_images``.
    check : "blocks", "modes" or "crops".
    images : of the test part, so many.
    """

    network: str
    check: str
    trained_here: bool = False
    images: int = 2000
    train_images: int | None = None

    @property
    def name(self) -> str:
        return f"{self.check}-{self.network}-{self.seed}"


@dataclass(kw_only=True)
class Answered(Outcome):
    """The answers, by what was done to the network or its input."""

    answers: dict[str, list[int]] = field(default_factory=dict)
    largest_difference: float = 0.0


TWINS = {"check": "blocks", "trained_here": True, "train_images": 5000}
SOURCES = {"smoke": "mnist5k", "report": "cifar10"}
PRESETS = {
    "smoke": [{"network": "resnet-8", **TWINS, "images": 100, "train_images": 100, "seed": 1}],
    "report": [
        *({"network": f"resnet-{depth}", "check": "crops", "images": 10_000} for depth in (20, 56)),
        {"network": "resnet-20", "check": "modes"},
        {"network": "resnet-20", "check": "blocks"},
        {"network": "resnet-56", "check": "blocks"},
        *(
            TWINS | {"network": f"{of}-20", "seed": s}
            for s in (1, 2, 3)
            for of in ("plain", "resnet")
        ),
    ],
}


class ArchitectureChecks(Measurement):
    """Answers of networks that something was done to."""

    sources = SOURCES
    config = Config
    outcome = Answered
    keys = ("check", "network", "trained_here")

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        return [
            Config(**settings)
            for settings in PRESETS[preset]
            if settings.get("seed", 0) <= (seeds or 3)
        ]

    def measure(self, config: Config, data: Images) -> Answered:
        if config.trained_here:
            net, data, losses = _trained(config, data)
        else:
            net, losses = cifar_weights.load(config.network), []
            mean, std = (255 * torch.tensor(of) for of in (cifar_weights.MEAN, cifar_weights.STD))
            data = changed(data, mean=mean, std=std)
        index = loop.evenly(len(data.labels["test"]), config.images)
        check = {"blocks": _blocks, "modes": _modes, "crops": _crops}[config.check]
        found = Answered(config=config, first_losses=losses)
        with torch.inference_mode():
            for name, logits in check(net, data, data.images["test"][index]):
                found.answers[name] = logits.argmax(1).tolist()
                if name == "evaluation-1":
                    base = loop.predict(net, data, data.images["test"][index])
                    found.largest_difference = (logits - base).abs().max().item()
        labels = data.labels["test"][index]
        if not losses:  # for ``pixgrad verify``: what the network answers stands for losses
            shares = (np.array(of) == labels.numpy() for of in found.answers.values())
            found.first_losses = [float(1 - share.mean()) for share in shares][:20]
        return found

    def findings(self, outcomes: Sequence[Answered], data: Images) -> Findings:
        """Table ``accuracy``: a row a run and what was done; arrays ``answer.RUN`` (K, N) uint8.

        Rows of an array are in the order of the table. ``labels.COUNT`` of the images.
        """
        rows, arrays, metrics = [], {}, {}
        for one in outcomes:
            count = one.config.images
            labels = data.labels["test"][loop.evenly(len(data.labels["test"]), count)].numpy()
            arrays[f"labels.{count}"] = labels.astype(np.uint8)
            arrays[f"answer.{one.config.name}"] = np.array([*one.answers.values()], np.uint8)
            for name, answers in one.answers.items():
                accuracy = float((np.array(answers) == labels).mean())
                rows.append(self.row(one) | {"what": name, "accuracy": accuracy})
            metrics[one.config.name] = {"largest_difference": one.largest_difference}
        return Findings({"accuracy": pd.DataFrame(rows)}, arrays, metrics)


def _trained(config: Config, data: Images) -> tuple[nn.Module, Images, list[float]]:
    data = data.limited(train=config.train_images)
    settings = loop.Settings(seed=config.seed, recalibrate=2000, **SETTINGS)

    def build(generator: torch.Generator) -> nn.Module:
        options = {"in_channels": data.channels, "init": "he", "generator": generator}
        return nets.build(config.network, len(data.names), **options)

    run = loop.TorchRun(settings, build, data)
    for _ in range(settings.epochs):
        losses = [loss for loss, _ in run.steps()]
        run.outcome.history.append({"loss": sum(losses) / len(losses)})
    run.close()
    return loop.recalibrated(run.net, data, settings.recalibrate), data, run.outcome.first_losses


def _blocks(net: nn.Module, data: Images, images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Without any block off, without each in turn, without several."""
    count = len(basic_blocks(net))
    yield "all", loop.predict(net, data, images)
    for number in range(count):
        with switched_off(net, [number]):
            yield f"off-{number + 1}", loop.predict(net, data, images)
    generator = torch.Generator().manual_seed(0)
    stay = [
        number
        for number, block in enumerate(basic_blocks(net))
        if block.conv1.stride == (1, 1) and block.conv1.in_channels == block.conv1.out_channels
    ]
    for together in TOGETHER:
        for draw in range(DRAWS if together < len(stay) else 0):
            order = torch.randperm(len(stay), generator=generator)[:together]
            with switched_off(net, [stay[number] for number in order.tolist()]):
                yield f"together-{together}-{draw + 1}", loop.predict(net, data, images)


def _modes(net: nn.Module, data: Images, images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """In evaluation mode, whole and one by one; in training mode, by the size of the batch.

    "sorted": batches of one class each, by the network's own answers in evaluation mode.
    """
    base = loop.predict(net, data, images)
    yield "evaluation", base
    yield "evaluation-1", torch.cat([net(data.normalised(of)) for of in images.split(1)])
    for size in BATCHES:
        yield f"training-{size}", _by_batches(net, data, images, size)
    order = base.argmax(1).argsort(stable=True)
    answers = _by_batches(net, data, images[order], 64)
    yield "sorted-64", answers[order.argsort()]


def _by_batches(net: nn.Module, data: Images, images: Tensor, size: int) -> Tensor:
    """Each batch is normalised by its own statistics; the running ones stay as they are."""
    kept = {key: value.clone() for key, value in net.state_dict().items()}
    net.train()
    logits = torch.cat([net(data.normalised(batch)) for batch in images.split(size)])
    net.eval()
    net.load_state_dict(kept)
    return logits


def _crops(net: nn.Module, data: Images, images: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Probabilities averaged over the windows of padded images."""
    n, side = len(images), images.shape[-1]
    padded = data.mean.round().to(images.dtype)[:, None, None]
    padded = padded.repeat(n, 1, side + 2 * PAD, side + 2 * PAD)
    padded[:, :, PAD : PAD + side, PAD : PAD + side] = images
    found = [loop.predict(net, data, window) for window in crops.views(padded, side, "ten")]
    for name, (windows, mirrored) in crops.VIEWS.items():
        pairs = [found[2 * number : 2 * number + mirrored] for number in range(5)[windows]]
        yield name, crops.averaged([logits for pair in pairs for logits in pair])


EXPERIMENT = ArchitectureChecks()
