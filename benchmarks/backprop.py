"""Forward and backward of the NumPy LeNet against PyTorch on the CPU, and of a layer against loops.

    OMP_NUM_THREADS=1 python benchmarks/backprop.py [--threads 1] [--rounds 60]

The two sides take turns inside every round, so a busy machine slows both. Networks, weights, batch
and number of threads are the same, and the gradients are compared before anything is timed. Medians
over the rounds and the quartiles of the ratio are shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from pixgrad import backprop as bp
from pixgrad.results.records import device, versions
from pixgrad.training import implementations

BATCH = 64
LOOP_ROUNDS = 3


def main(
    threads: Annotated[int, typer.Option(min=1)] = 1,
    rounds: Annotated[int, typer.Option(min=3)] = 60,
) -> None:
    """Print the table of ratios."""
    bp.keep_freed_memory()
    torch.set_num_threads(threads)
    title = f"forward + backward, batch {BATCH}, {threads} thread(s), {device()}"
    table = Table(title=title)
    for name in ("what", "NumPy, ms", "other, ms", "ratio", "quartiles", "NumPy, images/s"):
        table.add_column(name, justify="left" if name == "what" else "right")
    with threadpool_limits(threads):
        add_row(table, "LeNet vs torch", take_turns(*network_passes(), rounds))
        add_row(table, "Conv2d 6→16, 5×5 vs loops", take_turns(*loop_passes(), LOOP_ROUNDS))
    console = Console(width=110)
    console.print(table)
    console.print(versions("numpy", "torch"))


def network_passes() -> tuple[Callable[[], None], Callable[[], None]]:
    """Forward + backward of the same network as two functions: ours and PyTorch's."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, 1, 28, 28, generator=generator)
    y = torch.randint(0, 10, (BATCH,), generator=generator)
    net = implementations.torch_lenet()
    ours = implementations.NumPyStep(net, x, y)
    optimiser = torch.optim.SGD(net.parameters())
    theirs = implementations.TorchStep(implementations.TORCH[0], net, optimiser, x, y)

    def run(step: implementations.NumPyStep | implementations.TorchStep) -> None:
        step.forward()
        step.backward()

    run(ours)
    run(theirs)
    for name, of in net.named_parameters():
        np.testing.assert_allclose(ours.model.gradients()[name], of.grad, rtol=1e-3, atol=1e-6)
    return lambda: run(ours), lambda: run(theirs)


def loop_passes() -> tuple[Callable[[], None], Callable[[], None]]:
    """LeNet's second convolution, forward + backward: matrix products and loops."""
    layer = bp.Conv2d(6, 16, 5)
    x = np.random.default_rng(0).standard_normal((BATCH, 6, 12, 12), np.float32)
    dy = np.ones_like(layer.forward(x))

    def run_fast() -> None:
        layer.forward(x)
        layer.backward(dy)

    def run_loops() -> None:
        bp.naive_forward(layer, x)
        bp.naive_backward(layer, x, dy)

    return run_fast, run_loops


def take_turns(
    ours: Callable[[], None],
    other: Callable[[], None],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> np.ndarray:
    """Seconds of each function in each round, (rounds, 2); the first round is a warm-up."""
    seconds = np.empty((rounds + 1, 2))
    for row in seconds:
        for column, function in enumerate((ours, other)):
            started = clock()
            function()
            row[column] = clock() - started
    return seconds[1:]


def add_row(table: Table, name: str, seconds: np.ndarray) -> None:
    """Times in milliseconds and the ratio."""
    ours, theirs = 1e3 * np.median(seconds, axis=0)
    low, middle, high = np.quantile(seconds[:, 0] / seconds[:, 1], [0.25, 0.5, 0.75])
    table.add_row(
        name,
        f"{ours:.2f}",
        f"{theirs:.2f}",
        f"{middle:.3g}",
        f"{low:.3g} … {high:.3g}",
        f"{1e3 * BATCH / ours:,.0f}",
    )


if __name__ == "__main__":
    typer.run(main)
