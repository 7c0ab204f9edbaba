"""Compiled code gives the bits of NumPy or of fused arithmetic; nothing depends on threads."""

import multiprocessing
import os
import subprocess
import sys
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixgrad.data import load
from pixgrad.errors import PixgradError
from pixgrad.sift import (
    Sift,
    arithmetic,
    backend,
    descriptor,
    detector,
    extrema,
    orientation,
    refinement,
    scale_space,
)
from pixgrad.views import opencv

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
@pytest.mark.parametrize("height", [2, 3, 23])
@pytest.mark.parametrize("sigma", [0.1, 0.2, 0.3, 0.36, 0.5, 0.56, 0.62, 0.8, 1.0, 1.25, 1.6, 3.1])
def test_blur_has_the_bits_of_opencv(fast, height, sigma):
    """With 3 and 5 taps 37 % of the pixels differed, at widths of no whole vector single ones."""
    if not opencv.has_fma():
        pytest.skip("на этом процессоре OpenCV не сливает умножение и сложение")
    cv2.setNumThreads(1)
    for width in (2, 3, 5, 6, 7, 8, 9, 11, 13, 16, 35, 38, 77):
        image = np.random.default_rng(width).uniform(0, 255, (height, width)).astype(np.float32)
        expected = cv2.GaussianBlur(image, (0, 0), sigma, sigma, borderType=cv2.BORDER_DEFAULT)
        found = fast.blur(image, sigma)
        np.testing.assert_array_equal(found, expected, err_msg=f"{width}")
        # Rounding once or twice differs by a few units of the last place.
        np.testing.assert_array_max_ulp(found, scale_space.blur(image, sigma), maxulp=8)
        if width > 3:
            np.testing.assert_array_equal(
                fast.blur(image[:, ::2], sigma), fast.blur(image[:, ::2].copy(), sigma)
            )


@pytest.fixture
def fused_arctangent(monkeypatch):
    """NumPy's directions rounded as compiled ones: a product of two float32 is exact in float64."""

    def fma(a, b, c):
        return (a.astype(float) * b.astype(float) + np.float64(c)).astype(np.float32)

    def atan2_degrees(y, x):
        ax, ay = np.abs(x), np.abs(y)
        c = np.minimum(ax, ay) / (np.maximum(ax, ay) + arithmetic.TINY)
        c2 = c * c
        odd = fma(fma(arithmetic.P7, c2, arithmetic.P5), c2, arithmetic.P3)
        angle = fma(odd, c2, arithmetic.P1) * c
        angle = np.where(ay > ax, np.float32(90) - angle, angle)
        angle = np.where(x < 0, np.float32(180) - angle, angle)
        return np.where(y < 0, np.float32(360) - angle, angle)

    monkeypatch.setattr(orientation, "atan2_degrees", atan2_degrees)


@numba_only
@settings(max_examples=60, deadline=None)
@given(st.floats(0.1, 12), st.integers(2, 40), st.integers(2, 90), st.integers(0, 99))
def test_any_blur_has_the_bits_of_opencv(sigma, height, width, seed):
    if not opencv.has_fma():
        pytest.skip("на этом процессоре OpenCV не сливает умножение и сложение")
    cv2.setNumThreads(1)
    image = np.random.default_rng(seed).uniform(0, 255, (height, width)).astype(np.float32)
    expected = cv2.GaussianBlur(image, (0, 0), sigma, sigma, borderType=cv2.BORDER_DEFAULT)
    np.testing.assert_array_equal(backend.choose(True).blur(image, sigma), expected)


def layers_of(dog):
    """An octave whose differences are these, if its numbers are exact."""
    return np.concatenate([np.zeros_like(dog[:1]), np.cumsum(dog, axis=0, dtype=np.float32)])


@numba_only
@pytest.mark.parametrize("precise", [False, True])
def test_doubling(fast, precise):
    for shape in ((1, 1), (1, 7), (9, 1), (70, 33)):
        image = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
        np.testing.assert_array_equal(
            fast.double(image, precise), scale_space.double(image, precise)
        )


