"""Run pandoc on a chapter: what the HTML and the Typst engine share."""

import base64
import hashlib
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from pixgrad import files
from pixgrad.book.ledger import qmd
from pixgrad.book.rendering import diagrams
from pixgrad.book.source import embedded, executed, metadata
from pixgrad.book.source.project import Chapter, Project
from pixgrad.errors import PixgradError, SourceError
from pixgrad.progress import shown

FILTERS = Path(__file__).parent / "filters"
TEMPLATES = Path(__file__).parent / "templates"
SETTINGS = "PIXGRAD_CHAPTER"
"""Environment variable with the JSON settings that the Lua filters read."""

SHORTCODE = re.compile(
    r"(?<!\{)\{\{<(?!/\*)\s*(?P<name>[\w-]*)(?:\s*(?P<value>[^>]*?)\s*(?P<end>>\}\}))?"
)
_SHOWN_CELL = re.compile(
    r"(?P<mark>(?:`{3,}|~{3,})\s*)"
    r"(?P<cell>\{{1,2}\s*(?P<language>[A-Za-z]\w*)(?:[ ,][^{}]*)?\}{1,2})(?=\s*$)"
)
TARGET = re.compile(r"\]\(\s*<?(?!data:)([^)\s>]+)")
"""The address of a link or of a picture, as it is written; not one that is the data itself."""
_VALUES = ("var", "meta", "env")
SHORTCODES = (*_VALUES, "pagebreak", "kbd", "video", "placeholder", "version", "contents")
QUARTO = "1.10.18"
"""The version of Quarto that the engine follows: what ``{{< version >}}`` says."""
ICONS = ("fa", "bi", "iconify", "ai")
"""Shortcodes of extensions that draw a sign beside the text."""
_COMMENTED = re.compile(r"\{\{</\*\s*(.*?)\s*\*/>\}\}")
_MACROS = re.compile(
    r"^[ \t]*(?P<mark>\$\$?)(?P<body>(?:\s*(?:\\(?:newcommand|renewcommand|providecommand|def|let"
    r"|DeclareMathOperator)\b[^\n$]*|%[^\n]*)\n?)+\s*)(?P=mark)[ \t]*$",
    re.M,
)
_ATTRIBUTES = re.compile(r"^[ \t]*:{3,}[ \t]*\{[^{}\n]*\}[ \t]*$", re.M)
_ESCAPED = re.compile(r"\{(\{\{<.*?>\}\})\}")
_WARNINGS = {  # what pandoc only warns of is lost in the page: (its words, ours, where to look)
    r"citation (?P<what>\S+) not found": ("источника @{} нет в библиографии", r"@\{{?{}(?![\w-])"),
    r"Could not convert TeX math\s*(?P<what>[^\n]+?)(, rendering as TeX:)?\n": (
        "формула «{}» не разбирается",
        "{}",
    ),
    r"Duplicate identifier '(?P<what>[^']+)'": ("метка {} задана дважды", r"#{}(?![\w-])"),
    r"Note with key '(?P<what>[^']+)'": ("сноска [^{0}] не используется", r"\[\^{}\]:"),
}

T = TypeVar("T")


@cache
def executable() -> str:
    """The pandoc of the ``pypandoc_binary`` wheel."""
    import pypandoc

    return pypandoc.get_pandoc_path()


def run(
    project: Project,
    chapter: Chapter,
    text: str,
    arguments: Sequence[str | Path],
    settings: Mapping[str, Any],
) -> str:
    """Convert the markdown ``text`` of a chapter, in the chapter's folder.

    Parameters
    ----------
    settings : what the Lua filters read as JSON from ``$PIXGRAD_CHAPTER``.

    Raises
    ------
    SourceError : pandoc failed or, in a strict book, warned of something lost in the page.
    """
    answer = subprocess.run(
        [executable(), "--from=markdown", *map(str, arguments)],
        input=text.encode("utf-8"),
        capture_output=True,
        cwd=(project.root / chapter.path).parent,
        env={**os.environ, SETTINGS: json.dumps(settings, ensure_ascii=False, default=str)},
    )
    require_alive(answer)
    if answer.returncode or (answer.stderr and project.is_strict):
        raise _explained(answer.stderr.decode("utf-8", "replace"), chapter)
    return answer.stdout.decode("utf-8")


