"""Diagrams of blocks: what the modules are is what is drawn."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest

pytest.importorskip("torch")

from pixgrad import nets
from pixgrad.nets.blocks import BasicBlock, Bottleneck
from pixgrad.nets.googlenet import Inception, NaiveInception
from pixgrad.plots import architectures

CASES = {
    "naive": (NaiveInception(8, 4, 6, 2, batch_norm=False), ["conv"] * 3 + ["pool", "join"]),
    "reduced": (
        Inception(8, 4, 3, 6, 1, 2, 5, kernel=5),
        ["conv"] * 5 + ["pool", "conv", "join"],
    ),
    "basic": (BasicBlock(8, 8, skip="b"), ["conv", "conv", "join", "join"]),
    "bottleneck": (Bottleneck(8, 4, 2, skip="b"), ["conv"] * 4 + ["join", "join"]),
}


@pytest.mark.parametrize("name", CASES)
def test_boxes_follow_the_code_of_the_block(name):
    block, kinds = CASES[name]
    found = architectures.boxes(block)
    assert [box.kind for box in found] == ["input", *kinds]
    assert all(max(box.before) < number for number, box in enumerate(found) if number)


def test_labels_and_skip_connection():
    first, second, add, relu = architectures.boxes(BasicBlock(8, 8, skip="b"))[1:]
    assert (first.label, second.label) == ("3×3 → 8, BN, ReLU", "3×3 → 8, BN")
    assert add.before == [2, 0]
    assert relu.before == [3]
    pooled = architectures.boxes(Inception(8, 4, 3, 6, 1, 2, 5, kernel=5, batch_norm=False))
    assert pooled[6].label == "максимум 3×3"
    assert pooled[5].label == "5×5 → 2, ReLU"
    assert len(pooled[-1].before) == 4
    shrunk = architectures.boxes(Bottleneck(8, 4, 2, skip="b"))
    assert shrunk[2].label == "3×3/2 → 4, BN, ReLU"


@pytest.mark.parametrize("name", CASES)
def test_every_box_is_drawn_once_and_none_covers_another(name):
    fig, ax = plt.subplots()
    block, kinds = CASES[name]
    architectures.block_diagram(ax, block)
    drawn = [patch for patch in ax.patches if hasattr(patch, "get_boxstyle")]
    drawn = [
        patch.get_bbox() for patch in drawn if patch.get_boxstyle().__class__.__name__ == "Round"
    ]
    assert len(drawn) == len(kinds) + 1
    for number, one in enumerate(drawn):
        assert not any(one.overlaps(other) for other in drawn[number + 1 :])
    plt.close(fig)


def test_a_row_has_a_rectangle_a_layer():
    fig, ax = plt.subplots()
    architectures.layer_row(ax, nets.skeleton("vgg-16", 10).eval(), 224)
    assert len(ax.patches) == 16 + 5
    texts = [text.get_text() for text in ax.texts]
    assert texts[:4] == ["64", "224", "128", "112"]
    plt.close(fig)


def test_errors_fall_and_pass_the_human():
    fig, ax = plt.subplots()
    architectures.errors_by_year(ax)
    heights = [bar.get_height() for bar in ax.patches]
    assert heights == sorted(heights, reverse=True)
    assert sum(height < architectures.HUMAN for height in heights) == 3
    plt.close(fig)


def test_rate_curves_have_a_line_a_network():
    rows = [
        {"activation": "relu", "batch_norm": norm, "rate": rate, "loss": 2 + norm * rate}
        for norm in (True, False)
        for rate in (0.1, 1.0)
    ]
    fig, ax = plt.subplots()
    architectures.rate_curves([ax], pd.DataFrame(rows), {"relu": "ReLU"}, 2.3)
    assert list(ax.lines[0].get_ydata()) == [2.1, 3]
    plt.close(fig)
