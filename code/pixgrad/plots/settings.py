"""Figures of the chapter on settings."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import Tensor, nn

from pixgrad.nets.dropout import Dropout
from pixgrad.nets.small import SmallCNN
from pixgrad.plots.style import BLUE, GREY, RED, decimal_commas
from pixgrad.results.statistics import Difference

WIDTH, GAP, LINE = 2.35, 0.45, 0.42
"""Of the boxes and of their lines of text, in data units."""


def network(ax: Axes, net: SmallCNN, changed: Sequence[str]) -> None:
    """The layers of the small network, box by box, as its modules say.

    Parameters
    ----------
    changed : words of layers that the chapter changes: those are set in red.
    """
    boxes, lines = [["изображение", "3 × 32 × 32"]], []
    for layer in net.features:
        lines += _words(layer)
        if isinstance(layer, Dropout):
            boxes.append(lines)
            lines = []
    boxes.append(_words(net.hidden) + _words(net.activation) + _words(net.dropout))
    boxes.append([*_words(net.fc), "softmax"])
    height = LINE * max(map(len, boxes)) + 0.3
    for place, words in enumerate(boxes):
        left = place * (WIDTH + GAP)
        ax.add_patch(
            FancyBboxPatch(
                (left, -height / 2),
                WIDTH,
                height,
                boxstyle="round,pad=0.02,rounding_size=0.1",
                facecolor="white",
                edgecolor="#57606a",
            )
        )
        for row, word in enumerate(words):
            y = LINE * ((len(words) - 1) / 2 - row)
            color = RED if any(of in word for of in changed) else "#1f2328"
            ax.text(left + WIDTH / 2, y, word, ha="center", va="center", color=color)
        if place:
            arrow = {"arrowstyle": "-|>", "mutation_scale": 11, "color": "#57606a"}
            ax.add_patch(FancyArrowPatch((left - GAP, 0), (left - 0.03, 0), **arrow))
    ax.set(xlim=(-0.2, len(boxes) * (WIDTH + GAP)), ylim=(-height / 2 - 0.1, height / 2 + 0.1))
    ax.axis("off")


def _words(layer: nn.Module) -> list[str]:
    if isinstance(layer, nn.Conv2d):
        return ["свёртка {}×{}".format(*layer.kernel_size), f"каналов {layer.out_channels}"]
    if isinstance(layer, nn.Linear):
        return ["линейный", f"выходов {layer.out_features}"]
    if isinstance(layer, nn.MaxPool2d):
        return ["пулинг 2×2"]
    if isinstance(layer, Dropout):
        return ["dropout"]
    names = {nn.Tanh: "tanh", nn.ReLU: "ReLU"}
    return [names[type(layer)]] if type(layer) in names else []


def last_layers(
    axes: Sequence[Axes], losses: Mapping[str, Callable[[Tensor, Tensor], Tensor]], classes: int
) -> None:
    """Losses and their derivatives by the logit of the true class, all other logits being 0.

    Parameters
    ----------
    axes : two.
    losses : name in the book -> loss of logits (N, K) and labels (N,).
    """
    z = torch.linspace(-6, 6, 241, dtype=torch.float64)
    logits = torch.zeros(len(z), classes, dtype=torch.float64)
    logits[:, 0] = z
    logits.requires_grad_()
    label = torch.zeros(1, dtype=torch.long)
    for (name, loss), dash in zip(losses.items(), ("-", "--", "-.", ":"), strict=False):
        values = torch.stack([loss(row[None], label) for row in logits])
        (slopes,) = torch.autograd.grad(values.sum(), logits)
        axes[0].plot(z, values.detach(), dash, label=name)
        axes[1].plot(z, slopes[:, 0], dash, label=name)
    axes[0].set(ylim=(0, 14), ylabel="потери")
    axes[1].set(ylim=(-3, 1), ylabel="производная по логиту")
    for ax in axes:
        ax.set_xlabel("логит верного класса")
    decimal_commas(*axes)


def interaction(
    ax: Axes, lines: Mapping[str, Sequence[Sequence[float]]], ticks: Sequence[str]
) -> None:
    """Means of runs joined by lines: parallel ones — the changes just add up.

    Parameters
    ----------
    lines : name of a line -> for every tick the numbers of the runs, drawn as small dots.
    """
    for (name, points), color, dash in zip(
        lines.items(), (BLUE, RED, GREY), ("-", "--", ":"), strict=False
    ):
        ax.plot([np.mean(runs) for runs in points], dash, marker="o", color=color, label=name)
        for place, runs in enumerate(points):
            ax.plot([place] * len(runs), runs, ".", color=color, alpha=0.5, markersize=3.5)
    ax.set_xticks(range(len(ticks)), ticks)
    ax.set_xlim(-0.3, len(ticks) - 0.7)
    decimal_commas(ax)


def forest(ax: Axes, rows: Mapping[str, Difference], said: Mapping[str, int]) -> None:
    """Differences with intervals; an arrow at the left shows which way the report says.

    Parameters
    ----------
    said : row -> 1 the report says more, -1 less, 0 nothing.
    """
    for place, (name, one) in enumerate(rows.items()):
        ax.plot([one.low, one.high], [place, place], color=BLUE)
        ax.plot(one.estimate, place, "o", color=BLUE)
        if said[name]:
            arrow = "▶" if said[name] > 0 else "◀"
            ax.annotate(
                arrow,
                (0, place),
                (-10, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                color=RED,
                ha="center",
                va="center",
                annotation_clip=False,
            )
    ax.axvline(0, color="#444444", linewidth=0.8)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.tick_params(axis="y", pad=16)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    decimal_commas(ax)
