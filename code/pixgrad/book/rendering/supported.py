"""What the embedded engine cannot show: found in the source, told with the line, never lost.

The lists name what has a meaning in Quarto; a div with a class of the book's own is just a div.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pixgrad.book.ledger import qmd
from pixgrad.book.rendering import diagrams, known, own_filters, pandoc
from pixgrad.book.rendering.tree import Element, Tree
from pixgrad.book.source import embedded, metadata
from pixgrad.book.source.metadata import CONFIG, FOLDER_METADATA, Place, load_yaml
from pixgrad.book.source.project import Chapter, Project, cell_options
from pixgrad.errors import SourceError

CALLOUTS = frozenset({"note", "tip", "warning", "important", "caution"})

_CLASSES = re.compile(r"panel-(?!tabset$).+|list-table")
_WIDE = re.compile(r"column-(?!margin$).+|grid|g-col-.+|g-start-.+|landscape|lightbox")
_TEX_ENVIRONMENT = re.compile(
    r"\s*\\begin\{(?:equation|align|gather|multline|eqnarray|flalign)\*?\}"
)
_TEX_MACRO = re.compile(
    r"\s*\\(?:newcommand|renewcommand|providecommand|def|let|DeclareMathOperator|newenvironment"
    r"|gdef|mathchardef|DeclarePairedDelimiter)\b"
)
_LABELS = re.compile(r"(prf|dia|vid)-")
_OTHER_CELL = re.compile(r"\s*`{3,}\s*\{(?P<language>[A-Za-z]\w*)(?: *[ ,][^{}]*)?\}\s*$")


class Finding(NamedTuple):
    """Something that does not come out as it was written."""

    line: int
    what: str
    """One Russian line."""
    is_note: bool = False
    """Whether the book is made nevertheless, and the reader is told."""
    is_limit: bool = False
    """Whether the engine is short of something, not the book at fault: Quarto could do it."""
    file: str = CONFIG


def require(project: Project) -> None:
    """Refuse a strict book with anything unsupported in it.

    Raises
    ------
    SourceError : the first finding.
    """
    if not project.is_strict:
        return
    for finding in unsupported_options(project):
        if not finding.is_note:
            raise SourceError(finding.what, finding.file, finding.line)
    pandoc.each(project.chapters, require_page)


def require_page(page: Chapter) -> None:
    """Refuse a page with anything unsupported in it (errors as in ``require``)."""
    for finding in unsupported(page.document, page.path):
        if not finding.is_note:
            raise SourceError(finding.what, page.path, finding.line)


def notes(project: Project) -> Iterator[str]:
    """Lines on what the book is made without."""
    for finding in unsupported_options(project):
        if finding.is_note:
            yield str(SourceError(finding.what, finding.file, finding.line))
    for page in project.chapters:
        for finding in unsupported(page.document, page.path):
            if finding.is_note:
                error = SourceError(finding.what, page.path, finding.line)
                yield str(page.document.located(error))


def unsupported(
    document: qmd.Document, path: str | Path, tree: Tree | None = None
) -> list[Finding]:
    """What the embedded engine cannot show of a chapter, in the order of lines."""
    tree = tree or Tree(document)
    scans = (
        _in_front_matter(document, path),
        _in_prose(document),
        (Finding(one.line, what) for one in tree.elements for what in _faults(one)),
        (Finding(one.line, what, False, True) for one in tree.elements for what in _limits(one)),
        (Finding(one.line, what, True) for one in tree.elements for what in _losses(one)),
        (Finding(line, "блок «:::» не закрыт: не хватает строки «:::»") for line in tree.unclosed),
        _in_options(document, path),
        _in_code(document),
    )
    return sorted({finding for scan in scans for finding in scan})


def unsupported_options(project: Project) -> list[Finding]:
    """Options of ``_quarto.yml`` and of the files beside it that the engine does not obey."""
    by_file: dict[str, dict[tuple, int]] = {}
    for keys, place in project.places.items():
        by_file.setdefault(place.file, {})[keys] = place.line
    folders = {folder for page in project.chapters for folder in page.path.parents}
    for name in sorted((folder / FOLDER_METADATA).as_posix() for folder in folders):
        if (project.root / name).is_file():
            places = metadata.file(project.root, name)[1]
            by_file[name] = {keys: place.line for keys, place in places.items()}
    found = []
    for name, lines in by_file.items():
        scope = "chapter" if name.endswith(FOLDER_METADATA) else ""
        found += [one._replace(file=name) for one in _options(lines, scope)]
    place = project.places.get(("filters",), Place(CONFIG, 1))
    for what in own_filters.faults(project):
        found.append(Finding(place.line, what, is_limit=True, file=place.file))
    return sorted(found + list(_own_themes(project)), key=lambda one: (one.file, *one))


def _options(lines: Mapping[tuple, int], scope: str = "") -> Iterator[Finding]:
    for path, line in lines.items():
        found = known.verdict(path, scope)
        if found != known.OBEYED:
            is_note = found != known.REFUSED
            yield Finding(line, known.message(path, found), is_note, is_limit=not is_note)


def _own_themes(project: Project) -> Iterator[Finding]:
    """Style sheets for Quarto's own pages; a strict book has some on purpose."""
    for keys, place in project.places.items():
        name = str(project.value(*keys))
        if "theme" in keys and name.endswith((".scss", ".css")) and not project.is_strict:
            what = f"стили {name} написаны для страниц Quarto и движком pandoc не применяются"
            yield Finding(place.line, what, is_note=True, file=place.file)


