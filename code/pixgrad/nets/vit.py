"""Vision Transformer: an image as a row of patches, and attention between all of them.

References
----------
Dosovitskiy et al., "An image is worth 16x16 words" (2021), section 3.1 and table 1; Vaswani et al.,
"Attention is all you need" (2017), section 3.2.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor, nn

from pixgrad.errors import PixgradError

EPS = 1e-6
"""Of the layer normalisations, as in the published networks."""


@dataclass(frozen=True)
class Size:
    """How large a Vision Transformer is.

    Attributes
    ----------
    side, patch : of the image and of its square patches, pixels.
    width : C, numbers in a token.
    depth : encoder blocks.
    heads : attentions side by side in a block, of ``width // heads`` numbers each.
    hidden : neurons between the two linear layers of a block.
    """

    side: int
    patch: int
    width: int
    depth: int
    heads: int
    hidden: int

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.side // self.patch


SIZES = {
    "vit-b-16": Size(side=224, patch=16, width=768, depth=12, heads=12, hidden=3072),
    "vit-32px": Size(side=32, patch=4, width=64, depth=4, heads=4, hidden=192),
}
"""The base one of table 1, and one for images of 32 pixels with as many weights as
ResNet-14."""


class VisionTransformer(nn.Module):
    """(images, in_channels, side, side) -> logits (images, num_classes).

    Attributes
    ----------
    patches : W_E and its bias: a linear layer on each patch, as a convolution whose stride is its
        kernel.
    class_token : (1, 1, C), the token whose last state goes to the head.
    positions : W_P, (1, 1 + grid², C), added to the tokens.
    """

    def __init__(self, num_classes: int, size: Size, *, in_channels: int = 3) -> None:
        super().__init__()
        self.size, width = size, size.width
        self.patches = nn.Conv2d(in_channels, width, size.patch, stride=size.patch)
        self.class_token = nn.Parameter(torch.empty(1, 1, width))
        self.positions = nn.Parameter(torch.empty(1, 1 + size.grid**2, width))
        self.blocks = nn.Sequential(
            *(EncoderBlock(width, size.heads, size.hidden) for _ in range(size.depth))
        )
        self.norm = nn.LayerNorm(width, EPS)
        self.head = nn.Linear(width, num_classes)

    def tokens(self, x: Tensor) -> Tensor:
        """What the encoder gets: (images, 1 + grid², C)."""
        if x.shape[-2:] != (self.size.side, self.size.side):
            raise PixgradError(
                f"этот ViT знает положения патчей на изображении {self.size.side}×"
                f"{self.size.side}, а получил {x.shape[-2]}×{x.shape[-1]}",
                f"this ViT knows the places of patches in an image of {self.size.side}×"
                f"{self.size.side}, and got {x.shape[-2]}×{x.shape[-1]}",
            )
        patches = self.patches(x).flatten(2).transpose(1, 2)
        return torch.cat([self.class_token.expand(len(x), -1, -1), patches], 1) + self.positions

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.blocks(self.tokens(x)))
        return self.head(x[:, 0])

    def initialise(self, generator: torch.Generator) -> None:
        """Initial weights as the authors chose them; the head begins with zeros."""
        nn.init.zeros_(self.class_token)
        nn.init.normal_(self.positions, std=0.02, generator=generator)
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)
        std = math.sqrt(1 / self.patches.weight[0].numel())
        nn.init.trunc_normal_(self.patches.weight, std=std, generator=generator)
        nn.init.zeros_(self.patches.bias)
        nn.init.zeros_(self.head.weight)


class EncoderBlock(nn.Module):
    """Tokens exchange what they know, then each thinks alone: (images, N, C) -> same.

    X' = X + MHA(LN(X)),  X'' = X' + MLP(LN(X')).
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, EPS)
        self.attention = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, EPS)
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class SelfAttention(nn.Module):
    """Several attentions side by side, each on its share of the numbers: (images, N, C) -> same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def queries_keys_values(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Q, K and V of every head, each (images, heads, N, C / heads)."""
        n, tokens, width = x.shape
        parts = self.qkv(x).reshape(n, tokens, 3, self.heads, width // self.heads)
        return parts.permute(2, 0, 3, 1, 4).unbind(0)

    def forward(self, x: Tensor) -> Tensor:
        mixed = F.scaled_dot_product_attention(*self.queries_keys_values(x))
        return self.out(mixed.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor) -> Tensor:
        """Who looks at whom: (images, heads, N, N), each row adds up to 1."""
        return attention_weights(*self.queries_keys_values(x)[:2])


def attention_weights(q: Tensor, k: Tensor) -> Tensor:
    """softmax(Q Kᵀ / √C_Q): (…, N, C_Q), the same -> (…, N, N)."""
    return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1)


def attention_by_formula(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(Q Kᵀ / √C_Q) V; its N x N weights are in memory, the fused kernel keeps none."""
    return attention_weights(q, k) @ v
