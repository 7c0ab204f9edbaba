"""Nothing unseen: workers, absent modules, files of other chapters, versions of packages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from test_freeze import edit, stale
from tiny_books import cell, chapter, write, write_book

pytest.importorskip("nbclient", reason="executing chapters needs pixgrad[compute]")

from pixgrad.book.executing import freeze
from pixgrad.book.ledger.ledger import Ledger
from pixgrad.errors import PixgradError

WORKERS = """\
import multiprocessing, os, subprocess, sys
from concurrent.futures import ProcessPoolExecutor
from work import load
for way in ("fork", "spawn"):
    with ProcessPoolExecutor(1, multiprocessing.get_context(way)) as pool:
        print(way, pool.submit(load, f"data/{way}.txt").result())
code = "import late; print(late.value(), open('data/process.txt').read())"
done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
print(done.stdout, done.stderr)"""
LOKY = """\
from joblib import Parallel, delayed
from work import load
print(sum(Parallel(n_jobs=2)(delayed(load)(f"data/{i}.txt") for i in (1, 2))))"""
ABSENT = """\
from pathlib import Path
extra = Path("data/extra.txt")
print(extra.read_text() if extra.exists() else "нет")
try:
    from speedups import fast
except ImportError:
    fast = "медленно"
print(fast)"""


@pytest.fixture(scope="module")
def unseen(tmp_path_factory) -> Path:
    """Executed: children of all kinds, what was looked for in vain."""
    data = {f"data/{name}.txt": "1" for name in ("fork", "spawn", "process", "1", "2")}
    root = write_book(
        tmp_path_factory.mktemp("unseen") / "book",
        {"a.qmd": chapter("А", cell(WORKERS)), "b.qmd": chapter("Б", cell(LOKY)),
         "c.qmd": chapter("В", cell(ABSENT))},
        {**data,
         "code/work.py": "def load(path):\n    import inner\n    return inner.number(path)\n",
         "code/inner.py": "def number(path):\n    return int(open(path).read())\n",
         "code/late.py": "def value():\n    return 1\n\n\ndef other():\n    return 2\n"},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTERCACHE", "PIXGRAD_DATA", "PYTHONPATH"):
            patch.delenv(name, raising=False)
        freeze.freeze_book(root)
    return root


@pytest.fixture
def book(unseen, tmp_path, surroundings) -> Path:
    shutil.copytree(unseen, tmp_path / "book")
    return tmp_path / "book"


def test_children_gave_what_they_should(book):
    text = (book / "_freeze/a/execute-results/html.json").read_text("utf-8")
    assert "fork 1\\nspawn 1\\n1 1\\n" in text


@pytest.mark.parametrize(
    ("name", "chapters"),
    [
        ("data/fork.txt", {"a.qmd"}),
        ("data/spawn.txt", {"a.qmd"}),
        ("data/process.txt", {"a.qmd"}),
        ("data/1.txt", {"b.qmd"}),
        ("data/2.txt", {"b.qmd"}),
        ("data/extra.txt", {"c.qmd"}),
        ("speedups.py", {"c.qmd"}),
        ("code/speedups.py", {"c.qmd"}),
        ("code/speedups/__init__.py", {"c.qmd"}),
        ("code/unasked.py", set()),
    ],
)
def test_file_of_a_child_and_one_that_was_absent_make_stale(book, name, chapters):
    write(book / name, "fast = 2")
    assert stale(book) == dict.fromkeys(chapters, name)


def test_functions_of_modules_that_only_a_child_imports_count(book):
    edit(book / "code/inner.py", "int(", "1 + int(")
    assert stale(book) == {"a.qmd": "inner.number", "b.qmd": "inner.number"}
    edit(book / "code/inner.py", "1 + int(", "int(")
    edit(book / "code/late.py", "return 1", "return 3")
    assert stale(book) == {"a.qmd": "code/late.py"}  # code in a string of another Python


def test_module_that_hides_an_imported_one_makes_stale(book):
    write(book / "code/work/__init__.py", "def load(path):\n    return 5\n")
    assert set(stale(book)) == {"a.qmd", "b.qmd"}


# One chapter reads what another writes

WRITES = """\
import json, time
from pathlib import Path
time.sleep(1)
Path("build").mkdir(exist_ok=True)
Path("build/stats.json").write_text(json.dumps({"mean": 10}))
print("записано")"""
READS = 'import json\nprint("mean:", json.load(open("build/stats.json"))["mean"])'


def printed(root: Path, name: str) -> str:
    results = json.loads((root / f"_freeze/{name}/execute-results/html.json").read_text("utf-8"))
    return results["result"]["markdown"]


def test_chapter_that_reads_what_another_writes_is_never_behind(tmp_path, executed):
    root = write_book(
        tmp_path / "book", {"a.qmd": chapter("А", cell(WRITES)), "b.qmd": chapter("Б", cell(READS))}
    )
    freeze.freeze_book(root)
    assert "mean: 10" in printed(root, "b")
    del executed[:]
    edit(root / "a.qmd", "10", "20")
    assert set(stale(root)) == {"a.qmd"}
    freeze.freeze_book(root)
    assert executed == ["a.qmd", "b.qmd"]
    assert "mean: 20" in printed(root, "b")
    assert stale(root) == {}
    shutil.rmtree(root / "build")
    del executed[:]
    freeze.freeze_book(root)
    assert executed == ["a.qmd"]
    assert stale(root) == {}


def test_chapter_that_reads_what_a_later_one_writes_is_refused(tmp_path, surroundings):
    root = write_book(
        tmp_path / "book",
        {"b.qmd": chapter("Б", cell(READS)), "a.qmd": chapter("А", cell(WRITES))},
        {"build/stats.json": '{"mean": 1}'},
    )
    with pytest.raises(PixgradError, match=r"b.qmd: читает build/stats.json, а пишет его a.qmd"):
        freeze.freeze_book(root)


# Versions


def test_other_version_of_a_package_is_told_and_executed_or_accepted(
    tmp_path,
    executed,
    monkeypatch,
    capsys,
):
    site = tmp_path / "site-packages"
    write(site / "toy.py", "number = 1\n")
    write(site / "toy-1.0.dist-info" / "METADATA", "Name: toy\nVersion: 1.0\n")
    write(site / "toy-1.0.dist-info" / "top_level.txt", "toy\n")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    root = write_book(tmp_path / "book", {"a.qmd": chapter("А", cell("import toy\ntoy.number"))})
    freeze.freeze_book(root)
    assert Ledger(root).records["a.qmd"]["packages"] == {"toy": "1.0"}
    (site / "toy-1.0.dist-info").rename(site / "toy-1.1.dist-info")
    write(site / "toy-1.1.dist-info" / "METADATA", "Name: toy\nVersion: 1.1\n")
    freeze.freeze_book(root)
    assert "a.qmd: исполнена с другими версиями: toy 1.0 → 1.1" in capsys.readouterr().out
    assert executed == ["a.qmd"]
    freeze.freeze_book(root, versions=freeze.ACCEPT)
    assert (executed, Ledger(root).records["a.qmd"]["packages"]) == (["a.qmd"], {"toy": "1.1"})
    (site / "toy-1.1.dist-info").rename(site / "toy-1.2.dist-info")
    write(site / "toy-1.2.dist-info" / "METADATA", "Name: toy\nVersion: 1.2\n")
    freeze.freeze_book(root, versions=freeze.EXECUTE)
    assert executed == ["a.qmd", "a.qmd"]
    assert Ledger(root).records["a.qmd"]["packages"] == {"toy": "1.2"}
