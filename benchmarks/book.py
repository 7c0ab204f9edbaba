"""Time the report generator on ten trivial chapters: everything, nothing, one edit of prose.

    python benchmarks/book.py [--engine pandoc]

Quarto 1.10 on two cores (HTML): execute and render all 44-51 s, nothing changed 9-11 s, one edit
of a cached chapter 5.4 s.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHAPTERS = 10
CONFIG = """\
project:
  type: book
  execute-dir: project
lang: ru
book:
  title: "Проба"
  author: "Проба"
  chapters:
    - index.qmd
{chapters}
execute:
  freeze: auto
fig-width: 5
fig-height: 3
fig-dpi: 100
fig-format: svg
format:
  html:
    theme: default
"""
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
    engine = parser.parse_args().engine
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder, "book")
        _write_book(book)
        _report("execute and render all", book, engine)
        _report("nothing changed", book, engine)
        chapter = book / "05.qmd"
        chapter.write_text(chapter.read_text("utf-8") + "\nЕщё предложение.\n", "utf-8")
        _report("one edit of prose", book, engine)


def _write_book(book: Path) -> None:
    book.mkdir()
    names = [f"{number:02}.qmd" for number in range(1, CHAPTERS + 1)]
    listed = "\n".join(f"    - {name}" for name in names)
    (book / "_quarto.yml").write_text(CONFIG.format(chapters=listed), "utf-8")
    (book / "index.qmd").write_text("# Предисловие\n\nПроба.\n", "utf-8")
    for number, name in enumerate(names, start=1):
        (book / name).write_text(CHAPTER.format(number=number), "utf-8")


def _report(what: str, book: Path, engine: str) -> None:
    """Seconds of ``pixgrad render``, a new process: it executes what changed and renders."""
    seconds = _seconds("render", "--project", str(book), "--engine", engine, "--to", "html")
    sys.stdout.write(f"{what:24} {seconds:6.1f} s\n")
    sys.stdout.flush()


def _seconds(*arguments: str) -> float:
    environment = {key: value for key, value in os.environ.items() if key != "JUPYTERCACHE"}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "pixgrad", *arguments],
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"pixgrad {' '.join(arguments)}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
