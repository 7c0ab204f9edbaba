"""Compression with training after it, or instead of it.

The published ResNet-20 is compressed and learns on for two epochs ("tuned"). Small networks learn
from nothing ("scratch"): on labels, and one of them on the answers of the published ResNet-56 too
("distilled"). A simple network of this book, once it has learnt, is compressed without more
training: most of its weights are in linear layers.

The published weights have seen all training images, so their validation part is one half of the
test images, and results are reported on the other (see :mod:`pixgrad.experiments.compression`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pixgrad.compression import distil, quantise, runtime, size
from pixgrad.compression.prune import hold_zeros, magnitude, narrowed, zeros
from pixgrad.compression.variants import VARIANTS
from pixgrad.experiments import compression
from pixgrad.experiments.running import training
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.training import Arm, Budget, Tested, Training
from pixgrad.nets import cost
from pixgrad.training import loop
from pixgrad.training.batches import Images, load_images
from pixgrad.training.run import OnEpoch, Outcome

TEACHER, TEMPERATURE, TEACHER_SHARE = "resnet-56", 4.0, 0.9
"""The temperature and the share are usual ones (Hinton et al., 2015); neither is tuned here."""
LATER = "simple-cnn"
"""The network that is compressed when it has learnt."""


@dataclass(frozen=True, kw_only=True)
class Config(training.Config):
    """Settings of one run.

    Attributes
    ----------
    method : "scratch" — He's initial weights; "distilled" — the same, and a teacher; of
        ``VARIANTS`` — the published network, compressed so.
    level : of the compression, see ``VARIANTS``.
    """

    method: str = "scratch"
    level: float = 0.0

    @property
    def arm(self) -> str:
        return f"{self.network}-{self.method}-{self.level:g}"


RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
FIRST_RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
TUNED = (
    ("magnitude", 0.8),
    ("magnitude", 0.9),
    ("channels", 0.25),
    ("channels", 0.5),
    ("low-rank", 0.5),
    ("row-column", 0.0),
    ("depthwise", 0.0),
)
SCRATCH = (
    ("resnet-8", "scratch"),
    ("resnet-8", "distilled"),
    ("fire-net", "scratch"),
    ("mobile-net", "scratch"),
    ("simple-cnn", "scratch"),
)
SHORT = {"train_images": 2000, "validation_images": 1000, "recalibrate": 1000}
LONG = {"train_images": 6000}
FEW = {"train_images": 320, "validation_images": 100, "recalibrate": 200, "flip": False}


def _arms(
    tuned: Sequence[tuple[str, float]],
    scratch: Sequence[tuple[str, str]],
    network: str,
    settings: dict,
    main: dict,
    budgets: tuple[Budget, Budget],
) -> list[Arm]:
    """The compressed ``network`` at every level, then the networks that begin from nothing."""
    first, second = budgets
    return [
        *(
            Arm(settings | {"network": network, "method": way, "level": level}, RATES, first, main)
            for way, level in tuned
        ),
        *(
            Arm(settings | {"network": name, "method": way}, FIRST_RATES, second, main)
            for name, way in scratch
        ),
    ]


PRESETS = {
    "smoke": _arms(
        [("magnitude", 0.5), ("channels", 0.25)],
        [("resnet-8", "distilled"), ("simple-cnn", "scratch")],
        "resnet-8",
        FEW,
        {},
        (Budget(1, 1, seeds=1), Budget(1, 1, seeds=1)),
    ),
    "report": _arms(
        TUNED,
        SCRATCH,
        "resnet-20",
        SHORT,
        LONG,
        (Budget(2, 1, 3, sweep_seeds=2), Budget(6, 2, 3, sweep_seeds=2)),
    ),
}


class CompressionTraining(Training):
    """Networks that learn after compression, small ones that learn from nothing."""

    sources = {"smoke": "mnist5k", "report": "cifar10"}
    presets = PRESETS
    config = Config
    libraries = (*Training.libraries, "onnx", "onnxscript", "onnxruntime")
    keeps_probabilities = False
    keys = ("network", "method", "level")
    teacher = TEACHER

    def load(self, source: str) -> Images:
        """All training images; for "validation" and "test" the halves of the test images."""
        return regrouped(compression.as_published(load_images(source)))

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        if config.method not in VARIANTS:
            return super().build(config, data, generator, **options)
        net = VARIANTS[config.method](
            compression.published(config.network, data), config.level
        ).train()
        hold_zeros(net)
        return net

    def train(
        self, config: Config, data: Images, checkpoint: Path, on_epoch: OnEpoch, logs: Path | None
    ) -> Outcome:
        run = self.run(config, data, logs)
        outcome = run.to_the_end(checkpoint, on_epoch)
        run.close()
        return outcome

    def first_losses(self, config: Config, data: Images, steps: int) -> list[float]:
        return self.run(config, data, None).first_losses(steps)

    def run(self, config: Config, data: Images, logs: Path | None) -> loop.TorchRun:
        """The training of a run, before its first step."""
        mine = self.images(config, data)
        build = partial(self.build, config, mine)
        if config.method != "distilled":
            return loop.TorchRun(config, build, mine, self.scores, logs)
        run = Distilled(config, build, mine, self.scores, logs)
        run.teacher = compression.published(self.teacher, data)
        run.teacher.to(memory_format=torch.channels_last)
        return run

    def findings(self, outcomes: Sequence[Outcome], data: Images) -> Findings:
        """The tables of every training; ``summary`` has sizes too.

        Table ``later``: a row a run of ``LATER`` and a way of compression after it.
        """
        found = super().findings(outcomes, data)
        main = [one for one in outcomes if one.config.stage == "main"]
        sizes = pd.DataFrame([compression.sizes_of(one.net, data) for one in main])
        summary = found.tables["summary"]
        found.tables["summary"] = summary.assign(**{name: sizes[name] for name in sizes})
        ready = [one for one in main if one.config.network == LATER and one.status == "done"]
        rows = [row for one in ready for row in self._later(one, data)]
        if rows:
            found.tables["later"] = pd.DataFrame(rows)
        return found

    def _later(self, one: Outcome, data: Images) -> list[dict[str, object]]:
        images, labels = data.images["test"], data.labels["test"]
        net = one.net.eval()
        networks = {"float": net, "magnitude": magnitude(net, 0.8), "channels": narrowed(net, 0.25)}
        rows = []
        for method, changed in networks.items():
            logits, file = loop.predict(changed, data, images), size.file_bytes(changed)
            rows.append((method, changed, file, logits))
        model = runtime.export(net, images.shape[-1], data.channels)
        batches = compression.calibration(data, one.config.seed)
        files = {
            "onnx": model,
            "int8-dynamic": quantise.dynamic(model),
            "int8": quantise.static(model, batches, quantise.Static()),
        }
        for method, file in files.items():
            rows.append((method, net, file, compression.answers_of(file, data, images)))
        return [
            {"network": LATER, "method": method, "seed": one.config.seed}
            | {"parameters": cost.weights(changed), "zeros": zeros(changed)}
            | {"bytes": len(file), "packed_bytes": size.packed(file)}
            | {"accuracy": float((logits.argmax(1) == labels).float().mean())}
            for method, changed, file, logits in rows
        ]

    def arrays(self, tested: Sequence[Tested], data: Images) -> dict[str, np.ndarray]:
        return {}


class Distilled(loop.TorchRun):
    """A training on labels and on a teacher's answers to the very same changed images."""

    teacher: nn.Module
    told: Tensor

    def _step(self, x: Tensor, y: Tensor) -> float:
        with torch.no_grad():
            self.told = self.teacher(x)
        return super()._step(x, y)

    def loss(self, answers: Tensor, truth: Tensor) -> Tensor:
        return distil.loss(answers, self.told, truth, TEMPERATURE, TEACHER_SHARE)


def regrouped(data: Images) -> Images:
    """ "train" — training and validation images; "validation", "test" — halves of the test ones."""
    half = torch.from_numpy(compression.halves(data))
    images, labels = (
        {
            "train": torch.cat([of["train"], of["validation"]]),
            "validation": of["test"][~half],
            "test": of["test"][half],
        }
        for of in (data.images, data.labels)
    )
    return replace(data, images=images, labels=labels)


EXPERIMENT = CompressionTraining()
