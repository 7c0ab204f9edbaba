"""Speed and memory of our SIFT against OpenCV's and scikit-image's, one thread each.

    OMP_NUM_THREADS=1 PYTHONPATH=code python benchmarks/sift.py [--rounds 5] [photo ...]

The detectors take turns on each photo, and the best of the rounds counts. Time is processor time
of this process: with one thread it is the time on an idle machine, whatever else runs on it.
Memory is the growth of the peak resident size in a fresh process, in float32 copies of the
doubled image. Compilation is measured with an empty cache, and again with the cache it left.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from typer import echo

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-of", metavar="BACKEND", help=argparse.SUPPRESS)
    parser.add_argument("--first-call", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("photos", nargs="*", type=Path)
    options = parser.parse_args()
    if any(os.environ.get(name) != "1" for name in THREADS):
        os.environ |= dict.fromkeys(THREADS, "1")
        os.execv(sys.executable, [sys.executable, *sys.argv])
    if options.memory_of:
        return print_peak(options.memory_of)
    if options.first_call:
        return print_first_call()
    memory()  # first: a child starts with the peak that its parent had
    compilation()
    speed(read_photos(options.photos), options.rounds)


def read_photos(paths: list[Path]) -> dict[str, np.ndarray]:
    """Grey photos: those given, else the project's source `photos` and the first of `pairs`."""
    from PIL import Image

    from pixgrad.data import load
    from pixgrad.sift.image import to_grey

    if paths:
        return {p.stem: np.asarray(Image.open(p).convert("L")) for p in paths}
    found = {photo.name: to_grey(photo.image) for photo in load("photos")}
    return found | {pair.sequence: to_grey(pair.first) for pair in load("pairs")}


def detectors() -> Mapping[str, Callable[[np.ndarray], int]]:
    """Functions of a grey image that return the number of keypoints, by name."""
    import cv2
    from skimage.feature import SIFT

    from pixgrad.sift import Sift

    cv2.setNumThreads(1)
    opencv = cv2.SIFT_create()

    def scikit_image(image: np.ndarray) -> int:
        sift = SIFT()
        sift.detect_and_extract(image)
        return len(sift.sigmas)

    return {
        "OpenCV": lambda image: len(opencv.detectAndCompute(image, None)[0]),
        "NumPy": lambda image: len(Sift(compiled=False).detect_and_compute(image)),
        "numba": lambda image: len(Sift(compiled=True).detect_and_compute(image)),
        "scikit-image": scikit_image,
    }


def speed(photos: dict[str, np.ndarray], rounds: int) -> None:
    ours = detectors()
    texture = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
    for detect in ours.values():
        detect(texture.repeat(8, 0).repeat(8, 1))  # imports and compilation
    echo(f"{'photo':24} {'size':>9} {'points':>6} {'OpenCV':>8}" + header(list(ours)[1:]))
    total = dict.fromkeys(ours, 0.0)
    for name, image in photos.items():
        best = dict.fromkeys(ours, np.inf)
        for _ in range(rounds):
            for label, detect in reversed(ours.items()):
                start = time.process_time()
                points = detect(image)
                best[label] = min(best[label], time.process_time() - start)
        size = f"{image.shape[1]}x{image.shape[0]}"
        echo(f"{name:24.24} {size:>9} {points:6} {row(best)}")
        total = {label: total[label] + best[label] for label in ours}
    echo(f"{'all':24} {'':>9} {'':>6} {row(total)}")
    gain = total["scikit-image"] / total["NumPy"]
    echo(f"NumPy is {gain:.2f} x faster than scikit-image")


def header(labels: list[str]) -> str:
    return "".join(f"{label:>14}" for label in labels)


def row(times: dict[str, float]) -> str:
    """Milliseconds of OpenCV, then the others' times as multiples of it."""
    reference = times["OpenCV"]
    rest = [t / reference for label, t in times.items() if label != "OpenCV"]
    return f"{reference * 1e3:5.0f} ms" + "".join(f"{ratio:12.2f} x" for ratio in rest)


def memory() -> None:
    for backend in ("numpy", "numba"):
        echo(f"peak memory, {backend}: {child('--memory-of', backend)}")


def print_peak(backend: str) -> None:
    """Peak growth on a large picture of fine texture, in copies of the doubled image."""
    from pixgrad.sift import Sift
    from pixgrad.sift.image import peak_copies

    sift = Sift(compiled=backend == "numba")
    rng = np.random.default_rng(0)
    small, side = rng.integers(0, 256, (64, 64), dtype=np.uint8), 1600
    sift.detect_and_compute(small)
    image = rng.integers(0, 256, (side // 8, side // 8), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    before = peak()
    count = len(sift.detect_and_compute(image))
    copies = (peak() - before) / (4 * (2 * side) ** 2)
    echo(f"{copies:.1f} copies of the doubled image ({count} keypoints; stated {peak_copies(3)})")


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def compilation() -> None:
    with tempfile.TemporaryDirectory() as cache:
        echo(f"first call of numba, empty cache: {child('--first-call', NUMBA_CACHE_DIR=cache)}")
        echo(f"first call of numba, cache on disk: {child('--first-call', NUMBA_CACHE_DIR=cache)}")
        size = sum(file.stat().st_size for file in Path(cache).rglob("*") if file.is_file())
    echo(f"cache: {size / 2**10:.0f} KiB")


def print_first_call() -> None:
    from pixgrad.sift import Sift

    start = time.process_time()
    Sift(compiled=True).detect_and_compute(np.eye(64, dtype=bool))
    echo(f"{time.process_time() - start:.1f} s")


def child(*arguments: str, **environment: str) -> str:
    """What a fresh run of this script with these arguments prints."""
    command = [sys.executable, __file__, *arguments]
    settings = {**os.environ, **environment}
    return subprocess.run(
        command, env=settings, capture_output=True, text=True, check=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