@numba_only
def test_extrema(fast, octave):
    dog = scale_space.difference_of_gaussians(octave)
    flat = layers_of(np.rint(dog))  # plateaus
    noise = layers_of(np.random.default_rng(0).integers(-9, 9, (5, 80, 37)).astype(np.float32))
    wells = layers_of(np.full((3, 70, 41), 7, np.float32))  # more extrema than are expected
    for layers in (octave, flat, flat[:, :10, :10], flat[:, :11, :12], noise, wells):
        found = fast.find_extrema(fast.differences(layers), 1)
        dog = scale_space.difference_of_gaussians(layers)
        np.testing.assert_array_equal(found, extrema.find_extrema(dog, 1))
    assert len(found) == 60 * 31 > 1024


@numba_only
def test_refinement(fast, octave):
    dog = scale_space.difference_of_gaussians(octave)
    inner = np.array(dog.shape) - [2, 2 * extrema.BORDER, 2 * extrema.BORDER]
    corner = np.array([1, extrema.BORDER, extrema.BORDER])
    anywhere = corner + np.random.default_rng(0).integers(0, inner, (3000, 3))
    start = np.concatenate([extrema.find_extrema(dog, 1), anywhere])
    found, plain = fast.refine(octave, start), refinement.refine(dog, start)
    assert set(found.status) == set(range(len(refinement.STATUS_NAMES)))
    # Where rounding decides a step or a test, the two may part.
    same = (found.point == plain.point).all(axis=1) & (found.status == plain.status)
    assert same.mean() > 0.995
    settled = same & ~np.isin(found.status, [refinement.UNSTABLE, refinement.OUTSIDE])
    assert settled.sum() > 500
    for one, two in ((found.contrast, plain.contrast), (found.offset, plain.offset)):
        np.testing.assert_allclose(one[settled], two[settled], atol=1e-3)
        assert np.median(np.abs(one[settled] - two[settled])) < 1e-7
    assert np.isnan(found.contrast[found.status == refinement.OUTSIDE]).all()


@numba_only
def test_flat_dog_refines_to_nowhere(fast):
    flat = np.zeros((6, 20, 20), np.float32)
    start = np.array([[1, 8, 8]])
    found, plain = fast.refine(flat, start), refinement.refine(flat[1:], start)
    for one, two in zip(found, plain, strict=True):
        np.testing.assert_array_equal(one, two)


@numba_only
@pytest.mark.usefixtures("fused_arctangent")
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
def test_directions_have_the_bits_of_opencv(fast):
    """At 125 degrees a pixel's whole vote went to the next bin, and an angle by 0.16 degrees."""
    if not opencv.has_fma():
        pytest.skip("на этом процессоре OpenCV не сливает умножение и сложение")
    from pixgrad.sift.compiled.voting import _to_polar

    x, y = np.random.default_rng(0).normal(0, 30, (2, 1 << 16)).astype(np.float32)
    expected = cv2.phase(x[None], y[None], angleInDegrees=True)[0]
    assert 0.95 < (arithmetic.atan2_degrees(y, x) == expected).mean() < 0.999
    _to_polar(x, y)
    np.testing.assert_array_equal(y, expected)


@numba_only
def test_angles_of_peaks_are_rounded_once(fast):
    histogram = np.random.default_rng(0).uniform(1, 2, (500, 36)).astype(np.float32)
    (one, angle), (two, twice) = fast.peaks(histogram), orientation.peaks(histogram)
    _, position = orientation.peak_positions(histogram)
    np.testing.assert_array_equal(one, two)
    exact = [float(np.float32(360 - 10 * Fraction(float(p)))) for p in position]
    np.testing.assert_array_equal(angle, np.where(np.equal(exact, 360), 0, exact))
    assert 0.1 < (angle != twice).mean() < 0.9
    assert np.abs(angle - twice).max() <= np.spacing(np.float32(359))
    flat = np.zeros((1, 36), np.float32)
    flat[0, :2] = 1, 1e-9  # a hair beyond the full turn
    assert fast.peaks(flat)[1].tolist() == orientation.peaks(flat)[1].tolist() == [0]


