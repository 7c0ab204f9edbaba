"""Numbers, tables and code in Russian typography, for the cells of the chapters."""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence

from IPython.display import Markdown

from pixgrad.data import Pair, Photo
from pixgrad.results import statistics
from pixgrad.results.statistics import Difference, Interval, student_interval

NBSP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


def number(value: float, digits: int = 0) -> str:
    """Decimal comma, groups of three from 10 000 on, a true minus: ``12 345,6``."""
    text = f"{abs(value):,.{digits}f}"
    whole, _, part = text.partition(".")
    whole = whole.replace(",", NBSP if abs(value) >= 10_000 else "")
    sign = MINUS if value < 0 and text.strip("0.,") else ""
    return sign + whole + ("," + part if part else "")


def percent(share: float, digits: int = 0) -> str:
    """A share 0 … 1 as ``25 %``."""
    return f"{number(100 * share, digits)}{NBSP}%"


def interval(low: float, high: float, digits: int = 0) -> str:
    """A range ``0,2–0,4`` with the en dash of numbers; one number where the ends are alike."""
    return "–".join(dict.fromkeys((number(low, digits), number(high, digits))))


def power(value: float, digits: int = 1) -> str:
    """A tiny or huge number as a formula: ``$2{,}2 \\cdot 10^{-16}$``; 0 stays 0."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits}e}".split("e")
    return f"${mantissa.replace('.', '{,}')} \\cdot 10^{{{int(exponent)}}}$"


def bound(value: float, exponent: int = -12) -> str:
    """Of what is rounding alone, a power of ten above it, the same on every machine.

    ``$\\le 10^{-12}$``; a value above the bound is shown as it is, in bold.
    """
    if value <= 10.0**exponent:
        return f"$\\le 10^{{{exponent}}}$"
    return f"**{power(value)}**"


def mean_interval(values: Sequence[float], digits: int = 0) -> str:
    """``0,143 ± 0,002``: the mean of independent runs and its 95 % Student half-width."""
    return plus_minus(student_interval(values), digits)


def plus_minus(found: Interval | Difference, digits: int = 0) -> str:
    """``0,143 ± 0,002``: a number and the half-width of its symmetric interval."""
    half = (found.high - found.low) / 2
    return f"{number(found.estimate, digits)}{NBSP}±{NBSP}{number(half, digits)}"


def verdict(
    found: Interval | Difference,
    holds: str = "видно",
    not_seen: str = "не видно",
    opposite: str = "наоборот",
) -> str:
    """Words for what an interval says of "the number is above zero"."""
    return {"holds": holds, "not seen": not_seen, "opposite": opposite}[statistics.verdict(found)]


def compared(
    found: Interval | Difference,
    digits: int = 0,
    more: str = "больше",
    less: str = "меньше",
    not_seen: str = "разница не видна",
) -> str:
    """A difference in words: ``больше на 0,50 ± 0,25`` or ``разница не видна (0,1 ± 0,3)``.

    A difference that is seen gets as many digits as it takes not to say "by 0,00".
    """
    seen = statistics.verdict(found)
    if seen == "not seen":
        return f"{not_seen} ({plus_minus(found, digits)})"
    low, estimate, high = sorted(map(abs, (found.low, found.estimate, found.high)))
    size = Interval(estimate, low, high)
    while not round(size.estimate, digits):
        digits += 1
    return f"{more if seen == 'holds' else less} на {plus_minus(size, digits)}"


def beside_chance(count: int, chance: int, noise: int = 2) -> str:
    """Words for a count beside the largest one that chance gave, itself only so exact."""
    if count > chance + noise:
        return "больше, чем бывает случайно"
    return "столько бывает и случайно" if count >= chance - noise else "меньше, чем бывает случайно"


def plural(count: int, one: str, few: str, many: str) -> str:
    """The number with its noun: ``1 точка``, ``3 точки``, ``12 точек``."""
    return f"{number(count)}{NBSP}{noun(count, one, few, many)}"


def noun(count: int, one: str, few: str, many: str) -> str:
    """The form of a noun, or of a verb, that agrees with a number: see ``plural``."""
    is_teen = 11 <= count % 100 <= 14
    return many if is_teen else {1: one, 2: few, 3: few, 4: few}.get(count % 10, many)


def listing(items: Iterable[str]) -> str:
    """``а``, ``а и б``, ``а, б и в``; of none ``ничего``.

    Items with commas of their own are set apart by semicolons.
    """
    items = list(items)
    if len(items) < 2:
        return items[0] if items else "ничего"
    if any(", " in item for item in items):
        return "; ".join(items)
    return f"{', '.join(items[:-1])} и {items[-1]}"


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int] = ()
) -> Markdown:
    """A Markdown table: the first column to the left, the others (numbers) to the right.

    Parameters
    ----------
    widths : relative ones of the columns, negative for those set to the right; by default none.
    """
    widths = widths or [3] + [-3] * (len(header) - 1)
    rule = [":" + "-" * width if width > 0 else "-" * -width + ":" for width in widths]
    return Markdown("\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows)))


def matrix(values: Sequence[Sequence[float]], digits: int = 0) -> str:
    """A matrix as a formula, for between the dollars."""
    rows = (" & ".join(number(one, digits).replace(",", "{,}") for one in row) for row in values)
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


def credits(shots: Iterable[Photo | Pair]) -> str:
    """Whose photos are shown and under which terms, in a sentence for each terms.

    Examples
    --------
    >>> import numpy as np
    >>> grey = np.zeros((2, 2), np.uint8)
    >>> shots = [Photo(name, name, grey, "снято нами", "CC0") for name in ("дом", "сад")]
    >>> credits(shots)
    'Фотографии: «дом» и «сад» (снято нами). Условия: CC0.'
    """
    shown: dict[str, dict[str, list[str]]] = {}
    for shot in shots:
        shown.setdefault(shot.licence, {}).setdefault(shot.source, []).append(f"«{shot.title}»")
    sentences = []
    for terms, sources in shown.items():
        count = sum(map(len, sources.values()))
        told = "; ".join(f"{listing(titles)} ({source})" for source, titles in sources.items())
        sentences.append(
            f"{noun(count, 'Фотография', *2 * ['Фотографии'])}: {told}. Условия: {terms}."
        )
    return " ".join(sentences)


_EXAMPLES = re.compile(r'\n\n( +)Examples\n\1-+\n(?:.*\n)*?(?=\1""")')
_SUMMARY = re.compile(r'("""[^"\n]+)\n +"""')


def source(*functions: Callable) -> Markdown:
    """The code of functions as they run, one under another, without their examples."""
    pieces = [textwrap.dedent(inspect.getsource(function)).rstrip() for function in functions]
    code = _SUMMARY.sub(r'\1"""', _EXAMPLES.sub("\n", "\n\n".join(pieces)))
    return Markdown(f"```python\n{code}\n```")
