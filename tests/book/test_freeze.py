"""``pixgrad freeze`` with real kernels: the format, what is redone, what is told about failures."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image
from tiny_books import cell, chapter, clean_environment, pixgrad, snapshot, write, write_book

pytest.importorskip("nbclient", reason="executing chapters needs pixgrad[compute]")

from pixgrad.book.executing import freeze
from pixgrad.book.ledger.ledger import FRESH, Ledger
from pixgrad.errors import PixgradError

REFERENCE = Path(__file__).parents[1] / "quarto-reference"
SAMPLE = REFERENCE / "_freeze" / "chapters"


def stale(root: Path) -> dict[str, str]:
    """Chapter -> cause."""
    names = [path.relative_to(root).as_posix() for path in sorted(root.rglob("*.qmd"))]
    states = Ledger(root).assess(names)
    return {state.chapter: state.cause for state in states if state.status != FRESH}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    write(path, text.replace(old, new))


# The format: what real Quarto has written


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("reference") / "book"
    shutil.copytree(REFERENCE, root, ignore=shutil.ignore_patterns("_freeze"))
    done = pixgrad(root, "freeze")
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.parametrize("name", ["01-sift", "02-nets"])
@pytest.mark.parametrize("fmt", ["html", "typ"])
def test_reference_chapter_equals_quartos(reference, name, fmt):
    """Byte for byte, the random ids of the cells apart."""
    path = Path(name, "execute-results", f"{fmt}.json")
    ours, theirs = (
        re.sub(r"#[0-9a-f]{8} ", "#ID ", (folder / path).read_text("utf-8"))
        for folder in (reference / "_freeze" / "chapters", SAMPLE)
    )
    assert ours == theirs


def test_reference_figures_equal_quartos(reference):
    ours, theirs = reference / "_freeze" / "chapters", SAMPLE
    names = {path.relative_to(theirs) for path in theirs.rglob("*.png")}
    assert {path.relative_to(ours) for path in ours.rglob("*.png")} == names
    for name in names:
        with Image.open(ours / name) as mine, Image.open(theirs / name) as sample:
            # Fonts differ between versions of matplotlib by a few pixels.
            assert abs(mine.width - sample.width) <= 4 and abs(mine.height - sample.height) <= 4
            assert [round(dpi) for dpi in mine.info["dpi"]] == [100, 100]


def test_nothing_but_quartos_own_files_lies_in_a_chapters_folder(reference):
    ours = {name for name in snapshot(reference / "_freeze") if name != "pixgrad.json"}
    assert ours == {f"chapters/{name}" for name in snapshot(SAMPLE)}


def test_fresh_book_is_left_alone_and_new_execution_gives_the_same_bytes(reference, tmp_path):
    before, when = snapshot(reference), (reference / "_freeze/pixgrad.json").stat().st_mtime_ns
    assert "без изменений: 2" in pixgrad(reference, "freeze").stdout
    assert pixgrad(reference, "freeze", "--check").returncode == 0
    after = snapshot(reference)
    after.pop(".cache/pixgrad/digests.json", None)  # what is known of files, once they are old
    before.pop(".cache/pixgrad/digests.json", None)
    assert after == before
    assert (reference / "_freeze/pixgrad.json").stat().st_mtime_ns == when
    elsewhere = tmp_path / "a longer name" / "book"
    shutil.copytree(reference, elsewhere, ignore=shutil.ignore_patterns("_freeze", ".cache"))
    assert pixgrad(elsewhere, "freeze").returncode == 0
    assert snapshot(elsewhere / "_freeze") == snapshot(reference / "_freeze")


# Exact invalidation

READS_A = """\
import numpy as np
from PIL import Image
import mod_a
text = open(data / "plain.txt").read()
image = Image.open(data / "photo.png").convert("L")
array = np.load(data / "array.npy")
raw = np.fromfile(data / "raw.bin", dtype=np.uint8)
names = sorted(p.name for p in (data / "folder").iterdir())
nothing = list(data.glob("absent/*")) + list(Path("code/absent").glob("*"))
missing = (data / "later.txt")
try:
    missing.read_text()
