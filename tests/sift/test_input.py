"""What users pass as an image or a mask: a result that OpenCV confirms, or a clear refusal."""

import tracemalloc

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pixgrad.data import load
from pixgrad.errors import PixgradError
from pixgrad.sift import Features, Sift
from pixgrad.sift.image import memory_estimate, to_grey
from pixgrad.views import opencv
from pixgrad.views.agreement import compare

SIFT = Sift(compiled=False)
FIELDS = ("xy", "size", "angle", "response", "octave", "descriptors")


def same(a, b):
    return all(getattr(a, f).tobytes() == getattr(b, f).tobytes() for f in FIELDS)


@pytest.fixture(scope="module")
def colour():
    return load("synthetic")[0].first[100:260, 100:300]


@pytest.fixture(scope="module")
def grey(colour):
    return cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)


@pytest.fixture(scope="module")
def features(grey):
    return SIFT.detect_and_compute(grey)


def test_every_colour_turns_into_opencvs_grey():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (600, 500, 3), dtype=np.uint8)
    np.testing.assert_array_equal(to_grey(picture), cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6)),
    st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_float_0_to_255_is_its_rounding(image, dtype):
    image = np.maximum(image, 3 * (np.arange(image.size) == 0).reshape(image.shape))  # a value > 2
    jitter = np.where(image % 2, 0.3, -0.3) * ((image > 0) & (image < 250))
    expected = np.rint((image + jitter).astype(dtype)).astype(np.uint8)
    np.testing.assert_array_equal(to_grey((image + jitter).astype(dtype)), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_0_to_1_gives_every_grey_level_back(dtype):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(to_grey((levels / 255).astype(dtype)), levels)


def test_float_gives_the_features_of_bytes(grey, features):
    assert same(SIFT.detect_and_compute(grey / 255), features)
    shifted = np.minimum(grey + 0.2, 255)  # the range is seen by the maximum
    assert same(SIFT.detect_and_compute(shifted.astype(np.float32)), features)


def test_colour_gives_the_features_of_grey(colour, features):
    assert same(SIFT.detect_and_compute(colour), features)
    assert same(SIFT.detect_and_compute(colour / 255.0), features)


def test_layout_does_not_matter(grey, features):
    wide = np.zeros((grey.shape[0], 2 * grey.shape[1]), np.uint8)
    wide[:, ::2] = grey
    for view in (wide[:, ::2], np.asfortranarray(grey), grey[::-1][::-1], grey[:, :, None]):
        assert same(SIFT.detect_and_compute(view), features)
    frozen = grey.copy()
    frozen.flags.writeable = False
    assert same(SIFT.detect_and_compute(frozen), features)
    assert same(SIFT.detect_and_compute(grey.astype(np.int64)), features)


def test_input_is_never_modified(colour):
    before, mask = colour.copy(), np.ones(colour.shape[:2], np.uint8)
    for image in (colour, colour / 255.0, colour.astype(np.float32)):
        kept = image.copy()
        SIFT.detect_and_compute(image, mask)
        np.testing.assert_array_equal(image, kept)
    np.testing.assert_array_equal(colour, before)
    assert (mask == 1).all()


def test_bool_is_black_and_white(grey):
    found = SIFT.detect_and_compute(grey > 128)
    reference = opencv.detect((grey > 128).astype(np.uint8) * np.uint8(255))
    result = compare(found, reference)
    assert len(reference) > 20
    assert result.missed + result.extra <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 2), (3, 200), (11, 12), (16, 400)])
@pytest.mark.parametrize("conventions", ["opencv", "precise"])
def test_small_images_as_in_opencv(shape, conventions):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = Sift(conventions=conventions, compiled=False).detect_and_compute(image)
    reference = opencv.detect(image, conventions=conventions)
    assert len(found) == len(reference)
    np.testing.assert_allclose(found.xy, reference.xy, atol=1e-2)


def test_constant_image_has_no_features():
    for value in (0, 77, 255):
        found = SIFT.detect_and_compute(np.full((60, 70), value, np.uint8))
        assert len(found) == 0
        assert found.descriptors.shape == (0, 128)
        assert found.to_opencv()[0] == ()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 10), np.uint8), "пустое"),
        (np.zeros((10, 0, 3), np.uint8), "пустое"),
        (np.zeros(10, np.uint8), r"форм"),
        (np.uint8(3), r"форм"),
        (np.zeros((2, 9, 9, 3), np.uint8), r"форм"),
        (np.zeros((9, 9, 4), np.uint8), r"каналов: 4.*\[\.\.\., :3\]"),
        (np.zeros((9, 9, 2), np.uint8), "каналов: 2"),
        (np.full((9, 9), np.nan), "NaN"),
        (np.full((9, 9), np.inf), "NaN или бесконечность"),
        (np.full((9, 9), -0.5), r"\[-0.5, -0.5\]"),
        (np.full((9, 9), 256.0), r"256"),
        (np.full((9, 9), 40000, np.uint16), "40000"),
        (np.zeros((9, 9), complex), "complex128"),
        (np.full((9, 9), "a"), "<U1"),
        (np.full((9, 9), None), "object"),
    ],
)
def test_what_is_not_an_image_is_refused(image, message):
    with pytest.raises(PixgradError, match=message):
        SIFT.detect_and_compute(image)


