"""``_quarto.yml`` and the set of files."""

from __future__ import annotations

from collections.abc import Iterator

from pixgrad.book.rules.pages import Book, Finding, names

_FIGURE = ("fig-width", "fig-height", "fig-dpi", "fig-format")
_FILE = "_quarto.yml"

KNOWN: dict[tuple[str, ...], tuple[str, ...]] = {
    (): names(
        "project lang language book bibliography csl nocite execute format jupyter crossref "
        "number-sections toc toc-depth date-format link-citations metadata-files filters "
        "code-fold code-summary pixgrad"
    )
    + _FIGURE,
    ("project",): names(
        "type output-dir execute-dir pre-render post-render render resources title"
    ),
    ("book",): names(
        "title subtitle author date date-format abstract description chapters appendices "
        "references repo-url repo-actions repo-branch repo-subdir issue-url site-url site-path "
        "favicon cover-image cover-image-alt search sidebar navbar page-navigation page-footer "
        "reader-mode sharing downloads output-file open-graph twitter-card license doi "
        "margin-header margin-footer body-header body-footer bread-crumbs back-to-top-navigation "
        "image isbn"
    ),
    ("execute",): names(
        "freeze cache eval echo output warning error include enabled daemon debug fig-width "
        "fig-height fig-dpi fig-format"
    ),
    ("pixgrad",): ("release", "readers"),
    ("format",): ("html", "typst", "ipynb"),
}
"""The keys of each level that the book may use; deeper levels belong to Quarto."""


def config_keys(book: Book) -> Iterator[Finding]:
    """A misspelt key of ``_quarto.yml`` has no effect and no warning."""
    for path, line in book.project.config_lines.items():
        known = KNOWN.get(path[:-1])
        if known is not None and path[-1] not in known:
            yield Finding(_FILE, line, f"неизвестный ключ «{': '.join(map(str, path))}»")


def book_author(book: Book) -> Iterator[Finding]:
    """Without an author the Typst PDF fails, with a message about something else."""
    if not any(author.strip() for author in book.project.authors):
        line = book.project.config_lines.get(("book",), 1)
        yield Finding(_FILE, line, "нет book: author: без него PDF не собрать")


def figure_settings(book: Book) -> Iterator[Finding]:
    """Figure settings that differ between formats make Quarto execute every chapter twice."""
    project = book.project
    formats = project.get("format", default={})
    formats = [formats] if isinstance(formats, str) else list(formats)
    for key in _FIGURE:
        for name in formats:
            value = project.get("format", name, key)
            if value is not None and value != project.get(key):
                line = project.config_lines[("format", name, key)]
                yield Finding(
                    _FILE, line, f"{key} формата {name} не равен общему: книга исполнится дважды"
                )
        if project.get(key) is None and len(formats) > 1:
            line = project.config_lines.get(("format",), 1)
            yield Finding(_FILE, line, f"{key} не задан на верхнем уровне: книга исполнится дважды")


def unlisted_chapters(book: Book) -> Iterator[Finding]:
    """A chapter that is not in the list is silently left out of the book."""
    listed = {page.chapter.path for page in book.pages}
    line = book.project.config_lines.get(("book", "chapters"), 1)
    for folder in sorted({path.parent for path in listed}):
        for file in sorted((book.project.root / folder).glob("*.qmd")):
            if folder / file.name not in listed and not file.name.startswith("_"):
                name = (folder / file.name).as_posix()
                yield Finding(_FILE, line, f"глава {name} есть в папке, но не в book: chapters")


RULES = (config_keys, book_author, figure_settings, unlisted_chapters)
