"""How fast the same network answers, by many routes; and several workers at it.

All routes of a network take turns in every round of one run, and the time on the clock counts: the
machine must have nothing else to do. One thread in each operation, unless a route says otherwise.
Time does not depend on what the weights are, so they are initial ones, with the statistics of the
batch normalisations taken from the images.
"""

import copy
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import numpy as np
import pandas as pd
import torch
import torchvision
from torch import Tensor, nn

from pixgrad.compression import parallel, quantise, runtime, size, workers
from pixgrad.compression.fold import folded
from pixgrad.compression.variants import VARIANTS
from pixgrad.experiments.running import measurement
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.measurement import Measurement, quartiles
from pixgrad.nets import build, cost
from pixgrad.nets.initialisation import initialise
from pixgrad.training.batches import Images
from pixgrad.training.run import Outcome

EAGER, ONNX = "torch-channels-last", "onnx"
"""The two baselines: PyTorch at its best without compiling, and ONNX Runtime in float32."""
TORCH_ROUTES = ("torch", EAGER, "torch-compile", "torch-bfloat16")
INT8 = {"int8": quantise.Static(), "int8-signed": quantise.Static(signed=True)}
OTHERS = {
    "squeezenet-1.1": torchvision.models.squeezenet1_1,
    "mobilenet-v2": torchvision.models.mobilenet_v2,
    "efficientnet-b0": torchvision.models.efficientnet_b0,
}
"""Networks of torchvision beside those of :func:`pixgrad.nets.build`."""
WARM_UP = 3
"""First rounds, not timed."""
MESSAGE = 200
"""Characters of a message, at most."""
Route = Callable[[], object]


WHOLE = ("float", 0.0, (*TORCH_ROUTES, ONNX, "int8", "int8-signed", "int8-dynamic"))
FOLDED = ("folded", 0.0, (EAGER,))
NARROW = ("channels", 0.5, (EAGER, ONNX, "int8"))
PAIRS = tuple(
    (way, level, (EAGER, ONNX))
    for way, level in (("magnitude", 0.9), ("low-rank", 0.5), ("row-column", 0), ("depthwise", 0))
)
ROUTES = {
    "all": (WHOLE, FOLDED, NARROW, *PAIRS),
    "some": (WHOLE, FOLDED, NARROW),
    "baselines": (("float", 0.0, (EAGER, ONNX)),),
    "smoke": (("float", 0.0, (EAGER, ONNX, "int8")), ("channels", 0.5, (EAGER, ONNX))),
}
"""Variants of ``VARIANTS``, their levels and the ways to compute them."""


@dataclass(frozen=True, kw_only=True)
class Config(measurement.Config):
    """Settings of one run.

    Attributes
    ----------
    stage : "routes" — one network by many routes; "workers" — several workers at one network.
    network : of ``OTHERS`` or :func:`pixgrad.nets.build`.
    side : of the images, pixels.
    batch_sizes : images at a time.
    rounds : timed ones, at each batch size.
    routes : "routes": of ``ROUTES``.
    batches : "workers": so many a round, at each batch size.
    """

    stage: Literal["routes", "workers"]
    network: str
    side: int
    batch_sizes: list[int]
    rounds: list[int]
    routes: str = ""
    batches: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.stage}-{self.network}-{self.side}"


