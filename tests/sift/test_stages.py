"""Each stage alone against OpenCV's functions, closed forms or plain loops."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixgrad.data import load
from pixgrad.sift import arithmetic, descriptor, extrema, orientation, refinement, scale_space
from pixgrad.sift.features import pack_octave, unpack_octave

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def grey():
    return load("synthetic")[0].first[100:230, 100:260, 1]


@pytest.fixture(scope="module")
def octave(grey):
    return scale_space.gaussian_pyramid(scale_space.base_image(grey))[0]


def test_doubling_is_opencvs_to_the_bit(grey):
    image = grey.astype(np.float32)
    size = (2 * image.shape[1], 2 * image.shape[0])
    expected = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(scale_space.double(image), expected)
    half = np.array([[0.5, 0, 0], [0, 0.5, 0]], np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    expected = cv2.warpAffine(image, half, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
    np.testing.assert_array_equal(scale_space.double(image, precise=True), expected)


@pytest.mark.parametrize("sigma", [0.1, 1.249, 1.6, 2.452547, 3.0900156])
def test_kernel_is_opencvs(sigma):
    kernel = scale_space.gaussian_kernel(sigma)
    np.testing.assert_array_equal(
        kernel, cv2.getGaussianKernel(len(kernel), sigma, cv2.CV_32F)[:, 0]
    )


@pytest.mark.parametrize("shape", [(130, 160), (9, 200), (2, 3), (1, 7), (5, 4)])
@pytest.mark.parametrize("sigma", [1.249, 1.6, 3.0900156])
def test_blur_is_opencvs_to_rounding(shape, sigma):
    image = RNG.uniform(0, 255, shape).astype(np.float32)
    expected = cv2.GaussianBlur(image, (0, 0), sigma)
    # OpenCV fuses multiplication and addition; 255 has an ulp of 1.5e-5.
    np.testing.assert_allclose(scale_space.blur(image, sigma), expected, atol=1e-4)


def test_blur_in_float64_is_the_exact_sum():
    image, kernel = RNG.normal(size=(20, 30)), scale_space.gaussian_kernel(1.3, np.float64)
    padded = np.pad(image, len(kernel) // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (len(kernel), len(kernel)))
    expected = np.einsum("yxij,i,j->yx", windows, kernel, kernel)
    np.testing.assert_allclose(scale_space.blur(image, 1.3), expected, rtol=1e-12, atol=1e-14)


def test_blurs_add_up_to_the_scales():
    """Blurred layer by layer, a point spreads to the variances sigma^2 k^(2i)."""
    variances = np.cumsum(np.square(scale_space.layer_blurs(1.6, 3)))
    expected = 1.6**2 * (4.0 ** (np.arange(1, 6) / 3) - 1)
    np.testing.assert_allclose(variances, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("side", "octaves"), [(2, 0), (4, 1), (5, 1), (6, 2), (11, 2), (12, 3), (512, 8), (1024, 9)]
)
def test_octave_count(side, octaves):
    """round(log2(side) - 2) + 1 by hand; OpenCV's own count shows in `octave` of keypoints."""
    assert scale_space.octave_count((side, 5000)) == octaves


@pytest.mark.parametrize("shape", [(7, 9), (8, 8), (5, 12)])
def test_halving_is_opencvs(shape):
    image = RNG.uniform(size=shape).astype(np.float32)
    size = (shape[1] // 2, shape[0] // 2)
    expected = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST)
    np.testing.assert_array_equal(scale_space.halve(image), expected)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(-200, 200))
def test_mirror_is_opencvs_border(length, index):
    expected = cv2.borderInterpolate(index, length, cv2.BORDER_REFLECT_101)
    assert scale_space.mirror(np.array([index]), length)[0] == expected


