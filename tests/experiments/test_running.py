"""Running experiments: what follows what, what is refused, what is published and how safely."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny_experiment
from tiny_experiment import HERE, published

from pixgrad import experiments, files, results
from pixgrad.errors import PixgradError
from pixgrad.experiments.running import checking, running
from pixgrad.experiments.running.running import run
from pixgrad.results import records


def test_each_preset_has_its_source_and_the_user_the_last_word(place, pixgrad):
    smoke, record = run("tiny", "smoke")
    assert (smoke, record.data) == (Path("runs/tiny/smoke-tiny0/results"), "tiny0")
    assert not Path("results").exists()
    folder, record = run("tiny")
    assert (folder, record.data) == (Path("results/tiny"), "tiny1")
    assert results.load("tiny").record == record
    folder, record = run("tiny", data="tiny2")
    assert (folder, record.data) == (Path("results/tiny-tiny2"), "tiny2")
    assert results.load("tiny").record.data == "tiny1"  # other data did not replace it
    assert [status.name for status in checking.status()] == ["tiny", "tiny-tiny2"]
    assert pixgrad("verify", "tiny-tiny2", "--runs", "1")[0] == 0
    fingerprints = {part: f"{part}2" for part in ("train", "validation", "test")}
    assert record.data_fingerprint == fingerprints
    names = {path.name for path in Path("runs/tiny").iterdir()}
    assert names == {"smoke-tiny0", "report-tiny1", "report-tiny2"}


def test_dry_run_tells_the_runs_and_makes_none(place, pixgrad):
    code, told = pixgrad("run", "tiny", "--dry-run")
    assert code == 0 and not Path("results").exists() and not Path("runs").exists()
    assert told[0].startswith("tiny: набор report, данные «tiny1», нет источника «tiny1»")
    assert told[1:] == [
        "прогонов 2, эпох 2; потом прогоны, которые зависят от их исхода",
        "результаты: results/tiny",
    ]
    run("tiny")
    told = running.plan("tiny")
    assert told[2].startswith("runs/tiny/report-tiny1: уже есть 2; законченные не повторятся")
    assert told[-1] == "результаты: results/tiny (прежние заменят)"
    assert running.plan("tiny", "smoke")[-1] == "результаты: runs/tiny/smoke-tiny0/results"
    with pytest.raises(PixgradError, match="нет набора «paper»"):
        running.plan("tiny", "paper")


@pytest.mark.parametrize(
    ("preset", "source", "folder"),
    [
        ("report", "cars5", "adam_vs_adamax"),
        ("models", "cars10", "adam_vs_adamax-models"),
        ("report", "imagefolder:a/b", "adam_vs_adamax-imagefolder_a_b"),
        ("paper", "cars5", "adam_vs_adamax-paper-cars5"),
    ],
)
def test_results_of_a_preset_or_source_have_a_folder_of_their_own(preset, source, folder):
    assert running.results_name("adam_vs_adamax", preset, source) == folder


def test_later_runs_follow_from_the_earlier_ones(place):
    run("tiny")
    epochs = results.load("tiny").tables["epochs"]
    tried = epochs[epochs["stage"] == "sweep"].set_index("rate")["validation_loss"]
    assert tried.idxmin() == 0.05
    record = results.load("tiny").record
    names = ["resnet-8-lr1e-06-101", "resnet-8-lr0.05-101", "resnet-8-1", "resnet-8-2"]
    assert [one.name for one in record.runs] == names
    assert {one.config["lr"] for one in record.runs[2:]} == {0.05}
    assert record.seeds == [1, 2, 101]
    again = published()
    run("tiny", seeds=3)
    assert [one.seed for one in results.load("tiny").record.runs] == [101, 101, 1, 2, 3]
    run("tiny", seeds=2)  # all from checkpoints
    assert published() == again


# What is written ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "suffix"), [(running.LONG, ".csv"), (running.LONG + 1, ".parquet")]
)
def test_short_tables_are_text_and_exact_long_ones_small(tmp_path, rows, suffix):
    table = pd.DataFrame(
        {
            "name": [f"ё{row}" for row in range(rows)],
            "count": np.arange(rows) + 2**40,
            "chosen": np.arange(rows) % 2 == 0,
            "loss": np.random.default_rng(0).standard_normal(rows),
        }
    )
    before = table.copy()
    running._write_table(tmp_path / "table", table)
    [path] = tmp_path.iterdir()
    assert path.name == f"table{suffix}"
    if suffix == ".csv":
        lines = path.read_text("utf-8").splitlines()
        assert lines[0] == "name,count,chosen,loss"
        expected = [",".join(map(str, row)) for row in table.itertuples(index=False, name=None)]
        assert lines[1:] == expected  # repr of a float64 is exact
    else:
        read = pd.read_parquet(path)
        assert read["loss"].dtype == np.float32
        np.testing.assert_array_equal(read["loss"], table["loss"].to_numpy().astype(np.float32))
        pd.testing.assert_frame_equal(read.drop(columns="loss"), table.drop(columns="loss"))
    pd.testing.assert_frame_equal(table, before)


def test_measures_that_are_not_finite_are_left_out_of_the_record(place, monkeypatch):
    def findings(self, outcomes, data):
        metrics = {"resnet-8-1": {"good": 0.5, "none": np.nan, "endless": np.inf}}
        return running.Findings({"one": pd.DataFrame({"a": [1]})}, metrics=metrics)

    monkeypatch.setattr(tiny_experiment.Tiny, "findings", findings)
    folder, record = run("tiny", seeds=1)
    assert [one.metrics for one in record.runs] == [{}, {}, {"good": 0.5}]
    assert {path.name for path in folder.iterdir()} == {"one.csv", "record.json"}  # no arrays
    assert records.parse_record((folder / "record.json").read_bytes(), folder) == record


# Nothing is lost ---------------------------------------------------------------------------------


def _full_disk(patch: pytest.MonkeyPatch) -> None:
    """Under a table: /dev/full refuses every byte with ENOSPC."""
    if not Path("/dev/full").is_char_device():
        pytest.skip("no /dev/full here")
    to_csv = pd.DataFrame.to_csv
    full = lambda self, path, **options: to_csv(self, "/dev/full", **options)  # noqa: E731
    patch.setattr(pd.DataFrame, "to_csv", full)


def _no_record(patch: pytest.MonkeyPatch) -> None:
    """Tables and arrays are written."""
    write = files.write

    def some(path: Path, content: str | bytes) -> None:
        if path.name == "record.json":
            raise OSError(28, "No space left on device")
        write(path, content)

    patch.setattr(files, "write", some)


def _no_second_rename(patch: pytest.MonkeyPatch) -> None:
    """Where the system cannot swap two folders: the old one is aside already."""
    patch.setattr(files, "_exchange", lambda one, other: False)
    rename, made = os.rename, []

    def some(one, other) -> None:
        made.append(other)
        if len(made) == 2:
            assert other == Path("results/tiny") and not other.exists()
            raise OSError(5, "Input/output error")
        rename(one, other)

    patch.setattr(os, "rename", some)


@pytest.mark.parametrize("failure", [_full_disk, _no_record, _no_second_rename])
def test_a_failure_while_publishing_leaves_the_old_results(place, monkeypatch, failure):
    run("tiny", seeds=1)
    before = published()
    with monkeypatch.context() as patch:
        failure(patch)
        with pytest.raises(PixgradError) as caught:
            run("tiny", seeds=2)
    message = str(caught.value)
    assert message.startswith("опыт tiny: [Errno ")
    assert message.endswith("законченные эпохи и прежние результаты целы")
    assert "\n" not in message
    assert published() == before
    assert [path.name for path in Path("results").iterdir()] == ["tiny"]


KILLED = """
import os, signal
from pixgrad import files

