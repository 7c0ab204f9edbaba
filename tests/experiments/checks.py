"""What holds for every experiment on the protocol; a test module inherits a class and runs it."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics

from pixgrad.experiments.running import checking
from pixgrad.results import Results

pytest.importorskip("sklearn")


class Published:
    """Of any experiment; ``experiment`` is set by the heir."""

    experiment: object

    def test_verify_repeats_every_run_bit_for_bit(self, project):
        replays = checking.verify(self.experiment.name)
        assert len(replays) > 1
        assert all(one.passed and one.first_difference is None for one in replays)

    def test_code_and_data_are_those_of_the_record(self, project):
        [status] = checking.status()
        assert (status.same_code, status.same_data) == (True, True)

    def test_the_folder_is_small_and_complete(self, found: Results):
        folder = Path("results") / self.experiment.name
        assert sum(path.stat().st_size for path in folder.iterdir()) < 1 << 20
        assert {path.stem for path in folder.iterdir()} - {"record", "arrays"} == set(found.tables)
        assert not list(Path("results").glob(".*"))

    def test_the_record_repeats_its_settings(self, found: Results):
        for run in found.record.runs:
            assert self.experiment.config(**run.config).name == run.name
        assert len({run.name for run in found.record.runs}) == len(found.record.runs)


class Trained(Published):
    """Of a training; ``keys`` name the column or columns that tell its arms apart."""

    keys: list[str]

    def test_main_runs_take_the_rate_with_the_smallest_mean_validation_loss(self, found: Results):
        sweep, summary = found.tables["sweep"], found.tables["summary"]
        for arm, rows in sweep.groupby(self.keys):
            mine = summary.groupby(self.keys).get_group(arm)["rate"]
            steady = rows.groupby("rate").filter(lambda of: (of["status"] == "done").all())
            best = steady.groupby("rate")["validation_loss"].mean().idxmin()
            assert set(mine) == {best} == set(rows.loc[rows["chosen"], "rate"])
        assert set(sweep.loc[sweep["status"] == "diverged", "rate"]) == {1e20}
        short = {run.seed for run in found.record.runs if run.config["stage"] == "sweep"}
        assert min(short) == 101  # seeds of their own

    def test_runs_of_an_arm_and_seed_begin_alike(self, found: Results):
        """The same weights and batch whatever the rate: the same first loss."""
        starts = {}
        for run in found.record.runs:
            same = {"lr": 0, "epochs": 0, "stage": 0, "probe_every": 0, "optimiser": 0}
            settings = tuple((run.config | same).items())
            assert starts.setdefault(settings, run.first_losses[0]) == run.first_losses[0]

    def test_scores_of_the_test_images_are_those_of_scikit_learn(self, found: Results):
        arrays, recorded = found.arrays, {run.name: run.metrics for run in found.record.runs}
        named = {name.partition(".")[2]: of for name, of in arrays.items() if name[0] in "pa"}
        assert {name for name, of in recorded.items() if of} == set(named)
        for name, answers in named.items():
            answers, labels = answers.astype(float), self.labels(found, name)
            if answers.ndim == 2:
                loss = metrics.log_loss(labels, answers / answers.sum(axis=1, keepdims=True))
                assert recorded[name]["test_loss"] == pytest.approx(loss, rel=0.01)
                answers = answers.argmax(axis=1)
            macro = metrics.f1_score(labels, answers, average="macro", zero_division=0)
            assert recorded[name]["test_macro_f1"] == pytest.approx(macro)
            accuracy = metrics.accuracy_score(labels, answers)
            assert recorded[name]["test_accuracy"] == pytest.approx(accuracy)

    def labels(self, found: Results, run: str) -> np.ndarray:
        """Of the test images of a run."""
        return found.arrays["labels"]

    def test_summary_epochs_and_record_agree(self, found: Results):
        keys = [*self.keys, "seed"]
        summary, epochs = found.tables["summary"], found.tables["epochs"]
        assert set(summary["status"]) == {"done"}
        main = [run for run in found.record.runs if run.config["stage"] == "main"]
        last = epochs[epochs["stage"] == "main"].groupby(keys).last()
        for row, run in zip(summary.to_dict("records"), main, strict=True):
            assert {name: row[name] for name in run.metrics} == pytest.approx(run.metrics)
            told = last.loc[tuple(row[key] for key in keys)]
            for name in set(run.metrics) & set(epochs):
                assert told[name] == pytest.approx(run.metrics[name]), name
            assert (row["steps"], row["seed"]) == (run.steps, run.seed)

    def test_neither_plan_nor_training_needs_test_images(self, found: Results, tmp_path):
        """Without them a run makes the steps and measures of the recorded one."""
        run = next(run for run in found.record.runs if run.config["stage"] == "main")
        data = self.without_test(self.experiment.load(found.record.data))
        config, path = self.experiment.config(**run.config), tmp_path / "a.checkpoint"
        torch.set_num_threads(1)
        outcome = self.experiment.train(config, data, path, lambda *arguments: None, None)
        assert outcome.first_losses == run.first_losses
        for name in set(outcome.last) & set(run.metrics):
            assert outcome.last[name] == run.metrics[name], name
        assert math.isfinite(outcome.last["validation_loss"])

    def without_test(self, data):
        """The data of the experiment without the test part."""
        return without_test(data)


def without_test(data):
    """Images without the test part: whatever asks for it, fails."""
    from dataclasses import replace

    parts = ("train", "validation")
    images, labels = ({part: of[part] for part in parts} for of in (data.images, data.labels))
    return replace(data, images=images, labels=labels)
