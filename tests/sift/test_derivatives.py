"""Hand-written derivatives of SIFT against central differences, autograd and the forward SIFT."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pixgrad.data import load
from pixgrad.errors import PixgradError
from pixgrad.sift import Sift, descriptor, orientation, refinement, scale_space
from pixgrad.sift import derivatives as d
from pixgrad.sift.derivatives import response
from pixgrad.sift.image import to_grey

torch = pytest.importorskip("torch")

from pixgrad.sift.derivatives import compare as cmp  # noqa: E402  (needs torch)

CASES = cmp.cases()
seeds = st.integers(0, 2**32 - 1)


# --- every stage: finite differences and autograd ------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=[case.stage for case in CASES])
@settings(max_examples=5, deadline=None)
@given(seed=seeds)
def test_each_vjp_agrees_with_autograd_and_central_differences(case, seed):
    rows = cmp.compare(case, seed)
    halved = cmp.compare(dataclasses.replace(case, step=case.step / 2), seed)
    for row, again in zip(rows, halved, strict=True):
        assert row.autograd <= 1e-10, row
        # Where the two steps disagree a kink lies inside the step: no derivative to compare with.
        assume(cmp.relative(row.slopes, again.slopes) < 1e-6)
        assert row.finite_differences <= 1e-6, row


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 23), width=st.integers(1, 23), sigma=st.floats(0.3, 4.0), seed=seeds)
def test_linear_stages_are_transposed_for_any_size(height, width, sigma, seed):
    """<A x, y> = <x, A^T y>, also where the kernel is longer than the image."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(height, width))
    stages = [
        (d.double(x), d.double_vjp),
        (d.double(x, precise=True), d.double_vjp),
        (d.blur(x, sigma), d.blur_vjp),
        (d.decimate(x), d.decimate_vjp),
    ]
    for (y, saved), vjp in stages:
        dy = rng.normal(size=y.shape)
        assert (y * dy).sum() == pytest.approx((x * vjp(saved, dy)).sum(), abs=1e-11)


@settings(max_examples=6, deadline=None)
@given(
    seed=seeds,
    octave=st.integers(0, 1),
    layer=st.integers(1, 3),
    precise=st.booleans(),
    orientation=st.floats(0, 6.28),
    scale=st.floats(1.7, 2.6),
)
def test_whole_chain_for_any_keypoint(seed, octave, layer, precise, orientation, scale):
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 255, (36, 33))
    middle = np.array([32, 35]) / 2**octave + rng.uniform(-0.4, 0.4, 2)
    keypoint = d.Keypoint(octave, layer, d.Geometry(*middle, scale, orientation))
    parameters = d.ScaleSpace(precise=precise)
    weights = rng.normal(size=128)
    dimage = d.descriptor_vjp(image, keypoint, weights, parameters)
    along = dimage / np.linalg.norm(dimage) + rng.normal(size=image.shape) / 36

    def slope(h):
        up, down = (d.describe(image + s * h * along, keypoint, parameters)[0] for s in (1, -1))
        return weights @ (up - down) / (2 * h)

    assume(abs(slope(1e-3) - slope(5e-4)) < 1e-7 * abs(slope(1e-3)))
    assert (dimage * along).sum() == pytest.approx(slope(1e-3), rel=1e-6)


# --- the same forward as the SIFT of this package -------------------------------------------------


@pytest.fixture(scope="module")
def photo():
    try:
        shown = load("photos")[0]
    except PixgradError as error:
        pytest.skip(str(error))
    return to_grey(shown.image[100:260, 100:260])


@pytest.fixture(scope="module")
def features(photo):
    return Sift().detect_and_compute(photo)


def test_levels_are_those_of_the_pyramid(photo):
    pyramid = scale_space.gaussian_pyramid(scale_space.base_image(photo))
    for octave in (0, 1, 2):
        levels, _ = d.octave_levels(photo, octave, 5)
        np.testing.assert_allclose(levels, pyramid[octave], atol=2e-3, rtol=0)