def test_base_is_opencvs_to_rounding(grey):
    """The width of the first blur is a float32 number in OpenCV."""
    sigma = np.sqrt(np.float32(1.6) * np.float32(1.6) - np.float32(1))
    doubled = cv2.resize(grey.astype(np.float32), None, fx=2, fy=2)
    expected = cv2.GaussianBlur(doubled, (0, 0), float(sigma))
    # float64 sqrt(1.6^2 - 1) differs in the eighth digit, and so do eight pixels of ten.
    np.testing.assert_array_max_ulp(scale_space.base_image(grey), expected, maxulp=4)


def test_arctangent_is_opencvs():
    y, x = RNG.normal(size=(2, 50_000)).astype(np.float32)
    y[:9], x[:9] = [0, 0, 0, 1, -1, 1, -1, 1, 1], [0, 1, -1, 0, 0, 1, -1, -1, 1]
    found = arithmetic.atan2_degrees(y, x)
    expected = cv2.phase(x, y, angleInDegrees=True).ravel()
    np.testing.assert_allclose(found, expected, atol=4e-5)  # an ulp or two of 360
    apart = np.abs(found - np.degrees(np.arctan2(y.astype(float), x)) % 360)
    assert np.minimum(apart, 360 - apart).max() < 0.012


def test_exponential_is_right_to_the_last_unit():
    x = np.append(np.linspace(-80, 0, 100_001), [-1e-8, -300]).astype(np.float32)
    exact = np.exp(np.maximum(x, -80).astype(np.float64)).astype(np.float32)
    units = arithmetic.exp(x).view(np.int32).astype(np.int64) - exact.view(np.int32)
    assert np.abs(units).max() <= 1


def brute_force_extrema(dog, threshold):
    found = []
    for k in range(1, len(dog) - 1):
        for y in range(5, dog.shape[1] - 5):
            for x in range(5, dog.shape[2] - 5):
                cube, v = dog[k - 1 : k + 2, y - 1 : y + 2, x - 1 : x + 2], dog[k, y, x]
                top = v > threshold and v >= cube.max()
                if top or (v < -threshold and v <= cube.min()):
                    found.append((k, y, x))
    return np.array(found).reshape(-1, 3)


@pytest.mark.parametrize("strip", [1, 1 << 19])
def test_extrema_against_loops(octave, strip, monkeypatch):
    monkeypatch.setattr(extrema, "STRIP_BYTES", strip)
    dog = scale_space.difference_of_gaussians(octave)[:, 130:220, 150:240]
    plateaus = np.rint(dog / 3) * 3
    for values in (dog, plateaus):
        expected = brute_force_extrema(values, 1)
        assert len(expected) >= 10
        np.testing.assert_array_equal(extrema.find_extrema(values, 1), expected)


def test_threshold_before_refinement():
    assert extrema.prior_threshold(0.04, 3) == 1
    assert extrema.prior_threshold(0.2, 3) == 8


def quadratic(centre, curvature, height):
    """A paraboloid over a block of the DoG with its extremum between the pixels."""
    grid = np.stack(np.mgrid[:5, :24, :26], axis=-1) - np.asarray(centre)
    return (height + 0.5 * np.einsum("...i,ij,...j", grid, curvature, grid)).astype(np.float64)


CURVATURE = np.array([[-3, 0.2, 0.1], [0.2, -2, 0.3], [0.1, 0.3, -2.5]])


@pytest.mark.parametrize("start", [(2, 12, 13), (2, 11, 13), (1, 13, 12), (3, 11, 14)])
def test_refinement_of_a_paraboloid_is_exact(start):
    centre = np.array([2.2, 11.7, 13.4])
    dog = quadratic(centre, CURVATURE, 30.0)
    r = refinement.refine(dog, np.array([start]))
    assert refinement.STATUS_NAMES[r.status[0]] == "kept"
    np.testing.assert_allclose(r.point[0] + r.offset[0, ::-1], centre, atol=1e-9)
    assert r.contrast[0] == pytest.approx(30 / 255)


