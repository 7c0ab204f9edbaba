"""Images in memory as uint8 tensors, and random batches of them.

A data set of this book fits in memory many times over, so nothing is read while a network learns.
Augmentation works on whole batches: no worker processes, no stalls (``benchmarks/training.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from pixgrad.checks import whole
from pixgrad.data import SOURCES, load
from pixgrad.errors import PixgradError

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Images:
    """A labelled data set in three parts.

    Attributes
    ----------
    images, labels : uint8 (N, C, H, W) and int64 (N,) of "train", "validation" and "test".
    names : of the classes.
    mean, std : float32 (C,), of the training pixels, 0 … 255.
    fingerprints : SHA-256 of each part as the source gave it.
    """

    source: str
    images: dict[str, Tensor]
    labels: dict[str, Tensor]
    names: tuple[str, ...]
    mean: Tensor
    std: Tensor
    fingerprints: dict[str, str]

    @property
    def channels(self) -> int:
        return self.images["train"].shape[1]

    def limited(self, **limits: int | None) -> Images:
        """Fewer images of a part: the first ones of each class in equal shares; None — all."""
        images, labels = dict(self.images), dict(self.labels)
        for part, limit in limits.items():
            if limit is not None and limit < len(self.names):
                raise PixgradError(
                    f"часть {part}: {limit} изображений на {len(self.names)} классов, "
                    "нужно хотя бы по одному",
                    f"part {part}: {limit} images for {len(self.names)} classes, "
                    "there must be one of each",
                )
            if limit is not None:
                kept = _first_of_each_class(labels[part], limit // len(self.names))
                images[part], labels[part] = images[part][kept], labels[part][kept]
        return replace(self, images=images, labels=labels)

    def resized(self, side: int | None) -> Images:
        """Images of side x side pixels (bicubic with antialiasing); None — as they are."""
        if side is None or side == self.images["train"].shape[-1]:
            return self
        whole("side", side)
        return replace(self, images={part: _resize(of, side) for part, of in self.images.items()})

    def on(self, device: torch.device) -> Images:
        """The same images on a device; without a copy where they are there already."""
        images, labels = (
            {part: tensor.to(device) for part, tensor in of.items()}
            for of in (self.images, self.labels)
        )
        return replace(self, images=images, labels=labels)

    def normalised(self, images: Tensor) -> Tensor:
        """uint8 (N, C, H, W) -> float32 with zero mean and unit spread, channels last."""
        mean, std = (part.to(images.device)[:, None, None] for part in (self.mean, self.std))
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)


def load_images(source: str) -> Images:
    """Load a labelled source of ``pixgrad.data``, photos at the size that the source gives.

    Raises
    ------
    PixgradError : the source has no labels, a class has no image in some part, or a label is out of
        range.
    """
    if source in SOURCES and "split" not in inspect.signature(SOURCES[source].find).parameters:
        raise PixgradError(
            f"в источнике «{source}» нет меток: по нему не научить различать классы",
            f"the source '{source}' has no labels: no classes can be learned from it",
        )
    parts = {part: load(source, split=part) for part in PARTS}
    names = parts["train"].names
    for part, of in parts.items():
        _check_classes(source, part, of.labels, names)
    images = {part: _channels_first(torch.from_numpy(of.images)) for part, of in parts.items()}
    labels = {part: torch.from_numpy(of.labels) for part, of in parts.items()}
    fingerprints = {part: of.fingerprint for part, of in parts.items()}
    return Images(source, images, labels, names, *_mean_and_std(images["train"]), fingerprints)


def random_batches(
    data: Images,
    batch_size: int,
    shift: int,
    flip: bool,
    generator: torch.Generator,
    smallest: int = 2,
    cutout: int = 0,
    colour: float = 0.0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The training images once, in random order, each changed at random.

    Parameters
    ----------
    shift : each image moves by up to so many pixels each way; the mean colour comes in.
    flip : mirror left to right with probability 1/2.
    generator : the only source of chance.
    smallest : a last batch of fewer images is dropped; batch statistics need two.
    cutout, colour : see :func:`cut_out` and :func:`recolour`; 0 — neither.

    Yields
    ------
    Normalised float32 (B, C, H, W), channels last, and labels int64 (B,).
    """
    whole("batch_size", batch_size)
    whole("shift", shift, least=0)
    windows = _shifted_windows(data.images["train"], shift, data.mean)
    labels = data.labels["train"]
    order = torch.randperm(len(labels), generator=generator)
    for index in order.split(batch_size):
        if len(index) < smallest:
            return
        moved = torch.randint(0, 2 * shift + 1, (2, len(index)), generator=generator)
        mirrored = torch.rand(len(index), generator=generator) < (0.5 if flip else 0)
        index, (down, right) = index.to(labels.device), moved.to(labels.device)
        images = windows[index, :, down, right]
        mirrored = mirrored.to(labels.device)[:, None, None, None]
        images = data.normalised(torch.where(mirrored, images.flip(3), images))
        if colour:
            images = recolour(images, colour, generator)
        if cutout:
            images = cut_out(images, cutout, generator)
        yield images, labels[index]


