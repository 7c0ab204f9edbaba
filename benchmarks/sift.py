"""Speed and memory of our SIFT against OpenCV's and scikit-image's, one thread each, then two.

    OMP_NUM_THREADS=1 PYTHONPATH=code python benchmarks/sift.py [--rounds 5] [photo ...]

The detectors take turns on each photo; a line has the median of the rounds, and the median and the
quartiles of the ratio to OpenCV's time in the same round. Time is processor time of this process:
with one thread it is the time on an idle machine, if whatever else runs leaves it the caches and
the memory; the load is printed. With two threads it is time on the clock. Memory is the growth of
the peak resident size in a fresh process, in float32 copies of the doubled image. Compilation is
measured with an empty cache, and again with the cache it left.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from typer import echo

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
REFERENCE = "OpenCV"


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
    load()
    memory()  # first: a child starts with the peak that its parent had
    compilation()
    photos = read_photos(options.photos)
    speed(photos, options.rounds)
    load()
    two_threads(photos, options.rounds)
    for compiled in (True, False):
        profile(photos, compiled)
    bounds(photos)
    load()


def load() -> None:
    one, five, _ = os.getloadavg()
    echo(f"load {one:.1f} (one minute), {five:.1f} (five) on {os.cpu_count()} processors")


def read_photos(paths: list[Path]) -> dict[str, np.ndarray]:
    """Grey photos: those given, else the project's source `photos` and the first of `pairs`."""
    from PIL import Image

    from pixgrad.data import load
    from pixgrad.sift.image import to_grey

    if paths:
        return {p.stem: np.asarray(Image.open(p).convert("L")) for p in paths}
    found = {photo.name: to_grey(photo.image) for photo in load("photos")}
    return found | {pair.sequence: to_grey(pair.first) for pair in load("pairs")}


def speed(photos: dict[str, np.ndarray], rounds: int) -> None:
    from skimage.feature import SIFT

    functions = opencv() | ours()
    warm_up(functions.values())
    together = table(photos, functions, rounds, time.process_time)
    start = time.process_time()
    for image in photos.values():
        SIFT().detect_and_extract(image)
    gain = (time.process_time() - start) / np.median(together["NumPy"])
    echo(f"NumPy is {gain:.2f} x faster than scikit-image (one round)")


def opencv() -> dict[str, Callable]:
    """OpenCV's SIFT in one thread."""
    import cv2

    cv2.setNumThreads(1)
    sift = cv2.SIFT_create()
    return {REFERENCE: lambda image: sift.detectAndCompute(image, None)}


def ours() -> dict[str, Callable]:
    from pixgrad.sift import Sift

    return {
        "numba": Sift(compiled=True).detect_and_compute,
        "NumPy": Sift(compiled=False).detect_and_compute,
    }


def warm_up(functions: Iterable[Callable]) -> None:
    """Imports and compilation."""
    texture = np.random.default_rng(0).integers(0, 256, (12, 12), dtype=np.uint8)
    for function in functions:
        function(texture.repeat(8, 0).repeat(8, 1))


def interleaved(
    functions: Mapping[str, Callable], image: np.ndarray, rounds: int, clock: Callable[[], float]
) -> dict[str, np.ndarray]:
    """Seconds of each function in each round, (rounds,), by name."""
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = clock()
            function(image)
            times[name].append(clock() - start)
    return {name: np.array(seconds) for name, seconds in times.items()}


def table(
    photos: dict[str, np.ndarray],
    functions: Mapping[str, Callable],
    rounds: int,
    clock: Callable[[], float],
) -> dict[str, np.ndarray]:
    """A line of each photo, and of their sums in each round, which are returned."""
    others = [name for name in functions if name != REFERENCE]
    echo(f"{'photo':24} {'size':>9} {REFERENCE:>9}" + "".join(f"{o:>22}" for o in others))
    together = dict.fromkeys(functions, 0.0)
    for name, image in photos.items():
        seconds = interleaved(functions, image, rounds, clock)
        together = {label: together[label] + seconds[label] for label in functions}
        echo(f"{name:24.24} {'x'.join(map(str, image.shape[::-1])):>9} {row(seconds)}")
    echo(f"{'all':24} {'':>9} {row(together)}")
    return together


def row(seconds: dict[str, np.ndarray]) -> str:
    """Milliseconds of OpenCV; then median and quartiles of the others' ratio to it."""
    reference = seconds[REFERENCE]
    line = f"{np.median(reference) * 1e3:6.0f} ms"
    for name, times in seconds.items():
        if name != REFERENCE:
            low, middle, high = np.quantile(times / reference, (0.25, 0.5, 0.75))
            line += f"{middle:8.2f} ({low:.2f}-{high:.2f})"
    return line


def two_threads(photos: dict[str, np.ndarray], rounds: int) -> None:
    import cv2
    from numba import config

    from pixgrad.sift import Sift

    opencv, sift = cv2.SIFT_create(), Sift(compiled=True)
    functions = {
        REFERENCE: lambda image: opencv.detectAndCompute(image, None),
        "numba": sift.detect_and_compute,
    }
    alone = {name: digest(sift.detect_and_compute(image)) for name, image in photos.items()}
    cv2.setNumThreads(2)
    config.NUMBA_NUM_THREADS = 2
    echo("two threads each, time on the clock")
    table(photos, functions, rounds, time.perf_counter)
    same = [digest(sift.detect_and_compute(photos[n])) == one for n, one in alone.items()]
    echo(f"results of two threads equal to those of one, to the bit: {sum(same)} of {len(same)}")
    cv2.setNumThreads(1)
    config.NUMBA_NUM_THREADS = 1


