"""Experiments that train torch networks: short runs choose each arm's rate, main runs follow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pixgrad import nets
from pixgrad.errors import PixgradError
from pixgrad.experiments.running.experiment import Experiment, Findings
from pixgrad.training import loop, tables
from pixgrad.training.batches import Images, load_images
from pixgrad.training.run import OnEpoch, Outcome, epochs_table
from pixgrad.training.scores import measure

SWEEP_SEEDS = range(101, 201)
"""Short runs have seeds of their own: a main run does not take part in the choice of its rate."""
PROBED = {"probe_every": 10}
"""Settings of main runs whose gradients are measured."""


@dataclass(frozen=True, kw_only=True)
class Config(loop.Settings):
    """Settings of one run.

    Attributes
    ----------
    stage : "sweep" — a short run that helps to choose the learning rate; "main".
    network : see :func:`pixgrad.nets.build`; initial weights as in He et al. (2015).
    side : of the images, pixels; None — as the source has them.
    train_images, validation_images : how many to use; None — all.
    """

    stage: Literal["sweep", "main"]
    network: str
    side: int | None = None
    train_images: int | None = None
    validation_images: int | None = None

    @property
    def arm(self) -> str:
        """Name of the runs that differ in stage, rate and seed alone."""
        return self.network

    @property
    def name(self) -> str:
        rate = f"-lr{self.lr:g}" if self.stage == "sweep" else ""
        return f"{self.arm}{rate}-{self.seed}"


@dataclass(frozen=True)
class Budget:
    """How much is trained.

    Attributes
    ----------
    epochs, sweep_epochs : of a main and of a short run.
    seeds, sweep_seeds : how many main runs, and short runs at each rate.
    """

    epochs: int
    sweep_epochs: int
    seeds: int
    sweep_seeds: int = 1


@dataclass(frozen=True)
class Arm:
    """Runs that differ in their rate and seed alone.

    Attributes
    ----------
    settings : of all its runs.
    rates : to choose from.
    main : settings of the main runs alone.
    """

    settings: Mapping[str, object]
    rates: tuple[float, ...]
    budget: Budget
    main: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Tested:
    """A finished run on the test images.

    Attributes
    ----------
    images : of the run.
    logits : float32 (N, K) of the test images.
    metrics : the scores after the last epoch and ``test_SCORE``.
    """

    outcome: Outcome
    images: Images
    logits: Tensor
    metrics: dict[str, float]


class Training(Experiment):
    """Each arm's rate is chosen on validation in short runs; the test part is used once.

    Attributes
    ----------
    presets : the arms.
    scores : measured after every epoch, see :data:`pixgrad.training.scores.SCORES`.
    test_scores : measured of the test images.
    keeps_probabilities : of all test images, not the answers alone.
    """

    config = Config
    libraries = ("numpy", "torch", "lightning-fabric", "joblib")
    writes_logs = True
    presets: Mapping[str, Sequence[Arm]]
    keys: Sequence[str] = ("network",)
    scores: Sequence[str] = ("loss", "accuracy")
    test_scores: Sequence[str] = ("loss", "accuracy", "macro_f1")
    keeps_probabilities = True

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        """Short runs: every arm with every rate."""
        return [
            self.config(stage="sweep", seed=seed, epochs=budget.sweep_epochs, lr=lr, **arm.settings)
            for arm in self.presets[preset]
            for budget in [arm.budget]
            for lr in arm.rates
            for seed in SWEEP_SEEDS[: min(budget.sweep_seeds, seeds or budget.sweep_seeds)]
        ]

    def follow_up(
        self, preset: str, seeds: int | None, outcomes: Sequence[Outcome]
    ) -> list[Config]:
        """Main runs, each arm at the rate that it chose; all arms with one seed, then the next."""
        arms = self.presets[preset]
        rates = []
        for arm in arms:
            name = self.config(stage="sweep", seed=0, epochs=1, lr=0.0, **arm.settings).arm
            rates.append(best_rate([one for one in outcomes if one.config.arm == name]))
        return [
            self.config(
                stage="main", seed=seed, epochs=arm.budget.epochs, lr=lr, **arm.settings | arm.main
            )
            for seed in range(1, max(seeds or arm.budget.seeds for arm in arms) + 1)
            for arm, lr in zip(arms, rates, strict=True)
            if seed <= (seeds or arm.budget.seeds)
        ]

    def load(self, source: str) -> Images:
        return load_images(source)

    def images(self, config: Config, data: Images) -> Images:
        """The images of a run, at its size."""
        limits = {"train": config.train_images, "validation": config.validation_images}
        return data.limited(**limits).resized(config.side)

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        """The network with its initial weights; ``options``: of :func:`pixgrad.nets.build`."""
        options = {"in_channels": data.channels, "init": "he"} | options
        return nets.build(config.network, len(data.names), generator=generator, **options)

    def train(
        self, config: Config, data: Images, checkpoint: Path, on_epoch: OnEpoch, logs: Path | None
    ) -> Outcome:
        mine = self.images(config, data)
        build = partial(self.build, config, mine)
        return loop.fit(config, build, mine, checkpoint, on_epoch, logs, self.scores)

    def first_losses(self, config: Config, data: Images, steps: int) -> list[float]:
        mine = self.images(config, data)
        return loop.TorchRun(config, partial(self.build, config, mine), mine).first_losses(steps)

    def tested_images(self, config: Config, data: Images) -> Images:
        """Those of a run with the test part, asked for when all runs are over."""
        return self.images(config, data)

    def findings(self, outcomes: Sequence[Outcome], data: Images) -> Findings:
        """What every training has; the test part is used here, for the final weights.

        Tables: ``epochs``; ``gradients``, where they were measured; ``sweep`` — a row a short run:
        how it ended, whether its rate was ``chosen``; ``summary`` — a row a main run.
        Arrays: ``labels`` (N,) and ``names`` (K,) of the test images, and of every run
        ``probability.RUN`` (N, K) float16 or ``answer.RUN`` (N,) uint8.
        Metrics: the scores after the last epoch and ``test_SCORE``; with recalibrated batch
        normalisation, and "raw_…" without.
        """
        main = [one for one in outcomes if one.config.stage == "main"]
        done = [one for one in main if one.status == "done"]
        if not done:
            raise PixgradError(
                f"опыт {self.name}: разошлись все прогоны; первый: {main[0].message}"
            )
        of_arm = {one.config.arm: one.config for one in done}
        ready = {arm: self.tested_images(config, data) for arm, config in of_arm.items()}
        tested = [_test(one, ready[one.config.arm], self.test_scores) for one in done]
        images, arrays = tested[0].images, {}
        for one in tested:
            name = one.outcome.config.name
            if self.keeps_probabilities:
                arrays[f"probability.{name}"] = one.logits.softmax(1).numpy().astype(np.float16)
            else:
                arrays[f"answer.{name}"] = one.logits.argmax(1).numpy().astype(np.uint8)
        arrays |= {"labels": images.labels["test"].numpy(), "names": np.array(images.names)}
        metrics = {one.outcome.config.name: one.metrics for one in tested}
        written = {
            "epochs": epochs_table(outcomes, self.row),
            "sweep": self._sweep_table(outcomes),
            "summary": self._summary_table(main, metrics),
            **self.tables(tested, data),
        }
        if any(one.probed for one in main):
            written["gradients"] = tables.gradients_table(main, self.row)
        return Findings(written, arrays | self.arrays(tested, data), metrics)

    def tables(self, tested: Sequence[Tested], data: Images) -> dict[str, pd.DataFrame]:
        """More tables."""
        return {}

    def arrays(self, tested: Sequence[Tested], data: Images) -> dict[str, np.ndarray]:
        """More arrays."""
        return {}

    def row(self, outcome: Outcome) -> dict[str, object]:
        """The first columns of a run's rows in every table."""
        config = outcome.config
        return {"stage": config.stage, **super().row(outcome), "rate": config.lr}

    def _sweep_table(self, outcomes: Sequence[Outcome]) -> pd.DataFrame:
        chosen = {(one.config.arm, one.config.lr) for one in outcomes if one.config.stage == "main"}
        rows = [
            self.row(one)
            | {"epochs": one.config.epochs, "status": one.status, **one.last}
            | {"chosen": (one.config.arm, one.config.lr) in chosen}
            for one in outcomes
            if one.config.stage == "sweep"
        ]
        return pd.DataFrame(rows).drop(columns=["stage", "epoch", "lr"], errors="ignore")

    def _summary_table(
        self, main: Sequence[Outcome], metrics: Mapping[str, Mapping[str, float]]
    ) -> pd.DataFrame:
        rows = [
            {
                **self.row(one),
                "status": one.status,
                "steps": one.steps,
                "parameters": sum(weight.numel() for weight in one.net.parameters()),
                **metrics.get(one.config.name, {}),
                "cpu_s": round(one.cpu_s, 1),
            }
            for one in main
        ]
        return pd.DataFrame(rows).drop(columns="stage")


