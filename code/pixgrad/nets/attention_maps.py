"""What a Vision Transformer's attention looks at: its weights, rollout, distances."""

import torch
from torch import Tensor

from pixgrad.nets.vit import VisionTransformer


@torch.no_grad()
def attention_maps(net: VisionTransformer, images: Tensor) -> Tensor:
    """The attention weights of every block and head: (N, depth, heads, 1 + grid², 1 + grid²).

    Parameters
    ----------
    images : normalised, (N, C, side, side).
    """
    x, found = net.tokens(images), []
    for block in net.blocks:
        found.append(block.attention.weights(block.norm1(x)))
        x = block(x)
    return torch.stack(found, dim=1)


def rollout(maps: Tensor) -> Tensor:
    """How much of each patch reaches the class token, were every block linear: (N, grid²).

    The skip connection around the attention is an identity of the same weight:
    A = (mean over heads + I) / 2, and the blocks' matrices are multiplied (Abnar and Zuidema,
    "Quantifying attention flow in transformers", 2020, section 3).

    Parameters
    ----------
    maps : of :func:`attention_maps`.
    """
    identity = torch.eye(maps.shape[-1])
    found = identity.expand(len(maps), -1, -1)
    for block in maps.mean(2).unbind(1):
        found = (block + identity) / 2 @ found
    return found[:, 0, 1:]


def attention_distance(maps: Tensor, patch: int) -> Tensor:
    """Mean distance that attention spans, pixels: (depth, heads).

    The distance between the centres of two patches, weighed by the attention from one to the other
    and averaged over the asking patches and images; the class token has no place and is left out
    (Dosovitskiy et al., 2021, figure 7).

    Parameters
    ----------
    maps : of :func:`attention_maps`.
    patch : side of a patch, pixels.
    """
    among = maps[..., 1:, 1:]
    grid = round(among.shape[-1] ** 0.5)
    rows, columns = torch.arange(grid), torch.arange(grid)
    places = patch * torch.cartesian_prod(rows, columns).double()
    apart = torch.cdist(places, places)
    share = among.double() / among.double().sum(-1, keepdim=True)
    return (share * apart).sum(-1).mean((0, 3))
