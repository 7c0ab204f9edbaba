"""A few of the random cases of `fuzz.py`; hours of them are run by hand."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pixgrad.sift import backend
from pixgrad.views import opencv


@pytest.mark.parametrize("name", ["numba", "numpy"])
@pytest.mark.parametrize("cases", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_random_cases(name, cases):
    if name == "numba" and (backend.find_spec("numba") is None or not opencv.has_fma()):
        pytest.skip("no numba, or OpenCV has no fused multiply-add on this processor")
    script = Path(__file__).with_name("fuzz.py")
    limits = ["--cases", str(cases), "--seconds", "3600"]
    command = [sys.executable, str(script), "--backend", name, *limits]
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=settings)
    assert done.returncode == 0, done.stdout + done.stderr
