"""An experiment of seconds: two rates are tried, and the better one is used with several seeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from tiny_training import SETTINGS, build, images

from pixgrad.training import loop, tables

TITLE = "Маленький опыт"
DATA = {"smoke": "tiny0", "report": "tiny1"}
LIBRARIES = ("torch",)
PRESETS = {"smoke": 1, "report": 2}
"""Seeds."""


@dataclass(frozen=True, kw_only=True)
class Config(loop.Settings):
    stage: str

    @property
    def name(self) -> str:
        return f"{self.stage}-{self.lr:g}-{self.seed}"


def plan(preset: str, seeds: int | None) -> list[Config]:
    return [_config("sweep", 0, lr, epochs=1) for lr in (1e-6, 0.05)]


def follow_up(preset: str, seeds: int | None, outcomes: list[loop.Outcome]) -> list[Config]:
    best = min(outcomes, key=lambda one: one.history[-1][loop.HISTORY.index("validation_loss")])
    seeds = seeds or PRESETS[preset]
    return [_config("main", seed, best.config.lr, epochs=2) for seed in range(1, seeds + 1)]


def load_data(source: str):
    return images(seed=int(source.removeprefix("tiny")))


def train(config: Config, data, checkpoint: Path, on_epoch, log_dir: Path | None = None):
    return loop.fit(config, build, data, checkpoint, on_epoch, log_dir, in_sweep=True)


def first_losses(config: Config, data, steps: int) -> list[float]:
    return loop.first_losses(config, build, data, steps)


def finish(outcomes: list[loop.Outcome], data, folder: Path) -> tuple[list[dict], Path]:
    tables.epochs_table(outcomes, _keys).to_csv(folder / "epochs.csv", index=False)
    tables.gradients_table(outcomes, _keys).to_csv(folder / "gradients.csv", index=False)
    biases = {one.config.name: one.net.fc.bias.tolist() for one in outcomes}
    pd.DataFrame(biases).to_csv(folder / "biases.csv", index=False)
    picture = folder / "summary.png"
    picture.write_bytes(b"picture")
    return [tables.record_fields(one, {"loss": one.history[-1][2]}) for one in outcomes], picture


def _config(stage: str, seed: int, lr: float, epochs: int) -> Config:
    return Config(**asdict(SETTINGS) | {"stage": stage, "seed": seed, "lr": lr, "epochs": epochs})


def _keys(outcome: loop.Outcome) -> dict[str, object]:
    return {"stage": outcome.config.stage, "lr_max": outcome.config.lr, "seed": outcome.config.seed}
