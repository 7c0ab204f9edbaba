"""Comparison of two SIFTs: pairs made by hand, blobs at known places, OpenCV itself."""

import dataclasses

import numpy as np
import pytest

from pixgrad.data import load
from pixgrad.sift import Features, Sift
from pixgrad.views import agreement, opencv


def features(xy, size=4.0, angle=10.0):
    n = len(xy)
    rng = np.random.default_rng(0)
    return Features(
        np.asarray(xy, np.float32),
        np.full(n, size, np.float32),
        np.broadcast_to(np.float32(angle), n).copy(),
        np.linspace(0.02, 0.1, n, dtype=np.float32),
        np.full(n, 256, np.int32),
        rng.integers(1, 100, (n, 128)).astype(np.float32),
    )


GRID = [(10 * i + 5, 7 * j + 3) for i in range(5) for j in range(4)]


def test_equal_features_agree_fully():
    a = agreement.compare(features(GRID), features(GRID))
    assert (a.missed, a.extra, a.swapped, a.response_error) == (0, 0, 0, 0)
    assert a.equal_descriptors == a.same_octave == a.same_response == 1
    assert not a.distance.any()


def test_missed_and_extra_are_counted_on_their_sides():
    a = agreement.compare(features(GRID[:-2]), features(GRID[1:]))
    assert (a.missed, a.extra) == (2, 1)


@pytest.mark.parametrize(
    ("change", "pairs"),
    [
        ({"xy": 0.04}, True),
        ({"xy": 0.06}, False),
        ({"size": 0.016}, True),
        ({"size": 0.024}, False),
        ({"angle": 0.4}, True),
        ({"angle": -0.6}, False),
    ],
)
def test_tolerances(change, pairs):
    one = features(GRID)
    moved = {name: getattr(one, name) + np.float32(by) for name, by in change.items()}
    found, _ = agreement.pair(dataclasses.replace(one, **moved), one)
    assert len(found) == (len(one) if pairs else 0)


def test_angles_near_a_full_turn_are_near_zero():
    a = agreement.compare(features(GRID, angle=359.9), features(GRID, angle=0.1))
    assert a.missed == 0


def test_order_and_differences_are_seen():
    one = features(GRID)
    order = np.arange(len(one))
    order[[3, 4]] = 4, 3
    other = one[order]
    other.descriptors[7] *= np.float32(1.25)
    other.response[7] *= np.float32(1.5)
    a = agreement.compare(other, one)
    assert a.swapped == 1
    assert a.distance.max() == pytest.approx(0.25)
    assert a.response_error == pytest.approx(0.5, rel=1e-5)
    assert a.same_response == pytest.approx(1 - 1 / len(one))
    assert a.equal_descriptors == pytest.approx(1 - 1 / len(one))


def test_pooled_agreement_is_that_of_all_points_together():
    """Two images whose points lie far apart, compared one by one and as one."""
    here, there = features(GRID), features([(x + 1000, y) for x, y in GRID[:5]])
    moved = dataclasses.replace(there, response=there.response * np.float32(1.01))
    pooled = agreement.pool([agreement.compare(here[:-1], here), agreement.compare(moved, there)])
    names = [field.name for field in dataclasses.fields(Features)]

    def join(a, b):
        return Features(*(np.concatenate([getattr(a, n), getattr(b, n)]) for n in names))

    whole = agreement.compare(join(here[:-1], moved), join(here, there))
    for name in ("missed", "extra", "swapped", "response_error"):
        assert getattr(pooled, name) == getattr(whole, name)
    for name in ("same_response", "same_octave", "equal_descriptors"):
        assert getattr(pooled, name) == pytest.approx(getattr(whole, name))
    assert pooled.same_response == pytest.approx(19 / 24)
    assert len(pooled.distance) == 24


@pytest.fixture(scope="module")
def blobs():
    """Symmetric blobs of known centres and scales on grey."""
    y, x = np.mgrid[:128, :160]
    image = np.full(x.shape, 60.0)
    for cx, cy, sigma in [(40, 30, 3.0), (110, 40, 4.0), (60, 90, 5.0), (120, 95, 6.0)]:
        image += 150 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * sigma**2))
    return image.round().astype(np.uint8)


@pytest.mark.parametrize(("conventions", "bias"), [("opencv", 0.25), ("precise", 0.0)])
def test_half_turn_shows_twice_the_bias(blobs, conventions, bias):
    moved = agreement.half_turn_shifts(blobs, Sift(conventions=conventions, compiled=False))
    assert len(moved) >= 4
    np.testing.assert_allclose(np.median(moved, axis=0), 2 * bias, atol=0.03)
    # The bias itself, from the known centre of a blob.
    xy = Sift(conventions=conventions, compiled=False).detect_and_compute(blobs).xy
    gap = np.linalg.norm(xy - (np.array([40, 30]) + bias), axis=1).min()
    assert gap < 0.03


def test_opencv_itself_differs_between_processors():
    """Rounding once or twice moves the last bits of most responses, and NumPy rounds twice."""
    if not opencv.has_fma():
        pytest.skip("this processor or this OpenCV has no fused multiply-add to switch off")
    photo = load("synthetic")[0].first[:200, 100:340]
    (plain,), (with_fma,) = opencv.detect_without_fma([photo]), opencv.detect_with_fma([photo])
    np.testing.assert_array_equal(with_fma.response, opencv.detect(photo).response)
    fused = agreement.compare(with_fma, plain)
    assert 0 < fused.same_response < 0.2
    assert 1e-7 < fused.response_error < 1e-4
    ours = agreement.compare(Sift(compiled=False).detect_and_compute(photo), plain)
    assert ours.same_response == ours.same_octave == 1