rename = os.rename


def killed(one, other):
    rename(one, other)
    if str(one) == "results/tiny":
        os.kill(os.getpid(), signal.SIGKILL)  # the old results lie aside, the new ones wait


os.rename = killed
files._exchange = lambda one, other: False  # as where the system cannot swap two folders
run("tiny", seeds=2)
"""


def test_a_publish_killed_between_its_renames_is_undone_at_the_next_start(place, monkeypatch):
    run("tiny", seeds=1)
    before = published()
    killed = subprocess.run([sys.executable, "-c", HERE + KILLED], stdout=subprocess.DEVNULL)
    assert killed.returncode == -signal.SIGKILL
    assert not Path("results/tiny").exists()
    with monkeypatch.context() as broken:  # the next start itself fails before its first run
        broken.setattr(
            tiny_experiment.Tiny, "load", lambda self, source: Path("absent").read_text()
        )
        with pytest.raises(PixgradError, match="прежние результаты целы"):
            run("tiny", seeds=2)
    assert published() == before
    assert [path.name for path in Path("results").iterdir()] == ["tiny"]
    run("tiny", seeds=2)
    assert [one.seed for one in results.load("tiny").record.runs] == [101, 101, 1, 2]
    assert [path.name for path in Path("results").iterdir()] == ["tiny"]


def test_a_run_that_cannot_go_on_leaves_results_and_checkpoints(place):
    run("tiny")
    before = published()
    path = Path("runs/tiny/report-tiny1/resnet-8-2.checkpoint")
    path.write_bytes(b"broken")
    with pytest.raises(PixgradError, match=r"resnet-8-2.checkpoint: контрольная точка не читается"):
        run("tiny")
    assert published() == before
    path.unlink()
    run("tiny")
    assert published() == before


def test_runs_begun_by_other_code_or_left_by_a_kill(place, monkeypatch):
    run("tiny", "smoke")
    work = Path("runs/tiny/smoke-tiny0")
    leftover = work / ".resnet-8-1.checkpoint.1.pixgrad-tmp"
    leftover.write_bytes(b"half")
    begun = {path.name: path.stat().st_mtime_ns for path in work.glob("*.checkpoint")}
    monkeypatch.setattr(records, "code_digest", lambda module: "other")
    with pytest.raises(PixgradError, match=r"smoke-tiny0: прогоны начаты другим кодом.*--fresh"):
        run("tiny", "smoke")
    assert leftover.exists()  # nothing was touched
    monkeypatch.undo()
    monkeypatch.chdir(place)
    monkeypatch.setattr(experiments, "experiment", lambda name: tiny_experiment.EXPERIMENT)
    run("tiny", "smoke")
    assert not leftover.exists()

    def times() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in work.glob("*.checkpoint")}

    assert times() == begun  # the same code goes on
    monkeypatch.setattr(records, "code_digest", lambda module: "other")
    run("tiny", "smoke", fresh=True)
    assert all(new > begun[name] for name, new in times().items())
    assert (work / "code_digest").read_text() == "other"
    assert [path.name for path in Path("runs/tiny").iterdir()] == ["smoke-tiny0"]


# What is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "mnits"], "нет опыта «mnits»; есть: "),
        (["run", "mnist", "--preset", "big"], "нет набора «big»; есть: smoke, report, paper"),
        (["run", "mnist", "--tensorboard"], "опыт mnist не пишет журнал TensorBoard"),
        (["verify", "mnist"], "нет результатов «mnist»"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    tmp_path, monkeypatch, pixgrad, arguments, message
):
    monkeypatch.chdir(tmp_path)
    code, _ = pixgrad(*arguments)
    assert message in code
    assert "\n" not in code
    assert not list(tmp_path.iterdir())


def test_commands_tell_what_happened(place, pixgrad):
    assert pixgrad("status")[1] == ["Результатов ещё нет: pixgrad run ИМЯ"]
    code, told = pixgrad("run", "tiny", "--seeds", "1")
    assert code == 0
    [line] = [line for line in told if line.startswith("resnet-8-1: ")]
    metrics = results.load("tiny").record.runs[-1].metrics
    assert f"test_accuracy {metrics['test_accuracy']:.4f}" in line
    assert told[-1] == "Результаты: results/tiny"
    assert pixgrad("status")[1] == ["tiny (report): код тот же; данные те же"]


def test_the_command_hands_its_options_over(place, monkeypatch, pixgrad):
    given = []
    monkeypatch.setattr(running, "run", lambda *names, **options: given.append((names, options)))
    arguments = ["--backend", "dask", "--address", "tcp://x:1", "--tensorboard", "--jobs", "3"]
    code, told = pixgrad("run", "tiny", "--seeds", "2", *arguments)
    expected = {"fresh": False, "jobs": 3, "backend": "dask", "address": "tcp://x:1"}
    assert given == [(("tiny", "report", None, 2), {"tensorboard": True} | expected)]
    assert (code, told) == (0, [])  # a process of torchrun that does not publish


@pytest.mark.parametrize("name", experiments.names())
def test_every_experiment_keeps_the_protocol(name):
    experiment = experiments.experiment(name)
    assert (experiment.name, {"smoke", "report"} - set(experiment.sources)) == (name, set())
    for preset in experiment.sources:
        configs = experiment.plan(preset, None)
        assert len({config.name for config in configs}) == len(configs) > 0
        for config in configs:
            assert experiment.config(**json.loads(json.dumps(asdict(config)))) == config
        assert {config.seed for config in experiment.plan(preset, 1)} <= {0, 1, 101}
