"""Images in memory: shares, sizes, normalisation, errors; batches: order, shifts, mirrors."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_training import images
from torchvision.transforms.v2 import functional as reference

from pixgrad.data import ImageSet
from pixgrad.errors import PixgradError
from pixgrad.training import batches
from pixgrad.training.batches import PARTS, load_images, random_batches


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def as_pixels(data: batches.Images, x: torch.Tensor) -> np.ndarray:
    """Normalised images back to integers 0 … 255."""
    pixels = x.double() * data.std.double()[:, None, None] + data.mean.double()[:, None, None]
    assert (pixels - pixels.round()).abs().max() < 1e-3
    return pixels.round().to(torch.uint8).numpy()


def moved(image: np.ndarray, colour: np.ndarray, shift: int, down: int, right: int) -> np.ndarray:
    """An image whose pixels went up by ``down - shift`` and left by ``right - shift``: a loop."""
    channels, height, width = image.shape
    result = np.empty_like(image)
    for c, i, j in np.ndindex(channels, height, width):
        row, column = i + down - shift, j + right - shift
        inside = 0 <= row < height and 0 <= column < width
        result[c, i, j] = image[c, row, column] if inside else colour[c]
    return result


def test_windows_hold_every_shift_with_the_mean_colour_around():
    data, shift = images(side=5), 2
    few = data.images["train"][:3]
    windows = batches._shifted_windows(few, shift, data.mean).numpy()
    assert windows.shape == (3, 3, 5, 5, 5, 5)
    colour = np.rint(data.mean.numpy())
    for n, down, right in np.ndindex(3, 5, 5):
        expected = moved(few[n].numpy(), colour, shift, down, right)
        np.testing.assert_array_equal(windows[n, :, down, right], expected)


def test_every_image_comes_once_an_epoch_moved_and_mirrored_at_random():
    data, shift = images(), 1
    colour = np.rint(data.mean.numpy())
    source = {}  # every image that may come -> (which it is, down, right, mirrored)
    for n, image in enumerate(data.images["train"].numpy()):
        for down, right, mirrored in np.ndindex(3, 3, 2):
            shown = moved(image, colour, shift, down, right)
            source[(shown[..., ::-1] if mirrored else shown).tobytes()] = n, down, right, mirrored
    seen = []
    for x, y in random_batches(data, 36, shift, True, generator()):
        assert x.is_contiguous(memory_format=torch.channels_last)
        for image, label in zip(as_pixels(data, x), y.tolist(), strict=True):
            seen.append(source[image.tobytes()])
            assert label == data.labels["train"][seen[-1][0]]
    order = [n for n, *_ in seen]
    assert sorted(order) == list(range(96))
    assert order != sorted(order)
    assert {(down, right) for _, down, right, _ in seen} == set(np.ndindex(3, 3))
    assert 30 < sum(mirrored for *_, mirrored in seen) < 66  # 96 tosses: 3.7 deviations each way


def test_batches_depend_on_the_generator_alone():
    data = images()
    torch.manual_seed(0)
    first = [x for x, _ in random_batches(data, 40, 1, True, generator(5))]
    torch.manual_seed(1)
    again = [x for x, _ in random_batches(data, 40, 1, True, generator(5))]
    other = [x for x, _ in random_batches(data, 40, 1, True, generator(6))]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


def test_without_augmentation_images_stay_as_they_are():
    data = images()
    x, _ = next(random_batches(data, 96, 0, False, generator()))
    shown = Counter(image.tobytes() for image in as_pixels(data, x))
    assert shown == Counter(image.numpy().tobytes() for image in data.images["train"])


@pytest.mark.parametrize(
    ("size", "smallest", "sizes"),
    [(40, 2, [40, 40, 16]), (95, 2, [95]), (47, 2, [47, 47, 2]), (47, 4, [47, 47])],
)
def test_short_batches(size, smallest, sizes):
    found = random_batches(images(), size, 1, True, generator(), smallest)
    assert [len(y) for _, y in found] == sizes


def test_limited_takes_the_first_of_each_class():
    data = images()
    order = torch.randperm(96, generator=generator())
    shuffled = batches.replace(
        data,
        images=data.images | {"train": data.images["train"][order]},
        labels=data.labels | {"train": data.labels["train"][order]},
    )
    few = shuffled.limited(train=22, validation=None, test=8)
    labels = shuffled.labels["train"].numpy()
    kept = sorted(np.concatenate([np.flatnonzero(labels == label)[:5] for label in range(4)]))
    assert torch.equal(few.images["train"], shuffled.images["train"][kept])
    assert few.labels["train"].tolist() == labels[kept].tolist()
    assert np.bincount(few.labels["train"]).tolist() == [5, 5, 5, 5]  # 22 // 4 of each
    assert few.images["validation"] is data.images["validation"]
    assert len(few.labels["test"]) == 8
    assert (few.mean, few.std, few.fingerprints) == (data.mean, data.std, data.fingerprints)


@pytest.mark.parametrize("side", [12, 40])
def test_resized_as_in_pillow_and_torchvision(side):
    # Grey enough for no overshoot to be cut off: the others cut after either pass.
    steps = np.random.default_rng(0).integers(60, 196, (4, 3, 6, 6)).repeat(4, 2).repeat(4, 3)
    data = images(side=24)
    data = batches.replace(data, images=dict.fromkeys(PARTS, torch.tensor(steps).byte()))
    ours = data.resized(side).images["test"].int().numpy()
    assert ours.shape == (4, 3, side, side)
    bicubic = reference.InterpolationMode.BICUBIC
    theirs = reference.resize(data.images["test"], [side, side], bicubic, antialias=True)
    assert np.abs(ours - theirs.numpy()).max() <= 2  # in whole numbers, rounded after either pass
    for n, c in np.ndindex(4, 3):
        pillow = Image.fromarray(steps[n, c].astype(np.float32))
        pillow = np.asarray(pillow.resize((side, side), Image.Resampling.BICUBIC))
        difference = np.abs(ours[n, c] - np.rint(pillow))
        assert difference.max() <= 1
        assert np.mean(difference == 0) > 0.99  # but for ties
    assert data.resized(24) is data
    assert data.resized(None) is data


def test_on_the_same_device_nothing_is_copied():
    data = images()
    there = data.on(torch.device("cpu"))
    assert all(there.images[part] is data.images[part] for part in PARTS)


def made_up(split: str, shape: tuple[int, ...], labels: list[int], names: int = 3) -> ImageSet:
    pixels = np.random.default_rng(len(split)).integers(0, 256, (len(labels), *shape))
    words = ("кот", "пёс", "конь")[:names]
    return ImageSet("made-up", split, pixels.astype(np.uint8), np.array(labels), words, "test")


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3)])
def test_load_images_keeps_pixels_and_measures_the_training_part(monkeypatch, shape):
    sets = {part: made_up(part, shape, [0, 1, 2, 1]) for part in PARTS}
    monkeypatch.setattr(batches, "load", lambda source, split: sets[split])
    data = load_images("made-up")
    assert (data.names, data.channels) == (("кот", "пёс", "конь"), 3 if len(shape) == 3 else 1)
    for part, of in sets.items():
        pixels = of.images.reshape(4, 6, 5, -1)
        np.testing.assert_array_equal(data.images[part].permute(0, 2, 3, 1), pixels)
        assert data.images[part].is_contiguous()
        assert data.labels[part].tolist() == [0, 1, 2, 1]
        assert data.fingerprints[part] == of.fingerprint
    pixels = sets["train"].images.reshape(4 * 6 * 5, -1).astype(np.float64)
    np.testing.assert_allclose(data.mean, pixels.mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(data.std, pixels.std(axis=0, ddof=1), rtol=1e-7)
    x = data.normalised(data.images["train"]).double().numpy()
    np.testing.assert_allclose(x.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(axis=(0, 2, 3), ddof=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("part", "labels", "message"),
    [
        ("train", [0, 1, 1, 0], "made-up, часть train: нет изображений класса «конь»"),
        ("test", [1, 1], "made-up, часть test: нет изображений класса «кот», «конь»"),
        ("validation", [0, 1, 2, 3], "made-up, часть validation: метка 3 вне диапазона 0…2"),
        ("train", [0, 1, -1, 2], "made-up, часть train: метка -1 вне диапазона 0…2"),
        ("test", [], "made-up, часть test: нет изображений класса «кот», «пёс», «конь»"),
    ],
)
def test_wrong_labels_are_named(monkeypatch, part, labels, message):
    sets = {name: made_up(name, (4, 4), [0, 1, 2]) for name in PARTS}
    monkeypatch.setattr(batches, "load", lambda source, split: sets[split])
    with pytest.raises(PixgradError) as caught:
        sets[part] = made_up(part, (4, 4), labels)
        load_images("made-up")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("cifar11", "нет источника «cifar11»; может быть, «cifar1"),
        ("photos", "в источнике «photos» нет меток"),
        ("imagefolder:/nowhere", "/nowhere"),
    ],
)
def test_sources_that_cannot_be_used(source, message):
    with pytest.raises(PixgradError, match=message):
        load_images(source)


def test_a_folder_without_photos_of_a_class_is_refused(tmp_path):
    for split, classes in (("train", "ab"), ("val", "a")):
        for name in classes:
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(8):
                Image.new("RGB", (20, 20), (number * 9, 0, 0)).save(
                    tmp_path / split / name / f"{number}.png"
                )
    with pytest.raises(PixgradError, match="b"):
        load_images(f"imagefolder:{tmp_path}")


def test_cutout_is_a_square_of_the_mean_colour():
    x = torch.ones(300, 2, 9, 7)
    cut = batches.cut_out(x, 3, generator()) == 0
    assert torch.equal(cut[:, 0], cut[:, 1])
    areas = cut[:, 0].sum((1, 2))
    for mask, area in zip(cut[:, 0], areas.tolist(), strict=True):
        rows, columns = mask.any(1).sum().item(), mask.any(0).sum().item()
        assert rows * columns == area  # a rectangle
        assert rows in (2, 3)
        assert columns in (2, 3)
    assert areas.float().mean().item() == pytest.approx((3 - 2 / 9) * (3 - 2 / 7), rel=0.03)


def test_recolouring_is_linear_in_every_channel_and_within_its_strength():
    x = torch.randn(200, 3, 4, 4, generator=generator())
    y = batches.recolour(x, 0.3, generator(1))
    a = (y[:, :, 0, 0] - y[:, :, 1, 1]) / (x[:, :, 0, 0] - x[:, :, 1, 1])
    b = y[:, :, 0, 0] - a * x[:, :, 0, 0]
    torch.testing.assert_close(a[..., None, None] * x + b[..., None, None], y, atol=1e-4, rtol=0)
    for drawn in (a - 1, b):
        assert 0.28 < drawn.abs().max().item() < 0.31
        assert drawn.mean().item() == pytest.approx(0, abs=0.035)


def test_changes_that_are_off_draw_nothing():
    data = images()
    plain = [x for x, _ in random_batches(data, 40, 1, True, generator(5))]
    off = [x for x, _ in random_batches(data, 40, 1, True, generator(5), cutout=0, colour=0.0)]
    on = [x for x, _ in random_batches(data, 40, 1, True, generator(5), cutout=3, colour=0.2)]
    assert all(torch.equal(*pair) for pair in zip(plain, off, strict=True))
    assert not torch.equal(plain[0], on[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda data: next(random_batches(data, 0, 0, False, torch.Generator())), "batch_size=0"),
        (lambda data: next(random_batches(data, 4, -1, False, torch.Generator())), "shift=-1"),
        (lambda data: data.resized(0), "side=0"),
        (lambda data: data.resized(2.5), "side=2.5"),
        (lambda data: data.limited(train=1), "1 изображений"),
    ],
)
def test_sizes_that_cannot_be(make, message):
    from tiny_training import images

    with pytest.raises(PixgradError, match=message):
        make(images())
