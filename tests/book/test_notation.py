"""Appendix «Обозначения»: each symbol of the book's formulas has one row, each row one meaning."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from symbols import Symbol, symbols

from pixgrad.book.ledger import qmd
from pixgrad.book.rendering.tree import Tree

ROOT = Path(__file__).parent.parent.parent
PAGE = "chapters/notation.qmd"
BETWEEN_DOLLARS = re.compile(r"(?<!\\)\$\$?([^$]+)\$\$?")

SAMPLES = {
    "x'": r"'",
    "x^{*}": r"\^\{?\*",
    "x^{(l)}": r"\^\{\([^()]*\)\}",
    r"[\,i = j\,]": r"\[(?:\\,)?[^\]]*(?:=|>|\\equiv)",
    "x * y": r"(?<!\^)(?<!\^\{)\*",
}
"""Rows that show a sign on an example: what the sign looks like in TeX."""
BRACKETS = {
    r"\lVert \mathbf x \rVert": (r"\lVert", r"\|"),
    r"\lvert x \rvert": (r"\lvert",),
    r"\langle x, y \rangle": (r"\langle",),
    r"\lfloor x \rfloor": (r"\lfloor",),
    r"\lceil x \rceil": (r"\lceil",),
    r"x^\top": (r"\top",),
    r"0^\circ": (r"\circ",),
    "d y": ("d·",),
    r"\widetilde{dy}": (r"\widetilde d· y",),
}
"""Rows whose letters are those of an example."""


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        (r"d\mathbf W_{kj} = dY^{\top} X", r"d· \mathbf W_kj d· Y \top X"),
        (r"\hat x_i - \tilde{\mathbf x}", r"\hat x_i \tilde \mathbf x"),
        (r"r (K - 1)\, \text{слой}", "r K"),
        (r"\operatorname{tr}^2 \mathbf H_{xy} \le \gamma", r"tr \mathbf H_xy \gamma"),
        (r"q^2_{F,\,\text{Хе}} + n_{\text{окт}}", r"q_F n_\text{окт}"),
        (r"\sigma_\varepsilon^{-3}", r"\sigma_\varepsilon \varepsilon"),
        (r"G_{c\sigma}", r"G_c\sigma \sigma"),
        (r"\Phi_{l_{\max}-1} p^{(T)}_{k^*}", r"\Phi_l_{\max}-1 p_k^* T"),
        (r"\mathrm{F1}_k = \operatorname{точность}(x')", "F1_k x"),
    ],
)  # fmt: skip
def test_formulas_are_cut_into_symbols(tex: str, expected: str) -> None:
    found = [one.name + (f"_{one.index}" if one.index else "") for one in symbols(tex)]
    assert " ".join(found) == expected


class Row(NamedTuple):
    shown: str
    meaning: str
    first: str
    symbols: frozenset[Symbol]


def explained(shown: str) -> frozenset[Symbol]:
    """The symbols that a row with this formula explains."""
    if shown in SAMPLES:
        return frozenset()
    if shown in BRACKETS:
        return frozenset(map(Symbol, BRACKETS[shown]))
    return frozenset(next(symbols(part)) for part in re.split(r",\\ ", shown))


class Table(list[Row]):
    """The rows; which of them explains a symbol."""

    def of(self, symbol: Symbol) -> list[Row]:
        """An index belongs to the symbol only where a row shows it."""
        for wanted in (symbol, Symbol(symbol.name)):
            if rows := [row for row in self if wanted in row.symbols]:
                return rows
        return [row for row in self if symbol.name in {one.name for one in row.symbols}]


def cells(table: Any) -> Iterator[list[list[dict]]]:
    """Rows of a table of pandoc: the inlines of each cell."""
    for body in table.content[4]:
        for row in body[3]:
            yield [[one for block in cell[4] for one in block["c"]] for cell in row[1]]


def plain(inlines: list[dict]) -> str:
    return "".join(one["c"] if one["t"] == "Str" else " " for one in inlines)


def address(inlines: list[dict]) -> str:
    """Label of a cross-reference, file of a link."""
    for one in inlines:
        if one["t"] == "Cite":
            return one["c"][0][0]["citationId"]
        if one["t"] == "Link":
            return f"chapters/{one['c'][2][0]}"
    raise ValueError(plain(inlines))


@pytest.fixture(scope="module")
def table() -> Table:
    (table,) = Tree(qmd.read(ROOT / PAGE)).of("Table")
    rows = Table()
    for shown, meaning, _, first in cells(table):
        (math,) = [one["c"][1] for one in shown if one["t"] == "Math"]
        rows.append(Row(math, plain(meaning), address(first), explained(math)))
    return rows


class Use(NamedTuple):
    """A formula of the prose and the nearest label at or before it."""

    tex: str
    label: str


@pytest.fixture(scope="module")
def pages() -> dict[str, qmd.Document]:
    """Chapters and appendices in the order of the book, then its reports."""
    settings = (ROOT / "_quarto.yml").read_text("utf-8")
    order = re.findall(r"(?:chapters|reports)/[\w/-]+\.qmd", settings)
    order.sort(key=lambda name: name.startswith("reports"))
    return {name: qmd.read(ROOT / name) for name in dict.fromkeys(order) if name != PAGE}


@pytest.fixture(scope="module")
def uses(pages: dict[str, qmd.Document]) -> list[Use]:
    found = []
    for name, page in pages.items():
        tree, label = Tree(page), name
        for element, after in zip(tree.elements, [*tree.elements[1:], None], strict=True):
            if element.kind == "Header" and element.is_written:
                is_numbered = "unnumbered" not in element.classes
                label = element.id if is_numbered else name
            elif element.kind == "Math":
                own = after and after.kind == "Str" and re.match(r"\{#(eq-[\w-]+)", after.content)
                found.append(Use(element.content[1], own[1] if own else label))
    return found


def strings(source: str) -> Iterator[str]:
    """Strings of a program without its docstrings; what an f-string computes is 0."""
    nodes = list(ast.walk(ast.parse(source)))
    formatted = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    for node in formatted:
        yield "".join(one.value if isinstance(one, ast.Constant) else "0" for one in node.values)
    others = {id(part) for node in formatted for part in node.values}
    others |= {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in others
        ):
            yield node.value


@pytest.fixture(scope="module")
def printed(pages: dict[str, qmd.Document]) -> dict[str, list[str]]:
    """Texts besides the prose: of cells, of captions, of the figures' code."""
    found = {}
    for name, page in pages.items():
        options = [yaml.safe_load(cell.options_yaml) or {} for cell in page.cells]
        shown = [str(value) for of in options for value in of.values()]
        found[name] = shown + [one for cell in page.cells for one in strings(cell.source)]
    for module in sorted((ROOT / "code/pixgrad/plots").rglob("*.py")):
        found[module.name] = list(strings(module.read_text("utf-8")))
    return found


