"""What attention and backbones of detectors cost here: seconds of the processor and memory.

The two forms of attention get the same queries, keys and values, as ViT-B/16 would at growing image
sizes. The detectors answer on one image of noise. What is compared takes turns in every round, on
one thread, in seconds of the processor.
"""

import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pixgrad import nets
from pixgrad.experiments.running import measurement
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.measurement import Measurement, quartiles
from pixgrad.nets.fpn import RetinaHead
from pixgrad.nets.vit import attention_by_formula
from pixgrad.training.batches import Images
from pixgrad.training.run import Outcome

ATTENTION: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "formula": attention_by_formula,
    "fused": F.scaled_dot_product_attention,
}
PATCH, HEADS, HEAD_WIDTH = 16, 12, 64
"""Of ViT-B/16."""
DETECTORS = {"resnet-50-fpn": (256, 256), "spinenet-49s": (128, 128), "spinenet-49": (256, 256)}
"""Channels of the maps and of RetinaNet's head."""


@dataclass(frozen=True, kw_only=True)
class Config(measurement.Config):
    """Settings of one run.

    Attributes
    ----------
    stage : "attention" — its two forms; "detectors" — the networks.
    side : of the image, pixels.
    rounds : timed ones; one more before them is not.
    """

    stage: Literal["attention", "detectors"]
    side: int
    rounds: int

    @property
    def name(self) -> str:
        return f"{self.stage}-{self.side}"


@dataclass(kw_only=True)
class Timed(Outcome):
    """What was measured.

    Attributes
    ----------
    seconds : by what was called, of every timed round.
    memory : by what was called, see :class:`PeakMemory`.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)


PRESETS = {
    "smoke": {"attention": ((64, 128), 3), "detectors": ((64,), 2)},
    "report": {
        "attention": ((224, 320, 384, 448, 512, 640, 768, 896), 15),
        "detectors": ((320, 480, 640), 7),
    },
}
"""Sides and rounds."""


class Inference(Measurement):
    """Attention, then detectors; one run of each size, whatever the number of seeds."""

    sources = dict.fromkeys(PRESETS, "mnist5k")
    """It is there on every machine, and is not looked at: time does not depend on pixels."""
    config = Config
    outcome = Timed

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        return [
            Config(stage=stage, side=side, rounds=rounds)
            for stage, (sides, rounds) in PRESETS[preset].items()
            for side in sides
        ]

    def measure(self, config: Config, data: Images) -> Timed:
        calls = _attention(config) if config.stage == "attention" else _detectors(config)
        outcome = Timed(config=config, steps=config.rounds, seconds={name: [] for name in calls})
        with torch.inference_mode():
            for name, call in calls.items():
                with PeakMemory() as peak:
                    answer = call()
                outcome.memory[name] = peak.bytes
                outcome.first_losses.append(answer.double().square().mean().item())
            for _ in range(config.rounds):
                for name, call in calls.items():
                    began = time.process_time()
                    call()
                    outcome.seconds[name].append(time.process_time() - began)
        return outcome

    def findings(self, outcomes: Sequence[Timed], data: Images) -> Findings:
        """Tables ``attention`` and ``detectors``: a row a size and what was called."""
        tables = {}
        for stage in ("attention", "detectors"):
            rows = [
                {"side": one.config.side, "called": name}
                | quartiles("ms", 1000 * np.array(seconds), digits=2)
                | {"memory_mb": round(one.memory[name] / 1e6, 3)}
                for one in outcomes
                if one.config.stage == stage
                for name, seconds in one.seconds.items()
            ]
            tables[stage] = pd.DataFrame(rows)
        metrics = {
            one.config.name: {
                f"{name}_ms": round(1000 * float(np.median(seconds)), 3)
                for name, seconds in one.seconds.items()
            }
            for one in outcomes
        }
        return Findings(tables, metrics=metrics)


class PeakMemory(TorchDispatchMode):
    """The largest number of bytes that results of torch's operations held at one time.

    What a kernel needs inside and what was there before do not count.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        place = storage.data_ptr()
        if not place or place in self._known:
            return
        size = storage.nbytes()
        self._known.add(place)
        self._now += size
        self.bytes = max(self.bytes, self._now)
        weakref.finalize(storage, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._known.discard(place)
        self._now -= size


def _attention(config: Config) -> dict[str, Callable[[], Tensor]]:
    """Both forms on the same random numbers, a token for each patch and one for the class."""
    tokens = (config.side // PATCH) ** 2 + 1
    generator = torch.Generator().manual_seed(config.seed)
    given = torch.randn(3, 1, HEADS, tokens, HEAD_WIDTH, generator=generator).unbind(0)
    return {name: lambda call=call: call(*given) for name, call in ATTENTION.items()}


def _detectors(config: Config) -> dict[str, Callable[[], Tensor]]:
    """Networks with RetinaNet's head; each answers with its largest map of class logits."""
    generator = torch.Generator().manual_seed(config.seed)
    x = torch.randn(1, 3, config.side, config.side, generator=generator)
    x = x.contiguous(memory_format=torch.channels_last)

    def answer(net: nn.Module) -> Tensor:
        return net(x)[3][0]

    return {name: lambda net=_detector(name): answer(net) for name in DETECTORS}


def _detector(name: str) -> nn.Sequential:
    head = RetinaHead(*DETECTORS[name])
    nets.initialise(head, "he", torch.Generator().manual_seed(0))
    net = nn.Sequential(nets.build(name, init="he"), head)
    return net.eval().to(memory_format=torch.channels_last)


EXPERIMENT = Inference()
