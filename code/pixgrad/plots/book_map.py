"""How the chapters stand on one another: the map of the first page."""

from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.patheffects import withStroke

from pixgrad.plots.style import BLUE, RED


class Place(NamedTuple):
    x: float
    row: int
    name: str


PARTS = (
    "Локальные дескрипторы",
    "Обратное распространение",
    "Свёртка и архитектуры",
    "Глубина",
    "За пределами свёртки и классификации",
)
CHAPTERS = {
    1: Place(1, 0, "SIFT\nна практике"),
    2: Place(2, 0, "Анатомия\nSIFT"),
    3: Place(3, 0, "Градиент\nSIFT"),
    4: Place(0, 0, "Сопостав-\nление"),
    5: Place(1.5, 1, "Обратный\nпроход"),
    6: Place(0.5, 1, "Сеть\nна NumPy"),
    7: Place(2.5, 1, "Оптими-\nзаторы"),
    8: Place(0, 2, "Свёртка\nи пулинг"),
    9: Place(1, 2, "От AlexNet\nдо ResNet"),
    10: Place(3, 2, "Переобу-\nчение"),
    11: Place(2, 2, "Ускорение\nи сжатие"),
    12: Place(0.5, 3, "CNN\nи ResNet"),
    13: Place(1.5, 3, "Затухание\nградиента"),
    14: Place(2.5, 3, "Adam\nи AdaMax"),
    15: Place(0, 4, "Vision\nTransformer"),
    16: Place(1, 4, "SSD"),
    17: Place(2, 4, "SpineNet"),
    18: Place(3, 4, "Настройки"),
}
"""Chapters by number: a column and a half-column are the ways of the long arrows."""
NEEDED = ((1, 2), (1, 4), (2, 3), (3, 5), (5, 6), (5, 7), (6, 8), (6, 9), (6, 11), (7, 10))
NEEDED += ((8, 9), (9, 11), (12, 13), (12, 14), (12, 15), (9, 16), (16, 17))
"""A chapter, and one that uses what it explains."""
MEASURED = ((2, 4), (5, 13), (7, 14), (9, 12), (10, 18))
"""A chapter with the theory, and the one with its long measurement."""
BENT = {(2, 4): 0.15, (12, 14): 0.15}
"""Arrows that go around a chapter between."""
WIDTH, HEIGHT, PITCH = 0.88, 0.52, 1.0
"""Of a box and between the rows; a column is 1."""
INK, PAPER = "#57606a", "#eeeeee"


def draw() -> Figure:
    """Chapters by parts, arrows from what is explained to what is built on it."""
    figure, ax = plt.subplots(figsize=(4.4, 5.9))
    for row, part in enumerate(PARTS):
        where = (-WIDTH / 2, 0.46 - row * PITCH + 0.06 * (row == 0))
        halo = [withStroke(linewidth=3, foreground="white")]
        ax.text(*where, part, fontsize=8.5, color=INK, va="bottom", path_effects=halo, zorder=4)
    for number, (x, row, name) in CHAPTERS.items():
        corner = (x - WIDTH / 2, -row * PITCH - HEIGHT / 2 + 0.1)
        look = {"boxstyle": "round,pad=0,rounding_size=0.06", "facecolor": PAPER, "edgecolor": INK}
        ax.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, linewidth=0.8, **look))
        ax.text(
            x,
            corner[1] + HEIGHT / 2,
            f"{number}. {name}",
            fontsize=8.5,
            ha="center",
            va="center",
            linespacing=1.05,
        )
    for pairs, color, dashes in ((NEEDED, BLUE, "-"), (MEASURED, RED, (0, (4, 1.5)))):
        for pair in pairs:
            _arrow(ax, *pair, color=color, linestyle=dashes, linewidth=1.2)
    bottom = -len(PARTS) * PITCH + 0.25
    ax.add_patch(FancyBboxPatch((-WIDTH / 2, bottom), 3 + WIDTH, 0.28, linewidth=0.8, **look))
    ax.text(1.5, bottom + 0.14, "19. Выводы: из всех глав", fontsize=8.5, ha="center", va="center")
    for x, words, color, dashes in (
        (-0.42, "нужна дальше", BLUE, "-"),
        (1.5, "теория → измерение", RED, (0, (4, 1.5))),
    ):
        ax.plot([x, x + 0.32], 2 * [bottom - 0.2], color=color, linestyle=dashes, linewidth=1.6)
        ax.text(x + 0.4, bottom - 0.2, words, fontsize=8.5, va="center")
    ax.set(xlim=(-0.5, 3.5), ylim=(bottom - 0.32, 0.75))
    ax.axis("off")
    return figure


def _arrow(ax: plt.Axes, first: int, then: int, **look) -> None:
    """Between the sides of two boxes that face each other."""
    start, end = CHAPTERS[first], CHAPTERS[then]
    if start.row == end.row:
        side = 1 if end.x > start.x else -1
        over = (first, then) in BENT
        dx, dy = (0, HEIGHT / 2) if over else (side * WIDTH / 2, 0)
        ends = [(start.x + dx, dy), (end.x + (0 if over else -dx), dy)]
        curve = -side * BENT[first, then] if over else 0
    else:
        lean = 0.3 * (end.x - start.x)
        lean = max(-0.3, min(0.3, lean))
        ends = [(start.x + lean, -HEIGHT / 2), (end.x - lean, HEIGHT / 2)]
        curve = 0
    points = [
        (x, y - one.row * PITCH + 0.1) for (x, y), one in zip(ends, (start, end), strict=True)
    ]
    style = {"arrowstyle": "-|>", "mutation_scale": 8, "shrinkA": 0, "shrinkB": 0}
    ax.add_patch(
        FancyArrowPatch(*points, connectionstyle=f"arc3,rad={curve}", zorder=3, **style, **look)
    )
