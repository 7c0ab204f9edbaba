"""Numbers that settings may be."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixgrad.checks import number, whole
from pixgrad.errors import PixgradError

JUNK = [None, "3", True, np.True_, [3], (3,), {}, 1j, np.nan, np.inf, -np.inf, np.zeros(2)]


@settings(deadline=None)
@given(st.integers(-5, 10**9), st.sampled_from([int, np.int64, np.int32]))
def test_whole_numbers_of_any_type_from_the_least_one_on(value, kind):
    if value < 1:
        with pytest.raises(PixgradError, match=f"side=.*{value}.*: нужно целое число от 1"):
            whole("side", kind(value))
    else:
        found = whole("side", kind(value))
        assert (found, type(found)) == (value, int)


@settings(deadline=None)
@given(st.floats(), st.sampled_from([float, np.float64]))
def test_finite_numbers_within_the_range(value, kind):
    if 0 <= value <= 2:
        assert number("share", kind(value), most=2) == value
    else:
        with pytest.raises(PixgradError, match=r"share=.*: нужно конечное число от 0 до 2"):
            number("share", kind(value), most=2)


@pytest.mark.parametrize("value", JUNK)
def test_what_is_no_number_is_refused_with_its_value(value):
    for check in (whole, number):
        with pytest.raises(PixgradError) as caught:
            check("side", value)
        assert f"side={value!r}" in str(caught.value)


def test_fractions_are_numbers_and_not_whole():
    assert number("share", Fraction(1, 2)) == 0.5
    with pytest.raises(PixgradError):
        whole("side", 2.0)
