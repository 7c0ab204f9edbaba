"""``_quarto.yml``, the set of files, and what the engine does not know."""

from collections.abc import Iterator

from pixgrad.book.checking.pages import Book, Finding
from pixgrad.book.rendering import supported
from pixgrad.errors import SourceError

_FIGURE = ("fig-width", "fig-height", "fig-dpi", "fig-format")
_FILE = "_quarto.yml"


def unsupported(book: Book) -> Iterator[Finding]:
    """Misspelt keys have no effect, unknown constructs come out as text or vanish."""
    is_lenient = not book.project.is_strict
    for one in supported.unsupported_options(book.project):
        yield Finding(one.file, one.line, one.what, one.is_note or (one.is_limit and is_lenient))
    for page in book.pages:
        try:
            for one in supported.unsupported(page.chapter.document, page.file, page.tree):
                is_note = one.is_note or (one.is_limit and is_lenient)
                yield page.finding(one.line, one.what, is_note)
        except SourceError as error:  # YAML that does not parse
            yield page.finding(error.line or 1, error.message)


def named_files(book: Book) -> Iterator[Finding]:
    """A sign or a style sheet that is not there is missed by nobody but the reader."""
    project = book.project
    csl = str(project.get("csl", default=""))
    if "://" in csl and not project.is_strict:
        what = f"{csl} лежит на другом сайте: источники оформлены, как принято у pandoc"
        yield Finding(_FILE, project.config_lines.get(("csl",), 1), what, is_note=True)
    for keys in (("book", "favicon"), ("book", "cover-image"), ("css",), ("format", "html", "css")):
        given = project.get(*keys)
        for name in given if isinstance(given, list) else [given] if given else []:
            is_there = "//" in str(name) or (project.root / str(name)).is_file()
            if not is_there and keys in project.places:
                error = project.error(f"файла {name} нет ({keys[-1]})", *keys)
                yield Finding(error.file, error.line or 1, error.message)


def kernels(book: Book) -> Iterator[Finding]:
    """Another environment of Python has another name; the cells run in the one that is here."""
    asked = book.project.get("jupyter")
    if isinstance(asked, str) and asked != "python3" and not book.project.is_strict:
        what = f"ядро {asked}: ячейки исполняет Python, которым запущен pixgrad"
        yield Finding(_FILE, book.project.config_lines.get(("jupyter",), 1), what, is_note=True)


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
                what = f"{key} формата {name} не равен общему: в Quarto книга исполнится дважды"
                yield Finding(_FILE, line, what, is_note=True)
        if project.get(key) is None and len(formats) > 1:
            line = project.config_lines.get(("format",), 1)
            what = f"{key} не задан на верхнем уровне: в Quarto книга исполнится дважды"
            yield Finding(_FILE, line, what, is_note=True)


def unlisted_chapters(book: Book) -> Iterator[Finding]:
    """A chapter that is not in the list is silently left out of the book."""
    listed = {page.chapter.path for page in book.pages}
    line = book.project.config_lines.get(("book", "chapters"), 1)
    for folder in sorted({path.parent for path in listed}):
        for file in sorted((book.project.root / folder).glob("*.qmd")):
            if folder / file.name not in listed and not file.name.startswith("_"):
                name = (folder / file.name).as_posix()
                yield Finding(_FILE, line, f"глава {name} есть в папке, но не в book: chapters")


RULES = (unsupported, named_files, kernels, book_author, figure_settings, unlisted_chapters)
