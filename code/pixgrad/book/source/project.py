"""The Quarto project in a folder: its configuration and its chapters with their numbers."""

import re
import shlex
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote

import yaml

from pixgrad.book.ledger import qmd
from pixgrad.errors import SourceError

CONFIG = "_quarto.yml"
ENVIRONMENT = "_environment"
VARIABLES = "_variables.yml"


@dataclass(frozen=True)
class Chapter:
    """One ``.qmd`` of the book, or a page outside it.

    ``number`` is "1", "2", … for chapters, "A", "B", … for appendices, None if unnumbered.
    """

    path: Path
    """Relative to the project, as in ``_quarto.yml``."""
    document: qmd.Document
    kind: Literal["index", "chapter", "appendix", "outside"]
    number: str | None
    part: str | None
    title: str
    id: str | None
    """Label of the H1 (``sec-…``), if it has one."""

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
    config_lines: Mapping[tuple, int] = field(repr=False)
    """Line of ``_quarto.yml`` of each key, by its path: ``("book", "chapters", 0)`` -> 7."""

    def get(self, *keys: str, default: Any = None) -> Any:
        """The value at ``keys`` of ``_quarto.yml``, or ``default``."""
        return _at(self.config, keys, default)

    def error(self, message: str, *keys: str | int) -> SourceError:
        """An error at the line of ``keys`` in ``_quarto.yml``."""
        return SourceError(message, CONFIG, self.config_lines.get(keys))

    @property
    def title(self) -> str:
        return str(self.get("book", "title", default=""))

    @property
    def authors(self) -> list[str]:
        author = self.get("book", "author", default=[])
        listed = author if isinstance(author, list) else [author]
        return [str(a["name"] if isinstance(a, Mapping) else a) for a in listed]

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
            return self.results(chapter) / address[len(own) :]
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
        listed = self.get("pixgrad", "reports", default=[])
        return [self.outside(path) for path in (listed if isinstance(listed, list) else [listed])]

    def outside(self, path: Path | str) -> Chapter:
        """A page of the project that is not in the book; ``path`` is relative to the project.

        Raises
        ------
        SourceError : it cannot be read, has no title, or is a chapter of the book.
        """
        if Path(path) in {chapter.path for chapter in self.chapters}:
            raise SourceError("это глава книги, а не отдельная страница", path)
        document = qmd.read(self.root / path, shown_as=path)
        title, id, _ = _title(document, str(path))
        return Chapter(Path(path), document, "outside", None, None, title, id)

    @cached_property
    def environment(self) -> dict[str, str]:
        """The ``KEY=value`` lines of ``_environment``, {} if there is no such file."""
        path = self.root / ENVIRONMENT
        return _environment(path.read_text("utf-8")) if path.is_file() else {}

    @cached_property
    def variables(self) -> Mapping[str, Any]:
        """``_variables.yml``, {} if absent."""
        path = self.root / VARIABLES
        return load_yaml(path.read_text("utf-8"), VARIABLES)[0] if path.exists() else {}

    def variable(self, name: str) -> str | None:
        """The text of ``{{< var name >}}``, None if it has no value."""
        value = _at(self.variables, name.split("."))
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
    config, lines = load_yaml(path.read_text("utf-8"), CONFIG)
    project = Project(root, config, lines)
    if project.get("project", "type") != "book":
        raise project.error("нужен проект типа book (project: type: book)", "project")
    if not project.get("book", "chapters"):
        raise project.error("в book: нет списка chapters", "book")
    return project