@numba_only
@pytest.mark.usefixtures("fused_arctangent")
@pytest.mark.parametrize("conventions", ["opencv", "precise"])
def test_whole_detector_but_for_fused_stages(fast, grey, conventions, monkeypatch):
    found = Sift(conventions=conventions, compiled=True).detect_and_compute(grey)

    def find_extrema(octave, threshold):
        return extrema.find_extrema(scale_space.difference_of_gaussians(octave), threshold)

    mixed = backend.NUMPY._replace(
        blur=fast.blur,
        differences=fast.differences,
        find_extrema=find_extrema,
        refine=fast.refine,
        peaks=fast.peaks,
    )
    monkeypatch.setattr(detector.backend, "choose", lambda compiled: mixed)
    assert_same(found, Sift(conventions=conventions).detect_and_compute(grey))


@numba_only
@pytest.mark.slow
def test_processor_without_the_instruction_gives_the_same_bits(fast, tmp_path):
    """Compiled for the oldest processor of its kind, where fused multiply-add is a function."""
    program = """
import sys, numpy as np
from pixgrad.sift import compiled
np.save(sys.argv[1], compiled.blur(np.load(sys.argv[2]), 1.7))
"""
    image = np.random.default_rng(0).uniform(0, 255, (60, 77)).astype(np.float32)
    there, here = tmp_path / "blurred.npy", tmp_path / "image.npy"
    np.save(here, image)
    settings = {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", program, str(there), str(here)]
    subprocess.run(command, env={**os.environ, **settings}, check=True)
    np.testing.assert_array_equal(np.load(there), fast.blur(image, 1.7))


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


@numba_only
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_of_compiled_code_change_nothing(grey, threads, monkeypatch):
    from pixgrad.sift.compiled.threads import config

    sift = Sift(compiled=True)
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 1)
    alone = sift.detect_and_compute(grey)
    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", threads)
    assert_same(sift.detect_and_compute(grey), alone)


@numba_only
@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.1, 20.0])
def test_blur_in_parts(fast, sigma, monkeypatch):
    """Each thread filters the rows above its part anew."""
    from pixgrad.sift import compiled

    image = np.random.default_rng(0).uniform(0, 255, (90, 33)).astype(np.float32)
    whole = fast.blur(image, sigma)

    def in_parts(function, count, least, *arguments):
        for first in range(0, count, 13):
            function(first, min(first + 13, count), *arguments)

    monkeypatch.setattr(compiled, "spread", in_parts)
    np.testing.assert_array_equal(fast.blur(image, sigma), whole)


@numba_only
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_has_threads_of_its_own(grey, monkeypatch):
    from pixgrad.sift.compiled.threads import config

    monkeypatch.setattr(config, "NUMBA_NUM_THREADS", 2)
    count = len(Sift(compiled=True).detect(grey))
    context = multiprocessing.get_context("fork")
    found = context.Queue()
    child = context.Process(target=lambda: found.put(len(Sift(compiled=True).detect(grey))))
    child.start()
    assert found.get(timeout=60) == count
    child.join()


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


@pytest.mark.parametrize(
    ("word", "compiled"), [("0", False), ("off", False), ("No", False), ("1", True), ("", True)]
)
def test_the_switch_is_read_as_people_write_it(monkeypatch, word, compiled):
    pytest.importorskip("numba")
    monkeypatch.setenv(backend.SWITCH, word)
    assert (backend.choose() is not backend.NUMPY) == compiled


def test_a_switch_that_is_neither_yes_nor_no(monkeypatch):
    monkeypatch.setenv(backend.SWITCH, "perhaps")
    with pytest.raises(PixgradError, match="PIXGRAD_NUMBA=perhaps"):
        backend.choose()
