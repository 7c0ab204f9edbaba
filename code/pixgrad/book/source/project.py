"""The Quarto project in a folder: its configuration and its chapters with their numbers."""

import os
import re
import string
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

from pixgrad.book.ledger import qmd
from pixgrad.book.source import metadata, shapes
from pixgrad.book.source.metadata import CONFIG, Place, load_yaml
from pixgrad.errors import SourceError

VARIABLES = "_variables.yml"
SOURCES = (".qmd", ".md", ".ipynb")


@dataclass(frozen=True)
class Chapter:
    """One source file of the book, or a page outside it.

    ``number`` is "1", "2", … for chapters, "A", "B", … for appendices, None if unnumbered.
    """

    path: Path
    """Relative to the project, as in ``_quarto.yml``."""
    document: qmd.Document
    kind: Literal["index", "part", "chapter", "appendix", "outside"]
    number: str | None
    part: str | None
    title: str
    id: str | None
    """Label of the H1 (``sec-…``), if it has one."""
    shown: str | None = None
    """What the contents call it, if ``_quarto.yml`` says so (``text:``)."""

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def html_path(self) -> Path:
        return self.path.with_suffix(".html")


@dataclass(frozen=True)
class Project:
    """A Quarto book project."""

    root: Path
    config: Mapping[str, Any]
    """``_quarto.yml`` with the files that go with it."""
    places: Mapping[tuple, Place] = field(repr=False)
    """Where each key stands, by its path: ``("book", "chapters", 0)`` -> (_quarto.yml, 7)."""

    @cached_property
    def config_lines(self) -> dict[tuple, int]:
        """The lines of the keys of ``_quarto.yml`` itself."""
        return {keys: place.line for keys, place in self.places.items() if place.file == CONFIG}

    def get(self, *keys: str, default: Any = None) -> Any:
        """The value at ``keys`` of the configuration, or ``default``."""
        return _at(self.config, keys, default)

    def texts(self, *keys: str) -> list[str]:
        """What stands at ``keys``, one text or a list of them, as a list."""
        return metadata.texts(self.get(*keys))

    def value(self, *keys: str | int) -> Any:
        """What stands at a path of ``places``, numbers of list items in it."""
        node: Any = self.config
        for key in keys:
            known = isinstance(node, Mapping) or (isinstance(node, list) and key < len(node))
            node = (node.get(key) if isinstance(node, Mapping) else node[key]) if known else None
        return node

    def error(self, message: str, *keys: str | int) -> SourceError:
        """An error at the place of ``keys`` in the configuration."""
        return SourceError(message, *self.places.get(keys, (CONFIG, None)))

    def layers(self, path: Path | str, document: qmd.Document) -> list[dict[str, Any]]:
        """What a page is made with: the configuration, its folders' files, its front matter."""
        front, _ = load_yaml(document.front_matter, str(path), 2)
        folders = metadata.of_folder(self.root, Path(path).parent)
        return [dict(self.config), *folders, front]

    def metadata(self, path: Path | str, document: qmd.Document, *formats: str) -> dict[str, Any]:
        """The layers in one, as the formats see them."""
        result: dict[str, Any] = {}
        for layer in self.layers(path, document):
            result = metadata.merged(result, metadata.of_format(layer, *formats))
        return result

    @property
    def is_strict(self) -> bool:
        """Whether a fault stops the render: in a book that names ``pixgrad:`` in its settings.

        Another is published as Quarto publishes it, what is wrong in it shown and told.
        """
        return "pixgrad" in self.config

    @property
    def title(self) -> str:
        return str(self.get("book", "title", default=""))

    @property
    def authors(self) -> list[str]:
        author = self.get("book", "author", default=[])
        listed = author if isinstance(author, list) else [author]
        return [name for name in map(person, listed) if name]

    @property
    def output_dir(self) -> Path:
        """Where the book is built to, links followed."""
        return (self.root / str(self.get("project", "output-dir") or "_book")).resolve()

    @property
    def cache_dir(self) -> Path:
        return self.root / ".cache" / "render"

    def results(self, chapter: Chapter) -> Path:
        """Where ``_freeze`` keeps what the cells of a chapter put out."""
        return self.root / "_freeze" / chapter.path.with_suffix("")

    def file(self, chapter: Chapter, address: str) -> Path:
        """The file behind an address in a chapter: pictures of cells lie in ``_freeze``."""
        address = unquote(address)
        own = f"{chapter.stem}_files/"
        if address.startswith(own):
            path = self.results(chapter) / address[len(own) :]
            return Path(os.path.normpath(path))  # the folder need not be there
        if address.startswith("/"):
            return self.root / address.lstrip("/")
        return (self.root / chapter.path).parent / address

    @cached_property
    def chapters(self) -> list[Chapter]:
        """All pages in reading order (index first), numbered as Quarto numbers them."""
        return list(_chapters(self))

    @cached_property
    def reports(self) -> list[Chapter]:
        """The pages outside the book that ``pixgrad: reports`` names."""
        return [self.outside(path) for path in self.texts("pixgrad", "reports")]

    def outside(self, path: Path | str, is_strict: bool | None = None) -> Chapter:
        """A page of the project that is not in the book; ``path`` is relative to the project.

        Parameters
        ----------
        is_strict : whether it needs a title; by default as the book is strict.

        Raises
        ------
        SourceError : it cannot be read, has no title, or is a chapter of the book.
        """
        if Path(path) in {chapter.path for chapter in self.chapters}:
            raise SourceError("это глава книги, а не отдельная страница", path)
        document = qmd.read(self.root / path, shown_as=path)
        title, id, _ = _title(
            document, str(path), self.is_strict if is_strict is None else is_strict
        )
        return Chapter(Path(path), document, "outside", None, None, title, id)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The variables of ``_environment`` and of the files that go with it."""
        return metadata.environment(self.root, self.config)

    @cached_property
    def variables(self) -> Mapping[str, Any]:
        """``_variables.yml``, {} if absent."""
        path = self.root / VARIABLES
        return load_yaml(path.read_text("utf-8"), VARIABLES)[0] if path.exists() else {}

    def variable(self, name: str) -> str | None:
        """The text of ``{{< var name >}}``, None if it has no value."""
        value = _at(self.variables, name.split("."))
        if isinstance(value, bool):
            return str(value).lower()
        return None if isinstance(value, (Mapping, list)) or value is None else str(value)


def load(root: Path | str = ".") -> Project:
    """Read the project in ``root``.

    Raises
    ------
    SourceError : no ``_quarto.yml``, broken YAML, not a book (all with the line).
    """
    root = Path(root).resolve()
    path = root / CONFIG
    if not path.is_file():
        raise SourceError(f"в папке {root} нет {CONFIG}: это не проект Quarto (см. --project)")
    project = Project(root, *metadata.read(root))
    if project.get("project", "type") != "book":
        raise project.error("нужен проект типа book (project: type: book)", "project")
    if not project.get("book", "chapters"):
        raise project.error("в book: нет списка chapters", "book")
    return project


def cell_options(cell: qmd.Cell, file: str | Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The ``#|`` options of a cell and the line of each in the file."""
    options, lines = load_yaml(cell.options_yaml, str(file), cell.options_line)
    return options, {path[0]: line for path, line in lines.items() if len(path) == 1}