def require_alive(answer: subprocess.CompletedProcess[bytes]) -> None:
    """
    Raises
    ------
    PixgradError : the system ended pandoc.
    """
    if answer.returncode < 0:
        raise PixgradError(f"pandoc убит сигналом {-answer.returncode}: не хватило памяти?")


def _explained(warnings: str, chapter: Chapter) -> SourceError:
    for pattern, (message, place) in _WARNINGS.items():
        found = re.search(pattern, warnings)
        if found:
            what = found["what"]
            line = find_line(chapter, place.format(re.escape(what)))
            return SourceError(message.format(what), chapter.path, line)
    return SourceError(f"pandoc: {' '.join(warnings.split())}", chapter.path)


def markdown(project: Project, chapter: Chapter, fmt: executed.Format) -> str:
    """The executed markdown of a chapter, its shortcodes replaced by what they stand for.

    Raises
    ------
    SourceError : in a strict book, a variable without a value; a shortcode that is not known;
        in any book, what cannot be embedded.
    """
    text = executed.markdown(project, chapter, fmt)
    text = embedded.inserted(project, chapter, text, fmt)
    return expand(project, chapter, diagrams.drawn(project, chapter, text, fmt))


def expand(project: Project, chapter: Chapter, text: str) -> str:
    """The shortcodes of a text replaced, values in code blocks too (errors as in ``markdown``)."""

    def value(match: re.Match) -> str:
        found = shortcode(project, chapter, match)
        if found is None and not project.is_strict:
            found = _shown(match)
        if found is not None:
            return found
        message = shortcode_fault(match)
        raise SourceError(message, chapter.path, find_line(chapter, re.escape(match[0])))

    def in_code(match: re.Match) -> str:
        found = shortcode(project, chapter, match) if match["name"] in _VALUES else None
        return match[0] if found is None else found

    expanded, kept = "", False
    for line, fence in qmd.fenced_lines(read_as_quarto(text)):
        is_code = fence in ("code", "close")
        kept = "shortcodes=false" in line if fence == "open" else kept
        line = listing(line) if fence == "open" else line
        if not is_code:
            expanded += _ESCAPED.sub(r"\1", SHORTCODE.sub(value, line))
        else:
            expanded += line if kept or fence == "close" else SHORTCODE.sub(in_code, line)
    return _COMMENTED.sub(r"{{< \1 >}}", expanded)


def read_as_quarto(text: str) -> str:
    """A text in the form in which pandoc reads what Quarto reads; its lines stay as many."""
    return _ATTRIBUTES.sub(_without_spaces, macros_bared(text))


def _without_spaces(div: re.Match) -> str:
    """``::: {.callout-tip collapse = "true"}`` as pandoc takes it."""
    return re.sub(r"""("[^"]*"|'[^']*')|[ \t]*=[ \t]*""", lambda one: one[1] or "=", div[0])


def macros_bared(text: str) -> str:
    """Macros that are defined in a formula without the dollars: so pandoc knows them.

    The lines stay as many as they were.
    """
    prose = "".join(
        re.sub(r"[^\n]", " ", line) if fence else line for line, fence in qmd.fenced_lines(text)
    )
    for formula in reversed(list(_MACROS.finditer(prose))):
        start, end = formula.span("body")
        text = text[: formula.start()] + text[start:end] + text[formula.end() :]
    return text


