"""The cross-references of the whole book: every label with its number, every use resolved."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from pixgrad.book.rendering import front, own_filters, pandoc, words
from pixgrad.book.source import metadata
from pixgrad.book.source.project import Chapter, Project
from pixgrad.errors import SourceError

NBSP = "\u00a0"

_REFS_DIV = re.compile(r"^:{3,}\s*\{[^}]*#refs\b", re.M)


@dataclass(frozen=True)
class Label:
    """A place of the book that can be referred to.

    ``number`` is "2.1", "2.1 (a)", "A.1", "" if unnumbered; ``kind`` is "fig", "tbl", "sec", …
    """

    id: str
    kind: str
    number: str
    title: str
    """Caption or heading as plain text."""
    chapter: Chapter
    prefix: str
    """«рис.», «глава», … as the book's ``language:`` says."""

    @property
    def is_chapter(self) -> bool:
        return self.kind == "sec" and self.id == self.chapter.id

    @property
    def is_page(self) -> bool:
        """Whether it is the heading that the page begins with."""
        first = next(self.chapter.document.headings(), None)
        return self.is_chapter or (first is not None and (first.level, first.id) == (1, self.id))

    @property
    def text(self) -> str:
        """«рис. 2.1» with a non-breaking space; the title of what has no number."""
        return f"{self.prefix}{NBSP}{self.number}" if self.number else self.title


def group(project: Project, chapter: Chapter) -> str | None:
    """Under which heading of the contents a page stands: its part, the appendices, or none."""
    if chapter.kind == "appendix":
        return words.language(project, "section-title-appendices")
    own = (page.title for page in project.chapters if page.path.as_posix() == chapter.part)
    return next(own, chapter.part) if chapter.part else None


