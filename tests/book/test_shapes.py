"""A value of a wrong kind in the settings: one line with its place, from every command."""

from __future__ import annotations

import contextlib
import datetime

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tiny_books import write_files

from pixgrad import cli
from pixgrad.book.checking import check
from pixgrad.book.checking.pages import Book
from pixgrad.book.executing import freeze
from pixgrad.book.previewing import preview
from pixgrad.book.rendering import html_engine, scripts, typst_engine
from pixgrad.book.source import project as books
from pixgrad.book.source import shapes
from pixgrad.errors import SourceError

CONFIG = """\
project: {type: book}
book:
  title: Книга
  author: Автор
  chapters: [index.qmd]
"""
INDEX = "---\ntitle: Начало\n---\n\nТекст.\n"


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("_quarto.yml", CONFIG.replace("[index.qmd]", "5"), "_quarto.yml:5: chapters: ожидался"),
        ("_quarto.yml", CONFIG + "format: 3\n", "_quarto.yml:6: format: ожидалось значение вида"),
        ("_quarto.yml", "project: []\nbook: {chapters: [index.qmd]}\n", "_quarto.yml:1: project: "),
        ("_quarto.yml", "project: {type: book}\nbook: x\n", "_quarto.yml:2: book: ожидалось"),
        (
            "_quarto.yml",
            CONFIG + "format:\n  html:\n    toc-depth: deep\n",
            "_quarto.yml:8: toc-depth: ожидалось значение вида «целое число» вместо 'deep'",
        ),
        ("index.qmd", "---\ntitle: [а]\n---\n", "index.qmd:2: title: ожидалось значение вида"),
        ("_metadata.yml", "number-depth: true\n", "_metadata.yml:1: number-depth: ожидалось"),
    ],
)
def test_every_command_says_the_same_line(tmp_path, file, text, told):
    root = write_files(tmp_path, {"_quarto.yml": CONFIG, "index.qmd": INDEX, file: text})
    for work in (check.check_book, freeze.freeze_book, lambda root: build(books.load(root))):
        with pytest.raises(SourceError) as caught:
            work(root)
        assert str(caught.value).startswith(told), work


@pytest.mark.parametrize("command", ["check", "freeze", "render"])
def test_from_the_command_line(tmp_path, monkeypatch, command):
    root = write_files(tmp_path, {"_quarto.yml": CONFIG + "execute: 3\n", "index.qmd": INDEX})
    monkeypatch.setattr("sys.argv", ["pixgrad", command, "--project", str(root)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    told = "_quarto.yml:6: execute: ожидалось значение вида «ключи» вместо 3"
    assert caught.value.code == f"pixgrad: {told}"


def test_preview_tells_it_and_waits(tmp_path):
    root = write_files(tmp_path, {"_quarto.yml": CONFIG + "execute: 3\n", "index.qmd": INDEX})
    with preview.at_work(root) as (_, work, changes):
        work.refresh(changes.take())
        assert work._trouble.startswith("_quarto.yml:6: execute: ожидалось")


def build(project) -> None:
    """All that the renderers read, without compiling the PDF."""
    scripts.before(project)
    html_engine.Pages(project)
    list(typst_engine._pieces(project))
    pages = html_engine.Pages(project)
    for chapter in project.chapters:
        pages.text(chapter)


DAY = datetime.date(2024, 3, 5)
VALUES = st.sampled_from(
    [
        *(5, 2.5, -1, True, False, None, "x", "", "index.qmd", DAY),
        *([], ["x"], [5], [[1]], [None], [{"a": {"b": 1}}], {}, {"a": 1}, {"a": [{}]}, {1: 2}),
    ]
)
KEYS = st.sampled_from([*sorted(shapes._OF_KEY), ("book", "chapters"), ("book", "appendices")])


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@example(path=("code-overflow",), value=DAY, strict=False, in_chapter=True)
@given(path=KEYS, value=VALUES, strict=st.booleans(), in_chapter=st.booleans())
def test_no_value_of_a_known_setting_makes_a_traceback(book, path, value, strict, in_chapter):
    config = yaml.safe_load(CONFIG) | ({"pixgrad": {}} if strict else {})
    if "render" in path[-1] or path[-1] == "output-dir":  # they run, and they delete
        return
    front = {"title": "Начало"}
    place = front if in_chapter else config
    for name in path[:-1]:
        place[name] = dict(place[name]) if isinstance(place.get(name), dict) else {}
        place = place[name]
    place[path[-1]] = value
    header = f"---\n{yaml.safe_dump(front, allow_unicode=True)}---\n\nТекст.\n"
    write_files(book, {"_quarto.yml": yaml.safe_dump(config), "index.qmd": header})
    for work in (lambda one: check.findings(Book(one)), build):
        with contextlib.suppress(SourceError):
            work(books.load(book))


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    return tmp_path_factory.mktemp("shapes")


def test_ordinary_settings_are_of_their_kinds():
    given = {"book": {"title": 2024, "author": [{"name": "A"}], "date": None}, "toc": True}
    shapes.require(given, {}, "x")