except FileNotFoundError:
    pass
open("made.txt", "w").write("a")
print(open("made.txt").read(), mod_a.value(), "ёлка")"""
READS_B = """\
import sys
import cv2
import pyarrow.parquet
from torchvision.io import read_image
import mod_b
def announced(path):
    sys.audit("pixgrad.read", str(path))
    return str(path)
bgr = cv2.imread(announced(data / "for_cv2.png"))
table = pyarrow.parquet.read_table(announced(data / "for_arrow.parquet"))
tensor = read_image(announced(data / "for_torchvision.png"))
print(bgr.shape, table.num_rows, tuple(tensor.shape), mod_b.value())"""
READS_PLAIN = "1 + 1"
DATA = 'import os\nfrom pathlib import Path\ndata = Path(os.environ["PIXGRAD_DATA"])'


@pytest.fixture(scope="module")
def readers_book(tmp_path_factory) -> Path:
    """Three executed chapters; a fixture's book is never edited, tests copy it."""
    import numpy as np
    import pyarrow
    import pyarrow.parquet

    home = tmp_path_factory.mktemp("readers")
    data = home / "data"
    for name in ("photo", "for_cv2", "for_torchvision", "unused"):
        data.mkdir(exist_ok=True)
        Image.new("RGB", (3, 2), "red").save(data / f"{name}.png")
    write(data / "plain.txt", "plain")
    write(data / "folder" / "one.txt", "1")
    np.save(data / "array.npy", np.arange(3))
    (data / "raw.bin").write_bytes(b"123")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1, 2]}), data / "for_arrow.parquet")
    root = write_book(
        home / "book",
        {
            "chapters/a.qmd": chapter("А", cell(DATA), cell(READS_A)),
            "chapters/b.qmd": chapter("Б", cell(DATA), cell(READS_B)),
            "chapters/c.qmd": chapter("В", cell(READS_PLAIN)),
        },
        {
            "code/mod_a.py": "from pack.shared import one\ndef value():\n    return one()\n",
            "code/mod_b.py": "from pack import shared\ndef value():\n    return shared.one()\n",
            "code/unused.py": "x = 1\n",
            "code/pack/__init__.py": '"""Package."""\n',
            "code/pack/shared.py": "def one():\n    return 1\n",
        },
    )
    done = pixgrad(root, "freeze", PIXGRAD_DATA=str(data))
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def book(readers_book, tmp_path, monkeypatch, surroundings) -> Path:
    """A copy of the executed book in another folder, with its data."""
    shutil.copytree(readers_book, tmp_path / "home")
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path / "home" / "data"))
    return tmp_path / "home" / "book"


A, B = "chapters/a.qmd", "chapters/b.qmd"


def test_record_names_what_the_chapters_used_and_nothing_else(book):
    records = Ledger(book).records
    assert set(records[A]["files"]) == {
        "data:array.npy", "data:later.txt", "data:photo.png", "data:plain.txt", "data:raw.bin",
        "project:code/mod_a.py", "project:code/pack/__init__.py", "project:code/pack/shared.py",
    }  # fmt: skip
    assert records[A]["files"]["data:later.txt"] is None
    names = {module: line.split()[0] for module, line in records[A]["units"].items()}
    assert names == {"mod_a": "one", "pack.shared": "one"}
    assert set(records[A]["listings"]) == {"data:folder"}
    assert records[B]["listings"] == {}
    assert set(records[B]["files"]) == {
        "data:for_arrow.parquet", "data:for_cv2.png", "data:for_torchvision.png",
        "project:code/mod_b.py", "project:code/pack/__init__.py", "project:code/pack/shared.py",
    }  # fmt: skip
    assert records["chapters/c.qmd"]["files"] == {}
    plain = (book.parent / "data" / "plain.txt").read_bytes()
    assert records[A]["files"]["data:plain.txt"] == hashlib.sha256(plain).hexdigest()


