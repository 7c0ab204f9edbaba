"""A bar with the time left, for what takes more than ten seconds."""

from collections.abc import Iterable
from typing import TypeVar

from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def shown(items: Iterable[T], title: str, total: int | None = None) -> Iterable[T]:
    """The items under a bar on stderr; ``total`` is how many, where they have no length."""
    return track(items, title, total, console=Console(stderr=True), transient=True)
