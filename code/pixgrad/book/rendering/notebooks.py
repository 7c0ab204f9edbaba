"""``pixgrad notebooks``: the chapters as Jupyter notebooks for Colab, made from ``_freeze``.

Nothing is executed. Code comes from the ``.qmd``, outputs and pictures from the executed markdown;
references and citations become text, so that no Quarto syntax is left.
"""

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import typer
from nbformat import NotebookNode, v4
from PIL import Image

from pixgrad import files
from pixgrad.book.executing.outputs import LIVING
from pixgrad.book.ledger import qmd
from pixgrad.book.rendering import crossref, frame, pandoc, words
from pixgrad.book.rendering.notebook_setup import setup_code
from pixgrad.book.source import embedded, executed
from pixgrad.book.source import project as projects
from pixgrad.book.source.project import Chapter, Project, cell_options
from pixgrad.errors import PixgradError, SourceError

_MARK = "pixgrad"
"""Key of the notebook metadata by which our files are known: their source and own SHA-256."""
_TYPES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
PICTURE = re.compile(r"\]\(<?pixgrad-image:(?P<src>[^)>]+?)>?\)")
_REFERENCE = re.compile(
    r"\[[^\[\]{}]*@[^\[\]{}]+\]|(?<![\w\[])@(?:fig|tbl|eq|sec|lst)-[\w-]*\w", re.I
)
_ONLY_REFERENCES = re.compile(r"\s*(?:#[^\n]*\n\s*)?:{3,}\s*\{#refs[^}]*\}\s*:{3,}\s*")


def write_notebooks(root: Path | str, out: Path | None = None) -> list[Path]:
    """Write a notebook for each page of the book but the bibliography.

    Files that would not change are left alone; our notebooks of former chapters are removed.

    Parameters
    ----------
    root : folder with ``_quarto.yml``.
    out : where to, ``notebooks/`` of the project by default.

    Raises
    ------
    SourceError : a chapter was not executed; a dangling reference or citation.
    PixgradError : in place of a notebook lies one that we did not write, or that was edited since.
    """
    project = projects.load(root)
    folder = out or project.root / frame.NOTEBOOKS
    files.clean(folder, project.cache_dir)
    index = crossref.Index(project)
    made = pandoc.each(
        project.chapters, lambda chapter: _notebook(project, chapter, index), "блокноты"
    )
    texts: dict[Path, str] = {}
    for chapter in project.chapters:
        path = folder / frame.notebook_name(project, chapter)
        if path in texts:
            raise PixgradError(f"{chapter.path}: блокнот {path.name} уже есть у другой главы")
        if made[chapter.path]:
            texts[path] = made[chapter.path]
    for path, text in texts.items():
        if path.exists() and path.read_bytes() != text.encode("utf-8") and not _is_ours(path):
            raise PixgradError(
                f"{path}: этот блокнот записал не pixgrad, или его потом изменили; переименуйте его"
            )
    written = [path for path, text in texts.items() if _write(path, text)]
    removed = [path for path in folder.glob("*.ipynb") if path not in texts and _is_ours(path)]
    for path in removed:
        path.unlink()
    typer.echo(
        f"{folder.name}: записано {len(written)}, без изменений {len(texts) - len(written)}"
        + (f", удалено {len(removed)}" if removed else "")
    )
    return list(texts)


def _notebook(project: Project, chapter: Chapter, index: crossref.Index) -> str:
    """The notebook's text; "" for a page that is only the bibliography."""
    if _ONLY_REFERENCES.fullmatch(chapter.document.text):
        return ""
    cells = [_title(project, chapter)]
    for entry in _entries(project, chapter, index):
        if entry["type"] == "references":
            cells.insert(1, _setup(project, chapter, dict(entry["words"])))
        elif entry["type"] == "markdown":
            cells.append(v4.new_markdown_cell(_with_pictures(project, chapter, entry["text"])))
        else:
            cells.append(_code(project, chapter, entry))
    for place, cell in enumerate(cells):
        cell["id"] = hashlib.sha256(f"{place}\0{cell.source}".encode()).hexdigest()[:8]
    notebook = v4.new_notebook(cells=cells, metadata=_metadata(chapter))
    nbformat.validate(notebook)
    return _json(notebook)


