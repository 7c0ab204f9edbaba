"""What pooling does: twins that differ in how a map is halved, and a network without convolutions.

The networks learn the middle windows of CIFAR-10 images. So a window that is moved shows true
pixels at its edges, and a part of the image that is enlarged or reduced as well. Each network's
rate is chosen on validation; the final weights are used on the test images for accuracy, answers to
moved windows and to other scales, residuals of equivariance by layer and effective fields.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from pixgrad.experiments.running import training
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.training import Arm, Budget, Training
from pixgrad.nets import receptive
from pixgrad.nets.downsampling import SmallCNN, TwoLayers
from pixgrad.nets.initialisation import initialise
from pixgrad.training import loop
from pixgrad.training.batches import Images
from pixgrad.training.run import Outcome

WINDOW = 24
"""Side of the windows that the networks learn, pixels."""
ANSWERED, FELT, COVERED = 2000, 200, 50
"""Test images for answers; for residuals and gradients; for occlusion."""
PATCH = 3
"""Side of the square that covers a part of the image."""
MLP = "mlp"


@dataclass(frozen=True, kw_only=True)
class Config(training.Config):
    """Settings of one run.

    Attributes
    ----------
    network : "mlp" — two linear layers; else a way of halving, see
        :data:`pixgrad.nets.downsampling.HALVING`.
    width : channels of the first stage, or hidden units.
    flat : see :class:`pixgrad.nets.downsampling.SmallCNN`.
    """

    width: int = 16
    flat: bool = False

    @property
    def arm(self) -> str:
        return f"{self.network}-{self.width}{'-flat' * self.flat}-{self.train_images}"


RATES = (0.01, 0.03, 0.1, 0.3, 1.0)
LOW_RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
LOWEST_RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)
"""For layers that gather hundreds of thousands of numbers."""
SHARED = {"shift": 0, "validation_images": 1000}
MANY = SHARED | {"train_images": 10_000, "recalibrate": 2000}
FEW = SHARED | {"train_images": 2000, "recalibrate": 1000}
TINY = {"shift": 0, "train_images": 320, "validation_images": 100, "recalibrate": 200}
LONG, SHORT = Budget(12, 3, seeds=5, sweep_seeds=2), Budget(20, 4, seeds=5, sweep_seeds=2)


def _arms(
    networks: str, settings: Mapping[str, object], budget: Budget, rates: tuple[float, ...] = RATES
) -> list[Arm]:
    """Of networks such as "max-16", the name and the width."""
    named = (network.rpartition("-") for network in networks.split())
    return [
        Arm(settings | {"network": name, "width": int(width)}, rates, budget)
        for name, _, width in named
    ]


SOURCES = {"smoke": "mnist5k", "report": "cifar10"}
PRESETS = {
    "smoke": [
        *_arms("max-16 mlp-14", TINY, Budget(2, 1, seeds=1), RATES[1:3]),
        *_arms("none-4", TINY | {"flat": True}, Budget(2, 1, seeds=1), LOWEST_RATES[1:3]),
    ],
    "report": [
        *_arms("max-16 average-16 stride-16 blur-16 max-4 max-2", MANY, LONG),
        *_arms("mlp-14 mlp-256 mlp-1024", MANY, LONG, LOW_RATES),
        *_arms("max-16 none-16", FEW, SHORT),
        *_arms("max-16 none-16", FEW | {"flat": True}, SHORT, LOWEST_RATES),
    ],
}


class Pooling(Training):
    """Ways of halving a map; networks with and without convolutions."""

    sources = SOURCES
    presets = PRESETS
    config = Config
    keeps_probabilities = False
    keys = ("network", "width", "flat", "train_images")

    def images(self, config: Config, data: Images) -> Images:
        """The middle windows."""
        limited = super().images(config, data)
        middle = (limited.images["train"].shape[-1] - WINDOW) // 2
        return replace(
            limited,
            images={part: window(of, middle, middle) for part, of in limited.images.items()},
        )

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        shape = {"in_channels": data.channels, "side": WINDOW}
        with torch.device("meta"):  # shapes and no values: nothing random is drawn
            if config.network == MLP:
                net = TwoLayers(len(data.names), config.width, **shape)
            else:
                net = SmallCNN(
                    len(data.names), config.network, config.width, flat=config.flat, **shape
                )
        net.to_empty(device="cpu")
        initialise(net, "he", generator)
        return net

    def findings(self, outcomes: Sequence[Outcome], data: Images) -> Findings:
        """More tables, a row a main run and

        ``shifts`` — a distance: share of test images with the same answer to two windows so far
        apart (along the rows and along the columns, averaged), accuracy in the outer windows;
        ``scales`` — a side of the window before it is resized: share of answers equal to those at
        the usual side, accuracy;
        ``layers`` — a shift and layer: see :func:`residuals`;
        ``fields`` — effective sides of the fields before and after training.

        Arrays of each arm's first run: ``kernels.ARM`` (K, C, 3, 3), ``start.ARM`` and
        ``gradient.ARM`` (H, W) — fields of one cell of the last map before and after training,
        ``occlusion.ARM`` (H', W').
        """
        found = super().findings(outcomes, data)
        rows: dict[str, list] = {name: [] for name in ("shifts", "scales", "layers", "fields")}
        for one in outcomes:
            config = one.config
            if config.stage != "main" or one.status != "done":
                continue
            mine, keys = self.images(config, data), self.row(one)
            net = loop.recalibrated(one.net, mine, config.recalibrate)
            few = _evenly(data, ANSWERED)
            rows["shifts"] += [keys | row for row in moved_answers(net, mine, *few)]
            rows["scales"] += [keys | row for row in scaled_answers(net, mine, *few)]
            if config.network == MLP:
                continue
            x = mine.normalised(_evenly(data, FELT)[0])
            rows["layers"] += [keys | row for row in residuals(circular(net), x)]
            start = self.build(config, mine, torch.Generator().manual_seed(config.seed))
            start = loop.recalibrated(start, mine, config.recalibrate)
            cell = net.features(x[:1]).shape[-1] // 2
            fields = [receptive.gradient_field(of.features, x, cell) for of in (start, net)]
            sides = [receptive.effective_side(field) for field in fields]
            rows["fields"].append(keys | dict(zip(("before", "after"), sides, strict=True)))
            if config.seed == 1:
                covered = receptive.occlusion_field(net.features, x[:COVERED], cell, PATCH)
                kept = dict(zip(("start", "gradient"), fields, strict=True))
                kept |= {"occlusion": covered, "kernels": net.features[0][0].weight.detach()}
                for name, values in kept.items():
                    found.arrays[f"{name}.{config.arm}"] = values.numpy().astype(np.float32)
        for name, of in rows.items():
            found.tables[name] = pd.DataFrame(of).drop(columns="stage")
        return found


def window(images: Tensor, top: int, left: int) -> Tensor:
    """(…, H, W) -> the window (…, WINDOW, WINDOW) with that corner."""
    return images[..., top : top + WINDOW, left : left + WINDOW].contiguous()


def moved_answers(
    net: nn.Module, data: Images, whole: Tensor, labels: Tensor
) -> list[dict[str, float]]:
    """Answers to two windows of each image, 0 … room pixels apart, around its middle.

    Parameters
    ----------
    whole : uint8 (N, C, H, W).
    """
    room = whole.shape[-1] - WINDOW
    told: dict[tuple[int, int], Tensor] = {}

    def answers(top: int, left: int) -> Tensor:
        if (top, left) not in told:
            logits = loop.predict(net, data, window(whole, top, left))
            told[top, left] = logits.argmax(1)
        return told[top, left]

    rows = []
    for shift in range(room + 1):
        first = (room - shift) // 2
        ends = first, first + shift
        pairs = [
            [answers(room // 2, end) for end in ends],
            [answers(end, room // 2) for end in ends],
        ]
        same = [(a == b).double().mean().item() for a, b in pairs]
        right = [(end == labels).double().mean().item() for pair in pairs for end in pair]
        rows.append(
            {"shift": shift, "same": float(np.mean(same)), "accuracy": float(np.mean(right))}
        )
    return rows


def scaled_answers(
    net: nn.Module, data: Images, whole: Tensor, labels: Tensor
) -> list[dict[str, float]]:
    """Answers to the middle of each image, cut with another side and resized to the usual one."""
    side, rows = whole.shape[-1], []
    told = {
        cut: loop.predict(net, data, _cut_and_resized(data, whole, cut)).argmax(1)
        for cut in range(WINDOW - 8 + side % 2, side + 1, 2)
    }
    for cut, answers in told.items():
        same, right = ((answers == of).double().mean().item() for of in (told[WINDOW], labels))
        rows.append({"side": cut, "same": same, "accuracy": right})
    return rows


@torch.no_grad()
def residuals(net: nn.Module, x: Tensor) -> list[dict[str, float]]:
    """How far each layer is from moving with the input, and from standing still.

    Parameters
    ----------
    net : :class:`pixgrad.nets.downsampling.SmallCNN` with circular borders, in evaluation mode.
    x : (N, C, H, W), sides multiples of 8; moved along the rows on a circle.

    Returns
    -------
    A row a shift of 1 … 8 pixels and layer ("relu1", "halved1", … and "mean" — of the last maps):
    root mean squares over images, cells and channels, divided by the standard deviation of the
    layer's values in each channel, ``moved`` — of the output minus the first output moved by
    shift / jump cells, linear between cells; ``still`` — of the output minus the first output.
    """
    first, rows = _layers(net, x), []
    for shift in range(1, 9):
        for name, after in _layers(net, x.roll(shift, 3)).items():
            before = first[name]
            scale = before.var((0, 2, 3), keepdim=True).mean().sqrt()
            cells = shift * before.shape[3] / x.shape[3]
            row = {"shift": shift, "layer": name}
            if before.shape[3] > 1:
                row["moved"] = _rms(after - _roll(before, cells)) / scale.item()
            rows.append(row | {"still": _rms(after - before) / scale.item()})
    return rows


def circular(net: nn.Module) -> nn.Module:
    """A copy whose borders wrap around."""
    net = copy.deepcopy(net)
    for stage in net.features:
        stage[0].padding_mode = "circular"
        if isinstance(stage[3], nn.Sequential):
            stage[3][0] = nn.CircularPad2d(1)
    return net


def _layers(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    found = {}
    for number, stage in enumerate(net.features, start=1):
        found[f"relu{number}"] = x = stage[:3](x)
        found[f"halved{number}"] = x = stage[3](x)
    return found | {"mean": x.mean((2, 3), keepdim=True)}


def _roll(x: Tensor, cells: float) -> Tensor:
    """Moved to the right on a circle; between two whole numbers of cells linearly."""
    whole, part = int(cells), cells % 1
    return (1 - part) * x.roll(whole, 3) + part * x.roll(whole + 1, 3)


def _rms(x: Tensor) -> float:
    return x.square().mean().sqrt().item()


def _cut_and_resized(data: Images, whole: Tensor, side: int) -> Tensor:
    corner = (whole.shape[-1] - side) // 2
    cut = whole[..., corner : corner + side, corner : corner + side].contiguous()
    return replace(data, images={"train": cut}).resized(WINDOW).images["train"]


def _evenly(data: Images, count: int) -> tuple[Tensor, Tensor]:
    """Whole test images and their labels."""
    index = loop.evenly(len(data.labels["test"]), count)
    return data.images["test"][index], data.labels["test"][index]


EXPERIMENT = Pooling()
