"""The embedded HTML engine: the site of the book from pandoc alone, with Quarto's ids and classes.

One pandoc call a chapter (see ``crossref`` for the numbers), then a Jinja template for the page.
Everything a page needs is copied beside it; it asks no other host for anything.
"""

import copy as copying
import html
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pixgrad.book.rendering import (
    addresses,
    crossref,
    dark_figures,
    fonts,
    frame,
    front,
    mathml,
    pandoc,
    search,
    supported,
    words,
)
from pixgrad.book.rendering.crossref import relative
from pixgrad.book.source.project import Chapter, Project

LIBRARY = "site_libs"

_LINE_OF_CODE = re.compile(
    r'<span id="cb[\d-]+"><a href="#cb[\d-]+"[^>]*></a>(.*?)</span>(?=\n|</code>)'
)
_NOTE = re.compile(r'<a [^>]*class="footnote-ref".*?</a>')
_ANNOTATED = re.compile(
    r'(?P<start><(?:div|pre)[^>]*) data-annotated="(?P<places>[\d: ]+)"(?P<head>.*?<code[^>]*>)'
    r"(?P<lines>.*?)(?=</code>)",
    re.S,
)
_EMPTY_HEADER = re.compile(r"<th(\b[^>]*)></th>")
_SEPARATOR = "<!--pixgrad-->"


@dataclass(frozen=True)
class Body:
    """A converted chapter."""

    title: str
    """HTML of the heading, without its number."""
    front: str
    """What stands below the heading: subtitle, authors, date, abstract."""
    toc: str
    body: str
    files: list[str]
    """Local files that the page shows or links to, as addresses relative to the page."""
    record: tuple
    """What the chapter labels, which labels and sources it names: other pages depend on them."""


def build_html(project: Project, out_dir: Path, pdf: str | None = None) -> None:
    """Write the whole site into ``out_dir`` (an empty folder).

    Parameters
    ----------
    pdf : file name of the PDF that will lie beside ``index.html``, if there will be one.

    Raises
    ------
    SourceError : anything in the book that cannot be shown as it is meant (file and line).
    """
    supported.require(project)
    pages = Pages(project, pdf)
    for chapter in project.chapters:
        page = out_dir / chapter.html_path
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(pages.text(chapter), "utf-8")
        for source, name in pages.files(chapter):
            copy(source, out_dir / name)
    write_library(pages, out_dir)
    search.build_index(out_dir)


class Pages:
    """The pages of the book, made of its converted chapters.

    Parameters
    ----------
    pdf : as in ``build_html``.

    Raises
    ------
    SourceError : a chapter cannot be shown as it is meant.
    """

    def __init__(self, project: Project, pdf: str | None = None) -> None:
        self.project, self._pdf = project, pdf
        self._index = crossref.Index(project)
        self._bodies = pandoc.each(
            project.chapters, lambda chapter: _convert(project, chapter, self._index)
        )
        self._template = _template(words.lang(project))

    def text(self, chapter: Chapter) -> str:
        """The whole page of a chapter."""
        body = self._bodies[chapter.path]
        values = _page_values(self.project, chapter, body, self._names)
        values["ways_out"] = frame.ways_out(self.project, chapter, self._pdf)
        return self._template.render(values)

    def files(self, chapter: Chapter) -> Iterator[tuple[Path, Path]]:
        """(file, its place in the site) of all that the page shows or links to."""
        for address in self._bodies[chapter.path].files:
            place = relative(chapter.html_path.parent / unquote(address), ".")
            yield self.project.file(chapter, address), Path(place)

    def error_text(self) -> str:
        """The page of what is not there."""
        return self._template.render(_error_values(self.project, self._names))

    def edited(self, project: Project, chapter: Chapter) -> "Pages | None":
        """These pages with one chapter edited; None if that has changed more than its page.

        Parameters
        ----------
        project : with the edited chapter, otherwise the same.

        Raises
        ------
        SourceError : the chapter cannot be shown as it is meant.
        """
        body, former = _convert(project, chapter, self._index), self._bodies[chapter.path]
        if (body.title, body.record) != (former.title, former.record):
            return None
        result = copying.copy(self)
        result.project = project
        result._bodies = {**self._bodies, chapter.path: body}
        return result

    @property
    def _names(self) -> dict[Path, str]:
        titles = {path: _NOTE.sub("", body.title) for path, body in self._bodies.items()}
        return {one.path: _name(one, titles[one.path]) for one in self.project.chapters}


