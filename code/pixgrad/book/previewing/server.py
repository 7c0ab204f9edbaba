"""A server for one reader on this machine: pages, and a stream that tells them to load again.

The standard library is enough: files from a folder, a thread a request. Pages get a script on their
way out; the site itself knows nothing of it.
"""

import html
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pixgrad.errors import PixgradError, say

SCRIPT = "/_pixgrad/preview.js"
EVENTS = "/_pixgrad/events"

_HEARTBEAT_S = 15
"""A stream whose reader has gone is noticed when something is written to it."""


class News:
    """What the open pages have to know: when each page last changed, and what is wrong."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._times: dict[str, int] = {}
        self._trouble = ""
        self._is_over = False

    def tell(self, pages: Iterable[str] = (), trouble: str = "") -> None:
        """These pages (addresses in the site) look different now; ``trouble``: one line or none."""
        with self._changed:
            self._times |= dict.fromkeys(pages, time.monotonic_ns())
            self._trouble = trouble
            self._changed.notify_all()

    def end(self) -> None:
        """Let the streams go."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def stream(self, page: str, since: int) -> Iterator[dict | None]:
        """For a page that was loaded at ``since``: {"reload", "trouble"} now and at each change.

        None is a heartbeat.
        """
        told = None
        while True:
            state = self._next(page, since, told)
            if self._is_over:
                return
            yield state if state != told else None
            told = state

    def _next(self, page: str, since: int, told: dict | None) -> dict:
        def state() -> dict:
            is_old = self._times.get(page, 0) > since
            return {"reload": is_old, "trouble": self._trouble}

        with self._changed:
            self._changed.wait_for(lambda: self._is_over or state() != told, _HEARTBEAT_S)
            return state()


class _Handler(SimpleHTTPRequestHandler):
    news: News

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        with suppress(ConnectionError):
            if address.path == EVENTS:
                self._events(parse_qs(address.query))
            elif address.path == SCRIPT:
                script = Path(__file__).with_name("preview.js").read_bytes()
                self._send(script, "text/javascript")
            else:
                self._page_or_file(address.path)

    def _page_or_file(self, path: str) -> None:
        asked_at = time.monotonic_ns()
        file = Path(self.translate_path(path))
        # os.path: names that are too long or have a zero in them are no files, and no errors
        file = file / "index.html" if os.path.isdir(file) else file
        is_there = os.path.isfile(file)
        if is_there and file.suffix != ".html":
            super().do_GET()
            return
        name = file.relative_to(self.directory).as_posix()
        code, text = 200, _nothing_yet()
        if is_there:
            text = file.read_text("utf-8")
        elif name != "index.html":
            code = 404
        known = f'data-page="{html.escape(name)}" data-since="{asked_at}"'
        tag = f'<script src="{SCRIPT}" {known}></script>'
        before, end, after = text.rpartition("</body>")
        self._send((before + tag + end + after).encode("utf-8"), "text/html", code)

    def _events(self, query: dict[str, list[str]]) -> None:
        page, since = query.get("page", [""])[0], query.get("since", ["0"])[0]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for state in self.news.stream(page, int(since) if since.isdecimal() else 0):
            line = ": \n\n" if state is None else f"data: {json.dumps(state)}\n\n"
            self.wfile.write(line.encode("utf-8"))
            self.wfile.flush()

    def _send(self, content: bytes, kind: str, code: int = 200) -> None:
        self.send_response(code)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")  # times of files are too coarse
        super().end_headers()

    def log_message(self, *args: object) -> None:
        """The terminal belongs to the book."""


def _nothing_yet() -> str:
    title = say("Этой страницы ещё нет", "This page is not there yet")
    more = say("Появится — откроется сама.", "It opens by itself when it is.")
    return (
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><main><h1>{title}</h1><p>{more}</p></main></body></html>"
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """A reader who has gone away is no error; all else has been answered."""


@contextmanager
def serving(folder: Path, news: News, port: int = 0) -> Iterator[str]:
    """Serve the site in ``folder`` on this machine alone; gives its address.

    Parameters
    ----------
    port : 0 is any free one.

    Raises
    ------
    PixgradError : the port is taken or forbidden.
    """
    handler = type("Handler", (_Handler,), {"news": news})
    try:
        server = _Server(("127.0.0.1", port), partial(handler, directory=str(folder)))
    except OSError as error:
        raise PixgradError(
            f"порт {port}: {error.strerror}; другой задаёт --port, свободный найдёт --port 0",
            f"port {port}: {error.strerror}; give another one by --port, a free one is --port 0",
        ) from None
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            news.end()
            server.shutdown()
            thread.join()
