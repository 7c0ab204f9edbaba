"""Publication under kill -9: what stands in the place is one whole folder, old or new."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_books import clean_environment, snapshot

from pixgrad.book import publish
from pixgrad.errors import PixgradError

# Publishes version after version, each of many files that all hold the same number.
PUBLISHER = """
import sys
from itertools import count
from pathlib import Path
from pixgrad.book import publish

if sys.argv[2] == "renames":
    publish._exchange = lambda one, other: False
target = Path(sys.argv[1])
for version in count():
    with publish.workshop(target) as workshop:
        new = workshop / "site"
        new.mkdir()
        for page in range(50):
            (new / f"{page}.html").write_text(str(version))
        publish.folder(new, target)
    if version == 0:
        sys.stdout.write("ready\\n")
        sys.stdout.flush()
"""


@pytest.mark.parametrize("means", ["exchange", "renames"])
def test_killed_at_random_moments_leaves_one_whole_folder(tmp_path: Path, means: str) -> None:
    target = tmp_path / "_book"
    moments = random.Random(0)
    versions = set()
    for _ in range(12):
        command = [sys.executable, "-c", PUBLISHER, str(target), means]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment())
        assert process.stdout.readline() == b"ready\n"
        time.sleep(moments.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if means == "renames":  # between its two renames only the next start can help
            publish.recover(target)
        found = snapshot(target)
        assert set(found) == {f"{page}.html" for page in range(50)}
        assert len(set(found.values())) == 1
        versions |= set(found.values())
    assert len(versions) > 1  # the kills did fall into the middle of the work
    publish.recover(target)
    assert [path.name for path in tmp_path.iterdir()] == ["_book"]


def test_second_run_is_refused_while_the_first_works(tmp_path: Path) -> None:
    with (
        publish.workshop(tmp_path / "_book"),
        pytest.raises(PixgradError, match="уже идёт другая сборка"),
        publish.workshop(tmp_path / "_book"),
    ):
        pass
    with publish.workshop(tmp_path / "_book") as free:
        assert free.is_dir()


def test_failure_inside_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "_book"
    target.mkdir()
    (target / "index.html").write_text("old")
    with pytest.raises(ZeroDivisionError), publish.workshop(target) as workshop:
        (workshop / "index.html").write_text("half")
        raise ZeroDivisionError
    assert snapshot(tmp_path) == {"_book/index.html": b"old"}
