"""Figures of the chapter on architectures: blocks as their modules are, rows of layers, errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from torch import fx, nn

from pixgrad.nets import weighted_layers
from pixgrad.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED

ILSVRC = (
    (2010, 28.2, "SIFT, SVM"),
    (2011, 25.8, "векторы Фишера"),
    (2012, 16.4, "AlexNet"),
    (2013, 11.7, "Clarifai"),
    (2014, 6.7, "GoogLeNet"),
    (2015, 3.57, "ResNet"),
    (2016, 2.99, "ансамбль"),
    (2017, 2.25, "SENet"),
)
"""Top-5 error of the winners on the test images, %: Russakovsky et al. (2015) up to 2014;
He et al. (2016), Hu et al. (2018) after it."""
HUMAN = 5.1
"""Of the better of two people who trained for it, % (Russakovsky et al., 2015, section 6.4)."""
COLORS = {"conv": BLUE, "linear": RED, "pool": GREEN, "join": ORANGE, "input": GREY}
WIDTH, HEIGHT, GAP = 1.5, 0.62, 0.42


@dataclass
class Box:
    """One box of a block diagram.

    Attributes
    ----------
    before : numbers of the boxes whose outputs come in.
    """

    kind: str
    label: str
    before: list[int] = field(default_factory=list)


def boxes(block: nn.Module) -> list[Box]:
    """What a block is made of, in the order of execution, followed through its own code.

    A convolution stands with its normalisation and activation; the first box is the input.
    """
    modules, found, at = dict(block.named_modules()), [], {}
    for node in fx.symbolic_trace(block).graph.nodes:
        before = [at[one] for one in node.all_input_nodes]
        module = modules.get(node.target) if node.op == "call_module" else None
        if node.op == "output":
            break
        if node.op == "placeholder":
            found.append(Box("input", "вход"))
        elif isinstance(module, nn.Identity):
            at[node] = before[0]
            continue
        elif isinstance(module, nn.BatchNorm2d):
            found[before[0]].label += ", BN"
        elif isinstance(module, nn.ReLU) and found[before[0]].kind == "conv":
            found[before[0]].label += ", ReLU"
        elif isinstance(module, nn.ReLU):
            found.append(Box("join", "ReLU", before))
        elif isinstance(module, nn.Conv2d):
            found.append(Box("conv", _convolution(module), before))
        elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            word = "максимум" if isinstance(module, nn.MaxPool2d) else "среднее"
            found.append(Box("pool", f"{word} {_square(module.kernel_size)}", before))
        elif node.target is torch.cat:
            found.append(Box("join", "каналы подряд", before))
        else:
            found.append(Box("join", "+", before))
        passes = isinstance(module, nn.BatchNorm2d) or (
            isinstance(module, nn.ReLU) and found[before[0]].kind == "conv"
        )
        at[node] = before[0] if passes else len(found) - 1
    return found


def block_diagram(ax: Axes, block: nn.Module) -> None:
    """Draw a block as :func:`boxes` finds it: the signal goes down, branches side by side."""
    found = boxes(block)
    users = [[n for n, box in enumerate(found) if k in box.before] for k in range(len(found))]
    heads = [n for n in users[0] if found[n].kind != "join"]
    columns, rows = {0: (len(heads) - 1) / 2}, {0: 0}
    for number, box in enumerate(found[1:], start=1):
        rows[number] = 1 + max(rows[one] for one in box.before)
        single = box.kind != "join"
        columns[number] = (
            heads.index(number) if number in heads else columns[box.before[0]] if single else None
        )
        if columns[number] is None:
            columns[number] = columns[0] if len(heads) > 1 else columns[box.before[0]]
    for number, below in enumerate(users):
        if number and len(below) == 1 and found[below[0]].kind == "join":
            rows[number] = rows[below[0]] - 1  # nothing stands in the way of its arrow
    places = {
        number: (columns[number] * (WIDTH + 0.25), -rows[number] * (HEIGHT + GAP))
        for number in range(len(found))
    }
    for number, box in enumerate(found):
        _draw(ax, *places[number], box)
        for one in box.before:
            skips = rows[number] - rows[one] > 1 and columns[one] == columns[number]
            _arrow(ax, places[one], places[number], around=skips and len(users[one]) > 1)
    x, y = np.array(list(places.values())).T
    wide = 1.55 if any(len(box.before) > 1 and len(heads) == 1 for box in found) else 0.9
    ax.set(
        xlim=(x.min() - 0.9, x.max() + wide),
        ylim=(y.min() - 0.45, y.max() + 0.45),
        aspect="equal",
    )
    ax.axis("off")


def layer_row(ax: Axes, net: nn.Module, side: int) -> None:
    """The layers of a network from left to right: height — side of the map, width — channels.

    Both are on logarithmic scales: a layer with maps of 1x1 still has a height.
    """
    shapes: list[tuple[str, int, int]] = []

    def keep(kind: str):
        def hook(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            side = output.shape[2] if output.ndim == 4 else 1
            shapes.append((kind, output.shape[1], side))

        return hook

    weighted = [layer for _, layer in weighted_layers(net)]  # projections stand beside the path
    pools = [module for module in net.modules() if isinstance(module, nn.MaxPool2d)]
    hooks = [
        layer.register_forward_hook(keep("conv" if isinstance(layer, nn.Conv2d) else "linear"))
        for layer in weighted
    ] + [pool.register_forward_hook(keep("pool")) for pool in pools]
    with torch.no_grad():
        net(torch.zeros(1, 3, side, side, device="meta"))
    for hook in hooks:
        hook.remove()
    x, last = 0.0, None
    for kind, channels, height in shapes:
        width, tall = np.log2(channels) / 9, 0.35 + np.log2(height) / 2
        look = {"facecolor": COLORS[kind], "edgecolor": "white", "linewidth": 0.6}
        ax.add_patch(Rectangle((x, -tall / 2), width, tall, **look))
        if kind != "pool" and (channels, height) != last:
            ax.text(x + width / 2, tall / 2 + 0.12, f"{channels}", ha="center", fontsize=7.5)
            if kind == "conv":
                ax.text(x + width / 2, -tall / 2 - 0.4, f"{height}", ha="center", fontsize=7.5)
            last = channels, height
        x += width + 0.08
    ax.set(xlim=(-0.2, x + 0.1), ylim=(-2.9, 2.8))
    ax.axis("off")


def errors_by_year(ax: Axes) -> None:
    """Top-5 errors of the winners of ILSVRC; the horizontal line is a person."""
    years, errors, _ = zip(*ILSVRC, strict=True)
    networks = [year >= 2012 for year in years]
    colors = [BLUE if of else GREY for of in networks]
    bars = ax.bar(years, errors, color=colors, width=0.62)
    for bar, hatched in zip(bars, networks, strict=True):
        bar.set_hatch("" if hatched else "//")
        bar.set_edgecolor("white")
    for year, error, name in ILSVRC:
        number = f"{error:g}".replace(".", ",")
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        ax.text(
            year, error + 0.6, f"{number}\n{name}", ha="center", fontsize=7.5, bbox=behind, zorder=3
        )
    ax.axhline(HUMAN, color=RED, linestyle="--", linewidth=1)
    ax.text(2017.4, HUMAN + 3.2, "- - человек: 5,1", ha="right", color=RED, fontsize=7.5)
    ax.set(ylabel="ошибка топ-5, %", ylim=(0, 33), xticks=years, xlim=(2009.4, 2017.6))
    ax.grid(visible=False, axis="x")


def shares(ax: Axes, names: Sequence[str], parts: Mapping[str, Sequence[float]]) -> None:
    """Horizontal bars of parts one after another.

    Parameters
    ----------
    parts : its name -> its size in every bar; the first is blue, the second red and hatched.
    """
    left = np.zeros(len(names))
    looks = ({"color": BLUE}, {"color": RED, "hatch": "//", "edgecolor": "white"})
    for (part, values), look in zip(parts.items(), looks, strict=True):
        ax.barh(range(len(names)), values, left=left, label=part, height=0.62, **look)
        left += np.asarray(values)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")


def rate_curves(axes: Sequence[Axes], table, titles: Mapping[str, str], limit: float) -> None:
    """How far a network comes at every rate, with normalisation and without it.

    Parameters
    ----------
    table : columns activation, batch_norm, rate, loss; a row a run; what diverged has ``limit``.
    titles : activation -> title.
    """
    for ax, (activation, title) in zip(axes, titles.items(), strict=True):
        for norm, label, color, line in (
            (True, "с нормализацией", BLUE, "o-"),
            (False, "без неё", RED, "s--"),
        ):
            mine = table[(table["activation"] == activation) & (table["batch_norm"] == norm)]
            mean = mine.groupby("rate")["loss"].mean()
            ax.plot(mean.index, mean, line, color=color, label=label, markersize=4)
            ax.plot(mine["rate"], mine["loss"], ".", color=color, alpha=0.4, markersize=4)
        ax.axhline(limit, color=GREY, linewidth=0.8, linestyle=":")
        ax.set(xscale="log", title=title, xlabel="скорость обучения")
        rates = sorted(table["rate"].unique())
        ax.set_xticks(rates, [f"{rate:g}".replace(".", ",") for rate in rates], fontsize=8)
        ax.set_xticks([], minor=True)
    axes[-1].legend(fontsize=8, loc="lower left")


def _draw(ax: Axes, x: float, y: float, box: Box) -> None:
    width = 0.5 if box.label == "+" else WIDTH
    ax.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - HEIGHT / 2),
            width,
            HEIGHT,
            boxstyle="round,pad=0.0,rounding_size=0.08",
            facecolor="white",
            edgecolor=COLORS[box.kind],
            linewidth=1.4,
        )
    )
    head, comma, tail = box.label.partition(", ")
    lines = f"{head}\n{tail}" if comma else head
    ax.text(x, y, lines, ha="center", va="center", fontsize=7.5, color="#1f2328", linespacing=1.2)


def _arrow(ax: Axes, start: tuple, end: tuple, around: bool) -> None:
    (x0, y0), (x1, y1) = start, end
    look = {"arrowstyle": "-|>", "mutation_scale": 9, "color": "#57606a"}
    if around:
        # The skip connection: out of the side of one box, into the side of the other.
        right = x0 + WIDTH / 2 + 0.45
        ax.plot([x0, right, right], [y0 - 0.42, y0 - 0.42, y1], color=PURPLE, linewidth=1.4)
        look["color"] = PURPLE
        ax.add_patch(FancyArrowPatch((right, y1), (x1 + 0.25, y1), shrinkA=0, **look))
        return
    bottom, top = y0 - HEIGHT / 2, y1 + HEIGHT / 2
    if x0 != x1 and bottom - top > HEIGHT + GAP:
        # Past the boxes of the rows between: aside first, then straight down.
        ax.plot([x0, x1], [bottom, bottom - GAP], color=look["color"], linewidth=1)
        x0, bottom = x1, bottom - GAP
    ax.add_patch(FancyArrowPatch((x0, bottom), (x1, top), shrinkA=0, shrinkB=1, **look))


def _convolution(layer: nn.Conv2d) -> str:
    stride = f"/{layer.stride[0]}" if layer.stride[0] > 1 else ""
    return f"{_square(layer.kernel_size[0])}{stride} → {layer.out_channels}"


def _square(size: int) -> str:
    return f"{size}×{size}"