def test_huge_image_is_refused_with_an_estimate():
    """A view of one pixel: it takes no memory itself."""
    huge = np.broadcast_to(np.uint8(7), (300_000, 200_000))
    with pytest.raises(PixgradError, match=r"200000×300000 нужно около \d+.\d ГиБ"):
        SIFT.detect_and_compute(huge)
    assert memory_estimate(300_000, 200_000) > 10**13
    assert memory_estimate(1000, 1000, 8) > 2 * memory_estimate(1000, 1000)


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int32])
def test_mask_as_in_opencv(grey, dtype):
    mask = np.zeros(grey.shape, np.uint8)
    mask[30:101, 40:161] = 255
    found = SIFT.detect_and_compute(grey, mask.astype(dtype))
    keypoints, descriptors = cv2.SIFT_create().detectAndCompute(grey, mask)
    assert 10 < len(found) == len(keypoints)
    np.testing.assert_allclose(found.xy, [k.pt for k in keypoints], atol=1e-3)
    assert (found.descriptors == descriptors).mean() > 0.999


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones((5, 5), np.uint8), r"\(5, 5\).*\(160, 200\)"),
        (np.ones((160, 200, 1), np.uint8), "размер"),
        (np.ones((160, 200)), "float64"),
    ],
)
def test_mask_that_does_not_fit(grey, mask, message):
    with pytest.raises(PixgradError, match=message):
        SIFT.detect_and_compute(grey, mask)


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_octave_layers": 2},
        {"n_octave_layers": 5},
        {"contrast_threshold": 0.01},
        {"edge_threshold": 4.0},
        {"sigma": 1.2},
        {"sigma": 2.1},
    ],
)
def test_other_parameters_agree_with_opencv(grey, parameters):
    names = {
        "n_octave_layers": "nOctaveLayers",
        "contrast_threshold": "contrastThreshold",
        "edge_threshold": "edgeThreshold",
        "sigma": "sigma",
    }
    found = Sift(compiled=False, **parameters).detect_and_compute(grey)
    sift = cv2.SIFT_create(**{names[k]: v for k, v in parameters.items()})
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    names = ("pt", "size", "angle", "response", "octave")
    columns = (np.array([getattr(k, name) for k in keypoints], np.float32) for name in names)
    result = compare(found, Features(*columns, descriptors))
    assert len(keypoints) > 50
    assert result.missed + result.extra <= 1
    assert result.equal_descriptors >= 0.9


def test_to_opencv_and_back(grey, features):
    keypoints, descriptors = features.to_opencv()
    for name, values in (
        ("pt", features.xy),
        ("size", features.size),
        ("angle", features.angle),
        ("response", features.response),
        ("octave", features.octave),
    ):
        np.testing.assert_array_equal([getattr(k, name) for k in keypoints], values)
    # OpenCV describes our keypoints as we do.
    _, theirs = cv2.SIFT_create().compute(grey, keypoints)
    assert (theirs == descriptors).all(axis=1).mean() > 0.9


@pytest.mark.parametrize("spill", [1e-7, 1 / 255])
def test_rounding_does_not_take_an_image_out_of_its_range(grey, features, spill):
    """A maximum one ulp over 1 made the image 0..255: black, and no keypoint, silently."""
    image = grey.astype(np.float64) / 255
    image[np.unravel_index(image.argmax(), image.shape)] = 1 + spill
    image[np.unravel_index(image.argmin(), image.shape)] -= spill
    expected = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    np.testing.assert_array_equal(to_grey(image), expected)
    assert len(SIFT.detect_and_compute(image)) == pytest.approx(len(features), abs=5)


@settings(deadline=None)
@given(st.floats(0, 1 / 255), st.floats(0, 1 / 255), st.sampled_from([np.float32, np.float64]))
def test_any_spill_of_a_grey_level_is_cut(above, below, dtype):
    image = np.append(np.linspace(0, 1, 14), [1 + above, -below]).astype(dtype).reshape(4, 4)
    np.testing.assert_array_equal(to_grey(image), np.rint(np.clip(image, 0, 1) * 255))


@settings(deadline=None)
@given(st.floats(1.0041, 2, exclude_max=True))
def test_a_range_that_nobody_knows_is_refused(high):
    with pytest.raises(PixgradError, match="непонятно, 0…1 это или 0…255"):
        to_grey(np.linspace(0, high, 100).reshape(10, 10))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sigma", np.nan),
        ("sigma", np.inf),
        ("sigma", 0),
        ("sigma", -1.6),
        ("sigma", "1.6"),
        ("sigma", True),
        ("sigma", 1e9),
        ("contrast_threshold", np.nan),
        ("contrast_threshold", -0.1),
        ("edge_threshold", None),
        ("edge_threshold", np.inf),
        ("n_octave_layers", 2.5),
        ("n_octave_layers", True),
        ("nfeatures", True),
        ("n_octave_layers", 0),
        ("nfeatures", -1),
        ("nfeatures", 1.5),
        ("descriptor_type", "float64"),
        ("conventions", "lowe"),
        ("conventions", None),
    ],
)
def test_parameters_out_of_range_name_themselves(name, value):
    with pytest.raises(PixgradError, match=f"{name}={value!r}".replace("'", ".")):
        Sift(**{name: value})


def blocks(height, width, side):
    """Squares of random grey: many keypoints of few sizes, whose samples take most memory."""
    shape = height // side, width // side
    small = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return small.repeat(side, 0).repeat(side, 1)


@pytest.mark.parametrize(
    ("height", "width", "side", "layers"),
    [
        *[(60, 80, 4, s) for s in (1, 3)],
        *[(120, 160, 4, s) for s in (1, 3, 8)],
        *[(240, 320, 16, s) for s in (1, 3, 8)],
        *[pytest.param(480, 640, 4, s, marks=pytest.mark.slow) for s in (1, 3, 8)],
    ],
)
def test_memory_is_foretold(height, width, side, layers):
    """F14: layers were not counted, nor what does not shrink with the image: 5 times too little."""
    image, sift = blocks(height, width, side), Sift(compiled=False, n_octave_layers=layers)
    tracemalloc.start()
    sift.detect_and_compute(image)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.3 < peak / memory_estimate(height, width, layers) < 1.3
