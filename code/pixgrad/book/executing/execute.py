"""Run the cells of a chapter in a fresh kernel, or take them from jupyter-cache."""

import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jupyter_cache
import nbformat
from jupyter_cache.base import CacheBundleIn
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from pixgrad.book.executing import outputs, terminal
from pixgrad.book.executing.outputs import MARKDOWN
from pixgrad.book.ledger.dependencies import CHANGED_WHILE_RUNNING, Dependencies
from pixgrad.book.ledger.qmd import Cell, Inline
from pixgrad.errors import PixgradError, SourceError
from pixgrad.files import write

_KERNELSPEC = {"name": "python3", "display_name": "Python 3", "language": "python"}
_SOCKET_NAME = 104
_KEPT_TRACE = "_pixgrad_tracer"
_PLOTLY = "plotly_mimetype+notebook_connected"
"""As in Quarto the page takes Plotly's script from its own site; the print has the title."""


@dataclass(frozen=True)
class Figures:
    """Quarto's figure settings; the defaults are those of its HTML format."""

    width: float = 7
    """Inches."""
    height: float = 5
    dpi: int = 96
    format: str = ""
    """png, retina, jpeg or svg; "" is Quarto's own choice: retina in HTML, svg in Typst."""


@dataclass(frozen=True)
class Job:
    """What has to be executed."""

    chapter: str
    cells: tuple[Cell | Inline, ...]
    options: tuple[Mapping[str, Any], ...]
    """Options of each cell, defaults filled in, as far as they touch the execution."""
    shown: Mapping[str, tuple[Mapping[str, Any], ...]]
    """Format -> the options of each cell, as far as they touch what is shown."""
    root: Path
    folder: Path
    """Where the kernel works (absolute)."""
    figures: Figures
    environment: Mapping[str, str]
    """The variables of ``_environment``."""
    timeout: int | None
    """Seconds for one cell."""

    @property
    def key(self) -> str:
        """Digest of all that the results depend on, the recorded files apart."""
        what = {
            "cells": [
                [cell.source, options["eval"], options["error"], options.get("tags", [])]
                for cell, options in zip(self.cells, self.options, strict=True)
            ],
            "folder": self.folder.relative_to(self.root).as_posix(),
            "figures": vars(self.figures),
            "environment": dict(self.environment),
        }
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


async def run(
    job: Job, dependencies: Dependencies, on_cell: Callable[[int], None]
) -> tuple[NotebookNode, dict[str, Any]]:
    """Execute the cells one by one; ``on_cell`` hears how many are done.

    Returns
    -------
    (the executed notebook: code cells only, the record of what they depended on)

    Raises
    ------
    SourceError : a cell raised, ran too long or took the kernel down.
    """
    notebook = _notebook(job)
    client = NotebookClient(notebook, timeout=job.timeout)
    started, counted = time.time_ns(), time.monotonic_ns()
    with tempfile.TemporaryDirectory(prefix="pixgrad-") as folder:
        manager = client.km = _kernel_manager(Path(folder))
        try:
            await _start(client, job)
            await _silently(client, _setup(job.figures, folder))
            for index, (cell, options) in enumerate(zip(notebook.cells, job.options, strict=True)):
                if isinstance(job.cells[index], Inline):
                    await _evaluate(client, cell, job.cells[index], job.chapter)
                elif options["eval"]:
                    await _execute(client, cell, index, job)
                    cell.outputs = outputs.merged(cell.outputs)
                on_cell(index + 1)
            trace = await _trace(client, Path(folder, "trace.json"))
        finally:
            if client.kc:
                client.kc.stop_channels()
            if manager.has_kernel:
                await manager.shutdown_kernel(now=True)
    _forget_places(notebook, job.root)
    cells = [cell.source for cell in job.cells]
    started = began(started, counted)
    return notebook, dependencies.from_trace(trace, started, cells, _told(notebook))


def began(started: int, counted: int) -> int:
    """When something began, by the present clock, which may have been put back meanwhile.

    Parameters
    ----------
    started, counted : nanoseconds of the clock and of the monotonic one at that moment.
    """
    return min(started, time.time_ns() - (time.monotonic_ns() - counted))


def stored(job: Job, dependencies: Dependencies) -> tuple[NotebookNode, dict[str, Any]]:
    """What a notebook has kept of its own execution, in the form of ``run``."""
    path = job.root / job.chapter
    text = path.read_text("utf-8-sig")
    kept = nbformat.reads(text, as_version=4)
    shown = [cell for cell in kept.cells if cell.cell_type == "code" and cell.source.strip()]
    nodes = iter(shown)
    executed = _notebook(job)
    for cell, node in zip(job.cells, executed.cells, strict=True):
        if isinstance(cell, Inline):  # no kernel is there to ask
            node.outputs = [nbformat.v4.new_output("display_data", data={MARKDOWN: cell.text})]
        else:
            node.outputs = outputs.merged(next(nodes).outputs)
    files = {f"project:{job.chapter}": dependencies.digest(path)}
    return executed, {"files": files, "listings": {}, "sources": {}}