def test_refinement_agrees_with_the_float32_stage(photo):
    levels, _ = d.octave_levels(photo, 0, 5)
    dog = scale_space.difference_of_gaussians(levels)
    candidates = refinement.refine(dog.astype(np.float32), _extrema(dog))
    kept = np.flatnonzero(candidates.status == refinement.KEPT)[:100]
    assert len(kept) > 10
    for i in kept:
        layer, row, column = candidates.point[i]
        cube = dog[layer - 1 : layer + 2, row - 1 : row + 2, column - 1 : column + 2]
        (offset, contrast, edge_ratio), _ = d.refine(cube)
        np.testing.assert_allclose(offset, candidates.offset[i], atol=2e-3)
        assert contrast / 255 == pytest.approx(float(candidates.contrast[i]), abs=1e-5)
        assert edge_ratio < 11**2 / 10


def test_geometry_and_descriptor_of_real_keypoints(photo, features):
    """The float64 formulas give the features that SIFT found, to the accuracy of float32."""
    chosen = np.random.default_rng(0).choice(len(features), 25, replace=False)
    worst_place, differing = 0.0, 0
    for index in chosen:
        keypoint = d.Keypoint.of(features, index)
        levels, _ = d.octave_levels(photo, keypoint.octave, keypoint.layer + 2)
        (magnitude, angle), _ = d.polar(*d.pixel_differences(levels[keypoint.layer])[0])
        geometry, _ = d.locate(levels, magnitude, angle, keypoint, d.ScaleSpace())
        place = np.abs(np.subtract(geometry[:3], keypoint.geometry[:3])).max()
        worst_place = max(worst_place, place)
        turned = geometry.orientation - keypoint.geometry.orientation
        assert abs(np.angle(np.exp(1j * turned))) < np.deg2rad(0.1)
        stored, _ = d.quantise(d.describe(photo, keypoint)[0])
        assert np.abs(stored - features.descriptors[index]).max() <= 1
        differing += (stored != features.descriptors[index]).sum()
    assert worst_place < 1e-3
    assert differing <= 0.002 * 128 * len(chosen)


def test_raw_histogram_agrees_with_the_voting_of_the_core():
    rng = np.random.default_rng(3)
    layers = rng.uniform(0, 255, (1, 60, 60)).astype(np.float32)
    magnitude, degrees = orientation.gradients(layers)
    geometry = d.Geometry(29.0, 31.0, 2.3, 1.1)
    cells, _ = d.histogram(
        magnitude[0].astype(float), np.deg2rad(degrees[0].astype(float)), geometry
    )
    theirs = descriptor.raw_histograms(
        magnitude,
        degrees,
        np.array([0]),
        np.array([[29, 31]], np.float32),
        np.array([2.3], np.float32),
        np.array([360 - np.rad2deg(1.1)], np.float32),
    )[0]
    np.testing.assert_allclose(cells.ravel(), theirs, rtol=1e-4, atol=1e-3 * theirs.max())


def _extrema(dog):
    from pixgrad.sift.extrema import find_extrema, prior_threshold

    return find_extrema(dog, prior_threshold())


# --- kinks: what happens where there is no derivative ---------------------------------------------


def one_sided(function, x, along, h=1e-7):
    """Slopes of a scalar function to the left and to the right."""
    left = (function(x) - function(x - h * along)) / h
    right = (function(x + h * along) - function(x)) / h
    return left, right


def test_zero_gradient_is_a_cone_and_gives_zero():
    zero = np.zeros((1, 1))
    left, right = one_sided(lambda gx: d.polar(gx, zero)[0][0].sum(), zero, 1.0)
    assert (left, right) == (-1, 1)
    _, saved = d.polar(zero, zero)
    dgx, dgy = d.polar_vjp(saved, np.ones((1, 1)), np.ones((1, 1)))
    assert dgx == dgy == 0


