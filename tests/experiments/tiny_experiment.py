"""An experiment of seconds: two rates are tried, and the better one is used with several seeds."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from tiny_training import images

from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.training import PROBED, Arm, Budget, Training
from pixgrad.training.batches import Images
from pixgrad.training.run import Outcome

SETTINGS = {"network": "resnet-8", "batch_size": 16, "shift": 1, "recalibrate": 50}
SOURCES = {"smoke": "tiny0", "report": "tiny1"}
PRESETS = {
    preset: [Arm(SETTINGS, (1e-6, 0.05), Budget(2, 1, seeds=seeds), PROBED)]
    for preset, seeds in (("smoke", 1), ("report", 2))
}


class Tiny(Training):
    """One network on made-up images; "tinyN" are those of seed N."""

    sources = SOURCES
    presets = PRESETS
    libraries = ("torch",)

    def load(self, source: str) -> Images:
        return images(seed=int(source.removeprefix("tiny")))

    def findings(self, outcomes: Sequence[Outcome], data: Images) -> Findings:
        """And weights: where a bit differs, they tell."""
        found = super().findings(outcomes, data)
        biases = {one.config.name: one.net.fc.bias.tolist() for one in outcomes}
        found.tables["biases"] = pd.DataFrame(biases)
        return found


EXPERIMENT = Tiny()
