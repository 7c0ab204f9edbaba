"""Every file operation of every command that writes fails once: nothing is lost, nothing is left.

Of each operation (open for writing, write, fsync, replace, rename, unlink, rmdir, mkdir, link,
exchange of two folders) below the project's folder three things are tried: it fails with an error
(a write after half of its bytes), the process is killed by SIGKILL just before it, and just after
it. Then what was there before is whole, or the new state is; an error gave one line, and what that
says is true; and after the next start all is as if nothing had happened, with no file left over.
Each command is tried where two folders can be exchanged in one step, and where they cannot.

Outside are the files that other programs write: kernels, pandoc and Pagefind give what they gave
the first time, Typst compiles in memory, and what jupyter-cache and its SQLite have written is not
compared, since it is a cache that a chapter can be executed without.

A sample of the points is tried by default, all of them with ``-m slow``.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SAMPLE = 6
"""Points that are tried by default, of each command, with and without exchange."""


@pytest.mark.parametrize("program", ["freeze", "render", "run"])
@pytest.mark.parametrize("extent", ["sample", pytest.param("all", marks=pytest.mark.slow)])
def test_nothing_is_lost(record_property: Callable, program: str, extent: str) -> None:
    """In a process of its own, which loads the modules once and forks for every point."""
    folder = tempfile.TemporaryDirectory(dir=_memory(), prefix="pixgrad-crash-")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(
        [sys.executable, __file__, program, extent, folder.name],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    folder.cleanup()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for line in answer.stdout.splitlines():
        name, means, tried = json.loads(line)
        assert tried["points"] > 20 and tried["error"] and tried["before"] and tried["after"]
        ways = ", ".join(f"{how} {count}" for how, count in tried.items() if how != "points")
        record_property("told", f"{name} ({means}): {tried['points']} crash points; tried {ways}")


def _memory() -> str | None:
    """A folder in memory, where fsync costs nothing; None where there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _main(program: str, extent: str, folder: str) -> None:
    from crashes import sweep

    for name, make in COMMANDS[program].items():
        work = Path(folder, name)
        work.mkdir()
        command = make(work)
        for means in ("exchange", "renames"):
            (work / means).mkdir()
            sample = None if extent == "all" else SAMPLE
            tried = sweep(command, work / means, means == "exchange", sample)
            sys.stdout.write(json.dumps([name, means, tried]) + "\n")


# The commands ------------------------------------------------------------------------------------

TEXT = "# Глава {name}\n\nТекст {version}. ![Рисунок](/assets/{name}.svg){{#fig-{name}}}\n"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><!-- {} --></svg>'
CONFIG = """\
project:
  type: book
  output-dir: docs
lang: ru
book:
  title: Проба
  chapters: [index.qmd, {chapters}]
"""


def _freeze(work: Path):
    """One chapter is executed anew, one has new prose, one is gone."""
    from crashes import Command
    from tiny_books import cell, chapter, write, write_book

    from pixgrad.book.executing import execute
    from pixgrad.book.ledger import dependencies
    from pixgrad.book.ledger.ledger import Ledger

    chapters = {f"chapters/{name}.qmd": chapter(name, cell(f"print('{name}')")) for name in "abcd"}
    root = write_book(work / "project", chapters)
    execute.run = _remembered_later(work, execute.run)
    dependencies._RACY_NS = -(10**18)  # every digest is kept, however young its file

    def recover(root: Path) -> None:
        with Ledger.writing(root):
            pass

    def unit(name: str) -> str | None:
        if name.startswith("_freeze/chapters/"):
            return "/".join(name.split("/")[:3])
        return None if name.startswith((".cache", "_freeze/pixgrad.json")) else name

    def unkept(name: str) -> bool:
        return name.startswith(".cache/jupyter-cache")

    command = Command(["freeze", "--jobs", "1"], root, unit, recover, unkept=unkept)
    _run_whole(command, work)
    write(root / "chapters/a.qmd", chapter("a", cell("print('new')\n1 + 1")))
    write(root / "chapters/b.qmd", chapter("b", cell("print('b')"), "Новый текст.\n"))
    config = (root / "_quarto.yml").read_text("utf-8")
    write(root / "_quarto.yml", config.replace("    - chapters/c.qmd\n", ""))
    (root / "chapters/c.qmd").unlink()
    return command


