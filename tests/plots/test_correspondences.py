"""Cells of the tables of matches: numbers in Russian typography, dashes where there are none."""

from pixgrad.plots import correspondences

NAN = float("nan")


def test_what_was_not_measured_is_a_dash():
    assert correspondences.share(0.1254) == "12,5\N{NO-BREAK SPACE}%"
    assert correspondences.share(NAN) == "—"
    assert correspondences.pixels(0.456) == "0,46"
    assert [correspondences.pixels(value) for value in (NAN, float("inf"), 100)] == ["—"] * 3