def _entries(project: Project, chapter: Chapter, index: crossref.Index) -> list[dict[str, Any]]:
    """The cells as ``filters/notebook.lua`` describes them."""
    text = executed.markdown(project, chapter, "html")
    references = _references(chapter, text)
    labels = [word.strip("[-@]") for word in references]
    settings = index.settings(chapter, "html", filter(index.labels.get, labels))
    pages = {
        crossref.relative(one.html_path, chapter.path.parent): frame.notebook_name(project, one)
        for one in project.chapters
    }
    settings |= {
        "site": _site_folder(project, chapter),
        "references": references,
        "notebooks": pages,
    }
    text = _marked(project, chapter, text)
    if chapter.document.cells:
        text += "\n\n::: {.notebook-references}\n" + "\n\n".join(references) + "\n:::\n"
    answer = index.convert(chapter, text, "json:notebook", settings)
    return json.loads(json.loads(answer)["meta"]["notebook"]["c"])


def _references(chapter: Chapter, text: str) -> list[str]:
    """References and citations in what the cells print as text, or may print."""
    printing = {n for n, cell in enumerate(chapter.document.cells) if _is_text(cell, chapter)}
    texts = [piece.text for piece in executed.split(chapter, text) if piece.cell in printing]
    texts += [chapter.document.cells[number].source for number in printing]
    return sorted({match[0] for text in texts for match in _REFERENCE.finditer(text)})


def _is_text(cell: qmd.Cell, chapter: Chapter) -> bool:
    return cell_options(cell, chapter.path)[0].get("output") == "asis"


def _setup(project: Project, chapter: Chapter, references: Mapping[str, str]) -> NotebookNode:
    prints_text = any(_is_text(cell, chapter) for cell in chapter.document.cells)
    code = setup_code(project, chapter, references, prints_text)
    hidden = {"cellView": "form", "jupyter": {"source_hidden": True}}
    return v4.new_code_cell(code, metadata=hidden)


def _marked(project: Project, chapter: Chapter, markdown: str) -> str:
    """The executed markdown, what each cell put out wrapped in ``.notebook-cell``."""
    text = ""
    for piece in executed.split(chapter, markdown):
        if piece.cell is None:
            text += piece.text
        else:
            mark = f"::: {{.notebook-cell number={piece.cell}}}"
            text += f"\n\n{mark}\n{piece.text}\n:::\n\n"
    text = embedded.inserted(project, chapter, text, "html")
    return pandoc.expand(project, chapter, text)


def _site_folder(project: Project, chapter: Chapter) -> str:
    site = str(project.get("book", "site-url", default="")).rstrip("/")
    folder = chapter.path.parent.as_posix()
    return f"{site}/{'' if folder == '.' else folder + '/'}" if site else ""


def _title(project: Project, chapter: Chapter) -> NotebookNode:
    number = chapter.number
    if chapter.kind == "appendix" and number:
        number = f"{words.language(project, 'crossref-apx-prefix')} {number}"
    heading = f"# {number}. {chapter.title}" if number else f"# {chapter.title}"
    site = _site_folder(project, chapter)
    book = f"«{project.title}»"
    if site:
        book = f"[{book}]({site}{chapter.html_path.name})"
    return v4.new_markdown_cell(f"{heading}\n\n*Из книги {book}.*")


def _code(project: Project, chapter: Chapter, entry: Mapping[str, Any]) -> NotebookNode:
    cell = chapter.document.cells[entry["number"]]
    source = cell.source.strip("\n")
    if cell_options(cell, chapter.path)[0].get("eval") is False:
        return v4.new_markdown_cell(f"```{cell.language}\n{source}\n```")
    if _is_text(cell, chapter):
        source = f"%%asis\n{source}"
    count = entry["number"] + 1
    outputs = [_output(project, chapter, output, count) for output in entry.get("outputs", ())]
    return v4.new_code_cell(source, execution_count=count, outputs=outputs)


def _output(
    project: Project, chapter: Chapter, output: Mapping[str, Any], count: int
) -> NotebookNode:
    kind = output["type"]
    if kind in ("stdout", "stderr"):
        return v4.new_output("stream", name=kind, text=output["text"])
    if kind == "error":
        name, _, value = output["text"].strip().split("\n")[-1].partition(": ")
        return v4.new_output("error", ename=name, evalue=value, traceback=[output["text"]])
    if kind == "image":
        data = {
            "text/plain": output["alt"] or "рисунок",
            **_picture(project, chapter, output["src"]),
        }
    elif kind == "text":
        data = {"text/plain": output["text"]}
    elif kind == "html":
        data = {"text/html": output["text"]}
        if "<script" in output["text"]:
            data["text/plain"] = LIVING.format("", "")
    else:
        text = _with_pictures(project, chapter, output["text"])
        data = {"text/markdown": text, "text/plain": text}
    if output.get("count"):
        return v4.new_output("execute_result", data, execution_count=count)
    return v4.new_output("display_data", data)


