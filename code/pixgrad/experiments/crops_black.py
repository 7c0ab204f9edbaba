"""Ten crops with the black border that the published weights were trained with.

:mod:`pixgrad.experiments.architecture_checks` pads images with the mean colour; the networks
learned on images moved over black. The same images and windows, another border.
"""

from dataclasses import replace

import torch
from torch.nn.functional import pad

from pixgrad.experiments import architecture_checks
from pixgrad.experiments.architecture_checks import PAD, Answered, ArchitectureChecks, Config
from pixgrad.nets import cifar_weights, crops
from pixgrad.training import loop
from pixgrad.training.batches import Images

PRESETS = {
    "smoke": {"network": "resnet-20", "check": "crops", "images": 100},
    "report": {"network": "resnet-20", "check": "crops", "images": 10_000},
}


class CropsBlack(ArchitectureChecks):
    """ResNet-20 on crops of images with a black border."""

    sources = architecture_checks.SOURCES | {"smoke": "cifar10"}
    config = Config

    def plan(self, preset: str, seeds: int | None) -> list[Config]:
        return [Config(**PRESETS[preset])]

    def measure(self, config: Config, data: Images) -> Answered:
        mean, std = (255 * torch.tensor(of) for of in (cifar_weights.MEAN, cifar_weights.STD))
        net, data = cifar_weights.load(config.network), replace(data, mean=mean, std=std)
        index = loop.evenly(len(data.labels["test"]), config.images)
        images, labels = data.images["test"][index], data.labels["test"][index]
        windows = crops.views(pad(images, (PAD,) * 4), images.shape[-1], "ten")
        logits = [loop.predict(net, data, window) for window in windows]
        found = Answered(config=config)
        for name, (kept, mirrored) in crops.VIEWS.items():
            pairs = [logits[2 * number : 2 * number + mirrored] for number in range(5)[kept]]
            answers = crops.averaged([of for pair in pairs for of in pair]).argmax(1)
            found.answers[name] = answers.tolist()
            found.first_losses.append((answers != labels).float().mean().item())
        return found


EXPERIMENT = CropsBlack()
