"""Rounding leaves no trace in the bytes of a figure, and the picture stays the same."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from pixgrad.book.executing.steady_svg import steady


def figure(nudge: float) -> str:
    """A plot with markers, a clip, a label, an image; everything is ``nudge`` off."""
    with mpl.rc_context({"svg.hashsalt": "pixgrad", "svg.fonttype": "path"}):
        fig, axes = plt.subplots(1, 2, figsize=(4 + nudge, 2))
        x = np.linspace(0, 1, 30)
        axes[0].plot(x, np.sin(5 * x) * (1 + nudge), "o-", markersize=3 + nudge)
        axes[0].fill_between(x, x, x**2)
        axes[1].imshow(np.eye(3), extent=(0, 3.3 + nudge, 0, 3))
        axes[1].text(1, 1, "0,5", rotation=30, fontsize=9.5)
        buffer = io.StringIO()
        fig.savefig(buffer, format="svg", metadata={"Date": None})
        plt.close(fig)
    return buffer.getvalue()


def test_last_digits_leave_no_trace():
    plain, nudged = figure(0.0), figure(1e-9)
    assert plain != nudged
    assert steady(plain) == steady(nudged)
    assert steady(steady(plain)) == steady(plain)


def test_what_is_drawn_is_the_same():
    """Coordinates to 0.005 pt; scales, angles, colours and widths as they were."""
    was, now = figure(0.0), steady(figure(0.0))
    number = re.compile(r"-?\d+\.?\d*(?:e-?\d+)?")
    hashed = re.compile(r"\b(?:s[0-9a-f]{8}-\d+|\w*?[0-9a-f]{10})\b")
    texts = [hashed.sub("name", re.sub(r'base64,[^"]*', "", of)) for of in (was, now)]
    assert number.sub("0", texts[0]) == number.sub("0", texts[1])
    pairs = [number.findall(of) for of in texts]
    assert np.abs(np.subtract(*(np.array(of, float) for of in pairs))).max() <= 0.005 + 1e-9
    for exact in (r"scale\([^)]*\)", r"rotate\([^)]*\)", r'style="[^"]*"'):
        assert re.findall(exact, texts[0]) == re.findall(exact, texts[1])


def test_every_name_is_defined_once_and_differs_between_pictures():
    one, two = steady(figure(0.0)), steady(figure(0.3))
    names = [element.get("id") for element in ET.fromstring(one).iter() if element.get("id")]
    assert len(names) == len(set(names))
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', one))
    assert used and used <= set(names)
    of_two = set(re.findall(r'id="(s[0-9a-f]{8}-\d+)"', two))
    assert of_two and not of_two & set(names)


@pytest.mark.parametrize(
    "other", ["<svg/>", '<svg><path id="p0123456789" d="M 0.12345 0 "/></svg>']
)
def test_another_programs_picture_is_left_alone(other):
    assert steady(other) == other


def test_a_zero_has_no_sign():
    assert 'd="M 0 0 L 0 -7.5"' in steady(
        '<svg><dc:title>Matplotlib v3</dc:title><path d="M -0 0.0001 L -0.004 -7.5"/></svg>'
    )
