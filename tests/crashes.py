"""Make one file operation of a process fail: with an error, or by SIGKILL just before or after it.

``sweep`` runs a command once for every operation: in a child that is forked from a process where
all modules are loaded, so that a try costs little more than the command's own work.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import importlib
import io
import math
import os
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pixgrad import cli, files

HOWS = ("error", "before", "after")
"""What happens at the operation: an OSError; SIGKILL before it; SIGKILL after it."""
SINGLE = ("mkdir", "rmdir", "unlink", "remove")
DOUBLE = ("rename", "replace", "link", "symlink")
_LEFTOVER = re.compile(r"\.pixgrad-tmp(/|$)|\.new-\w{8}(/|$)")

Contents = dict[str, Any]
"""Name -> content of each file below a folder; None stands for a folder."""


@dataclass
class Command:
    """A command that is to survive everything.

    Attributes
    ----------
    arguments : of ``pixgrad``.
    root : the folder it works in, in the state before it.
    unit : name of a file -> what changes in one step with it, None for what may be lost (caches).
    recover : what the next start does first; brings back what waits between two renames.
    settle : makes contents comparable, where they hold times.
    arrange : in the child, before the command.
    """

    arguments: list[str]
    root: Path
    unit: Callable[[str], str | None]
    recover: Callable[[Path], None] = lambda root: None
    settle: Callable[[str, bytes], Any] = lambda name, content: content
    arrange: Callable[[], None] = lambda: None
    unkept: Callable[[str], bool] = lambda name: False
    said: str = field(default="", init=False)


class Faults:
    """Counts the file operations below a folder and lets one of them fail."""

    def __init__(self, root: Path, point: int = 0, how: str = "", exchange: bool = True) -> None:
        self.root, self.point, self.how, self.exchange = str(root), point, how, exchange
        self.made: list[str] = []

    def install(self) -> None:
        """Watch this process from now on."""
        io.open = builtins.open = self._opener(io.open)
        os.open = self._descriptor_opener(os.open)
        os.fsync = self._by_descriptor("fsync", os.fsync)
        os.sendfile = self._by_descriptor("write", os.sendfile)
        for name in SINGLE:
            setattr(os, name, self._by_path(name, getattr(os, name)))
        for name in DOUBLE:
            setattr(os, name, self._by_two_paths(name, getattr(os, name)))
        real = files._exchange if self.exchange else lambda one, other: False

        def exchange(one: Path, other: Path) -> bool:
            return self.hit("exchange", other, lambda: real(one, other), refuse=lambda: False)

        files._exchange = exchange

    def hit(self, name: str, path: Any, perform: Callable, refuse: Callable | None = None) -> Any:
        """Perform an operation, or what is to happen in its place."""
        path = str(Path(os.fsdecode(path)).absolute())
        if not path.startswith(self.root + os.sep):
            return perform()
        self.made.append(f"{name} {os.path.relpath(path, self.root)}")
        if len(self.made) != self.point:
            return perform()
        if self.how == "error":
            if refuse:
                return refuse()
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        try:
            return perform() if self.how == "after" else None
        finally:
            os.kill(os.getpid(), signal.SIGKILL)

    def _opener(self, real: Callable) -> Callable:
        faults = self

        class Raw(io.FileIO):
            def write(self, data: Any) -> int:
                view, place = memoryview(data).cast("B"), _named(self.name)

                def half() -> int:  # a full disk takes a part
                    super(Raw, self).write(view[: len(view) // 2])
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)

                return faults.hit("write", place, lambda: super(Raw, self).write(view), half)

        def opened(
            file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True,
            opener=None,
        ):  # fmt: skip
            place = _named(file)
            if not set(mode) & set("wax+") or not place.startswith(self.root + os.sep):
                return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
            binary = mode.replace("t", "").replace("b", "")
            raw = self.hit("open", place, lambda: Raw(file, binary, closefd, opener))
            buffered = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
            if "b" in mode:
                return buffered
            return io.TextIOWrapper(buffered, encoding or "utf-8", errors, newline)

        return opened

    def _descriptor_opener(self, real: Callable) -> Callable:
        def opened(path, flags, *arguments, **options):
            def perform():
                return real(path, flags, *arguments, **options)

            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            return self.hit("open", path, perform) if writes else perform()

        return opened

    def _by_descriptor(self, name: str, real: Callable) -> Callable:
        return lambda one, *more: self.hit(name, _named(one), lambda: real(one, *more))

    def _by_path(self, name: str, real: Callable) -> Callable:
        def call(path, *arguments, **options):
            place = Path(_named(options["dir_fd"]), path) if options.get("dir_fd") else path
            return self.hit(name, place, lambda: real(path, *arguments, **options))

        return call

    def _by_two_paths(self, name: str, real: Callable) -> Callable:
        return lambda one, two, **options: self.hit(name, two, lambda: real(one, two, **options))


def _named(file: Any) -> str:
    """The path of a file that is given by its path or by its descriptor."""
    if isinstance(file, int):
        return str(Path(f"/proc/self/fd/{file}").readlink())  # "pipe:[12]" for what is no file
    return str(Path(os.fsdecode(file)).absolute())


def attempt(command: Command, faults: Faults, said: Path) -> int:
    """Run the command in a child; its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.chdir(command.root)
            for number in (1, 2):
                os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            command.arrange()
            faults.install()
            code = _call(command.arguments)
            said.with_suffix(".made").write_text("\n".join(faults.made), "utf-8")
            said.with_suffix(".modules").write_text("\n".join(sys.modules), "utf-8")
        finally:
            os._exit(code)  # without what is registered to be done at the end
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    command.said = said.read_text("utf-8", "replace")
    return code


