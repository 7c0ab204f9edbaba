"""A small SpineNet and a small ResNet-FPN in the same detector on blood cells, from scratch.

Both are the published networks at a quarter of their width, and give maps of levels 3, 4 and 5 to
the head of :mod:`pixgrad.experiments.ssd`. Each chooses its own learning rate on the validation
part in short runs; the test part is used once, for the final weights of every main run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from pixgrad.detection import metrics
from pixgrad.experiments import ssd
from pixgrad.experiments.running import training
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.training import Arm, Budget, Training
from pixgrad.nets.fpn import ResNetFPN
from pixgrad.nets.initialisation import initialise
from pixgrad.nets.spinenet import VARIANTS, SpineNet
from pixgrad.nets.ssd import SSD
from pixgrad.training import detector
from pixgrad.training.boxes import BoxImages
from pixgrad.training.run import Outcome, epochs_table

LEVELS, CHANNELS = (3, 4, 5), 64
WIDTH = 1 / 4
BACKBONES = {
    "resnet-50-fpn": lambda: ResNetFPN(None, 50, CHANNELS, width=int(64 * WIDTH)),
    "spinenet-49": lambda: SpineNet(None, replace(VARIANTS["49"], width=WIDTH, outputs=CHANNELS)),
}


@dataclass(frozen=True, kw_only=True)
class Config(training.Config, detector.Settings):
    """Settings of one run; ``network`` is a key of ``BACKBONES``."""

    scales: Literal["data", "paper"] = "data"


SOURCES = {"smoke": "scenes", "report": "bccd"}
RATES = (0.0003, 0.001, 0.003, 0.01)
SHARED = {
    "optimiser": "adam",
    "weight_decay": 0.0,
    "batch_size": 8,
    "warmup_epochs": 1.0,
    "recalibrate": 205,
}


def _arms(budget: Budget, rates: Sequence[float] = RATES) -> list[Arm]:
    return [Arm(SHARED | {"network": network}, tuple(rates), budget) for network in BACKBONES]


PRESETS = {
    "smoke": _arms(Budget(1, 1, seeds=1), RATES[1:3]),
    "report": _arms(Budget(40, 8, seeds=3)),
}


class SpinenetBccd(ssd.Ssd):
    """Two backbones, one detector."""

    sources = SOURCES
    presets = PRESETS
    config = Config
    libraries = Training.libraries
    keys = Training.keys

    def build(
        self, config: Config, data: BoxImages, generator: torch.Generator, **options
    ) -> nn.Module:
        boxes = [len(grid.shapes) for grid in ssd.grids(config, data)]
        with torch.device("meta"):
            body = Maps(BACKBONES[config.network]())
            net = SSD(len(data.names), body, [CHANNELS] * len(LEVELS), boxes)
        net.to_empty(device="cpu")
        initialise(net, "he", generator)
        return net

    def findings(self, outcomes: Sequence[Outcome], data: BoxImages) -> Findings:
        """The test part is used here, for the final weights.

        Tables: ``epochs``, ``sweep``, ``summary`` — as of every training; ``precision`` — AP of a
        run, class and threshold.
        """
        main = [one for one in outcomes if one.config.stage == "main"]
        done = [one for one in main if one.status == "done"]
        truth, judged = ssd.true_objects(data), {}
        for one in done:
            found = ssd.detections(one, data, data.images["test"])
            classes = range(len(data.names))
            judged[one.config.name] = [metrics.judge(found, truth, label) for label in classes]
        scores = {name: ssd.mean_precisions(of, data.names) for name, of in judged.items()}
        written = {
            "epochs": epochs_table(outcomes, self.row),
            "sweep": self._sweep_table(outcomes),
            "summary": self._summary_table(main, scores),
            "precision": self._precision_table(done, judged, data.names),
        }
        return Findings(written, metrics=scores)


class Maps(nn.Module):
    """The maps of ``LEVELS`` of a backbone, in their order."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = self.backbone(x)
        return [maps[level] for level in LEVELS]


EXPERIMENT = SpinenetBccd()