class Cache:
    """Executed notebooks by their code and by what they depended on.

    Like a compiler cache: an entry is found by its code, then everything it read is compared with
    what is there now, so that a module switched back and forth is not executed again.
    """

    def __init__(self, root: Path, dependencies: Dependencies) -> None:
        place = os.environ.get("JUPYTERCACHE") or root / ".cache" / "jupyter-cache"
        self._cache = jupyter_cache.get_cache(root / place)
        self._dependencies = dependencies
        for folder in Path(self._cache.path, "executed").glob("*"):
            with suppress(OSError):
                folder.rmdir()  # an empty one, left by a kill, would stop add()

    def find(self, job: Job) -> tuple[NotebookNode, dict[str, Any]] | None:
        """The executed notebook and its record, if nothing it depended on has changed."""
        key = job.key
        for entry in self._cache.list_cache_records():
            if not entry.data or entry.data.get("key") != key:
                continue
            record = entry.data["record"]
            cells = [cell.source for cell in job.cells]
            if any(self._dependencies.changes(record, cells)):
                continue
            if self._dependencies.version_changes(record):
                continue
            if not self._dependencies.has_what_it_wrote(record):
                continue
            try:
                return self._cache.get_cache_bundle(entry.pk).nb, record
            except (KeyError, ValueError):  # its file was cut off by a kill
                continue
        return None

    def add(self, job: Job, notebook: NotebookNode, record: Mapping[str, Any]) -> None:
        """Keep an executed notebook, unless a file changed under its feet."""
        if CHANGED_WHILE_RUNNING in record["files"].values():
            return
        digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
        for cell in notebook.cells:
            cell.metadata["pixgrad"] = {"key": job.key, "dependencies": digest}
        bundle = CacheBundleIn(notebook, job.chapter, data={"key": job.key, "record": record})
        self._cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def _told(notebook: NotebookNode) -> str:
    """Warnings and tracebacks of the cells: they may name lines of a module."""
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    told = [one.text for one in outputs if one.get("name") == "stderr"]
    return "\n".join([*told, *(line for one in outputs for line in one.get("traceback", ()))])


def _notebook(job: Job) -> NotebookNode:
    cells = []
    for cell, options in zip(job.cells, job.options, strict=True):
        tags = [*options.get("tags", []), *(["raises-exception"] if options["error"] else [])]
        cells.append(nbformat.v4.new_code_cell(cell.source, metadata={"tags": tags}))
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": _KERNELSPEC})


def _kernel_manager(folder: Path) -> AsyncKernelManager:
    """Sockets in a folder of our own where the system has them: nobody else can listen.

    A socket's name has a limit, 104 bytes on macOS and 108 on Linux: a longer one needs ports.
    """
    connection = str(folder / "kernel.json")
    has_room = len(os.fsencode(folder / "kernel-ipc-5")) < _SOCKET_NAME
    transport = "ipc" if os.name == "posix" and has_room else "tcp"
    return AsyncKernelManager(
        kernel_name="python3", transport=transport, connection_file=connection
    )


async def _start(client: NotebookClient, job: Job) -> None:
    try:
        await client.async_start_new_kernel(cwd=str(job.folder), env=_kernel_environment(job))
        await client.async_start_new_kernel_client()
    except (RuntimeError, NoSuchKernel) as error:
        raise PixgradError(f"{job.chapter}: ядро Python не запустилось: {error}") from None


def _forget_places(notebook: NotebookNode, root: Path) -> None:
    """Warnings name files; the folders of this machine do not belong into the book."""
    folders = sorted({str(root), *sys.path} - {""}, key=len, reverse=True)

    def forget(text: str) -> str:
        for folder in folders:
            text = text.replace(folder + os.sep, "")
        return text

    for output in (output for cell in notebook.cells for output in cell.outputs):
        if output.output_type == "stream" and output.name == "stderr":
            output.text = forget(output.text)
        elif output.output_type == "error":
            output.traceback = [forget(line) for line in output.traceback]


