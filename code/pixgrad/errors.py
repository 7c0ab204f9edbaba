"""The few exceptions that a user can cause. Each prints as one line: where, what, what to do."""

from __future__ import annotations

import os
from typing import Optional, Union

LANGUAGE = "PIXGRAD_LANG"
"""Environment variable: "en" makes the library speak English, as it is used outside the book."""


def say(russian: str, english: str) -> str:
    """The text in the language of the user; both stand side by side so that none is forgotten.

    Examples
    --------
    >>> os.environ[LANGUAGE] = "en"
    >>> say("нет ключевых точек", "no keypoints")
    'no keypoints'
    >>> del os.environ[LANGUAGE]
    >>> say("нет ключевых точек", "no keypoints")
    'нет ключевых точек'
    """
    return english if os.environ.get(LANGUAGE, "").lower().startswith("en") else russian


class PixgradError(Exception):
    """A mistake of the user or of the surroundings, told in one line; the CLI exits with 1.

    Parameters
    ----------
    message : what is wrong, with the value, and what to do (Russian).
    english : the same; what only the book and the command line tell has none.
    """

    def __init__(self, message: str, english: Optional[str] = None) -> None:
        super().__init__(message if english is None else say(message, english))


class SourceError(PixgradError):
    """A mistake in a file of the book or of the data.

    Parameters
    ----------
    message, english : as for `PixgradError`.
    file : the file as the user knows it (relative to the project where possible).
    line : 1-based line number, if there is one.
    """

    def __init__(
        self,
        message: str,
        file: Union[str, os.PathLike, None] = None,
        line: Optional[int] = None,
        english: Optional[str] = None,
    ) -> None:
        self.message = message if english is None else say(message, english)
        self.file, self.line = None if file is None else os.fspath(file), line
        where = "" if self.file is None else self.file + (f":{line}" if line else "") + ": "
        super().__init__(where + self.message)