@pytest.fixture(scope="module")
def formulas(uses: list[Use], printed: dict[str, list[str]]) -> dict[str, list[str]]:
    """TeX of all formulas by where they stand."""
    found: dict[str, list[str]] = {}
    for use in uses:
        found.setdefault(use.label, []).append(use.tex)
    for name, texts in printed.items():
        found.setdefault(name, []).extend(
            one for text in texts for one in BETWEEN_DOLLARS.findall(text)
        )
    return found


def test_every_symbol_of_every_formula_has_one_row(
    formulas: dict[str, list[str]], table: Table
) -> None:
    assert sum(map(len, formulas.values())) > 1500
    assert {
        (where, one.name, one.index): [row.meaning for row in table.of(one)]
        for where, texts in formulas.items()
        for tex in texts
        for one in symbols(tex)
        if len(table.of(one)) != 1
    } == {}


def test_no_symbol_has_two_rows(table: Table) -> None:
    assert len(table) > 150
    shown = [one for row in table for one in row.symbols]
    assert sorted({one for one in shown if shown.count(one) > 1}) == []
    assert len({row.shown for row in table}) == len(table)


def first_uses(uses: list[Use], table: Table) -> dict[str, str]:
    """Label of the first formula with each row's symbol, or of the section it stands in."""
    found: dict[str, str] = {}
    for use in uses:
        rows = [row.shown for one in symbols(use.tex) for row in table.of(one)]
        signs = [shown for shown, sign in SAMPLES.items() if re.search(sign, use.tex)]
        for shown in rows + signs:
            found.setdefault(shown, use.label)
    return found


def test_every_row_leads_to_the_first_use(uses: list[Use], table: Table) -> None:
    found = first_uses(uses, table)
    wrong = {row.shown: found.get(row.shown) for row in table if row.first != found.get(row.shown)}
    assert wrong == {}


def test_greek_letters_outside_formulas_are_of_the_table(
    pages: dict[str, qmd.Document], printed: dict[str, list[str]], table: Table
) -> None:
    texts = [*printed.values(), *([page.text] for page in pages.values())]
    letters = {one for text in texts for one in "".join(text) if "Ͱ" <= one <= "Ͽ"}
    assert letters
    names = {f"\\{NAMES.get(one, _tex(one))}" for one in letters}
    assert names - {one.name for row in table for one in row.symbols} == set()


NAMES = {"ε": "varepsilon", "φ": "varphi", "λ": "lambda", "Λ": "Lambda"}


def _tex(letter: str) -> str:
    _, case, _, name = unicodedata.name(letter).split()
    return name.title() if case == "CAPITAL" else name.lower()