def digest(features) -> bytes:
    names = ("xy", "size", "angle", "response", "octave", "descriptors")
    return b"".join(getattr(features, name).tobytes() for name in names)


@contextmanager
def timed_stages(compiled: bool) -> Iterator[dict[str, float]]:
    """Seconds of processor time of each stage, summed over calls."""
    from pixgrad.sift import backend

    stages, choose, spent = backend.choose(compiled), backend.choose, {}

    def timed(name: str) -> Callable:
        function = getattr(stages, name)

        def call(*arguments, **options):
            start = time.process_time()
            result = function(*arguments, **options)
            spent[name] = spent.get(name, 0) + time.process_time() - start
            return result

        return call

    backend.choose = lambda _: backend.Stages(*(timed(name) for name in stages._fields))
    try:
        yield spent
    finally:
        backend.choose = choose


def profile(photos: dict[str, np.ndarray], compiled: bool) -> None:
    """Share of each stage in the time of all photos."""
    from pixgrad.sift import Sift

    sift = Sift(compiled=compiled)
    warm_up([sift.detect_and_compute])
    with timed_stages(compiled) as spent:
        start = time.process_time()
        for image in photos.values():
            sift.detect_and_compute(image)
        total = time.process_time() - start
    spent["rest"] = total - sum(spent.values())
    shares = ", ".join(f"{name} {t / total:.0%}" for name, t in spent.items() if t / total > 0.005)
    echo(f"{'numba' if compiled else 'NumPy'}, {total * 1e3:.0f} ms for all photos: {shares}")


def bounds(photos: dict[str, np.ndarray]) -> None:
    """What this machine allows, and how far blur is from it: most of the time of a plain photo.

    Its bits leave out two ways to be faster: taps are added one after another, so that each is
    loaded anew, and the columns beyond whole vectors are summed one by one, as OpenCV does it.
    """
    from pixgrad.sift import Sift, compiled, scale_space

    flops, cached, bandwidth = machine()
    echo(
        f"machine, one thread: {flops / 1e9:.0f} Gflop/s fused in registers; triad "
        f"{cached / 1e9:.0f} GB/s in the cache, {bandwidth / 1e9:.0f} GB/s from memory"
    )
    taps = [len(scale_space.gaussian_kernel(sigma)) for sigma in scale_space.layer_blurs()]
    base = len(scale_space.gaussian_kernel(np.sqrt(1.6**2 - 1)))
    work = moved = 0
    for image in photos.values():
        height, width = 2 * image.shape[0], 2 * image.shape[1]
        for o in range(scale_space.octave_count((height, width))):
            pixels = (height >> o) * (width >> o)
            for n in taps + [base] * (o == 0):
                work += pixels * (2 * n + 3 * (n // 2) + 1)  # along rows, then columns
                moved += pixels * 12  # read, made room for and written, once
    with timed_stages(True) as spent:
        for image in photos.values():
            Sift(compiled=True).detect_and_compute(image)
    echo(
        f"blur of all photos: {spent['blur'] * 1e3:.0f} ms; its {work / 1e9:.2f} Gflop alone need "
        f"{work / flops * 1e3:.0f} ms, its {moved / 1e6:.0f} MB {moved / bandwidth * 1e3:.0f} ms "
        f"({work / spent['blur'] / 1e9:.0f} Gflop/s, {work / moved:.1f} flop a byte)"
    )
    for width in (672, 670, 336, 335, 168, 84):
        image = np.ones((width, width), np.float32)
        spent = best(
            lambda image=image: [compiled.blur(image, s) for s in scale_space.layer_blurs()]
        )
        echo(f"blurs of an octave {width} pixels wide: {spent / width**2 * 1e9:.1f} ns a pixel")


def machine() -> tuple[float, float, float]:
    """Fused multiply-adds a second times two; bytes a second in the L2 cache and from memory."""
    from numba import njit

    from pixgrad.sift.compiled.numbers import fma

    @njit
    def chains(a, count):
        """Eight chains for each number; the inner loop is unrolled, vectors are made."""
        x = np.float32(0.5)
        for _ in range(count):
            for i in range(len(a)):
                p = q = r = s = t = u = v = w = a[i]
                for _ in range(32):
                    p, q, r, s = fma(p, x, x), fma(q, x, p), fma(r, x, p), fma(s, x, q)
                    t, u, v, w = fma(t, x, r), fma(u, x, s), fma(v, x, t), fma(w, x, u)
                a[i] = (p + q + r + s) + (t + u + v + w)

    @njit
    def triad(a, b, c, count):
        for _ in range(count):
            for i in range(len(a)):
                a[i] = b[i] + np.float32(0.5) * c[i]

    count, many = 2000, 16_000_000
    flops = 2 * 8 * 32 * 256 * count / best(chains, np.ones(256, np.float32), count)
    small = [np.ones(16_000, np.float32) for _ in range(3)]
    large = [np.ones(many, np.float32) for _ in range(3)]
    cached = 12 * 16_000 * 2000 / best(triad, *small, 2000)
    return flops, cached, 16 * many / best(triad, *large, 1)  # what is written is read before


def best(function: Callable, *arguments) -> float:
    """The shortest of five calls, seconds of processor time."""
    function(*arguments)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        function(*arguments)
        seconds.append(time.process_time() - start)
    return min(seconds)


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
