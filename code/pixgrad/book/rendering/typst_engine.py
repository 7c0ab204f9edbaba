"""The embedded PDF engine: the book as one Typst document, compiled in this very process.

One pandoc call a chapter (see ``crossref`` for the numbers), ``templates/book.typ`` for the look.
The bytes depend on the book alone: fonts come with Typst, the date is that of the edition.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pixgrad import files
from pixgrad.book.rendering import crossref, front, pandoc, supported, words
from pixgrad.book.rendering.crossref import Label
from pixgrad.book.source.project import CONFIG, Chapter, Project
from pixgrad.errors import PixgradError, SourceError

_MOST_TRIES = 100
_UNSUPPORTED = re.compile(r"PIXGRAD (?P<what>.*?) PIXGRAD", re.S)
_DATA = re.compile(r'"data:image/(?P<kind>[a-z]+)[^,"]*;base64,(?P<data>[^"]*)"')
_PICTURE = re.compile(r'\bpicture\("/(?P<path>[^"]*)"')
_TEX = re.compile(r'#tex\((?P<tex>"(?:[^"\\]|\\.)*")')
_LABEL = re.compile(
    r'(?P<link>#link\()?(?:\blabel|#anchor)\((?P<name>"(?:[^"\\]|\\.)*")\)(?(link)\))'
)
_NO_GLYPH = re.compile(r'the text `"(.+?)"` could not be displayed.*(?:\n.*\.typ:(\d+):)?')


def build_pdf(project: Project, out_path: Path) -> list[str]:
    """Write the book as a PDF.

    Returns
    -------
    What of the book could not be printed as it is meant, one line each.

    Raises
    ------
    SourceError : anything in the book that cannot be printed (the file, and where possible the line
        and the formula).
    """
    supported.require(project)
    pieces = list(_pieces(project))
    pdf, told = _compile(project, pieces)
    out_path.write_bytes(_with_outline_open(pdf))
    return told


@dataclass(frozen=True)
class _Piece:
    """Typst source, and the chapter it came from (None: the generator's own)."""

    text: str
    chapter: Chapter | None = None


def _pieces(project: Project) -> Iterator[_Piece]:
    index = crossref.Index(project)
    lists = (one for one in project.chapters if crossref.lists_sources(one.document.text))
    sources = next(lists, None)
    chapters = pandoc.each(project.chapters, lambda one: _convert(project, one, index, sources))
    yield _Piece((pandoc.TEMPLATES / "book.typ").read_text("utf-8"))
    yield _Piece(_opening(project))
    for group, members in groupby(project.chapters, key=partial(crossref.group, project)):
        if group is not None:
            yield _Piece(f"#part({_string(group)})\n")
        yield _Piece(f"#set heading(offset: {int(group is not None)})\n")
        yield from (_Piece(chapters[chapter.path], chapter) for chapter in members)


def _opening(project: Project) -> str:
    toc = project.get("format", "typst", "toc", default=True)
    subtitle = project.get("book", "subtitle")
    values = {
        "title": _string(project.title),
        "subtitle": _string(subtitle) if subtitle else "none",
        "authors": _tuple(project.authors),
        "date": _date(project),
        "keywords": _tuple(project.texts("keywords")),
        "lang": _string(words.lang(project).split("-")[0]),
        "toc": str(bool(toc)).lower(),
        "toc-depth": str(project.get("format", "typst", "toc-depth") or 3),
    }
    arguments = ", ".join(f"{name}: {value}" for name, value in values.items())
    return f"#show: book.with({arguments})\n"


def _tuple(texts: Iterable[str]) -> str:
    return f"({''.join(_string(text) + ', ' for text in texts)})"


def _date(project: Project) -> str:
    """``book: date`` as Typst's, the day of the edition; a text that is no date as it is."""
    given = project.get("book", "date")
    if given is None:
        return "none"
    date = front.parsed(given)
    if date is None:
        return _string(given)
    return f"datetime(year: {date.year}, month: {date.month}, day: {date.day})"


def _string(text: Any) -> str:
    """A Typst string literal; JSON's escapes that can occur here are Typst's."""
    return json.dumps(str(text), ensure_ascii=False)


# One chapter ---------------------------------------------------------------------------------


def _convert(
    project: Project, chapter: Chapter, index: crossref.Index, sources: Chapter | None
) -> str:
    """Typst of a chapter; ``sources`` is the chapter that lists what the book cites."""
    settings = index.settings(chapter, "typst") | _settings(project, chapter, sources or chapter)
    settings["refs"] = {
        id: target | _place(index.label(chapter, id), target)
        for id, target in settings["refs"].items()
    }
    is_elsewhere = sources not in (None, chapter)
    arguments = [
        "--metadata=link-citations:true",
        f"--metadata=suppress-bibliography:{str(is_elsewhere).lower()}",
    ]
    text = pandoc.markdown(project, chapter, "typ")
    cites_all = chapter is sources
    shown = sorted({found[1] for found in pandoc.TARGET.finditer(text)})
    present = [name for name in shown if project.is_strict or project.file(chapter, name).is_file()]
    try:
        typst = index.convert(
            chapter, text, "typst-citations:typst", settings, arguments, cites_all, present
        )
    except SourceError as error:
        raise _clearer(error, chapter) from None
    typst = _DATA.sub(partial(_data_file, project), typst)
    for picture in _PICTURE.finditer(typst):  # of a book that is not strict the filter has looked
        if not (project.root / picture["path"]).is_file():
            where = _line_of(chapter, Path(picture["path"]).name)
            raise SourceError(f"файла {picture['path']} нет", chapter.path, where)
    return typst


def _settings(project: Project, chapter: Chapter, sources: Chapter) -> dict[str, Any]:
    prefix = "crossref-apx-prefix" if chapter.kind == "appendix" else "crossref-ch-prefix"
    word = words.language(project, prefix)
    return {
        "root": str(project.root),
        "path": chapter.path.as_posix(),
        "title": chapter.title,
        "kicker": word[:1].upper() + word[1:],
        "figures": project.results(chapter).relative_to(project.root).as_posix(),
        "sources": sources.path.as_posix(),
    }


def _data_file(project: Project, address: re.Match) -> str:
    """A picture that its address holds, as a file: Typst has no such addresses."""
    try:
        content = base64.b64decode(unquote(address["data"]))
    except ValueError:
        return address[0]
    kind = {"jpg": "jpeg"}.get(address["kind"], address["kind"])
    name = f"data-{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
    files.write(project.cache_dir / name, content)
    return _string("/" + (project.cache_dir / name).relative_to(project.root).as_posix())


def _place(label: Label, target: Mapping[str, str]) -> dict[str, str]:
    """Where a reference leads in the one document; formulas are cited as (2.1)."""
    number = f"({target['number']})" if label.kind == "eq" else target["number"]
    return {"number": number, "href": f"/{label.chapter.path.as_posix()}#{label.id}"}


def _clearer(error: SourceError, chapter: Chapter) -> SourceError:
    """The filter's own words instead of pandoc's account of a failed filter."""
    found = _UNSUPPORTED.search(error.message)
    if not found:
        return error
    quoted = re.search(r"«(.*)»", found["what"], re.S)
    line = _line_of(chapter, quoted[1]) if quoted else None
    return SourceError(" ".join(found["what"].split()), chapter.path, line)


def _line_of(chapter: Chapter, text: str) -> int | None:
    """Line of the chapter's source where ``text`` begins."""
    beginning = next(line for line in text.split("\n") if line.strip())
    return pandoc.find_line(chapter, re.escape(beginning.strip()))


# The whole book ------------------------------------------------------------------------------


def _compile(project: Project, pieces: list[_Piece]) -> tuple[bytes, list[str]]:
    """The PDF, and what is told of it.

    First accessible (PDF/UA), where a character without a glyph is an error, else a box and no
    warning. A book that is not strict is printed in any case: with fonts of the system, and with
    what Typst does not take shown as it is written.
    """
    import typst

    source = "".join(piece.text.rstrip("\n") + "\n\n" for piece in pieces)
    if not project.is_strict:
        source = _without_dead_links(source)
    told: list[str] = []
    own_fonts = True
    for _ in range(_MOST_TRIES):
        compiler = typst.Compiler(root=project.root, ignore_system_fonts=own_fonts)
        try:
            pdf = compiler.compile(source.encode("utf-8"), format="pdf", pdf_standards=["ua-1"])
            return pdf, told
        except typst.TypstError as error:
            missing = _missing_glyphs(error.diagnostic, pieces)
        if missing is not None and project.is_strict:
            raise SourceError(f"{missing.message}; замените их", missing.file, missing.line)
        if missing is not None and own_fonts:
            told.append(f"{missing}; взяты из шрифтов системы")
            own_fonts = False
            continue
        if missing is not None:
            told.append(f"{missing} и системы: на их месте пустые рамки")
        try:
            return compiler.compile(source.encode("utf-8"), format="pdf"), told
        except typst.TypstError as error:
            located = _located(error, source, pieces)
            mended = None if project.is_strict else _without_fault(error, source, compiler)
        if mended is None:
            raise located
        source, told = mended[0], [*told, *(mended[1] or [f"{located}; показано, как написано"])]
    raise located


def _with_outline_open(pdf: bytes) -> bytes:
    """The PDF opens with its outline beside the page, for which Typst has no setting.

    The catalogue is the last object of Typst's file: only the table of objects behind it moves.
    """
    key = b"/PageMode/UseOutlines"
    before, mark, after = pdf.rpartition(b"<</Type/Catalog")
    rest, word, place = after.rpartition(b"startxref\n")
    moved = str(int(place.split()[0]) + len(key)).encode()
    return b"".join([before, mark, key, rest, word, moved, b"\n%%EOF"])


def _missing_glyphs(complaints: str, pieces: list[_Piece]) -> SourceError | None:
    """Characters without a glyph, of the first chapter with such; other demands are no faults."""
    found = [
        (text, _chapter_at(int(line), pieces) if line else None)
        for text, line in _NO_GLYPH.findall(complaints)
    ]
    if not found:
        return None
    first, chapter = found[0]
    texts = dict.fromkeys(text for text, its_chapter in found if its_chapter is chapter)
    words = f"в шрифтах PDF нет знаков: {', '.join(texts)}"
    if chapter is None:  # titles and authors
        return SourceError(words, CONFIG)
    return SourceError(words, chapter.path, _line_of(chapter, first))


def _located(error: Any, source: str, pieces: list[_Piece]) -> PixgradError:
    """Typst's complaint about a line of the whole document, told as one about the chapter."""
    for line, position in _places(error, source):
        chapter = _chapter_at(line, pieces)
        if chapter is not None:
            found = _formula_at(source, position)
            return _in_chapter(chapter, error.message, found and json.loads(found["tex"]))
    return PixgradError(f"Typst: {error.message}")


def _without_dead_links(source: str) -> str:
    """Links to places that are not in the PDF as plain text."""
    places = {found["name"] for found in _LABEL.finditer(source) if not found["link"]}

    def kept(link: re.Match) -> str:
        is_dead = link["link"] and link["name"] not in places
        return "#text()" if is_dead else link[0]

    return _LABEL.sub(kept, source)


def _places(error: Any, source: str) -> Iterator[tuple[int, int]]:
    """(line, position in the source) that Typst names, the innermost call first."""
    for line, column in re.findall(r"\.typ:(\d+):(\d+)", error.diagnostic):
        before = source.split("\n")[: int(line) - 1]
        yield int(line), sum(len(text) + 1 for text in before) + int(column) - 1


def _without_fault(error: Any, source: str, compiler: Any) -> tuple[str, list[str]] | None:
    """The source with the formula or the pictures at fault shown as they are written.

    Returns
    -------
    (the source, what is told of the pictures), None if something else is at fault.
    """
    for _, position in _places(error, source):
        formula = _formula_at(source, position)
        if formula:
            end = source.index("$)", position) + 2
            lines = source.count("\n", formula.start(), end)
            shown = f"#raw({formula['tex']})" + (f"/*{chr(10) * lines}*/" if lines else "")
            return source[: formula.start()] + shown + source[end:], []
    paths = dict.fromkeys(found["path"] for found in _PICTURE.finditer(source))
    broken = [path for path in paths if not _is_picture(path, compiler)]

    def mended(call: re.Match) -> str:
        alt = re.search(r', alt: ("(?:[^"\\]|\\.)*")', call[0])
        shown = f"missing({alt[1] if alt else _string('')}, {_string(call['path'])})"
        return shown if call["path"] in broken else call[0]

    arguments = r'(?:[^()"]|"(?:[^"\\]|\\.)*")*\)'
    told = [f"{path}: Typst не читает эту картинку; в PDF её имя" for path in broken]
    return (re.sub(_PICTURE.pattern + arguments, mended, source), told) if broken else None


def _is_picture(path: str, compiler: Any) -> bool:
    import typst

    try:
        compiler.compile(f'#image("/{path}")'.encode(), format="pdf")
    except typst.TypstError:
        return False
    return True


def _in_chapter(chapter: Chapter, message: str, formula: str | None) -> SourceError:
    lost = re.match(r"label `(?:label\(\")?<?(.*?)>?(?:\"\))?` does not exist", message)
    if lost:
        return SourceError(f"ссылка на {lost[1]} никуда не ведёт", chapter.path)
    if formula is None:
        return SourceError(f"Typst: {message}", chapter.path)
    words = f"формулу «{' '.join(formula.split())}» нельзя напечатать ({message})"
    return SourceError(words, chapter.path, _line_of(chapter, formula))


def _chapter_at(line: int, pieces: list[_Piece]) -> Chapter | None:
    for piece in pieces:
        line -= piece.text.rstrip("\n").count("\n") + 2
        if line <= 0:
            return piece.chapter
    return None


def _formula_at(source: str, position: int) -> re.Match | None:
    """The TeX of the formula around ``position``: the filter leaves it before each."""
    before = list(_TEX.finditer(source, 0, position))
    if not before:
        return None
    between = re.sub(r"\\.", "", source[before[-1].end() : position], flags=re.S)
    return before[-1] if between.count("$") == 1 else None
