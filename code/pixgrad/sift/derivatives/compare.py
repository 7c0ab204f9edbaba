"""The hand-written derivatives against central differences and torch's autograd, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from pixgrad.sift import derivatives as hand
from pixgrad.sift import torch_descriptor as twin
from pixgrad.sift import torch_keypoint as finder
from pixgrad.sift.derivatives.types import Array

COORDINATES = 120
"""Inputs up to this size are checked in every coordinate, larger ones along random directions."""
DIRECTIONS = 12


@dataclass(frozen=True)
class Case:
    """One stage, written three times: forward and VJP by hand, and in torch.

    Stages take and give tuples of arrays here, whatever their own signatures are.
    """

    stage: str
    """Name of the stage in the tables of the book."""
    kinks: str
    """Where it is not differentiable (Russian, for the tables)."""
    draw: Callable[[np.random.Generator], dict[str, Array]]
    """Inputs by name; the names stand in the tables."""
    forward: Callable[..., tuple[Array, ...]]
    vjp: Callable[..., tuple[Array, ...]]
    """``vjp(inputs, douts) -> dinputs``."""
    torch: Callable[..., tuple[torch.Tensor, ...]]
    step: float = 1e-6
    """Step of the central differences, in units of the inputs."""


class StageCheck(NamedTuple):
    """Agreement of one derivative; differences are relative to its largest component."""

    stage: str
    wrt: str
    exact: bool
    """Equal to autograd bit by bit."""
    autograd: float
    finite_differences: float
    kinks: str
    slopes: Array
    """Slopes by central differences: to see whether a kink lies inside the step."""


def compare(case: Case, seed: int = 0) -> list[StageCheck]:
    """Compare the derivatives of a stage with respect to each of its inputs.

    Parameters
    ----------
    case : the stage.
    seed : of the inputs and of the outgoing gradient.
    """
    rng = np.random.default_rng(seed)
    inputs = case.draw(rng)
    outputs = case.forward(*inputs.values())
    douts = tuple(rng.normal(size=np.shape(y)) for y in outputs)
    mine = case.vjp(tuple(inputs.values()), douts)
    theirs = autograd(case.torch, tuple(inputs.values()), douts)
    rows = []
    for k, name in enumerate(inputs):
        dx, reference = np.asarray(mine[k]), theirs[k]
        along = _directions(dx, rng)
        numeric = central_differences(case, tuple(inputs.values()), douts, k, along)
        analytic = np.array([(dx * v).sum() for v in along])
        rows.append(
            StageCheck(
                case.stage,
                name,
                bool(np.array_equal(dx, reference)),
                relative(dx, reference),
                relative(analytic, numeric),
                case.kinks,
                numeric,
            )
        )
    return rows


def central_differences(
    case: Case, inputs: tuple[Array, ...], douts: tuple[Array, ...], k: int, along: list[Array]
) -> Array:
    """Slopes of ``sum(douts * forward(inputs))`` along directions of input ``k``."""

    def value(shift: Array) -> float:
        moved = (*inputs[:k], inputs[k] + shift, *inputs[k + 1 :])
        outputs = case.forward(*moved)
        return sum(float((dy * y).sum()) for dy, y in zip(douts, outputs, strict=True))

    h = case.step
    return np.array([(value(h * v) - value(-h * v)) / (2 * h) for v in along])


def autograd(
    function: Callable[..., tuple[torch.Tensor, ...]],
    inputs: tuple[Array, ...],
    douts: tuple[Array, ...],
) -> tuple[Array, ...]:
    """The same VJP by torch, in float64."""
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    outputs = function(*tensors)
    weights = [torch.as_tensor(dy, dtype=torch.float64) for dy in douts]
    total = sum((w * y).sum() for w, y in zip(weights, outputs, strict=True))
    found = torch.autograd.grad(total, tensors, allow_unused=True)
    return tuple(
        np.zeros(x.shape) if g is None else g.numpy() for g, x in zip(found, tensors, strict=True)
    )


def cases() -> list[Case]:
    """Every stage of SIFT, in the order of the algorithm, then the whole way."""
    return [*_linear_cases(), *_keypoint_cases(), *_descriptor_cases(), *_chain_cases()]


def relative(a: Array, b: Array) -> float:
    """Largest difference over the largest component of ``b``."""
    scale = np.abs(b).max()
    difference = np.abs(a - b).max()
    return float(difference / scale) if scale > 0 else float(difference)


def _linear_cases() -> list[Case]:
    none = "нет: этап линеен"
    levels = lambda rng: {"уровни": _pixels(rng, 4, 6, 7)}  # noqa: E731
    return [
        _linear("удвоение", none, hand.double, hand.double_vjp, twin.double),
        _linear(
            "размытие",
            none,
            lambda x: hand.blur(x, 1.6),
            hand.blur_vjp,
            lambda x: twin.blur(x, 1.6),
        ),
        _linear("прореживание", none, hand.decimate, hand.decimate_vjp, lambda x: x[:-1:2, :-1:2]),
        Case(
            "разность гауссианов",
            none,
            levels,
            lambda x: (hand.difference_of_gaussians(x)[0],),
            lambda inputs, douts: (hand.difference_of_gaussians_vjp((), *douts),),
            lambda x: (x.diff(dim=0),),
            step=1e-2,
        ),
        Case(
            "разности пикселей",
            none,
            lambda rng: {"уровень": _pixels(rng, 7, 8)},
            lambda x: hand.pixel_differences(x)[0],
            lambda inputs, douts: (hand.pixel_differences_vjp((), *douts),),
            _torch_differences,
            step=1e-2,
        ),
    ]


def _keypoint_cases() -> list[Case]:
    return [
        Case(
            "выбор экстремума: значение",
            "равные максимумы",
            lambda rng: {"DoG": rng.normal(size=(3, 4, 5))},
            lambda x: (hand.choose_extremum(x)[0][1],),
            lambda inputs, douts: (
                hand.choose_extremum_vjp(_saved(hand.choose_extremum, inputs), np.zeros(3), *douts),
            ),
            lambda x: (x.max(),),
        ),
        Case(
            "выбор экстремума: место (мягкая замена)",
            "само место: производная 0, скачки",
            lambda rng: {"DoG": rng.normal(size=(3, 4, 5))},
            lambda x: (finder.soft_location(torch.tensor(x)).numpy(),),
            lambda inputs, douts: (
                hand.choose_extremum_vjp(_saved(hand.choose_extremum, inputs), *douts, 0.0),
            ),
            lambda x: (finder.soft_location(x),),
        ),
        Case(
            "уточнение: сдвиг, контраст, отношение кривизн",
            "вырожденный гессиан",
            lambda rng: {"куб DoG": peaked_cube(rng)},
            lambda x: hand.refine(x)[0],
            lambda inputs, douts: (hand.refine_vjp(_saved(hand.refine, inputs), *douts),),
            finder.refine,
        ),
        Case(
            "порог (замена сигмоидой)",
            "сам порог: производная 0, скачок",
            lambda rng: {"величина": rng.normal(size=())},
            lambda x: (1 / (1 + np.exp(-(x - 0.3))),),
            lambda inputs, douts: (hand.gate_vjp((*inputs, 0.3), *douts),),
            lambda x: (torch.sigmoid(x - 0.3),),
        ),
        _orientation_case("hard", "границы столбцов: скачки", "гистограмма ориентаций"),
        _orientation_case("linear", "центры столбцов", "гистограмма ориентаций (линейные доли)"),
        Case(
            "угол: вершина гистограммы",
            "смена столбца-вершины; разрыв угла на 0°",
            lambda rng: {"гистограмма": rng.uniform(1, 2, 36)},
            lambda x: (hand.peak_orientation(x)[0],),
            lambda inputs, douts: (
                hand.peak_orientation_vjp(_saved(hand.peak_orientation, inputs), *douts),
            ),
            lambda x: (finder.peak_orientation(x),),
        ),
    ]


def _descriptor_cases() -> list[Case]:
    return [
        Case(
            "модуль и угол градиента",
            "нулевой градиент; разрыв угла на 180°",
            lambda rng: {"gx": rng.normal(size=(5, 6)), "gy": rng.normal(size=(5, 6))},
            lambda gx, gy: hand.polar(gx, gy)[0],
            lambda inputs, douts: hand.polar_vjp(_saved(hand.polar, inputs), *douts),
            lambda gx, gy: (torch.hypot(gx, gy), torch.atan2(gy, gx)),
        ),
        Case(
            "гистограмма дескриптора",
            "центры ячеек и столбцов; край решётки",
            lambda rng: {
                "модуль": rng.uniform(0, 9, (12, 13)),
                "угол": rng.uniform(-np.pi, np.pi, (12, 13)),
                "место и ориентация": np.array([7.3, 6.2, 1.1, rng.uniform(0, 6)]),
            },
            lambda m, a, g: (_histogram(m, a, g)[0].ravel(),),
            _histogram_vjp,
            lambda m, a, g: (twin.histogram(m, a, g),),
        ),
        Case(
            "нормировка, срез, нормировка",
            "компонента на срезе; пустая гистограмма",
            lambda rng: {"гистограмма": rng.uniform(0, 1, 128) ** 6},
            lambda x: (hand.normalise(x)[0],),
            lambda inputs, douts: (hand.normalise_vjp(_saved(hand.normalise, inputs), *douts),),
            lambda x: (twin.normalise(x),),
        ),
        Case(
            "запись байтом (сквозная замена)",
            "само округление: производная 0, скачки",
            lambda rng: {"дескриптор": hand.normalise(rng.uniform(0, 1, 128) ** 9, clip=0.8)[0]},
            lambda x: (np.minimum(512 * x, 255),),
            lambda inputs, douts: (hand.quantise_vjp(_saved(hand.quantise, inputs), *douts),),
            lambda x: (torch.clamp(512 * x, max=255),),
        ),
    ]


def _chain_cases() -> list[Case]:
    fixed = hand.Keypoint(0, 1, hand.Geometry(31.3, 30.2, 2.0, 0.7))
    kinks = "все изломы этапов"
    return [
        Case(
            "дескриптор → пиксели, точка закреплена",
            kinks,
            lambda rng: {"фото": _smooth_photo(rng)},
            lambda x: (hand.describe(x, fixed, subpixel=True)[0],),
            lambda inputs, douts: (hand.descriptor_vjp(*inputs, fixed, *douts, subpixel=True),),
            lambda x: (twin.describe(x, torch.tensor(fixed.geometry, dtype=x.dtype)),),
            step=1e-3,
        ),
        Case(
            "дескриптор → пиксели, точка подвижна",
            kinks,
            lambda rng: {"фото": _smooth_photo(rng)},
            lambda x: (hand.describe(x, blob_keypoint(), moving=True, subpixel=True)[0],),
            lambda inputs, douts: (
                hand.descriptor_vjp(
                    *inputs,
                    blob_keypoint(),
                    *douts,
                    moving=True,
                    subpixel=True,
                    straight_through=False,
                ),
            ),
            lambda x: (_torch_moving(x, blob_keypoint()),),
            step=3e-5,
        ),
    ]


def blob_keypoint() -> hand.Keypoint:
    """Keypoint of the blob that stands in the middle of the pictures of the last two cases."""
    return hand.Keypoint(0, 2, hand.Geometry(31.0, 34.0, 2.5, 5.3))


def peaked_cube(rng: np.random.Generator) -> Array:
    """A 3x3x3 piece of DoG with a maximum near its centre."""
    place = np.indices((3, 3, 3)) - 1 - rng.uniform(-0.4, 0.4, 3)[:, None, None, None]
    return (
        10
        - (rng.uniform(1, 3, 3)[:, None, None, None] * place**2).sum(0)
        + rng.normal(0, 0.1, (3, 3, 3))
    )


def _smooth_photo(rng: np.random.Generator) -> Array:
    """A bright blob on a slope with noise, (32, 33), grey levels."""
    y, x = np.indices((32, 33)) - np.array([16.7, 15.4])[:, None, None]
    blob = 90 * np.exp(-(x**2 + y**2) / (2 * 1.5**2))
    return 120 + blob + 2 * x + 3 * y + rng.normal(0, 0.5, (32, 33))


def _orientation_case(binning: str, kinks: str, stage: str) -> Case:
    def run(m: Array, a: Array, scale: Array) -> tuple[Array, tuple]:
        return hand.orientation_histogram(_bordered(m), _bordered(a), 6, 7, float(scale), binning)

    def vjp(inputs: tuple[Array, ...], douts: tuple[Array, ...]) -> tuple[Array, ...]:
        dm, da, dscale = hand.orientation_histogram_vjp(
            _saved(run, inputs), *douts, straight_through=False
        )
        return dm[1:-1, 1:-1], da[1:-1, 1:-1], dscale

    return Case(
        stage,
        kinks,
        lambda rng: {
            "модуль": rng.uniform(0, 9, (12, 11)),
            "угол": rng.uniform(-np.pi, np.pi, (12, 11)),
            "масштаб": rng.uniform(1.15, 1.3),
        },
        lambda m, a, scale: (run(m, a, scale)[0],),
        vjp,
        lambda m, a, s: (finder.orientation_histogram(m, a, 6, 7, s, binning),),
    )


def _linear(stage: str, kinks: str, forward: Any, vjp: Any, twin: Any) -> Case:
    return Case(
        stage,
        kinks,
        lambda rng: {"фото": _pixels(rng, 9, 11)},
        lambda x: (forward(x)[0],),
        lambda inputs, douts: (vjp(_saved(forward, inputs), *douts),),
        lambda x: (twin(x),),
        step=1e-2,  # a linear stage has no truncation error
    )


def _histogram(m: Array, a: Array, geometry: Array) -> tuple[Array, tuple]:
    return hand.histogram(_bordered(m), _bordered(a), hand.Geometry(*geometry), subpixel=True)


def _histogram_vjp(inputs: tuple[Array, ...], douts: tuple[Array, ...]) -> tuple[Array, ...]:
    cells, saved = _histogram(*inputs)
    dm, da, dgeometry = hand.histogram_vjp(saved, douts[0].reshape(cells.shape))
    return dm[1:-1, 1:-1], da[1:-1, 1:-1], np.array(dgeometry)


def _torch_differences(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    pad = torch.nn.functional.pad
    gx, gy = x[1:-1, 2:] - x[1:-1, :-2], x[:-2, 1:-1] - x[2:, 1:-1]
    return pad(gx, (1, 1, 1, 1)), pad(gy, (1, 1, 1, 1))


def _torch_moving(image: torch.Tensor, keypoint: hand.Keypoint) -> torch.Tensor:
    point = (keypoint.layer, keypoint.row, keypoint.column)
    return finder.describe_moving(image, keypoint.octave, point, keypoint.geometry.orientation)


def _saved(stage: Callable[..., tuple[Any, tuple]], inputs: tuple[Array, ...]) -> tuple:
    return stage(*inputs)[1]


def _pixels(rng: np.random.Generator, *shape: int) -> Array:
    return rng.uniform(0, 255, shape)


def _bordered(field: Array) -> Array:
    """A gradient field (H-2, W-2) with its border, where the gradient is zero by definition."""
    return np.pad(field, 1)


def _directions(dx: Array, rng: np.random.Generator) -> list[Array]:
    if dx.size <= COORDINATES:
        return list(np.eye(dx.size).reshape(-1, *dx.shape))
    # Half along the gradient itself: a random direction alone would see little of it.
    unit = dx / max(np.linalg.norm(dx), np.finfo(float).tiny)
    random = rng.normal(size=(DIRECTIONS, *dx.shape)) / np.sqrt(dx.size)
    return list(unit + random)
