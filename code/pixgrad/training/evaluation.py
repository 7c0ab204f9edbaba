"""What a trained network answers: in evaluation mode, with batch statistics of its last weights."""

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pixgrad.training.batches import Images

EVALUATION_BATCH = 250
RECALIBRATION_SEED = 20240607


@torch.inference_mode()
def predict(net: nn.Module, data: Images, images: Tensor) -> Tensor:
    """Logits float32 (N, K) of uint8 images, in evaluation mode; the mode is put back."""
    was_training = net.training
    net.eval()
    device = next(net.parameters()).device
    batches = images.split(EVALUATION_BATCH)
    logits = torch.cat([net(data.normalised(batch.to(device))).float().cpu() for batch in batches])
    net.train(was_training)
    return logits


def recalibrated(net: nn.Module, data: Images, count: int) -> nn.Module:
    """A copy in evaluation mode, its batch normalisations with statistics of the present weights.

    The running statistics remember weights of many steps ago, and where the weights move fast the
    network that they give is not the one that was trained. So the mean and variance are taken anew,
    as cumulative averages over batches of training images without augmentation (as "precise BN" of
    Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3).

    Parameters
    ----------
    count : training images, drawn once for all; 0 — the statistics stay.
    """
    net = copy.deepcopy(net).eval()
    layers = [layer for layer in net.modules() if isinstance(layer, _BatchNorm)]
    if not (count and layers):
        return net
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's word for a cumulative average
        layer.train()
    images, device = data.images["train"], next(net.parameters()).device
    generator = torch.Generator().manual_seed(RECALIBRATION_SEED)
    chosen = torch.randperm(len(images), generator=generator)[:count].to(images.device)
    with torch.no_grad():
        for index in chosen.split(EVALUATION_BATCH):
            net(data.normalised(images[index].to(device)))
    return net.eval()


def evenly(total: int, count: int) -> Tensor:
    """Indices of at most ``count`` of ``total`` images, spread evenly: nobody picked them."""
    return torch.linspace(0, total - 1, min(count, total)).round().long()