def write_library(pages: Pages, out_dir: Path) -> None:
    """What the pages share: style, scripts, the letters in use; and the files beside them."""
    project, library = pages.project, out_dir / LIBRARY
    language = words.lang(project)
    copy(pandoc.TEMPLATES / "site.css", library / "site.css")
    for asset in ("site.js", "search.js", "reading.js"):
        script = (pandoc.TEMPLATES / asset).read_text("utf-8")
        (library / asset).write_text(words.interface(script, language), "utf-8")
    used = set(html.unescape("".join(map(pages.text, project.chapters))))
    fonts.write(library / "fonts", used, partial(pandoc.cached, project, project.chapters[0]))
    frame.write_files(project, out_dir, pages.error_text())


# One chapter ---------------------------------------------------------------------------------


def _convert(project: Project, chapter: Chapter, index: crossref.Index) -> Body:
    text = pandoc.markdown(project, chapter, "html")
    arguments = [
        f"--template={pandoc.TEMPLATES / 'chapter.html'}",
        "--mathml",
        "--section-divs",
        "--metadata=link-citations:true",
        "--metadata=pagetitle:-",
    ]
    if pandoc.html_option(project, "toc", True, chapter):
        depth = pandoc.html_option(project, "toc-depth", 3, chapter)
        arguments += ["--toc", f"--toc-depth={depth}"]
    pictures = sorted({m[1] for m in pandoc.TARGET.finditer(text)})
    answer = index.convert(
        chapter,
        text,
        "html:html",
        index.settings(chapter, "html") | _settings(project, chapter),
        arguments,
        cites_all=crossref.lists_sources(text),
        seen=[_stamp(project.file(chapter, address)) for address in pictures],
    )
    title, front_matter, toc, body, record = (part.strip() for part in answer.split(_SEPARATOR))
    body = mathml.repaired(_LINE_OF_CODE.sub(r"\1", body))
    body = _EMPTY_HEADER.sub(r"<td\1></td>", body)
    body = _ANNOTATED.sub(_annotated, body)
    body, local = addresses.resolved(project, chapter, body)
    named = _named(json.loads(html.unescape(record)))
    return Body(title, front_matter, toc, body, local, named)


def _annotated(code: re.Match) -> str:
    """Code with the number of each note before the first line it is about."""
    lines = code["lines"].split("\n")
    for place in code["places"].split():
        number, line = map(int, place.split(":"))
        mark = f'<span class="code-annotation-anchor">{number}</span>'
        lines[line - 1] = mark + lines[line - 1]
    return code["start"] + code["head"] + "\n".join(lines)


def _named(record: Mapping[str, list]) -> tuple:
    used = ({*record[name]} for name in ("refs", "links", "cites"))
    return record["labels"], record["lost"], *used


def _settings(project: Project, chapter: Chapter) -> dict[str, Any]:
    fold = pandoc.html_option(project, "code-fold", False, chapter)
    word = words.language(project, "code-summary", chapter)
    summary = pandoc.html_option(project, "code-summary", word, chapter)
    return {
        "code_fold": str(fold).lower(),
        "code_summary": str(summary),
        "code_line_numbers": bool(pandoc.html_option(project, "code-line-numbers", False, chapter)),
        "code_overflow": pandoc.html_option(project, "code-overflow", "", chapter),
        "offset": "../" * (len(chapter.path.parts) - 1),
        "figures": {
            "prefix": f"{chapter.stem}_files/",
            "folder": f"{project.results(chapter)}/",
        },
    }


