"""Two processes of torchrun share every batch and train the network that one process trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_training import build, images, settings

from pixgrad.training.loop import fit

pytestmark = pytest.mark.slow

PLAIN = settings(epochs=3, lr=0.02, batch_size=21, probe_every=None)
"""Batches of 21, 21, 21, 21, 12: the processes have 11 and 10 images, then 6 and 6."""
NORMALISED = settings(epochs=8, lr=0.2, batch_size=31, patience=1)
"""Batches of 31, 31, 31; the last three images are too few for batch statistics in both."""


def plain(generator: torch.Generator) -> torch.nn.Module:
    return build(generator, "plain-8", batch_norm=False)


PROCESS = """
import os, sys
from pathlib import Path

import torch

sys.path.insert(0, sys.argv[1])
import test_processes as here

torch.set_num_threads(1)
folder, saved = Path(sys.argv[2]), {}
for name, build in (("PLAIN", here.plain), ("NORMALISED", here.build)):
    outcome = here.fit(getattr(here, name), build, here.images(), folder / name)
    saved[name] = [outcome.net.state_dict(), outcome.history, outcome.steps, outcome.first_losses]
torch.save(saved, folder / f"process{os.environ['RANK']}")
"""


def test_two_processes_make_the_steps_of_one(tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    script = tmp_path / "process.py"
    script.write_text(PROCESS, encoding="utf-8")
    subprocess.run(
        [*torchrun, "--nproc-per-node", "2", script, Path(__file__).parent, tmp_path],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        timeout=600,
    )
    first, second = (torch.load(tmp_path / f"process{rank}") for rank in (0, 1))
    one = fit(PLAIN, plain, images(), tmp_path / "alone")
    start = plain(torch.Generator().manual_seed(PLAIN.seed)).state_dict()
    for weights, history, steps, losses in (first["PLAIN"], second["PLAIN"]):
        assert steps == one.steps == 15
        assert losses == pytest.approx(one.first_losses, rel=1e-5)
        for mine, alone in zip(history, one.history, strict=True):
            assert mine == pytest.approx(alone, rel=1e-3)
        for name, weight in one.net.state_dict().items():
            moved = (weight - start[name]).norm()
            assert (weights[name] - weight).norm() < 1e-4 * moved, name

    weights, history, steps, losses = first["NORMALISED"]
    assert second["NORMALISED"][1:] == [history, steps, losses]  # both stop after the same epoch
    assert steps == 3 * len(history)
    saved = torch.load(tmp_path / "NORMALISED", weights_only=True)
    assert saved["status"] == "done"
    for name, weight in weights.items():
        assert torch.equal(saved["net"][name], weight), name  # the first process has written
        if "running" not in name:
            assert torch.equal(second["NORMALISED"][0][name], weight), name
