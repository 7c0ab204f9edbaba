"""Does batch normalisation speed up training, at which rates, and with which activations?

A plain network of eight layers learns CIFAR-10 with batch normalisation and without it, with
rectifiers and with activations that saturate. The short runs at every rate are a result here, not
only a means to choose one: how far a network comes in as many steps.
"""

from pixgrad.experiments.depth import Config, Depth
from pixgrad.experiments.running.training import PROBED, Arm, Budget

RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
FEW = {"train_images": 320, "validation_images": 100, "recalibrate": 100, "flip": False}
SOME = {"batch_size": 32, "train_images": 2500, "validation_images": 500, "recalibrate": 1000}


def _arms(settings, budget: Budget, activations=("relu", "tanh", "sigmoid"), rates=RATES):
    return [
        Arm(
            settings | {"network": "plain-8", "activation": activation, "batch_norm": batch_norm},
            rates,
            budget,
            PROBED,
        )
        for activation in activations
        for batch_norm in (True, False)
    ]


SOURCES = {"smoke": "mnist5k", "report": "cifar10"}
PRESETS = {
    "smoke": _arms(FEW, Budget(2, 1, seeds=1), ("relu",), RATES[2:4]),
    "report": _arms(SOME, Budget(6, 3, seeds=5, sweep_seeds=3)),
}


class Normalisation(Depth):
    """Twins with and without batch normalisation, of three activations."""

    sources = SOURCES
    presets = PRESETS
    config = Config


EXPERIMENT = Normalisation()