@pytest.mark.parametrize(
    ("centre", "curvature", "height", "status"),
    [
        ((2.1, 11.7, 13.4), CURVATURE, 3.3, "low contrast"),  # 3.4 = 0.04 * 255 / 3
        ((2.1, 11.7, 13.4), CURVATURE, 3.5, "kept"),
        ((2.1, 11.7, 13.4), np.diag([-3, -2, -0.15]), 30.0, "edge"),
        ((2.1, 11.7, 13.4), np.diag([-3, -2, -0.25]), 30.0, "kept"),
        ((2.1, 11.7, 13.4), np.diag([-3, -2, 2]), 30.0, "edge"),
        ((0.2, 11.7, 13.4), CURVATURE, 30.0, "leaves the image"),
        ((2.1, 2.0, 13.4), CURVATURE, 30.0, "leaves the image"),
    ],
)
def test_tests_of_refinement(centre, curvature, height, status):
    r = refinement.refine(quadratic(centre, curvature, height), np.array([(2, 12, 13)]))
    assert refinement.STATUS_NAMES[r.status[0]] == status


def test_solution_against_lapack():
    hessian, gradient = RNG.normal(size=(200, 3, 3)), RNG.normal(size=(200, 3))
    hessian = hessian + hessian.transpose(0, 2, 1)
    expected = np.linalg.solve(hessian, gradient[..., None])[..., 0]
    np.testing.assert_allclose(refinement.solve(hessian, gradient), expected, rtol=1e-7)
    assert not refinement.solve(np.zeros((1, 3, 3)), np.ones((1, 3))).any()


def test_gradients_against_loops(octave):
    image = octave[1:2, :12, :15]
    magnitude, angle = orientation.gradients(image)
    for y in range(12):
        for x in range(15):
            if 0 < y < 11 and 0 < x < 14:
                dx = float(image[0, y, x + 1] - image[0, y, x - 1])
                dy = float(image[0, y - 1, x] - image[0, y + 1, x])
                assert magnitude[0, y, x] == pytest.approx(np.hypot(dx, dy), rel=1e-6)
                apart = abs(angle[0, y, x] - np.degrees(np.arctan2(dy, dx)) % 360)
                assert min(apart, 360 - apart) < 0.012
            else:
                assert magnitude[0, y, x] == 0


def test_orientation_of_a_slope():
    """On an inclined plane every gradient points one way, and so does the keypoint."""
    y, x = np.mgrid[:60, :60].astype(np.float32)
    for degrees in (0, 13, 77, 160, 245, 351):
        t = np.radians(degrees)
        plane = (np.cos(t) * x - np.sin(t) * y).astype(np.float32)[None]
        maps = orientation.gradients(plane)
        scale = np.array([2.0], np.float32)
        histogram = orientation.histograms(*maps, np.array([[0, 30, 30]]), scale)
        # All votes fall into one bin; smoothing keeps it on top, a parabola keeps its centre.
        keypoint, angle = orientation.peaks(histogram)
        assert keypoint.tolist() == [0]
        assert angle[0] == pytest.approx((360 - 10 * round(degrees / 10)) % 360, abs=1e-3)


def test_votes_against_a_loop():
    layers = np.random.default_rng(1).uniform(0, 255, (2, 40, 50)).astype(np.float32)
    magnitude, angle = orientation.gradients(layers)
    points = np.array([[0, 20, 25], [1, 6, 7], [1, 36, 45]])  # the last two reach the border
    scales = np.array([1.7, 2.4, 2.0], np.float32)
    expected = np.zeros((3, 36))
    for sums, (layer, row, column), scale in zip(expected, points, scales, strict=True):
        radius = round(4.5 * float(scale))
        for y in range(max(0, row - radius), min(40, row + radius + 1)):
            for x in range(max(0, column - radius), min(50, column + radius + 1)):
                apart = (x - column) ** 2 + (y - row) ** 2
                weight = np.exp(-apart / (2 * (1.5 * float(scale)) ** 2))
                sums[round(angle[layer, y, x] / 10) % 36] += weight * magnitude[layer, y, x]
    found = orientation.votes(magnitude, angle, points, scales)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-2)