@dataclass(kw_only=True)
class Timed(Outcome):
    """What was measured in a run.

    Attributes
    ----------
    seconds : of every timed round, by "VARIANT/WAY/BATCH_SIZE" or "WORKERS/BATCH_SIZE".
    first_s : until the first answer, by the same.
    differences : of the logits from the variant's in PyTorch, over the largest of them, by
        "VARIANT/WAY".
    sizes : bytes of its file, by "VARIANT/WAY".
    messages : why a route does not work, by "VARIANT/WAY".
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    first_s: dict[str, float] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)


def _routes(network: str, side: int, rounds: dict[int, int], routes: str) -> dict[str, object]:
    """The settings of a network with its number of rounds at every batch size."""
    settings = {"stage": "routes", "network": network, "side": side, "routes": routes}
    return settings | {"batch_sizes": [*rounds], "rounds": [*rounds.values()]}


PRESETS = {
    "smoke": [
        _routes("resnet-8", 16, {1: 3, 4: 3}, "smoke"),
        {"stage": "workers", "network": "resnet-8", "side": 16}
        | {"batch_sizes": [4], "batches": [4], "rounds": [3]},
    ],
    "report": [
        _routes("resnet-20", 32, {1: 100, 64: 15}, "all"),
        _routes("resnet-18", 96, {1: 40, 64: 5}, "some"),
        *(_routes(name, 224, {1: 20}, "baselines") for name in ("resnet-18", *OTHERS)),
        *(
            _routes(name, 32, {1: 100, 64: 15}, "baselines")
            for name in ("resnet-8", "fire-net", "mobile-net")
        ),
        {"stage": "workers", "network": "resnet-20", "side": 32}
        | {"batch_sizes": [1, 64], "batches": [128, 8], "rounds": [7, 7]},
    ],
}


class Latency(Measurement):
    """Routes of every network, then several workers; one run of each."""

    sources = dict.fromkeys(PRESETS, "mnist5k")
    """It is there on every machine, and the time of an answer does not depend on the image."""
    config = Config
    outcome = Timed
    libraries = ("numpy", "torch", "torchvision", "onnx", "onnxscript", "onnxruntime")

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        return [Config(**settings) for settings in PRESETS[preset]]

    def measure(self, config: Config, data: Images) -> Timed:
        return {"routes": _measure_routes, "workers": _measure_workers}[config.stage](config, data)

    def first_losses(self, config: Config, data: Images, steps: int) -> list[float]:
        """Mean square of the logits of the first baseline, made anew."""
        x = inputs(config, data)
        with torch.inference_mode():
            return [float(network(config, x)(x).square().mean())]

    def findings(self, outcomes: Sequence[Timed], data: Images) -> Findings:
        """Tables ``latency`` and ``workers``: a row a route, median and quartiles of its time."""
        routes = [row for one in outcomes if one.config.stage == "routes" for row in _rows(one)]
        ways = [row for one in outcomes if one.config.stage == "workers" for row in _ways(one)]
        metrics = {
            one.config.name: {
                f"{name}_ms": round(1000 * float(np.median(seconds)), 4)
                for name, seconds in one.seconds.items()
            }
            for one in outcomes
        }
        found = {"latency": pd.DataFrame(routes), "workers": pd.DataFrame(ways)}
        return Findings(found, metrics=metrics)


def inputs(config: Config, data: Images) -> Tensor:
    """As many images as the largest batch has, and two at least, normalised: float32
    (B, 3, side, side), channels last; grey images in three channels."""
    count = max(2, *config.batch_sizes)
    x = data.normalised(data.images["train"][:count]).expand(-1, 3, -1, -1)
    x = nn.functional.interpolate(x, (config.side, config.side), mode="bilinear")
    return x.contiguous(memory_format=torch.channels_last)


def network(config: Config, x: Tensor) -> nn.Module:
    """In evaluation mode, channels last, its normalisations with the statistics of ``x``."""
    generator = torch.Generator().manual_seed(config.seed)
    if config.network in OTHERS:
        with torch.device("meta"):  # nothing random is drawn
            net = OTHERS[config.network]()
        net.to_empty(device="cpu")
        initialise(net, "he", generator)
    else:
        net = build(config.network, 10, init="he", generator=generator)
    net = net.to(memory_format=torch.channels_last).eval()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0  # the statistics are those of the one batch
            layer.train()
    with torch.no_grad():
        net(x)
    return net.eval()


def _measure_routes(config: Config, data: Images) -> Timed:
    outcome = Timed(config=config, steps=sum(config.rounds))
    x = inputs(config, data)
    whole = network(config, x)
    with torch.inference_mode():
        outcome.first_losses = [float(whole(x).square().mean())]
    steps: dict[int, dict[str, Route]] = {size: {} for size in config.batch_sizes}
    for variant, level, ways in ROUTES[config.routes]:
        net = VARIANTS[variant](copy.deepcopy(whole), level).eval()
        net = net.to(memory_format=torch.channels_last)
        files = _files(net, x, ways)
        for way in ways:
            name = f"{variant}/{way}"
            outcome.sizes[name] = len(files[way]) if way in files else len(size.file_bytes(net))
            for count, of in steps.items():
                try:
                    started = time.perf_counter()
                    step = _step(net, x[:count], way, files)
                    found = np.asarray(step())
                except Exception as error:  # neither library names what it may raise
                    outcome.messages[name] = f"{type(error).__name__}: {error}"[:MESSAGE]
                    break
                outcome.first_s[f"{name}/{count}"] = time.perf_counter() - started
                outcome.differences[name] = _difference(found, net, x[:count])
                of[name] = step
    for count, number in zip(config.batch_sizes, config.rounds, strict=True):
        timed = rounds(steps[count], number)
        outcome.seconds |= {f"{name}/{count}": seconds for name, seconds in timed.items()}
    torch._dynamo.reset()  # frees the compiled networks
    return outcome


def rounds(steps: dict[str, Route], count: int) -> dict[str, list[float]]:
    """Seconds on the clock; all take turns in every round, the first rounds are not kept."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(WARM_UP + count):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if number >= WARM_UP:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def _difference(found: np.ndarray, net: nn.Module, x: Tensor) -> float:
    with torch.inference_mode():
        expected = net(x).numpy()
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def _files(net: nn.Module, x: Tensor, ways: Sequence[str]) -> dict[str, bytes]:
    """The ONNX files that these ways need; the ranges of int8 come from ``x``."""
    if not {ONNX, "int8-dynamic", *INT8} & set(ways):
        return {}
    plain = folded(net).to(memory_format=torch.contiguous_format)
    model = runtime.export(plain, x.shape[-1])
    batches = [x.contiguous(memory_format=torch.contiguous_format).numpy()]
    made = {ONNX: lambda: model, "int8-dynamic": lambda: quantise.dynamic(model)}
    made |= {way: partial(quantise.static, model, batches, how) for way, how in INT8.items()}
    return {way: make() for way, make in made.items() if way in ways}


