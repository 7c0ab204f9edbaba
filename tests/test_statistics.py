"""Intervals against published quantiles."""

import pytest

from pixgrad.statistics import student_interval


def test_student_interval_of_five_runs():
    # t(0.975; 4) = 2.776 (any table of Student's distribution); s = √2.5 for 1 … 5.
    mean, half = student_interval([1, 2, 3, 4, 5])
    assert mean == 3
    assert half == pytest.approx(2.776 * (2.5 / 5) ** 0.5, rel=2e-4)


def test_student_interval_of_two_runs():
    mean, half = student_interval([0, 2])  # t(0.975; 1) = 12.706
    assert (mean, half) == (1, pytest.approx(12.706, rel=1e-4))
