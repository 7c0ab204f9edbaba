"""An experiment of seconds: two rates are tried, and the better one is used with several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import tiny_training
from tiny_training import images

from pixgrad import results
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


def published() -> dict[str, object]:
    """All that the results hold but for the commit and the time that it took."""
    found = results.load("tiny")
    tables = {name: of.drop(columns="cpu_s", errors="ignore") for name, of in found.tables.items()}
    times = {"wall_s": True, "cpu_s": True}
    return {
        "files": sorted(path.name for path in Path("results/tiny").iterdir()),
        "record": found.record.model_dump(
            exclude={"git_commit": True, "wall_s": True, "runs": {"__all__": times}}
        ),
        "tables": {name: of.to_csv() for name, of in tables.items()},
        "arrays": {name: of.tobytes() for name, of in found.arrays.items()},
    }


EXPERIMENT = Tiny()
HERE = f"""
import sys
from pathlib import Path
sys.path[:0] = {[str(Path(file).parent) for file in (__file__, tiny_training.__file__)]}
import tiny_experiment
from pixgrad import experiments
from pixgrad.experiments.running.running import run
experiments.experiment = lambda name: tiny_experiment.EXPERIMENT
"""
"""First lines of a process that knows the tiny experiment."""
