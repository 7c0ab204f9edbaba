"""Published networks made smaller without any training: how many answers stay right.

Every way and level on the same 10,000 test images of CIFAR-10. The weights have seen the training
images, so there is no validation part of their own: whatever is chosen, is chosen on one half of
the test images (``half`` 0), and reported on the other (1). Calibration images of the quantisation
are training images, drawn by the seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from pixgrad.compression import quantise, runtime, size
from pixgrad.compression.fold import folded
from pixgrad.compression.prune import zeros
from pixgrad.compression.variants import VARIANTS
from pixgrad.data.splits import carve
from pixgrad.experiments.running import measurement
from pixgrad.experiments.running.experiment import Findings
from pixgrad.experiments.running.measurement import Measurement
from pixgrad.nets import build, cifar_weights, cost
from pixgrad.training.batches import Images
from pixgrad.training.evaluation import EVALUATION_BATCH, predict
from pixgrad.training.run import Outcome

HALF_SEED = 14
FILES = {
    "onnx": None,
    "int8-dynamic": None,
    "int8": quantise.Static(),
    "int8-signed": quantise.Static(signed=True),
    "int8-per-tensor": quantise.Static(per_channel=False),
    "int8-percentile": quantise.Static(method="percentile"),
}
"""What answers in ONNX Runtime, and how it is quantised."""
CALIBRATION, CALIBRATION_BATCH = 512, 64


@dataclass(frozen=True, kw_only=True)
class Config(measurement.Config):
    """One compressed network.

    Attributes
    ----------
    network : with its published weights; where there are none, with He's initial ones.
    method : of ``VARIANTS``, or of ``FILES``.
    level : its share; 0 where it has none.
    """

    network: str
    method: str
    level: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.network}-{self.method}-{self.level:g}-{self.seed}"


@dataclass(kw_only=True)
class Answered(Outcome):
    """What a compressed network is and answers.

    Attributes
    ----------
    answers : class of every test image.
    sizes : "parameters", "zeros" — their share, "multiply_adds" of an image; of its file "bytes"
        and "packed_bytes" — after gzip.
    """

    answers: list[int] = field(default_factory=list)
    sizes: dict[str, float] = field(default_factory=dict)


ONCE = {
    "resnet-20": {
        "float": (0,),
        "folded": (0,),
        "onnx": (0,),
        "int8-dynamic": (0,),
        "magnitude": (0.3, 0.5, 0.6, 0.7, 0.8, 0.9),
        "channels": (0.125, 0.25, 0.375, 0.5),
        "low-rank": (0.9, 0.75, 0.5),
        "row-column": (0,),
        "depthwise": (0,),
    },
    "resnet-56": {
        "float": (0,),
        "magnitude": (0.5, 0.7, 0.8, 0.9),
        "channels": (0.125, 0.25, 0.5),
    },
}
CALIBRATED = {
    "resnet-20": ("int8", "int8-signed", "int8-per-tensor", "int8-percentile"),
    "resnet-56": ("int8",),
}
PRESETS = {
    "smoke": (
        {"resnet-8": {"float": (0,), "folded": (0,), "magnitude": (0.5,), "channels": (0.25,)}},
        {"resnet-8": ("int8",)},
        1,
    ),
    "report": (ONCE, CALIBRATED, 3),
}
"""What repeats exactly and is made once; what depends on calibration images; and their draws."""


class Compression(Measurement):
    """Every way of compression, without training."""

    sources = {"smoke": "mnist5k", "report": "cifar10"}
    config = Config
    outcome = Answered
    libraries = ("numpy", "torch", "onnx", "onnxscript", "onnxruntime")
    keys = ("network", "method", "level")

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        once, calibrated, draws = PRESETS[preset]
        fixed = [
            Config(network=network, method=method, level=level)
            for network, methods in once.items()
            for method, levels in methods.items()
            for level in levels
        ]
        drawn = [
            Config(network=network, method=method, seed=seed)
            for network, methods in calibrated.items()
            for method in methods
            for seed in range(1, (seeds or draws) + 1)
        ]
        return fixed + drawn

    def measure(self, config: Config, data: Images) -> Answered:
        data = as_published(data)
        net = published(config.network, data)
        if config.method in FILES:
            file = network_file(net, config, data)
            logits = answers_of(file, data, data.images["test"])
        else:
            net = VARIANTS[config.method](net, config.level)
            logits, file = predict(net, data, data.images["test"]), size.file_bytes(net)
        sizes = sizes_of(net, data) | {"bytes": len(file), "packed_bytes": size.packed(file)}
        return Answered(
            config=config,
            first_losses=[cross_entropy(logits, data.labels["test"]).item()],
            answers=logits.argmax(1).tolist(),
            sizes=sizes,
        )

    def findings(self, outcomes: Sequence[Answered], data: Images) -> Findings:
        """Table ``summary``: a row a run, with its sizes and accuracies on both halves.

        Arrays: ``labels`` (N,) and ``half`` (N,) of the test images, ``answer.RUN`` (N,) uint8.
        """
        labels, half = data.labels["test"].numpy(), halves(data)
        arrays = {"labels": labels.astype(np.uint8), "half": half.astype(np.uint8)}
        metrics, rows = {}, []
        for one in outcomes:
            name, told = one.config.name, np.array(one.answers)
            arrays[f"answer.{name}"] = told.astype(np.uint8)
            metrics[name] = {
                "choice_accuracy": float((told == labels)[~half].mean()),
                "accuracy": float((told == labels)[half].mean()),
            }
            rows.append({**self.row(one), **one.sizes, **metrics[name]})
        return Findings({"summary": pd.DataFrame(rows)}, arrays, metrics)


def halves(data: Images) -> np.ndarray:
    """bool (N,) of the test images, half of every class: True — results are reported on them."""
    return carve(data.labels["test"].numpy(), 0.5, HALF_SEED)


def as_published(data: Images) -> Images:
    """Colour images are normalised as the published weights expect them."""
    if data.channels != 3:
        return data
    mean, std = (255 * torch.tensor(of) for of in (cifar_weights.MEAN, cifar_weights.STD))
    return replace(data, mean=mean, std=std)


def published(name: str, data: Images) -> nn.Module:
    """The network with its published weights; where there are none that fit, with He's ones."""
    if name in cifar_weights.PUBLISHED and data.channels == 3:
        return cifar_weights.load(name)
    return build(name, len(data.names), in_channels=data.channels, init="he").eval()


