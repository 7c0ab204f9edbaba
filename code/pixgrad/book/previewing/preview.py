"""``pixgrad preview``: the site on this machine, made anew as the book is edited.

An edit of prose makes its page first and the rest after that. Otherwise the ledger says what has to
be executed. ``_freeze`` is written as ``pixgrad freeze`` writes it, but nothing is removed there;
the site lies in a temporary folder, ``_book`` is left alone.
"""

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from pixgrad.book.checking import check
from pixgrad.book.executing import freeze
from pixgrad.book.ledger.dependencies import Dependencies
from pixgrad.book.ledger.ledger import STALE, Ledger
from pixgrad.book.previewing.changes import Changes, watching
from pixgrad.book.previewing.server import News, serving
from pixgrad.book.previewing.site import Site
from pixgrad.book.rendering import html_engine, scripts, search, supported
from pixgrad.book.source import embedded
from pixgrad.book.source import project as books
from pixgrad.book.source.project import CONFIG, Project
from pixgrad.dataroot import data_root
from pixgrad.errors import PixgradError, say

_TEXTS = {".bib", ".csl", ".css", ".html", ".js", ".md", ".py", ".qmd", ".yaml", ".yml"}
"""Endings of what authors write; another file counts where the book is known to use it."""
_HALF_SAVED_S = 0.1
"""A mistake that is gone after this was a file between its old and its new content."""

_console = Console(highlight=False, soft_wrap=True)


def preview_book(root: Path | str = ".", port: int = 0) -> None:
    """Serve the book in ``root`` until Ctrl+C.

    Parameters
    ----------
    root : folder with ``_quarto.yml``.
    port : 0 is any free one.

    Raises
    ------
    PixgradError : there is no book, or the port is taken. Mistakes in the book are told and waited
        out.
    """
    with _signals(), at_work(Path(root).resolve(), port) as (address, preview, changes):
        _console.print(
            say(
                f"Предпросмотр: {address} (закончить: Ctrl+C)",
                f"Preview: {address} (to end it: Ctrl+C)",
            )
        )
        try:
            while changes.wait():
                preview.refresh(changes.take())
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would stop the clearing up
            _console.print(say("Предпросмотр закончен.", "The preview has ended."))


@contextmanager
def at_work(root: Path, port: int = 0) -> Iterator[tuple[str, "Preview", Changes]]:
    """The address of the site, what makes it, and what calls for that.

    Nothing is left of it at the end (parameters and errors as for ``preview_book``).
    """
    if not (root / CONFIG).is_file():
        books.load(root)
    data, news = data_root(root), News()
    folders = [root, *([data] if data.is_dir() and not data.is_relative_to(root) else [])]
    with (
        tempfile.TemporaryDirectory(prefix="pixgrad-preview-") as folder,
        watching(*folders) as changes,
        serving(Path(folder), news, port) as address,
    ):
        changes.add([root])
        yield address, Preview(root, Path(folder), changes, news), changes


