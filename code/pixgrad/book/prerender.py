"""Quarto's ``project: pre-render`` step: ``_freeze`` is up to date before Quarto looks at it.

Any ``python3`` >= 3.9 runs it: while nothing but prose was edited, the standard library is enough.
When a chapter has to be executed, an interpreter with the packages is looked for: this one, then
that of the project's ``.venv``. In another book: ``pre-render: python -m pixgrad.book.prerender``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

if not __package__:  # run as a script: pixgrad's folder takes the place of the script's own
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parents[1]), *(p for p in sys.path if Path(p).resolve() != _here)]

from pixgrad.book.ledger.ledger import PROSE, STALE, Ledger, State, absent_text
from pixgrad.errors import PixgradError

_PROBE = """
from importlib.util import find_spec
names = "nbclient ipykernel jupyter_cache matplotlib_inline typer rich yaml".split()
raise SystemExit(any(find_spec(name) is None for name in names))
"""


def main() -> None:
    """Bring the chapters that Quarto is about to render up to date; one line if that fails."""
    root = Path(os.environ.get("QUARTO_PROJECT_DIR") or ".").resolve()
    try:
        _write_fonts(root)
        if sys.argv[1:] == ["--execute"]:
            from pixgrad.book.executing.freeze import freeze_book

            freeze_book(root, only=_chapters(root))
        else:
            _bring_up_to_date(root)
    except PixgradError as error:
        sys.exit(f"pixgrad: {error}")
    except OSError as error:
        sys.exit(f"pixgrad: система отказала: {error}")


def _write_fonts(root: Path) -> None:
    """The typefaces of ``skin/*.scss``, once, where the packages that carry them are installed."""
    folder, carriers = root / "skin" / "fonts", ("brotli", "fontTools", "rendercv_fonts", "ziamath")
    if (root / "skin").is_dir() and not folder.exists() and all(map(find_spec, carriers)):
        from pixgrad.book.rendering import fonts

        fonts.write(folder)


def _bring_up_to_date(root: Path) -> None:
    ledger = Ledger(root)
    if ledger.is_unfinished:
        with Ledger.writing(root) as ledger:
            pass
    states = ledger.assess(_chapters(root))
    stale = [state for state in states if state.status == STALE]
    if stale:
        _execute(root, stale[0])
        return
    edited = [state for state in states if state.status == PROSE]
    if edited:
        with Ledger.writing(root) as ledger:
            for state in edited:
                ledger.put_prose(state.chapter, state.document)
    unverified = sorted({name for state in states for name in state.unverified})
    if unverified:
        sys.stderr.write(f"pixgrad: не проверено, {absent_text(unverified)}\n")
    versions = sorted({name for state in states for name in state.versions})
    if versions:
        sys.stderr.write(f"pixgrad: исполнено с другими версиями: {', '.join(versions)}\n")


def _chapters(root: Path) -> list[str]:
    """What Quarto is about to render; run by hand, every .qmd that ``_quarto.yml`` names."""
    listed = os.environ.get("QUARTO_PROJECT_INPUT_FILES", "").split("\n")
    inputs = [os.path.relpath(root / name, root) for name in listed if name.endswith(".qmd")]
    if not inputs:
        config = (root / "_quarto.yml").read_text("utf-8")
        inputs = re.findall(r"[^\s\[\],'\"]+\.qmd\b", config)
    return [Path(name).as_posix() for name in inputs if (root / name).is_file()]


def _execute(root: Path, stale: State) -> None:
    python = _capable_python(root)
    if python is None:
        raise PixgradError(
            f"{stale.chapter} устарела ({stale.cause}), а исполнить её нечем: нет пакетов; "
            "выполните make freeze или pip install 'pixgrad[compute]'"
        )
    environment = {**os.environ, "QUARTO_PROJECT_DIR": str(root)}
    command = [python, str(Path(__file__).resolve()), "--execute"]
    code = subprocess.run(command, cwd=root, env=environment, check=False).returncode
    if code:
        sys.exit(code)


def _capable_python(root: Path) -> str | None:
    own = [root / ".venv" / "bin" / "python", root / ".venv" / "Scripts" / "python.exe"]
    for python in [sys.executable, *(str(path) for path in own if path.exists())]:
        if subprocess.run([python, "-c", _PROBE], check=False).returncode == 0:
            return python
    return None


if __name__ == "__main__":
    main()
