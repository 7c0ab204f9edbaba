"""Much of everything, and little room: nothing is lost, time and memory of a chapter stay flat.

Kills and errors at each single file operation: ``test_crash.py``; a kernel that dies:
``test_freeze.py``; workers of experiments: ``test_workers.py``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from tiny_books import cell, chapter, clean_environment, snapshot, write, write_book

from pixgrad.book import render
from pixgrad.book.executing import execute, freeze
from pixgrad.book.ledger.ledger import Ledger
from pixgrad.book.rendering import pandoc
from pixgrad.errors import PixgradError

FEW, MANY = 20, 200
"""Chapters."""
SHORT, LONG = 500, 5000
"""Lines of a chapter."""
MEASURED = """
import json, os, resource, sys
from pixgrad.book.executing.freeze import freeze_book
from pixgrad.book.render import render_book

root, formats = sys.argv[1], sys.argv[2].split(",")
freeze_book(root)
frozen = sum(os.times()[:4])
render_book(root, engine="pandoc", formats=formats)
whole = sum(os.times()[:4])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"freeze": frozen, "render": whole - frozen, "peak": peak * 1024}))
"""


def measured(root: Path, formats: str = "html,pdf") -> dict[str, float]:
    """Processor seconds of freeze and render, children included; peak bytes of the process."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(root), formats],
        env=clean_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def flat(few: float, many: float, times: int) -> bool:
    """Whether so many times the work costs so many times the few, half as much again at most."""
    return many <= 1.5 * times * few


