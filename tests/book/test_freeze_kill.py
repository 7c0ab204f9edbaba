"""A killed freeze leaves each chapter wholly old or wholly new: by really killing it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_books import cell, chapter, clean_environment, pixgrad, snapshot, write, write_book

from pixgrad import files
from pixgrad.book.ledger import qmd
from pixgrad.book.ledger.frozen import FIGURES
from pixgrad.book.ledger.ledger import FRESH, PROSE, STALE, Ledger

NAME = "chapters/a.qmd"
OLD = chapter("А", cell("1"), "Старый текст.\n")
NEW_CELL = chapter("А", cell("2"), "Старый текст.\n")
NEW_PROSE = chapter("А", cell("1"), "Новый текст.\n")


def put(ledger: Ledger, **files: str) -> None:
    """Write results as after an execution, without executing: they name the chapter's cell."""
    document = qmd.read(ledger.root / NAME)
    source = document.cells[0].source
    ledger.put(
        NAME,
        document,
        {"html": [f"::: {{.cell}}\n{source}\n:::\n\n\n"], "typ": [f"{source} typ\n\n\n"]},
        {
            f"{folder}/cell-1-output-{number}.svg": source.encode() * 9
            for folder in FIGURES.values()
            for number in (1, 2)
        },
        {"files": files, "listings": {}, "sources": {}},
    )


def results(root: Path) -> dict[str, bytes]:
    return snapshot(root / "_freeze" / "chapters" / "a")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
@pytest.mark.parametrize(
    ("before", "after", "what"),
    [(None, OLD, "cells"), (OLD, NEW_CELL, "cells"), (OLD, NEW_PROSE, "prose")],
    ids=["first", "cells", "prose"],
)
def test_killed_at_every_step_of_writing_a_chapter(
    tmp_path, monkeypatch, before, after, what, exchange
):
    """The process kills itself before its n-th change of the file system, for every n."""
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    start = write_book(tmp_path / "start", {NAME: before or after})
    old: dict[str, bytes] = {}
    if before:
        with Ledger.writing(start) as ledger:
            put(ledger)
        old = results(start)
        write(start / NAME, after)
    shutil.copytree(start, tmp_path / "unbroken")
    assert _write_and_die(tmp_path / "unbroken", 10**6, what)
    new = results(tmp_path / "unbroken")
    assert new != old
    steps_to_old = steps_to_new = 0
    for step in range(1, 100):
        root = tmp_path / f"book{step}"
        shutil.copytree(start, root)
        finished = _write_and_die(root, step, what)
        left = results(root)
        if exchange:
            assert left in (old, new)  # not even before the recovery is a half seen
        with Ledger.writing(root):
            recovered = results(root)
        state = Ledger(root).assess([NAME])[0]
        if state.status == FRESH:
            steps_to_new += 1
            assert recovered == new
        else:
            steps_to_old += 1
            assert not steps_to_new, "a finished chapter went back"
            assert recovered == old
            assert state.status == (PROSE if what == "prose" else STALE)
        assert set(snapshot(root / "_freeze")) - {"pixgrad.json"} == {
            f"chapters/a/{name}" for name in recovered
        }
        shutil.rmtree(root)
        if finished:
            break
    assert finished and steps_to_old > 10 and steps_to_new > 1


def _write_and_die(root: Path, step: int, what: str) -> bool:
    """Write in a child process that kills itself at ``step``; whether it came to the end."""
    child = os.fork()
    if child == 0:
        try:
            sys.addaudithook(_killer(step))
            with Ledger.writing(root) as ledger:
                if what == "prose":
                    ledger.put_prose(NAME, qmd.read(root / NAME))
                else:
                    put(ledger)
            os._exit(0)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code == 0


def _killer(step: int):
    """An audit hook that kills the process before its ``step``-th change of the file system."""
    left = step
    changes = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "ctypes.dlopen",
               "ctypes.call_function", "ctypes.dlsym", "shutil.rmtree"}  # fmt: skip

    def hook(event, args):
        nonlocal left
        writing = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR)
        if writing or event in changes:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return hook


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.slow
def test_killed_at_random_moments_of_a_whole_freeze(tmp_path):
    pytest.importorskip("nbclient", reason="executing chapters needs pixgrad[compute]")
    names = [f"chapters/{letter}.qmd" for letter in "abcd"]
    root = write_book(
        tmp_path / "book",
        {
            name: chapter("Глава", cell(f"print({number}, 'old')"))
            for number, name in enumerate(names)
        },
    )
    assert pixgrad(root, "freeze").returncode == 0
    old = snapshot(root / "_freeze")
    for number, name in enumerate(names):
        write(root / name, chapter("Глава", cell(f"print({number}, 'new')")))
    shutil.copytree(root, tmp_path / "unbroken")
    start = time.monotonic()
    assert pixgrad(tmp_path / "unbroken", "freeze").returncode == 0
    duration = time.monotonic() - start
    new = snapshot(tmp_path / "unbroken" / "_freeze")
    moments = random.Random(20)
    finished: set[str] = set()
    for _ in range(2):  # every single operation: tests/test_crash.py
        process = subprocess.Popen(
            [sys.executable, "-m", "pixgrad", "freeze", "--project", str(root)],
            env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(moments.uniform(0.2, 1.0) * duration)
        process.kill()
        process.wait()
        now = snapshot(root / "_freeze")
        for name in names:
            folder = name.removesuffix(".qmd") + "/"
            ours, olds, news = (
                {path: data for path, data in files.items() if path.startswith(folder)}
                for files in (now, old, new)
            )
            assert ours == (news if name in finished else ours if ours in (olds, news) else news)
            if ours == news:
                finished.add(name)
    assert pixgrad(root, "freeze").returncode == 0
    assert snapshot(root / "_freeze") == new