def load_yaml(text: str, file: str, first_line: int = 1) -> tuple[dict, dict[tuple, int]]:
    """A YAML mapping and the line of each key path; duplicate keys and broken syntax are errors."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + first_line if mark else None
        raise SourceError(f"ошибка YAML: {error.problem or error.context}", file, line) from None
    except yaml.YAMLError as error:
        raise SourceError(f"ошибка YAML: {str(error).splitlines()[0]}", file, first_line) from None
    if value is None:
        return {}, {}
    if not isinstance(value, dict):
        raise SourceError("ожидались строки «ключ: значение»", file, first_line)
    lines: dict[tuple, int] = {}
    _key_lines(node, (), lines, file, first_line)
    return value, lines


def cell_options(cell: qmd.Cell, file: str | Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The ``#|`` options of a cell and the line of each in the file."""
    options, lines = load_yaml(cell.options_yaml, str(file), cell.options_line)
    return options, {path[0]: line for path, line in lines.items() if len(path) == 1}


def _at(node: Any, keys: Iterable[str], default: Any = None) -> Any:
    """The value at ``keys`` of nested mappings, or ``default``."""
    for key in keys:
        if not isinstance(node, Mapping) or key not in node:
            return default
        node = node[key]
    return node


def _environment(text: str) -> dict[str, str]:
    variables = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            raise SourceError(f"ожидалось ИМЯ=значение вместо «{line}»", ENVIRONMENT, number)
        variables[name.strip()] = "".join(shlex.split(value, comments=True, posix=True))
    return variables


def _key_lines(node, path: tuple, lines: dict[tuple, int], file: str, first_line: int) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, key.value)
            if here in lines:
                raise SourceError(
                    f"ключ «{key.value}» задан дважды", file, key.start_mark.line + first_line
                )
            lines[here] = key.start_mark.line + first_line
            _key_lines(value, here, lines, file, first_line)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + first_line
            _key_lines(value, (*path, index), lines, file, first_line)


def _listed(project: Project) -> Iterator[tuple[str, str, str | None, tuple]]:
    """(kind, path, part title, key path in the config) of each page."""
    for position, entry in enumerate(project.get("book", "chapters")):
        keys = ("book", "chapters", position)
        if isinstance(entry, str):
            yield ("index" if entry == "index.qmd" else "chapter"), entry, None, keys
        elif isinstance(entry, Mapping) and "part" in entry:
            if str(entry["part"]).endswith(".qmd"):
                raise project.error("часть с собственной страницей не поддерживается", *keys)
            for inner, path in enumerate(entry.get("chapters") or []):
                yield "chapter", path, str(entry["part"]), (*keys, "chapters", inner)
        else:
            raise project.error(f"глава или часть ожидалась вместо {entry!r}", *keys)
    for position, path in enumerate(project.get("book", "appendices", default=[])):
        yield "appendix", path, None, ("book", "appendices", position)


def _chapters(project: Project) -> Iterator[Chapter]:
    chapter_count = appendix_count = 0
    seen: set[str] = set()
    for kind, path, part, keys in _listed(project):
        if not isinstance(path, str) or not path.endswith(".qmd"):
            raise project.error(f"ожидался файл .qmd вместо {path!r}", *keys)
        if path in seen:
            raise project.error(f"глава {path} указана дважды", *keys)
        seen.add(path)
        if not (project.root / path).is_file():
            raise project.error(f"глава {path} указана в списке, но такого файла нет", *keys)
        document = qmd.read(project.root / path, shown_as=path)
        title, id, unnumbered = _title(document, path)
        number = None
        if kind == "appendix" and not unnumbered:
            number = string.ascii_uppercase[appendix_count]
            appendix_count += 1
        elif kind == "chapter" and not unnumbered:
            chapter_count += 1
            number = str(chapter_count)
        yield Chapter(Path(path), document, kind, number, part, title, id)


def _title(document: qmd.Document, path: str) -> tuple[str, str | None, bool]:
    for heading in document.headings():
        if heading.level == 1:
            return re.sub(r"[*_`]", "", heading.title), heading.id, heading.unnumbered
    if document.front_matter:
        front, _ = load_yaml(document.front_matter, path, 2)
        if "title" in front:
            return str(front["title"]), None, bool(front.get("number-sections") is False)
    raise SourceError("у главы нет заголовка первого уровня («# Название»)", path, 1)
