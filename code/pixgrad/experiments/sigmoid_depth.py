"""Does a deep network of sigmoids learn, and what does it need for it?

The twelve linear layers of the chapter on backpropagation learn digits: with initial weights from
PyTorch's to ones that keep the norm of the gradient, by plain descent with momentum and by Adam,
whose step does not depend on the scale of the gradient as long as that is above ε. The same with
ReLU stands beside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from pixgrad.experiments.running import training
from pixgrad.experiments.running.training import Arm, Budget, Training
from pixgrad.nets.perceptron import deep_perceptron
from pixgrad.training.batches import Images
from pixgrad.training.loop import TorchRun
from pixgrad.training.run import OnEpoch, Outcome


@dataclass(frozen=True, kw_only=True)
class Config(training.Config):
    """Settings of one run.

    Attributes
    ----------
    activation, depth, width : of the network, see
        :func:`pixgrad.nets.perceptron.deep_perceptron`.
    init : a key of ``GAINS``.
    eps : of Adam.
    """

    network: str = "perceptron"
    activation: str
    init: str
    eps: float = 1e-8
    depth: int = 12
    width: int = 128
    weight_decay: float = 0.0
    shift: int = 0
    flip: bool = False

    @property
    def arm(self) -> str:
        method = self.optimiser + (f"-eps{self.eps:g}" if self.eps != type(self).eps else "")
        return f"{self.activation}-{self.init}-{method}"


RATES = {"sgd": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0), "adam": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)}
GAINS = {"default": None, "glorot": 1.0, "he": 2.0, "glorot-x4": 16.0, "kept": 100.0}
"""Initial weights and their n Var W: PyTorch's, of Glorot and Bengio (2010), of He et al. (2015),
Glorot's four times as large, and such that sigmoids keep the norm of the gradient."""
CELLS = (
    *(("sigmoid", init) for init in ("default", "glorot", "glorot-x4", "kept")),
    ("relu", "he"),
)
METHODS = ({"optimiser": "sgd"}, {"optimiser": "adam"}, {"optimiser": "adam", "eps": 1e-20})
FADING = ("default", "glorot")
"""Where the gradient of the first layers comes near Adam's usual ε, a smaller one is tried too."""
SOME = {"train_images": 5000, "validation_images": 1000}


def _arms(settings: dict[str, object], budget: Budget, cells=CELLS, rates=RATES) -> Sequence[Arm]:
    return [
        Arm(
            settings | {"activation": activation, "init": init} | method,
            rates[method["optimiser"]],
            budget,
            {"probe_every": 26},
        )
        for activation, init in cells
        for method in METHODS[: 3 if init in FADING else 2]
    ]


FEW = {"train_images": 200, "validation_images": 100, "depth": 3, "width": 16}
PRESETS = {
    "smoke": _arms(FEW, Budget(2, 1, seeds=1), CELLS[3:], {"sgd": (0.1,), "adam": (1e-3,)}),
    "report": _arms(SOME, Budget(12, 4, seeds=3, sweep_seeds=1)),
}


class _Run(TorchRun):
    """With ε of the settings."""

    def __init__(self, config: Config, *arguments) -> None:
        super().__init__(config, *arguments)
        if config.optimiser == "adam":
            for group in self.optimiser.param_groups:
                group["eps"] = config.eps


class SigmoidDepth(Training):
    """One network; its activation, initial weights and method of descent change."""

    sources = {"smoke": "mnist5k", "report": "mnist"}
    presets = PRESETS
    config = Config
    keys = ("activation", "init", "optimiser", "eps")
    keeps_probabilities = False

    def build(
        self, config: Config, data: Images, generator: torch.Generator, **options
    ) -> nn.Module:
        return deep_perceptron(
            data.images["train"][0].numel(),
            len(data.names),
            config.depth,
            config.width,
            config.activation,
            GAINS[config.init],
            generator,
        )

    def train(
        self, config: Config, data: Images, checkpoint: Path, on_epoch: OnEpoch, logs: Path | None
    ) -> Outcome:
        run = self._start(config, data, self.scores, logs)
        outcome = run.to_the_end(checkpoint, on_epoch)
        run.close()
        return outcome

    def first_losses(self, config: Config, data: Images, steps: int) -> list[float]:
        return self._start(config, data).first_losses(steps)

    def _start(self, config: Config, data: Images, *arguments) -> _Run:
        mine = self.images(config, data)
        return _Run(config, partial(self.build, config, mine), mine, *arguments)


EXPERIMENT = SigmoidDepth()
