"""SIGKILL at random moments: a resumed run ends with every bit of an unbroken one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_training import build, differences, images, settings

from pixgrad.training.loop import fit

CONFIG = settings(epochs=8, optimiser="adam", lr=1e-3, patience=7, probe_every=2, recalibrate=40)

KILLER = """
import os, random, signal, sys, time
from pathlib import Path

import torch

sys.path.insert(0, sys.argv[1])
import test_resume as here
from tiny_training import build, images

torch.set_num_threads(1)
folder, kills, moments = Path(sys.argv[2]), int(sys.argv[3]), random.Random(int(sys.argv[4]))
data = images()


def start(name: str) -> int:
    child = os.fork()
    if not child:
        here.fit(here.CONFIG, build, data, folder / name)
        os._exit(0)
    return child


began = time.monotonic()
assert os.waitpid(start("whole"), 0)[1] == 0
span = time.monotonic() - began
epochs = []
while len(epochs) < kills:
    child = start("killed")
    time.sleep(moments.uniform(0, span / 2))
    os.kill(child, signal.SIGKILL)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != -signal.SIGKILL:
        (folder / "killed").unlink()  # it was faster: once more from the beginning
        continue
    saved = (folder / "killed").is_file()
    epochs.append(len(torch.load(folder / "killed")["history"]) if saved else 0)
assert os.waitpid(start("killed"), 0)[1] == 0
print(*epochs)
"""


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_runs_end_with_the_same_bits(tmp_path, kills):
    command = [sys.executable, "-c", KILLER, Path(__file__).parent, tmp_path, str(kills), "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    epochs = [int(number) for number in done.stdout.split()]
    assert any(0 < number < CONFIG.epochs for number in epochs)
    whole, killed = (fit(CONFIG, build, images(), tmp_path / name) for name in ("whole", "killed"))
    assert not differences(whole, killed)
    assert (len(whole.history), whole.steps, len(whole.probed)) == (8, 48, 24 * 8)
