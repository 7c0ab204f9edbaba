"""Which chapters are stale; the pre-render step with nothing but an old bare Python."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_freeze_kill import NAME, put
from tiny_books import cell, chapter, clean_environment, snapshot, write, write_book

import pixgrad
from pixgrad.book import prerender
from pixgrad.book.ledger import dependencies, frozen, qmd
from pixgrad.book.ledger.dependencies import Dependencies
from pixgrad.book.ledger.ledger import Ledger, execution_settings
from pixgrad.errors import PixgradError

PACKAGE = Path(pixgrad.__file__).parent
STANDARD_LIBRARY_ONLY = [
    *("__init__.py", "errors.py", "dataroot.py", "files.py", "book/__init__.py"),
    "book/prerender.py",
    *(path.relative_to(PACKAGE).as_posix() for path in (PACKAGE / "book/ledger").rglob("*.py")),
]
"""All of the ledger, what it needs besides, and the step that needs no more."""


@pytest.fixture
def book(tmp_path, monkeypatch) -> Path:
    """A frozen book of one chapter; nothing was executed for it."""
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path / "data"))
    root = write_book(
        tmp_path / "book", {NAME: chapter("А", cell("1"))}, {"code/mod.py": "x = 1\n"}
    )
    with Ledger.writing(root) as ledger:
        digest = ledger.dependencies.digest(root / "code/mod.py")
        put(ledger, **{"project:code/mod.py": digest, "data:a.png": "0" * 64})
    return root


# The pre-render step


def bare_pythons() -> list[str]:
    """The interpreter below this environment, and a Python 3.9 if there is one."""
    installed = [*Path.home().glob(".pyenv/versions/3.9.*/bin/python3.9"), "python3.9"]
    old = [str(python) for python in installed if _runs(str(python), "pass")]
    return [str(Path(sys.base_prefix, "bin", "python3")), *old[:1]]


def _runs(python: str, code: str) -> bool:
    try:
        return subprocess.run([python, "-c", code], capture_output=True).returncode == 0
    except OSError:
        return False


def prerender_step(root: Path, python: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-S", str(PACKAGE / "book" / "prerender.py")],
        cwd=root,
        env=clean_environment(PYTHONNOUSERSITE="1", **environment),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", STANDARD_LIBRARY_ONLY)
def test_module_is_python_3_9_with_the_standard_library_alone(name):
    tree = ast.parse((PACKAGE / name).read_text("utf-8"), feature_version=(3, 9))
    own = {
        ".".join(Path("pixgrad", other).with_suffix("").parts).removesuffix(".__init__")
        for other in STANDARD_LIBRARY_ONLY
    }
    for node in tree.body:
        modules = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = inner if own.issuperset(inner) else [node.module]
        for module in modules:
            assert module in own or module.split(".")[0] in sys.stdlib_module_names, module
            assert module != "pixgrad.book", "its rooms need packages"


@pytest.mark.parametrize("python", bare_pythons(), ids=lambda path: Path(path).name)
def test_bare_python_is_enough_while_only_prose_changes(book, python):
    before = snapshot(book / "_freeze")
    data = {"PIXGRAD_DATA": str(book.parent / "data")}
    done = prerender_step(book, python, QUARTO_PROJECT_INPUT_FILES=f"index.qmd\n{NAME}", **data)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert done.stderr == "pixgrad: не проверено, файлов нет: data:a.png\n"
    assert snapshot(book / "_freeze") == before
    write(book / NAME, chapter("А", "Новый текст.\n", cell("1")))
    done = prerender_step(book, python, QUARTO_PROJECT_DIR=str(book), **data)
    assert done.returncode == 0, done.stderr
    results = frozen.read(book / "_freeze/chapters/a", "html")
    assert results["hash"] == qmd.read(book / NAME).md5
    assert results["result"]["markdown"] == "# А\n\nНовый текст.\n\n::: {.cell}\n1\n:::\n\n\n"


@pytest.mark.parametrize("python", bare_pythons(), ids=lambda path: Path(path).name)
def test_bare_python_stops_with_one_line_when_a_module_has_changed(book, python):
    if _runs(python, "import nbclient"):
        pytest.skip("this Python has the packages")
    write(book / "code/mod.py", "x = 2\n")
    done = prerender_step(book, python)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"pixgrad: {NAME} устарела (code/mod.py), а исполнить её нечем: нет пакетов; "
        "выполните make freeze или pip install 'pixgrad[compute]'\n"
    )


def test_prerender_executes_what_is_stale_where_the_packages_are(tmp_path):
    pytest.importorskip("nbclient", reason="executing chapters needs pixgrad[compute]")
    root = write_book(
        tmp_path / "book", {"a.qmd": chapter("А", cell("1")), "b.qmd": chapter("Б", cell("2"))}
    )
    done = subprocess.run(
        [sys.executable, str(PACKAGE / "book" / "prerender.py")], cwd=root, check=False,
        env=clean_environment(QUARTO_PROJECT_INPUT_FILES=str(root / "b.qmd")),
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(Ledger(root).records) == {"b.qmd"}
    write(root / "b.qmd", chapter("Б", cell("1 / 0")))
    done = subprocess.run(
        [sys.executable, "-m", "pixgrad.book.prerender"], cwd=root, check=False,
        env=clean_environment(QUARTO_PROJECT_INPUT_FILES="b.qmd"), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "pixgrad: b.qmd:4: ячейка 1: ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr


def test_run_by_hand_the_step_looks_at_every_chapter_in_the_configuration(book, monkeypatch):
    monkeypatch.delenv("QUARTO_PROJECT_INPUT_FILES", raising=False)
    write(book / "_quarto.yml", 'book:\n  chapters: [index.qmd, "chapters/a.qmd", absent.qmd]\n')
    assert prerender._chapters(book) == ["index.qmd", NAME]


# Records


def test_broken_records_are_told(book):
    (book / "_freeze/pixgrad.json").write_text("<<<<<<< HEAD", "utf-8")
    with pytest.raises(PixgradError, match="испорчен"):
        Ledger(book)


def test_records_are_the_same_bytes_whatever_the_order(book):
    path = book / "_freeze/pixgrad.json"
    before = path.read_bytes()
    ledger = Ledger(book)
    text = json.dumps(ledger.records, sort_keys=True)
    ledger.records = json.loads(text, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    ledger.save()
    assert path.read_bytes() == before


def test_execution_settings_are_the_lines_that_matter():
    text = """\
