"""Our keypoints and descriptors against those of ``cv2.SIFT``, photo by photo, on both grids.

OpenCV has two answers: with fused multiply-add, where the processor has it, and without. The
compiled backend must give the first and NumPy the second, to the bit as far as the response, the
octave and the layer. (With each other's arithmetic both differ from OpenCV as it does from itself:
two keypoints of ten thousand, 2 % of the descriptors, 1e-5 of the response.)

The default run takes a few photos that come with the wheels; the `slow` one takes every photo
there is, originals of the data root included. A keypoint that differs is printed with the reason.
"""

from __future__ import annotations

import platform
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pixgrad.data import files
from pixgrad.sift import (
    Features,
    Sift,
    backend,
    extrema,
    orientation,
    refinement,
    scale_space,
)
from pixgrad.sift.features import unpack_octave
from pixgrad.views import agreement, opencv

GRIDS = ("opencv", "precise")
# The bits are those of OpenCV's packages for x86; on ARM another compiler fuses other products.
ON_X86 = platform.machine().lower() in ("x86_64", "amd64")
SKIMAGE = (
    *("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel"),
    *("ihc", "moon", "motorcycle_left", "motorcycle_right", "page", "rocket"),
)
ORDER_TIE = 0.01  # pixels in x: keypoints that float32 noise may put in either order


def read_grey(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("L"))


def wheel_photos() -> dict[str, np.ndarray]:
    """Photos that come with foolbox and scikit-image."""
    found = {}
    for module, names in (("foolbox", None), ("skimage", SKIMAGE)):
        folder = files.wheel_folder(module, "data")
        if folder is None:
            pytest.skip(f"no photos: the package {module} is not installed")
        for path in sorted(folder.iterdir()):
            is_photo = path.stem in names if names else path.stem.startswith("imagenet_")
            if is_photo and path.suffix in (".png", ".jpg"):
                found[f"{module}/{path.stem}"] = read_grey(path)
    return found


def root_photos() -> dict[str, np.ndarray]:
    """Photos of the data root."""
    root = files.root()
    paths = [*root.glob("imagenet_originals/*.JPEG"), *root.glob("homography/*/img?.p?m")]
    return {f"{p.parent.name}/{p.stem}": read_grey(p) for p in sorted(paths)}


def variants(image: np.ndarray) -> dict[str, np.ndarray]:
    """The photo and what happens to photos: blur, noise, saturation, resizing."""
    rng = np.random.default_rng(0)
    noisy = image + rng.normal(0, 12, image.shape)
    return {
        "original": image,
        "blurred": cv2.GaussianBlur(image, (0, 0), 1.5),
        "noisy": np.clip(noisy, 0, 255).astype(np.uint8),
        "saturated": np.clip(image * 2.2 - 60, 0, 255).astype(np.uint8),
        "resized": cv2.resize(image, None, fx=0.7, fy=0.8, interpolation=cv2.INTER_AREA),
    }


class Tally:
    """Agreement over many images."""

    def __init__(self) -> None:
        self.images = self.keypoints = self.missed = self.extra = self.swapped = 0
        self.worst: list[str] = []
        self.equal: list[np.ndarray] = []
        self.distance: list[np.ndarray] = []
        self.packed: list[np.ndarray] = []
        self.response: list[np.ndarray] = []

    def add(self, name: str, image: np.ndarray, sift: Sift, reference: Features) -> None:
        found, grid = sift.detect_and_compute(image), sift.conventions
        i, j = agreement.pair(found, reference)
        # A keypoint in another octave or layer is another keypoint.
        same = (found.octave[i] & 0xFFFF) == (reference.octave[j] & 0xFFFF)
        i, j = i[same], j[same]
        one, two = found[i], reference[j]
        missed, extra = len(reference) - len(j), len(found) - len(i)
        report_differences(name, image, grid, found, reference, i, j)
        if max(missed, extra) > max(1, 0.005 * len(reference)):
            self.worst.append(f"{name}, {grid}: missed {missed}, extra {extra}")
        self.images += 1
        self.keypoints += len(reference)
        self.missed += missed
        self.extra += extra
        self.swapped += count_swapped(name, j, two)
        gap = np.linalg.norm(one.descriptors - two.descriptors, axis=1)
        self.equal.append(gap == 0)
        self.distance.append(gap / np.linalg.norm(two.descriptors, axis=1))
        self.packed.append(one.octave == two.octave)
        self.response.append(np.abs(one.response / two.response - 1))

    def check(self) -> None:
        equal, distance = np.concatenate(self.equal), np.concatenate(self.distance)
        packed, response = np.concatenate(self.packed), np.concatenate(self.response)
        print(  # noqa: T201  (the numbers asked for)
            f"\n{self.images} images, {self.keypoints} keypoints: missed {self.missed}, "
            f"extra {self.extra}, swapped {self.swapped}, equal descriptors {equal.mean():.4%}, "
            f"distance of descriptors: 95 % {np.quantile(distance, 0.95):.5f}, "
            f"largest {distance.max():.4f}; difference of response: 99.9 % "
            f"{np.quantile(response, 0.999):.1e}, largest {response.max():.1e}; "
            f"equal response {(response == 0).mean():.4%}, equal octave, layer and "
            f"sub-layer byte {packed.mean():.4%}; "
            f"images over the limit: {self.worst}"
        )
        assert self.missed <= 0.001 * self.keypoints
        assert self.extra <= 0.001 * self.keypoints
        assert self.swapped <= 0.001 * self.keypoints
        assert not self.worst
        assert equal.mean() >= 0.9
        assert np.quantile(distance, 0.95) <= 0.005
        if ON_X86:
            assert (response == 0).mean() >= 0.9999
            assert packed.mean() >= 0.9999


