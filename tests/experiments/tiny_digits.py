"""Digits for the experiment on MNIST: made up, and learnable in a few epochs; without torch."""

from __future__ import annotations

import numpy as np

from pixgrad.experiments import mnist

SHORT = mnist.Config("relu", seed=1, epochs=4, train_images=250, batch_size=32, shift=1)


def digits(seed: int = 0) -> mnist.Digits:
    """Ten blurred random patterns with noise: learnable in a few epochs."""
    rng = np.random.default_rng(seed)
    patterns = np.kron(rng.integers(0, 200, (10, 7, 7)), np.ones((4, 4)))
    images, labels = {}, {}
    for part, count in (("train", 300), ("validation", 60), ("test", 80)):
        labels[part] = rng.integers(0, 10, count)
        noisy = patterns[labels[part]] + rng.integers(0, 56, (count, 28, 28))
        images[part] = noisy.astype(np.uint8)
    mean, std = float(images["train"].mean()), float(images["train"].std())
    return mnist.Digits(images, labels, mean, std, {"trainval": f"t{seed}", "test": "s"})
