"""The beginning of a chapter: what its front matter says of it."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from pixgrad.book.rendering import words
from pixgrad.book.source import metadata
from pixgrad.book.source.project import Chapter, Project, person

_MONTHS = {
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "en": "January February March April May June July August September October November December",
}


def settings(project: Project, chapter: Chapter) -> dict[str, Any]:
    """What ``crossref.lua`` puts below the heading: (class, markdown) pairs; is it titled here?"""
    given: dict[str, Any] = {}
    for layer in project.layers(chapter.path, chapter.document)[1:]:  # not those of the book
        given = metadata.merged(given, layer)
    authors = given.get("author", given.get("authors")) or []
    names = [person(one) for one in (authors if isinstance(authors, list) else [authors])]
    asked = words.lang(project, chapter)
    parts = {
        "subtitle": given.get("subtitle"),
        "author": ", ".join(filter(None, names)),
        "date": day(given["date"], asked) if given.get("date") else None,
        "abstract": given.get("abstract"),
    }
    shown = [[name, str(text).strip()] for name, text in parts.items() if text]
    return {
        "front": shown,
        "abstract_title": words.language(project, "section-title-abstract", chapter),
        **({"own_title": str(given["title"])} if given.get("title") else {}),
    }


def flags(given: Any, name: str = "") -> Iterator[str]:
    """Names of the keys that are true: what ``when-meta`` asks for."""
    if given is True:
        yield name
    for key, value in given.items() if isinstance(given, Mapping) else ():
        yield from flags(value, f"{name}.{key}".strip("."))


def day(given: Any, asked: str) -> str:
    """A date as it is printed: «5 марта 2024 г.», “March 5, 2024”; other texts as they are."""
    date = parsed(given)
    months = _MONTHS.get(asked.split("-")[0])
    if date is None or months is None:
        return str(date or given)
    month = months.split()[date.month - 1]
    if months == _MONTHS["ru"]:
        return f"{date.day} {month} {date.year} г."
    return f"{month} {date.day}, {date.year}"


def parsed(given: Any) -> datetime.date | None:
    """A date of YAML, or one written as 2024-03-05; «today» and the like; None for other texts."""
    if isinstance(given, datetime.datetime):
        return given.date()
    if isinstance(given, datetime.date):
        return given
    if str(given).strip() in ("today", "now", "last-modified"):
        return datetime.date.today()
    for form in ("%Y-%m-%d", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y", "%B %d, %Y", "%Y-%m-%dT%H:%M:%S"):
        try:
            return datetime.datetime.strptime(str(given).strip(), form).date()
        except ValueError:
            continue
    return None
