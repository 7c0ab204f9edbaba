"""Results beside the present code and data: what is told apart, and what counts as the same."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import tiny_experiment
from tiny_training import images

from pixgrad import experiments
from pixgrad.errors import PixgradError
from pixgrad.experiments.running import checking
from pixgrad.experiments.running.checking import Replay
from pixgrad.experiments.running.running import run
from pixgrad.results import records

LOSSES = [2.0, 1.5, 1.0, 0.8, 0.6, 0.5, 0.4]
UP = math.nextafter


def replay(same_machine: bool, **changed: float) -> Replay:
    """A replay in which the losses of some steps, such as ``step2``, are others."""
    run = records.Run(
        name="a-1",
        seed=1,
        config={},
        status="done",
        steps=7,
        wall_s=0,
        cpu_s=0,
        first_losses=LOSSES,
        metrics={},
    )
    losses = [changed.get(f"step{step}", loss) for step, loss in enumerate(LOSSES)]
    return Replay(run, losses, same_machine)


@pytest.mark.parametrize(
    ("changed", "step", "difference", "close"),
    [
        ({}, None, 0.0, True),
        ({"step0": UP(2.0, 3)}, 0, 0.0, True),
        ({"step6": UP(0.4, 3)}, 6, 0.0, True),
        ({"step0": 2.0 * 1.000009}, 0, 9e-6, True),
        ({"step0": 2.0 * 1.000011}, 0, 1.1e-5, False),  # nothing has spread anything yet
        ({"step1": 1.5 * 0.91}, 1, 0.09, True),
        ({"step1": 1.5 * 1.11}, 1, 0.11, False),
        ({"step4": 0.6 * 0.89}, 4, 0.11, False),
        ({"step5": 9.0}, 5, 0.0, True),  # by then training has spread the difference
        ({"step3": math.nan, "step4": math.nan}, 3, math.nan, False),  # it diverged
        ({"step0": UP(2.0, 3), "step1": math.nan}, 0, math.nan, False),
    ],
)
def test_bits_on_the_same_machine_closeness_on_another(changed, step, difference, close):
    same, other = replay(True, **changed), replay(False, **changed)
    assert same.first_difference == other.first_difference == step
    assert same.passed == (step is None)
    assert other.passed == close
    assert np.max(other.differences) == pytest.approx(difference, abs=1e-9, rel=0.01, nan_ok=True)


def edit(name: str, change) -> None:
    path = Path("results") / name / "record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    change(record)
    path.write_text(json.dumps(record), encoding="utf-8")


def test_verify_replays_all_runs_or_some(place, pixgrad):
    run("tiny", seeds=3)
    replays = checking.verify("tiny")
    names = [one.run.name for one in replays]
    main = [f"resnet-8-{seed}" for seed in (1, 2, 3)]
    assert names == ["resnet-8-lr1e-06-101", "resnet-8-lr0.05-101", *main]
    assert all(len(one.losses) == 6 and one.first_difference is None for one in replays)
    assert pixgrad("verify", "tiny", "--runs", "2") == (
        0,
        [
            *[f"{names[index]}: все 6 потерь совпали бит в бит" for index in (0, 3)],
            "Повторено прогонов: 2 из 5 (все — с --runs 0)",
        ],
    )

    def spoil(record) -> None:
        losses = record["runs"][-1]["first_losses"]
        losses[2] = float(np.nextafter(losses[2], 9))

    edit("tiny", spoil)
    assert pixgrad("verify", "tiny", "--runs", "2")[0] == 0
    code, told = pixgrad("verify", "tiny")
    assert "результаты «tiny» не повторились" in code
    assert told[-1].startswith("resnet-8-3: шаг 3: записано ")
    edit("tiny", lambda record: record.update(device="another processor"))
    code, told = pixgrad("verify", "tiny")
    assert code == 0
    assert "процессор или библиотеки другие: первая потеря разошлась на 0e+00" in told[-1]


def test_a_replay_that_diverges_earlier_does_not_pass(place, pixgrad, monkeypatch):
    run("tiny", seeds=1)
    losses = tiny_experiment.Tiny.first_losses
    shorter = lambda self, *arguments: losses(self, *arguments)[:3]  # noqa: E731
    monkeypatch.setattr(tiny_experiment.Tiny, "first_losses", shorter)
    edit("tiny", lambda record: record.update(device="another processor"))
    code, told = pixgrad("verify", "tiny")
    assert "результаты «tiny» не повторились" in code
    assert all(": шаг 4: записано " in line and "получено nan" in line for line in told)
    assert len(told) == 3


def test_settings_that_the_experiment_has_no_more_are_one_line(place, pixgrad):
    run("tiny", seeds=1)
    edit("tiny", lambda record: record["runs"][0]["config"].update(flavour="sour"))
    code, _ = pixgrad("verify", "tiny")
    assert "resnet-8-lr1e-06-101: опыт tiny_experiment теперь не знает таких настроек" in code
    assert "flavour" in code
    assert "\n" not in code


def test_other_data_and_code_are_noticed(place, monkeypatch, pixgrad):
    run("tiny", seeds=1)

    def told() -> tuple[bool | None, bool | None]:
        [status] = checking.status()
        return status.same_code, status.same_data

    assert told() == (True, True)
    monkeypatch.setattr(tiny_experiment.Tiny, "load", lambda self, source: images(seed=5))
    assert told() == (True, False)
    with pytest.raises(PixgradError, match="данные «tiny1» не те, на которых"):
        checking.verify("tiny")

    def absent(self, source: str):
        raise PixgradError("нет данных")

    monkeypatch.setattr(tiny_experiment.Tiny, "load", absent)
    monkeypatch.setattr(records, "code_digest", lambda module: "other")
    assert told() == (False, None)
    assert pixgrad("status")[1] == [
        "tiny (report): код изменился (pixgrad verify tiny); данных нет, не сверить"
    ]


def test_a_record_of_an_experiment_that_is_gone(place, monkeypatch, pixgrad):
    run("tiny", seeds=1)
    monkeypatch.undo()
    monkeypatch.chdir(place)
    assert "tiny" not in experiments.names()
    [status] = checking.status()
    assert (status.name, status.same_code, status.same_data) == ("tiny", None, None)
    code, told = pixgrad("status")
    assert (code, told) == (
        0,
        ["tiny (report): опыта tiny в коде больше нет; данных нет, не сверить"],
    )
    assert "нет опыта «tiny»; есть: " in pixgrad("verify", "tiny")[0]


def test_a_damaged_record_is_named_and_the_others_are_shown(place, pixgrad):
    """F15: it stopped the command."""
    run("tiny", seeds=1)
    damaged = place / "results" / "a-damaged" / "record.json"
    damaged.parent.mkdir()
    damaged.write_text("{}")
    code, told = pixgrad("status")
    assert code == "pixgrad: записи повреждены: a-damaged"
    assert told[0].startswith("results/a-damaged/record.json: запись опыта неверна")
    assert told[1] == "tiny (report): код тот же; данные те же"
