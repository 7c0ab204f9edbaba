"""What the training loop costs beside the network itself, and what the probe adds.

    OMP_NUM_THREADS=1 python benchmarks/training.py [--net resnet-20] [--side 32] [--epochs 7]

* Loop: an epoch of ``pixgrad.training.loop`` — random order, shifts, mirrors, normalisation,
  schedule — against bare steps of a twin network on random tensors that are in memory. Steps of the
  two alternate. Limit: at least 95 % of the bare throughput.
* Probe: steps that it measures against those between them, as a share of ten steps: the probe of
  the experiments measures every tenth. Limit: 5 %.

Seconds are of the processor, not of the clock: other programs do not count. One thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch.nn.functional import cross_entropy

from pixgrad import nets
from pixgrad.results.records import device, versions
from pixgrad.training.batches import PARTS, Images
from pixgrad.training.loop import Settings, TorchRun

CLASSES, BATCH, EVERY = 10, 64, 10


def main(
    net: Annotated[str, typer.Option(help="Name of the network.")] = "resnet-20",
    side: Annotated[int, typer.Option(help="Of the images, pixels.")] = 32,
    images: Annotated[int, typer.Option(help="In an epoch.")] = 1280,
    epochs: Annotated[int, typer.Option(min=1, help="To choose the best of.")] = 7,
) -> None:
    """Print both shares."""
    torch.set_num_threads(1)
    data = random_images(images, side)
    loop, bare = np.array([loop_and_bare(net, data) for _ in range(epochs)]).T
    plain, probed = plain_and_probed(net, data, epochs)
    cost = (probed - plain) / (EVERY * plain)

    title = f"{net}, {side} px, batch {BATCH}, best of {epochs} epochs of {images}, {device()}"
    table = Table(title=title)
    for name in ("", "ms a step", "images/s", "share", "median", "limit"):
        table.add_column(name, justify="right" if name else "left")
    step = 1e3 * BATCH / images
    table.add_row("bare network", f"{step * bare.min():.1f}", f"{images / bare.min():.0f}")
    share = bare / loop
    table.add_row(
        "training loop",
        f"{step * loop.min():.1f}",
        f"{images / loop.min():.0f}",
        f"{share.max():.1%}",
        f"{np.median(share):.1%}",
        ">= 95 %",
    )
    table.add_row("step without probe", f"{1e3 * plain:.1f}")
    table.add_row(
        f"step with probe, every {EVERY}", f"{1e3 * probed:.1f}", "", f"{cost:.1%}", "", "<= 5 %"
    )
    console = Console(width=110)
    console.print(table)
    console.print(versions("torch", "lightning-fabric"))


def loop_and_bare(name: str, data: Images) -> tuple[float, float]:
    """Processor seconds of an epoch by the loop and of as many bare steps."""
    run = start(name, data, probe_every=None)
    twin = build(name, torch.Generator().manual_seed(1)).to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(twin.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    x = torch.randn(BATCH, *data.images["train"].shape[1:]).contiguous(
        memory_format=torch.channels_last
    )
    y = torch.randint(0, CLASSES, (BATCH,))

    def step() -> None:
        optimiser.zero_grad()
        cross_entropy(twin(x), y).backward()
        optimiser.step()

    seconds = np.zeros(2)
    steps = run.steps()
    for _ in range(len(data.labels["train"]) // BATCH):
        seconds += timed(partial(next, steps)), timed(step)
    return tuple(seconds)


def plain_and_probed(name: str, data: Images, epochs: int) -> np.ndarray:
    """Median processor seconds of steps without and with a measurement, in turn."""
    run = start(name, data, probe_every=2)
    seconds = []
    for _ in range(epochs):
        steps = run.steps()
        next(steps), next(steps)  # the first one of an epoch also shuffles
        rest = len(data.labels["train"]) // BATCH // 2 - 1
        seconds += [[timed(partial(next, steps)) for _ in range(2)] for _ in range(rest)]
    probed, plain = np.median(seconds, axis=0)
    return np.array([plain, probed])


def timed(call: Callable[[], object]) -> float:
    """Processor seconds of a call."""
    began = time.process_time()
    call()
    return time.process_time() - began


def start(name: str, data: Images, probe_every: int | None) -> TorchRun:
    """A run at its first step, and one step of another to warm up."""
    config = Settings(seed=1, epochs=1, lr=1e-3, batch_size=BATCH, probe_every=probe_every)
    warm_up, run = (TorchRun(config, partial(build, name), data) for _ in range(2))
    next(warm_up.steps())
    return run


def build(name: str, generator: torch.Generator) -> torch.nn.Module:
    return nets.build(name, CLASSES, init="he", generator=generator)


def random_images(count: int, side: int) -> Images:
    """Noise with random labels."""
    pixels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, (count,))
    names = tuple(map(str, range(CLASSES)))
    mean, std = torch.full((3,), 127.5), torch.full((3,), 73.9)
    return Images(
        "noise", dict.fromkeys(PARTS, pixels), dict.fromkeys(PARTS, labels), names, mean, std, {}
    )


if __name__ == "__main__":
    typer.run(main)