def _render(work: Path, formats: str = "html,pdf"):
    """One page is new, one is edited, one leaves the book; others' files lie there too."""
    from crashes import Command
    from tiny_books import write, write_files

    from pixgrad import files
    from pixgrad.book.rendering import fonts, pandoc, search, typst_engine

    pandoc.executable()
    fonts._subset = lambda path, characters: path.name.encode()
    search.build_index = lambda site: None
    pandoc.run = _remembered(work, pandoc.run)
    typst_engine._compile = _remembered(work, typst_engine._compile)
    pool = pandoc.ThreadPoolExecutor
    pandoc.ThreadPoolExecutor = lambda workers: pool(1)  # one order of operations
    root = write_files(
        work / "project",
        {
            "_quarto.yml": CONFIG.format(chapters="a.qmd, b.qmd, c.qmd"),
            "index.qmd": "# Предисловие\n\nТекст.\n",
            **{f"{name}.qmd": TEXT.format(name=name, version=1) for name in "abcd"},
            **{f"assets/{name}.svg": SVG.format(name) for name in "abcd"},
            "docs/CNAME": "book.example\n",
            "docs/notes/idea.md": "мысль\n",
        },
    )

    def unit(name: str) -> str | None:
        return "docs" if name.startswith("docs/") else None if name.startswith(".cache") else name

    command = Command(
        ["render", "--engine", "pandoc", "--to", formats],
        root,
        unit,
        lambda root: files.recover(root / "docs"),
    )
    _run_whole(command, work)
    write(root / "_quarto.yml", CONFIG.format(chapters="a.qmd, c.qmd, d.qmd"))
    write(root / "a.qmd", TEXT.format(name="a", version=2))
    return command


def _pdf(work: Path):
    """The PDF alone is made anew, in the site that stays."""
    command = _render(work, "html,pdf")
    command.arguments = [*command.arguments[:-1], "pdf"]
    return command


def _notebooks(work: Path):
    """One notebook is new, one is edited, one goes; a foreign one lies beside them."""
    from tiny_books import write

    command = _render(work, "html")
    root = command.root
    command.arguments = ["notebooks"]
    text = (root / "_quarto.yml").read_text("utf-8")
    for chapters, version in (("a.qmd, b.qmd, c.qmd", 1), ("a.qmd, c.qmd, d.qmd", 2)):
        write(root / "_quarto.yml", CONFIG.format(chapters=chapters))
        write(root / "a.qmd", TEXT.format(name="a", version=version))
        if version == 1:
            _run_whole(command, work)
            write(root / "notebooks/mine.ipynb", '{"metadata": {}}')
    write(root / "_quarto.yml", text)
    return command


def _github(work: Path):
    """The page shows one figure as before, one anew, one instead of another."""
    from tiny_books import write

    command = _render(work, "html")
    root = command.root
    command.arguments = ["render", str(root / "notes/page.qmd"), "--to", "gfm"]

    def settle(name: str, content: bytes) -> bytes:
        """The page without its first lines: former figures are named there until they are gone."""
        return content.partition(b"-->")[2] if name.endswith("page.md") else content

    command.settle = settle
    for names, version in (("ab", 1), ("abc", 2)):
        shown = [f"![Рисунок](page_files/figure-html/{name}-output-1.png)" for name in names]
        write(root / "notes/page.qmd", "\n\n".join(["# Отчёт", *shown[-2:]]) + "\n")
        for name in names:
            path = root / f"_freeze/notes/page/figure-html/{name}-output-1.png"
            write(path, name if name == "b" else f"{name} {version}")
        if version == 1:
            _run_whole(command, work)
            write(root / "notes/mine.png", "моя")
    return command


