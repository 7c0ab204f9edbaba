"""The wheel serves a book of others without the repository: built, installed apart, used."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from tiny_books import cell, chapter, clean_environment, snapshot, write_files

ROOT = Path(__file__).parent.parent.parent
CONFIG = """\
project:
  type: book
lang: en
book:
  title: "A book of others"
  author: "Somebody"
  chapters: [index.qmd, one.qmd]
fig-format: svg
"""
PLOT = "import matplotlib.pyplot as plt\nplt.plot([0, 1])\nplt.show()"
PLACE = "import pixgrad\nprint(pixgrad.__file__)"


def run(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(one) for one in command], cwd=cwd, env=clean_environment(**environment),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Of a copy: the build leaves folders beside the sources."""
    home = tmp_path_factory.mktemp("wheel")
    tracked = run("git", "ls-files", "code", "pyproject.toml", "README.md", "LICENSE", cwd=ROOT)
    for name in tracked.splitlines():
        (home / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, home / "tree" / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*pip, "--wheel-dir", home, home / "tree", cwd=home)
    (built,) = home.glob("*.whl")
    return built


@pytest.mark.slow
def test_wheel_holds_every_file_of_the_package(wheel):
    tracked = run("git", "ls-files", "code/pixgrad", cwd=ROOT).splitlines()
    with zipfile.ZipFile(wheel) as packed:
        held = set(packed.namelist())
    assert {name.removeprefix("code/") for name in tracked} <= held
    assert not [name for name in held if name.startswith(("tests", "chapters", "results"))]


@pytest.mark.slow
def test_installed_wheel_freezes_and_renders_a_book_of_others(wheel, tmp_path):
    """Other packages come from this environment by a path; pixgrad is the wheel's."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "clean", cwd=tmp_path)
    programs = tmp_path / "clean" / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "install", "--quiet"]
    run(*pip, "--no-deps", "--no-index", wheel, cwd=tmp_path)
    find = "import sysconfig; print(sysconfig.get_path('purelib'))"
    (place,) = run(programs / "python", "-c", find, cwd=tmp_path).splitlines()
    Path(place, "others.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    book = write_files(
        tmp_path / "book",
        {
            "_quarto.yml": CONFIG,
            "index.qmd": "# Preface {.unnumbered}\n\nSee @sec-one.\n",
            "one.qmd": chapter(
                "One {#sec-one}",
                "Formula $x^2$.\n",
                cell(PLOT, "label: fig-line", 'fig-cap: "A line"'),
                cell(PLACE),
            ),
        },
    )
    run(programs / "pixgrad", "freeze", "--project", book, cwd=tmp_path)
    run(programs / "pixgrad", "render", "--engine", "pandoc", "--project", book, cwd=tmp_path)
    made = snapshot(book / "_book")
    page = made["one.html"].decode()
    assert "<svg" in page or ".svg" in page
    assert str(Path(place, "pixgrad")) in page  # what the kernel imported is the wheel's
    assert made["A-book-of-others.pdf"].startswith(b"%PDF-")
    assert str(ROOT) not in b"".join(made.values()).decode("utf-8", "ignore")
    run(programs / "pixgrad", "freeze", "--check", "--project", book, cwd=tmp_path)
