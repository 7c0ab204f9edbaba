"""The training loop: one network, one data set, one seed, on whatever Lightning Fabric finds.

A run is saved after every epoch and goes on from there. On one processor with a fixed number of
threads a run that was killed and resumed ends with the same bits as an unbroken one.

Under ``torchrun --nproc-per-node P`` the P processes share every batch: the gradient, and without
batch normalisation the run, is that of one process but for the order of sums.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pixgrad import files
from pixgrad.errors import PixgradError
from pixgrad.training.batches import Images, random_batches
from pixgrad.training.probe import GradientProbe

HISTORY = (
    "epoch",
    "lr",
    "running_loss",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
)
"""Columns of ``Outcome.history``. ``lr`` is that of the epoch's last step; ``running_loss`` is the
mean over the steps, on augmented images and changing weights; the others are measured after the
epoch without augmentation."""
FIRST = 20
"""Losses of the first epoch kept for ``pixgrad verify``, at most."""
EVALUATION_BATCH = 250


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train.

    Attributes
    ----------
    seed : of the initial weights, the order of the images and their augmentation.
    batch_size : images a step, over all processes.
    lr : the largest learning rate of the run.
    optimiser : "sgd" with ``momentum``, "adam" or "adamax".
    weight_decay : L2 penalty on all parameters.
    schedule : "cosine" falls to 0 over the run, "step" divides by 10 after 1/2 and 3/4 of it
        (He et al., 2015, section 4.2), "constant".
    warmup_epochs : the rate grows linearly from 0 over so many epochs.
    label_smoothing : share of the target that is spread over all classes.
    shift, flip : augmentation, see :func:`pixgrad.training.batches.random_batches`.
    patience : stop after so many epochs without a better validation loss; None — never.
    probe_every : steps between two measurements of the gradients; None — no measurements.
    precision : as Fabric names it; for GPUs "bf16-mixed", or "16-mixed" without the probe: that one
        multiplies the loss, and so the gradients that the probe sees, by a changing number.
    """

    seed: int
    epochs: int
    lr: float
    batch_size: int = 64
    optimiser: Literal["sgd", "adam", "adamax"] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    shift: int = 4
    flip: bool = True
    patience: int | None = None
    probe_every: int | None = None
    precision: str = "32-true"


_SAVED = (
    "status",
    "message",
    "steps",
    "wall_s",
    "cpu_s",
    "history",
    "first_losses",
    "probed",
)


class DivergedError(PixgradError):
    """The loss stopped being finite."""


@dataclass
class Outcome:
    """Where a run is, and after its last epoch what it gave.

    Attributes
    ----------
    net : the network, on the CPU, with its present weights.
    status : "running", "done" or "diverged".
    history : a row of ``HISTORY`` an epoch.
    probed : rows of :class:`pixgrad.training.probe.GradientProbe`.
    """

    config: Settings
    net: nn.Module
    status: str = "running"
    message: str = ""
    steps: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    history: list[list[float]] = field(default_factory=list)
    first_losses: list[float] = field(default_factory=list)
    probed: list[list[float]] = field(default_factory=list)


def fit(
    config: Settings,
    build: Callable[[torch.Generator], nn.Module],
    data: Images,
    checkpoint: Path,
    on_epoch: Callable[[int, float], None] = lambda epochs, accuracy: None,
    log_dir: Path | None = None,
    in_sweep: bool = False,
) -> Outcome:
    """Train a network from its checkpoint, if there is one, to its last epoch.

    Parameters
    ----------
    build : makes the network with weights drawn from the generator.
    checkpoint : replaced after every epoch; a failure to write leaves the previous one whole.
    on_epoch : told the number of finished epochs and the validation accuracy.
    log_dir : folder for TensorBoard, which gets the columns of ``HISTORY``; None — no log.
    in_sweep : a run that diverges is a result: it comes back with the status "diverged".

    Raises
    ------
    DivergedError : outside a sweep, a loss that is not finite; finished epochs stay saved.
    PixgradError : the checkpoint is of other settings, or cannot be read or written; the log needs
        a package that is not installed.
    """
    run = _Run(config, build, data, log_dir)
    outcome = run.outcome
    if checkpoint.is_file():
        run.restore(checkpoint)
        on_epoch(len(outcome.history), _last_accuracy(outcome))
    while outcome.status == "running":
        run.timed_epoch()
        run.save(checkpoint)
        on_epoch(len(outcome.history), _last_accuracy(outcome))
    run.close()
    if outcome.status == "diverged" and not in_sweep:
        raise DivergedError(outcome.message)
    return outcome