def test_copy_in_another_folder_is_fresh(book):
    assert stale(book) == {}


@pytest.mark.parametrize(
    ("name", "chapters"),
    [
        ("plain.txt", {A}),
        ("photo.png", {A}),
        ("array.npy", {A}),
        ("raw.bin", {A}),
        ("later.txt", {A}),
        ("folder/two.txt", {A}),
        ("for_cv2.png", {B}),
        ("for_arrow.parquet", {B}),
        ("for_torchvision.png", {B}),
        ("unused.png", set()),
    ],
)
def test_data_file_makes_stale_exactly_the_chapters_that_read_it(book, name, chapters):
    path = book.parent / "data" / name
    content = path.read_bytes() if path.exists() else b""
    path.write_bytes(content + b"\0")
    cause = "data:folder" if name.startswith("folder/") else f"data:{name}"
    assert stale(book) == dict.fromkeys(chapters, cause)
    if content:
        path.write_bytes(content)
        assert stale(book) == {}


@pytest.mark.parametrize(
    ("name", "old", "new", "causes"),
    [
        ("mod_a.py", "return one()", "return one() + 0", {A: "mod_a.value"}),
        ("mod_b.py", "shared.one()", "shared.one() + 0", {B: "mod_b.value"}),
        ("pack/shared.py", "return 1", "return 2", {A: "pack.shared.one", B: "pack.shared.one"}),
        ("pack/__init__.py", "Package.", "Other words.", {}),
        ("pack/__init__.py", "\n", "\nprint(1)\n", dict.fromkeys((A, B), "pack (код модуля)")),
        ("pack/shared.py", "return 1", "return (1)  # one", {}),
        ("pack/shared.py", "return 1", "return 1\n\n\ndef two():\n    return 2", {}),
        ("unused.py", "1", "2", {}),
    ],
)
def test_function_makes_stale_exactly_the_chapters_that_reach_it(book, name, old, new, causes):
    edit(book / "code" / name, old, new)
    found = {chapter: cause.split(", ")[0] for chapter, cause in stale(book).items()}
    assert found == causes


def test_record_of_files_alone_is_current_while_they_agree_and_gets_its_units(book, executed):
    """What an older version has written."""
    path = book / "_freeze" / "pixgrad.json"
    before = path.read_bytes()
    content = json.loads(before)
    for record in content["chapters"].values():
        for key in ("units", "lazy", "roots", "whole"):
            del record[key]
    path.write_text(json.dumps(content), "utf-8")
    edit(book / "code/mod_b.py", "\n", "\n# a remark\n")
    assert stale(book) == {B: "code/mod_b.py"}
    edit(book / "code/mod_b.py", "\n# a remark\n", "\n")
    freeze.freeze_book(book)
    assert executed == []
    assert path.read_bytes() == before
    edit(book / "code/mod_b.py", "\n", "\n# a remark\n")
    assert stale(book) == {}


def test_touching_everything_makes_nothing_stale(book):
    for path in book.parent.rglob("*"):
        if ".cache" not in path.parts:
            os.utime(path, (1, 1))
    assert stale(book) == {}
    for path in book.parent.rglob("*"):
        os.utime(path)
    assert stale(book) == {}


def test_line_ends_of_a_windows_checkout_make_nothing_stale(book):
    for path in [*book.glob("**/*.py"), *book.glob("**/*.qmd"), book / "_quarto.yml"]:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert stale(book) == {}


def test_edit_of_the_same_size_and_time_is_seen(book):
    path = book.parent / "data" / "plain.txt"
    before = path.stat()
    assert stale(book) == {}
    path.write_bytes(b"PLAIN")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert stale(book) == {A: "data:plain.txt"}


