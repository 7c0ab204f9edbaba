"""Verdicts follow the numbers, and their evidence is in the book."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from pixgrad import results
from pixgrad.claims import CLAIMS, CONFIRMED, OPEN, REFINED, REFUTED, Claim
from pixgrad.claims.judging import judged
from pixgrad.results.statistics import Interval

ROOT = Path(__file__).parent.parent.parent
UP, DOWN, ZERO = Interval(1, 0.5, 1.5), Interval(-1, -1.5, -0.5), Interval(0, -1, 1)


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_every_statement_of_the_assignments_is_there() -> None:
    assert list(CLAIMS) == [f"C{number}" for number in range(1, 41)]


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([UP, UP], CONFIRMED),
        ([DOWN, DOWN], REFUTED),
        ([ZERO], REFINED),
        ([UP, ZERO], REFINED),
        ([UP, DOWN], REFINED),
    ],
)
def test_intervals_become_a_verdict(found: list[Interval], verdict: str) -> None:
    assert judged(found) == verdict


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_records_that_are_read_are_named(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    read, load = set(), results.load

    def remembered(name: str) -> results.Results:
        read.add(name)
        return load(name)

    monkeypatch.setattr(results, "load", remembered)
    found = claim.judge()
    waiting = [name for name in claim.records if not (ROOT / "results" / name).is_dir()]
    assert claim.missing == waiting
    assert (found.verdict == OPEN) == (bool(waiting) or claim.id == "C40")  # nobody ran that code
    assert waiting or read == set(claim.records)
    assert found.words


def test_evidence_is_in_the_book() -> None:
    labels = set(_labels())
    lacking = {
        f"{claim.id}: {name}"
        for claim in CLAIMS.values()
        if all((ROOT / "results" / record).is_dir() for record in claim.records)
        for name in re.findall(r"@([a-z0-9-]+)", claim.evidence)
        if name not in labels
    }
    assert not lacking


@pytest.mark.parametrize(("three", "verdict"), [(0.9, REFUTED), (0.8, CONFIRMED), (0.7, CONFIRMED)])
def test_another_record_gives_another_verdict(
    three: float, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        (name, level + spread)
        for name, level in (("one", 0.8), ("three", three))
        for spread in (-0.002, 0.001, 0.003)
    ]
    made = SimpleNamespace(
        tables={"summary": pd.DataFrame(rows, columns=["network", "test_accuracy"])}
    )
    monkeypatch.setattr(results, "load", lambda name: made)
    assert CLAIMS["C31"].judge().verdict == verdict


def _labels() -> Iterator[str]:
    for page in (ROOT / "chapters").glob("*.qmd"):
        text = page.read_text("utf-8")
        yield from re.findall(r"\{#([a-z0-9-]+)", text)
        yield from re.findall(r"#\| label: ([a-z0-9-]+)", text)