def first_losses(config: Settings, build, data: Images, steps: int) -> list[float]:
    """Losses of the first steps (of the first epoch), made anew, for ``pixgrad verify``."""
    run = _Run(config, build, data, None)
    with suppress(DivergedError):
        for _ in zip(range(steps), run.steps(), strict=False):
            pass
    return run.outcome.first_losses[:steps]


@torch.inference_mode()
def predict(net: nn.Module, data: Images, images: Tensor) -> Tensor:
    """Logits float32 (N, K) of uint8 images, in evaluation mode; the mode is put back."""
    was_training = net.training
    net.eval()
    device = next(net.parameters()).device
    batches = images.split(EVALUATION_BATCH)
    logits = torch.cat([net(data.normalised(batch.to(device))).float().cpu() for batch in batches])
    net.train(was_training)
    return logits


def learning_rate(config: Settings, progress: float) -> float:
    """The rate after ``progress`` epochs (not whole ones only)."""
    if progress < config.warmup_epochs:
        return config.lr * progress / config.warmup_epochs
    done = progress / config.epochs
    if config.schedule == "cosine":
        return config.lr * (1 + math.cos(math.pi * done)) / 2
    if config.schedule == "step":
        return config.lr * (1 if done < 0.5 else 0.1 if done < 0.75 else 0.01)
    return config.lr


