"""The beginning of a chapter: what its front matter says of it."""

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pixgrad.book.rendering import words
from pixgrad.book.source import metadata
from pixgrad.book.source.project import Chapter, Project, person
from pixgrad.errors import PixgradError

if TYPE_CHECKING:
    from babel import Locale

_MONTHS = {
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "en": "January February March April May June July August September October November December",
}
"""What the light set writes itself; all else is Babel's (36 MB)."""
_TOKEN = re.compile(r"\[[^\]]*\]|YYYY|YY|M{1,4}|Do|D{1,2}|d{1,4}")


def settings(project: Project, chapter: Chapter) -> dict[str, Any]:
    """What ``crossref.lua`` puts below the heading: (class, markdown) pairs; is it titled here?"""
    given: dict[str, Any] = {}
    for layer in project.layers(chapter.path, chapter.document)[1:]:  # not those of the book
        given = metadata.merged(given, layer)
    authors = given.get("author", given.get("authors")) or []
    names = [person(one) for one in (authors if isinstance(authors, list) else [authors])]
    asked = words.lang(project, chapter)
    form = project.metadata(chapter.path, chapter.document, "html").get("date-format")
    parts = {
        "subtitle": given.get("subtitle"),
        "author": ", ".join(filter(None, names)),
        "date": day(given["date"], asked, form) if given.get("date") else None,
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


def day(given: Any, asked: str, form: str | None = None) -> str:
    """A date as it is printed: «5 марта 2024 г.», “March 5, 2024”; other texts as they are.

    Parameters
    ----------
    form : ``date-format``: iso, full, long (the default), medium, short, or what dayjs takes.
    """
    date = parsed(given)
    if date is None:
        return str(given)
    if form == "iso":
        return date.isoformat()
    if form in (None, "long") and (months := _MONTHS.get(re.sub("-(US|RU)$", "", asked))):
        month = months.split()[date.month - 1]
        if months == _MONTHS["ru"]:
            return f"{date.day} {month} {date.year} г."
        return f"{month} {date.day}, {date.year}"
    try:
        from babel import Locale, UnknownLocaleError, dates
    except ImportError as error:
        raise PixgradError(
            f"дату «{given}» на языке {asked} в виде {form or 'long'} пишет Babel: "
            "pip install 'pixgrad[languages]'"
        ) from error
    try:
        locale = Locale.parse(asked.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        locale = Locale.parse("en")
    if form in (None, "full", "long", "medium", "short"):
        return dates.format_date(date, form or "long", locale).replace("\u202f", " ")
    return _TOKEN.sub(lambda found: _token(found, date, locale), str(form))


def _token(found: re.Match, date: datetime.date, locale: "Locale") -> str:
    """What stands for a token of a format: «MMMM» for the month, «[de]» for «de»."""
    from babel import dates

    token = found[0]
    if token.startswith("["):
        return token[1:-1]
    if token == "Do":
        return f"{date.day}{_ordinal(date.day) if locale.language == 'en' else '.'}"
    pattern = {"YYYY": "y", "YY": "yy", "D": "d", "DD": "dd", "d": "e"}.get(token, token)
    pattern = {"ddd": "EEE", "dddd": "EEEE", "dd": "EEEEEE"}.get(token, pattern)
    return dates.format_date(date, pattern, locale)


def _ordinal(day: int) -> str:
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day // 10 != 1 else 0, "th")


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