def person(given: Any) -> str:
    """The name of an author as it is printed."""
    if isinstance(given, Mapping):
        name = given.get("name") or given.get("literal") or ""
        if isinstance(name, Mapping):
            name = name.get("literal") or f"{name.get('given', '')} {name.get('family', '')}"
        return str(name).strip()
    return str(given) if given is not None else ""


def _at(node: Any, keys: Iterable[str], default: Any = None) -> Any:
    """The value at ``keys`` of nested mappings, or ``default``."""
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            return default
        node = node[key]
    return node


def _listed(project: Project) -> Iterator[tuple[str, str, str | None, tuple]]:
    """(kind, path, part title, key path in the config) of each page."""
    for position, entry in enumerate(_list(project, "book", "chapters")):
        keys = ("book", "chapters", position)
        if isinstance(entry, Mapping) and "part" in entry:
            part = str(entry["part"])
            if part.endswith(SOURCES):
                yield "part", part, part, keys
            for inner, path in enumerate(_list(project, *keys, "chapters")):
                yield "chapter", _path(path), part, (*keys, "chapters", inner)
        elif isinstance(entry, str) or (isinstance(entry, Mapping) and _path(entry) != entry):
            path = _path(entry)
            is_index = path in [f"index{suffix}" for suffix in SOURCES]
            yield ("index" if is_index else "chapter"), path, None, keys
        else:
            raise project.error(f"глава или часть ожидалась вместо {entry!r}", *keys)
    for position, entry in enumerate(_list(project, "book", "appendices")):
        yield "appendix", _path(entry), None, ("book", "appendices", position)


def _list(project: Project, *keys: Any) -> list:
    """The list at a path of the config; an empty one where nothing stands."""
    listed = project.value(*keys)
    if listed is not None and not isinstance(listed, list):
        raise project.error(f"{keys[-1]}: ожидался список файлов вместо {listed!r}", *keys)
    return listed or []


def _path(entry: Any) -> Any:
    """The file of ``{text: …, file: x.qmd}``; the page itself has its own title."""
    if isinstance(entry, Mapping):
        return entry.get("file", entry.get("href", entry))
    return entry


def _chapters(project: Project) -> Iterator[Chapter]:
    chapter_count = appendix_count = 0
    seen: set[str] = set()
    for kind, path, part, keys in _listed(project):
        if not isinstance(path, str) or not path.endswith(SOURCES):
            raise project.error(f"ожидался файл {', '.join(SOURCES)} вместо {path!r}", *keys)
        if path in seen:
            raise project.error(f"глава {path} указана дважды", *keys)
        seen.add(path)
        if not (project.root / path).is_file():
            raise project.error(f"глава {path} указана в списке, но такого файла нет", *keys)
        deque(metadata.of_folder(project.root, Path(path).parent), 0)  # refused here if it is wrong
        document = qmd.read(project.root / path, shown_as=path)
        title, id, unnumbered = _title(document, path, project.is_strict)
        number = None
        if kind == "appendix" and not unnumbered:
            number = string.ascii_uppercase[appendix_count]
            appendix_count += 1
        elif kind in ("index", "chapter") and not unnumbered:
            chapter_count += 1
            number = str(chapter_count)
        entry = project.value(*keys)
        shown = entry.get("text") if isinstance(entry, Mapping) and kind != "part" else None
        yield Chapter(Path(path), document, kind, number, part, title, id, shown)


def _title(document: qmd.Document, path: str, is_strict: bool) -> tuple[str, str | None, bool]:
    """(plain text, label, is it unnumbered?): a page without any is called by its file."""
    if document.front_matter:
        front, lines = load_yaml(document.front_matter, path, 2)
        shapes.require(front, lines, path)
        if front.get("title"):
            return re.sub(r"[*_`]", "", str(front["title"])), None, False
    for heading in document.headings():  # as in Quarto, of whatever level
        return re.sub(r"[*_`]", "", heading.title), heading.id, heading.unnumbered
    if is_strict:
        raise SourceError("у главы нет заголовка первого уровня («# Название»)", path, 1)
    return Path(path).stem, None, False
