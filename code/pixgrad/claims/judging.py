"""The claim, its verdict, and how intervals become one."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pixgrad.results import FOLDER, RECORD
from pixgrad.results.statistics import Difference, Interval, verdict

CONFIRMED, REFINED, REFUTED = "подтверждено", "уточнено", "опровергнуто"
OPEN = "не проверяли"


class Finding(NamedTuple):
    """A verdict (one of the four words) and the numbers that carry it, as Russian text."""

    verdict: str
    words: str


@dataclass(frozen=True)
class Claim:
    """A statement of an assignment.

    Attributes
    ----------
    id : "C1"…, as in the appendix of the book.
    source : number of the assignment, "000" … "004".
    statement : in Russian, as the assignment means it.
    evidence : references into the book, "@tbl-…, @sec-…".
    records : experiments whose results the judgement reads.
    """

    id: str
    source: str
    statement: str
    evidence: str
    records: tuple[str, ...]
    measure: Callable[[], Finding]

    @property
    def missing(self) -> list[str]:
        """The records that are not there yet."""
        return [name for name in self.records if not Path(FOLDER, name, RECORD).is_file()]

    def judge(self) -> Finding:
        """The verdict, or ``OPEN`` with the reason where a record is missing."""
        if self.missing:
            return Finding(OPEN, f"опыт ещё не завершён: {', '.join(self.missing)}")
        return self.measure()


CLAIMS: dict[str, Claim] = {}
"""All claims by their ids, in the order of the ids once everything is imported."""


def claim(id: str, source: str, statement: str, evidence: str, *records: str) -> Callable:
    """Register the decorated function as the measurement of a claim."""

    def register(measure: Callable[[], Finding]) -> Callable[[], Finding]:
        if id in CLAIMS:
            raise ValueError(f"claim {id} is stated twice")
        CLAIMS[id] = Claim(id, source, statement, evidence, records, measure)
        ordered = sorted(CLAIMS.items(), key=lambda item: int(re.sub(r"\D", "", item[0])))
        CLAIMS.clear()
        CLAIMS.update(ordered)
        return measure

    return register


def judged(found: Iterable[Interval | Difference], not_seen: str = REFINED) -> str:
    """One word for "each of these numbers is above zero".

    All above zero: confirmed; all below: refuted; otherwise ``not_seen`` where no interval leaves
    zero out, and refined where they disagree.
    """
    said = {verdict(one) for one in found}
    words = {("holds",): CONFIRMED, ("opposite",): REFUTED, ("not seen",): not_seen}
    return words.get(tuple(said), REFINED)