def _step(net: nn.Module, x: Tensor, way: str, files: dict[str, bytes]) -> Route:
    """A call of it answers ``x`` once, and returns the logits."""
    if way in files:
        session = runtime.Session(files[way])
        return partial(session, x.contiguous(memory_format=torch.contiguous_format).numpy())
    net = copy.deepcopy(net)
    if way == "torch":
        net, x = (of.to(memory_format=torch.contiguous_format) for of in (net, x))
    elif way == "torch-bfloat16":
        net, x = net.bfloat16(), x.bfloat16()
    elif way == "torch-compile":
        net = torch.compile(net, dynamic=False)

    def answer() -> Tensor:
        with torch.inference_mode():
            return net(x).float()

    return answer


def _measure_workers(config: Config, data: Images) -> Timed:
    """One thread, two in each operation, two networks, two processes, two stages; a batch ahead."""
    outcome = Timed(config=config, steps=sum(config.rounds))
    x = inputs(config, data)
    net = network(config, x)
    with torch.inference_mode():
        outcome.first_losses = [float(net(x).square().mean())]
    pool = workers.processes(net, x[:2].numpy())
    for size_, batches, number in zip(
        config.batch_sizes, config.batches, config.rounds, strict=True
    ):
        ways = _workers(net, x[:size_], batches, pool)
        timed = rounds(ways, number)
        outcome.seconds |= {f"{way}/{size_}": seconds for way, seconds in timed.items()}
    pool.shutdown()
    return outcome


