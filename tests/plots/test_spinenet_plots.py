"""Graphs of networks over scales, and costs by scale."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

pytest.importorskip("IPython")
pytest.importorskip("torch")

from pixgrad.nets.spinenet import TABLE, VARIANTS
from pixgrad.plots import spinenet


def test_spinenet_has_its_blocks_and_two_parents_each():
    nodes, edges = spinenet.spinenet_graph(VARIANTS["49"])
    assert len(nodes) == 17
    assert sorted(node.level for node in nodes if node.output) == [3, 4, 5, 6, 7]
    assert len(edges) == 1 + 2 * len(TABLE) + 1  # the stem's, the parents, the free block
    assert (11, 14) in edges
    assert all(start < end for start, end in edges)


def test_resnet_goes_down_and_the_pyramid_up():
    nodes, edges = spinenet.resnet_fpn_graph()
    assert [node.level for node in nodes] == [2] * 3 + [3] * 4 + [4] * 6 + [5] * 3 + [5, 4, 3, 6, 7]
    assert sorted(node.level for node in nodes if node.output) == [3, 4, 5, 6, 7]
    assert {(6, 18), (12, 17), (15, 16), (16, 17), (17, 18), (16, 19), (19, 20)} <= set(edges)
    assert len(edges) == 15 + 7


def test_graph_shows_every_block_at_its_level():
    nodes, edges = spinenet.spinenet_graph(VARIANTS["49"])
    _, ax = plt.subplots()
    spinenet.scale_graph(ax, nodes, edges, "title")
    assert len(ax.patches) == len(edges)
    shown = [line.get_xydata()[0].tolist() for line in ax.lines]
    assert shown == [[number, node.level] for number, node in enumerate(nodes)]
    assert [text.get_text() for text in ax.texts] == [str(number) for number in range(17)]
    low, high = ax.get_ylim()
    assert low > high  # fine maps are above
    plt.close()


def test_bars_are_shares_of_each_network():
    _, ax = plt.subplots()
    spinenet.cost_by_level(ax, {"a": {1: 1.0, 3: 3.0}, "b": {2: 5.0}})
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(2, 7)
    np.testing.assert_allclose(heights, [[25, 0, 75, 0, 0, 0, 0], [0, 100, 0, 0, 0, 0, 0]])
    plt.close()