def _picture(project: Project, chapter: Chapter, src: str) -> dict[str, str]:
    """Media type -> content, as nbformat keeps it."""
    path = picture_path(project, chapter, src)
    media = _media_type(chapter, path)
    if media == _TYPES[".svg"]:  # GitHub often drops an SVG
        return {media: path.read_text("utf-8"), _TYPES[".png"]: _png(project, chapter, path)}
    return {media: base64.b64encode(path.read_bytes()).decode()}


def _png(project: Project, chapter: Chapter, path: Path) -> str:
    """The SVG as pixels (144 an inch), base64."""

    def draw() -> str:
        import typst

        place = "/" + path.relative_to(project.root).as_posix()
        page = (
            "#set page(width: auto, height: auto, margin: 0pt, fill: white)\n"
            f"#image({json.dumps(place, ensure_ascii=False)})"
        )
        compiler = typst.Compiler(root=project.root)
        drawn = compiler.compile(page.encode("utf-8"), format="png", ppi=144)
        small = io.BytesIO()
        Image.open(io.BytesIO(drawn)).convert("RGB").quantize(128).save(small, "PNG", optimize=True)
        return base64.b64encode(small.getvalue()).decode()

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return pandoc.cached(project, chapter, f"{path.stem}.png", digest, draw)


def _with_pictures(project: Project, chapter: Chapter, text: str) -> str:
    """The markdown with its pictures inside, as data addresses."""

    def embed(match: re.Match) -> str:
        path = picture_path(project, chapter, match["src"])
        if path.suffix.lower() == ".svg":
            return f"](data:{_TYPES['.png']};base64,{_png(project, chapter, path)})"
        content = base64.b64encode(path.read_bytes()).decode()
        return f"](data:{_media_type(chapter, path)};base64,{content})"

    return PICTURE.sub(embed, text.replace("&nbsp;", "\u00a0"))


def picture_path(project: Project, chapter: Chapter, src: str) -> Path:
    path = project.file(chapter, src)
    if not path.is_file():
        line = pandoc.find_line(chapter, re.escape(src))
        raise SourceError(f"нет картинки {src}", chapter.path, line)
    return path


def _media_type(chapter: Chapter, path: Path) -> str:
    if path.suffix.lower() not in _TYPES:
        raise SourceError(f"картинка {path.name}: такой вид в блокнот не вложить", chapter.path)
    return _TYPES[path.suffix.lower()]


def _metadata(chapter: Chapter) -> dict[str, Any]:
    return {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
        "colab": {"name": f"{chapter.stem}.ipynb", "provenance": [], "toc_visible": True},
        _MARK: {"source": chapter.path.as_posix()},
    }


def _json(notebook: NotebookNode) -> str:
    """As nbformat writes it, but each SVG on one line: a third smaller, and no diff reads them."""
    lines = json.loads(nbformat.writes(notebook))
    for output in (output for cell in lines["cells"] for output in cell.get("outputs", ())):
        data = output.get("data", {})
        if _TYPES[".svg"] in data:
            data[_TYPES[".svg"]] = "".join(data[_TYPES[".svg"]])
    lines["metadata"][_MARK]["sha256"] = _digest(lines)
    return json.dumps(lines, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _write(path: Path, text: str) -> bool:
    """Write a file whole; False if it already has this text."""
    content = text.encode("utf-8")
    if path.is_file() and path.read_bytes() == content:
        return False
    files.write(path, content)
    return True


def _is_ours(path: Path) -> bool:
    try:
        notebook = json.loads(path.read_text("utf-8"))
        return notebook["metadata"][_MARK]["sha256"] == _digest(notebook)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _digest(notebook: Mapping[str, Any]) -> str:
    """SHA-256 of a notebook without its own digest: one that was edited is not ours any more."""
    metadata = notebook["metadata"]
    mark = {key: value for key, value in metadata[_MARK].items() if key != "sha256"}
    unsigned = {**notebook, "metadata": {**metadata, _MARK: mark}}
    return hashlib.sha256(json.dumps(unsigned, sort_keys=True).encode("utf-8")).hexdigest()
