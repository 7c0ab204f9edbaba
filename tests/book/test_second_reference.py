"""Pages of the second reference: small books of many constructs as Quarto 1.10.18 builds them.

A fact is one entry of what ``quarto-reference/extract_structure.py`` finds on a page. Where we mean
to differ, ``ours.json`` holds the right value and ``REASONS`` says why; nothing else may differ.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

from pixgrad.book.executing import freeze
from pixgrad.book.rendering import html_engine, scripts
from pixgrad.book.source import project as books

pytest.importorskip("bs4")

REFERENCE = Path(__file__).parents[1] / "quarto-reference-2"
SCRIPT = REFERENCE.parent / "quarto-reference" / "extract_structure.py"
BOOKS = sorted(path.name for path in REFERENCE.iterdir() if path.is_dir())
FAST = ("01-shortcodes", "09-annotations")
OURS = json.loads((REFERENCE / "ours.json").read_text("utf-8"))
REASONS: dict[tuple[str, str, str], str] = {
    ("01-shortcodes", "chapters/one.html", "text"): "in Quarto {{< meta title >}} has the number "
    "of the chapter, keys of systems come from a script only; a video is a link here",
    ("01-shortcodes", "chapters/two.html", "text"): "{{< meta title >}}, as above",
    ("01-shortcodes", "chapters/two.html", "images"): "bytes of a grey picture in its address",
    ("02-code-forms", "chapters/eval.html", "text"): "Quarto spoils code fenced by ~~~{python}",
    (
        "03-math-macros",
        "*",
        "*",
    ): "formulas with \\tag, \\textcolor or macros of $$…$$ "
    "stay TeX in Quarto with MathML; here they are formulas",
    ("05*", "chapters/references.html", "*"): "the bibliography's page is English in Quarto, "
    "whatever the language",
    ("06-parts-numbering", "*", "*"): "Quarto does not resolve references to headings without a "
    "number, calls a section of a part's page «Глава 1», and leads to the page instead of the "
    "second heading of the first level",
    ("07-front-matter", "chapters/one.html", "*"): "a bibliography of a chapter hides the book's "
    "own in Quarto's HTML (and not in its PDF)",
    ("08-cell-outputs", "chapters/rich.html", "external"): "pages here ask no other host",
    ("09b-mermaid-cell", "chapters/diagrams.html", "*"): "Quarto's page has the source of a "
    "diagram, drawn in the browser; here it is drawn",
    ("10-notes-lists", "*", "*"): "a footnote of the chapter's heading is «[^title]» in Quarto, "
    "its text is lost and those after it count from one less",
    ("11-names-paths", "*same.html", "images"): "Quarto's address of a file named a%20b.svg leads "
    "nowhere",
}
"""(book, page, fact) patterns -> why our fact is another."""


def words(text: str) -> list[str]:
    """Without the numbers of formulas, which Quarto writes into the TeX, and without spaces."""
    text = re.sub(r"(\\qquad)?\(\s*(\w+\s*\.\s*)?\d+\s*\)", "", text)
    return re.findall(r"\w+|[^\w\s:]", text)


def is_equal(fact: str, one, other) -> bool:
    if fact == "text":
        return words(one) == words(other)
    return json.dumps(one).replace("<BOOK>", "") == json.dumps(other)


def built(root: Path) -> dict:
    """The facts of the pages, named as those of the reference are."""
    project = books.load(root)
    if scripts.before(project):
        project = books.load(root)
    freeze.freeze_book(root)
    (root / "_out").mkdir()
    html_engine.build_html(project, root / "_out")
    flat = root / "_flat"
    (flat / "chapters").mkdir(parents=True)
    for page in (root / "_out").rglob("*.html"):
        parts = page.relative_to(root / "_out").parts
        if parts != ("404.html",):
            name = "__".join(parts[1:] if parts[0] == "chapters" else ("ROOT", *parts))
            shutil.copy(page, flat / (parts[0] if parts == ("index.html",) else f"chapters/{name}"))
    answer = subprocess.run([sys.executable, SCRIPT, flat], capture_output=True, check=True)
    return json.loads(answer.stdout)


@pytest.mark.parametrize(
    "book", [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in BOOKS]
)
def test_facts_of_the_pages_are_quartos(tmp_path, monkeypatch, book):
    """The cells are not executed: Quarto's own results are taken as they are."""
    monkeypatch.delenv("QUARTO_PROFILE", raising=False)
    monkeypatch.delitem(os.environ, "WORD", raising=False)
    got = built(shutil.copytree(REFERENCE / book, tmp_path / "book"))
    expected = json.loads((REFERENCE / book / "expected-html.json").read_text("utf-8"))
    assert got.keys() == expected.keys()
    for page, facts in expected.items():
        for fact, theirs in facts.items():
            ours = OURS.get(book, {}).get(page, {}).get(fact, theirs)
            assert is_equal(fact, got[page][fact], ours), (page, fact)


def test_every_difference_has_its_reason_and_is_one():
    differences = [
        (book, page, fact) for book, pages in OURS.items() for page in pages for fact in pages[page]
    ]
    for one in differences:
        assert any(
            all(fnmatch(part, pattern) for part, pattern in zip(one, reason, strict=True))
            for reason in REASONS
        ), one
    total = 0
    for name in BOOKS:
        expected = json.loads((REFERENCE / name / "expected-html.json").read_text("utf-8"))
        total += sum(len(facts) for facts in expected.values())
        for page, facts in OURS.get(name, {}).items():
            for fact, ours in facts.items():
                assert not is_equal(fact, ours, expected[page][fact]), (name, page, fact)
    assert len(differences) <= 0.04 * total
