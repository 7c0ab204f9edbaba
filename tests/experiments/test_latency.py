"""Routes of a tiny network: all compute the same, take turns, and may fail alone."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_training
import torch
from checks import Published
from torch._inductor import config as inductor

from pixgrad import nets
from pixgrad.experiments import latency

EXPERIMENT = latency.EXPERIMENT
ROUTES = (
    ("float", 0.0, (*latency.TORCH_ROUTES, "onnx", "int8")),
    ("folded", 0.0, (latency.EAGER,)),
    ("channels", 0.5, (latency.EAGER,)),
)


def shrink(patch: pytest.MonkeyPatch) -> None:
    """The C++ compiler is not there."""
    patch.setattr(latency.Latency, "load", lambda self, source: tiny_training.images(side=16))
    patch.setattr(latency, "ROUTES", {"few": ROUTES})
    routes = latency._routes("resnet-8", 16, {1: 3, 4: 3}, "few")
    workers = {"stage": "workers", "network": "resnet-8", "side": 16}
    workers |= {"batch_sizes": [1, 4], "batches": [3, 2], "rounds": [3, 3]}
    patch.setattr(latency, "PRESETS", {"report": [routes, workers]})
    patch.setattr(inductor.cpp, "cxx", ("no-such-compiler",), raising=False)


@pytest.mark.slow
class TestPublished(Published):
    experiment = EXPERIMENT

    def test_every_route_answers_the_same(self, found):
        table = found.tables["latency"]
        assert len(table) == 2 * sum(len(ways) for _, _, ways in ROUTES)
        works = table[table["status"] == "done"].set_index(["variant", "way"])["difference"]
        assert (works.drop(index=[("float", "int8"), ("float", "torch-bfloat16")]) < 1e-4).all()
        assert works["float", "int8"].between(1e-4, 0.3).all()
        assert works["float", "torch-bfloat16"].between(1e-4, 0.1).all()

    def test_without_a_compiler_there_is_a_row_with_its_message(self, found):
        table = found.tables["latency"].set_index("way")
        failed = table.loc["torch-compile"]
        assert (failed["status"] == "failed").all()
        assert failed["message"].str.contains("no-such-compiler").all()
        assert failed["ms"].isna().all()
        assert table.drop(index="torch-compile")["ms"].notna().all()

    def test_ratios_and_sizes(self, found):
        table = found.tables["latency"].dropna(subset="ms")
        whole = table[table["variant"] == "float"].set_index(["way", "batch_size"])
        assert (whole.loc[latency.EAGER]["to_torch"] == 1).all()
        assert (whole.loc["onnx"]["to_onnx"] == 1).all()
        assert (table["ms_low"] <= table["ms"]).all() & (table["ms"] <= table["ms_high"]).all()
        for row in table.itertuples():
            assert row.images_s == pytest.approx(1000 * row.batch_size / row.ms, rel=0.02)
        assert whole["bytes"]["int8", 1] < 0.5 * whole["bytes"]["onnx", 1]
        narrow = table[table["variant"] == "channels"]
        assert (narrow["multiply_adds"] < whole["multiply_adds"].iloc[0]).all()

    def test_workers(self, found):
        table = found.tables["workers"]
        ways = ["one", "operations", "threads", "processes", "pipeline", "first", "second"]
        ways += ["prepare", "prepare-ahead"]
        assert table["way"].tolist() == 2 * ways
        peers = table[table["way"].isin(["one", "prepare"])]
        assert (peers["faster"] == 1).all()
        assert (table["images_s"] > 0).all()


def test_networks_of_torchvision_have_weights_and_finite_answers():
    config = latency.Config(
        stage="routes", network="mobilenet-v2", side=32, batch_sizes=[1], rounds=[1]
    )
    before = torch.get_rng_state()
    x = latency.inputs(config, tiny_training.images())
    assert x.shape == (2, 3, 32, 32)
    net = latency.network(config, x)
    assert not net.training
    with torch.inference_mode():
        assert torch.isfinite(net(x)).all()
    assert torch.equal(torch.get_rng_state(), before)


def test_routes_take_turns_and_first_rounds_do_not_count():
    made = []
    steps = {name: lambda name=name: made.append(name) for name in "ab"}
    seconds = latency.rounds(steps, 2)
    assert made == ["a", "b"] * (latency.WARM_UP + 2)
    assert [len(of) for of in seconds.values()] == [2, 2]


def test_plan_of_the_report():
    plan = EXPERIMENT.plan("report", None)
    assert len({one.name for one in plan}) == len(plan)
    for one in plan:
        assert len(one.batch_sizes) == len(one.rounds)
        assert one.network in latency.OTHERS or one.network in nets.names()
    assert np.isin(["resnet-20", "squeezenet-1.1"], [one.network for one in plan]).all()
