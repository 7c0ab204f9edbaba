"""The output folder: what the generator did not write is never replaced or removed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from tiny_books import chapter, pixgrad, snapshot, write, write_book, write_files

from pixgrad import files
from pixgrad.book import render
from pixgrad.book.rendering import outputs
from pixgrad.errors import SourceError

CONFIG = """\
project:
  type: book
  output-dir: {folder}
book:
  title: Книга
  chapters: [index.qmd, chapters/a.qmd]
bibliography: refs/books.bib
"""
SOURCES = {
    "index.qmd": "# Предисловие {.unnumbered}\n\nТекст.\n",
    "chapters/a.qmd": "# Глава\n\nТекст.\n",
    "refs/books.bib": "",
    "data/data.csv": "1,2\n",
    ".git/HEAD": "ref: refs/heads/main\n",
    "_freeze/pixgrad.json": json.dumps(
        {"version": 1, "chapters": {"chapters/a.qmd": {"files": {"project:data/data.csv": "0"}}}}
    ),
    "drafts/b.qmd": "# Набросок\n",
}
FOREIGN = {"CNAME": "book.example\n", ".nojekyll": "", "notes/ideas.md": "мысли\n"}


def make_book(root: Path, folder: str = "docs") -> Path:
    return write_files(root, {**SOURCES, "_quarto.yml": CONFIG.format(folder=folder)})


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A book that is built into ``docs``, with foreign files there."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    root = make_book(tmp_path / "book")
    shutil.rmtree(root / "_freeze")
    write_files(root / "docs", FOREIGN)
    return root


def foreign(book: Path) -> dict[str, str]:
    return {name: (book / "docs" / name).read_text("utf-8") for name in FOREIGN}


# Where a book may not be built -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        (".", "это папка самой книги"),
        ("..", "это папка самой книги или та, в которой она лежит"),
        ("chapters/..", "это папка самой книги"),
        ("/", "это папка самой книги или та, в которой она лежит"),
        ("chapters", "там лежит chapters/a.qmd, источник книги"),
        ("refs", "там лежит refs/books.bib, источник книги"),
        ("data", "там лежит data/data.csv, источник книги"),
        ("drafts", "там лежит источник книги b.qmd"),
        (".git", r"в \.git хранится не сборка"),
        (".git/site", r"в \.git хранится не сборка"),
        ("_freeze/x", "в _freeze хранится не сборка"),
        ("notebooks", "в notebooks хранится не сборка"),
        ("index.qmd", "это не папка"),
        ("../other", "там другая книга"),
        ("../other/docs", "там другая книга"),
        ("../place", "там лежит источник книги inner/_quarto.yml"),
        ("link", "там лежит chapters/a.qmd, источник книги"),
        ("up", "это папка самой книги или та, в которой она лежит"),
        ("link/../link", "там лежит chapters/a.qmd, источник книги"),
    ],
)
def test_places_that_are_refused_untouched(tmp_path: Path, folder: str, reason: str) -> None:
    root = make_book(tmp_path / "book", folder)
    write_files(tmp_path, {"other/_quarto.yml": "", "place/inner/_quarto.yml": ""})
    (root / "link").symlink_to("chapters")
    (root / "up").symlink_to(tmp_path)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(SourceError, match=reason) as caught:
        render.render_book(root, engine="pandoc")
    assert (caught.value.file, caught.value.line) == ("_quarto.yml", 3)
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_two_books_do_not_share_a_folder(tmp_path: Path) -> None:
    books = [make_book(tmp_path / name, "../site") for name in ("one", "two")]
    for root in books:
        shutil.rmtree(root / "_freeze")
    render.render_book(books[0], engine="pandoc", formats=["html"])
    before = snapshot(tmp_path / "site")
    with pytest.raises(SourceError, match=r"там сборка другой книги \(.*/one\)"):
        render.render_book(books[1], engine="pandoc", formats=["html"])
    assert snapshot(tmp_path / "site") == before


def test_refusal_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    answer = pixgrad(make_book(tmp_path / "book", "."), "render")
    assert answer.returncode == 1
    assert answer.stderr == (
        "pixgrad: _quarto.yml:3: output-dir: .: это папка самой книги или та, в которой она лежит; "
        "выберите для сборки другую папку\n"
    )


# What stays --------------------------------------------------------------------------------------


def test_foreign_files_stay_whatever_is_rendered(book: Path) -> None:
    docs = book / "docs"
    (docs / "link.md").symlink_to("notes/ideas.md")
    write(docs / ".git" / "HEAD", "ref: refs/heads/gh-pages\n")  # a checkout of its own
    (docs / ".git" / "refs").mkdir()
    numbers = {name: (docs / name).stat().st_ino for name in FOREIGN}
    for formats in (["html"], ["pdf"], ["html", "pdf"], ["html"]):
        write(book / "chapters" / "a.qmd", f"# Глава\n\nЗаново ради {formats}.\n")
        render.render_book(book, engine="pandoc", formats=formats)
        assert foreign(book) == FOREIGN
        assert {name: (docs / name).stat().st_ino for name in FOREIGN} == numbers
        assert (docs / "link.md").readlink() == Path("notes/ideas.md")
        assert (docs / ".git" / "refs").is_dir() and (docs / ".git" / "HEAD").is_file()
    assert (docs / "Книга.pdf").is_file() and "Заново" in (docs / "chapters/a.html").read_text()
    assert sorted(path.name for path in book.glob("docs*")) == ["docs"]


def test_pages_that_left_the_book_go_and_nothing_else(book: Path) -> None:
    render.render_book(book, engine="pandoc", formats=["html"])
    write(book / "docs" / "chapters" / "note.txt", "мысль")
    config = CONFIG.format(folder="docs").replace(", chapters/a.qmd", "")
    write(book / "_quarto.yml", config)
    render.render_book(book, engine="pandoc", formats=["html"])
    assert [path.name for path in (book / "docs" / "chapters").iterdir()] == ["note.txt"]
    assert foreign(book) == FOREIGN


@pytest.mark.parametrize("name", ["index.html", "chapters/a.html", "Книга.pdf", "chapters"])
def test_file_in_the_way_is_named(book: Path, name: str) -> None:
    write(book / "docs" / name, "не трогать")
    before = snapshot(book / "docs")
    with pytest.raises(
        SourceError, match=rf"docs/{name}: файл уже есть, и записал его не pixgrad"
    ) as caught:
        render.render_book(book, engine="pandoc")
    assert (caught.value.file, caught.value.line) == ("_quarto.yml", 3)
    assert snapshot(book / "docs") == before
    assert not list(book.glob("docs.*"))


def test_file_edited_after_the_build_is_not_ours_any_more(book: Path) -> None:
    render.render_book(book, engine="pandoc", formats=["html"])
    page = book / "docs" / "chapters" / "a.html"
    write(page, "правка рукой")
    write(book / "chapters" / "a.qmd", "# Глава\n\nДругой текст.\n")
    with pytest.raises(SourceError, match=r"chapters/a\.html: файл уже есть"):
        render.render_book(book, engine="pandoc", formats=["html"])
    assert page.read_text("utf-8") == "правка рукой"
    page.unlink()
    render.render_book(book, engine="pandoc", formats=["html"])
    assert "Другой текст" in page.read_text("utf-8")


def test_list_travels_with_the_folder(book: Path, tmp_path: Path) -> None:
    render.render_book(book, engine="pandoc", formats=["html"])
    shutil.copytree(book / "docs", tmp_path / "clone" / "docs")
    clone = make_book(tmp_path / "clone")
    shutil.rmtree(clone / "_freeze")
    write(clone / "chapters" / "a.qmd", "# Глава\n\nДругой текст.\n")
    render.render_book(clone, engine="pandoc", formats=["html"])
    assert "Другой текст" in (clone / "docs/chapters/a.html").read_text("utf-8")
    assert foreign(clone) == FOREIGN


def test_built_through_a_link(book: Path, tmp_path: Path) -> None:
    (book / "docs").rename(tmp_path / "www")
    (book / "docs").symlink_to("../www")
    render.render_book(book, engine="pandoc", formats=["html"])
    assert (book / "docs").is_symlink() and (tmp_path / "www" / "index.html").is_file()
    assert foreign(book) == FOREIGN


def test_file_that_came_while_the_site_was_exchanged(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = files.replace_folder

    def late(new: Path, target: Path) -> None:
        write(target / "late.txt", "успел")
        replace(new, target)

    monkeypatch.setattr(files, "replace_folder", late)
    render.render_book(book, engine="pandoc", formats=["html"])
    assert (book / "docs" / "late.txt").read_text("utf-8") == "успел"


def test_nothing_changed_means_nothing_is_built(
    book: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    render.render_book(book, engine="pandoc")
    write(book / "docs" / "new note.md", "мысль")
    render.render_book(book, engine="pandoc", formats=["pdf"])  # a note may be a source
    capsys.readouterr()
    render.render_book(book, engine="pandoc", formats=["pdf"])
    assert "(без изменений)" in capsys.readouterr().out


def test_source_with_the_name_of_the_folder_counts(book: Path) -> None:
    config = CONFIG.format(folder="docs").replace("index.qmd,", "index.qmd, docs.qmd,")
    write_files(book, {"_quarto.yml": config, "docs.qmd": "# Документы\n\nСтарое.\n"})
    render.render_book(book, engine="pandoc", formats=["html"])
    write(book / "docs.qmd", "# Документы\n\nНовое.\n")
    render.render_book(book, engine="pandoc", formats=["html"])
    assert "Новое" in (book / "docs" / "docs.html").read_text("utf-8")


def test_copies_where_the_file_system_has_no_links(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments, **options):
        raise OSError(1, "Operation not permitted")

    (book / "docs" / "link.md").symlink_to("absent")
    monkeypatch.setattr(os, "link", refuse)
    render.render_book(book, engine="pandoc", formats=["html"])
    assert foreign(book) == FOREIGN
    assert (book / "docs" / "link.md").readlink() == Path("absent")


def test_page_shows_no_file_from_outside_the_book(tmp_path: Path) -> None:
    write(tmp_path / "out.csv", "1\n")
    text = chapter("А", "[данные](../../out.csv)\n")
    root = write_book(tmp_path / "book", {"chapters/a.qmd": text})
    with pytest.raises(SourceError, match=r"a\.qmd:3: файл ../../out\.csv лежит вне книги"):
        render.render_book(root, engine="pandoc", formats=["html"])
    assert not list(root.rglob("out.csv"))


def test_list_names_the_book_and_its_files(book: Path) -> None:
    render.render_book(book, engine="pandoc")
    stored = json.loads((book / "docs" / outputs.LIST).read_text("utf-8"))
    assert stored["book"] == ".."
    assert set(stored["files"]) == set(snapshot(book / "docs")) - {*FOREIGN, outputs.LIST}
