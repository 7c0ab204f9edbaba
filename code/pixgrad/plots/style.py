"""The one look of all figures."""

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, ScalarFormatter
from matplotlib.transforms import Bbox

BLUE, RED, GREEN, PURPLE, ORANGE, SKY, BLACK = (
    "#0072B2",
    "#CC3311",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
"""Okabe and Ito's colours, in the order of the style's cycle, but for the second: their vermilion
is orange to the eye, Tol's red (2021) is farther from their orange in any colour vision."""
GREY = "#8c939c"
"""Of what only helps to read: levels, links between points."""

PICTURE = {"xticks": [], "yticks": [], "frame_on": False}
"""``subplot_kw`` of axes that hold nothing but a picture."""


def use_style() -> None:
    """Switch Matplotlib to the book's style; in a notebook also make the SVG reproducible."""
    plt.style.use("pixgrad.plots.figures")
    try:
        from matplotlib_inline.config import InlineBackend
    except ImportError:  # outside notebooks
        return
    if InlineBackend.initialized():
        settings = InlineBackend.instance()
        settings.print_figure_kwargs = {
            "bbox_inches": "tight",
            "pad_inches": 0.1,
            "metadata": {"Date": None},  # else every execution writes another file
        }


class SteadyLayout(ConstrainedLayoutEngine):
    """Constrained layout with axes at rounded places.

    The solver's tolerance lets the last bit of a logarithm move all axes by up to 1e-7 of the
    figure, and each processor has its own last bits.
    """

    def execute(self, fig: Figure) -> None:
        super().execute(fig)
        for ax in fig.axes:
            if ax.get_in_layout():
                place = ax.get_position(original=True).get_points().round(4)
                ax.set_position(Bbox(place), which="original")
                ax.set_in_layout(True)  # for the next time: a place set by hand takes it out


def steady_layout(figure: Figure) -> None:
    """Give a new figure :class:`SteadyLayout` in place of the constrained one: a hook of pyplot."""
    engine = figure.get_layout_engine()
    if type(engine) is ConstrainedLayoutEngine:
        figure.set_layout_engine(SteadyLayout(**engine.get()))


class CommaFormatter(ScalarFormatter):
    """Tick labels with a decimal comma: 0,25."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return super().__call__(x, pos).replace(".", ",")


def decimal_commas(*axes: mpl.axes.Axes) -> None:
    """Write the numbers of linear axes with a decimal comma."""
    for ax in axes:
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() == "linear" and isinstance(
                axis.get_major_formatter(), ScalarFormatter
            ):
                axis.set_major_formatter(CommaFormatter())


def draw_band(ax: mpl.axes.Axes, x, value, low, high, **line) -> None:
    """A curve with its interval as a band of the same colour."""
    (drawn,) = ax.plot(x, value, **line)
    ax.fill_between(x, low, high, color=drawn.get_color(), alpha=0.2, linewidth=0)


def loss_axis(ax: mpl.axes.Axes) -> None:
    """Losses that differ many times get a logarithmic axis, with numbers read at a glance."""
    low, high = ax.get_ylim()
    if low > 0 and high < 3 * low:
        decimal_commas(ax)
        return
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 50) if low <= tick <= high]
    ax.set_yticks(ticks, [f"{tick:g}".replace(".", ",") for tick in ticks])
    ax.set_yticks([], minor=True)


def legend_below(figure: mpl.figure.Figure, ax: mpl.axes.Axes, columns: int = 4) -> None:
    """One legend under all axes, where it hides no curve."""
    figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def percent_ticks(axis: Axis) -> None:
    """Label an axis of shares 0 … 1 in per cent."""
    axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f}\N{NBSP}%"))
