"""Dropout that draws its masks from a generator of its own.

References
----------
Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: a simple way to prevent neural
networks from overfitting", JMLR 15 (2014), section 10: division by the share that is kept.
"""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """In training each number becomes 0 with the probability p, the others grow 1 / (1 - p) times.

    So the mean stays what it is, and in evaluation mode nothing needs to be done ("inverted"
    dropout). torch's own layer draws from the global generator; this one has a generator whose
    state is part of ``state_dict``: a resumed run goes on with the same masks.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.generator = torch.Generator()

    def seed(self, seed: int) -> None:
        """Begin the masks of this seed."""
        self.generator.manual_seed(seed)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = torch.rand(x.shape, generator=self.generator) >= self.p
        return x * kept.to(x.device) / (1 - self.p)

    def get_extra_state(self) -> Tensor:
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        self.generator.set_state(state.cpu())

    def extra_repr(self) -> str:
        return f"p={self.p}"
