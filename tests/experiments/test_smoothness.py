"""Smoothness along training: the steps of a run do not depend on the measurements."""

from __future__ import annotations

import pytest
import tiny_training
from checks import Published, without_test

from pixgrad.experiments import smoothness

EXPERIMENT = smoothness.EXPERIMENT


def images():
    """Without a test part: the experiment must not ask for it."""
    return without_test(tiny_training.images())


def shrink(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(smoothness.Smoothness, "load", lambda self, source: images())
    patch.setattr(smoothness, "BATCH", 16)
    preset = (1, smoothness.KINDS[:2], {"steps": 4, "every": 2})
    patch.setattr(smoothness, "PRESETS", {"report": preset})


class TestPublished(Published):
    experiment = EXPERIMENT

    def test_rows_of_the_tables(self, found):
        """Two measurements of seven layers and four sizes, in two runs."""
        assert len(found.tables["shifts"]) == 2 * 2 * 7
        assert len(found.tables["along"]) == 2 * 2 * 4
        assert sorted(set(found.tables["along"]["size"])) == [0.5, 1, 2, 4]
        assert set(found.tables["shifts"]["step"]) == {0, 2}

    def test_measuring_changes_no_step(self, found):
        for run in found.record.runs:
            config = EXPERIMENT.config(**run.config)
            bare = smoothness._train(config, images(), 4, watch=False)
            assert bare.first_losses == run.first_losses


def test_plan_pairs_normalisation_at_every_rate():
    plan = EXPERIMENT.plan("report", None)
    assert len(plan) == 5 * 2 * 2
    assert len({one.name for one in plan}) == len(plan)
