"""The training loop: one network, one data set, one seed, on whatever Lightning Fabric finds.

On one processor with a fixed number of threads runs repeat bit for bit, killed and resumed ones
too.

Under ``torchrun --nproc-per-node P`` the P processes share every batch: the gradient, and without
batch normalisation the run, is that of one process but for the order of sums.
"""

import copy
import io
import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pixgrad import files
from pixgrad.errors import PixgradError, say
from pixgrad.training.batches import Images, random_batches
from pixgrad.training.evaluation import evenly, predict, recalibrated
from pixgrad.training.losses import LOSSES
from pixgrad.training.probe import GradientProbe
from pixgrad.training.run import DivergedError, OnEpoch, Outcome, Run, other_settings
from pixgrad.training.scores import measure

AUXILIARY_SHARE = 0.3


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train.

    Attributes
    ----------
    seed : of the initial weights, the order of the images and their augmentation.
    batch_size : images a step, over all processes.
    lr : the largest learning rate of the run.
    optimiser : "sgd" with ``momentum``, "adam", "adamax" or "adamw".
    weight_decay : L2 penalty on all parameters; "adamw" pulls them to 0 beside the gradient
        (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019).
    schedule : "cosine" falls to 0 over the run, "step" divides by 10 after 1/2 and 3/4 of it
        (He et al., 2015, section 4.2), "constant".
    warmup_epochs : the rate grows linearly from 0 over so many epochs.
    label_smoothing : share of the target that is spread over all classes, with softmax.
    last : activation of the last layer, with its loss: see :mod:`pixgrad.training.losses`.
    shift, flip, cutout, colour : augmentation, see
        :func:`pixgrad.training.batches.random_batches`.
    patience : stop after so many epochs without a better validation loss, and in the end go back
        to the weights of the best epoch; None — never.
    probe_every : steps between two measurements of the gradients; None — no measurements.
    recalibrate : before it is measured the network gets batch-norm statistics of so many training
        images, see :func:`pixgrad.training.evaluation.recalibrated`; 0 — it keeps the running ones.
    precision : as Fabric names it; for GPUs "bf16-mixed", or "16-mixed" without the probe: that one
        multiplies the loss, and so the gradients that the probe sees, by a changing number.
    compiled : ``torch.compile`` with CUDA graphs: pays on a GPU, whose launches cost more than the
        arithmetic of such small networks. Without the probe: its hooks are no part of the graph.
    """

    seed: int
    epochs: int
    lr: float
    batch_size: int = 64
    optimiser: Literal["sgd", "adam", "adamax", "adamw"] = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    last: str = "softmax"
    shift: int = 4
    flip: bool = True
    cutout: int = 0
    colour: float = 0.0
    patience: int | None = None
    probe_every: int | None = None
    recalibrate: int = 0
    precision: str = "32-true"
    compiled: bool = False


def fit(
    config: Settings,
    build: Callable[[torch.Generator], nn.Module],
    data: Images,
    checkpoint: Path,
    on_epoch: OnEpoch = lambda epochs, accuracy: None,
    log_dir: Path | None = None,
    scores: Sequence[str] = ("loss", "accuracy"),
) -> Outcome:
    """Train a network from its checkpoint, if there is one, to its last epoch.

    Parameters
    ----------
    build : makes the network with weights drawn from the generator.
    checkpoint : replaced after every epoch; a failure to write leaves the previous one whole.
    log_dir : folder for TensorBoard, which gets the columns of the history; None — no log.
    scores : of :data:`pixgrad.training.scores.SCORES`, measured after every epoch.

    Returns
    -------
    Its ``history`` has "lr" of the epoch's last step, "running_loss" — the mean over the steps, on
    augmented images and changing weights — and "train_SCORE", "validation_SCORE", measured after
    the epoch without augmentation. With ``recalibrate`` "raw_…" are the same with the running
    statistics. The network is on the CPU.

    Raises
    ------
    PixgradError : the checkpoint is of other settings, or cannot be read or written; the log needs
        a package that is not installed.
    """
    run = TorchRun(config, build, data, scores, log_dir)
    outcome = run.to_the_end(checkpoint, on_epoch)
    run.close()
    return outcome


def training_loss(outputs: Tensor | Sequence[Tensor], labels: Tensor, config: Settings) -> Tensor:
    """The loss of a batch by the network's outputs, logits (N, K) as a rule.

    Those of auxiliary heads, if any, follow them; their losses are added with the share of Szegedy
    et al., "Going deeper with convolutions" (2015), section 5.
    """
    logits, *heads = (outputs,) if isinstance(outputs, Tensor) else outputs
    criterion = LOSSES[config.last]
    if config.label_smoothing:
        criterion = partial(cross_entropy, label_smoothing=config.label_smoothing)
    main = criterion(logits, labels)
    return main + AUXILIARY_SHARE * sum(criterion(of, labels) for of in heads) if heads else main


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


class TorchRun(Run):
    """A torch network under training; see :func:`fit` for its arguments."""

    def __init__(
        self,
        config: Settings,
        build: Callable[[torch.Generator], nn.Module],
        data: Images,
        scores: Sequence[str] = (),
        log_dir: Path | None = None,
    ) -> None:
        if config.probe_every and config.precision.startswith("16"):
            raise PixgradError(
                f"измерять градиенты при точности «{config.precision}» нельзя: она умножает их на "
                "переменное число; возьмите bf16-mixed",
                f"gradients cannot be measured at precision '{config.precision}', which multiplies "
                "them by a changing number; take bf16-mixed",
            )
        if config.probe_every and config.compiled:
            raise PixgradError(
                "измерять градиенты скомпилированной сети нельзя; уберите compiled",
                "gradients of a compiled network cannot be measured; leave out compiled",
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
        stepped = torch.compile(self.net, mode="reduce-overhead") if config.compiled else self.net
        self.wrapped, self.optimiser = self.fabric.setup(stepped, _optimiser(config, self.net))
        self.outcome = Outcome(config, self.net)
        self.probe = GradientProbe(self.net, config.probe_every) if config.probe_every else None
        if self.probe:
            self.outcome.probed = self.probe.rows
        self.scores = scores
        self.best: dict[str, Tensor] | None = None

    def steps(self) -> Iterator[tuple[float, int]]:
        """The optimiser steps of the next epoch: loss and number of images of each."""
        outcome, config = self.outcome, self.outcome.config
        epoch, seen, images = len(outcome.history), 0, len(self.data.labels["train"])
        smallest = 2 * self.fabric.world_size  # batch statistics need two images in each process
        self.net.train()
        for x, y in self.batches(smallest):
            for group in self.optimiser.param_groups:
                group["lr"] = learning_rate(config, epoch + seen / images)
            with self.probe.watch(epoch + 1, outcome.steps) if self.probe else nullcontext():
                loss = self._step(x, y)
            seen += len(y)
            yield loss, len(y)

    def batches(self, smallest: int) -> Iterator[tuple[Tensor, Any]]:
        """Inputs of the network and what it shall answer, all training images once."""
        config = self.outcome.config
        return random_batches(
            self.data,
            config.batch_size,
            config.shift,
            config.flip,
            self.generator,
            smallest,
            config.cutout,
            config.colour,
        )

    def loss(self, answers: Any, truth: Any) -> Tensor:
        """Of the network's answers to a batch."""
        return training_loss(answers, truth, self.outcome.config)

    def _step(self, x: Tensor, y: Any) -> float:
        """One optimiser step; the loss of the batch before it."""
        outcome, config = self.outcome, self.outcome.config
        rank, processes = self.fabric.global_rank, self.fabric.world_size
        self.optimiser.zero_grad(set_to_none=True)
        mine = y[rank::processes]
        loss = self.loss(self.wrapped(x[rank::processes]), mine)
        loss = loss * (len(mine) * processes / len(y))  # shares of a short batch may differ by one
        value = self.fabric.all_reduce(loss.detach(), reduce_op="mean").item()
        if not math.isfinite(value):
            name = getattr(config, "name", say("обучение", "training"))
            raise DivergedError(
                f"{name}: функция потерь на шаге {outcome.steps + 1} равна {value}; "
                f"уменьшите скорость обучения (сейчас {config.lr:g})",
                f"{name}: the loss at step {outcome.steps + 1} is {value}; "
                f"lower the learning rate (now {config.lr:g})",
            )
        self.fabric.backward(loss)
        self.optimiser.step()
        outcome.count_step(value)
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
            **self.outcome.state(),
        }
        packed = io.BytesIO()
        torch.save(state, packed)  # into a file that fails it would hide what the system said
        try:
            files.write(path, packed.getbuffer())
        except OSError as error:
            raise PixgradError(
                f"не записать контрольную точку {path} ({error.strerror}); "
                "прежняя цела — освободите место и запустите снова",
                f"the checkpoint {path} cannot be written ({error.strerror}); "
                "the previous one is whole: make room and start again",
            ) from None

    def restore(self, path: Path) -> None:
        """Go back to the state of ``save``."""
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["config"] != asdict(self.outcome.config):
                raise other_settings(path)
            self.net.load_state_dict(state["net"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.generator.set_state(state["generator"])
            self.best = state["best"]
        except PixgradError:
            raise
        except Exception as error:  # torch names neither what it may raise nor the file
            raise PixgradError(
                f"{path}: контрольная точка не читается ({type(error).__name__}); "
                "удалите её или начните заново с --fresh",
                f"{path}: the checkpoint cannot be read ({type(error).__name__}); "
                "remove it or begin anew with --fresh",
            ) from None
        for name in self.outcome.state():
            setattr(self.outcome, name, state[name])
        if self.probe:
            self.probe.rows = self.outcome.probed

    def close(self) -> None:
        """Bring the network to the CPU and end the log."""
        self.net.cpu()
        for logger in self.fabric.loggers:
            logger.finalize(self.outcome.status)

    def epoch(self) -> dict[str, float]:
        """Train for one epoch and measure."""
        losses, counts = zip(*self.steps(), strict=True)
        row = {
            "epoch": len(self.outcome.history) + 1,
            "lr": self.optimiser.param_groups[0]["lr"],
            "running_loss": sum(map(math.prod, zip(losses, counts, strict=True))) / sum(counts),
        }
        count = self.outcome.config.recalibrate
        if count:
            row |= {f"raw_{name}": value for name, value in self._measured(self.net).items()}
        row |= self._measured(recalibrated(self.net, self.data, count))
        # Processes differ in the running statistics of batch normalisation; all must agree to stop.
        row = self.fabric.broadcast(row)
        self.fabric.log_dict({name: row[name] for name in list(row)[1:]}, step=row["epoch"])
        for logger in self.fabric.loggers:
            logger.save()  # a killed run has logged its finished epochs
        if self.outcome.config.patience and not self._since_best([*self.outcome.history, row]):
            self.best = copy.deepcopy(self.net.state_dict())
        return row

    def _measured(self, net: nn.Module) -> dict[str, float]:
        """All scores on as many training images as there are for validation: enough to see
        overfitting, and cheap."""
        count, row = len(self.data.labels["validation"]), {}
        for part in ("train", "validation"):
            chosen = evenly(len(self.data.labels[part]), count).to(self.fabric.device)
            labels = self.data.labels[part][chosen].cpu()
            logits = predict(net, self.data, self.data.images[part][chosen])
            measured = measure(self.outcome.config.last, self.scores, logits, labels)
            row |= {f"{part}_{score}": value for score, value in measured.items()}
        return row

    def is_time_to_stop(self) -> bool:
        patience = self.outcome.config.patience
        return patience is not None and self._since_best(self.outcome.history) >= patience

    def finish(self) -> None:
        if self.best is not None:
            self.net.load_state_dict(self.best)
            self.outcome.kept = -1 - self._since_best(self.outcome.history)

    def _since_best(self, history: Sequence[dict[str, float]]) -> int:
        """Epochs after the one with the smallest validation loss."""
        losses = np.nan_to_num([row["validation_loss"] for row in history], nan=np.inf)
        return len(history) - 1 - int(np.argmin(losses))


def _optimiser(config: Settings, net: nn.Module) -> torch.optim.Optimizer:
    shared = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimiser == "sgd":
        return torch.optim.SGD(net.parameters(), momentum=config.momentum, **shared)
    kinds = {
        "adam": torch.optim.Adam,
        "adamax": torch.optim.Adamax,
        "adamw": torch.optim.AdamW,
    }
    if config.optimiser not in kinds:
        raise PixgradError(
            f"нет метода оптимизации «{config.optimiser}»; есть: sgd, {', '.join(kinds)}",
            f"no optimiser '{config.optimiser}'; there are: sgd, {', '.join(kinds)}",
        )
    return kinds[config.optimiser](net.parameters(), **shared)


def _tensorboard(folder: Path | None) -> list:
    if folder is None:
        return []
    from lightning_fabric.loggers import TensorBoardLogger

    try:
        return [TensorBoardLogger(folder.parent, name=folder.name, version="")]
    except ModuleNotFoundError:
        raise PixgradError(
            "журналу TensorBoard нужен пакет: pip install tensorboard",
            "the log of TensorBoard needs a package: pip install tensorboard",
        ) from None
