"""Repairs of MathML against what TeX does."""

import pytest

from pixgrad.book.rendering.mathml import repaired


def named(name: str) -> str:
    return f'<mrow><mi mathvariant="normal">{name}</mi><mo>&#8289;</mo></mrow>'


def test_a_decimal_comma_is_part_of_the_number_and_a_list_stays_a_list():
    assert repaired("<mn>0</mn><mi>,</mi><mn>04</mn>") == "<mn>0,04</mn>"
    pair = "<mn>0</mn><mo>,</mo><mn>1</mn>"
    assert repaired(pair) == pair


@pytest.mark.parametrize(
    ("before", "after", "left", "right"),
    [
        ("<mi>m</mi>", "<mi>θ</mi>", True, True),  # m cos θ
        ("<mo>=</mo>", "<mi>θ</mi>", False, True),  # = cos θ
        ("<mn>2</mn>", '<mo stretchy="false" form="prefix">(</mo>', True, False),  # 2 cos(
        ('<mo stretchy="false" form="prefix">(</mo>', "<mi>θ</mi>", False, True),  # (cos θ
        ('<mo stretchy="false" form="postfix">)</mo>', "<mi>θ</mi>", True, True),  # ) cos θ
    ],
)
def test_spaces_beside_a_name_are_those_of_tex(before, after, left, right):
    made = repaired(f"{before}{named('cos')}{after}")
    assert ('lspace="0.167em"' in made) == left
    assert ('<mspace width="0.167em">' in made) == right


def test_the_space_comes_after_the_power():
    made = repaired(f"<msup>{named('sin')}<mn>2</mn></msup><mi>x</mi>")
    assert made.index("</msup>") < made.index("<mspace")


def test_a_name_with_limits_below_has_its_space_after_them():
    limits = '<munder><mi mathvariant="normal">max</mi><mi>i</mi></munder>'
    assert repaired(f"{limits}<mi>x</mi>") == f'{limits}<mspace width="0.167em"></mspace><mi>x</mi>'


def sized(form: str, sign: str, size: str = "180%") -> str:
    return f'<mo minsize="{size}" maxsize="{size}" stretchy="true" form="{form}">{sign}</mo>'


OPEN, CLOSE = sized("prefix", "("), sized("postfix", ")")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (  # (a)^2
            f"<mi>b</mi>{OPEN}<mi>a</mi><msup>{CLOSE}<mn>2</mn></msup>",
            f"<mi>b</mi><msup><mrow>{OPEN}<mi>a</mi>{CLOSE}</mrow><mn>2</mn></msup>",
        ),
        (  # (a (b)^2)_i
            f"{OPEN}<mi>a</mi>{OPEN}<mi>b</mi><msup>{CLOSE}<mn>2</mn></msup><msub>{CLOSE}<mi>i</mi></msub>",
            f"<msub><mrow>{OPEN}<mi>a</mi><msup><mrow>{OPEN}<mi>b</mi>{CLOSE}</mrow><mn>2</mn></msup>"
            f"{CLOSE}</mrow><mi>i</mi></msub>",
        ),
        (  # its opening one stands elsewhere, or there is none
            f"<mfrac><mrow>{OPEN}<mi>a</mi></mrow><mrow><mi>b</mi><msup>{CLOSE}<mn>2</mn></msup></mrow></mfrac>",
            None,
        ),
        (f"{sized('prefix', '(', '120%')}<mi>a</mi><msup>{CLOSE}<mn>2</mn></msup>", None),
    ],
)
def test_a_tall_bracket_with_a_power_stands_beside_the_one_it_closes(given, wanted):
    page = "<math><mrow>{}</mrow></math>"
    assert repaired(page.format(given)) == page.format(wanted or given)


def test_a_norm_has_no_spaces_inside():
    bar = '<mo stretchy="true" form="{}">∥</mo>'.format
    made = repaired(f"{bar('prefix')}<mi>x</mi>{bar('postfix')}<mo>∥</mo>")
    assert made.count("‖") == 2 and "<mo>∥</mo>" in made
