"""Features and pairs made by hand, of which everything is known."""

from __future__ import annotations

import numpy as np

from pixgrad.data import Pair
from pixgrad.sift import Features

SHAPE = (200, 300)
H = np.array([[0.9, -0.2, 12], [0.15, 1.05, -7], [2e-4, -1e-4, 1]])


def features(count: int, seed: int) -> Features:
    """Random points, sizes and descriptors."""
    rng = np.random.default_rng(seed)
    xy = rng.uniform([0, 0], SHAPE[::-1], (count, 2))
    descriptors = rng.integers(0, 256, (count, 128)).astype(np.float32)
    size, zeros = rng.uniform(2, 20, count), np.zeros(count)
    return Features(xy, size, zeros, np.ones(count), zeros.astype(np.int32), descriptors)


def made(xy: np.ndarray, size: float, descriptors: np.ndarray) -> Features:
    """Given points and descriptors, all of one size."""
    flat = np.zeros(len(xy), np.float32)
    same = np.full(len(xy), size, np.float32)
    return Features(
        np.asarray(xy, np.float32), same, flat, flat, flat.astype(int), np.asarray(descriptors)
    )


def described(descriptors: np.ndarray) -> Features:
    """Descriptors at any points."""
    return made(np.zeros((len(descriptors), 2)), 1, descriptors)


def plane() -> tuple[Features, Features, np.ndarray]:
    """Eight features, their images under a known map, and the map."""
    homography = np.array([[0, -1.2, 260], [1.2, 0, -20], [0, 0, 1]])
    xy = np.array([[40 * i + 30, 40 * j + 60] for i in range(4) for j in range(2)], float)
    there = np.column_stack([260 - 1.2 * xy[:, 1], 1.2 * xy[:, 0] - 20])
    descriptors = np.random.default_rng(3).integers(0, 60, (8, 128)).astype(np.float32)
    return made(xy, 6, descriptors), made(there, 6 * 1.2, descriptors), homography


def pair(homography: np.ndarray = H, shape: tuple[int, int] = SHAPE) -> Pair:
    """Two blank views."""
    image = np.zeros(shape, np.uint8)
    return Pair("s", 2, "", image, image, "", "", homography)


def mapped(homography: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """x' ~ H x, written out."""
    rows = np.column_stack([xy, np.ones(len(xy))]) @ np.asarray(homography).T
    return rows[:, :2] / rows[:, 2:]
