"""Published weights of ResNet-20 and ResNet-56 for CIFAR-10.

Trained by Yerlan Idelbayev (github.com/akamaster/pytorch_resnet_cifar10, BSD-2-Clause) by the
recipe of He et al. (2015), section 4.2.
"""

from torch import nn

from pixgrad.data import files
from pixgrad.errors import PixgradError, say
from pixgrad.nets import build
from pixgrad.nets.published import IMAGENET_MEAN, IMAGENET_STD, read_weights

HOME = "https://github.com/akamaster/pytorch_resnet_cifar10"
# What the images were normalised with: the statistics of ImageNet, not those of CIFAR.
MEAN, STD = IMAGENET_MEAN, IMAGENET_STD


PUBLISHED = {"resnet-20": "resnet20-12fca82f.th", "resnet-56": "resnet56-4bfd9763.th"}


def load(name: str) -> nn.Module:
    """The network ``name`` with its published weights, in evaluation mode.

    It takes images of CIFAR-10 normalised with ``MEAN`` and ``STD``, (N, 3, 32, 32), and gives
    logits (N, 10).

    Raises
    ------
    PixgradError : no weights for ``name``, no file in the data root, or a damaged file.
    """
    if name not in PUBLISHED:
        raise PixgradError(
            f"для сети «{name}» нет опубликованных весов CIFAR-10. Есть: {', '.join(PUBLISHED)}",
            f"no published CIFAR-10 weights for '{name}'. There are: {', '.join(PUBLISHED)}",
        )
    path = files.root() / "resnet_cifar10_weights" / PUBLISHED[name]
    if not path.is_file():
        step = say(
            f"положите туда файл из папки pretrained_models в {HOME}",
            f"put there the file of the folder pretrained_models of {HOME}",
        )
        raise files.missing(name, say("веса для CIFAR-10", "weights for CIFAR-10"), [path], step)
    net = build(name, 10)
    net.load_state_dict(
        {
            key.removeprefix("module.").replace("linear.", "fc."): value
            for key, value in read_weights(path)["state_dict"].items()
        }
    )
    return net.eval()
