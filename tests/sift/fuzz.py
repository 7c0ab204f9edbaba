"""Random images and parameters: our SIFT against OpenCV's of the same arithmetic.

    PYTHONPATH=code python tests/sift/fuzz.py --backend numba --seconds 1800 --seed 1

Case ``i`` of a seed is made by the generator ``[seed, i]`` alone: ``--first i --cases 1`` repeats
it. The numba backend is compared with OpenCV as it is, NumPy with OpenCV that is told not to fuse
multiply and add. Positions, responses, octaves and layers must be equal to the bit; sizes and
numbers of descriptors may differ in the last digit. So may the bins of the histograms that angles
are read from, by `BIN_ERROR`: OpenCV's packages for x86 take exponentials and square roots from
Intel's library, which errs by a unit or two. An angle may differ by what such errors make of it:
the flatter the peak, the more; and a peak may be there on one side alone if such an error decides.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np
from typer import echo

from pixgrad.errors import PixgradError
from pixgrad.sift import Features, Sift
from pixgrad.sift.features import unpack_octave
from pixgrad.views.opencv import WITH_FMA

SIZE_ERROR, LEVEL = 1e-6, 1  # relative, of 0 … 255
ANGLE_ERROR = 7e-5  # degrees, of the last operations: two units of the last place of 360
BIN_ERROR = 4 * 2.0**-23  # relative, of a bin of the smoothed histogram: units of the last place
BINS, PEAK_RATIO = 36, 0.8  # of OpenCV's histogram
DISABLE = "OPENCV_CPU_DISABLE"


@dataclass
class Count:
    """What the cases of a run have given."""

    cases: int = 0
    keypoints: int = 0
    other_descriptors: int = 0
    other_angles: int = 0
    flat_peaks: int = 0  # whose angles differ by more than the last operations can
    most_of_allowed: float = 0  # the largest difference of angles over what is allowed there
    undecided_peaks: int = 0  # there on one side alone
    failures: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=("numba", "numpy"), default="numba")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the first case")
    parser.add_argument("--cases", type=int, default=sys.maxsize)
    parser.add_argument("--seconds", type=float, default=60, help="processor time")
    options = parser.parse_args()
    if options.backend == "numpy" and not os.environ.get(DISABLE):
        os.environ[DISABLE] = ",".join(WITH_FMA)  # read when OpenCV is loaded
        os.execv(sys.executable, [sys.executable, *sys.argv])
    cv2.setNumThreads(1)
    count, shown = Count(), 0.0
    echo(f"{options.backend}, seed {options.seed}, OpenCV {cv2.__version__}")
    for i in range(options.first, options.first + options.cases):
        for failure in check(options.seed, i, options.backend == "numba", count):
            count.failures += 1
            echo(f"case {i}: {failure}")
        done = time.process_time() > options.seconds
        if done or time.process_time() > shown + 60:
            shown = time.process_time()
            echo(f"{shown:.0f} s of processor time, up to case {i}: {count}")
        if done:
            break
    echo(f"end: {time.process_time():.0f} s of processor time, {count}")
    sys.exit(count.failures > 0)


def check(seed: int, case: int, compiled: bool, count: Count) -> list[str]:
    """Differences of one case, each in words."""
    rng = np.random.default_rng([seed, case])
    picture, parameters = random_picture(rng), random_parameters(rng)
    mask = None if rng.random() < 0.8 else (rng.random(picture.shape) < 0.7).astype(np.uint8)
    image, grey, form = as_users_have_it(rng, picture)
    sift = Sift(compiled=compiled, **parameters)
    theirs = cv2.SIFT_create(
        sift.nfeatures,
        sift.n_octave_layers,
        sift.contrast_threshold,
        sift.edge_threshold,
        sift.sigma,
        cv2.CV_8U if sift.descriptor_type == "uint8" else cv2.CV_32F,
        sift.conventions == "precise",
    )
    about = f"{grey.shape} {form} {parameters}{' masked' if mask is not None else ''}"
    count.cases += 1
    try:
        keypoints, descriptors = theirs.detectAndCompute(grey, mask)
        found = sift.detect_and_compute(image, mask)
        reference = features(keypoints, descriptors, sift)
        peaks = Peaks(sift, image)
        one, two = decided(found, reference, peaks, count)
        failures = compare(in_order(one), in_order(two), peaks, count)
        if not sift.nfeatures and not np.array_equal(one.xy, two.xy):
            failures.append("another order")  # with nfeatures OpenCV leaves them in none
        if rng.random() < 0.3:
            given = random_keypoints(rng, grey.shape, found)
            _, descriptors = theirs.compute(grey, given.to_opencv()[0])
            again = sift.compute(image, given)
            expected = replace(given, descriptors=descriptors)
            failures += [f"compute: {f}" for f in compare(again, expected, peaks, count)]
    except (PixgradError, cv2.error) as error:
        failures = [f"refused: {error}"]
    except Exception:  # a crash is what is looked for
        failures = [traceback.format_exc()]
    return [f"{about}: {failure}" for failure in failures]


def features(keypoints, descriptors: np.ndarray | None, sift: Sift) -> Features:
    nothing = np.empty((0, 128), sift.descriptor_type)
    return Features.from_opencv(keypoints, nothing if descriptors is None else descriptors)


class Peaks:
    """How well the histogram of a keypoint determines an angle."""

    def __init__(self, sift: Sift, image: np.ndarray) -> None:
        self.sift, self.image, self.pyramid = sift, image, None

    def around(self, one: Features) -> tuple[float, float, float, float]:
        """The bin of a keypoint's angle, those before and after it; the highest one."""
        if self.pyramid is None:
            self.stages, self.pyramid = self.sift._pyramid(self.image)
        octave, layer = (int(v[0]) for v in unpack_octave(one.octave))
        layers = self.pyramid[octave + 1][layer : layer + 1]
        column, row = np.rint(one.xy[0] / 2.0**octave).astype(int)
        scale = one.size * np.float32(2.0**-octave / 2)
        maps = self.stages.gradients(layers)
        (bins,) = self.stages.histograms(*maps, np.array([[0, row, column]]), scale).astype(float)
        middle = round((360 - float(one.angle[0])) / 10)
        return *(bins[(middle + i) % BINS] for i in (-1, 0, 1)), bins.max()

    def allowed(self, one: Features) -> float:
        """Degrees by which errors of the bins, at their worst, turn the top of the parabola.

        It moves one way with each bin, so that the worst is at a corner of the box of errors.
        """
        bins = np.array(self.around(one)[:3])
        corners = bins * (1 + BIN_ERROR * np.array(list(product((-1, 1), repeat=3))))
        if (curvature(corners) >= 0).any():  # any place between the middles of the neighbours
            return 360 / BINS
        return ANGLE_ERROR + 360 / BINS * np.abs(top(corners) - top(bins)).max()

    def undecided(self, one: Features) -> bool:
        """Whether errors of the bins decide if this is a peak, and if it is high enough."""
        a, b, c, highest = self.around(one)
        near = 2 * BIN_ERROR * highest
        return min(abs(b - a), abs(b - c), abs(b - PEAK_RATIO * highest)) <= near


