"""A few of the random cases of `fuzz.py`; hours of them are run by hand. What it calls a fault."""

import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import cv2
import numpy as np
import pytest

from pixgrad.sift import Features, Sift, backend, orientation
from pixgrad.views import opencv

SCRIPT = Path(__file__).with_name("fuzz.py")
NO_FMA = "no numba, or OpenCV has no fused multiply-add on this processor"


def has_fused_backend() -> bool:
    return backend.find_spec("numba") is not None and opencv.has_fma()


@pytest.fixture(scope="module")
def fuzz():
    spec = spec_from_file_location("fuzz", SCRIPT)
    module = sys.modules["fuzz"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["fuzz"]


def run(name: str, *options: str) -> str:
    if name == "numba" and not has_fused_backend():
        pytest.skip(NO_FMA)
    command = [sys.executable, str(SCRIPT), "--backend", name, "--seconds", "3600", *options]
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["numba", "numpy"])
@pytest.mark.parametrize("cases", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_random_cases(name, cases):
    assert f"cases={cases}" in run(name, "--cases", str(cases))


def test_a_pixel_between_two_bins():
    """Its direction, 125 degrees, is rounded as OpenCV's: an angle was off by 0.16 degrees."""
    assert "flat_peaks=0" in run("numba", "--seed", "1", "--first", "13415", "--cases", "1")


def test_a_peak_almost_flat():
    """Its curvature is 5e-4 of its height: one unit of the last place of a bin is 0.001 degrees."""
    said = run("numpy", "--seed", "2", "--first", "18231", "--cases", "1")
    assert "flat_peaks=1, most_of_allowed=0." in said


MUTANTS = {
    "the fraction of a bin is too small by 0.1 %": lambda k, place: (
        k,
        np.rint(place) + 0.999 * (place - np.rint(place)),
    ),
    "angles off by 0.0003 degrees": lambda k, place: (k, place + 3e-5),
    "the last peak is lost": lambda k, place: (k[:-1], place[:-1]),
    "no parabola": lambda k, place: (k, np.rint(place)),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_faults_of_angles_are_found(fuzz, name, monkeypatch):
    if not has_fused_backend():
        pytest.skip(NO_FMA)
    whole, mutant = orientation.peak_positions, MUTANTS[name]
    monkeypatch.setattr(
        orientation,
        "peak_positions",
        lambda histogram: tuple(
            column.astype(kind)
            for column, kind in zip(mutant(*whole(histogram)), "if", strict=True)
        ),
    )
    assert any(fuzz.check(0, case, True, fuzz.Count()) for case in range(60))


@pytest.mark.parametrize("ratio", [0.798, 0.802])
def test_another_height_of_peaks_is_found(fuzz, ratio, monkeypatch):
    if not has_fused_backend():
        pytest.skip(NO_FMA)
    monkeypatch.setattr(orientation, "PEAK_RATIO", ratio)
    assert any(fuzz.check(0, case, True, fuzz.Count()) for case in range(60))


def test_what_errors_of_the_bins_decide(fuzz, monkeypatch):
    """The bound against the parabola itself; peaks that a unit of the last place makes or ends."""
    one = Features.from_opencv([cv2.KeyPoint(4, 4, 5, 200)])
    peaks = fuzz.Peaks(Sift(), np.zeros((9, 9), np.uint8))
    rng = np.random.default_rng(0)
    for height in (1e-6, 1e-4, 0.1, 1):
        bins = np.array([1, 1 + height, 1 + 0.3 * height])
        monkeypatch.setattr(fuzz.Peaks, "around", lambda self, one, b=bins: (*b, b.max()))
        error = fuzz.BIN_ERROR * rng.uniform(-1, 1, (20_000, 3))
        a, b, c = (bins * (1 + error)).T
        turn = 10 * np.abs((a - c) / (2 * (a - 2 * b + c)) - 0.3 / (2 * 1.7))
        allowed = peaks.allowed(one) - fuzz.ANGLE_ERROR
        flips = height < 1e-5  # the curvature may be lost in errors: any place will do
        assert (
            allowed == pytest.approx(10, abs=1e-3)
            if flips
            else turn.max() <= allowed < 1.5 * turn.max()
        )
    monkeypatch.setattr(fuzz.Peaks, "around", lambda self, one: (1, 1 + fuzz.BIN_ERROR, 1, 2))
    assert peaks.allowed(one) == 10
    tiny = fuzz.BIN_ERROR / 2
    for bins, undecided in (
        ((0.5, 1, 0.5, 1), False),
        ((0.5, 1, 1 - tiny, 1), True),
        ((1 + tiny, 1, 0.5, 1.1), True),
        ((0.5, 0.8 + tiny, 0.5, 1), True),
        ((0.5, 0.801, 0.5, 1), False),
    ):
        monkeypatch.setattr(fuzz.Peaks, "around", lambda self, one, b=bins: b)
        assert peaks.undecided(one) is undecided
