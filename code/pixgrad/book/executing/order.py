"""In which order chapters are executed, where one reads what another writes.

What a chapter reads and writes is known once it has been executed. So one that failed, or has read
what another wrote later, is executed again after the writer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from pixgrad.book.ledger.dependencies import shown
from pixgrad.book.ledger.ledger import STALE, Ledger, State
from pixgrad.errors import PixgradError

_MOST_TIMES = 3

Round = Callable[[Sequence[State]], dict[str, PixgradError]]
"""Executes chapters side by side; gives the errors of those that failed."""


def execute(
    ledger: Ledger, chapters: Sequence[str], stale: Sequence[State], run_round: Round
) -> None:
    """Execute the stale chapters, and those that become so because of them.

    Parameters
    ----------
    chapters : all that are looked at, in the order of the book.

    Raises
    ------
    PixgradError : what failed; a chapter reads what a later one writes; two spoil each other.
    """
    todo = {state.chapter: state for state in stale}
    place = {chapter: number for number, chapter in enumerate(chapters)}
    times: Counter[str] = Counter()
    failures: dict[str, PixgradError] = {}
    while todo:
        ready = [one for one in todo.values() if not ledger.writers(one.chapter) & todo.keys()]
        ready = ready or [next(iter(todo.values()))]
        errors = run_round(ready)
        done = {state.chapter for state in ready} - errors.keys()
        wrote = [chapter for chapter in done if ledger.records[chapter].get("writes")]
        for state in ready:
            chapter = state.chapter
            times[chapter] += 1
            is_early = any(place[one] < place[chapter] for one in wrote)
            if chapter not in errors or not (times[chapter] == 1 and is_early):
                del todo[chapter]
            if chapter in errors and chapter not in todo:
                failures[chapter] = errors[chapter]
        for state in ledger.assess(chapters) if wrote else ():
            chapter = state.chapter
            if state.status != STALE or not ledger.writers(chapter) & done:
                continue
            if times[chapter] < _MOST_TIMES:
                todo.setdefault(chapter, state)
            else:
                failures[chapter] = PixgradError(
                    f"{chapter}: исполнена {_MOST_TIMES} раза и снова устарела ({state.cause}): "
                    "главы переписывают файлы друг друга"
                )
    failures |= _backwards(ledger, place, times.keys() - failures.keys())
    if len(failures) == 1:
        raise next(iter(failures.values()))
    if failures:
        listed = "\n".join(str(failure) for failure in failures.values())
        raise PixgradError(f"не исполнено глав: {len(failures)}\n{listed}")


def _backwards(
    ledger: Ledger, place: Mapping[str, int], executed: Iterable[str]
) -> dict[str, PixgradError]:
    """Chapters that read what a later one writes: in a clean copy the book cannot be made."""
    found = {}
    for chapter in executed:
        for writer in ledger.writers(chapter):
            files = ledger.records[writer]["writes"].keys() & ledger.records[chapter]["files"]
            if place.get(writer, -1) > place[chapter]:
                found[chapter] = PixgradError(
                    f"{chapter}: читает {shown(min(files))}, а пишет его {writer}, ниже по книге; "
                    "переставьте главы"
                )
    return found