def test_smoothing_and_peaks_by_hand():
    votes = np.zeros((1, 36), np.float32)
    votes[0, [0, 20]] = 16, 13.5
    smoothed = orientation.smooth(votes)
    np.testing.assert_allclose(smoothed[0, [34, 35, 0, 1, 2]], [1, 4, 6, 4, 1])
    keypoint, angle = orientation.peaks(smoothed)
    assert (keypoint.tolist(), angle.tolist()) == ([0, 0], [0, 160])
    votes[0, 20] = 12.7  # below 0.8
    assert orientation.peaks(orientation.smooth(votes))[1].tolist() == [0]
    votes[0, [0, 1]] = 16, 8
    low, top, high = orientation.smooth(votes)[0, [35, 0, 1]]
    expected = 360 - 10 * 0.5 * (low - high) / (low - 2 * top + high)
    assert orientation.peaks(orientation.smooth(votes))[1][0] == pytest.approx(expected)


def plain_descriptor(layer, x, y, scale, angle):
    """Trilinear voting by definition, pixel by pixel, in float64."""
    turn, side = np.radians((360 - angle) % 360), 3 * scale
    histogram = np.zeros((4, 4, 8))
    cx, cy = round(x), round(y)
    reach = round(side * np.sqrt(2) * 5 / 2)
    for j in range(-reach, reach + 1):
        for i in range(-reach, reach + 1):
            px, py = cx + i, cy + j
            u = (i * np.cos(turn) - j * np.sin(turn)) / side
            v = (i * np.sin(turn) + j * np.cos(turn)) / side
            if max(abs(u), abs(v)) >= 2.5:
                continue
            if not (0 < px < layer.shape[1] - 1 and 0 < py < layer.shape[0] - 1):
                continue
            dx = float(layer[py, px + 1] - layer[py, px - 1])
            dy = float(layer[py - 1, px] - layer[py + 1, px])
            vote = np.hypot(dx, dy) * np.exp(-(u * u + v * v) / 8)
            o = np.degrees(np.arctan2(dy, dx) - turn) / 45 % 8
            for r in range(4):
                for c in range(4):
                    for d in range(8):
                        gap = abs(o - d)
                        share = max(0, 1 - min(gap, 8 - gap))
                        share *= max(0, 1 - abs(v + 1.5 - r)) * max(0, 1 - abs(u + 1.5 - c))
                        histogram[r, c, d] += vote * share
    return histogram.ravel()


@pytest.mark.parametrize(
    ("x", "y", "angle"), [(60.3, 70.8, 0.0), (80.5, 60.2, 37.3), (4.0, 250.0, 201.0)]
)
def test_descriptor_against_its_definition(octave, x, y, angle):
    layer, scale = octave[2:3], 1.7
    maps = orientation.gradients(layer)
    found = descriptor.raw_histograms(
        *maps,
        np.array([0]),
        np.array([[x, y]], np.float32),
        np.array([scale], np.float32),
        np.array([angle], np.float32),
    )[0]
    expected = plain_descriptor(layer[0], x, y, scale, angle)
    # OpenCV's arctangent is off by up to 0.01 degrees: 2e-4 of a bin.
    np.testing.assert_allclose(found, expected, atol=3e-4 * expected.max())


def test_quantisation_by_hand():
    histogram = np.zeros((2, 128), np.float32)
    histogram[0, :3] = 30, 40, 0  # norm 50, clipped to 10 and 10
    found = descriptor.quantise(histogram)
    value = 512 / np.sqrt(2)  # saturates at 255
    assert found[0].tolist() == [min(255, value)] * 2 + [0] * 126
    assert not found[1].any()
    even = descriptor.quantise(np.full((1, 128), 3, np.float32))
    assert (even == np.rint(512 / np.sqrt(128))).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(-1, 9), st.integers(1, 5), st.floats(-0.5, 0.5))
def test_packed_octave(octave, layer, offset):
    packed = pack_octave(octave, np.array([layer]), np.array([offset]))
    got = unpack_octave(packed)
    assert (got[0][0], got[1][0]) == (octave, layer)
    assert (packed[0] >> 16) / 255 - 0.5 == pytest.approx(offset, abs=0.5 / 255 + 1e-9)