def _kernel_environment(job: Job) -> dict[str, str]:
    """What the shell has set wins over ``_environment``, as in Quarto; the rest is for same bytes.

    IPython starts without the user's profile, matplotlib without the user's settings. One thread:
    sums come out the same on any number of cores, and chapters that run side by side do not
    compete. OpenMP's variable is also heard by PyTorch, OpenBLAS and MKL.
    """
    work = job.root / ".cache" / "pixgrad"
    environment = {
        "OMP_NUM_THREADS": "1",
        "PLOTLY_RENDERER": _PLOTLY,
        **job.environment,
        **os.environ,
    }
    own = job.environment.get("PYTHONPATH", "").split(os.pathsep)
    folders = [str(job.root / folder) for folder in own if folder]
    path = os.pathsep.join(filter(None, [*folders, os.environ.get("PYTHONPATH")]))
    figures = job.figures
    style_text = (
        f"figure.figsize: {figures.width}, {figures.height}\n"
        f"figure.dpi: {figures.dpi}\nsavefig.dpi: {figures.dpi}\nsvg.hashsalt: pixgrad\n"
    )
    data = os.environ.get("PIXGRAD_DATA")
    style = work / f"matplotlibrc-{hashlib.sha256(style_text.encode()).hexdigest()[:8]}"
    write(style, style_text)
    return {
        **environment,
        **({"PYTHONPATH": path} if path else {}),
        **({"PIXGRAD_DATA": str(Path(data).expanduser().absolute())} if data else {}),
        "IPYTHONDIR": str(work / "ipython"),
        "MATPLOTLIBRC": str(style),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "0",
    }


def _setup(figures: Figures, folder: str) -> str:
    """One expression, so that no name is left in the chapter's namespace.

    The figure format goes to IPython's settings: matplotlib need not be imported for it.
    """
    tracer = (files("pixgrad.book.executing") / "tracer.py").read_text("utf-8")
    formats = {figures.format} if figures.format else {"retina", "svg"}
    code = (
        "import sys, types\n"
        f"module = sys.modules[{_KEPT_TRACE!r}] = types.ModuleType({_KEPT_TRACE!r})\n"
        f"exec(compile({tracer!r}, {_KEPT_TRACE!r}, 'exec'), vars(module))\n"
        f"module.trace = module.start({folder!r}, {tracer!r})\n"
        f"shell.config.InlineBackend.figure_formats = {formats!r}\n"
    )
    return f"exec({code!r}, {{'shell': get_ipython()}})"


async def _silently(client: NotebookClient, code: str) -> None:
    """Run our own code: no history, no count."""
    message = client.kc.execute(code, silent=True, store_history=False)
    try:
        reply = await client.async_wait_for_reply(message)
    except DeadKernelError:
        raise PixgradError("ядро Python умерло между ячейками") from None
    if reply is None or reply["content"]["status"] != "ok":
        raise PixgradError(f"ядро не выполнило служебный код: {reply and reply['content']}")


async def _evaluate(client: NotebookClient, node: NotebookNode, code: Inline, file: str) -> None:
    """Code in a line of prose; its value becomes the one output of the node, as markdown."""
    call = f"__import__('sys').modules[{_KEPT_TRACE!r}].Written({code.source})"
    message = client.kc.execute("", silent=True, user_expressions={"value": call})
    try:
        reply = await client.async_wait_for_reply(message)
    except DeadKernelError:
        raise SourceError("ядро Python умерло", file, code.line) from None
    found = reply["content"]["user_expressions"]["value"] if reply else {}
    if found.get("status") != "ok":
        what = f"{found.get('ename')}: {found.get('evalue')}"
        raise SourceError(f"код в строке «{code.source}»: {what}", file, code.line)
    node.outputs = [nbformat.v4.new_output("display_data", data=found["data"])]


async def _trace(client: NotebookClient, path: Path) -> dict[str, Any]:
    await _silently(client, f"__import__('sys').modules[{_KEPT_TRACE!r}].trace.save({str(path)!r})")
    return json.loads(path.read_text("utf-8"))


async def _execute(client: NotebookClient, cell: NotebookNode, index: int, job: Job) -> None:
    try:
        await client.async_execute_cell(cell, index)
    except CellExecutionError as error:
        raise _failure(job, index, f"{error.ename}: {error.evalue}", error.traceback) from None
    except CellTimeoutError:
        raise _failure(
            job, index, f"не закончилась за {job.timeout} с (предел задаёт --timeout)"
        ) from None
    except DeadKernelError:
        raise _failure(
            job, index, "ядро Python умерло (не хватило памяти или сбой в библиотеке на C)"
        ) from None


def _failure(job: Job, index: int, what: str, traceback: str = "") -> SourceError:
    """The chapter, the line of the failing statement and the source of its cell."""
    cell = job.cells[index]
    lines = cell.source.split("\n")
    plain = terminal.plain(traceback)
    executed = sum(
        options["eval"] and isinstance(cell, Cell)
        for cell, options in zip(job.cells[: index + 1], job.options, strict=False)
    )
    found = re.findall(rf"Cell In\[{executed}\], line (\d+)", plain)
    failing = int(found[0]) if found else None
    listing = "\n".join(
        f"  {'>' if number == failing else ' '} {cell.source_line + number - 1:4} | {line}"
        for number, line in enumerate(lines, start=1)
    )
    where = cell.line if failing is None else cell.source_line + failing - 1
    return SourceError(f"ячейка {index + 1}: {what}\n{listing}", job.chapter, where)
