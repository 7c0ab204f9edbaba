"""Photos with boxes in memory, and random batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from pixgrad.checks import whole
from pixgrad.data import Fault, load
from pixgrad.errors import PixgradError
from pixgrad.training.batches import PARTS

SMALLEST_WINDOW = 0.7
"""Side of the random window, a share of the photo's, at least."""
BRIGHTNESS, CONTRAST, COLOUR = 0.15, 0.2, 0.05
"""Largest changes: a shift in units of ``std``, shares of contrast and of each channel."""
Objects = tuple[Tensor, Tensor]
"""Of one photo: boxes float32 (G, 4), corners in shares; labels int64 (G,)."""


@dataclass(frozen=True)
class BoxImages:
    """A data set with boxes in three parts.

    Attributes
    ----------
    images : uint8 (N, 3, S, S) of "train", "validation" and "test".
    labels : the objects of every photo of a part.
    names : of the classes.
    mean, std : float32 (3,), by which the network's input is normalised.
    faults : of the annotations, by part.
    fingerprints : SHA-256 of each part as the source gave it.
    """

    source: str
    images: dict[str, Tensor]
    labels: dict[str, list[Objects]]
    photos: dict[str, tuple[str, ...]]
    names: tuple[str, ...]
    mean: Tensor
    std: Tensor
    faults: dict[str, tuple[Fault, ...]]
    fingerprints: dict[str, str]

    @property
    def side(self) -> int:
        return self.images["train"].shape[-1]

    def limited(self, **limits: int | None) -> BoxImages:
        """The first photos of each part; None — all."""
        images, labels = dict(self.images), dict(self.labels)
        for part, limit in limits.items():
            images[part], labels[part] = images[part][:limit], labels[part][:limit]
        return replace(self, images=images, labels=labels)

    def on(self, device: torch.device) -> BoxImages:
        """The same photos on a device; their objects stay."""
        return replace(self, images={part: of.to(device) for part, of in self.images.items()})

    def normalised(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) -> float32, channels last."""
        mean, std = (part.to(images.device)[:, None, None] for part in (self.mean, self.std))
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def load_boxes(
    source: str,
    side: int | None = None,
    mean: Sequence[float] = (127.0,) * 3,
    std: Sequence[float] = (128.0,) * 3,
) -> BoxImages:
    """Load a source with boxes, photos scaled to squares.

    Parameters
    ----------
    side : of the squares, pixels; None — the source's own choice.
    mean, std : of the network's input, 0 … 255; by default those of EfficientNet-Lite.

    Raises
    ------
    PixgradError : the source has no boxes, or a part has none.
    """
    kind = source.partition(":")[0]
    if kind not in ("bccd", "scenes", "voc", "coco"):
        raise PixgradError(
            f"в источнике «{source}» нет рамок; есть в bccd, scenes, voc:ПАПКА и coco:ПАПКА",
            f"the source '{source}' has no boxes; bccd, scenes, voc:FOLDER and coco:FOLDER have",
        )
    options = {} if side is None else {"side": side}
    parts = {part: load(source, split=part, **options) for part in PARTS}
    for part, of in parts.items():
        if not len(of.boxes):
            raise PixgradError(
                f"{source}, часть {part}: нет ни одной рамки",
                f"{source}, part {part}: not a single box",
            )
    return BoxImages(
        source,
        {part: torch.from_numpy(of.images).permute(0, 3, 1, 2) for part, of in parts.items()},
        {part: _objects(of) for part, of in parts.items()},
        {part: of.photos for part, of in parts.items()},
        parts["train"].names,
        torch.tensor(mean),
        torch.tensor(std),
        {part: of.faults for part, of in parts.items()},
        {part: of.fingerprint for part, of in parts.items()},
    )


def random_box_batches(
    data: BoxImages, batch_size: int, augment: bool, generator: torch.Generator
) -> Iterator[tuple[Tensor, list[Objects]]]:
    """The training photos once, in random order.

    Parameters
    ----------
    augment : cut a random window, mirror both ways, change the colours.
    generator : the only source of chance.

    Yields
    ------
    Normalised float32 (B, 3, S, S) and the objects of each photo.
    """
    objects = data.labels["train"]
    order = torch.randperm(len(objects), generator=generator)
    for index in order.split(whole("batch_size", batch_size)):
        images = data.normalised(data.images["train"][index.to(data.images["train"].device)])
        mine = [objects[number] for number in index.tolist()]
        if augment:
            images, mine = _augmented(images, mine, generator)
        yield images, mine


def _augmented(
    images: Tensor, objects: list[Objects], generator: torch.Generator
) -> tuple[Tensor, list[Objects]]:
    count, device = len(images), images.device
    span = torch.rand(count, 2, generator=generator) * (1 - SMALLEST_WINDOW) + SMALLEST_WINDOW
    first = torch.rand(count, 2, generator=generator) * (1 - span)
    mirror = torch.rand(count, 2, generator=generator) < 0.5
    contrast = 1 + CONTRAST * _symmetric(generator, count, 1, 1, 1)
    contrast = contrast * (1 + COLOUR * _symmetric(generator, count, 3, 1, 1))
    brightness = BRIGHTNESS * _symmetric(generator, count, 1, 1, 1)
    # affine_grid counts from -1 to 1: the middle of the window, and half of it with a sign.
    matrix = torch.zeros(count, 2, 3)
    matrix[:, [0, 1], [0, 1]] = torch.where(mirror, -span, span)
    matrix[:, :, 2] = 2 * first + span - 1
    grid = affine_grid(matrix.to(device), list(images.shape), align_corners=False)
    moved = grid_sample(images, grid, padding_mode="border", align_corners=False)
    changed = moved * contrast.to(device) + brightness.to(device)
    seen = [
        seen_in_window(one, *window)
        for one, *window in zip(objects, first, span, mirror, strict=True)
    ]
    return changed.contiguous(memory_format=torch.channels_last), seen


def seen_in_window(objects: Objects, first: Tensor, span: Tensor, mirror: Tensor) -> Objects:
    """Objects whose centres a window holds, cut to it, in its own shares.

    Parameters
    ----------
    first, span : (2,), the window's left and top, its width and height.
    mirror : bool (2,), whether it is mirrored left to right and upside down.
    """
    boxes, labels = objects
    corners = (boxes.view(-1, 2, 2) - first) / span  # (G, corner, axis)
    corners = torch.where(mirror, 1 - corners.flip(1), corners)
    centre = corners.mean(dim=1)
    inside = ((centre > 0) & (centre < 1)).all(dim=1)
    return corners[inside].clamp(0, 1).reshape(-1, 4), labels[inside]


def _symmetric(generator: torch.Generator, *shape: int) -> Tensor:
    """Uniform in -1 … 1."""
    return 2 * torch.rand(*shape, generator=generator) - 1


def _objects(of) -> list[Objects]:
    both = (of.of(index) for index in range(len(of)))
    return [(torch.from_numpy(boxes), torch.from_numpy(labels)) for boxes, labels in both]
