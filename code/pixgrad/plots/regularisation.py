"""Figures of the chapters on overfitting and on settings."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.polynomial import Polynomial

from pixgrad.plots.style import BLUE, GREY, RED, decimal_commas
from pixgrad.results.statistics import Difference, verdict

LAYERS = (3, 4, 4, 2)
"""Neurons of the network in the schematic of dropout."""


def polynomials(axes: Sequence[Axes], degrees: Sequence[int], seed: int) -> dict[int, np.ndarray]:
    """Polynomials of growing degree through ten noisy points of a sine, over other such points.

    Returns
    -------
    degree -> root mean square errors (2,), at the points and at 500 others.
    """
    generator = np.random.default_rng(seed)
    x, new = np.linspace(0, 1, 10), np.linspace(0, 1, 500)
    y, new_y = (
        np.sin(2 * np.pi * of) + 0.25 * generator.standard_normal(len(of)) for of in (x, new)
    )
    errors = {}
    for ax, degree in zip(axes, degrees, strict=True):
        fitted = Polynomial.fit(x, y, degree)
        ax.plot(new, np.sin(2 * np.pi * new), "--", color=GREY, label="без шума")
        ax.plot(new, fitted(new), color=BLUE, label="многочлен")
        ax.plot(x, y, "o", color=RED, label="обучение")
        ax.set(ylim=(-2, 2), xlabel="x", title=f"степень {degree}")
        pairs = ((x, y), (new, new_y))
        errors[degree] = np.array([np.sqrt(np.mean((fitted(a) - b) ** 2)) for a, b in pairs])
    axes[0].set_ylabel("y")
    decimal_commas(*axes)
    return errors


def dropout_network(ax: Axes, p: float, seed: int | None) -> None:
    """A small network; the neurons that a mask leaves out are crossed, their links gone.

    Parameters
    ----------
    p : probability of each hidden neuron to be left out.
    seed : of the mask; None — the whole network.
    """
    generator = np.random.default_rng(seed)
    places = [
        [(column, row - (count - 1) / 2) for row in range(count)]
        for column, count in enumerate(LAYERS)
    ]
    kept = [
        [seed is None or column in (0, len(LAYERS) - 1) or generator.random() >= p for _ in layer]
        for column, layer in enumerate(places)
    ]
    for column in range(len(LAYERS) - 1):
        for start, here in zip(places[column], kept[column], strict=True):
            for end, there in zip(places[column + 1], kept[column + 1], strict=True):
                if here and there:
                    ax.plot(*zip(start, end, strict=True), color=GREY, linewidth=0.7, zorder=1)
    for layer, alive in zip(places, kept, strict=True):
        for (x, y), on in zip(layer, alive, strict=True):
            face, edge = (BLUE, BLUE) if on else ("white", RED)
            ax.plot(x, y, "o", color=face, markeredgecolor=edge, markersize=11, zorder=2)
            if not on:
                ax.plot(x, y, "x", color=RED, markersize=7, zorder=3)
    ax.set(xlim=(-0.4, len(LAYERS) - 0.6), ylim=(-2, 2))
    ax.axis("off")


def shrinkage(ax: Axes, curvature: tuple[float, float], best: np.ndarray, decays) -> np.ndarray:
    """Levels of a quadratic loss, circles of the penalty, and the minima of their sums.

    The loss is Σ κ_i (w_i - w*_i)² / 2, the penalty λ |w|² / 2; the minimum is at
    w_i = κ_i w*_i / (κ_i + λ).

    Parameters
    ----------
    curvature : κ of the two axes.
    best : w*, the minimum of the loss alone.
    decays : λ, 0 first.

    Returns
    -------
    Minima (len(decays), 2).
    """
    kappa = np.array(curvature)
    grid = np.linspace(-0.6, 2.6, 200), np.linspace(-0.6, 2.0, 200)
    w = np.stack(np.meshgrid(*grid), axis=-1)
    levels = (0.05, 0.2, 0.5, 1, 2)
    ax.contour(*grid, ((w - best) ** 2 @ kappa) / 2, levels, colors=BLUE, linewidths=0.9)
    ax.contour(*grid, (w**2).sum(-1), (0.15, 0.6, 1.5), colors=GREY, linewidths=0.8)
    minima = np.array([kappa * best / (kappa + decay) for decay in decays])
    ax.plot(*minima.T, "o-", color=RED)
    for decay, (x, y) in zip(decays, minima, strict=True):
        label = f"λ = {decay:g}".replace(".", ",")
        aside = (5, -12) if decay else (5, 4)  # beside the line, and apart from each other
        ax.annotate(label, (x, y), aside, textcoords="offset points", fontsize=8.5)
    ax.plot(0, 0, "+", color="black")
    ax.set(xlabel="$w_1$, пологая ось", ylabel="$w_2$, крутая ось", aspect="equal")
    decimal_commas(ax)
    return minima


def differences(
    axes: Sequence[Axes],
    names: Mapping[str, str],
    found: Sequence[Mapping[str, Difference]],
    good: Sequence[int],
) -> None:
    """A row a technique: its difference from the plain network, a panel a measure.

    A filled blue circle — for the better, a red cross — for the worse, a hollow grey one — not
    seen.

    Parameters
    ----------
    names : technique -> its name in the book, in the order of rows.
    found : a mapping from techniques to differences for each panel.
    good : for each panel, 1 where more is better, -1 where less is.
    """
    looks = {
        1: {"color": BLUE, "marker": "o"},
        -1: {"color": RED, "marker": "X"},
        0: {"color": GREY, "marker": "o", "markerfacecolor": "white"},
    }
    for ax, measured, sign in zip(axes, found, good, strict=True):
        for row, technique in enumerate(names):
            one = measured[technique]
            side = {"holds": 1, "not seen": 0, "opposite": -1}[verdict(one)] * sign
            ax.plot([one.low, one.high], [row, row], color=looks[side]["color"])
            ax.plot(one.estimate, row, linestyle="none", markersize=5.5, **looks[side])
        ax.axvline(0, color="#444444", linewidth=0.8)
        ax.set_ylim(len(names) - 0.5, -0.5)
        decimal_commas(ax)
    axes[0].set_yticks(range(len(names)), list(names.values()))
    for ax in axes[1:]:
        ax.set_yticks(range(len(names)), [])


def reliability(ax: Axes, curves: np.ndarray, color: str, label: str, **line) -> None:
    """Share of right answers by confidence, the mean of runs, where answers are at all.

    Parameters
    ----------
    curves : (runs, 3, bins), see :func:`pixgrad.results.calibration.reliability`.
    """
    share, sure, right = (
        curves.mean(0)[0],
        *(
            (curves[:, 0] * curves[:, row]).sum(0) / np.maximum(curves[:, 0].sum(0), 1e-12)
            for row in (1, 2)
        ),
    )
    some = share > 0.005
    ax.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
    ax.plot(sure[some], right[some], marker="o", color=color, label=label, **line)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="уверенность", aspect="equal")
    decimal_commas(ax)
