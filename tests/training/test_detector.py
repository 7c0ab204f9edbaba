"""Batches of photos with boxes, and a detector in the training loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from pixgrad.data import Fault
from pixgrad.detection import metrics
from pixgrad.detection.boxes import Grid
from pixgrad.errors import PixgradError
from pixgrad.nets.ssd import SSD
from pixgrad.training import detector
from pixgrad.training.boxes import BoxImages, load_boxes, random_box_batches, seen_in_window

GRIDS = [Grid(4, 4, 0.3, 0.5), Grid(2, 2, 0.5, 0.9)]


def boxes_data(count: int = 24, side: int = 32, seed: int = 0) -> BoxImages:
    """A light square (class 0) or a dark one (class 1) on grey."""
    rng = np.random.default_rng(seed)
    images, labels = {}, {}
    for part in ("train", "validation", "test"):
        photos, objects = np.full((count, 3, side, side), 128, np.uint8), []
        for photo in photos:
            size = rng.integers(8, 14)
            left, top = rng.integers(0, side - size, 2)
            label = int(rng.integers(2))
            photo[:, top : top + size, left : left + size] = (240, 20)[label]
            box = torch.tensor([[left, top, left + size, top + size]]) / side
            objects.append((box.float(), torch.tensor([label])))
        images[part], labels[part] = torch.from_numpy(photos), objects
    names = {part: tuple(f"{part}{n}" for n in range(count)) for part in images}
    faults = {"train": (Fault("train0", "no area", "x"),), "validation": (), "test": ()}
    return BoxImages(
        "squares",
        images,
        labels,
        names,
        ("light", "dark"),
        torch.full((3,), 128.0),
        torch.full((3,), 64.0),
        faults,
        dict.fromkeys(images, f"f{seed}"),
    )


class Body(nn.Module):
    """Two maps of a photo of 32 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 16, 7, 4, 3), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1))
        self.second = nn.Sequential(nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1))

    def forward(self, x):
        first = self.first(x)
        return [first, self.second(first)]


def build(generator: torch.Generator) -> nn.Module:
    from pixgrad.nets.initialisation import initialise

    net = SSD(2, Body(), (16, 16), (4, 4))
    initialise(net, "default", generator)
    return net


SETTINGS = detector.Settings(
    seed=1, epochs=16, lr=0.01, batch_size=6, optimiser="adam", weight_decay=0.0, augment=False
)


def test_a_window_keeps_objects_whose_centres_it_holds():
    boxes = torch.tensor([[0.2, 0.2, 0.4, 0.6], [0.0, 0.0, 0.2, 0.2], [0.8, 0.5, 1.0, 0.7]])
    window = torch.tensor([0.25, 0.25]), torch.tensor([0.5, 0.5])
    plain = torch.tensor([False, False])
    seen, labels = seen_in_window((boxes, torch.tensor([4, 5, 6])), *window, plain)
    assert labels.tolist() == [4]
    torch.testing.assert_close(seen, torch.tensor([[0.0, 0.0, 0.3, 0.7]]))
    mirror = torch.tensor([True, False])
    seen, _ = seen_in_window((boxes, torch.tensor([4, 5, 6])), *window, mirror)
    torch.testing.assert_close(seen, torch.tensor([[0.7, 0.0, 1.0, 0.7]]))


def test_boxes_move_with_the_pixels():
    """In every augmented photo the box is the square, to half a pixel of 64."""
    data = boxes_data(side=64)
    generator = torch.Generator().manual_seed(1)
    checked = 0
    for images, objects in random_box_batches(data, 6, True, generator):
        for image, (boxes, labels) in zip(images, objects, strict=True):
            if not len(boxes):
                continue
            [box], [label] = boxes, labels
            grey = image.mean(0)
            other = grey > 0.5 if label == 0 else grey < -0.5
            rows, columns = other.any(1).nonzero(), other.any(0).nonzero()
            drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert (torch.stack(drawn) - box * 64).abs().max() <= 1.5
            checked += 1
    assert checked > 15


def test_without_augmentation_photos_are_themselves():
    data = boxes_data()
    [(images, objects)] = random_box_batches(data, 24, False, torch.Generator().manual_seed(1))
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(images, data.normalised(data.images["train"][order]))
    assert all(a is data.labels["train"][i] for a, i in zip(objects, order, strict=True))


def test_a_detector_learns_squares_and_goes_on_after_a_kill(tmp_path):
    data = boxes_data(36)
    whole = detector.fit(SETTINGS, build, GRIDS, data, tmp_path / "whole")
    assert whole.history[-1]["validation_loss"] < whole.history[0]["validation_loss"] / 1.2
    assert set(whole.history[0]) >= {"validation_place_loss", "validation_class_loss"}
    found = detector.find(whole.net, GRIDS, data, data.images["test"])
    pairs = [(of.boxes.numpy(), of.scores.numpy(), of.labels.numpy()) for of in found]
    truth = [(boxes.numpy(), labels.numpy()) for boxes, labels in data.labels["test"]]
    judged = [metrics.judge(pairs, truth, label) for label in range(2)]
    assert np.mean([metrics.average_precision(one)[0] for one in judged]) > 0.5

    run = detector.DetectorRun(SETTINGS, build, GRIDS, data)
    for _ in range(5):
        run.outcome.history.append(run.epoch())
    run.save(tmp_path / "part")
    again = detector.fit(SETTINGS, build, GRIDS, data, tmp_path / "part")
    for key, value in whole.net.state_dict().items():
        assert torch.equal(value, again.net.state_dict()[key]), key
    assert again.history == whole.history
    assert again.first_losses == whole.first_losses


def test_all_negatives_is_another_loss():
    data = boxes_data()
    runs = [
        detector.DetectorRun(replace(SETTINGS, negatives=negatives), build, GRIDS, data)
        for negatives in (3, None)
    ]
    first, second = (run.first_losses(1)[0] for run in runs)
    assert second > first


def test_a_source_without_boxes_is_refused():
    with pytest.raises(PixgradError, match="нет рамок"):
        load_boxes("mnist5k")
