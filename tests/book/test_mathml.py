"""Repairs of MathML against what TeX does."""

import subprocess

import pytest

from pixgrad.book.rendering import pandoc
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


KNOWN_TO_MATHJAX = {
    r"\braket{a_n|\psi} \ket{x} \bra{y}": r"\langle {a_n|\psi} \rangle  | {x} \rangle",
    r"\ce{SO4^2- + H+ <=> HSO4-}": r"\mathrm{SO_{4}^{2-} + H^{+} \rightleftharpoons HSO_{4}^{-}}",
    r"\ce{2H2 + O2 -> 2H2O}": r"\mathrm{2H_{2} + O_{2} \rightarrow 2H_{2}O}",
    r"{\bf x} + {\rm abc}": r"\mathbf{x} + \mathrm{abc}",
    r"{a+b \over {c \over d}}": r"{\frac{a+b }{{\frac{c }{d}}}}",
    r"\root 3 \of {x}": r"\sqrt[3]{x}",
    r"a = b \\ c = d": r"\begin{gathered}a = b \\ c = d\end{gathered}",
    r"\begin{matrix}a\\S\\P\end{matrix}": r"\begin{matrix}a\\S\\P\end{matrix}",
    r"\left\{ a \right. \{b\}": r"\left\{ a \right. \{b\}",
    r"90\degree \dbinom{n}{k}": r"90{}^{\circ} \binom{n}{k}",
    r"\label{eq:a} x": "x",
    r"\require{cancel}\cancel{x}\hspace*{1em}": r"\cancel{x}\hspace{1em}",
    r"\unicode{x263A} \bbox[red]{x} \href{https://x}{y}": r"\text{☺} {x} {y}",
    r"\newcommand{\S}{x}\S": r"\newcommand{\S}{x}\S",
    r"\begin{dcases}a\end{dcases}": r"\begin{cases}a\end{cases}",
    r"a\kern1em b\mkern-3mu c \smash{d}": r"a\; b\; c {d}",
}


@pytest.fixture(scope="module")
def converted() -> list[str]:
    """Each formula as the filter leaves it; pandoc can read them all."""
    text = "\n\n".join(f"F ${tex}$" for tex in KNOWN_TO_MATHJAX)
    command = [
        pandoc.executable(),
        "--from=markdown",
        f"--lua-filter={pandoc.FILTERS / 'math.lua'}",
    ]
    for to in (["--to=html", "--mathml"], ["--to=typst"]):
        done = subprocess.run(
            [*command, *to], input=text, capture_output=True, text=True, check=True
        )
        assert not done.stderr
    command += ["--to=markdown", "--wrap=none"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return done.stdout.strip().split("\n\n")


@pytest.mark.parametrize("number", range(len(KNOWN_TO_MATHJAX)))
def test_what_mathjax_knows_by_itself_is_read(converted, number):
    tex, wanted = list(KNOWN_TO_MATHJAX.items())[number]
    assert converted[number].startswith(f"F ${wanted}"), tex
