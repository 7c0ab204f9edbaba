"""A simple CNN, a plain network, its residual twin and ResNet-18 learn classes of ImageNet.

All see the same photos at one size. Each network's learning rate is chosen on the validation part
in short runs; then it is trained anew with several seeds, and the test part is used once, for the
final weights of every run.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from pixgrad.experiments.running.training import PROBED, Arm, Budget, Tested, Training, examples
from pixgrad.nets.gradcam import grad_cam
from pixgrad.training import loop
from pixgrad.training.batches import Images

GRADCAM_LAYERS = {"simple": "features", "plain": "layer3", "resnet": "layer3"}
"""By the first word of a network's name: whose maps are explained, the last with a fine grid."""
EXAMPLES, EXAMPLE_SIDE = 24, 96
"""Test photos kept for the pictures, and their side in pixels."""


RATES = (0.003, 0.01, 0.03, 0.1, 0.3)
FEW = {"train_images": 640, "validation_images": 200, "recalibrate": 200}
DIGITS = {"batch_size": 32, "flip": False, "shift": 2}
SMALL = {"side": 48, "batch_size": 32, "recalibrate": 2000}
# He et al. (2015), section 4.2, on photos of full size.
FULL = {"side": 160, "batch_size": 128, "schedule": "step", "shift": 16, "recalibrate": 5000}


def _arms(networks: str, settings: Mapping[str, object], budget: Budget, rates=RATES) -> list[Arm]:
    return [
        Arm(settings | {"network": network}, rates, budget, PROBED) for network in networks.split()
    ]


class CnnVsResnet(Training):
    """Four networks on the same photos."""

    sources = {"smoke": "mnist5k", "report": "imagenette5", "paper": "imagenette"}
    presets = {
        "smoke": _arms(
            "simple-cnn plain-8 resnet-8", DIGITS | FEW, Budget(3, 1, seeds=2), rates=(0.03, 0.1)
        ),
        "report": [
            *_arms("plain-20 resnet-20", SMALL, Budget(30, 6, seeds=5, sweep_seeds=3)),
            *_arms("resnet-18 simple-cnn", SMALL, Budget(30, 6, seeds=3, sweep_seeds=3)),
        ],
        "paper": _arms(
            "plain-56 resnet-56 resnet-18 resnet-50 simple-cnn",
            FULL,
            Budget(182, 20, seeds=5, sweep_seeds=3),
        ),
    }

    def arrays(self, tested: Sequence[Tested], data: Images) -> dict[str, np.ndarray]:
        """Some photos, and where each network's first run looks in them.

        ``gradcam.NETWORK`` (E, h, w) float16 of the class that the network answers.
        """
        found = examples(data, EXAMPLES, EXAMPLE_SIDE)
        index = found["example_index"]
        for one in tested:
            config = one.outcome.config
            if f"gradcam.{config.network}" in found:
                continue
            net = loop.recalibrated(one.outcome.net, one.images, config.recalibrate)
            layer = net.get_submodule(GRADCAM_LAYERS[config.network.partition("-")[0]])
            photos = one.images.normalised(one.images.images["test"][index])
            maps = grad_cam(net, layer, photos, one.logits[index].argmax(1))
            found[f"gradcam.{config.network}"] = maps.numpy().astype(np.float16)
        return found


EXPERIMENT = CnnVsResnet()
