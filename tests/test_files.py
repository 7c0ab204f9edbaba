"""Files and folders change in one step: order of the calls, failures, kill -9 at random moments."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tiny_books import clean_environment, snapshot

from pixgrad import files
from pixgrad.errors import PixgradError

# A file ------------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls that make a change durable, as they come."""
    made: list[str] = []

    def watch(name: str, told) -> None:
        real = getattr(os, name)

        def call(*arguments):
            made.append(f"{name} {told(*arguments)}")
            return real(*arguments)

        monkeypatch.setattr(os, name, call)

    watch("fsync", lambda descriptor: Path(f"/proc/self/fd/{descriptor}").readlink().name)
    for name in ("replace", "rename"):
        watch(name, lambda one, other: f"{Path(one).name} {Path(other).name}")
    exchange = files._exchange

    def swap(one: Path, other: Path) -> bool:
        made.append(f"exchange {one.name} {other.name}")
        return exchange(one, other)

    monkeypatch.setattr(files, "_exchange", swap)
    return made


def test_file_reaches_the_disk_before_its_name(tmp_path: Path, calls: list[str]) -> None:
    files.write(tmp_path / "folder" / "a", "ё\r\n")
    assert (tmp_path / "folder" / "a").read_bytes() == b"\xd1\x91\r\n"
    temporary = f".a.{os.getpid()}.pixgrad-tmp"
    assert calls == [f"fsync {temporary}", f"replace {temporary} a", "fsync folder"]


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_failed_writing_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type, name: str
) -> None:
    def fail(*arguments):
        raise error

    path = tmp_path / "a"
    files.write(path, b"old")
    monkeypatch.setattr(os, name, fail)
    with pytest.raises(error):
        files.write(path, b"new")
    assert snapshot(tmp_path) == {"a": b"old"}


def test_leftovers_go_and_files_being_written_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leftover = tmp_path / ".a.1.pixgrad-tmp"
    leftover.write_bytes(b"half")
    (tmp_path / ".b.1.pixgrad-tmp" / "inner").mkdir(parents=True)
    foreign = [tmp_path / name for name in (".a.tmp", "a.1.pixgrad-tmp", ".pixgrad")]
    for path in foreign:
        path.write_bytes(b"foreign")
    real = os.fsync

    def clean(descriptor: int) -> None:  # another process starts meanwhile
        real(descriptor)
        files.clean(tmp_path, tmp_path / "absent")

    monkeypatch.setattr(os, "fsync", clean)
    files.write(tmp_path / "c", memoryview(b"new"))
    assert sorted(tmp_path.iterdir()) == sorted([*foreign, tmp_path / "c"])


# A folder ----------------------------------------------------------------------------------------


