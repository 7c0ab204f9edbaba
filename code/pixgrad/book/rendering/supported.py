"""What the embedded engine cannot show: found in the source, told with the line, never lost.

The lists name what has a meaning in Quarto; a div with a class of the book's own is just a div.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pixgrad.book.ledger import qmd
from pixgrad.book.source.project import CONFIG, Chapter, Project, cell_options, load_yaml
from pixgrad.errors import SourceError

CALLOUTS = frozenset({"note", "tip", "warning", "important", "caution"})

_FIGURES = frozenset({"fig-width", "fig-height", "fig-dpi", "fig-format"})
_FRONT_MATTER = _FIGURES | {"title", "jupyter", "engine", "execute", "number-sections", "lang"}
_CLASSES = re.compile(
    r"column|columns|column-.+|aside|grid|g-col-.+|g-start-.+|panel-(?!tabset$).+|hidden"
    r"|landscape|list-table|lightbox"
)
_LABELS = re.compile(r"#(?P<kind>nte|tip|wrn|imp|cau|alg|prf|dia|vid)-[^\s}]+")
_CONDITIONS = re.compile(r"\b(when|unless)-(meta|profile)\b")
_SHORTCODE = re.compile(r"(?<!\{)\{\{<\s*(?P<name>[\w-]*)(?P<rest>[^>]*>\}\})?")
_RAW = re.compile(r"\{=(?P<format>[\w-]+)\}")
_INLINE_CELL = re.compile(r"`\{(python|r|julia)\}\s")
_CODE = re.compile(r"`[^`]*`")
_GROUP = re.compile(r"\[(?P<inside>[^\[\]]*;[^\[\]]*)\]")
_KEY = re.compile(r"(?<![\w\\])-?@(?P<key>[\w][\w:.-]*)")
_CROSSREF = re.compile(r"(?i:fig|tbl|eq|sec|lst|thm|lem|cor|prp|cnj|def|exm|exr|rem|sol)-")
_ANNOTATION = re.compile(r"(#|//)\s*<\d+>\s*$")
_FENCE = re.compile(r"^[ ]{0,3}(```|~~~)")
_ATTRIBUTES = re.compile(r"\{(?P<inside>[^{}=<][^{}]*)\}")
_DIV = re.compile(r"^[ ]{0,3}:{3,}\s*(?P<inside>[^\s:{][^{]*?)\s*:*\s*$")

_OBEYED: Mapping[tuple[str, ...], frozenset[str]] = {
    keys: frozenset(names.split())
    for keys, names in {
        (): "project book format lang language bibliography csl jupyter execute pixgrad toc"
        " toc-depth toc-title number-sections number-depth code-fold code-summary link-citations"
        " date-format fig-width fig-height fig-dpi fig-format",
        ("project",): "type output-dir execute-dir pre-render title",
        ("book",): "title subtitle author chapters appendices repo-url output-file site-url search",
        ("format",): "html typst ipynb",
        ("format", "html"): "theme html-math-method number-sections number-depth toc toc-depth"
        " toc-title code-fold code-summary code-copy highlight-style smooth-scroll"
        " fig-width fig-height fig-dpi fig-format",
    }.items()
}
"""Keys of ``_quarto.yml`` that the engine obeys or that do not touch what it makes."""
_ONLY = {
    ("format", "html", "html-math-method"): "mathml",
    ("format", "html", "number-sections"): True,
    ("number-sections",): True,
    ("link-citations",): True,
    ("book", "search"): True,
}


class Finding(NamedTuple):
    """Something unsupported."""

    line: int
    what: str
    """One Russian line."""


def require(project: Project) -> None:
    """Refuse a book with anything unsupported in it.

    Raises
    ------
    SourceError : the first finding.
    """
    for finding in unsupported_options(project):
        raise SourceError(finding.what, CONFIG, finding.line)
    for chapter in project.chapters:
        require_page(chapter)


def require_page(page: Chapter) -> None:
    """Refuse a page with anything unsupported in it (errors as in ``require``)."""
    for finding in unsupported(page.document, page.path):
        raise SourceError(finding.what, page.path, finding.line)


def unsupported(document: qmd.Document, path: str | Path) -> list[Finding]:
    """What the embedded engine cannot show of a chapter, in the order of lines."""
    scans = (
        _in_front_matter(document, path),
        _in_prose(document),
        _in_options(document, path),
        _in_code(document),
    )
    return sorted({finding for scan in scans for finding in scan})


def unsupported_options(project: Project) -> list[Finding]:
    """Options of ``_quarto.yml`` that would change the output and that the engine ignores."""
    found = []
    for path, line in project.config_lines.items():
        shown = ": ".join(map(str, path))
        if path[-1] not in _OBEYED.get(path[:-1], path):
            found.append(Finding(line, f"параметр «{shown}» движок pandoc не поддерживает"))
        elif path in _ONLY and project.get(*path) != _ONLY[path]:
            wanted = str(_ONLY[path]).lower()
            found.append(Finding(line, f"движок pandoc умеет только «{shown}: {wanted}»"))
    return sorted(found)


def _in_front_matter(document: qmd.Document, path: str | Path) -> Iterator[Finding]:
    _, lines = load_yaml(document.front_matter, str(path), 2)
    for keys, line in lines.items():
        if len(keys) == 1 and keys[0] not in _FRONT_MATTER:
            yield Finding(line, f"параметр главы «{keys[0]}» не поддерживается")
    tops = [heading for heading in document.headings() if heading.level == 1]
    for heading in tops if ("title",) in lines else tops[1:]:
        yield Finding(heading.line, "второй заголовок первого уровня: в главе он один")


def _in_prose(document: qmd.Document) -> Iterator[Finding]:
    for number, line in document.prose_lines():
        for what in _faults(line):
            yield Finding(number, what)


def _faults(line: str) -> Iterator[str]:
    for match in _SHORTCODE.finditer(line):
        if match["name"] != "var" or not match["rest"]:
            yield f"шорткод {{{{< {match['name']} >}}}} не поддерживается"
    for match in _RAW.finditer(line):
        if match["format"] not in ("html", "typst"):
            yield f"вставка {match[0]} не попадёт ни на сайт, ни в PDF"
    if _INLINE_CELL.search(line):
        yield "код внутри строки не исполняется; выведите число ячейкой или через var"
    for group in _GROUP.finditer(_CODE.sub("", line)):
        keys = [match["key"] for match in _KEY.finditer(group["inside"])]
        if len({bool(_CROSSREF.match(key)) for key in keys}) == 2:
            yield f"{group[0]}: цитата рядом со ссылкой пропадёт; разделите их на две группы"
    div = _DIV.match(line)
    if div:
        yield from _class_faults(div["inside"].split())
    for match in _ATTRIBUTES.finditer(line):
        words = match["inside"].split()
        yield from _class_faults(word[1:] for word in words if word.startswith("."))
        yield from (
            f"перекрёстные ссылки на {label[0]} не поддерживаются"
            for label in _LABELS.finditer(match["inside"])
        )
        condition = _CONDITIONS.search(match["inside"])
        if condition:
            yield f"условие {condition[0]} не поддерживается"


def _class_faults(classes) -> Iterator[str]:
    for name in classes:
        if name.startswith("callout-") and name.removeprefix("callout-") not in CALLOUTS:
            yield f"неизвестная врезка {name}; есть {', '.join(sorted(CALLOUTS))}"
        elif _CLASSES.fullmatch(name):
            yield f"блок .{name} не поддерживается"


def _in_options(document: qmd.Document, path: str | Path) -> Iterator[Finding]:
    for cell in document.cells:
        options, lines = cell_options(cell, path)
        for key, value in options.items():
            if key == "column":
                yield Finding(lines[key], f"вынос на поля ({key}: {value}) не поддерживается")
            elif key.endswith("cap-location") and value not in ("top", "bottom"):
                yield Finding(lines[key], f"{key} бывает только top и bottom, а не {value}")


def _in_code(document: qmd.Document) -> Iterator[Finding]:
    for block in document.blocks:
        if isinstance(block, qmd.Cell) and block.language != "python":
            yield Finding(block.line, f"ячейки на языке {block.language} не поддерживаются")
        for number, (line, fence) in enumerate(qmd.fenced_lines(block.text), block.line):
            raw = _RAW.search(line) if fence == "open" else None
            is_code = fence in ("code", "close")
            if raw and raw["format"] not in ("html", "typst"):
                yield Finding(number, f"блок {raw[0]} не попадёт ни на сайт, ни в PDF")
            in_caption = line.startswith("#|")  # where var is expanded
            if is_code and not in_caption and _SHORTCODE.search(line):
                yield Finding(number, "шорткод внутри блока кода: Quarto его раскроет")
            if is_code and _ANNOTATION.search(line):
                yield Finding(number, "примечания к строкам кода (# <1>) не поддерживаются")