def test_flat_image_has_zero_descriptor_and_zero_gradient():
    image = np.full((40, 40), 77.0)
    keypoint = d.Keypoint(0, 1, d.Geometry(40.0, 40.0, 2.0, 0.0))
    assert not d.describe(image, keypoint)[0].any()
    assert not d.descriptor_vjp(image, keypoint, np.ones(128)).any()


def test_centre_of_a_direction_bin_gives_the_half_sum():
    magnitude, angle = np.zeros((9, 9)), np.zeros((9, 9))
    magnitude[4, 5] = 1.0
    geometry = d.Geometry(4.0, 4.0, 1.0, 0.0)
    spot = np.zeros((9, 9))
    spot[4, 5] = 1.0

    def value(angle):
        return d.histogram(magnitude, angle, geometry)[0][..., 1:3].sum()  # bins at 45 and 90

    at = angle + np.pi / 2 * spot  # exactly the centre of bin 2
    left, right = one_sided(value, at, spot)
    assert left == pytest.approx(0, abs=1e-6) and right < -0.1
    cells, saved = d.histogram(magnitude, at, geometry)
    dcells = np.zeros_like(cells)
    dcells[..., 1:3] = 1
    assert d.histogram_vjp(saved, dcells)[1][4, 5] == pytest.approx((left + right) / 2, rel=1e-5)


def test_component_exactly_on_the_clip_gives_the_half_sum():
    cells = np.zeros(128)
    cells[:25] = 1.0  # each is exactly 0.2 of the length
    weights = np.random.default_rng(1).normal(size=128)
    along = np.eye(128)[3]
    left, right = one_sided(lambda v: weights @ d.normalise(v)[0], cells, along)
    assert abs(left - right) > 1e-3
    _, saved = d.normalise(cells)
    assert d.normalise_vjp(saved, weights)[3] == pytest.approx((left + right) / 2, rel=1e-5)


def test_clipped_component_alone_has_no_influence():
    """Far above the clip a component acts only through the common length."""
    cells = np.full(128, 0.5)
    cells[0] = 100.0
    _, saved = d.normalise(cells)
    jacobian = np.array([d.normalise_vjp(saved, row) for row in np.eye(128)])
    # Only the others' shares of the length change: all by the same amount.
    assert np.ptp(jacobian[1:, 0]) < 1e-15 and jacobian[1, 0] < 0


def test_angle_jumps_by_a_turn_but_the_histogram_does_not():
    """The cut of atan2 (gx < 0, gy = 0) leaves the composition differentiable."""
    rng = np.random.default_rng(2)
    gx = -rng.uniform(1, 2, (13, 13))
    gy = rng.normal(0, 1e-9, (13, 13))  # both sides of the cut
    geometry = d.Geometry(6.2, 6.1, 1.1, 0.3)
    weights = rng.normal(size=(4, 4, 8))

    def value(gy):
        (magnitude, angle), _ = d.polar(gx, gy)
        return (weights * d.histogram(magnitude, angle, geometry)[0]).sum()

    (magnitude, angle), from_polar = d.polar(gx, gy)
    assert angle.max() > 3.1 and angle.min() < -3.1
    _, saved = d.histogram(magnitude, angle, geometry)
    dmagnitude, dangle, _ = d.histogram_vjp(saved, weights)
    _, dgy = d.polar_vjp(from_polar, dmagnitude, dangle)
    along = rng.normal(size=gy.shape)
    numeric = (value(gy + 1e-5 * along) - value(gy - 1e-5 * along)) / 2e-5
    assert (dgy * along).sum() == pytest.approx(numeric, rel=1e-6)


