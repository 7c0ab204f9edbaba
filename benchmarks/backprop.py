"""Forward and backward of NumPy LeNets against PyTorch on the CPU, and against plain loops.

    OMP_NUM_THREADS=1 python benchmarks/backprop.py [--threads 1] [--rounds 60]

Medians over the rounds and the quartiles of the ratio are shown; see ``pixgrad.backprop.speed``.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from pixgrad.backprop import speed
from pixgrad.results.records import device, versions


def main(
    threads: Annotated[int, typer.Option(min=1)] = 1,
    rounds: Annotated[int, typer.Option(min=3)] = 60,
) -> None:
    """Print the table of ratios."""
    title = f"forward + backward, batch {speed.BATCH}, {threads} thread(s), {device()}"
    table = Table(title=title)
    for name in ("network", "NumPy, ms", "other, ms", "ratio", "quartiles", "NumPy, images/s"):
        table.add_column(name, justify="left" if name == "network" else "right")
    for timing in speed.against_torch(rounds, threads):
        add_row(table, timing, "torch")
    add_row(table, speed.against_loops(), "loops")
    console = Console(width=110)
    console.print(table)
    console.print(versions("numpy", "torch"))


def add_row(table: Table, timing: speed.Timing, other: str) -> None:
    """Times in milliseconds and the ratio."""
    ours, theirs = 1e3 * np.median(timing.seconds, axis=0)
    low, middle, high = timing.ratio
    table.add_row(
        f"{timing.name} vs {other}",
        f"{ours:.2f}",
        f"{theirs:.2f}",
        f"{middle:.3g}",
        f"{low:.3g} … {high:.3g}",
        f"{timing.images_per_second:,.0f}",
    )


if __name__ == "__main__":
    typer.run(main)
