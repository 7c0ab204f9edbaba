"""What happens exactly where a stage of SIFT has no derivative: slopes, jumps and substitutes."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from pixgrad.sift import derivatives as hand
from pixgrad.sift import torch_descriptor as twin
from pixgrad.sift import torch_keypoint as finder


class Kink(NamedTuple):
    """A stage along a line through the bad point ``t = 0``."""

    stage: str
    place: str
    left: float
    right: float
    """Slopes on the two sides."""
    jump: float
    vjp: float
    """What the hand-written VJP gives in the point, without substitutes."""
    surrogate: float | None
    """What stands for it where the true derivative is of no use."""
    autograd: float


def kinks() -> list[Kink]:
    """One row for each kind of kink, in the order of the algorithm."""
    return [
        _equal_maxima(),
        _threshold(),
        _hard_bin(),
        _zero_gradient(),
        _cut_of_the_angle(),
        _rounded_centre(),
        _centre_of_a_bin(),
        _clip(),
        _rounded_byte(),
    ]


def _kink(
    stage: str,
    place: str,
    function: Callable[[float], float],
    vjp: Callable[[bool], float],
    autograd: Callable[[torch.Tensor], torch.Tensor],
    substituted: bool = False,
    h: float = 1e-6,
) -> Kink:
    """Measure a stage ``function(t)`` at 0; ``vjp`` takes ``straight_through``."""
    left = (function(-h) - function(-2 * h)) / h
    right = (function(2 * h) - function(h)) / h
    jump = function(h) - function(-h)
    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (theirs,) = torch.autograd.grad(autograd(t), t)
    significant = abs(jump) > 10 * h * max(abs(left), abs(right), 1)
    surrogate = float(vjp(True)) if substituted else None
    mine = float(vjp(False))
    return Kink(stage, place, left, right, jump * significant, mine, surrogate, float(theirs))


def _equal_maxima() -> Kink:
    dog = np.array([[[2.0, 1.0, 2.0]]])
    first = np.array([[[1.0, 0.0, 0.0]]])
    return _kink(
        "экстремум: значение",
        "два равных максимума",
        lambda t: hand.choose_extremum(dog + t * first)[0][1],
        lambda straight: hand.choose_extremum_vjp((dog,), np.zeros(3), 1.0, straight)[0, 0, 0],
        lambda t: (torch.tensor(dog) + t * torch.tensor(first)).amax(),
    )


def _threshold() -> Kink:
    return _kink(
        "тест контраста",
        "величина равна порогу",
        lambda t: hand.gate(t, 0.0)[0],
        lambda straight: hand.gate_vjp((0.0, 0.0), 1.0, straight),
        lambda t: torch.heaviside(t.detach(), torch.zeros((), dtype=t.dtype)) + 0 * t,
        substituted=True,
    )


def _hard_bin() -> Kink:
    magnitude = np.ones((9, 9))
    edge = np.full((9, 9), np.deg2rad(45.0))  # between bins 4 and 5

    def histogram(t: float) -> tuple[np.ndarray, tuple]:
        return hand.orientation_histogram(magnitude, edge + t, 4, 4, 0.8)

    def twin(t: torch.Tensor) -> torch.Tensor:
        inner, angle = torch.ones((7, 7), dtype=t.dtype), torch.tensor(edge[1:-1, 1:-1]) + t
        bins = finder.orientation_histogram(inner, angle, 4, 4, torch.tensor(0.8))
        return bins[5] + 0 * t  # rounding to a bin cuts the graph

    return _kink(
        "гистограмма ориентаций",
        "граница столбцов",
        lambda t: histogram(t)[0][5],
        lambda straight: hand.orientation_histogram_vjp(histogram(0.0)[1], np.eye(36)[5], straight)[
            1
        ].sum(),
        twin,
        substituted=True,
    )


def _zero_gradient() -> Kink:
    zero, one = np.zeros((1, 1)), np.ones((1, 1))
    return _kink(
        "модуль градиента",
        "нулевой градиент",
        lambda t: hand.polar(zero + t, zero)[0][0].item(),
        lambda _: hand.polar_vjp(hand.polar(zero, zero)[1], one, zero)[0].item(),
        lambda t: torch.sqrt(t**2 + torch.zeros((), dtype=t.dtype) ** 2),
    )


def _cut_of_the_angle() -> Kink:
    left, zero, one = np.full((1, 1), -2.0), np.zeros((1, 1)), np.ones((1, 1))
    return _kink(
        "угол градиента",
        "180°: разрыв на оборот",
        lambda t: hand.polar(left, zero + t)[0][1].item(),
        lambda _: hand.polar_vjp(hand.polar(left, zero)[1], zero, one)[1].item(),
        lambda t: torch.atan2(t, torch.full((), -2.0, dtype=t.dtype)),
    )


def _rounded_centre() -> Kink:
    rng = np.random.default_rng(0)
    magnitude, angle = rng.uniform(0, 9, (20, 20)), rng.uniform(-3, 3, (20, 20))
    weights = rng.normal(size=(4, 4, 8))

    def cells(t: float) -> tuple[np.ndarray, tuple]:
        return hand.histogram(magnitude, angle, hand.Geometry(9.5 + t, 10.0, 1.2, 0.4))

    return _kink(
        "гистограмма дескриптора",
        "центр посередине между пикселями",
        lambda t: float((weights * cells(t)[0]).sum()),
        lambda straight: hand.histogram_vjp(cells(0.0)[1], weights, straight)[2].x,
        lambda t: torch.round(9.5 + t),
        substituted=True,
    )


def _centre_of_a_bin() -> Kink:
    spot, dcells = np.zeros((9, 9)), np.zeros((4, 4, 8))
    spot[4, 5] = 1.0
    dcells[..., 2] = 1

    def cells(t: float) -> tuple[np.ndarray, tuple]:
        return hand.histogram(spot, spot * (np.pi / 2 + t), hand.Geometry(4.0, 4.0, 1.0, 0.0))

    whole, saved = cells(0.0)
    share = whole[..., 2].sum()
    return _kink(
        "гистограмма дескриптора",
        "угол в центре столбца",
        lambda t: float(cells(t)[0][..., 2].sum()),
        lambda straight: hand.histogram_vjp(saved, dcells, straight)[1][4, 5],
        lambda t: share * (1 - torch.frac((np.pi / 2 + t) * 4 / np.pi)),  # of the lower bin
    )


def _clip() -> Kink:
    cells, along = np.zeros(128), np.eye(128)[3]
    cells[:25] = 1.0  # each is exactly 0.2 of the length
    return _kink(
        "нормировка и срез",
        "компонента равна 0,2",
        lambda t: float(hand.normalise(cells + t * along)[0][3]),
        lambda _: hand.normalise_vjp(hand.normalise(cells)[1], along)[3],
        lambda t: twin.normalise(torch.tensor(cells) + t * torch.tensor(along))[3],
    )


def _rounded_byte() -> Kink:
    at = np.array([51.5 / 512])
    return _kink(
        "запись байтом",
        "посередине между байтами",
        lambda t: hand.quantise(at + t)[0].item(),
        lambda straight: hand.quantise_vjp(hand.quantise(at)[1], np.ones(1), straight).item(),
        lambda t: torch.round(512 * (at.item() + t)),
        substituted=True,
    )
