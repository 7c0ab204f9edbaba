"""Time the report generator on ten trivial chapters: everything, nothing, one edit of prose.

    python benchmarks/book.py [--engine pandoc]

Quarto 1.10 on two cores (HTML): execute and render all 44-51 s, nothing changed 9-11 s, one edit
of a cached chapter 5.4 s.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "book"))

from tiny_books import pixgrad, write_book

CHAPTERS = 10
CHAPTER = """\
# Глава {number}

Немного текста о рисунке @fig-plot-{number}.

```{{python}}
#| label: fig-plot-{number}
#| fig-cap: "Прямая"
#| fig-alt: "Прямая линия"
import matplotlib.pyplot as plt
plt.plot([0, {number}])
plt.show()
```

```{{python}}
sum(range({number}))
```
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="pandoc", help="auto, quarto or pandoc")
    for what, seconds in times(CHAPTERS, parser.parse_args().engine):
        sys.stdout.write(f"{what:24} {seconds:6.1f} s\n")
        sys.stdout.flush()


def times(chapters: int, engine: str = "pandoc") -> Iterator[tuple[str, float]]:
    """What was done to a book of so many chapters, and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder, "book")
        numbers = range(1, chapters + 1)
        write_book(book, {f"{number:02}.qmd": CHAPTER.format(number=number) for number in numbers})
        yield "execute and render all", _seconds(book, engine)
        yield "nothing changed", _seconds(book, engine)
        chapter = book / f"{chapters // 2:02}.qmd"
        chapter.write_text(chapter.read_text("utf-8") + "\nЕщё предложение.\n", "utf-8")
        yield "one edit of prose", _seconds(book, engine)


def _seconds(book: Path, engine: str) -> float:
    """Seconds of ``pixgrad render``, a new process: it executes what changed and renders."""
    start = time.perf_counter()
    done = pixgrad(book, "render", "--engine", engine, "--to", "html")
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"pixgrad render:\n{done.stdout}{done.stderr}")
    return seconds


if __name__ == "__main__":
    main()
