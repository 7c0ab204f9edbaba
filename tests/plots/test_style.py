"""The style: reproducible SVG, Cyrillic, decimal commas, compressed photographs."""

import io
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from pixgrad.plots import raster, style


@pytest.fixture(autouse=True)
def book_style():
    with plt.rc_context():
        style.use_style()
        yield
    plt.close("all")


def drawn():
    figure, ax = plt.subplots(figsize=(3, 2))
    ax.plot([0, 0.5, 1], [-0.5, 0.25, 1.5], label="точность ёжика «№ 1» — ∂L/∂x")
    style.decimal_commas(ax)
    ax.legend()
    return figure, ax


def test_svg_is_the_same_every_time_and_shows_every_letter():
    files = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "Glyph … missing" is a warning
        for _ in range(2):
            buffer = io.BytesIO()
            drawn()[0].savefig(buffer, format="svg", metadata={"Date": None})
            files.append(buffer.getvalue())
    assert files[0] == files[1]


def test_ticks_have_decimal_commas():
    figure, ax = drawn()
    figure.canvas.draw()
    labels = [tick.get_text() for tick in ax.get_xticklabels()]
    assert "0,2" in labels and "\u22120,2" in labels
    assert not any("." in label for label in labels)


def test_log_axes_keep_their_powers():
    figure, ax = drawn()
    ax.set_yscale("log")
    style.decimal_commas(ax)
    ax.set_ylim(1e-3, 1)
    figure.canvas.draw()
    assert any("10^{" in tick.get_text() for tick in ax.get_yticklabels())


def test_palette_differs_in_grey_for_the_first_colours():
    """Neighbours of the cycle must not be one shade in a grey print."""
    colors = [np.array(plt.matplotlib.colors.to_rgb(c)) for c in (style.BLUE, style.ORANGE)]
    luma = [color @ [0.299, 0.587, 0.114] for color in colors]
    assert abs(luma[0] - luma[1]) > 0.2


def test_photo_is_a_jpeg_much_smaller_than_png():
    figure, ax = plt.subplots(figsize=(4, 3))
    noise = np.random.default_rng(0).normal(size=(300, 400)).cumsum(0).cumsum(1)
    ax.imshow(noise)
    shown = raster.photo(figure)
    assert not plt.fignum_exists(figure.number)
    with Image.open(io.BytesIO(shown.data)) as image:
        assert image.format == "JPEG"
        assert image.size[0] == pytest.approx(4 * raster.DPI, rel=0.1)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=raster.DPI)
    assert len(shown.data) < 0.6 * len(buffer.getvalue())


@pytest.mark.parametrize(("high", "scale"), [(2.9, "linear"), (30, "log")])
def test_losses_that_differ_many_times_get_a_logarithmic_axis(high, scale):
    _, ax = plt.subplots()
    ax.set_ylim(1, high)
    style.loss_axis(ax)
    assert ax.get_yscale() == scale
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert {"1,5", "1,50"} & {*labels} and not any("." in label for label in labels)


def test_last_bits_do_not_move_the_axes():
    """Limits that differ in their last bits give tick labels and margins that do."""
    places = []
    with plt.style.context("pixgrad.plots.figures"):
        for nudge in (0.0, 1e-13):
            figure, axes = plt.subplots(1, 3, figsize=(7.3, 2.9))
            for ax, top in zip(axes, (7.7, 310, 5e4), strict=True):
                ax.loglog([1, 2, 3], [1, top * (1 + nudge), 2])
                ax.set_ylabel("подпись")
            colorbar = figure.colorbar(axes[0].scatter([1], [1], c=[1]), ax=axes[0])
            colorbar.set_label("шкала")
            figure.canvas.draw()
            figure.canvas.draw()  # a second time it is laid out anew
            places.append([ax.get_position(original=True).get_points() for ax in figure.axes])
            assert isinstance(figure.get_layout_engine(), style.SteadyLayout)
            plt.close(figure)
    np.testing.assert_array_equal(*places)
    np.testing.assert_allclose(places[0], np.round(places[0], 4), rtol=0, atol=1e-12)
    assert len(np.unique(np.array(places[0])[:, 0, 0])) == 4