# комментарий
project:
  type: book
  execute-dir: project
fig-width: 7   # дюймов
fig-cap-location: top

execute:
  # ещё
  echo: false

  freeze: auto
book:
  title: "execute: нет"
  chapters:
    - index.qmd
jupyter: python3
format:
  html:
    fig-width: 3
"""
    assert execution_settings(text) == (
        "  execute-dir: project\nfig-width: 7   # дюймов\nfig-cap-location: top\n"
        "execute:\n  echo: false\n  freeze: auto\njupyter: python3"
    )


@given(st.lists(st.text("aЯ \n#-", max_size=12), max_size=4), st.text("aЯ\n ", max_size=12))
def test_spans_cut_the_cells_out_of_the_whole_again(cells, prose):
    blocks = "".join(f"{prose}\n```{{python}}\n{number}\n```\n" for number in range(len(cells)))
    document = qmd.parse("# А\n" + blocks + prose)
    markdown, places = frozen.assemble(document, cells)
    assert [markdown[start:stop] for start, stop in frozen.spans(places)] == cells


# Names and digests of files


def test_names_are_the_same_on_every_machine_and_noise_has_none(tmp_path, monkeypatch):
    root, data = tmp_path / "book", tmp_path / "data"
    monkeypatch.setenv("PIXGRAD_DATA", str(data))
    for folder in (root / "code", data / "photos"):
        folder.mkdir(parents=True)
    (root / "link").symlink_to(data)
    names = {
        root / "code/mod.py": "project:code/mod.py",
        root / "code/../results/a.csv": "project:results/a.csv",
        data / "photos/cat.jpg": "data:photos/cat.jpg",
        root / "link/photos/cat.jpg": "data:photos/cat.jpg",
        root / "_freeze/x.json": None,
        root / ".git/config": None,
        root / "code/__pycache__/mod.pyc": None,
        root / "code/pixgrad.egg-info/PKG-INFO": None,
        Path(os.__file__): None,
        Path(pytest.__file__): None,
        Path("/proc/meminfo"): None,
        Path("/opt/data/x.csv"): "file:/opt/data/x.csv",
        Path.home() / ".cache" / "fontconfig" / "x": None,
    }
    dependencies = Dependencies(root)
    assert {path: dependencies.name_of(str(path)) for path in names} == names
    for path, name in names.items():
        if name:
            assert dependencies.locate(name).resolve() == path.resolve()


def test_file_of_a_package_counts_if_a_reader_names_it(tmp_path):
    trace = {"modules": [], "reads": [pytest.__file__], "explicit": [pytest.__file__],
             "listings": [], "sources": {}, "path": [], "written": [], "asked": [],
             "imported": [], "probed": [], "unpickled": []}  # fmt: skip
    record = Dependencies(tmp_path).from_trace(trace, time.time_ns())
    assert list(record["files"]) == ["package:pytest/__init__.py"]
    assert Dependencies(tmp_path).changes(record, []) == ([], [])


def test_remembered_digest_is_forgotten_with_any_sign_of_change(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    monkeypatch.setattr(dependencies, "_RACY_NS", -(10**12))
    first = Dependencies(tmp_path)
    one = first.digest(path)
    first.save()
    monkeypatch.setattr(dependencies, "_sha256", lambda path: "asked")
    assert Dependencies(tmp_path).digest(path) == one
    before = path.stat()
    path.write_bytes(b"2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Dependencies(tmp_path).digest(path) == "asked"
