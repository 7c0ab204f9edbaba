"""The render command: choice of engine, what is built, what is left alone, kill -9."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_books import cell, clean_environment, pixgrad, snapshot, times, write, write_book

from pixgrad.book import render
from pixgrad.book.rendering import outputs
from pixgrad.book.source import project as books
from pixgrad.errors import PixgradError, SourceError

# Writes what it is asked to, and makes what Quarto would make.
FAKE_QUARTO = """#!/bin/sh
if [ "$1" = --version ]; then echo "${FAKE_VERSION}"; exit; fi
echo "$PWD: $*" >> "$FAKE_LOG"
[ -z "$FAKE_FAILURE" ] || exit 3
mkdir -p "$6"
[ "$4" = html ] && echo "by quarto" > "$6/index.html" || echo "%PDF" > "$6/Проба.pdf"
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    chapters = {f"chapters/{name}.qmd": f"# Глава {name}\n\nТекст.\n" for name in "abc"}
    return write_book(tmp_path / "book", chapters)


@pytest.fixture
def fake_quarto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``quarto`` on PATH; the path of its log."""
    program = tmp_path / "bin" / "quarto"
    write(program, FAKE_QUARTO)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("FAKE_VERSION", "1.9.4")
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.fixture
def no_quarto(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def built(book: Path) -> dict[str, bytes]:
    """The output folder without the list of what is in it."""
    found = snapshot(book / "_book")
    del found[outputs.LIST]
    return found


# Formats and engines -------------------------------------------------------------------------


def test_unknown_format_and_engine_are_one_line(book: Path) -> None:
    with pytest.raises(PixgradError, match=r"неизвестный формат «docx»; есть html, pdf, ipynb"):
        render.render_book(book, formats=["html", "docx"])
    with pytest.raises(PixgradError, match="неизвестный движок «latex»"):
        render.render_book(book, engine="latex")
    answer = pixgrad(book, "render", "--to", "docx")
    assert answer.returncode == 1
    assert answer.stderr.startswith("pixgrad: неизвестный формат «docx»")
    assert answer.stderr.count("\n") == 1


def test_quarto_is_asked_for_each_format(book: Path, fake_quarto: Path) -> None:
    render.render_book(book, formats=["html", "pdf"])
    log = re.sub(r"_book\.new-\w+/", "NEW/", fake_quarto.read_text())
    assert log.splitlines() == [
        f"{book}: render . --to html --output-dir NEW/html",
        f"{book}: render . --to typst --output-dir NEW/pdf",
    ]
    assert built(book) == {"index.html": b"by quarto\n", "Проба.pdf": b"%PDF\n"}


def test_failed_quarto_leaves_the_previous_book(
    book: Path, fake_quarto: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render.render_book(book, formats=["html", "pdf"])
    before = snapshot(book / "_book")
    write(book / "chapters" / "a.qmd", "# Глава а\n\nДругой текст.\n")
    monkeypatch.setenv("FAKE_FAILURE", "yes")
    with pytest.raises(PixgradError, match="завершилась с кодом 3"):
        render.render_book(book, formats=["html", "pdf"])
    assert snapshot(book / "_book") == before


def test_old_quarto_gives_way_to_the_embedded_engine(
    book: Path,
    fake_quarto: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FAKE_VERSION", "1.8.25")
    render.render_book(book, formats=["html"])
    assert "Quarto 1.8.25 старше 1.9: собираю встроенным движком" in capsys.readouterr().out
    assert not fake_quarto.exists()
    assert "<html" in (book / "_book" / "index.html").read_text("utf-8")
    with pytest.raises(PixgradError, match=r"Quarto 1\.8\.25 старше 1\.9; установите"):
        render.render_book(book, engine="quarto")


def test_quarto_asked_for_but_absent(book: Path, no_quarto: None) -> None:
    with pytest.raises(PixgradError, match="Quarto не найден на PATH"):
        render.render_book(book, engine="quarto")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("title: От пикселя: до градиента", "От-пикселя--до-градиента.pdf"),
        ("{title: Книга, output-file: book}", "book.pdf"),
    ],
)
def test_pdf_is_named_as_quarto_names_it(tmp_path: Path, settings: str, expected: str) -> None:
    import yaml

    values = yaml.safe_load(settings) if settings[0] == "{" else {"title": settings[7:]}
    project = books.Project(tmp_path, {"book": values}, {})
    assert render.pdf_name(project) == expected


# What is built and what is left alone --------------------------------------------------------


def test_formats_not_asked_for_stay(book: Path, no_quarto: None) -> None:
    render.render_book(book, formats=["html"])
    site = built(book)
    assert {"index.html", "chapters/a.html"} <= set(site)
    render.render_book(book, formats=["pdf"])
    with_pdf = built(book)
    assert with_pdf.pop("Проба.pdf").startswith(b"%PDF-")
    assert with_pdf == site
    write(book / "chapters" / "a.qmd", "# Другое название\n")
    render.render_book(book, formats=["html"])
    after = built(book)
    assert after["Проба.pdf"].startswith(b"%PDF-")
    assert "Другое название" in after["chapters/a.html"].decode()


def test_nothing_changed_means_nothing_is_written(
    book: Path, no_quarto: None, capsys: pytest.CaptureFixture[str]
) -> None:
    render.render_book(book)
    before = times(book / "_book")
    capsys.readouterr()
    render.render_book(book)
    assert times(book / "_book") == before
    assert capsys.readouterr().out.count("(без изменений)") == 2


def test_dry_run_says_what_would_be_built_and_builds_nothing(
    book: Path, no_quarto: None, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(**options) -> str:
        capsys.readouterr()
        before = snapshot(book)
        render.render_book(book, dry_run=True, **options)
        assert snapshot(book) == before
        return capsys.readouterr().out

    assert told(formats=["html"]).count("будет собран заново: изменились исходники") == 1
    render.render_book(book, formats=["html"])
    assert "index.html (без изменений)" in told(formats=["html"])
    assert "Проба.pdf будет собран заново" in told()
    write(book / "chapters" / "a.qmd", "# Глава\n\n" + cell("1 + 1"))
    said = told(formats=["html"])
    assert "chapters/a.qmd: устарела" in said and "будет собран заново: устарели главы" in said
    assert "страницы для GitHub: будут записаны: ни одной" in told(formats=["gfm"])


def test_time_of_the_last_build_is_what_is_left_of_the_next(book: Path, no_quarto: None) -> None:
    render.render_book(book, formats=["html"])
    (stamps,) = book.glob(".cache/render/stamps.json")
    seconds = json.loads(stamps.read_text("utf-8"))["seconds"]
    assert set(seconds) == {"html"} and seconds["html"] > 0


def test_lost_page_is_built_again(book: Path, no_quarto: None) -> None:
    render.render_book(book, formats=["html"])
    before = snapshot(book / "_book")
    (book / "_book" / "chapters" / "b.html").unlink()
    render.render_book(book, formats=["html"])
    assert snapshot(book / "_book") == before


def test_failure_in_one_format_publishes_none(book: Path, no_quarto: None) -> None:
    render.render_book(book)
    before = snapshot(book / "_book")
    write(book / "chapters" / "a.qmd", "# Глава\n\nНовый текст.\n")
    write(book / "chapters" / "b.qmd", "# Глава\n\n$\\hline x$\n")  # the PDF cannot show it
    with pytest.raises(SourceError, match=r"chapters/b\.qmd"):
        render.render_book(book)
    assert snapshot(book / "_book") == before
    assert not list(book.glob("_book.*"))


def test_notebooks_are_made_where_they_live(book: Path, no_quarto: None) -> None:
    render.render_book(book, formats=["ipynb"])
    assert (book / "notebooks").is_dir()
    assert list((book / "notebooks").glob("*.ipynb"))
    assert not (book / "_book").exists()


# kill -9 -------------------------------------------------------------------------------------

RENDERER = """
import sys
from itertools import count
from pathlib import Path
from pixgrad.book.render import render_book

