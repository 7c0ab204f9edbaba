"""What has changed on the disk since it was last looked at."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from watchfiles import Change, DefaultFilter, watch

from pixgrad.book.ledger.dependencies import NOT_SOURCES
from pixgrad.errors import PixgradError

_MADE = {*DefaultFilter.ignore_dirs, *NOT_SOURCES}
"""Folders where nobody writes by hand."""
_STEP_MS = 20
"""An editor has finished saving a file when this long nothing has come."""


class Changes:
    """Paths that have changed; whoever takes them has to look at all they may concern."""

    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._condition = threading.Condition()
        self._trouble: OSError | None = None

    def add(self, paths: Iterable[Path]) -> None:
        with self._condition:
            self._paths.update(paths)
            self._condition.notify_all()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether anything has changed, at the latest after so many seconds.

        Raises
        ------
        PixgradError : the system does not tell changes.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._paths or self._trouble, seconds)
            if self._trouble:
                raise PixgradError(
                    f"система не сообщает об изменениях файлов: {self._trouble}; "
                    "попробуйте WATCHFILES_FORCE_POLLING=1",
                    f"the system does not tell changes of files: {self._trouble}; "
                    "try WATCHFILES_FORCE_POLLING=1",
                )
            return bool(self._paths)

    def take(self) -> set[Path]:
        """What has changed since the last call."""
        with self._condition:
            taken, self._paths = self._paths, set()
            return taken

    def forget(self, is_idle: Callable[[Path], bool]) -> None:
        """Drop those that call for nothing."""
        with self._condition:
            self._paths = {path for path in self._paths if not is_idle(path)}

    def fail(self, trouble: OSError) -> None:
        with self._condition:
            self._trouble = trouble
            self._condition.notify_all()


@contextmanager
def watching(*folders: Path) -> Iterator[Changes]:
    """Hear of every change below the folders, but for what is made or installed there."""
    changes, stop = Changes(), threading.Event()
    names = DefaultFilter(ignore_dirs=())

    def only(change: Change, path: str) -> bool:
        places = [Path(path).relative_to(one) for one in folders if Path(path).is_relative_to(one)]
        made = all(_MADE.intersection(place.parts) for place in places)
        return not made and names(change, path)

    def run() -> None:
        told = watch(
            *folders, watch_filter=only, stop_event=stop, step=_STEP_MS, debounce=10 * _STEP_MS,
            rust_timeout=1000, yield_on_timeout=True, raise_interrupt=False,
        )  # fmt: skip
        try:
            next(told, None)
            changes.add(folders)  # what changed before the watch stood was told to nobody
            for found in told:
                changes.add(Path(path) for _, path in found)
        except OSError as trouble:
            changes.fail(trouble)

    thread = threading.Thread(target=run, name="pixgrad-watch", daemon=True)
    thread.start()
    try:
        yield changes
    finally:
        stop.set()
        thread.join(5)