def shortcode(project: Project, chapter: Chapter, match: re.Match) -> str | None:
    """Markdown of a shortcode (a match of ``SHORTCODE``), None if it is unknown or has no value."""
    words = re.findall(
        r"""[\w-]+=(?:"[^"]*"|'[^']*'|\S+)|"[^"]*"|'[^']*'|\S+""", match["value"] or ""
    )
    named = dict(word.split("=", 1) for word in words if re.match(r"[\w-]+=", word))
    plain = [word.strip("\"'") for word in words if not re.match(r"[\w-]+=", word)]
    first = plain[0] if plain else ""
    if match["name"] == "var":
        return project.variable(first)
    if match["name"] == "meta":
        return _meta(project, chapter, first)
    if match["name"] == "env":
        default = plain[1] if len(plain) > 1 else None
        return os.environ.get(first, project.environment.get(first, default))
    if match["name"] == "version":
        return QUARTO
    if match["name"] == "placeholder":
        return _placeholder(plain)
    if match["name"] == "contents" and first:
        return f"[]{{.contents of='{first}'}}"
    if match["name"] == "pagebreak":
        return "[]{.pagebreak}"
    if match["name"] == "kbd":
        keys = first or named.get("linux") or named.get("win") or next(iter(named.values()), "")
        return "[" + keys.strip("\"'") + "]{.kbd}" if keys else None
    if match["name"] == "video" and first:
        title = named.get("title", first).strip("\"'")
        return f"[{title}]({first}){{.video}}"
    return None


def _placeholder(sizes: Sequence[str]) -> str | None:
    """A grey picture of a given width and height in pixels."""
    from PIL import Image

    if not all(re.fullmatch(r"[1-9]\d{0,3}", size) for size in sizes):
        return None
    width, height = (int(size) for size in (*sizes, *sizes, "100", "100")[:2])
    stream = io.BytesIO()
    Image.new("L", (width, height), 200).save(stream, "png")
    return f"![](data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()})"


def _shown(match: re.Match) -> str:
    """What a reader sees of a shortcode that has no value, as in Quarto; of an icon nothing."""
    if match["name"] in ICONS:
        return "[]{.icon}"
    if match["name"] in _VALUES:
        return f"**?{match['name']}:{match['value'] or ''}**"
    return "[" + re.sub(r"([\\`*_{}\[\]<>@#$~^|'\"])", r"\\\1", match[0]) + "]{.shortcode}"


def shortcode_fault(match: re.Match) -> str:
    """Why a shortcode cannot be replaced."""
    if match["name"] == "var":
        return f"у переменной {match['value']} нет значения в _variables.yml"
    if match["name"] in _VALUES:
        place = {"meta": "заголовке главы и _quarto.yml", "env": "окружении"}[match["name"]]
        return f"у {match['name']} {match['value'] or ''} нет значения в {place}"
    return f"шорткод {{{{< {match['name']} >}}}} не поддерживается"


def _meta(project: Project, chapter: Chapter, name: str) -> str | None:
    if name == "title":
        return chapter.title
    node: Any = project.metadata(chapter.path, chapter.document)
    for key in name.replace("\\.", "\0").split("."):
        node = node.get(key.replace("\0", ".")) if isinstance(node, Mapping) else None
    if isinstance(node, bool):
        return str(node).lower()
    if isinstance(node, (Mapping, list)):
        return None if project.is_strict else f"**?invalid meta type:{name}**"
    return None if node is None else str(node)


def listing(fence: str) -> str:
    """The first line of a code block; that of a cell which is only shown keeps what it is."""

    def shown(found: re.Match) -> str:
        mark = found["mark"]
        if not found["cell"].startswith("{{"):
            return f"{mark}{{language={found['language']}}}"
        return f"{mark}{{.markdown fence='{mark.strip()}{found['cell'][1:-1]}'}}"

    return _SHOWN_CELL.sub(shown, fence)


def citation_files(project: Project, key: str) -> list[Path]:
    """The files that ``bibliography`` or ``csl`` of ``_quarto.yml`` names.

    Raises
    ------
    SourceError : one of them does not exist.
    """
    names = [name for name in project.texts(key) if project.is_strict or "://" not in name]
    paths = [project.root / name for name in names]
    for path in paths:
        if not path.is_file():
            raise project.error(f"файла {path.relative_to(project.root)} нет ({key})", key)
    return paths


def own_bibliographies(project: Project, chapter: Chapter) -> list[Path]:
    """The bibliographies that a chapter names itself, besides those of the book.

    Raises
    ------
    SourceError : one of them does not exist.
    """
    front, lines = metadata.load_yaml(chapter.document.front_matter, str(chapter.path), 2)
    folder = (project.root / chapter.path).parent
    paths = [
        project.root / name.lstrip("/") if name.startswith("/") else folder / name
        for name in metadata.texts(front.get("bibliography"))
    ]
    for path in paths:
        if not path.is_file():
            line = lines["bibliography",]
            raise SourceError(f"файла {path.name} нет (bibliography)", chapter.path, line)
    return paths


