"""The site of the preview: of what is already there only that is written which has changed."""

from collections.abc import Iterable
from pathlib import Path

from pixgrad import files
from pixgrad.book.rendering import html_engine
from pixgrad.book.source.project import Chapter


class Site:
    """A folder with the pages of the book and what they show."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._texts: dict[str, str] = {}
        self._copied: dict[Path, tuple] = {}

    @property
    def sources(self) -> set[Path]:
        """The files that the pages show or lead to."""
        return {state[0] for state in self._copied.values()}

    def put(self, pages: html_engine.Pages, chapters: Iterable[Chapter]) -> list[str]:
        """Write the pages of chapters; the addresses of those that look different now."""
        changed = []
        for chapter in chapters:
            pictures = [self._copy(*file) for file in pages.files(chapter)]
            name, text = chapter.html_path.as_posix(), pages.text(chapter)
            if any(pictures) or self._texts.get(name) != text:
                files.write(self._folder / name, text)
                self._texts[name] = text
                changed.append(name)
        return changed

    def keep(self, chapters: Iterable[Chapter]) -> None:
        """Remove the pages of all other chapters."""
        gone = self._texts.keys() - {chapter.html_path.as_posix() for chapter in chapters}
        for name in gone:
            (self._folder / name).unlink()
            del self._texts[name]

    def _copy(self, source: Path, name: Path) -> bool:
        """Whether the file is new or has changed."""
        status = source.stat()
        state = (source, status.st_size, status.st_mtime_ns, status.st_ino)
        if self._copied.get(name) == state:
            return False
        html_engine.copy(source, self._folder / name)
        self._copied[name] = state
        return True
