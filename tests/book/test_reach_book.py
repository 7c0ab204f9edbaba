"""The reach of this book's own chapters: all that they execute lies in it, and nothing else counts.

Each chapter is run twice: watched, and with all broken that lies outside its reach.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pixgrad.book.ledger import qmd
from pixgrad.book.ledger.code import Code, named_in
from pixgrad.book.ledger.mentions import FUNCTIONS
from pixgrad.book.ledger.reach import Reach, static_modules
from pixgrad.book.ledger.units import Module, Statement

pytest.importorskip("nbclient", reason="executing chapters needs pixgrad[compute]")

ROOT = Path(__file__).parents[2]
QUICK = "chapters/19-conclusions.qmd"
CHAPTERS = [
    path.relative_to(ROOT).as_posix()
    for path in sorted((ROOT / "chapters").glob("*.qmd"))
    if qmd.read(path).cells
]


def run_cells(chapter: str, code: Path, out: Path, *trace: str) -> dict:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("run_cells.py")), chapter, f"{code}/",
         str(out), *trace],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0",
             "PYTHONPATH": str(ROOT / "code")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(out.read_text("utf-8"))


def reach_of(chapter: str, modules: list[str], read: list[str]) -> Reach:
    code = Code(ROOT, ["code"], lambda path: path.read_text("utf-8"), {})
    cells = [one.source for one in qmd.read(ROOT / chapter).runs]
    names = {code.name_of(os.path.relpath(path, ROOT)) for path in modules}
    own = {name for name in names if name and not name.startswith("pixgrad.book")}
    files = [path for path in read if not path.endswith(".py") and "__pycache__" not in path]
    texts = [Path(path).read_text("utf-8") for path in files]
    named = named_in(texts, ["pixgrad"])
    return Reach(cells, code.load, own - static_modules(cells, code.load), named)


def first_line(node: ast.stmt) -> int:
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])


def over(module: Module, line: int) -> list[Statement]:
    """The statement whose function begins at a line; bodies of classes run on import."""
    return [
        one
        for one in module.statements
        if first_line(one.node) <= line <= one.node.end_lineno
        and not (isinstance(one.node, ast.ClassDef) and line == first_line(one.node))
    ]


@pytest.mark.parametrize(
    "chapter", [QUICK, *(pytest.param(one, marks=pytest.mark.slow) for one in CHAPTERS)]
)
def test_what_a_chapter_executes_is_in_its_reach_and_the_rest_may_break(chapter, tmp_path):
    watched = run_cells(chapter, ROOT / "code", tmp_path / "watched.json", "trace")
    found = reach_of(chapter, watched["modules"], watched["read"])
    paths = {name: Path(path) for name, path in _paths(found).items()}
    names = {str(path): name for name, path in paths.items()}
    missed = []
    for path, line in watched["executed"]:
        if "/book/" in path or line == 1:  # a module itself
            continue
        assert path in names
        statements = over(found.world[names[path]], line)
        if statements and not any(id(one) in found.reached[names[path]] for one in statements):
            missed.append(f"{path}:{line}")
    assert not missed
    poisoned = tmp_path / "code"
    shutil.copytree(ROOT / "code", poisoned, ignore=shutil.ignore_patterns("__pycache__", "book"))
    count = poison(poisoned, found, paths)
    assert count > 100
    assert run_cells(chapter, poisoned, tmp_path / "out.json")["shown"] == watched["shown"]


def _paths(found: Reach) -> dict[str, Path]:
    code = Code(ROOT, ["code"], lambda path: "", {})
    return {name: code.path(name) for name in found.world}


def poison(folder: Path, found: Reach, paths: dict[str, Path]) -> int:
    """Break all outside the reach: bodies, docstrings, modules; how many places there were."""
    imported = {path.relative_to(ROOT / "code"): name for name, path in paths.items()}
    printed = found.printed()
    count = 0
    for path in sorted(folder.rglob("*.py")):
        name = imported.get(path.relative_to(folder))
        if name is None:
            path.write_text("raise RuntimeError('not in the reach')\n", "utf-8")
            count += 1
            continue
        module = found.world[name]
        lines = module.text.split("\n")
        for first, last, text in reversed(_broken(module, found.reached[name], printed)):
            lines[first - 1 : last] = [text]
            count += 1
        path.write_text("\n".join(lines), "utf-8")
    return count


def _broken(
    module: Module, reached: dict, printed: Callable[[Statement], bool]
) -> list[tuple[int, int, str]]:
    """(first line, last line, what stands there instead) in the order of lines."""
    edits = []
    for statement in module.statements:
        if printed(statement):
            continue
        functions = [one for one in ast.walk(statement.node) if isinstance(one, FUNCTIONS)]
        inner = {id(deep) for one in functions for deep in ast.walk(one)} - set(map(id, functions))
        inner |= {id(f) for one in functions for f in ast.walk(one) if f is not one
                  and isinstance(f, FUNCTIONS)}  # fmt: skip
        for function in functions:
            first, last = function.body[0], function.body[-1]
            indent = " " * first.col_offset
            if id(function) in inner or first.lineno == function.lineno:
                continue
            if id(statement) not in reached:
                text = f"{indent}raise RuntimeError('not in the reach')"
                edits.append((first.lineno, last.end_lineno, text))
            elif len(function.body) > 1 and ast.get_docstring(function):
                edits.append((first.lineno, first.end_lineno, f"{indent}'''Other words.'''"))
    return sorted(edits)


def test_names_in_messages_are_those_of_the_code():
    found = reach_of(QUICK, [], [])
    digests = found.digests()
    assert re.fullmatch("[0-9a-f]{12}", digests["pixgrad.plots.text"]["number"])
