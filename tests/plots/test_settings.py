"""Figures on settings: layers as the modules say, slopes of losses, lines and arrows."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pixgrad import nets
from pixgrad.plots import settings as ours
from pixgrad.plots.style import RED
from pixgrad.results.statistics import Difference
from pixgrad.training.losses import LOSSES


@pytest.fixture
def ax():
    yield plt.subplots()[1]
    plt.close("all")


def test_boxes_say_what_the_modules_are(ax):
    net = nets.build("small-cnn", 7, activation="tanh", first_kernel=2, channels=8)
    ours.network(ax, net, ("tanh",))
    words = [text.get_text() for text in ax.texts]
    assert words.count("tanh") == words.count("dropout") == 4
    assert words[2:4] == ["свёртка 2×2", "каналов 8"]
    assert words[-3:] == ["линейный", "выходов 7", "softmax"]
    red = {text.get_text() for text in ax.texts if text.get_color() == RED}
    assert red == {"tanh"}


def test_slopes_are_those_of_the_losses(ax):
    axes = [ax, plt.figure().add_subplot()]
    ours.last_layers(axes, LOSSES, classes=10)
    for values, slopes in zip(axes[0].lines, axes[1].lines, strict=True):
        z, loss = values.get_data()
        np.testing.assert_allclose(np.gradient(loss, z)[1:-1], slopes.get_ydata()[1:-1], atol=5e-3)
    p = np.exp(axes[1].lines[0].get_xdata())
    np.testing.assert_allclose(axes[1].lines[0].get_ydata(), p / (p + 9) - 1)


def test_lines_go_through_means_and_arrows_follow_the_report(ax):
    ours.interaction(ax, {"a": [[1, 3], [5, 6]], "b": [[0, 0], [1, 2]]}, ["x", "y"])
    assert ax.lines[0].get_ydata().tolist() == [2, 5.5]
    other = plt.figure().add_subplot()
    one = Difference(1.0, 0.5, 1.5, 1.0, 1.0, (5, 5))
    ours.forest(other, {"a": one, "b": one, "c": one}, {"a": 1, "b": -1, "c": 0})
    assert [text.get_text() for text in other.texts] == ["▶", "◀"]