root = Path(sys.argv[1])
for version in count(int(sys.argv[2])):
    for name in "abc":
        (root / "chapters" / f"{name}.qmd").write_text(f"# Глава\\n\\nверсия{version}.\\n")
    render_book(root, engine="pandoc", formats=["html", "pdf"])
"""


def test_killed_render_leaves_the_book_whole(book: Path) -> None:
    moments = random.Random(1)
    for first in range(0, 300, 100):
        command = [sys.executable, "-c", RENDERER, str(book), str(first)]
        process = subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE)
        while not process.stdout.readline().startswith(b"PDF"):
            pass  # until the first version is out
        time.sleep(moments.uniform(0, 2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        site = {
            name: data for name, data in snapshot(book / "_book").items() if name[-5:] == ".html"
        }
        pages = {"404.html", "index.html", *(f"chapters/{name}.html" for name in "abc")}
        assert set(site) == pages
        numbers = [
            re.findall(r"версия(\d+)", site[f"chapters/{name}.html"].decode()) for name in "abc"
        ]
        assert numbers[0] and numbers[0] == numbers[1] == numbers[2]
        assert int(numbers[0][0]) >= first
        assert (book / "_book" / "Проба.pdf").read_bytes().rstrip().endswith(b"%%EOF")
    time.sleep(0.5)  # children of the killed process may still be ending
    render.render_book(book, engine="pandoc", formats=["html"])
    assert not list(book.glob("_book.*"))