def bibliography_keys(path: Path) -> list[str]:
    """The keys of a bibliography in any format that pandoc reads.

    Raises
    ------
    PixgradError : pandoc cannot read it.
    """
    command = [executable(), "--citeproc", f"--bibliography={path}", "--to=json"]
    every = "---\nnocite: '@*'\n---\n"
    answer = subprocess.run(command, input=every, capture_output=True, text=True)
    if answer.returncode:
        raise PixgradError(f"библиография не читается: {' '.join(answer.stderr.split())}")
    return re.findall(r'\["ref-([^"]+)",\["csl-entry"', answer.stdout)


@cache
def inline_html(markdown: str) -> str:
    """A line of markdown as HTML, links to chapters as links to pages."""
    command = [executable(), "--from=markdown", "--to=html", "--wrap=none"]
    answer = subprocess.run(command, input=markdown, capture_output=True, text=True, check=True)
    text = re.sub(r'(href="[^":]*)\.qmd', r"\1.html", answer.stdout.strip())
    return text.removeprefix("<p>").removesuffix("</p>")


def html_option(project: Project, name: str, default: Any, chapter: Chapter | None = None) -> Any:
    """An option of the HTML format, of the book or of a chapter."""
    if chapter is None:
        options = metadata.of_format(project.config, "html")
    else:
        options = project.metadata(chapter.path, chapter.document, "html")
    found = options.get(name)
    return default if found is None else found


def picture_extension(project: Project, chapter: Chapter, *formats: str) -> str:
    """What pictures without an extension get in a format (``default-image-extension``)."""
    options = project.metadata(chapter.path, chapter.document, "html", *formats)
    return str(options.get("default-image-extension") or "").lstrip(".")


def find_line(chapter: Chapter, pattern: str) -> int | None:
    """The first line of the chapter's source that matches; prose before code."""
    document = chapter.document
    lines = chain(document.prose_lines, enumerate(document.text.split("\n"), 1))
    return next((number for number, line in lines if re.search(pattern, line)), None)


def each(
    chapters: Sequence[Chapter], work: Callable[[Chapter], T], title: str = ""
) -> dict[Path, T]:
    """``work`` done for every chapter, two at a time; the first chapter's error wins.

    With a ``title`` a bar shows how far it is.
    """

    def located(chapter: Chapter) -> T:
        try:
            return work(chapter)
        except SourceError as error:
            own = error.file == os.fspath(chapter.path)
            raise chapter.document.located(error) if own else error from None

    with ThreadPoolExecutor(2) as pool:
        done: Iterable[T] = pool.map(located, chapters)
        if title:
            done = shown(done, title, len(chapters))
        return dict(zip((chapter.path for chapter in chapters), done, strict=True))


def cached(project: Project, chapter: Chapter, what: str, key: Any, make: Callable[[], T]) -> T:
    """``make()``, or what it gave the last time when ``key`` (JSON) was the same.

    Parameters
    ----------
    what : kind of the result, the end of a file's name in ``.cache/render``.
    """
    name = f"{chapter.path.with_suffix('').as_posix().replace('/', '-')}.{what}"
    path = project.cache_dir / f"{name}.json"
    text = json.dumps([_own_digest(), key], default=str)  # a setting may be a date
    digest = hashlib.sha256(text.encode()).hexdigest()
    stored = files.read_json(path)
    if stored.get("key") == digest:
        return stored["value"]
    value = make()
    files.write(path, json.dumps({"key": digest, "value": value}, ensure_ascii=False))
    return value


@cache
def _own_digest() -> str:
    """Of pandoc and of the engine itself: another version makes other pages."""
    here = Path(__file__).parent
    files = sorted([*here.glob("*_engine.py"), *FILTERS.iterdir(), *TEMPLATES.iterdir()])
    files += [Path(__file__), here / "crossref.py"]
    digest = hashlib.sha256(str(Path(executable()).stat().st_size).encode())
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()
