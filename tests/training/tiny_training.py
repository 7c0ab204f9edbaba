"""What the tests of training share: made-up images, a small network and settings that learn it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pixgrad import nets
from pixgrad.training.batches import Images
from pixgrad.training.loop import Settings
from pixgrad.training.run import OnEpoch, Outcome

CLASSES = 4
COUNTS = {"train": 96, "validation": 32, "test": 32}
SETTINGS = Settings(seed=1, epochs=4, lr=0.05, batch_size=16, shift=1, probe_every=3)
MEASURES = [
    "lr",
    "running_loss",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
]
"""Columns of the history beside "epoch"."""


def images(side: int = 8, channels: int = 3, seed: int = 0) -> Images:
    """Four patterns with noise; classes take turns, so any few images hold all of them."""
    generator = torch.Generator().manual_seed(seed)
    patterns = torch.randint(0, 200, (CLASSES, channels, side, side), generator=generator)
    parts, labels = {}, {}
    for part, count in COUNTS.items():
        labels[part] = torch.arange(count) % CLASSES
        noise = torch.randint(0, 56, (count, channels, side, side), generator=generator)
        parts[part] = (patterns[labels[part]] + noise).to(torch.uint8)
    pixels = parts["train"].double()
    return Images(
        f"tiny{seed}",
        parts,
        labels,
        ("a", "b", "c", "d"),
        pixels.mean((0, 2, 3)).float(),
        pixels.std((0, 2, 3)).float(),
        {part: f"{part}{seed}" for part in parts},
    )


def build(generator: torch.Generator, name: str = "resnet-8", **options) -> torch.nn.Module:
    """A residual network of 8 layers for :func:`images`."""
    return nets.build(name, CLASSES, init="he", generator=generator, **options)


def settings(**changes) -> Settings:
    """``SETTINGS`` with some of them changed."""
    return replace(SETTINGS, **changes)


def ignore(epochs: int, accuracy: float) -> None:
    """For a run that nobody watches."""


def stop(epochs: int, accuracy: float) -> None:
    """Interrupts a run after its next epoch, or where it goes on."""
    raise KeyboardInterrupt


def in_pieces(train: Callable[[OnEpoch], Outcome], times: int) -> Outcome:
    """What ``train`` gives in the end if it is stopped so many times."""
    for _ in range(times):
        with pytest.raises(KeyboardInterrupt):
            train(stop)
    return train(ignore)


def column(outcome: Outcome, name: str) -> list[float]:
    """A measure of every epoch."""
    return [row[name] for row in outcome.history]


def differences(one: Outcome, two: Outcome) -> list[str]:
    """Names of what differs in any bit between two runs, apart from the time they took."""
    bits, others = (
        {
            name: tensor.contiguous().numpy().tobytes()
            for name, tensor in run.net.state_dict().items()
        }
        for run in (one, two)
    )
    different = [name for name in bits | others if bits.get(name) != others.get(name)]
    for name in ("config", "status", "message", "steps", "history", "first_losses", "probed"):
        if getattr(one, name) != getattr(two, name):
            different.append(name)
    return different