class Index:
    """Labels, references and citations of the book or of some pages, and how pandoc shows them.

    Of a label that is defined twice the first place counts, for a chapter its own.

    Raises
    ------
    SourceError : in a strict book, a label is defined twice; there is no such bibliography.
    """

    def __init__(self, project: Project, chapters: Sequence[Chapter] | None = None) -> None:
        self.project = project
        self.labels: dict[str, Label] = {}
        self._own: dict[tuple[Path, str], Label] = {}
        chapters = project.chapters if chapters is None else chapters
        self._files = [
            (key, path)
            for key in ("bibliography", "csl")
            for path in pandoc.citation_files(project, key)
        ]
        self._records = pandoc.each(chapters, lambda chapter: _record(project, chapter))
        for chapter in chapters:
            for entry in self._records[chapter.path]["labels"]:
                first = self.labels.get(entry["id"])
                if first and project.is_strict:
                    raise _duplicate(first, chapter)
                prefix = _prefix(project, chapter, chapter, entry)
                label = Label(**entry, chapter=chapter, prefix=prefix)
                self.labels.setdefault(label.id, label)
                self._own.setdefault((chapter.path, label.id), label)

    def label(self, chapter: Chapter, id: str) -> Label | None:
        """Where a reference of a chapter leads."""
        found = self._own.get((chapter.path, id), self.labels.get(id))
        if found is None:
            return None
        return replace(found, prefix=_prefix(self.project, chapter, found.chapter, vars(found)))

    def is_complete(self, chapter: Chapter) -> bool:
        """Whether the chapter refers to nothing beyond these pages."""
        return self.labels.keys() >= set(self._records[chapter.path]["refs"])

    def settings(self, chapter: Chapter, fmt: str, more: Iterable[str] = ()) -> dict[str, Any]:
        """What the Lua filters need to know to convert the chapter to ``html`` or ``typst``.

        Parameters
        ----------
        more : labels besides those that the chapter refers to.

        Raises
        ------
        SourceError : a chapter of a strict book refers to a label that the book does not have.
        """
        used, linked = (self._records[chapter.path][name] for name in ("refs", "links"))
        missing = [id for id in used if id not in self.labels]
        if missing and self.project.is_strict:
            raise _dangling(missing[0], chapter)
        found = {id: self.label(chapter, id) for id in sorted({*used, *linked, *more})}
        refs = {
            id: _target(self.project, chapter, label, fmt) for id, label in found.items() if label
        }
        return {**_settings(self.project, chapter, fmt), "refs": refs}

    def convert(
        self,
        chapter: Chapter,
        text: str,
        to: str,
        settings: Mapping[str, Any],
        arguments: Sequence[str] = (),
        cites_all: bool = False,
        seen: Any = None,
    ) -> str:
        """Numbers and references, then citations, then the filter of a format, by pandoc.

        Parameters
        ----------
        to : pandoc's format, and the Lua filter for it: ``"html:html"``.
        cites_all : list the sources of the whole book.
        seen : what else the result depends on (JSON): pictures.

        Raises
        ------
        SourceError : what ``pandoc.run`` refuses; in a strict book, no bibliography to cite from.
        """
        writer, _, filter = to.partition(":")
        records = self._records.values() if cites_all else [self._records[chapter.path]]
        cited = sorted({key for record in records for key in record["cites"]})
        if cited and cites_all:
            text += f"\n\n---\nnocite: '{', '.join('@' + key for key in cited)}'\n---\n"
        files = self._citation_files(chapter, cited)
        arguments = [
            f"--to={writer}",
            "--wrap=none",
            *_filters(self.project),
            f"--lua-filter={pandoc.FILTERS / 'math.lua'}",
            *(["--citeproc"] if files else []),
            *(f"--{option}={path}" for option, path in files),
            f"--lua-filter={pandoc.FILTERS / filter}.lua",
            f"--metadata=lang:{words.lang(self.project, chapter)}",
            *arguments,
        ]
        extension = pandoc.picture_extension(self.project, chapter, writer)
        if extension:
            arguments.append(f"--default-image-extension={extension}")
        read = [path for _, path in files] + own_filters.paths(self.project)
        key = [text, settings, arguments, [path.read_text("utf-8") for path in read], seen]
        return pandoc.cached(
            self.project,
            chapter,
            filter,
            key,
            lambda: pandoc.run(self.project, chapter, text, arguments, settings),
        )

    def _citation_files(self, chapter: Chapter, cited: Sequence[str]) -> list[tuple[str, Path]]:
        """(pandoc's option, file); none where nothing is cited: reading them is slow."""
        own = [("bibliography", path) for path in pandoc.own_bibliographies(self.project, chapter)]
        if cited and not own and "bibliography" not in dict(self._files):
            if not self.project.is_strict:
                return []
            line = pandoc.find_line(chapter, rf"@\{{?{re.escape(cited[0])}(?![\w-])")
            message = f"цитируется @{cited[0]}, а библиография (bibliography) не задана"
            raise SourceError(message, chapter.path, line)
        return [*self._files, *own] if cited else []


def _filters(project: Project) -> list[str]:
    files = [*own_filters.paths(project), pandoc.FILTERS / "crossref.lua"]
    return [f"--lua-filter={path}" for path in files]


def _settings(project: Project, chapter: Chapter, fmt: str) -> dict[str, Any]:
    return {
        "format": fmt,
        "strict": project.is_strict,
        "is_index": chapter.kind == "index",
        "chapter": chapter.number or "",
        "number_depth": int(pandoc.html_option(project, "number-depth", 6, chapter)),
        "number_sections": bool(pandoc.html_option(project, "number-sections", True, chapter)),
        "titles": words.titles(project, chapter),
        "delimiter": words.delimiter(project),
        "floats": {kind: own.place for kind, own in words.floats(project).items()},
        **front.settings(project, chapter),
        "pages": _pages(project, chapter, fmt),
        "profiles": metadata.profiles(project.config),
        "flags": sorted(front.flags(project.metadata(chapter.path, chapter.document))),
    }


def _pages(project: Project, chapter: Chapter, fmt: str) -> dict[str, str]:
    """Where links to sources that are no ``.qmd`` lead."""
    others = [one for one in project.chapters if one.path.suffix != ".qmd"]
    folder = chapter.path.parent
    to = (lambda one: one.path) if fmt == "typst" else (lambda one: one.html_path)
    return {relative(one.path, folder): relative(to(one), folder) for one in others}


