"""What surrounds the text of a page: ways out of it, what other programs read, the other files."""

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pixgrad import files
from pixgrad.book.rendering import pandoc, words
from pixgrad.book.source.metadata import CONFIG, load_yaml
from pixgrad.book.source.project import Chapter, Project
from pixgrad.errors import SourceError

NOTEBOOKS = "notebooks"
_EXTERNAL = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.I)
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
    asked = words.lang(project)
    return [
        {
            "name": words.interface(name, asked),
            "href": href,
            "download": not repository and name != "PDF",
        }
        for name, href in ways
    ]


def head(project: Project, chapter: Chapter, body: str) -> dict[str, Any]:
    """What search engines and messengers read: description, address, picture, icon."""
    address = str(project.get("book", "site-url", default="")).rstrip("/")
    cover = project.get("book", "cover-image")
    is_told = pandoc.html_option(project, "canonical-url", project.is_strict, chapter)
    page = "" if chapter.kind == "index" else quote(chapter.html_path.as_posix())
    return {
        "description": description(project, chapter, body),
        "canonical": f"{address}/{page}" if address and is_told else None,
        "cover": f"{address}/{cover}" if cover else None,
        "favicon": project.get("book", "favicon"),
        "requires": 'require(["plotly"]' in body,
    }


def additions(project: Project, chapter: Chapter) -> dict[str, Any]:
    """The author's own style sheets, and HTML for the head and around the body of the page."""
    options = project.metadata(chapter.path, chapter.document, "html")
    return {
        "styles": [name for name in _listed(options.get("css")) if str(name).endswith(".css")],
        **{
            name.replace("-", "_"): "\n".join(
                _html(project, chapter, part) for part in _listed(options.get(name))
            )
            for name in ("include-in-header", "include-before-body", "include-after-body")
        },
        "footer": footer(project),
    }


def footer(project: Project) -> str:
    """``book: page-footer`` as HTML, "" if there is none."""
    given = project.get("book", "page-footer")
    parts = given if isinstance(given, Mapping) else {"center": given}
    shown = []
    for side in ("left", "center", "right"):
        content = parts.get(side)
        items = content if isinstance(content, list) else [content]
        text = " ".join(_footer_item(one) for one in items if one)
        shown += [f'<span class="nav-footer-{side}">{text}</span>'] if text else []
    return " ".join(shown)


def repo_actions(project: Project, chapter: Chapter) -> Iterator[tuple[str, str]]:
    """(words, address) of each of ``book: repo-actions``."""
    url = str(project.get("book", "repo-url", default="") or "").rstrip("/")
    branch = project.get("book", "repo-branch", default="main")
    folder = str(project.get("book", "repo-subdir", default="") or "").strip("/")
    file = quote(f"{folder}/{chapter.path.as_posix()}".lstrip("/"))
    issue = project.get("book", "issue-url", default=f"{url}/issues/new" if url else None)
    addresses = {
        "edit": f"{url}/edit/{branch}/{file}" if url else None,
        "issue": issue,
        "source": f"{url}/blob/{branch}/{file}" if url else None,
    }
    for name in project.texts("book", "repo-actions"):
        if addresses.get(name):
            key = f"repo-action-links-{name}"
            yield words.language(project, key, chapter), str(addresses[name])


def _footer_item(item: Any) -> str:
    if not isinstance(item, Mapping):
        return pandoc.inline_html(str(item))
    text = html.escape(str(item.get("text") or item.get("icon") or item.get("href") or ""))
    href = str(item.get("href") or "")
    return f'<a href="{html.escape(href)}">{text}</a>' if href else text


def _listed(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given] if given else []


def _html(project: Project, chapter: Chapter, part: Any) -> str:
    """A file of the book, or ``text:`` written in the option."""
    if isinstance(part, Mapping) and "text" in part:
        return str(part["text"])
    name = str(part["file"] if isinstance(part, Mapping) and "file" in part else part)
    for folder in (project.root, (project.root / chapter.path).parent):
        if (folder / name.lstrip("/")).is_file():
            return (folder / name.lstrip("/")).read_text("utf-8")
    raise SourceError(f"файла {name} нет (include-in-header и подобные)", chapter.path)


def description(project: Project, chapter: Chapter, body: str) -> str:
    """The book's own for its first page, the beginning of the text for the others."""
    front = load_yaml(chapter.document.front_matter, str(chapter.path), 2)[0]
    given = project.get("book", "description") if chapter.kind == "index" else None
    given = front.get("description") or given
    if given:
        return " ".join(str(given).split())
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
    named = [*project.texts("book", "favicon"), *project.texts("book", "cover-image")]
    for chapter in project.chapters:
        named += additions(project, chapter)["styles"]
    if not _repository(project):
        for chapter in project.chapters:
            named += [chapter.path.as_posix(), notebook_path(project, chapter)]
    for name in dict.fromkeys(filter(None, named)):
        if _EXTERNAL.match(name):
            continue
        if not (project.root / name).is_file():
            if not project.is_strict:
                continue
            raise SourceError(f"файла {name} нет", CONFIG)
        files.write(site / name, (project.root / name).read_bytes())


def _repository(project: Project) -> str:
    """Where files of the book can be seen: «…/blob/main/», or ""."""
    url = str(project.get("book", "repo-url", default="") or "").rstrip("/")
    branch = project.get("book", "repo-branch", default="main")
    return f"{url}/blob/{branch}/" if url else ""


def notebook_path(project: Project, chapter: Chapter) -> str | None:
    name = f"{NOTEBOOKS}/{notebook_name(project, chapter)}"
    return name if (project.root / name).is_file() else None


def notebook_name(project: Project, chapter: Chapter) -> str:
    """The stem of the chapter; where two chapters share it, their folders go before it."""
    shared = [one for one in project.chapters if one.stem == chapter.stem]
    whole = "-".join(chapter.path.with_suffix("").parts)
    return f"{chapter.stem if len(shared) < 2 else whole}.ipynb"
