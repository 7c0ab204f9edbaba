"""The cover: a photograph as pixels, then its SIFT keypoints, then its gradient, left to right."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from PIL import Image

from pixgrad.data.photos import photo
from pixgrad.plots.features import draw_keypoints
from pixgrad.plots.style import ORANGE, SKY
from pixgrad.sift import Sift

WIDTH, HEIGHT = 1600, 640  # pixels
_BLOCKS = (64, 32, 16, 8)
"""Side of the pixels in the strips from the left edge to a third of the width."""
_DARK = np.array([21, 24, 28])
_MAP = LinearSegmentedColormap.from_list("gradient", ["#3a4250", SKY, ORANGE])


def draw(path: Path, name: str = "chelsea") -> None:
    """Write the cover as a JPEG.

    Parameters
    ----------
    name : a photograph of scikit-image, public domain or CC0.
    """
    picture = _cropped(photo(name).image)
    features = Sift().detect_and_compute(picture)
    grey = picture.mean(axis=2)
    figure = plt.figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    ax.imshow(_faded(_pixelated(picture)), interpolation="nearest", aspect="auto")
    ax.set(xlim=(0, WIDTH), ylim=(HEIGHT, 0))
    ax.set_axis_off()
    x = features.xy[:, 0]
    shown = (x > 0.33 * WIDTH) & (x < 0.68 * WIDTH) & (features.size > 5)
    draw_keypoints(ax, features.xy[shown], features.size[shown], features.angle[shown], ORANGE)
    _draw_gradient(ax, grey, start=int(0.66 * WIDTH))
    figure.canvas.draw()
    drawn = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    plt.close(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn).save(path, "JPEG", quality=72, optimize=True, progressive=True)


def _cropped(image: np.ndarray) -> np.ndarray:
    """The middle of a photograph at the cover's size, (HEIGHT, WIDTH, 3)."""
    height, width = image.shape[:2]
    part = round(width * HEIGHT / WIDTH)
    top = max(0, (height - part) // 3)
    whole = Image.fromarray(image[top : top + part])
    return np.asarray(whole.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def _pixelated(picture: np.ndarray) -> np.ndarray:
    """The left third in squares that shrink to the right."""
    result = picture.astype(float)
    strip = WIDTH // 3 // len(_BLOCKS) // _BLOCKS[0] * _BLOCKS[0]
    for number, side in enumerate(_BLOCKS):
        columns = slice(number * strip, (number + 1) * strip)
        part = result[:, columns]
        means = part.reshape(HEIGHT // side, side, strip // side, side, 3).mean(axis=(1, 3))
        result[:, columns] = means.repeat(side, axis=0).repeat(side, axis=1)
    return result


def _faded(picture: np.ndarray) -> np.ndarray:
    """The right third sinks into the dark."""
    share = np.clip((np.arange(WIDTH) / WIDTH - 0.6) / 0.2, 0, 0.93)[None, :, None]
    return ((1 - share) * picture + share * _DARK).round().astype(np.uint8)


def _draw_gradient(ax, grey: np.ndarray, start: int, step: int = 20) -> None:
    """Arrows along the gradient of the brightness, longer where it is steeper."""
    down, right = np.gradient(np.asarray(Image.fromarray(grey).resize((WIDTH // 4, HEIGHT // 4))))
    y, x = np.mgrid[step // 2 : HEIGHT : step, start:WIDTH:step]
    u, v = right[y // 4, x // 4], down[y // 4, x // 4]
    scale = np.sqrt(np.hypot(u, v))
    ax.quiver(x, y, u, v, scale, cmap=_MAP, angles="xy", pivot="mid", width=0.0016, scale=900)