def _record(project: Project, chapter: Chapter) -> dict[str, list]:
    """What a chapter defines and uses, in document order.

    Returns
    -------
    {"labels": [{"id", "kind", "number", "title"}], "refs": [label], "cites": [key]}
    """
    text = pandoc.markdown(project, chapter, "html")
    options = _settings(project, chapter, "html")

    def make() -> dict[str, list]:
        arguments = ["--to=json", *_filters(project)]
        answer = json.loads(pandoc.run(project, chapter, text, arguments, options))
        return json.loads(answer["meta"]["record"]["c"])

    own = [path.read_text("utf-8") for path in own_filters.paths(project)]
    found = pandoc.cached(project, chapter, "labels", [text, options, own], make)
    if found["lost"] and project.is_strict:
        first = found["lost"][0].strip().split("\n")[0]
        line = pandoc.find_line(chapter, re.escape(first))
        raise SourceError(f"«{first}» не попадёт ни на сайт, ни в PDF", chapter.path, line)
    return found


def _prefix(project: Project, reader: Chapter, chapter: Chapter, entry: Mapping[str, Any]) -> str:
    """The word before the number of a label of ``chapter``, in the language of ``reader``."""
    kind = entry["kind"]
    is_top = entry["id"] == chapter.id or entry["number"].isalnum()  # «3»: not «3.1»
    if kind == "sec" and is_top:
        kind = "apx" if chapter.kind == "appendix" else "ch"
    given = words.own(project, f"crossref-{kind}-prefix", reader)
    return words.titles(project, reader)[kind] if given is None else given


def _target(project: Project, chapter: Chapter, label: Label, fmt: str) -> dict[str, str]:
    """Words and address of a reference from ``chapter`` to ``label``."""
    href = f"#{label.id}"
    if fmt == "html" and label.chapter.path != chapter.path:
        page = relative(label.chapter.html_path, chapter.html_path.parent)
        href = page if label.is_page else page + href
    # As Quarto: pages without a number name the sections they refer to.
    numbers = chapter.number and pandoc.html_option(project, "number-sections", True, chapter)
    by_title = label.kind == "sec" and (not label.number or (fmt == "html" and not numbers))
    if not by_title:
        return {"prefix": label.prefix, "number": label.number, "href": href}
    title = label.title
    if label.is_chapter and label.number:
        title = chapter_title(label.prefix, label.chapter, title)
    return {"prefix": "", "number": title, "href": href}


def chapter_title(appendix: str, chapter: Chapter, title: str) -> str:
    """«1  Название», «Приложение A — Название» or «Название», as Quarto heads its pages."""
    if chapter.number is None:
        return title
    if chapter.kind == "appendix":
        return f"{appendix} {chapter.number} — {title}"
    return f"{chapter.number}{NBSP} {title}"


def lists_sources(text: str) -> bool:
    """Whether the book's sources are listed here: ``::: {#refs}``."""
    return bool(_REFS_DIV.search(text))


def relative(path: Path | PurePosixPath, folder: Path | PurePosixPath) -> str:
    """The address of ``path`` as seen from ``folder``, both relative to the site."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _dangling(id: str, chapter: Chapter) -> SourceError:
    line = pandoc.find_line(chapter, rf"@\{{?(?i:{id[0]}){re.escape(id[1:])}(?![\w-])")
    return SourceError(f"ссылка @{id} никуда не ведёт: такой метки в книге нет", chapter.path, line)


def _duplicate(first: Label, chapter: Chapter) -> SourceError:
    pattern = rf"(#|label:\s*[\"']?){re.escape(first.id)}(?![\w-])"
    lines = [
        number
        for number, line in enumerate(chapter.document.text.split("\n"), 1)
        if re.search(pattern, line)
    ]
    where = f"{first.chapter.path}:{pandoc.find_line(first.chapter, pattern)}"
    return SourceError(
        f"метка {first.id} уже есть: {where}", chapter.path, lines[-1] if lines else None
    )