def cut_out(images: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A square of the mean colour (0) around a random pixel of each of (N, C, H, W) images.

    It may reach over the edge (DeVries and Taylor, "Improved regularization of convolutional neural
    networks with cutout", 2017, section 3.2).
    """
    height, width = images.shape[2:]
    hit = []
    for length in (height, width):
        centre = torch.randint(0, length, (len(images), 1), generator=generator)
        away = torch.arange(length) - centre + side // 2
        hit.append((away >= 0) & (away < side))
    inside = hit[0][:, None, :, None] & hit[1][:, None, None, :]
    return images.masked_fill(inside.to(images.device), 0)


def recolour(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Contrast and brightness of each channel of each of (N, C, H, W) images, changed at random.

    x -> (1 + a) x + b with a and b uniform within ± ``strength``, x in standard deviations.
    """
    shape = (2, *images.shape[:2], 1, 1)
    a, b = strength * (2 * torch.rand(shape, generator=generator) - 1).to(images.device)
    return images * (1 + a) + b


def _shifted_windows(images: Tensor, shift: int, fill: Tensor) -> Tensor:
    """All shifts of all images as one view of the padded images.

    Returns
    -------
    (N, C, 2 shift + 1, 2 shift + 1, H, W); ``[:, :, shift, shift]`` are the images themselves.
    """
    n, _, height, width = images.shape
    padded = (
        fill.round()
        .to(images.dtype)[:, None, None]
        .repeat(n, 1, height + 2 * shift, width + 2 * shift)
    )
    padded[:, :, shift : shift + height, shift : shift + width] = images
    return padded.unfold(2, height, 1).unfold(3, width, 1)


def _mean_and_std(images: Tensor) -> tuple[Tensor, Tensor]:
    """Of each channel, float32 (C,): from counts of the 256 values, without pixels as floats."""
    values = torch.arange(256, dtype=torch.float64)
    channels = (channel.flatten() for channel in images.unbind(1))
    counts = torch.stack([channel.bincount(minlength=256) for channel in channels]).double()
    total = counts.sum(1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]).square()).sum(1) / (total - 1)
    return mean.float(), variance.sqrt().float()


def _channels_first(images: Tensor) -> Tensor:
    """(N, H, W) or (N, H, W, C) -> contiguous (N, C, H, W)."""
    return (images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)).contiguous()


def _resize(images: Tensor, side: int) -> Tensor:
    batches = [
        interpolate(batch.float(), (side, side), mode="bicubic", antialias=True)
        for batch in images.split(250)
    ]
    return torch.cat([batch.round().clamp(0, 255).to(torch.uint8) for batch in batches])


def _first_of_each_class(labels: Tensor, count: int) -> Tensor:
    """Indices of the first ``count`` images of every class, in their old order."""
    order = labels.argsort(stable=True)
    starts = labels.bincount().cumsum(0) - labels.bincount()
    rank = torch.empty_like(labels)
    rank[order] = torch.arange(len(labels)) - starts[labels[order]]
    return torch.nonzero(rank < count).squeeze(1)


def _check_classes(source: str, part: str, labels, names: tuple[str, ...]) -> None:
    empty = sorted(set(range(len(names))) - set(labels.tolist()))
    if empty:
        listed = ", ".join(f"«{names[label]}»" for label in empty)
        raise PixgradError(
            f"{source}, часть {part}: нет изображений класса {listed}",
            f"{source}, part {part}: no images of the classes {listed}",
        )
