"""The committed notebooks, run top to bottom where nothing but Jupyter is installed.

A new environment gets ``ipykernel`` alone; what else is needed the first cell installs. The book's
data are out of reach, as for a reader in Colab: photographs of wheels stand in for them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import nbformat
import pytest

nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).parent.parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LIMIT_S = 300
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables of a machine with Jupyter's kernel and nothing else of ours."""
    place = tmp_path_factory.mktemp("clean")
    venv.create(place / "venv", with_pip=True)
    python = place / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "ipykernel"], check=True)
    spec = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "clean",
        "language": "python",
    }
    folder = place / "share" / "kernels" / "python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec), "utf-8")
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    data = {"PIXGRAD_DATA": str(place / "no-data"), "MPLBACKEND": ""}
    return {**kept, **data, "JUPYTER_PATH": str(place / "share")}


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The book as cloned, apart from the data beside it."""
    root = tmp_path_factory.mktemp("clone") / "book"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "_freeze/")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    return root


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_in_a_clean_environment(path: Path, kernel: dict[str, str], book: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    started = time.monotonic()
    client = nbclient.NotebookClient(
        notebook,
        timeout=LIMIT_S,
        kernel_name="python3",
        resources={"metadata": {"path": str(book / "notebooks")}},
    )
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(kernel)
        done = client.execute()
    finally:
        os.environ.clear()
        os.environ.update(before)
    seconds = time.monotonic() - started
    sys.stdout.write(f"{path.stem}: {seconds:.0f} s\n")
    assert seconds < LIMIT_S
    raw = [text for text in _shown(done) if "@tbl-" in text or "@fig-" in text or "[@" in text]
    assert raw == []


def _shown(notebook: nbformat.NotebookNode) -> list[str]:
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    return [o.get("text", "") + o.get("data", {}).get("text/markdown", "") for o in outputs]
