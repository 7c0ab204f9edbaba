"""Implementations under the stopwatch: they compute the same, take turns, and may fail alone."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import tiny_training
import torch
from checks import Published
from tiny_training import ignore
from torch._inductor import config as inductor

from pixgrad import backprop as bp
from pixgrad.experiments import speed
from pixgrad.training import implementations

EXPERIMENT = speed.EXPERIMENT

LENET = speed.Config(
    stage="training",
    network="lenet",
    batch_size=16,
    side=28,
    classes=4,
    rounds=3,
    compiled=False,
)
RESNET = replace(LENET, network="resnet-8", side=16)
OPTIMISERS = replace(RESNET, stage="optimisers")
EAGER = ["numpy", "torch", "torch-channels-last"]
COMPILED = ["torch-compile", "torch-compile-channels-last"]


def shrink(patch: pytest.MonkeyPatch) -> None:
    """The C++ compiler is not there."""
    patch.setattr(speed.Speed, "load", lambda self, source: tiny_training.images())
    settings = [
        {name: value for name, value in vars(config).items() if name != "stage"}
        for config in (replace(LENET, compiled=True), RESNET, OPTIMISERS)
    ]
    patch.setattr(speed, "PRESETS", {"report": (settings[:2], settings[2])})
    patch.setattr(inductor.cpp, "cxx", ("no-such-compiler",), raising=False)


class TestPublished(Published):
    experiment = EXPERIMENT

    def test_summary_has_every_implementation_and_part(self, found):
        summary = found.tables["summary"]
        parts = [*speed.PARTS, "total"]
        expected = [("lenet", name, part) for name in EAGER + COMPILED for part in parts]
        expected += [("resnet-8", name, part) for name in EAGER[1:] for part in parts]
        keys = ["network", "implementation", "part"]
        assert [*summary[keys].itertuples(index=False, name=None)] == expected
        peer = summary[summary["implementation"] == "torch"]
        assert (peer[["ratio", "ratio_low", "ratio_high"]] == 1).all(axis=None)
        works = ~summary["implementation"].isin(COMPILED)
        assert summary[works].notna().all(axis=None)
        assert (summary[works]["ms_low"] <= summary[works]["ms"]).all()
        assert (summary[works]["ms"] <= summary[works]["ms_high"]).all()
        total = summary[works & (summary["part"] == "total")]
        rates = found.tables["implementations"].set_index(["network", "implementation"])["images_s"]
        for row in total.itertuples():
            rate = rates[row.network, row.implementation]
            assert rate == pytest.approx(1000 * LENET.batch_size / row.ms, rel=1e-3)

    def test_without_a_compiler_there_is_a_row_with_its_message(self, found):
        table = found.tables["implementations"].set_index(["network", "implementation"])
        for name in COMPILED:
            row = table.loc["lenet", name]
            assert row["status"] == "failed"
            assert "no-such-compiler" in row["message"]
            assert "\n" not in row["message"]
            assert np.isnan(row["images_s"])
        others = table.drop(index=[("lenet", name) for name in COMPILED])
        assert (others["status"] == "done").all()
        assert others["message"].isna().all()

    def test_optimisers_table(self, found):
        table = found.tables["optimisers"]
        made = list(zip(table["optimiser"], table["implementation"], strict=True))
        assert made == [(method, kind) for method, of in speed.OPTIMISERS.items() for kind in of]
        assert (table["peer"] == "adam-torch").all()
        assert table["ratio"][0] == 1
        assert (table["weights_difference"] < 1e-4).all()

    def test_runs_of_the_record(self, found):
        assert found.record.threads == 1
        assert [run.name for run in found.record.runs] == [
            "lenet",
            "resnet-8",
            "resnet-8-optimisers",
        ]
        assert [len(run.first_losses) for run in found.record.runs] == [3, 3, 1]
        assert set(found.record.runs[0].metrics) == {f"{name}_images_s" for name in EAGER}
        assert set(found.tables) == {"summary", "implementations", "optimisers"}


def test_torch_twin_of_lenet_gives_the_same_logits():
    net, (x, _) = speed._network(LENET), speed._batch(LENET, tiny_training.images())
    own = bp.lenet(speed.LENET, rng=LENET.seed)
    assert x.shape == (16, 1, 28, 28)
    np.testing.assert_allclose(own.forward(x.numpy()), net(x).detach(), rtol=1e-4, atol=1e-5)


def test_global_generator_is_left_alone():
    before = torch.get_rng_state()
    speed._network(LENET)
    speed._batch(LENET, tiny_training.images())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("config", [LENET, RESNET])
def test_every_implementation_makes_the_same_steps(config):
    """Losses before the first step and after two more; only the order of sums differs."""
    measured = speed._measure_training(config, tiny_training.images())
    names = EAGER if config is LENET else EAGER[1:]
    assert list(measured.differences) == list(measured.seconds) == names
    assert measured.differences["torch"] == 0
    assert max(measured.differences.values()) < 1e-3
    assert measured.first_losses[0] != measured.first_losses[1]
    again = EXPERIMENT.first_losses(config, tiny_training.images(), speed.WARM_UP)
    assert again == measured.first_losses


def test_losses_of_a_wrong_implementation_are_seen(monkeypatch):
    monkeypatch.setattr(bp.SGD, "step", lambda self, gradients: None)
    measured = speed._measure_training(LENET, tiny_training.images())
    assert measured.differences["numpy"] > 1e-3


def test_own_optimisers_make_torchs_steps():
    measured = speed._measure_optimisers(OPTIMISERS, tiny_training.images())
    assert set(measured.differences) == set(measured.seconds)
    assert measured.differences["adam-torch"] == measured.differences["adamax-torch"] == 0
    # A weight moves by about the rate each step, its rounding is 1e-7 of the weight itself.
    assert max(measured.differences.values()) < 1e-4


def test_implementations_take_turns(monkeypatch):
    made = []
    timed = implementations.timed
    monkeypatch.setattr(
        speed, "timed", lambda step, parts: (made.append(step), timed(step, parts))[1]
    )
    speed._measure_training(LENET, tiny_training.images())
    rounds = [made[start : start + 3] for start in range(0, len(made), 3)]
    assert len(rounds) == speed.WARM_UP + LENET.rounds
    assert all(turn == rounds[0] for turn in rounds)


def test_waiting_takes_no_time_of_the_processor():
    class Waiting:
        def forward(self) -> None:
            time.sleep(0.2)

        backward = step = lambda self: None

    seconds = implementations.timed(Waiting())
    assert len(seconds) == len(implementations.PARTS)
    assert sum(seconds) < 0.1


def test_timing_of_known_times():
    row = speed._timing(np.array([2.0, 2.0, 2.0]), np.array([1.0, 4.0, 2.0]), "torch")
    assert (row["ms"], row["ms_low"], row["ms_high"]) == (2000, 2000, 2000)
    assert (row["ratio_low"], row["ratio"], row["ratio_high"]) == (0.75, 1, 1.5)  # of 1/2, 1, 2


def test_finished_measurement_is_not_repeated(tmp_path, monkeypatch):
    data, path = tiny_training.images(), tmp_path / "a.checkpoint"
    first = EXPERIMENT.train(RESNET, data, path, ignore, None)
    monkeypatch.setattr(speed, "_measure_training", None)
    assert EXPERIMENT.train(RESNET, data, path, ignore, None) == first


@pytest.mark.slow
def test_compiled_networks_make_the_same_steps():
    """And compiling is not in the time of the steps."""
    measured = speed._measure_training(replace(LENET, compiled=True), tiny_training.images())
    if measured.messages:
        pytest.skip(f"torch.compile does not work here: {measured.messages}")
    assert list(measured.seconds) == EAGER + COMPILED
    assert max(measured.differences.values()) < 1e-3
    for name in COMPILED:
        assert np.sum(measured.seconds[name]) < measured.compile_s[name] / 5
