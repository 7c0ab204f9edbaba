"""What the tests of the book share."""

from __future__ import annotations

import functools
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixgrad.book.rendering import fonts

READ_AS_THEY_ARE = ("test_fonts", "test_reading", "test_site")
"""Tests that look at the letters."""

_cut = fonts._subset


@functools.cache
def _cut_once(path: Path) -> bytes:
    return _cut(path, [*string.ascii_letters])


@pytest.fixture(scope="module", autouse=True)
def few_letters(request: pytest.FixtureRequest) -> Iterator[None]:
    """Cutting the fonts takes nine tenths of building a tiny book: one cut serves all of them."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.stem not in READ_AS_THEY_ARE:
            patch.setattr(fonts, "_subset", lambda path, characters: _cut_once(path))
        yield


@pytest.fixture
def surroundings(monkeypatch):
    """No cache, data or modules of whoever runs the tests."""
    for name in ("JUPYTERCACHE", "PIXGRAD_DATA", "PYTHONPATH", "MPLBACKEND"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def executed(monkeypatch, surroundings):
    """Names of the chapters for which a kernel was started."""
    from pixgrad.book.executing import execute

    started = []
    run = execute.run

    async def counting(job, *arguments):
        started.append(job.chapter)
        return await run(job, *arguments)

    monkeypatch.setattr(execute, "run", counting)
    return started