def test_editing_a_function_executes_exactly_its_chapters_and_going_back_executes_none(
    book, executed
):
    before = snapshot(book / "_freeze")
    edit(book / "code" / "mod_a.py", "return one()", "return one() + 1")
    assert stale(book) == {A: "mod_a.value"}
    freeze.freeze_book(book)
    assert executed == [A]
    assert stale(book) == {}
    after = snapshot(book / "_freeze")
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {
        "pixgrad.json",
        "chapters/a/execute-results/html.json",
        "chapters/a/execute-results/typ.json",
    }
    edit(book / "code" / "mod_a.py", "return one() + 1", "return one()")
    freeze.freeze_book(book)
    assert executed == [A]
    assert snapshot(book / "_freeze") == before


def test_prose_is_set_around_old_cells_without_a_kernel(book, executed):
    edit(book / A, "# А\n", "# А и другое\n\nНовый абзац.\n")
    (book / A).write_text((book / A).read_text("utf-8") + "\nКонец.\n", "utf-8")
    shutil.rmtree(book / ".cache")
    done = pixgrad(book, "freeze", "--check", PIXGRAD_DATA=os.environ["PIXGRAD_DATA"])
    assert done.returncode == 1
    assert done.stdout == f"{A}: устарела: {A} (изменён текст)\n"
    before = snapshot(book / "_freeze")
    freeze.freeze_book(book)
    assert executed == []
    after = snapshot(book / "_freeze")
    assert {name for name in after if after[name] != before[name]} == {
        "pixgrad.json", "chapters/a/execute-results/html.json",
        "chapters/a/execute-results/typ.json",
    }  # fmt: skip
    frozen = json.loads(after["chapters/a/execute-results/html.json"])
    old = json.loads(before["chapters/a/execute-results/html.json"])
    assert frozen["hash"] == hashlib.md5((book / A).read_bytes()).hexdigest()
    expected = old["result"]["markdown"].replace("# А\n", "# А и другое\n\nНовый абзац.\n")
    assert frozen["result"]["markdown"] == expected + "Конец.\n\n"
    assert stale(book) == {}


def test_settings_make_all_stale_but_only_those_of_execution(book):
    edit(book / "_quarto.yml", 'title: "Проба"', 'title: "Другая"')
    edit(book / "_quarto.yml", "fig-width: 3", "fig-width: 3  # дюйма\n\n# Заметка")
    assert stale(book) == dict.fromkeys(
        [A, B, "chapters/c.qmd"], "_quarto.yml (настройки исполнения)"
    )
    edit(book / "_quarto.yml", "fig-width: 3  # дюйма\n\n# Заметка", "# Заметка\nfig-width: 3")
    assert stale(book) == {}
    edit(book / "_environment", "PYTHONPATH=code", "PYTHONPATH=code\nX=1")
    assert set(stale(book).values()) == {"_environment (настройки исполнения)"}


def test_absent_data_is_unverified_and_an_absent_module_is_stale(book, monkeypatch, tmp_path):
    monkeypatch.setenv("PIXGRAD_DATA", str(tmp_path / "nowhere"))
    done = pixgrad(book, "freeze", "--check", PIXGRAD_DATA=str(tmp_path / "nowhere"))
    assert done.returncode == 0
    assert f"{A}: не проверено, файлов нет: data:array.npy и ещё 4" in done.stdout
    (book / "code" / "mod_b.py").unlink()
    assert stale(book) == {B: "code/mod_b.py"}


def test_damaged_results_are_stale(book):
    path = book / "_freeze/chapters/a/execute-results/html.json"
    path.write_text(path.read_text("utf-8").replace("ёлка", "палка"), "utf-8")
    (book / "_freeze/chapters/b/execute-results/typ.json").unlink()
    assert stale(book) == {
        A: "_freeze/chapters/a (результаты изменены или удалены)",
        B: "_freeze/chapters/b (результаты изменены или удалены)",
    }


def test_chapter_that_is_gone_leaves_freeze_too(book, executed):
    """One that is only not listed keeps what it cost to execute it."""
    edit(book / "_quarto.yml", "    - chapters/a.qmd\n", "")
    freeze.freeze_book(book)
    assert A in Ledger(book).records
    (book / A).unlink()
    write(book / "chapters/c.qmd", "# В\n\nЯчеек больше нет.\n")
    freeze.freeze_book(book)
    assert executed == []
    assert {name.split("/")[1] for name in snapshot(book / "_freeze") if "/" in name} == {"b"}
    assert set(Ledger(book).records) == {B}


