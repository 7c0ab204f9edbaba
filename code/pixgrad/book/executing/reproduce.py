"""``pixgrad reproduce``: execute every chapter anew in a scratch copy and compare with ``_freeze``.

Text is compared word by word and number by number, vector figures likewise, pixels by their value.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pixgrad.book.executing import freeze
from pixgrad.book.ledger import frozen
from pixgrad.book.ledger.ledger import Ledger
from pixgrad.book.source import embedded
from pixgrad.book.source.project import load
from pixgrad.dataroot import data_root
from pixgrad.errors import PixgradError

NUMBER = re.compile(r"[-\N{MINUS SIGN}]?\d+(?:[.,]\d+)?(?:[eE][-+]?\d+)?")
LISTED = 20
"""Differences of a chapter in the report."""
_SCRATCH = shutil.ignore_patterns(
    ".git", ".venv", ".cache", "_freeze", "_book", "runs", "__pycache__", ".*_cache"
)


@dataclass
class Comparison:
    """A chapter executed anew beside the committed one.

    Attributes
    ----------
    largest : the largest relative difference of two numbers, or of two pixels' values (of 255).
    numbers : how many numbers differ at all.
    where : what differs in more than numbers, or the first number that does: for the reader.
    failure : why it could not be executed; empty if it was.
    """

    chapter: str
    largest: float = 0.0
    numbers: int = 0
    where: list[str] = field(default_factory=list)
    text_differs: bool = False
    failure: str = ""

    def same(self, tolerance: float) -> bool:
        """Nothing but numbers differs, and these by no more than ``tolerance`` of their size."""
        return not self.failure and not self.text_differs and self.largest <= tolerance

    def line(self, tolerance: float) -> str:
        """What the reader is told, in Russian."""
        if self.failure:
            return f"{self.chapter}: не исполнилась: {self.failure}"
        if not self.where:
            return f"{self.chapter}: то же, байт в байт"
        told = f"чисел с разницей {self.numbers}, наибольшая {self.largest:.1g} своей величины"
        verdict = "то же" if self.same(tolerance) else "ИНОЕ"
        return f"{self.chapter}: {verdict}: {told}; {self.where[0]}"


def reproduce(root: Path, jobs: int, timeout: int) -> list[Comparison]:
    """Execute all chapters in a scratch copy of the project; nothing of the project is changed.

    Raises
    ------
    PixgradError : the book has nothing executed to compare with.
    """
    project = load(root)
    listed = (*project.chapters, *project.reports, *embedded.pages(project))
    pages = [page.path.as_posix() for page in listed]
    kept = Ledger(project.root).records
    chapters = [page for page in pages if page in kept]
    if not chapters:
        raise PixgradError(f"{root}: сравнивать не с чем: нет _freeze; выполните pixgrad freeze")
    with tempfile.TemporaryDirectory(prefix="pixgrad-reproduce-") as folder:
        scratch = Path(folder, "book")
        shutil.copytree(project.root, scratch, ignore=_SCRATCH)
        with _environment(project.root):
            try:
                freeze.freeze_book(scratch, jobs=jobs, timeout=timeout, only=chapters)
                failure = ""
            except PixgradError as error:  # what succeeded is there
                failure = str(error)
        made = Ledger(scratch)
        return [
            _compare(chapter, Ledger(project.root), made)
            if chapter in made.records
            else Comparison(chapter, failure=_of_chapter(failure, chapter))
            for chapter in chapters
        ]


def report_page(found: Sequence[Comparison], tolerance: float) -> str:
    """All that differs, as a Markdown page in Russian."""
    same = sum(one.same(tolerance) for one in found)
    lines = [
        "# Повторение книги",
        "",
        f"Повторились {same} из {len(found)} страниц; допуск {tolerance:g}.",
    ]
    for one in found:
        lines += ["", f"## {one.chapter}", "", one.line(tolerance), ""]
        lines += [f"- {where}" for where in one.where[:LISTED]]
        if len(one.where) > LISTED:
            lines.append(f"- …и ещё {len(one.where) - LISTED}")
    return "\n".join(lines) + "\n"


def compare_text(was: str, now: str, name: str, found: Comparison) -> None:
    """Add what differs between two texts to ``found``."""
    if was == now:
        return
    if NUMBER.sub("#", was) != NUMBER.sub("#", now):
        found.text_differs = True
        pairs = zip(was.splitlines(), now.splitlines(), strict=False)
        first = next(((a, b) for a, b in pairs if NUMBER.sub("#", a) != NUMBER.sub("#", b)), None)
        told = f"было «{first[0][:60]}», стало «{first[1][:60]}»" if first else "другая длина"
        found.where.append(f"{name}: {told}")
        return
    for old, new in zip(NUMBER.findall(was), NUMBER.findall(now), strict=True):
        if old != new:
            a, b = (
                float(text.replace("\N{MINUS SIGN}", "-").replace(",", ".")) for text in (old, new)
            )
            found.largest = max(found.largest, abs(a - b) / max(abs(a), abs(b), 1e-300))
            found.numbers += 1
            found.where.append(f"{name}: было {old}, стало {new}")


def compare_pictures(was: bytes, now: bytes, name: str, found: Comparison) -> None:
    """Add what differs between two pictures, PNG, JPEG or SVG, to ``found``."""
    if was == now:
        return
    if name.endswith(".svg"):
        compare_text(was.decode("utf-8"), now.decode("utf-8"), name, found)
        return
    import numpy as np
    from PIL import Image

    a, b = (np.asarray(Image.open(BytesIO(data)).convert("RGB"), float) for data in (was, now))
    if a.shape != b.shape:
        found.text_differs = True
        found.where.append(f"{name}: размер {a.shape[:2]}, был {b.shape[:2]}")
    elif (far := np.abs(a - b).max() / 255) > 0:
        found.largest = max(found.largest, float(far))
        found.numbers += int((a != b).any(-1).sum())
        found.where.append(f"{name}: пиксели отличаются до {far:.1g} шкалы")


def _compare(chapter: str, kept: Ledger, made: Ledger) -> Comparison:
    found = Comparison(chapter)
    origins = [ledger.records[chapter].get("sources", {}) for ledger in (kept, made)]
    for name in sorted(origins[0]):
        was, now = (of.get(name) for of in origins)
        if was != now:
            found.text_differs = True
            found.where.append(f"данные «{name}»: были {was}, стали {now}")
    folders = [ledger.folder(chapter) for ledger in (kept, made)]
    for fmt, figures in frozen.FIGURES.items():
        texts = [frozen.read(folder, fmt)["result"]["markdown"] for folder in folders]
        compare_text(*texts, f"текст ({fmt})", found)
        old, new = (
            {path.name: path for path in (folder / figures).glob("*")} for folder in folders
        )
        for name in sorted(set(old) ^ set(new)):
            found.text_differs = True
            found.where.append(
                f"рисунок {name} есть только {'прежде' if name in old else 'теперь'}"
            )
        for name in sorted(set(old) & set(new)):
            compare_pictures(old[name].read_bytes(), new[name].read_bytes(), name, found)
    return found


@contextmanager
def _environment(root: Path) -> Iterator[None]:
    """The data that the project sees, and a cache of nobody else's."""
    before = dict(os.environ)
    os.environ["PIXGRAD_DATA"] = str(data_root(root))
    os.environ.pop("JUPYTERCACHE", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _of_chapter(failure: str, chapter: str) -> str:
    """The first line that names the chapter, else all that was said."""
    return next((line for line in failure.splitlines() if chapter in line), failure)
