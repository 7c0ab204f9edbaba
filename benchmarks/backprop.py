"""Forward and backward of NumPy LeNets against PyTorch on the CPU, and against plain loops.

    OMP_NUM_THREADS=1 python benchmarks/backprop.py [--threads 1] [--rounds 60]

The two libraries take turns inside every round, so a busy machine slows both; medians and the
quartiles of the ratio are shown. Networks, weights, batch and number of threads are the same, and
the gradients are compared before anything is timed.
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
from torch import nn

from pixgrad import backprop as bp
from pixgrad.training.records import device, versions

BATCH = 64
NETWORKS = {"1-6-16-120-10": (6, 16, 120), "1-20-50-500-10": (20, 50, 500)}
LOOP_LAYER = (6, 16, 5)
"""Channels in and out and kernel of the layer that the loops are timed on (LeNet's second)."""
LOOP_ROUNDS = 3


def torch_lenet(widths: tuple[int, int, int]) -> nn.Sequential:
    """The twin of ``pixgrad.backprop.lenet``."""
    a, b, c = widths
    return nn.Sequential(
        nn.Conv2d(1, a, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(a, b, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * b, c),
        nn.ReLU(),
        nn.Linear(c, 10),
    )


def passes(widths: tuple[int, int, int]) -> tuple[Callable, Callable]:
    """Forward + backward of the same network as two functions: ours and PyTorch's."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, 1, 28, 28), np.float32)
    y = rng.integers(0, 10, BATCH)
    ours, theirs = bp.lenet(widths), torch_lenet(widths)
    ours.layers[0].needs_input_grad = False  # PyTorch does not compute it either
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            parameter.copy_(torch.from_numpy(ours.parameters()[name]))
    loss, torch_loss = bp.CrossEntropy(), nn.CrossEntropyLoss()
    tx, ty = torch.from_numpy(x), torch.from_numpy(y)

    def run_ours() -> None:
        loss.forward(ours.forward(x), y)
        ours.backward(loss.backward())

    def run_theirs() -> None:
        theirs.zero_grad()
        torch_loss(theirs(tx), ty).backward()

    run_ours()
    run_theirs()
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(ours.gradients()[name], parameter.grad, rtol=1e-3, atol=1e-6)
    return run_ours, run_theirs


def loop_passes() -> tuple[Callable, Callable]:
    """One convolution, forward + backward: matrix products and loops."""
    c, o, k = LOOP_LAYER
    layer = bp.Conv2d(c, o, k)
    x = np.random.default_rng(0).standard_normal((BATCH, c, 12, 12), np.float32)
    dy = np.ones_like(layer.forward(x))

    def run_fast() -> None:
        layer.forward(x)
        layer.backward(dy)

    def run_loops() -> None:
        bp.naive_forward(layer, x)
        bp.naive_backward(layer, x, dy)

    return run_fast, run_loops


def times(functions: tuple[Callable, Callable], rounds: int) -> np.ndarray:
    """Seconds of each function in each round, (rounds, 2); the first round is a warm-up."""
    seconds = np.empty((rounds + 1, 2))
    for row in seconds:
        for column, function in enumerate(functions):
            started = time.perf_counter()
            function()
            row[column] = time.perf_counter() - started
    return seconds[1:]


def main(
    threads: Annotated[int, typer.Option(min=1)] = 1,
    rounds: Annotated[int, typer.Option(min=3)] = 60,
) -> None:
    """Print the table of ratios."""
    torch.set_num_threads(threads)
    bp.keep_freed_memory()
    table = Table(title=f"forward + backward, batch {BATCH}, {threads} thread(s), {device()}")
    for name in ("network", "NumPy, ms", "other, ms", "ratio", "quartiles", "NumPy, images/s"):
        table.add_column(name, justify="left" if name == "network" else "right")
    with threadpool_limits(threads):
        for name, widths in NETWORKS.items():
            add_row(table, f"{name} vs torch", times(passes(widths), rounds))
        loops = times(loop_passes(), LOOP_ROUNDS)
        add_row(table, "conv 6→16, 5×5 vs loops", loops)
    console = Console(width=110)
    console.print(table)
    console.print(versions("numpy", "torch"))


def add_row(table: Table, name: str, seconds: np.ndarray) -> None:
    ours, other = 1e3 * np.median(seconds, axis=0)
    low, middle, high = np.quantile(seconds[:, 0] / seconds[:, 1], [0.25, 0.5, 0.75])
    ratio, spread, speed = f"{middle:.3g}", f"{low:.3g} … {high:.3g}", f"{1e3 * BATCH / ours:,.0f}"
    table.add_row(name, f"{ours:.2f}", f"{other:.2f}", ratio, spread, speed)


if __name__ == "__main__":
    typer.run(main)