# Data sources


def test_another_origin_of_the_data_stops_the_chapter(tmp_path, executed, capsys):
    source = 'import sys\nfrom mod import origin\nsys.audit("pixgrad.source", "photos", origin)\n1'
    root = write_book(
        tmp_path / "book", {"a.qmd": chapter("А", cell(source))},
        {"code/mod.py": 'origin = "originals"\n'},
    )  # fmt: skip
    freeze.freeze_book(root)
    assert Ledger(root).records["a.qmd"]["sources"] == {"photos": "originals"}
    before = snapshot(root / "_freeze")
    write(root / "code/mod.py", 'origin = "wheel"\n')
    with pytest.raises(PixgradError, match=r"^a.qmd: .*«photos».*originals.*wheel.*--accept-so"):
        freeze.freeze_book(root)
    assert snapshot(root / "_freeze") == before
    freeze.freeze_book(root, accept_sources=True)
    assert Ledger(root).records["a.qmd"]["sources"] == {"photos": "wheel"}
    assert executed == ["a.qmd", "a.qmd"]


# Failures

FAILS = """\
def f(x):
    return 1 / x

y = 1
f(y -
  1)"""


def test_failures_are_told_with_line_and_source_and_other_chapters_are_kept(tmp_path):
    root = write_book(
        tmp_path / "book",
        {
            "good.qmd": chapter("Хорошая", cell("print(1)")),
            "bad.qmd": chapter("Плохая", cell("2", "echo: false"), "Текст.\n", cell(FAILS)),
            "syntax.qmd": chapter("Синтаксис", cell("x = 1\nx = = 2")),
            "slow.qmd": chapter("Долгая", cell("import time\ntime.sleep(60)")),
            "dead.qmd": chapter("Мёртвая", cell("import os\nos._exit(3)")),
            "option.qmd": chapter("Настройка", cell("1", "ehco: false")),
            "twice.qmd": chapter("Дважды", cell("1", "label: fig-a"), cell("2", "label: fig-a")),
        },
    )
    done = pixgrad(root, "freeze", "--timeout", "3")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    told = done.stderr
    assert "не исполнено глав: 6" in told
    # 1 title, 3-6 first cell, 8 text, 10 fence of the second cell, 15 the failing statement
    assert "bad.qmd:15: ячейка 2: ZeroDivisionError: division by zero\n" in told
    assert "  >   15 | f(y -\n" in told and "      11 | def f(x):\n" in told
    assert "syntax.qmd:5: ячейка 1: SyntaxError: " in told
    assert "slow.qmd:3: ячейка 1: не закончилась за 3 с" in told
    assert "dead.qmd:3: ячейка 1: ядро Python умерло" in told
    assert "option.qmd:4: неизвестная настройка ячейки «ehco»" in told
    assert "twice.qmd:8: метка «fig-a» уже дана ячейке в строке 3" in told
    assert set(Ledger(root).records) == {"good.qmd"}
    assert set(stale(root)) == {
        "bad.qmd", "syntax.qmd", "slow.qmd", "dead.qmd", "option.qmd", "twice.qmd"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("# А\n\n```{python}\n1\n".encode(), "a.qmd:3: блок кода «```{python}» не закрыт"),
        ("---\njupyter: ir\n---\n# А\n\n```{python}\n1\n```\n".encode(), "a.qmd:2: ядро Jupyter"),
    ],
)
def test_a_chapter_that_cannot_be_read_is_one_clear_line(tmp_path, content, message, surroundings):
    root = write_book(tmp_path / "book", {"a.qmd": ""})
    (root / "a.qmd").write_bytes(content)
    with pytest.raises(PixgradError) as caught:
        freeze.freeze_book(root)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_file_edited_while_the_chapter_runs_leaves_it_stale(tmp_path, surroundings):
    source = 'import mod\nfrom pathlib import Path\nPath("code/mod.py").touch()\nmod.x'
    root = write_book(
        tmp_path / "book", {"a.qmd": chapter("А", cell(source))}, {"code/mod.py": "x = 1\n"}
    )
    freeze.freeze_book(root)
    assert stale(root) == {"a.qmd": "code/mod.py"}