def _run(work: Path, *options: str):
    """Results of two seeds take the place of those of one; checkpoints are written on the way."""
    from crashes import Command

    from pixgrad import experiments, files

    tiny = _tiny_experiment()
    experiments.experiment = lambda name: tiny

    def settle(name: str, content: bytes) -> Any:
        if not name.endswith("record.json"):
            return content
        record = json.loads(content)
        for part in (record, *record["runs"]):
            for key in ("wall_s", "cpu_s", "git_commit"):
                part.pop(key, None)
        return record

    def unit(name: str) -> str | None:
        return "results" if name.startswith("results/") else None

    def recover(root: Path) -> None:
        files.recover(root / "results" / "tiny")

    root = work / "project"
    root.mkdir()
    command = Command(["run", "tiny", "--seeds", "1"], root, unit, recover, settle)
    _run_whole(command, work)
    command.arguments = ["run", "tiny", "--seeds", "2", *options]
    return command


def _tiny_experiment():
    from dataclasses import asdict, dataclass
    from types import MappingProxyType

    import pandas as pd
    import torch
    from tiny_training import CLASSES, SETTINGS, images

    from pixgrad.experiments.running.experiment import Experiment, Findings
    from pixgrad.training import loop

    def build(generator: torch.Generator) -> torch.nn.Module:
        """One layer: what is tried here is the writing."""
        layer = torch.nn.Linear(3 * 8 * 8, CLASSES)
        torch.nn.init.normal_(layer.weight, std=0.1, generator=generator)
        torch.nn.init.zeros_(layer.bias)
        return torch.nn.Sequential(torch.nn.Flatten(), layer)

    @dataclass(frozen=True, kw_only=True)
    class Config(loop.Settings):
        name: str

    class Tiny(Experiment):
        sources = MappingProxyType({"report": "tiny"})
        libraries = ("torch",)
        config = Config

        def plan(self, preset, seeds):
            fixed = asdict(SETTINGS) | {"epochs": 2, "probe_every": None}
            return [Config(**fixed | {"seed": n, "name": f"run-{n}"}) for n in range(1, seeds + 1)]

        def load(self, source):
            return images()

        def train(self, config, data, checkpoint, on_epoch, logs):
            return loop.fit(config, build, data, checkpoint, on_epoch)

        def first_losses(self, config, data, steps):
            return loop.TorchRun(config, build, data).first_losses(steps)

        def findings(self, outcomes, data):
            rows = [{"name": one.config.name} | row for one in outcomes for row in one.history]
            weights = {one.config.name: one.net[1].weight.detach().numpy() for one in outcomes}
            return Findings({"epochs.csv": pd.DataFrame(rows)}, weights)

    return Tiny()


def _fresh(work: Path):
    """The same after all unfinished runs are thrown away."""
    return _run(work, "--fresh")


COMMANDS = {
    "freeze": {"freeze": _freeze},
    "render": {
        "render": _render,
        "render --to pdf": _pdf,
        "notebooks": _notebooks,
        "render --to gfm": _github,
    },
    "run": {"run": _run, "run --fresh": _fresh},
}


# What they share ---------------------------------------------------------------------------------


def _run_whole(command, work: Path) -> None:
    """Run the command with no faults, for the state before the sweep."""
    from crashes import Faults, attempt

    assert attempt(command, Faults(command.root), work / "said.txt") == 0, command.said


def _remembered(work: Path, real: Callable) -> Callable:
    """What another program answers: asked once, and the same in all processes after that."""

    def answer(*arguments: Any) -> Any:
        known = _place(work, arguments)
        if not known.exists():
            known.write_bytes(pickle.dumps(real(*arguments)))
        return pickle.loads(known.read_bytes())

    return answer


def _remembered_later(work: Path, real: Callable) -> Callable:
    async def answer(job: Any, *rest: Any) -> Any:
        known = _place(work, job.key)
        if not known.exists():
            known.write_bytes(pickle.dumps(await real(job, *rest)))
        return pickle.loads(known.read_bytes())

    return answer


def _place(work: Path, question: Any) -> Path:
    return work / f"{hashlib.sha256(repr(question).encode()).hexdigest()}.pickle"


if __name__ == "__main__":
    _main(*sys.argv[1:])
