"""Auxiliary heads: twins that differ in the heads alone, and the loss that they add."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny_training
import torch
from checks import Trained
from torch.nn.functional import cross_entropy

from pixgrad.experiments import auxiliary
from pixgrad.experiments.running.training import Budget
from pixgrad.training import loop

EXPERIMENT = auxiliary.EXPERIMENT
SETTINGS = {"batch_size": 32, "shift": 1, "recalibrate": 60}


def shrink(patch: pytest.MonkeyPatch) -> None:
    """Twins with batch normalisation; the largest rate diverges."""
    patch.setattr(auxiliary.Auxiliary, "load", lambda self, source: tiny_training.images())
    arms = auxiliary._arms(SETTINGS, Budget(1, 1, seeds=2), [({}, (0.03, 1e20))])
    patch.setattr(auxiliary.Auxiliary, "presets", {"report": arms})


class TestPublished(Trained):
    experiment, keys = EXPERIMENT, ["batch_norm", "init", "auxiliary"]

    def test_heads_are_counted_and_only_where_they_are(self, found):
        summary = found.tables["summary"].set_index(["auxiliary", "seed"])["parameters"]
        assert (summary[True] - summary[False]).gt(0).all()


def run(heads: bool, generator: torch.Generator):
    config = auxiliary.Config(stage="main", seed=1, epochs=1, lr=0.03, auxiliary=heads, **SETTINGS)
    return config, EXPERIMENT.build(config, tiny_training.images(), generator)


def test_twins_share_weights_and_the_chance_that_follows():
    generators = [torch.Generator().manual_seed(1) for _ in range(2)]
    (_, plain), (_, headed) = (
        run(heads, of) for heads, of in zip((False, True), generators, strict=True)
    )
    theirs = headed.state_dict()
    assert all(torch.equal(theirs[key], of) for key, of in plain.state_dict().items())
    assert {key.partition(".")[0] for key in set(theirs) - set(plain.state_dict())} == {
        "aux1",
        "aux2",
    }
    assert torch.equal(*(torch.rand(3, generator=of) for of in generators))


def test_heads_add_three_tenths_of_their_losses():
    config, net = run(True, torch.Generator().manual_seed(1))
    data = tiny_training.images()
    x, y = data.normalised(data.images["train"][:32]), data.labels["train"][:32]
    main, first, second = (cross_entropy(of, y) for of in net.train()(x))
    expected = main + 0.3 * first + 0.3 * second
    torch.testing.assert_close(loop.training_loss(net(x), y, config), expected)
    assert net.eval()(x).shape == (32, 4)
    made = loop.TorchRun(
        replace(config, shift=0, flip=False), lambda generator: run(True, generator)[1], data
    ).first_losses(1)
    assert made[0] > 1.5 * cross_entropy(torch.zeros(1, 4), y[:1]).item()


def test_plan_has_twins_of_three_kinds():
    plan = EXPERIMENT.plan("report", None)
    kinds = {(one.batch_norm, one.init, one.auxiliary) for one in plan}
    assert {kind[:2] for kind in kinds} == {(True, "he"), (False, "he"), (False, "default")}
    assert len(kinds) == 6
    for kind in kinds:
        assert (
            len({one.lr for one in plan if (one.batch_norm, one.init, one.auxiliary) == kind}) == 5
        )
