"""The torch twin against the NumPy SIFT, torch's own gradient check and the hand-written VJPs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixgrad.data import load
from pixgrad.errors import PixgradError
from pixgrad.sift import Sift
from pixgrad.sift import derivatives as d
from pixgrad.sift.image import to_grey

torch = pytest.importorskip("torch")

from pixgrad.sift import torch_descriptor as twin  # noqa: E402  (needs torch)
from pixgrad.sift import torch_keypoint as finder  # noqa: E402


def tensor(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_descriptors_of_real_keypoints():
    """Whole-pixel centres: what OpenCV's rounding makes of them, so the bytes must be the same."""
    try:
        photo = to_grey(load("photos")[1].image[100:260, 60:220])
    except PixgradError as error:
        pytest.skip(str(error))
    features = Sift().detect_and_compute(photo)
    image = torch.tensor(photo, dtype=torch.float64)
    for index in np.random.default_rng(1).choice(len(features), 15, replace=False):
        keypoint = d.Keypoint.of(features, index)
        x, y, scale, orientation = keypoint.geometry
        rounded = torch.tensor([np.rint(x), np.rint(y), scale, orientation], dtype=torch.float64)
        found = twin.describe(image, rounded, keypoint.octave, keypoint.layer)
        stored = (found * 512).clamp(max=255).numpy()
        assert np.abs(stored - features.descriptors[index]).max() < 0.51


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    octave=st.integers(0, 1),
    orientation=st.floats(0, 6.28),
)
def test_autograd_agrees_with_the_hand_written_vjp(seed, octave, orientation):
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 255, (34, 37))
    geometry = d.Geometry(
        *(np.array([37, 34]) / 2**octave + rng.uniform(-0.4, 0.4, 2)), 2, orientation
    )
    keypoint = d.Keypoint(octave, 2, geometry)
    weights = rng.normal(size=128)
    found, saved = d.describe(image, keypoint, subpixel=True)

    pixels = tensor(image)
    theirs = twin.describe(pixels, tensor(geometry), octave, 2)
    (theirs * torch.tensor(weights)).sum().backward()
    np.testing.assert_allclose(found, theirs.detach().numpy(), atol=1e-13)
    dimage = d.describe_vjp(saved, weights)
    assert np.abs(dimage - pixels.grad.numpy()).max() <= 1e-10 * np.abs(dimage).max()


def test_moving_keypoint_agrees_with_the_hand_written_vjp():
    y, x = np.indices((32, 33)) - np.array([16.7, 15.4])[:, None, None]
    image = 120 + 90 * np.exp(-(x**2 + y**2) / 4.5) + 2 * x + 3 * y
    keypoint = d.Keypoint(0, 2, d.Geometry(31.0, 34.0, 2.5, 5.3))
    weights = np.random.default_rng(0).normal(size=128)
    pixels = tensor(image)
    theirs = finder.describe_moving(pixels, 0, (2, 34, 31), near=5.3)
    (theirs * torch.tensor(weights)).sum().backward()
    dimage = d.descriptor_vjp(
        image, keypoint, weights, moving=True, subpixel=True, straight_through=False
    )
    fixed = d.descriptor_vjp(image, keypoint, weights, subpixel=True)
    largest = np.abs(dimage).max()
    assert np.abs(dimage - pixels.grad.numpy()).max() <= 1e-10 * largest
    assert np.abs(dimage - fixed).max() > 0.1 * largest  # the moving geometry does matter


def test_torch_accepts_the_gradients_of_the_geometry():
    rng = np.random.default_rng(4)
    level = torch.tensor(rng.uniform(0, 255, (24, 24)))
    geometry = tensor([11.3, 12.2, 1.3, 0.7])
    assert torch.autograd.gradcheck(
        lambda g: twin.describe_level(level, g), (geometry,), eps=1e-6, atol=1e-6
    )


def test_flat_image_gives_zeros_and_no_nan():
    pixels = tensor(np.full((30, 30), 80.0))
    geometry = tensor([30.0, 30.0, 2.0, 0.1])
    found = twin.describe(pixels, geometry)
    found.sum().backward()
    assert not found.any() and not pixels.grad.any()


def test_kinks_are_one_sided_in_torch_and_half_sums_by_hand():
    """At the clip autograd takes one of the two slopes, the hand-written VJP their mean."""
    cells = np.zeros(128)
    cells[:25] = 1.0  # each is exactly 0.2 of the length
    weights = np.eye(128)[3]
    leaf = tensor(cells)
    (twin.normalise(leaf) * torch.tensor(weights)).sum().backward()
    _, saved = d.normalise(cells)
    mine = d.normalise_vjp(saved, weights)
    unclipped = d.normalise_vjp(d.normalise(cells, clip=1.0)[1], weights)
    np.testing.assert_allclose(mine, unclipped / 2, atol=1e-15)
    one_sided = leaf.grad.numpy()  # which side differs between releases of torch
    assert not one_sided.any() or np.allclose(one_sided, unclipped, atol=1e-15)
