"""The chapters executed as on another machine: not a byte of what they show may differ.

The other machine is this one with the newer instructions of its processor hidden from every library
that would use them, and with two threads. A value that is rounding and nothing else has other last
digits there; chapters show a bound instead.
"""

from __future__ import annotations

import difflib
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nbclient")
pytest.importorskip("jupyter_cache")
yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parent.parent.parent
FAST = "chapters/chain-rule.qmd"
"""Executed in the default run; the others are for the slow one."""


def chapters() -> Iterator[str]:
    """Files of the book with cells, in its order."""

    def walk(entries: list) -> Iterator[str]:
        for entry in entries:
            if isinstance(entry, dict):
                yield from walk(entry["chapters"])
            else:
                yield entry

    book = yaml.safe_load((ROOT / "_quarto.yml").read_text("utf-8"))["book"]
    for name in [*walk(book["chapters"]), *walk(book["appendices"])]:
        if "```{python}" in (ROOT / name).read_text("utf-8"):
            yield name


def old_processor() -> dict[str, str]:
    """Environment variables that hide what newer x86 processors have; of no effect on others.

    What is left is x86-64-v2, with SSE4.2: NumPy itself runs on nothing older.
    """
    import cv2
    from numpy._core import _multiarray_umath as compiled

    here = compiled.__cpu_features__
    numpy = [name for name in compiled.__cpu_dispatch__ if here[name]]
    listed = [name.strip("*") for name in cv2.getCPUFeaturesLine().split() if name[0] == "*"]
    opencv = [name for name in listed if not name.startswith("SSE")]
    return {
        "ATEN_CPU_CAPABILITY": "default",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "NPY_DISABLE_CPU_FEATURES": " ".join(numpy),
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CPU_NAME": "generic",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
        "OPENCV_CPU_DISABLE": ",".join(opencv),
    }


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the chapters need, as cloned."""
    root = tmp_path_factory.mktemp("book") / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-zco", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file() and not name.startswith(("tests/", "_freeze/", "notebooks/")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    return root


def executed(book: Path, chapter: str, settings: dict[str, str]) -> dict[str, bytes]:
    """What ``pixgrad freeze`` makes of one chapter alone, by file name."""
    config = yaml.safe_load((ROOT / "_quarto.yml").read_text("utf-8"))
    config["book"]["chapters"] = list(dict.fromkeys(["index.qmd", chapter]))
    config["pixgrad"]["reports"], config["book"]["appendices"] = [], []
    (book / "_quarto.yml").write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
    if chapter != "index.qmd":
        (book / "index.qmd").write_text("# Предисловие {.unnumbered}\n", "utf-8")
    for folder in ("_freeze", ".cache"):
        shutil.rmtree(book / folder, ignore_errors=True)
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    kept |= {"PYTHONPATH": str(book / "code"), "NUMBA_CACHE_DIR": str(book / ".cache" / "numba")}
    done = subprocess.run(
        [sys.executable, "-m", "pixgrad", "freeze", "--timeout", "0"],
        cwd=book, env=kept | settings, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    place = book / "_freeze" / Path(chapter).with_suffix("")
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in sorted(place.rglob("*"))
        if path.is_file()
    }


def differences(name: str, one: bytes, two: bytes) -> list[str]:
    """Lines to tell what differs in a file."""
    if one == two:
        return []
    if name.endswith((".png", ".jpeg")):
        from PIL import Image

        pixels = (np.asarray(Image.open(io.BytesIO(of)).convert("RGBA")) for of in (one, two))
        first, second = (of.astype(int) for of in pixels)
        if first.shape != second.shape:
            return [f"{name}: {first.shape} and {second.shape}"]
        apart = np.abs(first - second)
        return [f"{name}: {(apart.max(axis=2) > 0).sum()} pixels by up to {apart.max()}"]
    texts = [of.decode() for of in (one, two)]
    if name.endswith(".json"):
        texts = [json.loads(of)["result"]["markdown"] for of in texts]
    elif name.endswith(".svg"):
        texts = [re.sub(r"([LMz ]) ", r"\1\n", of) for of in texts]
    lines = difflib.unified_diff(
        *(of.splitlines() for of in texts), "here", "there", n=0, lineterm=""
    )
    return [f"{name}: {line[:300]}" for line in list(lines)[2:40]]


@pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(name, marks=() if name == FAST else pytest.mark.slow, id=Path(name).stem)
        for name in chapters()
    ],
)
def test_another_machine_shows_the_same_bytes(book: Path, chapter: str) -> None:
    here = executed(book, chapter, {"OMP_NUM_THREADS": "1"})
    there = executed(book, chapter, old_processor() | {"OMP_NUM_THREADS": "2"})
    assert any(name.endswith("html.json") for name in here)
    assert here.keys() == there.keys()
    told = [line for name in here for line in differences(name, here[name], there[name])]
    assert not told, "\n".join(told)


def test_the_other_machine_rounds_otherwise() -> None:
    """Else the comparison shows nothing: the same sums there have other last digits."""
    program = "import numpy as np; r = np.random.default_rng(0).standard_normal((300, 300)); "
    program += "print((r @ r).tobytes().hex()[:100_000])"
    settings = [{}, old_processor()]
    one, two = (
        subprocess.run(
            [sys.executable, "-c", program], env=os.environ | of, capture_output=True, check=True
        ).stdout
        for of in settings
    )
    if platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("only of x86 can the newer instructions be hidden")
    assert one != two