def test_hard_bin_jumps_where_its_derivative_says_zero():
    magnitude, angle = np.ones((9, 9)), np.full((9, 9), np.deg2rad(5.0))  # between bins 0 and 1
    before, after = (
        d.orientation_histogram(magnitude, angle + shift, 4, 4, 0.8)[0] for shift in (-1e-9, 1e-9)
    )
    assert np.abs(after - before).max() > 0.3 * before.max()
    _, saved = d.orientation_histogram(magnitude, angle + 1e-9, 4, 4, 0.8)
    dbins = np.random.default_rng(0).normal(size=36)
    assert not d.orientation_histogram_vjp(saved, dbins, straight_through=False)[1].any()
    _, linear = d.orientation_histogram(magnitude, angle + 1e-9, 4, 4, 0.8, "linear")
    np.testing.assert_array_equal(
        d.orientation_histogram_vjp(saved, dbins, straight_through=True)[1],
        d.orientation_histogram_vjp(linear, dbins)[1],
    )


def test_orientation_wraps_at_zero_without_a_jump_of_the_derivative():
    rng = np.random.default_rng(5)
    bins = np.roll(np.exp(-0.5 * (np.arange(36) - 18.0) ** 2 / 4), 18)  # peak at 0
    bins = bins + rng.uniform(0, 1e-12, 36)
    tilt = np.zeros(36)
    tilt[1] = 1.0
    low, high = (d.peak_orientation(bins + s * 1e-4 * tilt)[0] for s in (-1, 1))
    assert high < 0.1 and low > 6.1  # a jump of a whole turn
    turned = np.angle(np.exp(1j * (high - low))) / 2e-4
    _, saved = d.peak_orientation(bins)
    assert d.peak_orientation_vjp(saved, 1.0) @ tilt == pytest.approx(turned, rel=1e-6)


def test_equal_maxima_share_the_gradient():
    dog = np.zeros((3, 3, 3))
    dog[1, 1, 1] = dog[0, 2, 1] = 4.0
    (_, value), saved = d.choose_extremum(dog)
    ddog = d.choose_extremum_vjp(saved, np.zeros(3), 1.0)
    assert value == 4 and ddog[1, 1, 1] == ddog[0, 2, 1] == 0.5 and ddog.sum() == 1
    np.testing.assert_array_equal(
        ddog.ravel(), cmp.autograd(lambda x: (x.amax(),), (dog,), (1.0,))[0].ravel()
    )


def test_location_of_the_maximum_has_zero_derivative_and_a_soft_one():
    dog = np.random.default_rng(6).normal(size=(3, 4, 5))
    (location, _), saved = d.choose_extremum(dog)
    assert (d.choose_extremum(dog + 1e-9)[0][0] == location).all()
    assert not d.choose_extremum_vjp(saved, np.ones(3), 0.0, straight_through=False).any()
    assert d.choose_extremum_vjp(saved, np.ones(3), 0.0).any()


def test_rounded_centre_has_zero_derivative_and_the_unrounded_one_instead():
    rng = np.random.default_rng(7)
    magnitude, angle = rng.uniform(0, 9, (30, 30)), rng.uniform(-3, 3, (30, 30))
    cells, saved = d.histogram(magnitude, angle, d.Geometry(14.3, 15.2, 1.2, 0.4))
    moved, _ = d.histogram(magnitude, angle, d.Geometry(14.3 + 1e-6, 15.2, 1.2, 0.4))
    np.testing.assert_array_equal(cells, moved)
    weights = rng.normal(size=cells.shape)
    exact = d.histogram_vjp(saved, weights, straight_through=False)[2]
    assert exact.x == exact.y == 0 and exact.scale != 0
    at_pixel = d.Geometry(14.0, 15.0, 1.2, 0.4)
    _, smooth = d.histogram(magnitude, angle, at_pixel, subpixel=True)
    np.testing.assert_allclose(
        d.histogram_vjp(saved, weights)[2], d.histogram_vjp(smooth, weights)[2], rtol=1e-12
    )


