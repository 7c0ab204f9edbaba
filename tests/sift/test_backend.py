"""Compiled code gives the bits of NumPy; nothing depends on runs or on threads."""

import os
import subprocess
import sys

import numpy as np
import pytest

from pixgrad.data import load
from pixgrad.errors import PixgradError
from pixgrad.sift import Sift, backend, descriptor, extrema, orientation, scale_space

numba_only = pytest.mark.skipif(
    backend.find_spec("numba") is None, reason="numba is not installed: nothing to compare"
)
FIELDS = ("xy", "size", "angle", "response", "octave", "descriptors")
DIGEST = """
import hashlib, sys, numpy as np
from pixgrad.sift import Sift
image = np.random.default_rng(5).integers(0, 256, (12, 14)).repeat(9, 0).repeat(9, 1)
image = image.astype(np.uint8)
f = Sift(compiled=False).detect_and_compute(image)
others = {"cv2", "numba", "scipy", "skimage", "torch"} & set(sys.modules)
assert not others, others
parts = (f.xy, f.size, f.angle, f.response, f.octave, f.descriptors)
print(len(f), hashlib.sha256(b"".join(p.tobytes() for p in parts)).hexdigest())
"""


@pytest.fixture(scope="module")
def grey():
    return load("synthetic")[0].first[60:260, 80:330, 1]


@pytest.fixture(scope="module")
def octave(grey):
    return scale_space.gaussian_pyramid(scale_space.base_image(grey))[0]


@pytest.fixture(scope="module")
def fast():
    return backend.choose(True)


def assert_same(a, b):
    assert len(a)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(a, field), getattr(b, field))


@numba_only
@pytest.mark.parametrize("shape", [(2, 2), (3, 40), (40, 3), (9, 17), (120, 77)])
@pytest.mark.parametrize("sigma", [0.1, 1.25, 3.1])
def test_blur(fast, shape, sigma):
    image = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    np.testing.assert_array_equal(fast.blur(image, sigma), scale_space.blur(image, sigma))
    half = image[::2, ::2]
    np.testing.assert_array_equal(fast.blur(half, sigma), scale_space.blur(half, sigma))


@numba_only
def test_extrema(fast, octave):
    dog = scale_space.difference_of_gaussians(octave)
    flat = np.rint(dog)  # plateaus
    for values in (dog, flat, flat[:, :10, :10], flat[:, :11, :12]):
        found = fast.find_extrema(values, 1)
        np.testing.assert_array_equal(found, extrema.find_extrema(values, 1))


@numba_only
def test_histograms_up_to_the_borders(fast, octave):
    layers = octave[1:4]
    rng = np.random.default_rng(0)
    n, (height, width) = 300, layers.shape[1:]
    layer, row, column = (
        rng.integers(0, 3, n),
        rng.integers(1, height, n),
        rng.integers(1, width, n),
    )
    scale = rng.uniform(1.5, 4.5, n).astype(np.float32)
    point = np.column_stack([layer, row, column])
    maps = orientation.gradients(layers)
    np.testing.assert_array_equal(
        fast.histograms(*fast.gradients(layers), point, scale),
        orientation.histograms(*maps, point, scale),
    )
    xy = np.column_stack([column, row]).astype(np.float32) + np.float32(0.3)
    angle = np.append(0, rng.uniform(0, 360, n - 1)).astype(np.float32)
    rest = (layer, xy, scale, angle)
    np.testing.assert_array_equal(
        fast.raw_histograms(*fast.gradients(layers), *rest),
        descriptor.raw_histograms(*maps, *rest),
    )


@numba_only
@pytest.mark.parametrize("conventions", ["opencv", "precise"])
def test_whole_detector(grey, conventions):
    assert_same(
        Sift(conventions=conventions, compiled=True).detect_and_compute(grey),
        Sift(conventions=conventions, compiled=False).detect_and_compute(grey),
    )


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=numba_only)])
def test_two_runs_are_identical(grey, compiled):
    sift = Sift(compiled=compiled)
    assert_same(sift.detect_and_compute(grey), sift.detect_and_compute(grey))


def test_threads_change_nothing():
    """The same digest from processes with one and with four threads, by NumPy alone."""
    digests = set()
    for threads in ("1", "4"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        settings = dict.fromkeys(names, threads)
        done = subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={**os.environ, **settings, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
    assert len(digests) == 1
    assert int(digests.pop().split()[0]) > 50


def test_environment_switches_numba_off(monkeypatch):
    monkeypatch.setenv("PIXGRAD_NUMBA", "0")
    assert backend.choose() is backend.NUMPY
    assert backend.choose(False) is backend.NUMPY


def test_without_numba(monkeypatch):
    monkeypatch.delenv("PIXGRAD_NUMBA", raising=False)
    monkeypatch.setattr(backend, "find_spec", lambda name: None)
    assert backend.choose() is backend.NUMPY
    monkeypatch.setitem(sys.modules, "pixgrad.sift.compiled", None)
    monkeypatch.delattr("pixgrad.sift.compiled", raising=False)
    with pytest.raises(PixgradError, match=r"numba.*compiled=False"):
        backend.choose(True)
