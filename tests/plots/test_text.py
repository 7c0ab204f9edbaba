"""Numbers and tables in Russian typography."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixgrad.plots import text
from pixgrad.results.statistics import Interval

NBSP = "\u00a0"


@given(value=st.floats(-1e9, 1e9), digits=st.integers(0, 4))
def test_number_reads_back(value, digits):
    shown = text.number(value, digits)
    back = float(shown.replace(NBSP, "").replace("\u2212", "-").replace(",", "."))
    assert back == pytest.approx(round(value, digits), abs=10**-digits / 2)
    assert "." not in shown and "-" not in shown


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.25, 2, "0,25"),
        (9999, 0, "9999"),
        (12345.6, 1, f"12{NBSP}345,6"),
        (-3, 0, "\u22123"),
        (-0.04, 1, "0,0"),
        (1e6, 0, f"1{NBSP}000{NBSP}000"),
    ],
)
def test_number_by_hand(value, digits, shown):
    assert text.number(value, digits) == shown


@pytest.mark.parametrize(
    ("count", "noun"),
    [(0, "точек"), (1, "точка"), (2, "точки"), (5, "точек"), (11, "точек"), (14, "точек"),
     (21, "точка"), (22, "точки"), (111, "точек"), (101, "точка")],
)  # fmt: skip
def test_plural(count, noun):
    assert text.plural(count, "точка", "точки", "точек") == f"{count}{NBSP}{noun}"


def test_percent_and_interval():
    assert text.percent(0.256, 1) == f"25,6{NBSP}%"
    assert text.interval(0.1, 0.25, 2) == "0,10–0,25"
    assert text.interval(99.97, 100) == "100"


def test_plus_minus_and_verdict():
    found = Interval(0.5, 0.25, 0.75)
    assert text.plus_minus(found, 2) == f"0,50{NBSP}±{NBSP}0,25"
    assert text.mean_interval([0, 2], 1) == f"1,0{NBSP}±{NBSP}12,7"  # t(0.975; 1) = 12.706
    assert text.verdict(found) == "видно"
    assert text.verdict(Interval(0.0, -1.0, 1.0)) == "не видно"
    assert text.verdict(Interval(-2.0, -3.0, -1.0), opposite="меньше") == "меньше"


def test_table_is_markdown_with_numbers_to_the_right():
    shown = text.table(["сеть", "доля"], [["ResNet", "0,9"]]).data
    assert shown.splitlines() == ["| сеть | доля |", "| :--- | ---: |", "| ResNet | 0,9 |"]


def test_source_shows_the_running_code():
    shown = text.source(text.percent).data
    assert shown.startswith("```python\ndef percent(") and shown.endswith("\n```")
    two = text.source(text.percent, Interval._replace).data  # a method is not indented
    assert two.startswith(shown.removesuffix("\n```")) and "\n\ndef _replace(" in two


def test_a_matrix_is_a_formula():
    shown = text.matrix([[1, -2.5], [0, 10]], 1)
    assert shown == r"\begin{pmatrix} 1{,}0 & −2{,}5 \\ 0{,}0 & 10{,}0 \end{pmatrix}"


def test_rounding_is_shown_as_a_bound_and_more_than_that_as_it_is():
    assert text.bound(0.0) == text.bound(3e-16) == text.bound(1e-12) == r"$\le 10^{-12}$"
    assert text.bound(1e-9, -8) == r"$\le 10^{-8}$"
    assert text.bound(2.4e-12) == r"**$2{,}4 \cdot 10^{-12}$**"


def test_a_difference_is_told_with_its_sign_and_never_as_zero():
    assert text.compared(Interval(0.5, 0.25, 0.75), 2) == f"больше на 0,50{NBSP}±{NBSP}0,25"
    assert text.compared(Interval(-3.0, -5.0, -1.0), less="хуже") == f"хуже на 3{NBSP}±{NBSP}2"
    assert text.compared(Interval(0.1, -0.2, 0.4), 1) == f"разница не видна (0,1{NBSP}±{NBSP}0,3)"
    assert text.compared(Interval(4e-3, 3e-3, 5e-3), 1) == f"больше на 0,004{NBSP}±{NBSP}0,001"


@pytest.mark.parametrize(
    ("items", "shown"),
    [
        ([], "ничего"),
        (["а"], "а"),
        (["а", "б"], "а и б"),
        (["а", "б", "в"], "а, б и в"),
        (["1,5", "2,5"], "1,5 и 2,5"),
        (["а, то есть б", "в"], "а, то есть б; в"),
    ],
)
def test_listing(items, shown):
    assert text.listing(items) == shown
    assert text.listing(iter(items)) == shown


def test_words_agree_with_a_number():
    found = [text.noun(count, "сеть", "сети", "сетей") for count in (1, 2, 5, 11, 21, 104, 112)]
    assert found == ["сеть", "сети", "сетей", "сетей", "сеть", "сети", "сетей"]


def test_beside_chance_forgives_two():
    words = [text.beside_chance(count, 5) for count in (2, 3, 5, 7, 8)]
    luck = "столько бывает и случайно"
    assert words == ["меньше, чем бывает случайно", luck, luck, luck, "больше, чем бывает случайно"]


def _doubled(x: float) -> float:
    """Twice a number.

    Examples
    --------
    >>> _doubled(2)
    4
    """
    return 2 * x


def _tripled(x: float) -> float:
    """Three times a number.

    Parameters
    ----------
    x : the number.

    Examples
    --------
    >>> _tripled(2)
    6
    """
    return 3 * x


def test_shown_code_is_without_the_examples_of_its_docstring():
    lines = text.source(_doubled).data.splitlines()
    assert lines[1:-1] == [
        "def _doubled(x: float) -> float:",
        '    """Twice a number."""',
        "    return 2 * x",
    ]
    told = text.source(_tripled, _doubled).data
    assert 'x : the number.\n    """\n    return 3 * x\n\ndef _doubled' in told
    assert ">>>" not in told