def test_gate_is_a_step_with_the_slope_of_a_sigmoid():
    assert d.gate(0.1, 0.1)[0] == 0 and d.gate(0.1 + 1e-12, 0.1)[0] == 1
    _, saved = d.gate(0.1, 0.1)
    assert d.gate_vjp(saved, 1.0, straight_through=False) == 0
    assert d.gate_vjp(saved, 1.0, temperature=0.5) == 0.5  # 1 / (4 T)


def test_quantised_byte_passes_the_gradient_until_it_saturates():
    unit = np.zeros(128)
    unit[:2] = 0.6, 0.1  # 307 is stored as 255
    stored, saved = d.quantise(unit)
    assert stored[0] == 255 and stored[1] == 51
    passed = d.quantise_vjp(saved, np.ones(128))
    assert passed[0] == 0 and passed[1] == 512
    assert not d.quantise_vjp(saved, np.ones(128), straight_through=False).any()


@pytest.mark.parametrize("profile", [[1, 1, 1], [0, 1, 0]])
def test_without_one_extremum_there_is_no_refinement(profile):
    """A flat cube and a ridge along the rows and levels: the Hessian is singular."""
    cube = np.broadcast_to(np.array(profile, float), (3, 3, 3))
    with pytest.raises(PixgradError, match=r"гессиан DoG вырожден.*другую ключевую точку"):
        d.refine(cube)


# --- the derivatives mean what they should --------------------------------------------------------


def blob(shift=0.0, turn=0.0, zoom=1.0):
    """A lopsided blob, (64, 64); ``turn`` in radians, counter-clockwise as seen."""
    y, x = np.indices((64, 64)) - np.array([31.8, 31.7 + shift])[:, None, None]
    u = (x * np.cos(turn) - y * np.sin(turn)) / zoom
    v = (x * np.sin(turn) + y * np.cos(turn)) / zoom
    return 90 + 80 * np.exp(-(u**2 + v**2) / 32) + 40 * np.tanh(u / 8)


def test_brightness_and_contrast_do_not_matter():
    """d(a I + b) = d(I): derivatives sum to zero, also with the pixels as weights (Euler)."""
    rng = np.random.default_rng(9)
    image = rng.uniform(0, 255, (40, 40))
    keypoint = d.Keypoint(0, 2, d.Geometry(39.0, 41.0, 2.4, 0.8))
    jacobian = d.descriptor_jacobian(image, keypoint)
    size = np.linalg.norm(jacobian)
    assert np.abs(jacobian.sum(axis=(1, 2))).max() < 1e-13 * size
    assert np.abs((jacobian * image).sum(axis=(1, 2))).max() < 1e-13 * size * image.max()


def test_kinks_table_holds_half_sums_and_zero_slopes():
    from pixgrad.sift.derivatives.kinks import kinks

    for kink in kinks():
        assert kink.vjp == pytest.approx((kink.left + kink.right) / 2, rel=1e-3, abs=1e-6), kink
        assert (kink.surrogate is not None) == (kink.jump != 0 and kink.left == 0), kink


def geometry_slope(component, **change):
    """Slope of a component of the geometry as the blob changes, predicted by the VJP."""
    keypoint = d.Keypoint.of(Sift().detect_and_compute(blob()), 0)
    geometry, saved = d.locate_in_image(blob(), keypoint)
    dgeometry = d.Geometry(*(float(name == component) for name in d.Geometry._fields))
    dimage = d.locate_in_image_vjp(saved, dgeometry)
    ((name, base),) = change.items()
    changing = (blob(**{name: base + 1e-4}) - blob(**{name: base - 1e-4})) / 2e-4
    return (dimage * changing).sum(), geometry, 2.0 ** (keypoint.octave - 1)


def test_keypoint_moves_with_the_image():
    slope, _, pixel = geometry_slope("x", shift=0.0)
    assert slope * pixel == pytest.approx(1, abs=0.15)  # a parabola through pixels is not exact


