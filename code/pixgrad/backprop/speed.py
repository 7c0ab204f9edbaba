"""How fast the NumPy networks are beside PyTorch on the CPU and beside plain loops.

The two sides take turns inside every round, so a busy machine slows both. Networks, weights, batch
and number of threads are the same, and the gradients are compared before anything is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pixgrad.backprop.convolution import Conv2d, naive_backward, naive_forward
from pixgrad.backprop.fit import keep_freed_memory
from pixgrad.backprop.losses import CrossEntropy
from pixgrad.backprop.networks import lenet

BATCH = 64
NETWORKS = {"1-6-16-120-10": (6, 16, 120), "1-20-50-500-10": (20, 50, 500)}


@dataclass(frozen=True)
class Timing:
    """Forward + backward of one batch.

    Attributes
    ----------
    name : what was timed, and against what.
    seconds : (rounds, 2), ours and the other's.
    """

    name: str
    seconds: np.ndarray

    @property
    def ratio(self) -> tuple[float, float, float]:
        """Ours over the other's: lower quartile, median, upper quartile over the rounds."""
        ours, other = self.seconds.T
        return tuple(np.quantile(ours / other, [0.25, 0.5, 0.75]).tolist())

    @property
    def images_per_second(self) -> float:
        """Of ours, at its median time."""
        return BATCH / float(np.median(self.seconds[:, 0]))


def against_torch(rounds: int = 60, threads: int = 1) -> list[Timing]:
    """Time both LeNets; PyTorch's number of threads is put back afterwards."""
    import torch
    from threadpoolctl import threadpool_limits

    keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            return [
                Timing(name, _take_turns(*_network_passes(widths), rounds))
                for name, widths in NETWORKS.items()
            ]
    finally:
        torch.set_num_threads(before)


def against_loops(rounds: int = 3) -> Timing:
    """Time LeNet's second convolution as matrix products and as loops, on one thread."""
    from threadpoolctl import threadpool_limits

    layer = Conv2d(6, 16, 5)
    x = np.random.default_rng(0).standard_normal((BATCH, 6, 12, 12), np.float32)
    dy = np.ones((BATCH, 16, 8, 8), np.float32)

    def run_products() -> None:
        layer.forward(x)
        layer.backward(dy)

    def run_loops() -> None:
        naive_forward(layer, x)
        naive_backward(layer, x, dy)

    with threadpool_limits(1):
        return Timing("Conv2d 6→16, 5×5", _take_turns(run_products, run_loops, rounds))


def torch_lenet(widths: tuple[int, int, int]):
    """The twin of ``pixgrad.backprop.lenet``."""
    from torch import nn

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


def _network_passes(widths: tuple[int, int, int]) -> tuple[Callable, Callable]:
    """Forward + backward of the same network as two functions: ours and PyTorch's."""
    import torch
    from torch import nn

    rng = np.random.default_rng(0)
    x = rng.standard_normal((BATCH, 1, 28, 28), np.float32)
    y = rng.integers(0, 10, BATCH)
    ours, theirs = lenet(widths), torch_lenet(widths)
    ours.layers[0].needs_input_grad = False  # PyTorch does not compute it either
    theirs.load_state_dict({name: torch.from_numpy(a) for name, a in ours.parameters().items()})
    loss, torch_loss = CrossEntropy(), nn.CrossEntropyLoss()
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


def _take_turns(ours: Callable, other: Callable, rounds: int) -> np.ndarray:
    """Seconds of each function in each round, (rounds, 2); the first round is a warm-up."""
    seconds = np.empty((rounds + 1, 2))
    for row in seconds:
        for column, function in enumerate((ours, other)):
            started = time.perf_counter()
            function()
            row[column] = time.perf_counter() - started
    return seconds[1:]