@pytest.mark.slow
def test_time_and_memory_of_200_chapters_are_those_of_20(tmp_path, record_property):
    found = {}
    for count in (FEW, MANY):
        chapters = {
            f"{n:03}.qmd": chapter(
                f"Глава {n} {{#sec-{n}}}",
                f"Формула $x^{n}$ и глава [-@sec-{(n + 1) % count}].\n",
                cell(f"{n} + 1"),
            )
            for n in range(count)
        }
        root = write_book(tmp_path / str(count), chapters)
        found[count] = measured(root)
        pages = {path.name for path in (root / "_book").glob("???.html")}
        assert len(pages - {"404.html"}) == count
        for n in range(count):
            assert str(n + 1) in (root / "_book" / f"{n:03}.html").read_text("utf-8")
        assert len(Ledger(root).records) == count
    record_property("told", json.dumps(found))
    few, many = found[FEW], found[MANY]
    for step in ("freeze", "render"):
        assert flat(few[step], many[step], MANY // FEW), found
    assert (many["peak"] - few["peak"]) / (MANY - FEW) < 2 * 2**20, found


@pytest.mark.slow
def test_time_and_memory_of_5000_lines_are_those_of_500(tmp_path, record_property):
    found = {}
    for lines in (SHORT, LONG):
        blocks = [
            f"## Раздел {n} {{#sec-{n}}}\n\nТекст, формула $a_{{{n}}} = \\frac{{1}}{{{n + 1}}}$ "
            f"и раздел [-@sec-{n // 2}].\n\n- пункт\n- ещё пункт\n\n"
            f"| а | б |\n|---|---|\n| 1 | {n} |\n"
            for n in range(lines // 12)
        ]
        text = chapter("Длинная глава", *blocks)
        assert abs(text.count("\n") - lines) < lines / 10
        root = write_book(tmp_path / str(lines), {"long.qmd": text})
        found[lines] = measured(root)
        page = (root / "_book" / "long.html").read_text("utf-8")
        assert len(re.findall(r'<section id="sec-\d+"|<h2[^>]*id="sec-\d+"', page)) == lines // 12
    record_property("told", json.dumps(found))
    assert flat(found[SHORT]["render"], found[LONG]["render"], LONG // SHORT), found
    assert (found[LONG]["peak"] - found[SHORT]["peak"]) / (LONG - SHORT) < 100 * 2**10, found


# Little room ---------------------------------------------------------------------------------


@pytest.fixture
def book(tmp_path) -> Path:
    chapters = {name: chapter(name, "Прежний текст.\n") for name in ("a.qmd", "b.qmd")}
    return write_book(tmp_path / "book", chapters)


@contextmanager
def mounted(*arguments: str | Path) -> Iterator[None]:
    """A mount for the time of the block."""
    place = str(arguments[-1])
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be written below the folder, by anyone."""
    if os.geteuid():
        subprocess.run(["chmod", "-R", "a-w", str(folder)], check=True)
        try:
            yield
        finally:
            subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
        return
    with mounted("--bind", folder, folder):
        remount = ["mount", "-o", "remount,ro,bind", str(folder)]
        subprocess.run(remount, check=True)
        yield


@pytest.mark.skipif(sys.platform == "win32", reason="mount or chmod")
def test_read_only_checkout_is_checked_and_its_book_stays(book):
    render.render_book(book, engine="pandoc", formats=["html"])
    before = snapshot(book)
    for file in book.glob("*.qmd"):
        os.utime(file, (1, 1))  # old enough to be remembered
    with read_only(book):
        freeze.freeze_book(book, check=True)
        with pytest.raises(OSError, match=r"Read-only file system|Permission denied"):
            render.render_book(book, engine="pandoc", formats=["html"])
        assert snapshot(book) == before
    write(book / "a.qmd", chapter("А", "Новый текст.\n"))
    render.render_book(book, engine="pandoc", formats=["html"])
    assert "Новый текст" in (book / "_book" / "a.html").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tmpfs")
def test_full_disk_leaves_the_book_whole_and_room_lets_it_go_on(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted("-t", "tmpfs", "-o", "size=12m", "tmpfs", disk):
        root = write_book(disk / "book", {"a.qmd": chapter("А", "Прежний текст.\n")})
        render.render_book(root, engine="pandoc", formats=["html"])
        before = snapshot(root / "_book")
        write(root / "a.qmd", chapter("А", "Новый текст.\n"))
        filler = disk / "filler"
        with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with pytest.raises((OSError, PixgradError)):
            render.render_book(root, engine="pandoc", formats=["html"])
        assert snapshot(root / "_book") == before
        filler.unlink()
        render.render_book(root, engine="pandoc", formats=["html"])
        assert "Новый текст" in (root / "_book" / "a.html").read_text("utf-8")
        assert not list(root.glob("_book.*"))


@pytest.mark.slow
def test_of_two_renders_at_once_the_second_waits_or_is_refused(book):
    command = [sys.executable, "-m", "pixgrad", "render", "--engine", "pandoc", "--to", "html"]
    both = [
        subprocess.Popen(
            [*command, "--project", str(book)], env=clean_environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [one.communicate() for one in both]
    codes = sorted(one.returncode for one in both)
    assert codes in ([0, 0], [0, 1]), said
    for one, (_, errors) in zip(both, said, strict=True):
        assert one.returncode == 0 or "уже идёт другая сборка" in errors
    assert "Прежний текст" in (book / "_book" / "b.html").read_text("utf-8")
    assert not list(book.glob("_book.*"))


def test_killed_pandoc_is_told_and_the_book_stays(book, tmp_path, monkeypatch):
    render.render_book(book, engine="pandoc", formats=["html"])
    before = snapshot(book / "_book")
    victim = tmp_path / "pandoc"
    write(victim, "#!/bin/sh\nkill -9 $$\n")
    victim.chmod(0o755)
    write(book / "b.qmd", chapter("Б", "Новый текст.\n"))
    monkeypatch.setattr(pandoc, "executable", lambda: str(victim))
    with pytest.raises(PixgradError, match="pandoc убит сигналом 9"):
        render.render_book(book, engine="pandoc", formats=["html"])
    assert snapshot(book / "_book") == before


# A clock that is put back --------------------------------------------------------------------


def test_start_of_an_execution_moves_with_the_clock(monkeypatch):
    now = SimpleNamespace(wall=10_000, counted=500)
    clock = SimpleNamespace(time_ns=lambda: now.wall, monotonic_ns=lambda: now.counted)
    monkeypatch.setattr(execute, "time", clock)
    started = clock.time_ns(), clock.monotonic_ns()
    now.wall, now.counted = 10_300, 800
    assert execute.began(*started) == 10_000
    now.wall = 4_000  # two hours back, as it were; 300 have passed all the same
    assert execute.began(*started) == 3_700


@pytest.mark.slow
def test_file_edited_while_the_clock_goes_back_leaves_its_chapter_stale(tmp_path, monkeypatch):
    """The chapter starts "in an hour"; while it runs, the clock goes back and a module changes."""
    source = 'import mod\nfrom pathlib import Path\nPath("code/mod.py").touch()\nmod.x'
    root = write_book(
        tmp_path / "book", {"a.qmd": chapter("А", cell(source))}, {"code/mod.py": "x = 1\n"}
    )
    import time

    ahead = [3600 * 10**9]
    clock = SimpleNamespace(
        time_ns=lambda: time.time_ns() + (ahead.pop() if ahead else 0),
        monotonic_ns=time.monotonic_ns,
    )
    monkeypatch.setattr(execute, "time", clock)
    freeze.freeze_book(root)
    (state,) = Ledger(root).assess(["a.qmd"])
    assert state.cause == "code/mod.py"


def test_edit_dated_before_the_last_one_is_seen(book):
    render.render_book(book, engine="pandoc", formats=["html"])
    write(book / "a.qmd", chapter("a.qmd", "Прошлый текст.\n"))  # of the same length
    os.utime(book / "a.qmd", (1, 1))
    render.render_book(book, engine="pandoc", formats=["html"])
    assert "Прошлый текст" in (book / "_book" / "a.html").read_text("utf-8")
