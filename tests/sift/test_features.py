"""Columns of keypoints belong together."""

from dataclasses import replace

import numpy as np
import pytest

from pixgrad.errors import PixgradError
from pixgrad.sift import Features

NUMBERS = np.ones(3, np.float32)
FOUND = Features(np.ones((3, 2), np.float32), *[NUMBERS] * 3, np.zeros(3, int), np.ones((3, 128)))


@pytest.mark.parametrize(
    "change",
    [
        {"xy": np.ones((2, 2))},
        {"xy": np.ones((3, 3))},
        {"size": np.ones(2)},
        {"angle": 1.0},
        {"octave": np.zeros((3, 1), int)},
        {"descriptors": np.ones((2, 128))},
        {"descriptors": np.ones(3)},
    ],
)
def test_columns_of_other_lengths_are_refused(change):
    with pytest.raises(PixgradError, match="столбцы не подходят") as caught:
        replace(FOUND, **change)
    [(name, column)] = change.items()
    assert f"'{name}': {np.shape(column)}" in str(caught.value)


def test_one_keypoint_is_a_slice():
    assert len(FOUND[:1]) == len(FOUND[FOUND.size > 0]) - 2 == len(FOUND[np.array([1])]) == 1
    with pytest.raises(PixgradError, match="столбцы не подходят"):
        FOUND[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("xy", np.nan),
        ("xy", np.inf),
        ("size", 0),
        ("size", -1),
        ("size", np.inf),
        ("angle", np.nan),
    ],
)
def test_keypoints_without_a_place_or_a_region_are_refused(name, value):
    column = getattr(FOUND, name).copy()
    column[1] = value
    FOUND.check_described()
    with pytest.raises(PixgradError, match="точка 1: x, y, размер и угол"):
        replace(FOUND, **{name: column}).check_described()