def test_environment_and_defaults_of_the_book_reach_the_cells(tmp_path, surroundings, monkeypatch):
    source = (
        "import os, sys, matplotlib\n"
        "print(os.environ['A'], os.environ['B'], os.environ['C'])\n"
        "print(os.path.abspath('code') in sys.path)\n"
        "print(os.path.basename(os.getcwd()), matplotlib.rcParams['figure.figsize'])"
    )
    root = write_book(tmp_path / "book", {"chapters/a.qmd": chapter("А", cell(source))})
    write(root / "_environment", "# Заметка\nPYTHONPATH=code\nA='один два'\nB=\"3\"  # три\nC=\n")
    edit(root / "_quarto.yml", "{freeze: auto}", "{freeze: auto, echo: false}")
    monkeypatch.setenv("B", "из оболочки")
    freeze.freeze_book(root)
    frozen = json.loads((root / "_freeze/chapters/a/execute-results/typ.json").read_text("utf-8"))
    assert frozen["result"]["markdown"] == (
        "# А\n\n::: {.cell execution_count=1}\n\n::: {.cell-output .cell-output-stdout}\n```\n"
        "один два из оболочки \nTrue\nbook [3.0, 2.0]\n```\n:::\n:::\n\n\n"
    )


@pytest.mark.parametrize(
    ("of_book", "of_shell", "threads"), [("", None, 1), ("2", None, 2), ("2", "3", 3)]
)
def test_cells_compute_in_one_thread_unless_asked_otherwise(
    tmp_path, surroundings, monkeypatch, of_book, of_shell, threads
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if of_shell:
        monkeypatch.setenv("OMP_NUM_THREADS", of_shell)
    code = cell("import os\nprint('потоков:', os.environ['OMP_NUM_THREADS'])")
    root = write_book(tmp_path / "book", {"a.qmd": chapter("А", code)})
    if of_book:
        write(root / "_environment", f"OMP_NUM_THREADS={of_book}\n")
    freeze.freeze_book(root)
    frozen = (root / "_freeze/a/execute-results/html.json").read_text("utf-8")
    assert f"потоков: {threads}\\n" in frozen


def test_cells_that_are_not_evaluated_and_errors_that_are_wanted(tmp_path, surroundings):
    root = write_book(
        tmp_path / "book",
        {"a.qmd": chapter("А", cell("raise SystemError", "eval: false"),
                          cell("raise ValueError('так надо')", "error: true"), cell("1"))},
    )  # fmt: skip
    freeze.freeze_book(root)
    frozen = json.loads((root / "_freeze/a/execute-results/typ.json").read_text("utf-8"))
    markdown = frozen["result"]["markdown"]
    assert (
        "::: {.cell execution_count=1}\n``` {.python .cell-code}\nraise SystemError\n```\n:::"
        in (markdown)
    )
    assert "```\nValueError: так надо\n---" in markdown and "Cell In[1], line 1" in markdown
    assert frozen["result"]["supporting"] == ["a_files/figure-typst"]


def test_warning_of_a_module_names_no_folder_of_this_machine(tmp_path, surroundings):
    root = write_book(
        tmp_path / "book",
        {"a.qmd": chapter("А", cell("import mod"))},
        {"code/mod.py": 'import warnings\nwarnings.warn("осторожно")\n'},
    )
    freeze.freeze_book(root)
    text = (root / "_freeze/a/execute-results/html.json").read_text("utf-8")
    assert "mod.py:2: UserWarning: осторожно" in text
    assert str(tmp_path) not in text and sys.prefix not in text


def test_two_runs_at_once_are_refused(tmp_path, surroundings):
    import subprocess
    import time

    root = write_book(
        tmp_path / "book", {"a.qmd": chapter("А", cell("import time\ntime.sleep(8)"))}
    )
    first = subprocess.Popen(
        [sys.executable, "-m", "pixgrad", "freeze", "--project", str(root)],
        env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 30
        while not (root / ".cache/pixgrad/ipython").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with pytest.raises(PixgradError, match="уже идёт"):
            freeze.freeze_book(root)
    finally:
        first.kill()
        first.wait()


def test_code_may_be_shown_in_one_format_alone(tmp_path, executed):
    text = chapter("А", cell("print(6 * 7)"), cell("print('учит')", "echo: true"))
    config = "format:\n  typst:\n    echo: false\n"
    write_book(tmp_path, {"chapter.qmd": text}, config=config)
    freeze.freeze_book(tmp_path)
    folder = tmp_path / "_freeze/chapter/execute-results"
    html, typ = (
        json.loads((folder / f"{fmt}.json").read_text("utf-8"))["result"]["markdown"]
        for fmt in ("html", "typ")
    )
    assert ("print(6 * 7)" in html, "print('учит')" in html) == (True, True)
    assert ("print(6 * 7)" in typ, "print('учит')" in typ) == (False, True)
    assert "42" in typ
    edit(tmp_path / "_quarto.yml", "echo: false", "echo: true")
    assert stale(tmp_path) == {"chapter.qmd": "_quarto.yml (настройки исполнения)"}
    freeze.freeze_book(tmp_path)
    assert executed == ["chapter.qmd"]  # the same outputs in another dress: no kernel
    assert "print(6 * 7)" in (folder / "typ.json").read_text("utf-8")
    edit(tmp_path / "_quarto.yml", "echo: true", "eval: false")
    with pytest.raises(PixgradError, match="eval у форматов разный") as caught:
        freeze.freeze_book(tmp_path)
    assert caught.value.file == "_quarto.yml"


def test_what_a_chapter_includes_and_the_files_beside_quarto_yml_make_it_stale(tmp_path, executed):
    text = "# А\n\n{{< include _part.md >}}\n\nКонец, `{python} x + 1`.\n"
    root = write_book(
        tmp_path / "book", {"a.qmd": text}, {"_part.md": "Слово.\n\n" + cell("x = 6")}
    )
    freeze.freeze_book(root)
    path = root / "_freeze/a/execute-results/html.json"
    assert "Конец, 7." in path.read_text("utf-8") and stale(root) == {}
    edit(root / "_part.md", "Слово", "Другое слово")
    freeze.freeze_book(root)
    assert "Другое слово" in path.read_text("utf-8") and executed == ["a.qmd"]
    edit(root / "_part.md", "x = 6", "x = 7")
    assert stale(root) == {"a.qmd": "a.qmd (изменены ячейки)"}
    freeze.freeze_book(root)
    assert "Конец, 8." in path.read_text("utf-8") and executed == ["a.qmd"] * 2
    write(root / "_metadata.yml", "execute:\n  echo: false\n")
    assert stale(root) == {"a.qmd": "_metadata.yml (настройки исполнения)"}
    freeze.freeze_book(root)
    assert "cell-code" not in path.read_text("utf-8")
    (root / "_metadata.yml").unlink()
    assert stale(root) == {"a.qmd": "_metadata.yml (настройки исполнения)"}


def test_a_folder_too_long_for_a_socket_is_no_obstacle(tmp_path):
    far = tmp_path.joinpath("far" * 15, "away" * 12)
    far.mkdir(parents=True)
    root = write_book(tmp_path / "book", {"chapters/a.qmd": chapter("А", cell("print(6 * 7)"))})
    done = pixgrad(root, "freeze", TMPDIR=str(far))
    assert done.returncode == 0, done.stderr
    assert "42" in (root / "_freeze/chapters/a/execute-results/html.json").read_text("utf-8")
