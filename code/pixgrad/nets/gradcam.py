"""Grad-CAM: where in an image the evidence for a class lies.

References
----------
Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
localization" (2017), section 3.
"""

import torch
from torch import Tensor, nn

from pixgrad.errors import PixgradError


def grad_cam(net: nn.Module, layer: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Maps of the evidence for one class an image.

    The weight of feature map k is the mean over its cells of dy/dA_k, the gradient of the logit y
    of the class; the map is ReLU(sum_k weight_k A_k).

    Parameters
    ----------
    net : (N, C, H, W) -> logits (N, num_classes), in evaluation mode.
    layer : a module of ``net`` that is used once and gives feature maps A, (N, K, h, w).
    images : (N, C, H, W), normalised as the network expects it.
    classes : int, (N,), the class to explain in each image.

    Returns
    -------
    (N, h, w), from 0 on, in units of the logit.
    """
    maps = []

    def start_here(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        # Nothing before the layer is differentiated, so frozen networks work as well.
        maps.append(output.detach().requires_grad_())
        return maps[0]

    if net.training:
        raise PixgradError(
            "grad_cam объясняет сеть в режиме предсказания: сначала вызовите net.eval()",
            "grad_cam explains a network in evaluation mode: call net.eval() first",
        )
    handle = layer.register_forward_hook(start_here)
    try:
        with torch.enable_grad():
            evidence = net(images).gather(1, classes[:, None]).sum()
    finally:
        handle.remove()
    (gradient,) = torch.autograd.grad(evidence, maps)
    weights = gradient.mean((2, 3))
    return torch.einsum("nk,nkhw->nhw", weights, maps[0].detach()).relu()
