"""``pixgrad init``: what it adds to a book of others', and that it all goes back to the byte."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_books import snapshot, write_files

from pixgrad.book import adopting
from pixgrad.book.rendering import scripts
from pixgrad.book.source import project as books
from pixgrad.errors import SourceError

CREATED = """\
project:
  type: book

book:
  title: "mybook"
  author: "Norah Jones"
  date: "11/27/2026"
  chapters:
    - index.qmd
    - intro.qmd # the first one
    - references.qmd

bibliography: references.bib

format:
  html:
    theme:
      - cosmo
      - brand
  pdf:
    documentclass: scrreprt
"""
"""As ``quarto create project book`` writes it."""
PAGES = {
    "index.qmd": "# Preface {.unnumbered}\n\nThis is a Quarto book.\n",
    "intro.qmd": "# Introduction\n\nSee @knuth84 for more.\n\n```{python}\n1 + 1\n```\n",
    "references.qmd": "# References {.unnumbered}\n\n::: {#refs}\n:::\n",
    "references.bib": "@book{knuth84, title = {Literate}, author = {Knuth}, year = {1984}}\n",
}
GIT = {".gitignore": "/.quarto/\n**/*.quarto_ipynb\n"}


def test_a_created_book_gets_its_step_and_gives_it_back(tmp_path, capsys):
    root = write_files(tmp_path / "book", {"_quarto.yml": CREATED, **PAGES, **GIT})
    before = snapshot(root)
    adopting.adopt(root, dry_run=True)
    shown = capsys.readouterr().out
    assert f"+  pre-render: {adopting.STEP}" in shown and "+/_book/" in shown
    assert snapshot(root) == before

    adopting.adopt(root)
    config = (root / "_quarto.yml").read_text("utf-8")
    assert [line for line in config.split("\n") if adopting._MARK not in line] == CREATED.split(
        "\n"
    )
    project = books.load(root)
    assert project.get("project", "pre-render") == adopting.STEP
    assert project.get("execute", "freeze") == "auto"
    assert not scripts.before(project)  # the embedded engine executes by itself
    ignored = (root / ".gitignore").read_text("utf-8")
    assert "/.quarto/" not in ignored.removesuffix(GIT[".gitignore"])
    assert ignored.endswith(GIT[".gitignore"]) and "/_freeze/site_libs/" in ignored
    assert "*.qmd text eol=lf" in (root / ".gitattributes").read_text("utf-8")

    after = snapshot(root)
    capsys.readouterr()
    adopting.adopt(root)
    assert snapshot(root) == after
    assert "Менять нечего" in capsys.readouterr().out

    adopting.adopt(root, remove=True)
    assert snapshot(root) == before
    adopting.adopt(root, remove=True)
    assert snapshot(root) == before


def test_what_the_author_adds_later_stays(tmp_path):
    root = write_files(tmp_path / "book", {"_quarto.yml": CREATED, **PAGES})
    adopting.adopt(root)
    for name in ("_quarto.yml", ".gitignore"):
        path = root / name
        path.write_text(path.read_text("utf-8") + "# mine\n", "utf-8")
    adopting.adopt(root, remove=True)
    assert (root / "_quarto.yml").read_text("utf-8") == CREATED + "# mine\n"
    assert (root / ".gitignore").read_text("utf-8") == "# mine\n"
    assert not (root / ".gitattributes").exists()


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ("  pre-render: prep.py # first\n", ["prep.py", adopting.STEP]),
        ('  pre-render: "python a.py, b"\n', ["python a.py, b", adopting.STEP]),
        ("  pre-render: python a.py [x]\n", ["python a.py [x]", adopting.STEP]),
        ("  pre-render:\n", adopting.STEP),
        ("  pre-render: []\n", [adopting.STEP]),
        ("  pre-render: [a.py, b.sh]\n", ["a.py", "b.sh", adopting.STEP]),
        ("  pre-render: [a.py,\n    b.sh]\n", ["a.py", "b.sh", adopting.STEP]),
        ("  pre-render:\n    - a.py\n\n    # why\n    - b.sh\n", ["a.py", "b.sh", adopting.STEP]),
        ("  pre-render:\n  - a.py\n", ["a.py", adopting.STEP]),
        ("  pre-render: code/pixgrad/book/prerender.py\n", "code/pixgrad/book/prerender.py"),
    ],
)
def test_the_step_comes_after_the_authors_own(given, becomes):
    text = CREATED.replace("  type: book\n", f"  type: book\n{given}")
    new = adopting.configured(text)
    assert yaml.safe_load(new)["project"]["pre-render"] == becomes
    assert adopting._restored(new) == text


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (CREATED + "execute:\n  freeze: false\n", "  freeze: false"),
        (CREATED + "execute: false\n", "execute: false"),
        (
            CREATED.replace("book\n\n", "book\n  pre-render: |\n    a.py\n\n", 1),
            "  pre-render: |",
        ),
        ("project: &p\n  type: book\nbook: {chapters: [index.qmd]}\nexecute: *p\n", None),
    ],
)
def test_what_cannot_be_changed_safely_is_refused(tmp_path, config, line):
    root = write_files(tmp_path / "book", {"_quarto.yml": config, **PAGES})
    before = snapshot(root)
    with pytest.raises(SourceError, match=r"freeze: auto|ожидалось значение") as caught:
        adopting.adopt(root)
    place = caught.value.line
    assert (place and config.split("\n")[place - 1]) == line
    assert snapshot(root) == before


def test_no_book_is_refused_but_remove_needs_none(tmp_path):
    with pytest.raises(SourceError, match="не проект Quarto"):
        adopting.adopt(tmp_path)
    write_files(tmp_path, {"_quarto.yml": "project: [broken"})
    adopting.adopt(tmp_path, remove=True)
    assert (tmp_path / "_quarto.yml").read_text("utf-8") == "project: [broken"


STEPS = st.sampled_from(
    [
        "",
        "pre-render: a.py",
        "pre-render: [a.py]",
        "pre-render: 'a b.py' # c",
        "pre-render:\n    - a",
    ]
)
EXECUTE = st.sampled_from(
    ["", "execute:\n  echo: false", "execute: {echo: false}  # c", "execute:", "execute: {}",
     "execute:\n\n  # why\n  freeze: true"]
)  # fmt: skip
OTHERS = st.lists(
    st.sampled_from(
        ["# заметка", "", "lang: ru", "toc: |\n  a\n\n  b", "format:\n  html: default"]
    ),
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(
    step=STEPS, execute=EXECUTE, others=OTHERS, place=st.integers(0, 5), flow=st.booleans(),
    crlf=st.booleans(), bom=st.booleans(), ends=st.booleans(),
)  # fmt: skip
def test_any_settings_come_back_to_the_byte(step, execute, others, place, flow, crlf, bom, ends):
    own = f"\n  {step}" if step else ""
    project = "project: {type: book}" if flow else f"project: # книга\n  type: book{own}"
    parts = [*others, *([execute] if execute else [])]
    parts.insert(min(place, len(parts)), project)
    text = "\ufeff" * bom + "\n".join(parts) + "\n" * ends
    text = text.replace("\n", "\r\n") if crlf else text
    new = adopting.configured(text)
    config = yaml.safe_load(new.lstrip("\ufeff"))
    commands = config["project"]["pre-render"]
    assert (commands if isinstance(commands, list) else [commands])[-1] == adopting.STEP
    assert config["execute"]["freeze"] in ("auto", True)
    assert new.count("\r\n") == (new.count("\n") if "\r\n" in text else 0)
    assert adopting._restored(new) == text
    assert adopting.configured(adopting._restored(new)) == new
    assert adopting.configured(new) == new


LINES = st.lists(st.sampled_from(["_book", "/_book/", "*.pyc", "", "# x", "!keep", ".quarto"]))


@settings(max_examples=60, deadline=None)
@given(lines=LINES, crlf=st.booleans(), bom=st.booleans(), ends=st.booleans())
def test_any_list_of_gits_comes_back_to_the_byte(lines, crlf, bom, ends):
    text = "\ufeff" * bom + "\n".join(lines) + "\n" * ends
    text = text.replace("\n", "\r\n") if crlf else text
    new = adopting.listed(text, ["/_book/", "/.quarto/", "/.cache/"])
    assert {"_book", ".quarto", ".cache"} <= {
        line.strip("\ufeff").strip().strip("/") for line in new.split("\n")
    }
    assert new.removeprefix("\ufeff").endswith(text.removeprefix("\ufeff"))
    assert adopting._restored(new) == (text or None if "new file" in new else text)


def test_files_that_are_not_utf8_are_left_alone(tmp_path):
    root = write_files(tmp_path / "book", {"_quarto.yml": CREATED, **PAGES})
    Path(root / ".gitignore").write_bytes(b"\xff\xfe")
    with pytest.raises(Exception, match="UTF-8"):
        adopting.adopt(root)
    assert (root / "_quarto.yml").read_text("utf-8") == CREATED