def test_keypoint_grows_with_the_image():
    slope, geometry, _ = geometry_slope("scale", zoom=1.0)
    assert slope / geometry.scale == pytest.approx(1, abs=0.1)


def test_orientation_turns_with_the_image_only_through_the_surrogate():
    slope, _, _ = geometry_slope("orientation", turn=0.0)
    assert slope == pytest.approx(1, abs=0.25)


def test_hessian_form_is_the_implicit_function_theorem():
    """d(extremum) = -H^-1 d(gradient) for a continuous quadratic, whatever is added to it."""
    rng = np.random.default_rng(8)
    z = np.indices((3, 3, 3))[::-1] - 1.0  # (column, row, level)
    H = -np.diag(rng.uniform(1, 3, 3)) + 0.1
    H = (H + H.T) / 2
    centre = rng.uniform(-0.3, 0.3, 3)
    moved = z - centre[:, None, None, None]
    cube = np.einsum("a...,ab,b...->...", moved, H, moved) / 2
    tilt = rng.normal(size=3)
    _, saved = d.refine(cube)
    jacobian = np.array([d.refine_vjp(saved, e, 0.0) for e in np.eye(3)])
    along = np.einsum("a,a...->...", tilt, z)  # adds a constant gradient
    np.testing.assert_allclose(
        np.einsum("asyx,syx->a", jacobian, along), -np.linalg.solve(H, tilt), rtol=1e-10
    )


MOTIONS = {"shift": np.arange(0, 3.01, 0.1), "turn": np.deg2rad(np.arange(2, 43))}


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_followed_keypoint_is_one_that_sift_keeps(motion):
    """The blob of the figure: OpenCV sees one keypoint too, the unrounded picture keeps it."""
    for amount in MOTIONS[motion]:
        image = response.blob(**{motion: amount})
        keypoint = response.blob_keypoint(image)
        (theirs,) = cv2.SIFT_create().detect(np.rint(image).astype(np.uint8), None)
        place = 2.0 ** (keypoint.octave - 1) * np.array([keypoint.geometry.x, keypoint.geometry.y])
        np.testing.assert_allclose(place, theirs.pt, atol=1e-3)
        levels, _ = d.octave_levels(image, keypoint.octave, 5)
        chosen = np.array([[keypoint.layer, keypoint.row, keypoint.column]])
        (found,) = zip(*refinement.refine(np.diff(levels, axis=0), chosen), strict=True)
        assert found[3] == refinement.KEPT
        np.testing.assert_array_equal(found[0], chosen[0])


@pytest.mark.parametrize(("motion", "component"), [("shift", "x"), ("turn", "orientation")])
def test_slopes_along_the_motion_are_those_of_differences(motion, component):
    amounts = MOTIONS[motion][3:30:9]
    found = response.respond(motion, amounts)
    for amount, exact in zip(amounts, found.exact, strict=True):
        keypoint = response.blob_keypoint(response.blob(**{motion: amount}))
        pixel = 2.0 ** (keypoint.octave - 1) if motion == "shift" else 1
        ends = [
            getattr(
                d.locate_in_image(response.blob(**{motion: amount + step}), keypoint)[0], component
            )
            for step in (1e-5, -1e-5)
        ]
        assert exact == pytest.approx(pixel * (ends[0] - ends[1]) / 2e-5, rel=1e-4)


def test_the_keypoint_follows_while_its_slopes_do_not():
    shift = response.respond("shift", MOTIONS["shift"])
    turn = response.respond("turn", MOTIONS["turn"])
    assert shift.mean_slope == pytest.approx(1, abs=0.01)
    assert turn.mean_slope == pytest.approx(1, abs=0.05)
    assert shift.exact.min() > 0.9 and shift.exact.max() < 0.97
    np.testing.assert_allclose(shift.exact, shift.surrogate)
    assert turn.exact.max() < 0.3 < 0.7 < turn.surrogate.min()
