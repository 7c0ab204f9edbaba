"""The hand-written derivatives against central differences and torch's autograd, stage by stage."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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

    Stages give one array or a tuple of them, and so do their VJPs and torch's stages.
    """

    stage: str
    """Name of the stage in the tables of the book."""
    kinks: str
    """Where it is not differentiable (Russian, for the tables)."""
    draw: Callable[[np.random.Generator], dict[str, Array]]
    """Inputs by name; the names stand in the tables."""
    forward: Callable[..., tuple[Any, tuple]]
    """``forward(*inputs) -> outputs, saved``."""
    vjp: Callable[..., Any]
    """``vjp(saved, *douts) -> dinputs``."""
    torch: Callable[..., Any]
    step: float = 1e-6
    """Step of the central differences, in units of the inputs."""


class StageCheck(NamedTuple):
    """Agreement of one derivative; differences are relative to its largest component."""

    stage: str
    wrt: str
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
    points = tuple(inputs.values())
    outputs, saved = case.forward(*points)
    douts = tuple(rng.normal(size=np.shape(y)) for y in _tuple(outputs))
    mine = _tuple(case.vjp(saved, *douts))
    theirs = autograd(case.torch, points, douts)
    rows = []
    for k, name in enumerate(inputs):
        dx, reference = np.asarray(mine[k]), theirs[k]
        along = _directions(dx, rng)
        numeric = central_differences(case, points, douts, k, along)
        analytic = np.array([(dx * v).sum() for v in along])
        rows.append(
            StageCheck(
                case.stage,
                name,
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
        outputs, _ = case.forward(*inputs[:k], inputs[k] + shift, *inputs[k + 1 :])
        return sum(float((dy * y).sum()) for dy, y in zip(douts, _tuple(outputs), strict=True))

    h = case.step
    return np.array([(value(h * v) - value(-h * v)) / (2 * h) for v in along])


def autograd(
    function: Callable[..., Any], inputs: tuple[Array, ...], douts: tuple[Array, ...]
) -> tuple[Array, ...]:
    """The same VJP by torch, in float64."""
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    weights = [torch.as_tensor(dy, dtype=torch.float64) for dy in douts]
    outputs = _tuple(function(*tensors))
    total = sum((w * y).sum() for w, y in zip(weights, outputs, strict=True))
    found = torch.autograd.grad(total, tensors, materialize_grads=True)
    return tuple(gradient.numpy() for gradient in found)


def cases() -> list[Case]:
    """Every stage of SIFT, in the order of the algorithm, then the whole way."""
    return [*_linear_cases(), *_keypoint_cases(), *_descriptor_cases(), *_chain_cases()]


def relative(a: Array, b: Array) -> float:
    """Largest difference over the largest component of ``b``."""
    return float(np.abs(a - b).max() / (np.abs(b).max() or 1))


def _linear_cases() -> list[Case]:
    return [
        _linear("удвоение", "фото", (9, 11), hand.double, hand.double_vjp, twin.double),
        _linear(
            "размытие",
            "фото",
            (9, 11),
            partial(hand.blur, sigma=1.6),
            hand.blur_vjp,
            partial(twin.blur, sigma=1.6),
        ),
        _linear(
            "уменьшение вдвое",
            "фото",
            (9, 11),
            hand.decimate,
            hand.decimate_vjp,
            lambda x: x[:-1:2, :-1:2],
        ),
        _linear(
            "разность гауссианов",
            "слои",
            (4, 6, 7),
            hand.difference_of_gaussians,
            hand.difference_of_gaussians_vjp,
            partial(torch.diff, dim=0),
        ),
        _linear(
            "разности пикселей",
            "слой",
            (7, 8),
            hand.pixel_differences,
            hand.pixel_differences_vjp,
            _torch_differences,
        ),
    ]


def _keypoint_cases() -> list[Case]:
    return [
        Case(
            "выбор экстремума: значение",
            "равные максимумы",
            lambda rng: {"DoG": rng.normal(size=(3, 4, 5))},
            lambda dog: (hand.choose_extremum(dog)[0][1], (dog,)),
            lambda saved, dvalue: hand.choose_extremum_vjp(saved, np.zeros(3), dvalue),
            torch.max,
        ),
        Case(
            "выбор экстремума: место (мягкая замена)",
            "само место: производная 0, скачки",
            lambda rng: {"DoG": rng.normal(size=(3, 4, 5))},
            lambda dog: (finder.soft_location(torch.tensor(dog)).numpy(), (dog,)),
            partial(hand.choose_extremum_vjp, dvalue=0.0),
            finder.soft_location,
        ),
        Case(
            "уточнение: сдвиг, контраст, отношение кривизн",
            "вырожденный гессиан",
            lambda rng: {"куб DoG": peaked_cube(rng)},
            hand.refine,
            hand.refine_vjp,
            finder.refine,
        ),
        Case(
            "порог (замена сигмоидой)",
            "сам порог: производная 0, скачок",
            lambda rng: {"величина": rng.normal(size=())},
            lambda x: (1 / (1 + np.exp(-(x - 0.3))), (x, 0.3)),
            hand.gate_vjp,
            lambda x: torch.sigmoid(x - 0.3),
        ),
        _orientation_case("hard", "границы столбцов: скачки", "гистограмма ориентаций"),
        _orientation_case("linear", "центры столбцов", "гистограмма ориентаций (линейные доли)"),
        Case(
            "угол: вершина гистограммы",
            "смена столбца-вершины; разрыв угла на 0°",
            lambda rng: {"гистограмма": rng.uniform(1, 2, 36)},
            hand.peak_orientation,
            hand.peak_orientation_vjp,
            finder.peak_orientation,
        ),
    ]


def _descriptor_cases() -> list[Case]:
    return [
        Case(
            "модуль и угол градиента",
            "нулевой градиент; разрыв угла на 180°",
            lambda rng: {"gx": rng.normal(size=(5, 6)), "gy": rng.normal(size=(5, 6))},
            hand.polar,
            hand.polar_vjp,
            lambda gx, gy: (torch.hypot(gx, gy), torch.atan2(gy, gx)),
        ),
        Case(
            "гистограмма дескриптора",
            "центры ячеек и столбцов; край сетки",
            lambda rng: {
                **_gradient_field(rng, (12, 13)),
                "место и ориентация": np.array([7.3, 6.2, 1.1, rng.uniform(0, 6)]),
            },
            lambda m, a, place: hand.histogram(
                np.pad(m, 1), np.pad(a, 1), hand.Geometry(*place), subpixel=True
            ),
            _without_border(hand.histogram_vjp),
            lambda m, a, place: twin.histogram(m, a, place).reshape(4, 4, 8),
        ),
        Case(
            "нормировка, срез, нормировка",
            "компонента на срезе; пустая гистограмма",
            lambda rng: {"гистограмма": rng.uniform(0, 1, 128) ** 6},
            hand.normalise,
            hand.normalise_vjp,
            twin.normalise,
        ),
        Case(
            "запись байтом (сквозная замена)",
            "само округление: производная 0, скачки",
            lambda rng: {"дескриптор": hand.normalise(rng.uniform(0, 1, 128) ** 9, clip=0.8)[0]},
            lambda x: (np.minimum(512 * x, 255), hand.quantise(x)[1]),
            hand.quantise_vjp,
            lambda x: torch.clamp(512 * x, max=255),
        ),
    ]


def _chain_cases() -> list[Case]:
    def fixed(octave: int) -> Case:
        """The same place seen in an octave: the way back crosses its decimations."""
        pixel = 2.0**octave
        place = hand.Geometry(31.3 / pixel, 30.2 / pixel, 2.0, 0.7)
        return Case(
            f"дескриптор → пиксели, точка закреплена, октава {octave - 1}".replace(
                "-", "\N{MINUS SIGN}"
            ),
            "все изломы этапов",
            _smooth_photo,
            partial(hand.describe, keypoint=hand.Keypoint(octave, 1, place), subpixel=True),
            hand.describe_vjp,
            lambda x: twin.describe(x, torch.tensor(place, dtype=x.dtype), octave),
            step=1e-3,
        )

    # Of the blob that stands in the middle of the picture.
    moving = hand.Keypoint(0, 2, hand.Geometry(31.0, 34.0, 2.5, 5.3))
    return [
        *map(fixed, range(3)),
        Case(
            "дескриптор → пиксели, точка подвижна, октава −1",
            "все изломы этапов",
            _smooth_photo,
            partial(hand.describe, keypoint=moving, moving=True, subpixel=True),
            partial(hand.describe_vjp, straight_through=False),
            lambda x: finder.describe_moving(
                x, 0, (moving.layer, moving.row, moving.column), moving.geometry.orientation
            ),
            step=3e-5,
        ),
    ]


def peaked_cube(rng: np.random.Generator) -> Array:
    """A 3x3x3 piece of DoG with a maximum near its centre."""
    place = np.indices((3, 3, 3)) - 1 - rng.uniform(-0.4, 0.4, 3)[:, None, None, None]
    return (
        10
        - (rng.uniform(1, 3, 3)[:, None, None, None] * place**2).sum(0)
        + rng.normal(0, 0.1, (3, 3, 3))
    )


def _smooth_photo(rng: np.random.Generator) -> dict[str, Array]:
    """A bright blob on a slope with noise, (32, 33), grey levels."""
    y, x = np.indices((32, 33)) - np.array([16.7, 15.4])[:, None, None]
    blob = 90 * np.exp(-(x**2 + y**2) / (2 * 1.5**2))
    return {"фото": 120 + blob + 2 * x + 3 * y + rng.normal(0, 0.5, (32, 33))}


def _gradient_field(rng: np.random.Generator, shape: tuple[int, int]) -> dict[str, Array]:
    """Gradient inside the border; on the border it is zero by definition."""
    return {"модуль": rng.uniform(0, 9, shape), "угол": rng.uniform(-np.pi, np.pi, shape)}


def _without_border(vjp: Callable[..., Any]) -> Callable[..., Any]:
    """VJP with respect to the gradient inside the border and to the place."""

    def inner(saved: tuple, *douts: Array) -> tuple[Array, ...]:
        dmagnitude, dangle, dplace = vjp(saved, *douts)
        return dmagnitude[1:-1, 1:-1], dangle[1:-1, 1:-1], np.array(dplace)

    return inner


def _orientation_case(binning: str, kinks: str, stage: str) -> Case:
    return Case(
        stage,
        kinks,
        lambda rng: {**_gradient_field(rng, (12, 11)), "масштаб": rng.uniform(1.15, 1.3)},
        lambda m, a, scale: hand.orientation_histogram(
            np.pad(m, 1), np.pad(a, 1), 6, 7, float(scale), binning
        ),
        _without_border(partial(hand.orientation_histogram_vjp, straight_through=False)),
        lambda m, a, scale: finder.orientation_histogram(m, a, 6, 7, scale, binning),
    )


def _linear(
    stage: str, name: str, shape: tuple[int, ...], forward: Any, vjp: Any, twin: Any
) -> Case:
    return Case(
        stage,
        "нет: этап линеен",
        lambda rng: {name: rng.uniform(0, 255, shape)},
        forward,
        vjp,
        twin,
        step=1e-2,  # a linear stage has no truncation error
    )


def _torch_differences(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    pad = torch.nn.functional.pad
    gx, gy = x[1:-1, 2:] - x[1:-1, :-2], x[:-2, 1:-1] - x[2:, 1:-1]
    return pad(gx, (1, 1, 1, 1)), pad(gy, (1, 1, 1, 1))


def _tuple(arrays: Any) -> tuple:
    return arrays if isinstance(arrays, tuple) else (arrays,)


def _directions(dx: Array, rng: np.random.Generator) -> list[Array]:
    if dx.size <= COORDINATES:
        return list(np.eye(dx.size).reshape(-1, *dx.shape))
    # Half along the gradient itself: a random direction alone would see little of it.
    unit = dx / max(np.linalg.norm(dx), np.finfo(float).tiny)
    random = rng.normal(size=(DIRECTIONS, *dx.shape)) / np.sqrt(dx.size)
    return list(unit + random)
