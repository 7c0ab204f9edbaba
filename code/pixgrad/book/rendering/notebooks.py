"""``pixgrad notebooks``: the chapters as Jupyter notebooks for Colab, made from ``_freeze``.

Nothing is executed. Code comes from the ``.qmd``, outputs and pictures from the executed markdown;
references and citations become text, so that no Quarto syntax is left.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import string
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import nbformat
import typer
from nbformat import NotebookNode, v4

from pixgrad import files
from pixgrad.book.rendering import crossref, pandoc
from pixgrad.book.source import executed
from pixgrad.book.source import project as projects
from pixgrad.book.source.project import Chapter, Project, cell_options
from pixgrad.errors import PixgradError, SourceError

FOLDER = "notebooks"
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
    folder = out or project.root / FOLDER
    files.clean(folder, project.cache_dir)
    index = crossref.Index(project)
    made = pandoc.each(project.chapters, lambda chapter: _notebook(project, chapter, index))
    texts = {folder / f"{path.stem}.ipynb": text for path, text in made.items() if text}
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
    if chapter.document.cells:
        cells.append(v4.new_code_cell(setup_code(project, chapter)))
    for entry in _entries(project, chapter, index):
        if entry["type"] == "markdown":
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
    settings = index.settings(chapter, "html") | {"site": _site_folder(project, chapter)}
    answer = index.convert(chapter, _marked(project, chapter), "json:notebook", settings)
    return json.loads(json.loads(answer)["meta"]["notebook"]["c"])


def _marked(project: Project, chapter: Chapter) -> str:
    """The executed markdown, what each cell put out wrapped in ``.notebook-cell``."""
    text = ""
    for piece in executed.split(chapter, executed.markdown(project, chapter, "html")):
        if piece.cell is None:
            text += piece.text
        else:
            mark = f"::: {{.notebook-cell number={piece.cell}}}"
            text += f"\n\n{mark}\n{piece.text}\n:::\n\n"
    return pandoc.expand(project, chapter, text)


def _site_folder(project: Project, chapter: Chapter) -> str:
    site = str(project.get("book", "site-url", default="")).rstrip("/")
    folder = chapter.path.parent.as_posix()
    return f"{site}/{'' if folder == '.' else folder + '/'}" if site else ""


def _title(project: Project, chapter: Chapter) -> NotebookNode:
    number = chapter.number
    if chapter.kind == "appendix" and number:
        number = f"{crossref.language(project, 'crossref-apx-prefix')} {number}"
    heading = f"# {number}. {chapter.title}" if number else f"# {chapter.title}"
    site = _site_folder(project, chapter)
    book = f"«{project.title}»"
    if site:
        book = f"[{book}]({site}{chapter.html_path.name})"
    return v4.new_markdown_cell(f"{heading}\n\n*Из книги {book}.*")


_SETUP = """\
# Подготовка: папка книги становится текущей, её код — доступным.
import os
import sys
from pathlib import Path

here = Path.cwd()
book = next((f for f in [$places] if (f / "_quarto.yml").is_file()), None)
$colab
if book is None:
    raise SystemExit("Нет папки книги (в ней лежит _quarto.yml): откройте блокнот внутри неё.")
os.chdir(book$folder)
$paths"""

_CLONE = """\
if book is None and "google.colab" in sys.modules:
    # В Colab: выпуск $release книги и всё, что нужно её коду.
    import subprocess

    clone = ["git", "clone", "--depth", "1", "--branch", "$release", "$url", "$name"]
    subprocess.run(clone, check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "./$name[compute]"]
    subprocess.run(install, check=True)
    book = here / "$name\""""

_NO_ADDRESS = """\
# У этого выпуска нет адреса репозитория (book: repo-url в _quarto.yml):
# в Colab сначала загрузите папку книги и сделайте её текущей (%cd)."""


def setup_code(project: Project, chapter: Chapter) -> str:
    """The cell that makes the others run: in Colab it fetches and installs the book.

    Raises
    ------
    SourceError : ``book: repo-url`` without ``pixgrad: release``.
    """
    url = str(project.get("book", "repo-url", default="") or "").rstrip("/")
    places, colab = "here, *here.parents", _NO_ADDRESS
    if url:
        release = project.get("pixgrad", "release")
        if not release:
            raise project.error("к repo-url нужен выпуск (pixgrad: release)", "book", "repo-url")
        name = PurePosixPath(url).name.removesuffix(".git")
        places = f'here, here / "{name}", *here.parents'
        colab = string.Template(_CLONE).substitute(url=url, release=release, name=name)
    folder = chapter.path.parent.as_posix()
    in_root = folder == "." or project.get("project", "execute-dir") == "project"
    folders = filter(None, project.environment.get("PYTHONPATH", "").split(":"))
    paths = [f'sys.path.insert(0, str(book / "{path}"))' for path in folders]
    return (
        string.Template(_SETUP)
        .substitute(
            places=places,
            colab=colab,
            folder="" if in_root else f' / "{folder}"',
            paths="\n".join(paths),
        )
        .rstrip("\n")
    )


def _code(project: Project, chapter: Chapter, entry: Mapping[str, Any]) -> NotebookNode:
    cell = chapter.document.cells[entry["number"]]
    source = cell.source.strip("\n")
    if cell_options(cell, chapter.path)[0].get("eval") is False:
        return v4.new_markdown_cell(f"```{cell.language}\n{source}\n```")
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
        name, _, value = output["text"].strip().partition(": ")
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
    if media == "image/svg+xml":
        return {media: path.read_text("utf-8")}
    return {media: base64.b64encode(path.read_bytes()).decode()}


def _with_pictures(project: Project, chapter: Chapter, text: str) -> str:
    """The markdown with its pictures inside, as data addresses."""

    def embed(match: re.Match) -> str:
        path = picture_path(project, chapter, match["src"])
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