def _in_front_matter(document: qmd.Document, path: str | Path) -> Iterator[Finding]:
    _, lines = load_yaml(document.front_matter, str(path), 2)
    own = {keys for keys in lines if known.verdict(keys, "chapter") == known.UNKNOWN}
    yield from _options({keys: lines[keys] for keys in lines.keys() - own}, "chapter")


def _in_prose(document: qmd.Document) -> Iterator[Finding]:
    for number, line in document.prose_lines:
        unclosed = qmd.unclosed(line)
        if unclosed:
            yield Finding(number, unclosed)
        for match in pandoc.SHORTCODE.finditer(line):
            if embedded.parse(line):
                continue  # of the book's rules
            if match["name"] in pandoc.ICONS and match["end"]:
                yield Finding(number, f"значок не показан: {match[0]}", is_note=True)
            elif match["name"] not in pandoc.SHORTCODES or not match["end"]:
                yield Finding(number, pandoc.shortcode_fault(match), is_limit=True)


def _faults(element: Element) -> Iterator[str]:
    if element.kind == "Str" and element.is_written and re.fullmatch(":{3,}", element.content):
        yield "лишняя строка «:::»: она ничего не закрывает"
    elif element.kind == "Cite" and element.is_mixed and not element.is_glued:
        shown = "; ".join(f"@{key}" for key in element.keys)
        yield f"[{shown}]: цитата рядом со ссылкой пропадёт; разделите их на две группы"


def _limits(element: Element) -> Iterator[str]:
    if element.kind in ("RawInline", "RawBlock"):
        fmt, text = element.content
        environment = re.match(r"\\begin\{\w+\*?\}", text)
        if environment and not _TEX_ENVIRONMENT.match(text):
            yield f"{environment[0]} вне $$…$$: движок его не покажет"
        elif fmt not in ("html", "typst", "tex", "latex"):
            first = text.strip().split("\n")[0]
            yield f"вставка {{={fmt}}} не попадёт ни на сайт, ни в PDF: {first}"
    for name in element.classes:
        if _CLASSES.fullmatch(name):
            yield f"блок .{name} не поддерживается"
    if _LABELS.match(element.id):
        yield f"перекрёстные ссылки на #{element.id} не поддерживаются"


def _losses(element: Element) -> Iterator[str]:
    """What the page and the print do without, and nobody misses a word."""
    if element.kind in ("RawInline", "RawBlock") and element.content[0] in ("tex", "latex"):
        text = element.content[1]
        if not re.match(r"\\begin", text) and not _TEX_MACRO.match(text):
            yield f"команда LaTeX без действия: {text.strip().splitlines()[0]}"
    elif element.kind == "Math" and re.search(r"\\(?:text)?color\b", element.content[1]):
        yield "цвет в формуле не передаётся"
    elif element.kind == "Math" and r"\hline" in element.content[1]:
        yield "черта \\hline в таблице формулы в PDF не печатается"
    elif element.kind == "Code" and element.content[1].startswith("{python}"):
        yield "код в строке или в цитате не исполняется, как и в Quarto: показан он сам"
    for name in element.classes:
        if name.startswith("callout-") and name.removeprefix("callout-") not in CALLOUTS:
            yield f"врезки {name} нет, это просто блок; есть {', '.join(sorted(CALLOUTS))}"
    for name in filter(_WIDE.fullmatch, element.classes):
        yield f"ширина .{name} движком pandoc не применяется"


def _in_options(document: qmd.Document, path: str | Path) -> Iterator[Finding]:
    for cell in document.cells:
        options, lines = cell_options(cell, path)
        for key, value in options.items():
            if key == "column" and value != "margin":
                what = f"вынос на поля ({key}: {value}) не поддерживается"
                yield Finding(lines[key], what, is_limit=True)
            elif key.endswith("cap-location") and value not in ("top", "bottom"):
                what = f"{key} бывает только top и bottom, а не {value}"
                yield Finding(lines[key], what, is_limit=True)


def _in_code(document: qmd.Document) -> Iterator[Finding]:
    for cell in document.cells:
        if cell.attributes:
            what = f"«{cell.attributes}» в скобках не действует, как и в Quarto: пишите «#| ключ»"
            yield Finding(cell.line, what, is_note=True)
    for block in document.blocks:
        is_cell = isinstance(block, qmd.Cell)
        for diagram in () if is_cell else diagrams.found(block.text):
            error = diagrams.fault(diagram)
            if error:
                is_note = isinstance(error, diagrams.NotInstalledError)
                yield Finding(block.line + diagram.line - 1, str(error), is_note)
        for number, (line, fence) in enumerate(qmd.fenced_lines(block.text), block.line):
            other = _OTHER_CELL.match(line) if fence == "open" and not is_cell else None
            if other and other["language"] not in diagrams.LANGUAGES:
                what = f"ячейка на языке {other['language']} не исполняется: показан её код"
                yield Finding(number, what, is_note=True)
