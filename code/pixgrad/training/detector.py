"""Training a detector in the loop of all networks, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pixgrad.detection.boxes import Grid, default_boxes
from pixgrad.detection.decoding import Detections, detections
from pixgrad.detection.loss import NEGATIVES, multibox_loss
from pixgrad.detection.matching import targets
from pixgrad.training import loop
from pixgrad.training.boxes import BoxImages, Objects, random_box_batches
from pixgrad.training.run import OnEpoch, Outcome

EVALUATION_BATCH = 16


@dataclass(frozen=True, kw_only=True)
class Settings(loop.Settings):
    """How to train a detector; ``shift`` and ``flip`` have no meaning here.

    Attributes
    ----------
    augment : see :func:`pixgrad.training.boxes.random_box_batches`.
    negatives : see :func:`pixgrad.detection.loss.multibox_loss`.
    """

    augment: bool = True
    negatives: int | None = NEGATIVES


def fit(
    config: Settings,
    build: Callable[[torch.Generator], nn.Module],
    grids: Sequence[Grid],
    data: BoxImages,
    checkpoint: Path,
    on_epoch: OnEpoch = lambda epochs, accuracy: None,
    log_dir: Path | None = None,
) -> Outcome:
    """Train a detector from its checkpoint, if there is one; see :func:`pixgrad.training.loop.fit`.

    Parameters
    ----------
    build : makes a network that answers offsets (N, A, 4) and logits (N, A, K + 1).
    grids : of its default boxes.

    Returns
    -------
    Its ``history`` has "lr", "running_loss", and of the validation part "validation_loss" and its
    two terms, "validation_place_loss" and "validation_class_loss".
    """
    run = DetectorRun(config, build, grids, data, log_dir)
    outcome = run.to_the_end(checkpoint, on_epoch)
    run.close()
    return outcome


class DetectorRun(loop.TorchRun):
    """A detector under training."""

    data: BoxImages

    def __init__(
        self,
        config: Settings,
        build: Callable[[torch.Generator], nn.Module],
        grids: Sequence[Grid],
        data: BoxImages,
        log_dir: Path | None = None,
    ) -> None:
        super().__init__(config, build, data, log_dir=log_dir)
        self.defaults = default_boxes(grids)

    def batches(self, smallest: int) -> Iterator[tuple[Tensor, list[Objects]]]:
        config = self.outcome.config
        return random_box_batches(self.data, config.batch_size, config.augment, self.generator)

    def loss(self, answers: tuple[Tensor, Tensor], truth: Sequence[Objects]) -> Tensor:
        return sum(self.both_losses(answers, truth))

    def both_losses(
        self, answers: tuple[Tensor, Tensor], truth: Sequence[Objects]
    ) -> tuple[Tensor, Tensor]:
        """Of places and of classes."""
        pairs = [targets(boxes, labels, self.defaults) for boxes, labels in truth]
        wanted = (torch.stack(of).to(answers[0].device) for of in zip(*pairs, strict=True))
        return multibox_loss(*answers, *wanted, negatives=self.outcome.config.negatives)

    @torch.inference_mode()
    def _measured(self, net: nn.Module) -> dict[str, float]:
        """The two losses on the validation part, without augmentation."""
        images, truth = self.data.images["validation"], self.data.labels["validation"]
        total = torch.zeros(2)
        for start in range(0, len(truth), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            answers = net(self.data.normalised(images[part]))
            total += torch.stack(self.both_losses(answers, truth[part])).cpu() * len(truth[part])
        place, of_class = (total / len(truth)).tolist()
        return {
            "validation_loss": place + of_class,
            "validation_place_loss": place,
            "validation_class_loss": of_class,
        }


@torch.inference_mode()
def find(
    net: nn.Module, grids: Sequence[Grid], data: BoxImages, images: Tensor, **options
) -> list[Detections]:
    """What a detector finds in uint8 photos; ``options`` of ``decoding.detections``."""
    net.eval()
    defaults, found = default_boxes(grids), []
    for batch in images.split(EVALUATION_BATCH):
        answers = (of.float().cpu() for of in net(data.normalised(batch)))
        found += [detections(*pair, defaults, **options) for pair in zip(*answers, strict=True)]
    return found
