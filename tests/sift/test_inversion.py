"""Descriptors in fixed places against the general chain, and the descent that uses them."""

import numpy as np
import pytest

from pixgrad.backprop.optimisers import SGD, Adam
from pixgrad.sift import derivatives as d
from pixgrad.sift.inversion import DescriptorField, descend, lattice, noise


@pytest.fixture(scope="module")
def image():
    y, x = np.indices((32, 36))
    waves = np.sin(x / 3) + np.cos((x + 2 * y) / 5)
    return 128 + 40 * waves + np.random.default_rng(0).normal(0, 5, (32, 36))


@pytest.mark.parametrize(("octave", "layer", "step", "scale"), [(0, 1, 16, 2.0), (1, 2, 12, 2.6)])
def test_field_equals_the_general_chain(image, octave, layer, step, scale):
    """Windows at the border included; both the descriptors and the gradient of the pixels."""
    places = [
        p._replace(x=p.x / 2**octave, y=p.y / 2**octave) for p in lattice(image.shape, step, scale)
    ]
    field = DescriptorField(octave, layer, places, image.shape)
    found, saved = field.forward(image)
    weights = np.random.default_rng(1).normal(size=found.shape)
    dimage = np.zeros_like(image)
    for place, descriptor, row in zip(places, found, weights, strict=True):
        keypoint = d.Keypoint(octave, layer, place)
        np.testing.assert_allclose(descriptor, d.describe(image, keypoint)[0], atol=1e-14)
        dimage += d.descriptor_vjp(image, keypoint, row)
    np.testing.assert_allclose(field.vjp(saved, weights), dimage, atol=1e-12 * np.abs(dimage).max())


def test_lattice_is_regular_and_stays_in_the_doubled_image():
    places = lattice((32, 40), 16, 2.0)
    assert {p.x for p in places} == {8, 24, 40, 56, 72}
    assert {p.y for p in places} == {8, 24, 40, 56}
    assert len(set(places)) == 20


@pytest.mark.parametrize(
    "optimiser",
    [lambda p: SGD(p, lr=3e5), lambda p: Adam(p, lr=8, betas=(0.9, 0.99))],
    ids=["SGD", "Adam"],
)
def test_descent_reaches_the_descriptor_of_another_picture(image, optimiser):
    field = DescriptorField(0, 2, [d.Geometry(31.0, 35.0, 2.4, 0.0)], image.shape)
    target, _ = field.forward(image)
    start = noise(image.shape, seed=3)
    before = start.copy()
    result = descend(field, target, start, optimiser, 120, keep=(0, 120))
    np.testing.assert_array_equal(start, before)
    np.testing.assert_array_equal(result.snapshots[0], start)
    np.testing.assert_array_equal(result.snapshots[120], result.image)
    assert result.image.min() >= 0 and result.image.max() <= 255
    assert result.distances[-1] < 0.1 * result.distances[0]
    reached = np.linalg.norm(field.forward(result.image)[0] - target)
    assert reached == pytest.approx(result.distances[-1])