@pytest.fixture(params=["exchange", "renames"])
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With and without a system that can swap two folders."""
    if request.param == "renames":
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    return request.param


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def fill(folder: Path, content: str) -> None:
    files.write(folder / "inner" / "a", content)
    files.write(folder / "b", content)


def test_folder_reaches_the_disk_before_its_name(tmp_path: Path, calls: list[str]) -> None:
    fill(tmp_path / "new", "new")
    fill(tmp_path / "target", "old")
    del calls[:]
    files.replace_folder(tmp_path / "new", tmp_path / "target")
    swap = calls.index("exchange new target")
    assert sorted(calls[:swap]) == ["fsync a", "fsync b", "fsync inner", "fsync new"]
    assert calls[swap + 1 :] == [f"fsync {tmp_path.name}"]
    assert snapshot(tmp_path / "target") == {"b": b"new", "inner/a": b"new"}
    assert snapshot(tmp_path / "new") == {"b": b"old", "inner/a": b"old"}


def test_folder_is_replaced_whole(tmp_path: Path, means: str) -> None:
    target = tmp_path / "place" / "target"
    for content in ("old", "new"):
        with files.replacing(target) as new:
            fill(new, content)
        assert snapshot(tmp_path) == {
            f"place/target/{name}": content.encode() for name in ("b", "inner/a")
        }


def test_failed_block_leaves_the_old_folder(tmp_path: Path, means: str) -> None:
    fill(tmp_path / "target", "old")
    before = snapshot(tmp_path)
    with pytest.raises(ZeroDivisionError), files.replacing(tmp_path / "target") as new:
        fill(new, "half")
        raise ZeroDivisionError
    assert snapshot(tmp_path) == before
    assert names(tmp_path) == ["target"]


@pytest.mark.parametrize("failing", [1, 2])
def test_failed_rename_brings_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    fill(tmp_path / "target", "old")
    before = snapshot(tmp_path)
    real, made = os.rename, []

    def rename(one, other) -> None:
        made.append(one)
        if len(made) == failing:
            raise OSError(5, "no")
        real(one, other)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(OSError, match="no"), files.replacing(tmp_path / "target") as new:
        fill(new, "new")
    assert snapshot(tmp_path) == before
    assert names(tmp_path) == ["target"]


def test_old_folder_that_cannot_come_back_is_kept_for_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    target = tmp_path / "target"
    fill(target, "old")
    before = snapshot(tmp_path)
    real = os.rename

    def rename(one, other) -> None:
        if Path(other) == target:
            raise OSError(5, "no")
        real(one, other)

    with monkeypatch.context() as broken:
        broken.setattr(os, "rename", rename)
        with pytest.raises(OSError, match="no"), files.replacing(target) as new:
            fill(new, "new")
    assert not target.exists()
    files.recover(target)
    assert snapshot(tmp_path) == before
    assert names(tmp_path) == ["target"]


def test_removed_folder_is_gone_or_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    files.remove_folder(folder)
    fill(folder, "old")
    with monkeypatch.context() as stopped:  # as if killed: nothing is removed
        stopped.setattr(files.shutil, "rmtree", lambda *arguments, **options: None)
        files.remove_folder(folder)
    assert not folder.exists() and names(tmp_path)
    files.clean(tmp_path)
    assert not names(tmp_path)


# Publishes version after version, each of many files that all hold the same number.
PUBLISHER = """
import sys
from itertools import count
from pathlib import Path
from pixgrad import files

if sys.argv[2] == "renames":
    files._exchange = lambda one, other: False
target = Path(sys.argv[1])
for version in count():
    with files.replacing(target) as new:
        for page in range(50):
            (new / f"{page}.html").write_text(str(version))
    sys.stdout.write("published\\n")
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
        for _ in range(moments.randint(1, 4)):
            assert process.stdout.readline() == b"published\n"
        time.sleep(moments.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if means == "renames":  # between its two renames only the next start can help
            files.recover(target)
        found = snapshot(target)
        assert set(found) == {f"{page}.html" for page in range(50)}
        assert len(set(found.values())) == 1
        versions |= set(found.values())
    assert len(versions) > 1  # the kills did fall into the middle of the work
    files.recover(target)
    assert names(tmp_path) == ["_book"]


# Locks -------------------------------------------------------------------------------------------


def test_second_process_is_refused_while_the_first_works(tmp_path: Path) -> None:
    with (
        files.workshop(tmp_path / "_book"),
        pytest.raises(PixgradError, match="уже идёт другая сборка"),
        files.workshop(tmp_path / "_book"),
    ):
        pass
    with files.workshop(tmp_path / "_book") as free:
        assert free.is_dir()


def test_results_wait_for_those_of_another(tmp_path: Path) -> None:
    def publish() -> None:
        with files.replacing(tmp_path / "two") as new:
            fill(new, "two")

    other = threading.Thread(target=publish)
    with files.replacing(tmp_path / "one") as new:
        fill(new, "one")
        other.start()
        other.join(0.2)
        assert other.is_alive() and not (tmp_path / "two").exists()
    other.join()
    assert sorted(names(tmp_path)) == ["one", "two"]
