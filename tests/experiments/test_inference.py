"""Attention and detectors under the stopwatch: what they compute, the memory counted."""

from __future__ import annotations

import pytest
import tiny_training
import torch
from checks import Published

from pixgrad.experiments import inference

EXPERIMENT = inference.EXPERIMENT


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inference.Inference, "load", lambda self, source: tiny_training.images())
    presets = {"attention": ((64, 96), 3), "detectors": ((64,), 2)}
    patch.setattr(inference, "PRESETS", {"report": presets})
    patch.setattr(inference, "DETECTORS", {"spinenet-49s": (128, 128)})


class TestPublished(Published):
    experiment = EXPERIMENT

    def test_tables_have_a_row_a_size_and_call(self, found):
        attention, detectors = (found.tables[name] for name in ("attention", "detectors"))
        assert attention[["side", "called"]].to_numpy().tolist() == [
            [side, name] for side in (64, 96) for name in ("formula", "fused")
        ]
        assert detectors["called"].tolist() == ["spinenet-49s"]
        for table in (attention, detectors):
            assert (table["ms_low"] <= table["ms"]).all()
            assert (table["ms"] <= table["ms_high"]).all()
            assert (table["ms"] > 0).all()

    def test_the_formula_keeps_the_weights_in_memory_and_the_kernel_does_not(self, found):
        table = found.tables["attention"].set_index(["side", "called"])["memory_mb"]
        for side in (64, 96):
            tokens = (side // 16) ** 2 + 1
            weights = 12 * tokens**2 * 4 / 1e6
            assert table[side, "formula"] > 2 * weights  # before and after softmax
            assert table[side, "fused"] < 1.2 * 12 * tokens * 64 * 4 / 1e6

    def test_both_forms_gave_the_same(self, found):
        for run in found.record.runs[:2]:
            one, other = run.first_losses
            assert one == pytest.approx(other, rel=1e-5)


def test_peak_of_known_sizes():
    with inference.PeakMemory() as peak:
        x = torch.zeros(1000, dtype=torch.float64)
        y = x + 1
        del x
        z = y * 2
        y.add_(z)  # in place: nothing new
        z[:10].sum()
    assert 16_000 <= peak.bytes <= 16_000 + 80


def test_plan_covers_320_to_640_pixels():
    plan = EXPERIMENT.plan("report", None)
    sides = [one.side for one in plan if one.stage == "detectors"]
    assert (min(sides), max(sides)) == (320, 640)


@pytest.mark.slow
def test_every_detector_answers():
    config = inference.Config(stage="detectors", side=64, rounds=1)
    with torch.inference_mode():
        shapes = {name: tuple(call().shape) for name, call in inference._detectors(config).items()}
    assert shapes == dict.fromkeys(inference.DETECTORS, (1, 9 * 90, 8, 8))