def sizes_of(net: nn.Module, data: Images) -> dict[str, float]:
    """What does not depend on how the network is kept."""
    one = torch.zeros(1, *data.images["test"].shape[1:])
    return {
        "parameters": cost.weights(net),
        "zeros": zeros(net),
        "multiply_adds": cost.multiply_adds(net.eval(), one)[""],
    }


def network_file(net: nn.Module, config: Config, data: Images) -> bytes:
    """The file that ONNX Runtime gets, of a folded network."""
    model = runtime.export(folded(net), data.images["test"].shape[-1], data.channels)
    if config.method == "onnx":
        return model
    if config.method == "int8-dynamic":
        return quantise.dynamic(model)
    return quantise.static(model, calibration(data, config.seed), FILES[config.method])


def calibration(data: Images, seed: int) -> list[np.ndarray]:
    """Training images in batches, normalised, in the memory order of ONNX Runtime."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(data.labels["train"]), generator=generator)[:CALIBRATION]
    images = data.images["train"][order]
    return [as_array(data, batch) for batch in images.split(CALIBRATION_BATCH)]


def answers_of(file: bytes, data: Images, images: torch.Tensor) -> torch.Tensor:
    """Logits float32 (N, K) of ONNX Runtime."""
    session = runtime.Session(file)
    logits = [session(as_array(data, batch)) for batch in images.split(EVALUATION_BATCH)]
    return torch.from_numpy(np.concatenate(logits))


def as_array(data: Images, images: torch.Tensor) -> np.ndarray:
    """Normalised float32 (N, C, H, W) in that order of memory."""
    return data.normalised(images).contiguous(memory_format=torch.contiguous_format).numpy()


EXPERIMENT = Compression()
