"""The search index of the site, made by Pagefind with Russian word forms."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pixgrad.errors import PixgradError


def build_index(site: Path) -> None:
    """Write ``pagefind/`` into a finished site; the pages' ``lang`` chooses the stemmer.

    Raises
    ------
    PixgradError : Pagefind failed; its last line is shown.
    """
    from pagefind_bin import get_executable

    command = [str(get_executable()), "--site", str(site), "--quiet"]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode != 0:
        said = (answer.stderr or answer.stdout).strip().splitlines() or ["ничего не сказал"]
        raise PixgradError(f"Pagefind не построил индекс поиска: {said[-1]}")
    for unused in (site / "pagefind").glob("pagefind-*ui.*"):  # the page has its own dialog
        unused.unlink()
