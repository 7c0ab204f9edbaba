"""``make bench``: SIFT, a network and the generator of the book beside their peers, into JSON.

    python benchmarks/bench.py [--rounds 5] [--smallest] [--to benchmarks/bench.json]

In every round the contenders take turns at the same work. SIFT and the network run in one thread
and their time is the processor's; the generator is timed by the clock beside the times of Quarto
that its source gives. What is written is checked against ``pixgrad.results.benchmarks``, and the
appendix on reproducibility shows it, losses included. The load is recorded: run it on a quiet
machine, it takes about five minutes there.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

sys.path.insert(0, str(Path(__file__).parent))

import backprop
import book
import sift

from pixgrad.files import write
from pixgrad.results import benchmarks, records
from pixgrad.results.benchmarks import Contender, Work

QUARTO = "Quarto 1.10, другая машина с двумя ядрами; измерено однажды"
QUOTED = {
    "execute and render all": ("Книга: исполнить и собрать", (44.0, 51.0)),
    "nothing changed": ("Книга: ничего не изменилось", (9.0, 11.0)),
    "one edit of prose": ("Книга: правка текста", (5.4,)),
}
PACKAGES = ("numpy", "opencv-python", "scikit-image", "torch", "numba", "kornia")


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 5,
    smallest: Annotated[bool, typer.Option("--smallest", help="Only see that it works.")] = False,
    to: Annotated[Path, typer.Option(help="The file to write.")] = benchmarks.FILE,
) -> None:
    """Measure everything and write the file."""
    if any(os.environ.get(name) != "1" for name in sift.THREADS):
        os.environ |= dict.fromkeys(sift.THREADS, "1")
        os.execv(sys.executable, [sys.executable, *sys.argv])
    before, missing = os.getloadavg()[0], {}
    works = [*keypoints(rounds, smallest, missing), network(3 if smallest else 20 * rounds)]
    works += generator(1 if smallest else min(rounds, 3), 2 if smallest else book.CHAPTERS)
    found = benchmarks.Bench(
        git_commit=records.git_commit(),
        versions=records.versions(*(name for name in PACKAGES if name not in missing)),
        device=records.device(),
        threads=1,
        load=(round(before, 2), round(os.getloadavg()[0], 2)),
        works=works,
        missing=missing,
    )
    for one in works:
        one.check(to)
    write(to, benchmarks.dump(found))
    typer.echo(f"{to}: {len(works)} works, load {found.load[0]} before and {found.load[1]} after")


def keypoints(rounds: int, smallest: bool, missing: dict[str, str]) -> list[Work]:
    """Photographs of scikit-image, the same on every machine, through five SIFTs."""
    from pixgrad.data.photos import SKIMAGE, photo
    from pixgrad.sift.image import to_grey

    ours = sift.ours()
    others = sift.opencv() | scikit_image() | kornia(missing)
    sift.warm_up([*ours.values(), *others.values()])
    works = []
    for name in list(SKIMAGE)[-1:] if smallest else SKIMAGE:
        shown = photo(name)
        image = to_grey(shown.image)
        height, width = image.shape
        taken = sift.interleaved({**ours, **others}, image, rounds, time.process_time)
        works.append(work(f"SIFT: {shown.title}, {width}×{height}", taken, ours))
    return works


def work(name: str, seconds: Mapping[str, np.ndarray], ours: Collection[str]) -> Work:
    """Processor times of everyone in each round."""
    contenders = [
        Contender(name=who, ours=who in ours, seconds=list(spent)) for who, spent in seconds.items()
    ]
    return Work(name=name, clock="processor", contenders=contenders)


def scikit_image() -> dict[str, Callable]:
    from skimage.feature import SIFT

    return {"scikit-image": lambda image: SIFT().detect_and_extract(image)}


def kornia(missing: dict[str, str]) -> dict[str, Callable]:
    """Kornia's SIFT in one thread, asked for as many keypoints as OpenCV finds."""
    try:
        from kornia.feature import SIFTFeatureScaleSpace
    except ImportError as error:
        missing["kornia"] = str(error)
        return {}
    import cv2
    import torch

    torch.set_num_threads(1)
    counts = cv2.SIFT_create()
    networks: dict[bytes, torch.nn.Module] = {}

    def detect(image: np.ndarray) -> None:
        key = image.tobytes()
        if key not in networks:
            networks[key] = SIFTFeatureScaleSpace(max(1, len(counts.detect(image, None))))
        with torch.inference_mode():
            networks[key](torch.from_numpy(image)[None, None].float() / 255)

    return {"kornia": detect}


def network(rounds: int) -> Work:
    """Forward and backward of LeNet, the same weights and batch."""
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    backprop.bp.keep_freed_memory()
    with threadpool_limits(1):
        passes = backprop.network_passes()
        seconds = backprop.take_turns(*passes, rounds, time.process_time).T
    names = ("NumPy", "PyTorch")
    return work(
        f"LeNet, вперёд и назад, пакет {backprop.BATCH}",
        dict(zip(names, seconds, strict=True)),
        names[:1],
    )


def generator(rounds: int, chapters: int) -> list[Work]:
    """The generator of books; Quarto's times are of ten such chapters."""
    spent: dict[str, list[float]] = {}
    for _ in range(rounds):
        for what, seconds in book.times(chapters):
            spent.setdefault(what, []).append(seconds)
    return [
        Work(
            name=f"{called}, глав {chapters}",
            clock="wall",
            contenders=[
                Contender(name="pixgrad", ours=True, seconds=spent[what]),
                Contender(name="Quarto", seconds=list(theirs), quoted=QUARTO),
            ],
        )
        for what, (called, theirs) in QUOTED.items()
    ]


if __name__ == "__main__":
    typer.run(main)