def curvature(bins: np.ndarray) -> np.ndarray:
    """Second difference of (…, 3) neighbouring bins."""
    return bins[..., 0] - 2 * bins[..., 1] + bins[..., 2]


def top(bins: np.ndarray) -> np.ndarray:
    """Where the parabola through (…, 3) neighbouring bins has its top, from the middle one."""
    return (bins[..., 0] - bins[..., 2]) / (2 * curvature(bins))


def decided(
    found: Features, reference: Features, peaks: Peaks, count: Count
) -> tuple[Features, Features]:
    """Both answers without the keypoints of one alone whose peaks errors of the bins decide."""
    if np.array_equal(found.xy, reference.xy):
        return found, reference
    answers = []
    for one, other in ((found, reference), (reference, found)):
        free = [k for k in alone(one, other) if peaks.undecided(one[k : k + 1])]
        count.undecided_peaks += len(free)
        answers.append(one[np.setdiff1d(np.arange(len(one)), free)])
    return answers[0], answers[1]


def compare(found: Features, reference: Features, peaks: Peaks, count: Count) -> list[str]:
    """Say where two answers in the same order differ by more than they may."""
    if len(found) != len(reference):
        return [f"{len(found)} keypoints, OpenCV has {len(reference)}"]
    count.keypoints += len(found)
    one, two = found, reference
    failures = [
        f"{name}: {np.count_nonzero((a != b).reshape(len(a), -1).any(axis=1))} of {len(a)} differ"
        for name in ("xy", "response", "octave")
        if not np.array_equal(a := getattr(one, name), b := getattr(two, name))
    ]
    if (np.abs(one.size - two.size) > SIZE_ERROR * two.size).any():
        failures.append(f"sizes: {np.abs(one.size - two.size).max()}")
    turn = np.abs((one.angle.astype(float) - two.angle + 180) % 360 - 180)
    for k in np.flatnonzero(turn > ANGLE_ERROR):
        allowed = peaks.allowed(one[k : k + 1])
        count.flat_peaks += 1
        count.most_of_allowed = max(count.most_of_allowed, float(turn[k] / allowed))
        if turn[k] > allowed:
            failures.append(f"angle {one.angle[k]}: {turn[k]} degrees, {allowed} are allowed")
    if one.descriptors.dtype != two.descriptors.dtype:
        failures.append(f"{one.descriptors.dtype} descriptors")
    gap = np.abs(one.descriptors.astype(int) - two.descriptors.astype(int))
    if (gap > LEVEL).any():
        failures.append(f"descriptors: {gap.max()} grey levels")
    count.other_descriptors += int(gap.any(axis=1).sum())
    count.other_angles += int((turn != 0).sum())
    return failures