def _workers(net: nn.Module, x: Tensor, count: int, pool: Executor) -> dict[str, Route]:
    """Ways to answer ``count`` times the same batch; "first" and "second" are the stages alone."""
    batches, arrays = [x] * count, [x.numpy()] * count
    answer, stages = (
        partial(workers.answer, net),
        [partial(workers.answer, half) for half in workers.halves(net)],
    )
    between = [stages[0](x)] * count
    photos = [workers.encoded(len(x), number) for number in range(count)]
    prepare = partial(workers.decoded, side=x.shape[-1])
    return {
        "one": lambda: parallel.in_turn([answer], batches),
        "operations": lambda: _with_threads(2, partial(parallel.in_turn, [answer], batches)),
        "threads": lambda: parallel.shared_out(answer, batches, 2),
        "processes": lambda: list(pool.map(workers.answer_there, arrays)),
        "pipeline": lambda: parallel.in_a_row(stages, batches),
        "first": lambda: parallel.in_turn(stages[:1], batches),
        "second": lambda: parallel.in_turn(stages[1:], between),
        "prepare": lambda: parallel.in_turn([prepare, answer], photos),
        "prepare-ahead": lambda: parallel.in_turn([answer], parallel.ahead(prepare, photos)),
    }


def _with_threads(count: int, work: Route) -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return work()
    finally:
        torch.set_num_threads(before)


def _rows(one: Timed) -> list[dict[str, object]]:
    """A row a route: its time, its ratios to both baselines of the whole network."""
    config, rows = one.config, []
    image = torch.zeros(1, 3, config.side, config.side)
    whole = network(config, image.expand(2, -1, -1, -1))
    for variant, level, ways in ROUTES[config.routes]:
        net = VARIANTS[variant](copy.deepcopy(whole), level).eval()
        of_variant = {"parameters": cost.weights(net)}
        of_variant |= {"multiply_adds": cost.multiply_adds(net, image)[""]}
        for way in ways:
            name = f"{variant}/{way}"
            of_route = {"variant": variant, "level": level, "way": way, **of_variant}
            of_route |= {"status": "failed" if name in one.messages else "done"}
            of_route |= {"message": one.messages.get(name, ""), "bytes": one.sizes.get(name)}
            of_route |= {"difference": one.differences.get(name)}
            rows += [
                {"network": config.network, "side": config.side, "batch_size": count}
                | of_route
                | _timing(one, name, count)
                for count in config.batch_sizes
            ]
    return rows


def _timing(one: Timed, name: str, count: int) -> dict[str, float]:
    """Median and quartiles of milliseconds, images a second and the ratios to the baselines."""
    key = f"{name}/{count}"
    if key not in one.seconds:
        return {}
    seconds, found = np.array(one.seconds[key]), {"first_s": round(one.first_s[key], 2)}
    found |= quartiles("ms", 1000 * seconds, digits=4)
    found |= quartiles("images_s", count / seconds, digits=1)
    for column, way in (("to_torch", EAGER), ("to_onnx", ONNX)):
        baseline = np.array(one.seconds[f"float/{way}/{count}"])
        found |= quartiles(column, seconds / baseline, digits=4)
    return found


def _ways(one: Timed) -> list[dict[str, object]]:
    """A row a way: images a second, and how many times faster than one worker at the same work."""
    config, rows = one.config, []
    for key, times in one.seconds.items():
        way, _, count = key.rpartition("/")
        images = int(count) * config.batches[config.batch_sizes.index(int(count))]
        peer = "prepare" if way.startswith("prepare") else "one"
        seconds, of_peer = np.array(times), np.array(one.seconds[f"{peer}/{count}"])
        row = {"network": config.network, "batch_size": int(count), "way": way}
        row |= quartiles("images_s", images / seconds, digits=1)
        rows.append(row | quartiles("faster", of_peer / seconds, digits=3))
    return rows


EXPERIMENT = Latency()