class _Run:
    """A network under training, with all that must be saved to go on."""

    def __init__(self, config: Settings, build, data: Images, log_dir: Path | None) -> None:
        if config.probe_every and config.precision.startswith("16"):
            raise PixgradError(
                f"измерять градиенты при точности «{config.precision}» нельзя: она умножает их на "
                "переменное число; возьмите bf16-mixed"
            )
        # Both are set by torchrun.
        devices, nodes = (
            int(os.environ.get(name, "1")) for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE")
        )
        self.fabric = Fabric(
            accelerator="auto" if torch.cuda.is_available() else "cpu",
            devices=devices,
            num_nodes=nodes,
            strategy="ddp" if devices * nodes > 1 else "auto",
            precision=config.precision,
            loggers=_tensorboard(log_dir),
        )
        self.fabric.launch()
        self.generator = torch.Generator().manual_seed(config.seed)
        self.net = build(self.generator).to(memory_format=torch.channels_last)
        self.data = data.on(self.fabric.device)
        self.wrapped, self.optimiser = self.fabric.setup(self.net, _optimiser(config, self.net))
        self.outcome = Outcome(config, self.net)
        self.probe = GradientProbe(self.net, config.probe_every) if config.probe_every else None
        if self.probe:
            self.outcome.probed = self.probe.rows
        self.best, self.waited = math.inf, 0

    def timed_epoch(self) -> None:
        """One epoch with its line of history, or the step where the loss went wrong."""
        outcome, config = self.outcome, self.outcome.config
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            outcome.history.append(self._epoch())
        except DivergedError as error:
            outcome.status, outcome.message = "diverged", str(error)
        else:
            finished = len(outcome.history) == config.epochs or self._is_time_to_stop()
            outcome.status = "done" if finished else "running"
        outcome.wall_s += time.perf_counter() - wall
        outcome.cpu_s += time.process_time() - cpu

    def steps(self) -> Iterator[tuple[float, int]]:
        """The optimiser steps of the next epoch: loss and number of images of each."""
        outcome, config = self.outcome, self.outcome.config
        epoch, seen, images = len(outcome.history), 0, len(self.data.labels["train"])
        smallest = 2 * self.fabric.world_size  # batch statistics need two images in each process
        self.net.train()
        for x, y in random_batches(
            self.data, config.batch_size, config.shift, config.flip, self.generator, smallest
        ):
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate(config, epoch + seen / images)
            with self.probe.watch(epoch + 1, outcome.steps) if self.probe else nullcontext():
                loss = self._step(x, y)
            seen += len(y)
            yield loss, len(y)

    def _step(self, x: Tensor, y: Tensor) -> float:
        """One optimiser step; the loss of the batch before it."""
        outcome, config = self.outcome, self.outcome.config
        rank, processes = self.fabric.global_rank, self.fabric.world_size
        self.optimiser.zero_grad(set_to_none=True)
        mine = y[rank::processes]
        logits = self.wrapped(x[rank::processes])
        loss = cross_entropy(logits, mine, label_smoothing=config.label_smoothing)
        loss = loss * (len(mine) * processes / len(y))  # shares of a short batch may differ by one
        value = self.fabric.all_reduce(loss.detach(), reduce_op="mean").item()
        if not math.isfinite(value):
            raise DivergedError(
                f"{getattr(config, 'name', 'обучение')}: функция потерь на шаге "
                f"{outcome.steps + 1} равна {value}; "
                f"уменьшите скорость обучения (сейчас {config.lr:g})"
            )
        self.fabric.backward(loss)
        self.optimiser.step()
        outcome.steps += 1
        if not outcome.history and len(outcome.first_losses) < FIRST:
            outcome.first_losses.append(value)
        return value

    def save(self, path: Path) -> None:
        """Write the state; the old one stays whole if that fails."""
        if not self.fabric.is_global_zero:
            return
        state = {
            "config": asdict(self.outcome.config),
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "best": self.best,
            "waited": self.waited,
            **{name: getattr(self.outcome, name) for name in _SAVED},
        }
        try:
            with files.writing(path) as file:  # by its name torch hides what the system said
                torch.save(state, file)
        except OSError as error:
            raise PixgradError(
                f"не записать контрольную точку {path} ({error.strerror}); "
                "прежняя цела — освободите место и запустите снова"
            ) from None

    def restore(self, path: Path) -> None:
        """Go back to the state of ``save``."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["config"] != asdict(self.outcome.config):
                raise PixgradError(
                    f"{path}: начатый прогон имеет другие настройки; начните заново с --fresh"
                )
            self.net.load_state_dict(state["net"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.generator.set_state(state["generator"])
        except PixgradError:
            raise
        except Exception as error:  # torch names neither what it may raise nor the file
            raise PixgradError(
                f"{path}: контрольная точка не читается ({type(error).__name__}); "
                "удалите её или начните заново с --fresh"
            ) from None
        self.best, self.waited = state["best"], state["waited"]
        for name in _SAVED:
            setattr(self.outcome, name, state[name])
        if self.probe:
            self.probe.rows = self.outcome.probed

    def close(self) -> None:
        """Bring the network to the CPU and end the log."""
        self.net.cpu()
        for logger in self.fabric.loggers:
            logger.finalize(self.outcome.status)

    def _epoch(self) -> list[float]:
        """Train for one epoch and measure: a row of ``HISTORY``."""
        outcome = self.outcome
        losses, counts = zip(*self.steps(), strict=True)
        running_loss = sum(loss * n for loss, n in zip(losses, counts, strict=True)) / sum(counts)
        count = len(self.data.labels["validation"])
        # As many training images as validation ones: enough to see overfitting, and cheap.
        measured = [v for part in ("train", "validation") for v in self._evaluate(part, count)]
        # Processes differ in the running statistics of batch normalisation; all must agree to stop.
        measured = self.fabric.broadcast(measured)
        epoch = len(outcome.history) + 1
        row = [epoch, self.optimiser.param_groups[0]["lr"], running_loss, *measured]
        self.fabric.log_dict(dict(zip(HISTORY[1:], row[1:], strict=True)), step=epoch)
        for logger in self.fabric.loggers:
            logger.save()  # a killed run has logged its finished epochs
        return row

    def _evaluate(self, part: str, count: int) -> tuple[float, float]:
        """Loss and accuracy on ``count`` images spread evenly over a part."""
        total = len(self.data.labels[part])
        chosen = torch.linspace(0, total - 1, min(count, total), device=self.fabric.device)
        chosen = chosen.round().long()
        y = self.data.labels[part][chosen].cpu()
        logits = predict(self.net, self.data, self.data.images[part][chosen])
        return cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()

    def _is_time_to_stop(self) -> bool:
        loss = self.outcome.history[-1][HISTORY.index("validation_loss")]
        self.waited = 0 if loss < self.best else self.waited + 1
        self.best = min(loss, self.best)
        patience = self.outcome.config.patience
        return patience is not None and self.waited >= patience


def _optimiser(config: Settings, net: nn.Module) -> torch.optim.Optimizer:
    shared = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimiser == "sgd":
        return torch.optim.SGD(net.parameters(), momentum=config.momentum, **shared)
    kinds = {"adam": torch.optim.Adam, "adamax": torch.optim.Adamax}
    if config.optimiser not in kinds:
        raise PixgradError(
            f"нет метода оптимизации «{config.optimiser}»; есть: sgd, {', '.join(kinds)}"
        )
    return kinds[config.optimiser](net.parameters(), **shared)


def _tensorboard(folder: Path | None) -> list:
    if folder is None:
        return []
    from lightning_fabric.loggers import TensorBoardLogger

    try:
        return [TensorBoardLogger(folder.parent, name=folder.name, version="")]
    except ModuleNotFoundError:
        raise PixgradError("журналу TensorBoard нужен пакет: pip install tensorboard") from None


def _last_accuracy(outcome: Outcome) -> float:
    return outcome.history[-1][-1] if outcome.history else math.nan
