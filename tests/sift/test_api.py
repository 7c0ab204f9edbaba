"""What users of ``cv2.SIFT`` expect: counts, stages alone, given keypoints, types, conversions."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pixgrad.data import load
from pixgrad.errors import PixgradError
from pixgrad.sift import Features, Sift, features
from pixgrad.sift.image import memory_estimate
from pixgrad.views import opencv
from pixgrad.views.agreement import compare

FIELDS = ("xy", "size", "angle", "response", "octave", "descriptors")


@pytest.fixture(scope="module")
def grey():
    return cv2.cvtColor(load("synthetic")[0].first[100:300, 100:340], cv2.COLOR_RGB2GRAY)


@pytest.fixture(scope="module", params=["opencv", "precise"])
def found(request, grey):
    return Sift(compiled=False, conventions=request.param), Sift(
        compiled=False, conventions=request.param
    ).detect_and_compute(grey)


def same(a: Features, b: Features, names=FIELDS) -> bool:
    return all(getattr(a, name).tobytes() == getattr(b, name).tobytes() for name in names)


@pytest.mark.parametrize("most", [1, 50, 10_000])
def test_the_best_are_those_that_opencv_retains(grey, found, most):
    sift, everything = found
    best = replace(sift, nfeatures=most).detect_and_compute(grey)
    kept = {tuple(row) for row in np.column_stack([best.xy, best.angle]).tolist()}
    create = cv2.SIFT_create(nfeatures=most, enable_precise_upscale=sift.conventions == "precise")
    theirs = Features.from_opencv(create.detect(grey, None))
    near = np.abs(best.xy[:, None] - theirs.xy[None]).max(axis=2).min(axis=1)
    assert len(best) == len(theirs) == len(kept)
    assert (near < 1e-3).all()
    assert most > len(everything) or best.response.min() == np.sort(everything.response)[-most]


def test_detection_alone_finds_the_same_keypoints(grey, found):
    sift, everything = found
    alone = sift.detect(grey)
    assert same(alone, everything, FIELDS[:-1])
    assert alone.descriptors.shape == (len(everything), 0)
    flat = np.zeros((32, 32), np.uint8)
    assert sift.detect(flat).descriptors.shape == (0, 0)
    assert sift.detect_and_compute(flat).descriptors.shape == (0, 128)


def test_given_keypoints_get_the_descriptors_of_detection(grey, found):
    sift, everything = found
    assert same(sift.compute(grey, sift.detect(grey)), everything)
    order = np.random.default_rng(0).permutation(len(everything))
    assert same(sift.compute(grey, everything[order]), everything[order])


def test_given_keypoints_are_described_as_opencv_does(grey, found):
    """Detected ones, ones without the doubled octave, and ones made by hand."""
    sift, everything = found
    create = cv2.SIFT_create(enable_precise_upscale=sift.conventions == "precise")
    octaves, _ = features.unpack_octave(everything.octave)
    by_hand = [cv2.KeyPoint(60.5, 70.25, 9.0), cv2.KeyPoint(100, 20, 5, 37.0)]
    for keypoints in (everything, everything[octaves >= 0], Features.from_opencv(by_hand)):
        assert len(keypoints) > 1
        _, theirs = create.compute(grey, keypoints.to_opencv()[0])
        ours = sift.compute(grey, keypoints).descriptors
        differs = (ours != theirs).mean()
        assert np.abs(ours - theirs).max() <= 2
        assert differs < 0.01  # OpenCV's fused multiply-add; see test_opencv.py


@pytest.mark.parametrize("shape", [(1, 60), (2, 70), (40, 40)])
def test_any_image_that_has_the_octave_is_enough(shape):
    """Detection looks for no keypoint there; OpenCV describes one all the same."""
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    top = min(shape).bit_length() - 1
    by_hand = [cv2.KeyPoint(5, 1, 5, 37.0), cv2.KeyPoint(9, 0, 9, 0, 0, top + (1 << 8))]
    keypoints = Features.from_opencv(by_hand)
    _, theirs = cv2.SIFT_create().compute(image, by_hand)
    ours = Sift().compute(image, keypoints).descriptors
    assert np.abs(ours - theirs).max() <= 1
    with pytest.raises(PixgradError, match=f"октава {top + 1}"):
        Sift().compute(image, replace(keypoints, octave=np.full(2, top + 1, np.int32)))


@pytest.mark.parametrize("most", [5, 60])
def test_a_mask_drops_some_of_the_best(grey, most):
    """OpenCV keeps the best first; the mask may leave fewer of them than there could be."""
    mask = np.zeros(grey.shape, np.uint8)
    mask[:, ::2] = 1
    found = Sift(nfeatures=most, compiled=False).detect_and_compute(grey, mask)
    theirs = cv2.SIFT_create(nfeatures=most).detect(grey, mask)
    assert 0 < len(found) == len(theirs) < most
    assert found.descriptors.shape == (len(found), 128)


def test_a_keypoint_of_a_larger_image_is_refused(grey, found):
    sift, everything = found
    strange = replace(everything[:2], octave=np.array([everything.octave[0], 9 + 256], np.int32))
    with pytest.raises(PixgradError, match="точка 1: октава 9, слой 1"):
        sift.compute(grey, strange)


def test_bytes_on_request(grey, found):
    sift, everything = found
    packed = replace(sift, descriptor_type="uint8").detect_and_compute(grey)
    assert packed.descriptors.dtype == np.uint8
    np.testing.assert_array_equal(packed.descriptors, everything.descriptors)
    create = cv2.SIFT_create(descriptorType=cv2.CV_8U, nOctaveLayers=3, contrastThreshold=0.04,
                             edgeThreshold=10, sigma=1.6, nfeatures=0)  # fmt: skip
    assert create.detectAndCompute(grey, None)[1].dtype == packed.descriptors.dtype


def test_there_and_back(found):
    _, everything = found
    assert same(Features.from_opencv(*everything.to_opencv()), everything)
    nothing = Features.from_opencv(())
    assert (len(nothing), nothing.descriptors.shape) == (0, (0, 0))


def test_memory_that_detection_needs_grows_with_its_layers(grey, monkeypatch):
    monkeypatch.setattr(
        "pixgrad.sift.image._available_memory", lambda: memory_estimate(*grey.shape, 4)
    )
    Sift(compiled=False).detect(grey)
    with pytest.raises(PixgradError, match="памяти"):
        Sift(compiled=False, n_octave_layers=8).detect(grey)


def test_opencv_without_descriptors_is_read(grey):
    assert opencv.detect(np.zeros_like(grey)).descriptors.shape == (0, 128)


@pytest.mark.parametrize("sigma", [0.7, 0.9, 1.05, 1.3, 2.2])
@pytest.mark.parametrize("layers", [1, 3, 6])
def test_any_sigma_and_number_of_layers_as_opencv(grey, sigma, layers):
    """Blurs of 3 and 5 taps have an order of their own; 41 of 826 keypoints were missed."""
    pytest.importorskip("numba")
    if not opencv.has_fma():
        pytest.skip("на этом процессоре OpenCV не сливает умножение и сложение")
    image = grey[:120, :150]
    found = Sift(sigma=sigma, n_octave_layers=layers).detect_and_compute(image)
    create = cv2.SIFT_create(0, layers, 0.04, 10, sigma)
    result = compare(found, Features.from_opencv(*create.detectAndCompute(image, None)))
    assert len(found) > 5
    assert (result.missed, result.extra, result.equal_descriptors) == (0, 0, 1)