@contextmanager
def _signals() -> Iterator[None]:
    """A closed terminal and a polite kill are what Ctrl+C is."""
    names = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    former = {name: signal.getsignal(name) for name in (signal.SIGINT, *names)}
    for name in names:
        signal.signal(name, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for name, handler in former.items():
            signal.signal(name, handler)


class Preview:
    """The book as it was last shown.

    Parameters
    ----------
    folder : where the site is made.
    """

    def __init__(self, root: Path, folder: Path, changes: Changes, news: News) -> None:
        self._root, self._folder, self._changes, self._news = root, folder, changes, news
        self._site = Site(folder)
        self._pages: html_engine.Pages | None = None
        self._is_prepared = False
        self._told: set[str] = set()
        """What comes out otherwise than it was written."""
        self._trouble = ""
        """The mistake that was told last and stands."""
        self._dependencies = Dependencies(root)
        self._used: set[str] = set()
        """Names of what the chapters have read or looked for."""
        self._new: set[Path] = set()
        """What has changed since chapters were last executed."""
        self._failed = ""
        """Why that failed."""
        self._stale: set[Path] = set()
        """What was to be executed then."""

    def refresh(self, paths: set[Path]) -> None:
        """Show the book as it is now; mistakes are told."""
        self._new |= paths
        if self._pages and not self._trouble and not any(map(self._is_used, self._new)):
            self._new.clear()  # a log, a training's record
            return
        try:
            self._refresh(time.monotonic())
        except (PixgradError, OSError) as error:
            self._tell_trouble(str(error))
        except Exception as error:  # whatever a book has in it, the preview lives on
            self._tell_trouble(f"{type(error).__name__}: {error}")

    def _refresh(self, start: float) -> None:
        project = self._load()
        with Ledger.writing(self._root, wait=True) as ledger:
            shown = self._show_edits(project, ledger, start)
            if self._failed and self._new <= shown - self._stale:
                self._new.clear()
                return  # the chapter that fails has nothing to do with them
            self._execute(project, ledger)
        pages = html_engine.Pages(project)
        self._show(self._site.put(pages, project.chapters), start)
        self._site.keep(project.chapters)
        self._pages = pages
        supported.require(project)
        lines = supported.notes(project) if project.is_strict else check.faults(project)
        told, self._told = self._told, {str(line) for line in lines}
        for line in sorted(self._told - told):
            _console.print(line, markup=False)
        if not self._changes.wait(0):
            html_engine.write_library(pages, self._folder)
        if not self._changes.wait(0):
            search.build_index(self._folder)

    def _is_used(self, path: Path) -> bool:
        """Whether a file that has changed can change the book."""
        is_text = path.suffix in _TEXTS or path.name.startswith("_") or path == self._root
        if is_text or path in self._site.sources or path.name in str(self._pages.project.config):
            return True
        names = (self._dependencies.name_of(str(one)) for one in (path, path.parent))
        return any(name in self._used for name in names)

    def _load(self) -> Project:
        """The book; the author's own scripts have run once before it is first shown."""
        project = books.load(self._root)
        project.chapters  # noqa: B018 - their mistakes come now
        if not self._is_prepared and scripts.before(project):
            project = books.load(self._root)
        self._is_prepared = True
        return project

    def _show_edits(self, project: Project, ledger: Ledger, start: float) -> set[Path]:
        """Chapters of which the prose alone has changed, shown at once; their files."""
        shown: set[Path] = set()
        if self._pages is None or _outline(self._pages.project) != _outline(project):
            return shown
        former = {chapter.path: chapter.document.text for chapter in self._pages.project.chapters}
        for chapter in project.chapters:
            if former[chapter.path] == chapter.document.text:
                continue
            states = ledger.assess([chapter.path.as_posix()])
            if any(state.status == STALE for state in states):
                continue
            freeze.update(freeze.Execution(project, ledger), states)
            pages = self._pages.edited(project, chapter)
            if pages:
                self._pages = pages
                self._show(self._site.put(pages, [chapter]), start)
                shown.add(self._root / chapter.path)
        return shown

    def _execute(self, project: Project, ledger: Ledger) -> None:
        self._new.clear()
        pages = (*project.chapters, *embedded.pages(project))
        states = ledger.assess([page.path.as_posix() for page in pages])
        stale = [state for state in states if state.status == STALE]
        self._stale = {self._root / state.chapter for state in stale}
        for state in stale:
            own = state.cause.startswith(state.chapter)
            what = state.cause if own else f"{state.chapter} ({state.cause})"
            _tell(say(f"исполняю: {what}", f"executing: {what}"))
        self._failed = ""
        try:
            freeze.update(freeze.Execution(project, ledger, stops_at_edits=True), states)
        except PixgradError as error:
            self._failed = _one_line(str(error))
            self._changes.wait(_HALF_SAVED_S)
            self._changes.forget(lambda path: path.suffix not in _TEXTS)
            raise
        finally:
            self._used = {
                name
                for record in ledger.records.values()
                for kind in ("files", "listings", "asked")
                for name in record.get(kind, ())
            }

    def _show(self, pages: list[str], start: float) -> None:
        self._trouble = self._failed
        self._news.tell(pages, self._trouble)
        if pages:
            seconds = f"{time.monotonic() - start:.1f}"
            many = say(f"страниц: {len(pages)}", f"{len(pages)} pages")
            what = pages[0] if len(pages) == 1 else many
            _tell(say(f"{what} — за {seconds.replace('.', ',')} с", f"{what} in {seconds} s"))

    def _tell_trouble(self, text: str) -> None:
        if self._changes.wait(_HALF_SAVED_S):
            return  # it was a half saved file, or it will be told again
        self._trouble = _one_line(text)
        self._news.tell(trouble=self._trouble)
        _tell(self._trouble, "red")


def _outline(project: Project) -> tuple:
    """What edits of prose alone leave as it is."""
    return project.config, [
        (one.path, one.kind, one.number, one.part, one.title, one.id) for one in project.chapters
    ]


def _one_line(text: str) -> str:
    """A message without the listing of the cell below it."""
    return "; ".join(line for line in text.splitlines() if line.strip() and line[0] != " ")


def _tell(line: str, style: str = "") -> None:
    _console.print(f"{time.strftime('%H:%M:%S')}  {line}", markup=False, style=style)
