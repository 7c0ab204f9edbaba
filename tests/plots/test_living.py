"""Data of living figures say what the package computed."""

import html
import json
import re

import numpy as np
import pandas as pd
import pytest

from pixgrad.plots import living
from pixgrad.plots.living import keypoints, layers
from pixgrad.sift import Sift, orientation, scale_space
from pixgrad.sift.image import to_grey


def stored(shown: living.Living) -> dict:
    return json.loads(html.unescape(re.search("data-payload='(.*?)'", shown._repr_html_())[1]))


def test_data_come_back_whole_and_only_the_site_sees_them():
    payload = {"текст": "</script><b>'&amp;", "числа": [1, -0.5, None]}
    shown = living.data("fig-x", "ravine", payload)
    assert stored(shown) == payload
    assert 'data-for="fig-x" data-kind="ravine"' in shown._repr_html_()
    assert shown._repr_markdown_() == ""


def test_too_much_data_and_numbers_that_json_has_not_are_refused():
    with pytest.warns(UserWarning, match="fig-x занимают 6"):
        living.data("fig-x", "ravine", {"a": "ы" * (living.LIMIT // 2)})
    with pytest.raises(ValueError, match="not JSON"):
        living.data("fig-x", "ravine", {"a": float("nan")})


def test_picture_is_small_and_keeps_the_units_of_its_coordinates():
    image = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    photo = living.picture(image, width=50)
    assert (photo["width"], photo["height"]) == (200, 100)
    assert photo["src"].startswith("data:image/webp;base64,")
    assert len(photo["src"]) < len(living.picture(image)["src"])


def test_keypoint_has_a_peak_of_its_histogram_at_its_own_angle():
    """The detector found the angle by a parabola through the bins that the figure shows."""
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 255, (12, 16)), np.ones((10, 10))).astype(np.uint8)
    found = Sift(compiled=False).detect_and_compute(image)
    pyramid = scale_space.gaussian_pyramid(scale_space.base_image(to_grey(image)))
    gradients = [orientation.gradients(octave[1:4]) for octave in pyramid]
    assert len(set(found.octave & 255)) > 2  # points of several octaves
    points = keypoints.payload({}, found, gradients)["points"]
    assert len(points) == len(found)
    for point, descriptor in zip(points, found.descriptors, strict=True):
        bins = np.array(point["votes"])
        assert bins.max() == 100
        position = (360 - point["angle"]) / 10
        nearest = round(position) % 36
        assert bins[nearest] >= 79
        assert bins[nearest] >= max(bins[nearest - 1], bins[(nearest + 1) % 36])
        assert point["descriptor"] == descriptor.tolist()


def test_norms_are_geometric_means_over_seeds_and_zeros_leave_gaps():
    rows = [
        (8, False, True, "he", seed, epoch, layer, norm * 10.0**epoch)
        for epoch in (0, 1)
        for layer, norms in ((1, (1e-3, 1e-1)), (2, (0.0, np.inf)), (3, (0.0, 100.0)))
        for seed, norm in enumerate(norms)
    ]
    names = ["depth", "skip", "batch_norm", "init", "seed", "epoch", "layer", "grad_norm"]
    (network,) = layers.payload(pd.DataFrame(rows, columns=names))["networks"]
    assert network["epochs"] == [0, 1]
    assert network["logs"] == [[-2.0, None, 2.0], [-1.0, None, 3.0]]
    assert (network["depth"], network["skip"], network["batch_norm"]) == (8, False, True)


def test_of_many_epochs_the_first_the_last_and_some_between_are_kept():
    table = pd.DataFrame(
        {
            "depth": 8,
            "skip": True,
            "batch_norm": True,
            "init": "he",
            "seed": 1,
            "epoch": range(31),
            "layer": 1,
            "grad_norm": 1.0,
        }
    )
    (network,) = layers.payload(table, epochs=4)["networks"]
    assert network["epochs"] == [0, 10, 20, 30]