def check_agreement(images: dict[str, np.ndarray], grid: str, compiled: bool) -> Tally:
    """Compare images with the OpenCV of the same arithmetic: with fused products or without."""
    if compiled and (backend.find_spec("numba") is None or (ON_X86 and not opencv.has_fma())):
        pytest.skip("no numba, or OpenCV has no fused multiply-add on this processor")
    if compiled:
        references = (opencv.detect(image, conventions=grid) for image in images.values())
    else:
        references = opencv.detect_without_fma(list(images.values()), grid)
    tally, sift = Tally(), Sift(conventions=grid, compiled=compiled)
    for (name, image), reference in zip(images.items(), references, strict=True):
        tally.add(name, image, sift, reference)
    tally.check()
    return tally


def count_swapped(name: str, numbers: np.ndarray, features: Features) -> int:
    """Pairs out of OpenCV's order: only neighbours that almost share x may swap."""
    swapped = np.flatnonzero(np.diff(numbers) < 0)
    x = features.xy[:, 0]
    assert (np.abs(x[swapped] - x[swapped + 1]) < ORDER_TIE).all(), name
    return len(swapped)


def report_differences(name, image, grid, found, reference, i, j) -> None:
    for label, features, paired in (("missed", reference, j), ("extra", found, i)):
        for k in np.setdiff1d(np.arange(len(features)), paired):
            one = features[k : k + 1]
            x, y = one.xy[0]
            print(  # noqa: T201  (shown if the test fails)
                f"{name}, {grid}: {label} ({x:.2f}, {y:.2f}) size {one.size[0]:.2f} "
                f"angle {one.angle[0]:.1f}: {reason(image, grid, one)}"
            )


def reason(image: np.ndarray, grid: str, one: Features) -> str:
    """Say which decision our float32 arithmetic takes by a hair at this keypoint."""
    octave, _ = unpack_octave(one.octave)
    pyramid = scale_space.gaussian_pyramid(scale_space.base_image(image, 1.6, grid == "precise"))
    layers = pyramid[octave[0] + 1]
    dog = scale_space.difference_of_gaussians(layers)
    candidates = extrema.find_extrema(dog, extrema.prior_threshold())
    refined = refinement.refine(dog, candidates)
    here = one.xy[0, ::-1] / 2.0 ** octave[0]
    there = refined.point[:, 1:] + refined.offset[:, 1::-1]
    distance = np.abs(there - here).max(axis=1)
    if not len(distance) or distance.min() > 2:
        return "no extremum here: a neighbour is as high to float32 noise"
    k = distance.argmin()
    offset, contrast = refined.offset[k], abs(refined.contrast[k]) * 3 / 0.04
    if refined.status[k] in (refinement.OUTSIDE, refinement.UNSTABLE):
        start = candidates[k]
        return f"{refinement.STATUS_NAMES[refined.status[k]]}: from {start}, offset {offset}"
    cube = refinement.neighbourhood(dog, refined.point[k : k + 1])
    _, hessian = refinement.derivatives(cube)
    ridge = np.trace(hessian[0, :2, :2]) ** 2 / np.linalg.det(hessian[0, :2, :2]) / 12.1
    text = (
        f"{refinement.STATUS_NAMES[refined.status[k]]}; |offset| {np.abs(offset).max():.5f} of "
        f"0.5, contrast {contrast:.5f} and ridge {ridge:.5f} of the threshold"
    )
    if refined.status[k] != refinement.KEPT:
        return text
    magnitude, angle = orientation.gradients(layers)
    scale = np.float32(1.6 * 2 ** ((refined.point[k : k + 1, 0] + offset[2]) / 3))
    histogram = orientation.histograms(magnitude, angle, refined.point[k : k + 1], scale)[0]
    top = np.sort(histogram / histogram.max())[::-1][:4].round(5)
    return f"{text}; highest bins {top}, peaks {orientation.peaks(histogram[None])[1].round(2)}"


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("grid", GRIDS)
def test_photos_of_the_wheels(grid, compiled):
    """Each variant of a part of a few photos."""
    photos = wheel_photos()
    images = {
        f"{name} {variant}": image
        for name in ("skimage/chelsea", "skimage/rocket", "skimage/coins", "skimage/astronaut")
        for variant, image in variants(photos[name][:240, :280]).items()
    }
    check_agreement(images, grid, compiled)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("source", [wheel_photos, root_photos])
@pytest.mark.parametrize("grid", GRIDS)
def test_all_photos(grid, source, compiled):
    """Each variant of every photo of 200-900 pixels."""
    photos = source()
    if not photos:
        pytest.skip(f"no photos in the data root {files.root()}")
    images = {
        f"{name} {variant}": image
        for name, photo in photos.items()
        if min(photo.shape) >= 200 and max(photo.shape) <= 900
        for variant, image in variants(photo).items()
    }
    assert check_agreement(images, grid, compiled).images >= 5 * 10
