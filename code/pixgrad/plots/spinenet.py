"""Figures of the chapter on SpineNet: networks as graphs over scales, costs by scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch

from pixgrad.nets.spinenet import ALL, STEM, TABLE, Variant, joined
from pixgrad.plots.style import BLUE, GREEN, GREY, ORANGE, RED


@dataclass(frozen=True)
class Node:
    """A block of a network.

    Attributes
    ----------
    level : its maps have size / 2^level.
    kind : "bottleneck", "residual" or "merge" — no block, a sum of maps.
    output : it gives an output of the network.
    """

    level: int
    kind: str
    output: bool = False


def spinenet_graph(variant: Variant) -> tuple[list[Node], list[tuple[int, int]]]:
    """Blocks of SpineNet in their order, and its connections (from, to)."""
    nodes = [
        Node(spec.level, "bottleneck" if spec.bottleneck else "residual", spec.output)
        for spec in ALL
    ]
    joints = joined(variant)
    edges = [
        (parent, number)
        for number, spec in enumerate(TABLE, STEM)
        for parent in (*spec.parents, *joints.get(number, ()))
    ]
    return nodes, [(0, 1), *edges]


def resnet_fpn_graph() -> tuple[list[Node], list[tuple[int, int]]]:
    """Blocks of ResNet-50, then the sums of the pyramid and its two coarser levels."""
    levels = [2] * 3 + [3] * 4 + [4] * 6 + [5] * 3
    nodes = [Node(level, "bottleneck") for level in levels]
    edges = [(number, number + 1) for number in range(len(levels) - 1)]
    ends = {level: max(i for i, of in enumerate(levels) if of == level) for level in (3, 4, 5)}
    first = len(levels)
    for number, level in enumerate((5, 4, 3)):
        nodes.append(Node(level, "merge", output=True))
        edges.append((ends[level], first + number))
        if number:
            edges.append((first + number - 1, first + number))
    for number, (level, parent) in enumerate(((6, first), (7, first + 3))):
        nodes.append(Node(level, "merge", output=True))
        edges.append((parent, first + 3 + number))
    return nodes, edges


def scale_graph(
    ax: Axes, nodes: Sequence[Node], edges: Sequence[tuple[int, int]], title: str
) -> None:
    """Blocks from left to right in the order of computing, fine scales above.

    Squares are bottlenecks, diamonds residual blocks, circles sums; what gives an output is filled.
    Numbers are those of the block table.
    """
    looks = {"bottleneck": ("s", BLUE), "residual": ("D", ORANGE), "merge": ("o", GREEN)}
    for start, end in edges:
        near = end - start == 1 and nodes[start].level == nodes[end].level
        bend = 0 if near else (0.22 if nodes[start].level < nodes[end].level else -0.22)
        ax.add_patch(
            FancyArrowPatch(
                (start, nodes[start].level),
                (end, nodes[end].level),
                connectionstyle=f"arc3,rad={bend}",
                arrowstyle="-|>",
                mutation_scale=7,
                color=GREY,
                linewidth=0.9,
                shrinkA=7,
                shrinkB=7,
                zorder=1,
            )
        )
    for number, node in enumerate(nodes):
        marker, color = looks[node.kind]
        face = color if node.output else "white"
        ax.plot(
            number, node.level, marker, markersize=12, color=color, markerfacecolor=face, zorder=2
        )
        ink = "white" if node.output else "#1f2328"
        ax.text(
            number,
            node.level,
            str(number),
            ha="center",
            va="center",
            fontsize=7,
            color=ink,
            zorder=3,
        )
    ax.set(title=title, xlim=(-0.8, len(nodes) - 0.2), ylim=(7.6, 1.4), ylabel="уровень")
    ax.set_yticks(range(2, 8), [f"{level}: 1/{2**level}" for level in range(2, 8)])
    ax.set_xticks([])
    ax.grid(axis="x", visible=False)


def cost_by_level(ax: Axes, costs: Mapping[str, Mapping[int, float]]) -> None:
    """Bars: the share of a network's multiply-adds that is spent at every scale.

    Parameters
    ----------
    costs : network -> level -> multiply-adds.
    """
    levels = range(1, 8)
    width = 0.8 / len(costs)
    looks = zip(costs.items(), (RED, BLUE, GREEN), ("", "//", ".."), strict=False)
    for number, ((name, by_level), color, hatch) in enumerate(looks):
        whole = sum(by_level.values())
        shares = np.array([100 * by_level.get(level, 0) / whole for level in levels])
        places = np.arange(len(levels)) + (number - (len(costs) - 1) / 2) * width
        look = {"color": f"{color}b0", "edgecolor": "white", "hatch": hatch}
        ax.bar(places, shares, width, label=name, **look)
    ax.set_xticks(np.arange(len(levels)), [f"{level}\n1/{2**level}" for level in levels])
    ax.set(xlabel="уровень (доля стороны изображения)", ylabel="доля умножений, %")
    ax.legend()
    ax.grid(axis="x", visible=False)
