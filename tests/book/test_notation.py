"""Appendix «Обозначения»: every letter of the labelled formulas, one meaning in a chapter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pixgrad.book.ledger import qmd
from pixgrad.book.rendering.tree import Tree

ROOT = Path(__file__).parent.parent.parent
ACCENTS = {"hat", "bar", "tilde", "widetilde", "mathbf", "mathbb"}
PLAIN = re.compile(
    "frac|tfrac|sqrt|sum|prod|int|lim|left|right|bigl|bigr|Bigl|Bigr|underbrace|xrightarrow|"
    "textstyle|quad|qquad|dots|cdots|cdot|times|pm|mp|pmod|le|ge|in|ni|to|infty|Longrightarrow|"
    "min|max|ln|exp|sin|cos|tanh|rVert|rvert|rangle|rfloor|rceil"
)
"""Commands without a row: shape of the formula, signs from school, second halves of brackets."""


class Symbol(NamedTuple):
    name: str
    is_index: bool


class Row(NamedTuple):
    symbols: frozenset[str]
    chapters: frozenset[int]
    link: str
    text: str


def argument(tex: str, at: int) -> tuple[str, int]:
    """What a command or an index at ``at`` applies to, and where that ends."""
    at += len(tex[at:]) - len(tex[at:].lstrip())
    if tex[at : at + 1] != "{":
        found = re.match(r"\\(?:[A-Za-z]+|.)|.|", tex[at:], re.S).group()
        return found, at + len(found)
    depth = 0
    for end in range(at, len(tex)):
        depth += (tex[end] == "{") - (tex[end] == "}")
        if not depth:
            return tex[at + 1 : end], end + 1
    raise ValueError(f"no closing brace: {tex[at:]}")


def symbols(tex: str) -> Iterator[Symbol]:
    r"""Letters and commands of a formula; ``dY`` is ``d·`` and ``Y``, ``\hat x`` is one symbol."""
    tex = re.sub(r"\\(?:text|begin|end)\{[^}]*\}", " ", tex)
    at = 0
    while at < len(tex):
        if tex[at] == "_":
            below, at = argument(tex, at + 1)
            yield from (Symbol(one.name, True) for one in symbols(below))
        elif command := re.match(r"\\([A-Za-z]+)", tex[at:]):
            name, at = command[1], at + command.end()
            if name in ACCENTS:
                below, at = argument(tex, at)
                inner = " ".join(one.name for one in symbols(below)) if "\\" in below else below
                yield Symbol(rf"\{name} {inner.strip()}", False)
            elif name in ("operatorname", "mathrm"):
                word, at = argument(tex, at)
                if word.isascii():
                    yield Symbol(rf"\{name}{{{word}}}", False)
            elif not PLAIN.fullmatch(name):
                yield Symbol(rf"\{name}", False)
        elif re.match(r"d(?=[A-Za-z]|\\(?!cdot|[,;!]))", tex[at:]):
            yield Symbol("d·", False)
            at += 1
        else:
            if tex[at].isalpha():
                yield Symbol(tex[at], False)
            at += 2 if tex[at] == "\\" else 1


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        (r"dW_{kd} = dY^{\top} X", "d· W _k _d d· Y \\top X"),
        (r"\hat x_i - \tilde{\mathbf x}", "\\hat x _i \\tilde \\mathbf x"),
        (r"d (K - 1)\, \text{слой}", "d K"),
        (r"\operatorname{tr}^2 H_{xy} \le \gamma", "\\operatorname{tr} H _x _y \\gamma"),
        (r"\operatorname{точность}(r')", "r"),
    ],
)
def test_formulas_are_cut_into_symbols(tex: str, expected: str) -> None:
    assert " ".join("_" * one.is_index + one.name for one in symbols(tex)) == expected


NUMBERED = re.compile(r"^\$\$\n(?:.+\n)+?\$\$ \{#eq-[\w-]+\}$", re.M)


@pytest.fixture(scope="module")
def chapters() -> dict[int, str]:
    """Text of the numbered chapters."""
    pages = sorted((ROOT / "chapters").glob("[0-9][0-9]-*.qmd"))
    return {int(page.name[:2]): page.read_text("utf-8") for page in pages}


@pytest.fixture(scope="module")
def labels(chapters: dict[int, str]) -> dict[str, int]:
    """Chapter of each label of a heading or a formula."""
    return {
        label: number
        for number, text in chapters.items()
        for label in re.findall(r"\{#((?:eq|sec)-[\w-]+)\}", text)
    }


@pytest.fixture(scope="module")
def formulas(chapters: dict[int, str]) -> dict[str, str]:
    """TeX of the formulas with a label, as pandoc reads them."""
    blocks = [block for text in chapters.values() for block in NUMBERED.findall(text)]
    tree = Tree(qmd.parse("\n\n".join(blocks)))
    found = {}
    for math in tree.of("Math"):
        *_, label = math.parent.content
        found[label["c"].strip("{}#")] = math.content[1]
    return found


def cells(table: Any) -> Iterator[list[list[dict]]]:
    """Rows of a table of pandoc: the inlines of each cell."""
    for body in table.content[4]:
        for row in body[3]:
            yield [[one for block in cell[4] for one in block["c"]] for cell in row[1]]


def plain(inlines: list[dict]) -> str:
    return "".join(one["c"] if one["t"] == "Str" else " " for one in inlines)


def numbers(text: str) -> frozenset[int]:
    """«5–7, 13» is 5, 6, 7 and 13."""
    found: set[int] = set()
    for part in re.findall(r"\d+(?:–\d+)?", text):
        first, _, last = part.partition("–")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


def whole(shown: str) -> frozenset[str]:
    """What a row explains: «Q, K, V» are three symbols; indices, arguments and examples are not."""
    found = (one.name for one in symbols(shown) if not one.is_index)
    return frozenset(SAMPLES.get(shown, found))


SAMPLES = {
    r"a_i,\ b_j,\ c_k": (),
    "x'": (),
    "x^{*}": (),
    "x^{(l)}": (),
    "d y": ("d·",),
    r"\delta x": (r"\delta",),
    r"\lVert \mathbf x \rVert": (r"\lVert", r"\|"),
    r"\lvert x \rvert": (r"\lvert",),
    r"\langle x, y \rangle": (r"\langle",),
    r"\lfloor x \rfloor": (r"\lfloor",),
    r"\lceil x \rceil": (r"\lceil",),
    r"[\,i = j\,]": (),
    r"x^\top": (r"\top",),
    "*": (),
    "A(t)": ("A",),
    "O(h^2)": ("O",),
    "T_a": ("T",),
    r"\widetilde{dy}": (r"\widetilde dy",),
}
"""Rows that show a sign on an example."""


@pytest.fixture(scope="module")
def notation() -> Tree:
    return Tree(qmd.read(ROOT / "chapters" / "notation.qmd"))


@pytest.fixture(scope="module")
def rows(notation: Tree) -> list[Row]:
    found = []
    for table in notation.of("Table"):
        for symbol, meaning, _, first, where in cells(table):
            (math,) = [one["c"][1] for one in symbol if one["t"] == "Math"]
            (link,) = [one["c"][0][0]["citationId"] for one in first if one["t"] == "Cite"]
            of = numbers(plain(where))
            found.append(Row(whole(math), of, link, f"{math}: {plain(meaning)}"))
    return found


@pytest.fixture(scope="module")
def indices(notation: Tree) -> set[str]:
    """Letters that may stand below without a row of their own: the first row names them."""
    table = next(iter(notation.of("Table")))
    meaning = next(cells(table))[1]
    return {one["c"][1] for one in meaning if one["t"] == "Math"}


def test_every_letter_of_a_formula_has_one_meaning_in_its_chapter(
    formulas: dict[str, str], labels: dict[str, int], rows: list[Row], indices: set[str]
) -> None:
    wrong = {}
    for label, tex in formulas.items():
        number = labels[label]
        mine = [row for row in rows if number in row.chapters]
        for one in set(symbols(tex)):
            meanings = [row.text for row in mine if one.name in row.symbols]
            known = meanings if one.is_index else len(meanings) == 1
            if not known and not (one.name in indices and not meanings):
                wrong[number, one.name] = (label, meanings)
    assert wrong == {}


def test_every_row_leads_to_a_chapter_where_it_holds(
    labels: dict[str, int], rows: list[Row]
) -> None:
    assert len(rows) > 150
    assert [row.text for row in rows if labels.get(row.link) not in row.chapters] == []


def test_all_formulas_are_read(labels: dict[str, int], formulas: dict[str, str]) -> None:
    assert set(formulas) == {label for label in labels if label.startswith("eq-")}


def test_no_row_is_left_of_a_formula_that_is_gone(
    formulas: dict[str, str], labels: dict[str, int], rows: list[Row]
) -> None:
    used = {(labels[label], one.name) for label, tex in formulas.items() for one in symbols(tex)}
    assert [
        row.text
        for row in rows
        if row.symbols
        and not any((number, one) in used for number in row.chapters for one in row.symbols)
    ] == []
