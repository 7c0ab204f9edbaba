"""Cells of the tables of matches: numbers in Russian typography, dashes where there are none."""

import numpy as np

from pixgrad.plots import correspondences

NAN = float("nan")


def test_what_was_not_measured_is_a_dash():
    assert correspondences.share(0.1254) == "12,5\N{NO-BREAK SPACE}%"
    assert correspondences.share(NAN) == "—"
    assert correspondences.pixels(0.456) == "0,46"
    assert [correspondences.pixels(value) for value in (NAN, float("inf"), 100)] == ["—"] * 3


def test_a_row_for_each_pair_and_a_column_for_each_detector():
    first = np.array([[0.5, 1], [0.25, NAN], [0, 0.1]])
    rows = correspondences.two_measures(["один", "два"], first, first / 2)
    assert rows == [
        ["один", "50,0 / 25,0", "25,0 / 12,5", "0,0 / 0,0"],
        ["два", "100,0 / 50,0", "— / —", "10,0 / 5,0"],
    ]