def alone(one: Features, other: Features) -> list[int]:
    """Numbers of the keypoints of one answer that have no like in the other."""
    near = 180 / BINS  # peaks are farther apart
    angles = {}
    for key, angle in zip(keys(other), other.angle.astype(float), strict=True):
        angles.setdefault(key, []).append(angle)
    return [
        k
        for k, (key, angle) in enumerate(zip(keys(one), one.angle.astype(float), strict=True))
        if not any(abs((angle - a + 180) % 360 - 180) < near for a in angles.get(key, ()))
    ]


def keys(f: Features) -> list[tuple]:
    """What may not differ."""
    return list(zip(*f.xy.T.tolist(), f.response.tolist(), f.octave.tolist(), strict=True))


def in_order(f: Features) -> Features:
    """By what may not differ; angles of one point are far apart, but 0 may be 359.99997.

    (That is why the circle is cut elsewhere.)
    """
    angle = np.where(f.angle > 355, f.angle - 360, f.angle)
    return f[np.lexsort((angle, f.octave, f.response, f.xy[:, 1], f.xy[:, 0]))]


def random_picture(rng: np.random.Generator) -> np.ndarray:
    """Noise, texture, shapes, dots, waves, steps, flat: uint8, mostly small, down to a pixel."""
    h, w = (int(rng.integers(1, 400 if rng.random() < 0.1 else 140)) for _ in range(2))
    kind = int(rng.integers(0, 9))
    if kind == 0:
        return rng.integers(0, 256, (h, w), dtype=np.uint8)
    if kind == 1:
        block = int(rng.integers(2, 12))
        small = rng.integers(0, 256, (h // block + 1, w // block + 1), dtype=np.uint8)
        return np.ascontiguousarray(small.repeat(block, 0).repeat(block, 1)[:h, :w])
    if kind == 2:
        noise = rng.normal(size=(h, w)).astype(np.float32)
        widths = (1, 2, 4, 8, 16) if rng.random() < 0.5 else (float(rng.uniform(0.5, 6)),)
        return stretch(sum(s * cv2.GaussianBlur(noise, (0, 0), s) for s in widths))
    if kind == 3:
        return np.where(rng.random((h, w)) < rng.uniform(0.001, 0.1), 255, 0).astype(np.uint8)
    if kind == 4:
        y, x = np.mgrid[:h, :w]
        return stretch(np.sin(x * rng.uniform(0.05, 2)) * np.cos(y * rng.uniform(0.05, 2)))
    if kind == 5:
        levels, step = int(rng.integers(2, 5)), int(rng.integers(1, 60))
        return (rng.integers(0, levels, (h, w)) * step).astype(np.uint8)
    flat = np.full((h, w), int(rng.integers(0, 256)), np.uint8)
    for _ in range(int(rng.integers(1, 30)) if kind > 6 else 0):
        x, y, i, j = (int(v) for v in rng.integers(0, max(h, w), 4))
        if kind == 7:
            cv2.circle(flat, (x, y), 1 + i % 20, j % 256, -1)
        else:
            cv2.rectangle(flat, (x, y), (i, j), int(rng.integers(0, 256)), 1 + i % 3)
    return flat


def stretch(values: np.ndarray) -> np.ndarray:
    return np.rint(255 * (values - values.min()) / (np.ptp(values) + 1e-6)).astype(np.uint8)


def random_parameters(rng: np.random.Generator) -> dict:
    chosen = {}
    if rng.random() < 0.75:
        chosen["sigma"] = float(rng.uniform(0.3, 4))
    if rng.random() < 0.75:
        chosen["n_octave_layers"] = int(rng.integers(1, 9))
    if rng.random() < 0.6:
        some = (0.0, 0.005, 0.02, 0.08, 0.2, float(rng.uniform(0, 0.1)))
        chosen["contrast_threshold"] = some[rng.integers(0, len(some))]
    if rng.random() < 0.6:
        some = (0.0, 1.0, 2.0, 20.0, 1000.0, float(rng.uniform(0, 30)))
        chosen["edge_threshold"] = some[rng.integers(0, len(some))]
    if rng.random() < 0.3:
        chosen["conventions"] = "precise"
    if rng.random() < 0.3:
        chosen["nfeatures"] = int(rng.integers(1, 200))
    if rng.random() < 0.2:
        chosen["descriptor_type"] = "uint8"
    return chosen


def as_users_have_it(
    rng: np.random.Generator, picture: np.ndarray
) -> tuple[np.ndarray, np.ndarray, str]:
    """The picture in another type or layout, the grey bytes that it stands for, and its name."""
    form = int(rng.integers(0, 12))
    if form == 0:
        return picture / 255, picture, "float64 0…1"
    if form == 1:
        return (picture / 255).astype(np.float32), picture, "float32 0…1"
    if form == 2 and picture.max() >= 2:
        jitter = rng.uniform(-0.4, 0.4, picture.shape) * ((picture > 0) & (picture < 255))
        return (picture + jitter).astype(np.float32), picture, "float32 0…255"
    if form == 3:
        dtype = rng.choice(["int16", "uint16", "int32", "int64"])
        return picture.astype(dtype), picture, str(dtype)
    if form == 4:
        return picture > 127, (picture > 127) * np.uint8(255), "bool"
    if form == 5:
        colour = np.stack([picture, np.roll(picture, 1, 1), picture[::-1]], axis=2)
        return colour, cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), "RGB"
    if form == 6:
        return np.asfortranarray(picture), picture, "by columns"
    if form == 7:
        wide = np.zeros((picture.shape[0], 2 * picture.shape[1]), np.uint8)
        wide[:, ::2] = picture
        return wide[:, ::2], picture, "every second column"
    if form == 8:
        return picture[:, :, None], picture, "one channel"
    return picture, picture, "bytes"


def random_keypoints(rng: np.random.Generator, shape: tuple[int, int], found: Features) -> Features:
    """Some of the keypoints found, in any order, and some made by hand."""
    chosen = found[rng.permutation(len(found))[: int(rng.integers(0, 40))]]
    n = int(rng.integers(1, 10))
    place = rng.uniform(0, 1, (n, 2)) * np.array(shape[::-1])
    by_hand = [
        cv2.KeyPoint(float(x), float(y), float(rng.uniform(1, 40)), float(rng.uniform(0, 360)))
        for x, y in place.astype(np.float32)
    ]
    both = (*chosen.to_opencv()[0], *by_hand)
    return Features.from_opencv(both)


if __name__ == "__main__":
    main()
