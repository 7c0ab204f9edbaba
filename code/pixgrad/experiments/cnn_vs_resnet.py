"""A simple CNN, a plain network, its residual twin and ResNet-18 learn classes of ImageNet.

All see the same photos at one size. Each network's learning rate is chosen on the validation part
in short runs; then it is trained anew with several seeds, and the test part is used once, for the
final weights of every run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from pixgrad.experiments.running.training import Arm, Training, examples
from pixgrad.nets.gradcam import grad_cam
from pixgrad.training import loop
from pixgrad.training.batches import Images
from pixgrad.training.run import Outcome

GRADCAM_LAYERS = {"simple": "features", "plain": "layer3", "resnet": "layer3"}
"""By the first word of a network's name: whose maps are explained, the last with a fine grid."""
EXAMPLES, EXAMPLE_SIDE = 24, 96
"""Test photos kept for the pictures, and their side in pixels."""


def _arms(seeds: Mapping[str, int], settings: Mapping[str, object], **options) -> tuple[Arm, ...]:
    """An arm a network, with so many seeds."""
    return tuple(
        Arm({"network": network, **settings}, seeds=number, main={"probe_every": 10}, **options)
        for network, number in seeds.items()
    )


SOURCES = {"smoke": "mnist5k", "report": "imagenette5", "paper": "imagenette"}
PRESETS = {
    "smoke": _arms(
        {"simple-cnn": 2, "plain-8": 2, "resnet-8": 2},
        {"train_images": 640, "validation_images": 200, "batch_size": 32, "flip": False}
        | {"shift": 2, "recalibrate": 200},
        rates=(0.03, 0.1),
        epochs=3,
        sweep_epochs=1,
    ),
    "report": _arms(
        {"plain-20": 5, "resnet-20": 5, "resnet-18": 3, "simple-cnn": 3},
        {"side": 48, "batch_size": 32, "recalibrate": 2000},
        rates=(0.003, 0.01, 0.03, 0.1, 0.3),
        epochs=30,
        sweep_epochs=6,
        sweep_seeds=3,
    ),
    # He et al. (2015), section 4.2, on photos of full size.
    "paper": _arms(
        {"plain-56": 5, "resnet-56": 5, "resnet-18": 5, "resnet-50": 5, "simple-cnn": 5},
        {"side": 160, "batch_size": 128, "schedule": "step", "shift": 16, "recalibrate": 5000},
        rates=(0.003, 0.01, 0.03, 0.1, 0.3),
        epochs=182,
        sweep_epochs=20,
        sweep_seeds=3,
    ),
}


class CnnVsResnet(Training):
    """Four networks on the same photos."""

    sources = SOURCES
    presets = PRESETS

    def arrays(
        self,
        done: Sequence[Outcome],
        logits: Mapping[str, Tensor],
        images: Mapping[str, Images],
        data: Images,
    ) -> dict[str, np.ndarray]:
        """Some photos, and where each network's first run looks in them.

        ``gradcam.NETWORK`` (E, h, w) float16 of the class that the network answers.
        """
        found = examples(data, EXAMPLES, EXAMPLE_SIDE)
        index = found["example_index"]
        for one in done:
            name, network = one.config.name, one.config.network
            if f"gradcam.{network}" in found:
                continue
            photos = images[one.config.arm]
            layer = one.net.get_submodule(GRADCAM_LAYERS[network.partition("-")[0]])
            with loop.recalibrated(one.net, photos, one.config.recalibrate):
                maps = grad_cam(
                    one.net.eval(),
                    layer,
                    photos.normalised(photos.images["test"][index]),
                    logits[name][index].argmax(1),
                )
            found[f"gradcam.{network}"] = maps.numpy().astype(np.float16)
        return found


EXPERIMENT = CnnVsResnet()
