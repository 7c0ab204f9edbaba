"""What exactness to the function saves: the last commits replayed, nothing executed.

For each commit that touched ``code/``, from git's objects alone: which chapters have to be executed
again if a chapter depends on the files of the modules it imports, and which if it depends on the
units that its cells reach. Chapters whose cells changed count in both.

    python benchmarks/exactness.py [--commits 120]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from functools import cache
from pathlib import Path

from pixgrad.book.ledger import qmd
from pixgrad.book.ledger.reach import reach, static_modules
from pixgrad.book.ledger.units import Module
from pixgrad.errors import PixgradError

ROOT = Path(__file__).parent.parent
SECONDS = {
    "sift-opencv": 10.1, "sift-anatomy": 13.0, "sift-backprop": 11.7, "matching": 10.0,
    "backprop": 4.6, "numpy-cnn": 4.7, "optimisers": 7.4, "convolution": 5.9,
    "architectures": 7.1, "regularisation": 3.6, "compression": 5.1, "cnn-resnet": 4.8,
    "vanishing-gradients": 11.3, "resnet50-adam": 19.5, "vit": 4.3, "ssd": 3.3, "spinenet": 5.6,
    "ablation": 2.8, "conclusions": 1.1, "answers": 4.2, "questions": 1.8, "index": 1.9,
    "README": 3.0,
}  # fmt: skip
"""Processor seconds of the cells of each chapter, one thread, without the start of the kernel."""


class Tree:
    """The modules and chapters of one commit."""

    def __init__(self, commit: str) -> None:
        listed = _git("ls-tree", "-r", "-z", commit, "code", "chapters", "index.qmd", "reports")
        rows = (row.split("\t") for row in listed.split("\0") if row)
        self.blobs = {path: entry.split()[2] for entry, path in rows}

    def load(self, name: str) -> Module | None:
        stem = "code/" + name.replace(".", "/")
        for path, is_package in ((f"{stem}/__init__.py", True), (f"{stem}.py", False)):
            if path in self.blobs:
                return _module(name, self.blobs[path], is_package)
        return None

    def check(self) -> None:
        """
        Raises
        ------
        SyntaxError : a module is no Python.
        """
        for path in self.blobs:
            if path.startswith("code/") and path.endswith(".py"):
                self.load(path[5:-3].removesuffix("/__init__").replace("/", "."))

    def chapters(self) -> dict[str, tuple[str, ...]]:
        """Chapter -> its cells."""
        found = {p: _cells(b) for p, b in self.blobs.items() if p.endswith(".qmd")}
        return {path: cells for path, cells in found.items() if cells}

    def files(self, cells: tuple[str, ...]) -> set[tuple[str, str]]:
        names = static_modules(cells, self.load)
        stems = {"code/" + name.replace(".", "/") for name in names}
        return {
            (path, blob)
            for path, blob in self.blobs.items()
            if path.removesuffix(".py").removesuffix("/__init__") in stems
        }


@cache
def _module(name: str, blob: str, is_package: bool) -> Module:
    return Module(name, _blob(blob), is_package)


@cache
def _cells(blob: str) -> tuple[str, ...]:
    try:
        return tuple(cell.source for cell in qmd.parse(_blob(blob)).cells)
    except PixgradError:
        return ()


def _blob(name: str) -> str:
    """The content of a blob, from one ``git cat-file`` for all."""
    process = _objects()
    process.stdin.write(name.encode() + b"\n")
    process.stdin.flush()
    size = int(process.stdout.readline().split()[2])
    return process.stdout.read(size + 1)[:-1].decode("utf-8")


@cache
def _objects() -> subprocess.Popen:
    command = ["git", "cat-file", "--batch"]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True)
    return done.stdout.decode("utf-8")


def replay(commits: list[str]) -> dict[str, tuple[int, float]]:
    """Way -> (re-executions, their seconds), the oldest commit being the start."""
    before: dict[str, tuple] = {}
    counts = {"files": [0, 0.0], "units": [0, 0.0]}
    for number, commit in enumerate(commits):
        try:
            tree, after = Tree(commit), {}
            tree.check()
        except SyntaxError:  # committed in the middle of a merge
            continue
        for chapter, cells in tree.chapters().items():
            name = Path(chapter).stem.lstrip("0123456789-")
            files, old = tree.files(cells), before.get(name)
            if old and old[:2] == (cells, files):
                after[name] = old
                continue
            after[name] = (cells, files, reach(cells, tree.load))
            if old:
                _count(counts["files"], name)
                if (old[0], old[2]) != (cells, after[name][2]):
                    _count(counts["units"], name)
        before = after
        sys.stderr.write(f"{number} {counts}\n")
    return {way: (count, seconds) for way, (count, seconds) in counts.items()}


def _count(count: list, chapter: str) -> None:
    count[0] += 1
    count[1] += SECONDS.get(chapter, 5.0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--commits", type=int, default=120)
    wanted = parser.parse_args().commits + 1
    commits = _git("log", f"-{wanted}", "--reverse", "--format=%H", "--", "code").split()
    found = replay(commits)
    for way, (count, seconds) in found.items():
        sys.stdout.write(f"{way}: {count} executions, {seconds:.0f} s\n")
    ratio = found["units"][1] / found["files"][1]
    sys.stdout.write(f"ratio: {ratio:.3f} over {len(commits) - 1} commits\n")


if __name__ == "__main__":
    main()