def _stamp(path: Path) -> list[int]:
    if not path.is_file():
        return []
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def copy(source: Path, target: Path) -> None:
    """Put a file into the site; a plot there follows the theme of the page."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix == ".svg":
        svg = dark_figures.lightened(source.read_text("utf-8"))
        target.write_text(dark_figures.themed(svg), "utf-8")
    else:
        shutil.copyfile(source, target)


# The page around it --------------------------------------------------------------------------


def _template(language: str):
    import jinja2

    page = (pandoc.TEMPLATES / "page.html.j2").read_text("utf-8")
    return jinja2.Environment(autoescape=True).from_string(words.interface(page, language))


def _page_values(
    project: Project, chapter: Chapter, converted: Body, names: Mapping[Path, str]
) -> dict[str, Any]:
    from markupsafe import Markup

    def item(other: Chapter) -> dict[str, Any]:
        href = relative(other.html_path, chapter.html_path.parent)
        name = Markup(names[other.path])
        return {"href": href, "name": name, "is_current": other.path == chapter.path}

    place = project.chapters.index(chapter)
    is_index = chapter.kind == "index"
    return {
        "lang": words.lang(project, chapter),
        "dir": pandoc.html_option(project, "dir", None, chapter),
        "root": "../" * (len(chapter.path.parts) - 1),
        "book_title": project.title,
        "subtitle": project.get("book", "subtitle"),
        "authors": project.authors,
        "repo_url": project.get("book", "repo-url"),
        "repo_actions": list(frame.repo_actions(project, chapter)),
        "has_math": "<math" in converted.body,
        "has_code": '<details class="code-fold"' in converted.body,
        **frame.head(project, chapter, converted.body),
        **{
            name: Markup(value) if isinstance(value, str) else value
            for name, value in frame.additions(project, chapter).items()
        },
        "date": _book_date(project),
        "is_index": is_index,
        "is_strict": project.is_strict,
        "cover_image": project.get("book", "cover-image"),
        "cover_alt": project.get("book", "cover-image-alt"),
        "id": chapter.id,
        "page_title": project.title
        if is_index
        else f"{_plain(_heading(project, chapter, _NOTE.sub('', converted.title)))} "
        f"– {project.title}",
        "heading": Markup(_heading(project, chapter, converted.title)),
        "front": Markup(converted.front),
        "body": Markup(converted.body),
        "toc": Markup(converted.toc),
        "toc_title": pandoc.html_option(
            project, "toc-title", words.language(project, "toc-title-document", chapter), chapter
        ),
        "sidebar": [
            _group(title, list(group), item)
            for title, group in groupby(project.chapters, key=partial(crossref.group, project))
        ],
        "previous": item(project.chapters[place - 1]) if place else None,
        "next": item(project.chapters[place + 1]) if place + 1 < len(project.chapters) else None,
    }


def _group(
    title: str | None, pages: list[Chapter], item: Callable[[Chapter], dict[str, Any]]
) -> dict[str, Any]:
    """A part in the contents: its own page, if it has one, is its heading."""
    own = [page for page in pages if page.kind == "part"]
    others = [item(page) for page in pages if page.kind != "part"]
    return {"title": title, "own": item(own[0]) if own else None, "pages": others}


def _book_date(project: Project) -> str | None:
    given = project.get("book", "date")
    form = project.get("book", "date-format") or pandoc.html_option(project, "date-format", None)
    return front.day(given, words.lang(project), form) if given else None


def _error_values(project: Project, names: Mapping[Path, str]) -> dict[str, Any]:
    """The page of errors: the frame of the first page around a few words."""
    first = next(chapter for chapter in project.chapters if len(chapter.path.parts) == 1)
    body = "<p>Может быть, она переименована: посмотрите в содержании или найдите её поиском.</p>"
    body = words.interface(body, words.lang(project))
    values = _page_values(project, first, Body("", "", "", body, [], ()), names)
    title = words.interface("Такой страницы нет", words.lang(project))
    return values | {
        "is_index": False,
        "canonical": None,
        "heading": title,
        "page_title": f"{title} – {project.title}",
        "previous": None,
        "next": values["next"] and {"href": "index.html", "name": project.title},
    }


def _name(chapter: Chapter, title: str) -> str:
    """HTML of a chapter's name in the sidebar: «1  Название»."""
    if chapter.shown:
        return pandoc.inline_html(str(chapter.shown))
    return _numbered(chapter, title)


def _numbered(chapter: Chapter, title: str) -> str:
    title = title or html.escape(chapter.title)
    if chapter.number is None:
        return title
    return (
        f'<span class="chapter-number">{chapter.number}</span>&nbsp; '
        f'<span class="chapter-title">{title}</span>'
    )


def _heading(project: Project, chapter: Chapter, title: str) -> str:
    if chapter.kind == "appendix" and chapter.number:
        word = words.language(project, "crossref-apx-prefix")
        return crossref.chapter_title(word, chapter, title or html.escape(chapter.title))
    if not pandoc.html_option(project, "number-sections", True, chapter):
        return title or html.escape(chapter.title)
    return _numbered(chapter, title)


def _plain(markup: str) -> str:
    """Without tags; of a formula its TeX."""
    markup = re.sub(
        r"<math.*?<annotation[^>]*>(.*?)</annotation>.*?</math>", r"\1", markup, flags=re.S
    )
    return html.unescape(re.sub(r"<[^>]+>", "", markup))