def examples(data: Images, count: int, side: int) -> dict[str, np.ndarray]:
    """Test photos for pictures, spread evenly over the part: it is ordered by class.

    Returns
    -------
    ``example_index`` int64 (E,), ``example_images`` uint8 (E, side, side[, 3]); not enlarged.
    """
    test = data.images["test"]
    index = loop.evenly(len(test), count)
    few = replace(data, images={"train": test[index]}).resized(min(side, test.shape[-1]))
    shown = few.images["train"].permute(0, 2, 3, 1).squeeze(-1)
    return {"example_index": index.numpy(), "example_images": shown.numpy()}


def _test(one: Outcome, images: Images, scores: Sequence[str]) -> Tested:
    pixels, labels = images.images["test"], images.labels["test"]
    metrics = {name: value for name, value in one.last.items() if name not in ("epoch", "lr")}
    net = loop.recalibrated(one.net, images, one.config.recalibrate)
    logits = loop.predict(net, images, pixels)
    found = measure(one.config.last, scores, logits, labels)
    metrics |= {f"test_{score}": value for score, value in found.items()}
    if one.config.recalibrate:
        raw = loop.predict(one.net, images, pixels)
        found = measure(one.config.last, scores, raw, labels)
        metrics |= {f"raw_test_{score}": value for score, value in found.items()}
    return Tested(one, images, logits, metrics)


def best_rate(sweep: Sequence[Outcome]) -> float:
    """The rate with the smallest mean validation loss after the last epoch of the short runs.

    A rate at which some run diverged or ended without a finite loss is out; of equal ones the
    smaller is taken, and the smallest of all where none is left.
    """

    def loss(lr: float) -> float:
        mine = [one for one in sweep if one.config.lr == lr]
        if any(one.status != "done" for one in mine):
            return math.inf
        mean = float(np.mean([one.last["validation_loss"] for one in mine]))
        return mean if math.isfinite(mean) else math.inf

    return min(sorted({one.config.lr for one in sweep}), key=loss)
