"""What surrounds the text of a page: ways out of it, what other programs read, the other files."""

import html
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pixgrad import files
from pixgrad.book.source.project import Chapter, Project

NOTEBOOKS = "notebooks"
_PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.S)
_SITEMAP = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
{}</urlset>
"""


def ways_out(project: Project, chapter: Chapter, pdf: str | None) -> list[dict[str, Any]]:
    """«PDF · Блокнот · Colab · Исходник»: {name, href, download} of each that there is.

    Without ``repo-url`` they lead to copies in the site, and there is no Colab.
    """
    root, repository = "../" * (len(chapter.path.parts) - 1), _repository(project)
    notebook = notebook_path(project, chapter)
    ways = [("PDF", root + quote(pdf))] if pdf else []
    if notebook:
        ways.append(("Блокнот", f"{repository or root}{notebook}"))
    if notebook and repository.startswith("https://github.com/"):
        place = repository.removeprefix("https://github.com/")
        ways.append(("Colab", f"https://colab.research.google.com/github/{place}{notebook}"))
    ways.append(("Исходник", f"{repository or root}{chapter.path.as_posix()}"))
    return [
        {"name": name, "href": href, "download": not repository and name != "PDF"}
        for name, href in ways
    ]


def head(project: Project, chapter: Chapter, body: str) -> dict[str, Any]:
    """What search engines and messengers read: description, address, picture, icon."""
    address = str(project.get("book", "site-url", default="")).rstrip("/")
    cover = project.get("book", "cover-image")
    page = "" if chapter.kind == "index" else quote(chapter.html_path.as_posix())
    return {
        "description": description(project, chapter, body),
        "canonical": f"{address}/{page}" if address else None,
        "cover": f"{address}/{cover}" if cover else None,
        "favicon": project.get("book", "favicon"),
    }


def description(project: Project, chapter: Chapter, body: str) -> str:
    """The book's own for its first page, the beginning of the text for the others."""
    given = project.get("book", "description")
    if given and chapter.kind == "index":
        return str(given)
    first = _PARAGRAPH.search(body)
    words = html.unescape(re.sub(r"<[^>]+>", "", first[1])).split() if first else []
    text = " ".join(words)
    return text if len(text) <= 200 else text[:200].rsplit(" ", 1)[0] + "…"


def write_files(project: Project, site: Path, error_page: str) -> None:
    """Sitemap, page of errors, icon, cover, and the copies that the ways out lead to."""
    address = str(project.get("book", "site-url", default="")).rstrip("/")
    base = f"{urlsplit(address).path}/"  # a missing page may be asked for at any depth
    icon = f'<head>\n<base href="{base}">'
    files.write(site / "404.html", error_page.replace("<head>", icon, 1))
    if address:
        pages = [quote(chapter.html_path.as_posix()) for chapter in project.chapters]
        lines = (f"<url><loc>{html.escape(f'{address}/{page}')}</loc></url>\n" for page in pages)
        files.write(site / "sitemap.xml", _SITEMAP.format("".join(lines)))
        files.write(site / "robots.txt", f"Sitemap: {address}/sitemap.xml\n")
    named = [project.get("book", key) for key in ("favicon", "cover-image")]
    if not _repository(project):
        for chapter in project.chapters:
            named += [chapter.path.as_posix(), notebook_path(project, chapter)]
    for name in filter(None, named):
        files.write(site / name, (project.root / name).read_bytes())


def _repository(project: Project) -> str:
    """Where files of the book can be seen: «…/blob/main/», or ""."""
    url = str(project.get("book", "repo-url", default="") or "").rstrip("/")
    branch = project.get("book", "repo-branch", default="main")
    return f"{url}/blob/{branch}/" if url else ""


def notebook_path(project: Project, chapter: Chapter) -> str | None:
    name = f"{NOTEBOOKS}/{chapter.stem}.ipynb"
    return name if (project.root / name).is_file() else None