def _call(arguments: list[str]) -> int:
    sys.argv = ["pixgrad", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
            return 1
        return end.code or 0
    except BaseException:
        import traceback

        traceback.print_exc()
        return 98
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def sweep(command: Command, work: Path, exchange: bool, sample: int | None) -> Counter[str]:
    """Let every operation of the command fail in every way, and look what is left each time.

    Parameters
    ----------
    work : an empty folder outside of the command's own.
    exchange : whether two folders can be exchanged in one step.
    sample : about how many operations to try, in one way each; None — all of them in all ways.

    Returns
    -------
    How often each way was tried, and the operations that there are under "points".

    Raises
    ------
    AssertionError : something was lost or left over, or the message is wrong; says where.
    """
    start, said = work / "start", work / "said.txt"
    shutil.copytree(command.root, start, symlinks=True)
    old = contents(command.root, command.settle)
    for _ in range(2):  # the first time other programs are asked
        _restore(start, command.root)
        code = attempt(command, Faults(command.root, exchange=exchange), said)
        assert code == 0, command.said
    for name in said.with_suffix(".modules").read_text("utf-8").split("\n"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)  # once, and not in every child
    made = said.with_suffix(".made").read_text("utf-8").split("\n")
    new = contents(command.root, command.settle)
    assert _units(new, command) != _units(old, command), "the command changes nothing"
    tried = Counter(points=len(made))
    for point, how in _chosen(made, sample):
        tried[how] += 1
        _restore(start, command.root)
        code = attempt(command, Faults(command.root, point, how, exchange), said)
        operation = f"{how} {made[point - 1]} ({point} of {len(made)})"
        where = f"{' '.join(command.arguments)}: {operation}, exit {code}: {command.said}"
        try:
            _judge(command, code, how, exchange, old, new)
            code = attempt(command, Faults(command.root), said)
            assert code == 0, f"the next start: exit {code}: {command.said}"
            _compare_whole(command, new)
        except AssertionError as error:
            raise AssertionError(f"{where}\n{error}") from None
    _restore(start, command.root)
    return tried


def _chosen(made: Sequence[str], sample: int | None) -> Iterator[tuple[int, str]]:
    """Operations and ways; in a sample those that change names come first."""
    points = range(1, len(made) + 1)
    if sample is None:
        yield from ((point, how) for point in points for how in HOWS)
        return
    decisive = [p for p in points if made[p - 1].split()[0] in ("exchange", "rename", "replace")]
    for chosen, count in ((decisive, sample // 2), (points, sample - sample // 2)):
        every = max(1, math.ceil(len(chosen) / count))
        yield from ((point, HOWS[place % 3]) for place, point in enumerate(chosen[::every]))


def _judge(
    command: Command, code: int, how: str, exchange: bool, old: Contents, new: Contents
) -> None:
    if how == "error":
        _judge_message(command, code, old, new)
    else:
        assert code == -signal.SIGKILL
    if how == "error" or exchange:  # at every moment
        _compare_units(command, old, new)
    command.recover(command.root)
    _compare_units(command, old, new)


def _judge_message(command: Command, code: int, old: Contents, new: Contents) -> None:
    now = _units(contents(command.root, command.settle), command)
    if code == 0:
        assert now == _units(new, command), "it reports success"
        return
    assert code == 1, "no exit code of ours"
    assert "Traceback" not in command.said
    lines = command.said.rstrip().split("\n")
    assert lines[-1].startswith("pixgrad: "), "no clear line"
    assert not any(line.startswith("pixgrad: ") for line in lines[:-1]), "more than one line"
    if re.search(r"цел[аы]|не тронут", lines[-1]):
        assert now == _units(old, command), "the message is not true"


def _compare_units(command: Command, old: Contents, new: Contents) -> None:
    before, after = _units(old, command), _units(new, command)
    now = _units(contents(command.root, command.settle), command)
    for unit in before.keys() | after.keys() | now.keys():
        found = now.get(unit, {})
        if found not in (before.get(unit, {}), after.get(unit, {})):
            raise AssertionError(f"{unit} is neither old nor new: {_listed(found)}")


def _compare_whole(command: Command, new: Contents) -> None:
    now = contents(command.root, command.settle)
    assert _units(now, command) == _units(new, command), "the next start makes other files"
    names = {name for name in now.keys() ^ new.keys() if not command.unkept(name)}
    assert not names, f"left over or missing after the next start: {sorted(names)}"


def _units(found: Contents, command: Command) -> dict[str, Contents]:
    units: dict[str, Contents] = {}
    for name, content in found.items():
        unit = command.unit(name)
        if unit and content is not None and not _LEFTOVER.search(name):
            units.setdefault(unit, {})[name] = content
    return units


def _listed(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} ({len(str(content))})" for name, content in found.items()) or "absent"


def contents(folder: Path, settle: Callable[[str, bytes], Any]) -> Contents:
    """Every file below a folder, links as they are, and its folders."""
    return dict(_contents(folder, settle))


def _contents(folder: Path, settle: Callable[[str, bytes], Any]) -> Iterator[tuple[str, Any]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield name, str(path.readlink())
        else:
            yield name, settle(name, path.read_bytes()) if path.is_file() else None


def _restore(start: Path, root: Path) -> None:
    shutil.rmtree(root)
    shutil.copytree(start, root, symlinks=True)
