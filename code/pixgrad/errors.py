"""The few exceptions that a user can cause. Each prints as one line: where, what, what to do."""

from __future__ import annotations

import os
from typing import Optional, Union


class PixgradError(Exception):
    """A mistake of the user or of the surroundings, told in one line; the CLI exits with 1."""


class SourceError(PixgradError):
    """A mistake in a file of the book.

    Parameters
    ----------
    message : what is wrong, with the value, and what to do (Russian).
    file : the file as the user knows it (relative to the project where possible).
    line : 1-based line number, if there is one.
    """

    def __init__(
        self, message: str, file: Union[str, os.PathLike, None] = None, line: Optional[int] = None
    ) -> None:
        self.message, self.file, self.line = (
            message,
            None if file is None else os.fspath(file),
            line,
        )
        where = "" if self.file is None else self.file + (f":{line}" if line else "") + ": "
        super().__init__(where + message)
