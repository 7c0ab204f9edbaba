"""Repairs of pandoc's MathML: decimal commas, spaces around function names, tall brackets."""

import re
from itertools import accumulate

_DECIMAL = re.compile(r"<mn>(\d+)</mn><mi>,</mi><mn>(\d+)</mn>")
_FUNCTION = re.compile(
    r'(?<=<mrow>)<mi mathvariant="normal">(?P<name>[^<]+)</mi>(?=<mo>(?:&#8289;|\u2061)</mo>)'
    r'|(?<=<munder>)<mi mathvariant="normal">[^<]+</mi>'  # max with its limits below
)
_OPENING = re.compile(r"(<(?:mrow|msup|msub|msubsup|munder|mover|munderover)>)+$")
_SCRIPTS = re.compile(r"<(?P<tag>msup|msub|msubsup|munder|mover|munderover)><mrow>$")
_OPERAND = re.compile(
    r'(</(mi|mn|mrow|msup|msub|msubsup|mfrac|msqrt|mover|munder|mstyle)>|"postfix">[^<]*</mo>)$'
)
_CLOSING = re.compile(
    r"<(?P<tag>msup|msub|msubsup)>"
    r'(?P<closing>(?P<mark><mo minsize="\d+%"[^>]* form=)"postfix">[^<]*</mo>)'
)
_THIN = "0.167em"


def repaired(page: str) -> str:
    """The HTML of a page with its formulas set as TeX sets them.

    ``0{,}04`` comes from the Lua filter as ``0\\mathord{,}04``: here it becomes one number.
    """
    page = page.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    page = page.replace('<math display="inline">', "<math>")
    for form in ("prefix", "postfix"):  # a relation has spaces around, a bracket has none
        page = page.replace(f'form="{form}">∥', f'form="{form}">‖')
    position = 0
    while match := _CLOSING.search(page, position):
        position = match.end()
        page = _with_its_opening(page, match)
    page = _DECIMAL.sub(r"<mn>\1,\2</mn>", page).replace(r"\mathord{,}", "{,}")
    parts, done = [], 0
    spaces = sorted(space for match in _FUNCTION.finditer(page) for space in _spaces(page, match))
    for start, end, markup in spaces:
        parts += [page[done:start], markup]
        done = end
    return "".join([*parts, page[done:]])


def _with_its_opening(page: str, match: re.Match) -> str:
    """``\\Bigr)^2``: a bracket grows beside its opening one, but not alone under a power."""
    start, limit = match.start(), page.rfind("<math", 0, match.start())
    while (start := page.rfind(f'{match["mark"]}"prefix">', limit, start)) >= 0:
        inner = page[start : match.start()]
        steps = [-1 if tag[1] else 1 for tag in re.finditer(r"<(/?)\w", inner)]
        depths = list(accumulate(steps))
        if depths[-1] == 0 == min(depths) and inner.count('"prefix">') > inner.count('"postfix">'):
            whole = f"<{match['tag']}><mrow>{inner}{match['closing']}</mrow>"
            return page[:start] + whole + page[match.end() :]
    return page


def _spaces(page: str, match: re.Match) -> list[tuple[int, int, str]]:
    """(start, end, markup to put there): thin spaces beside operands, none beside brackets."""
    before = page[max(0, match.start() - 400) : match.start()]
    if not match["name"]:
        return _space_after(page, page.index("</munder>", match.end()) + len("</munder>"))
    left = _THIN if _OPERAND.search(_OPENING.sub("", before)) else "0"
    end = page.index("</mrow>", match.end()) + len("</mrow>")
    scripts = _SCRIPTS.search(before)
    if scripts:  # sin² x: the space comes after the power
        closing = f"</{scripts['tag']}>"
        end = page.index(closing, end) + len(closing)
    name = f'<mo lspace="{left}" rspace="0">{match["name"]}</mo>'
    return [(match.start(), match.end(), name), *_space_after(page, end)]


def _space_after(page: str, end: int) -> list[tuple[int, int, str]]:
    if page.startswith(("<mo ", "<mo>", "</", "<mspace"), end):
        return []
    return [(end, end, f'<mspace width="{_THIN}"></mspace>')]
