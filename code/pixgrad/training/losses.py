"""Activations of the last layer, each with the loss that it is trained with."""

from collections.abc import Callable

import torch.nn.functional as F  # noqa: N812  (its usual name)
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]


def sigmoid(logits: Tensor, labels: Tensor) -> Tensor:
    """A question "is it this class?" for each class: the sum of their binary cross-entropies."""
    truth = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="sum") / len(labels)


def identity(logits: Tensor, labels: Tensor) -> Tensor:
    """No activation: squared distance to the vector with 1 at the true class and 0 elsewhere."""
    truth = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return (logits - truth).square().sum(1).mean()


def tanh(logits: Tensor, labels: Tensor) -> Tensor:
    """Squared distance of the hyperbolic tangents to 1 at the true class and -1 elsewhere."""
    truth = 2 * F.one_hot(labels, logits.shape[1]).to(logits.dtype) - 1
    return (logits.tanh() - truth).square().sum(1).mean()


def shared_sigmoid(logits: Tensor, labels: Tensor) -> Tensor:
    """Sigmoids with the loss that was there for softmax: divided by their sum, then -ln.

    So does Keras, if ``softmax`` is replaced by ``sigmoid`` and nothing else.
    """
    logs = F.logsigmoid(logits)
    return F.nll_loss(logs - logs.logsumexp(1, keepdim=True), labels)


LOSSES: dict[str, Loss] = {
    "softmax": F.cross_entropy,
    "sigmoid": sigmoid,
    "identity": identity,
    "tanh": tanh,
    "sigmoid, loss of softmax": shared_sigmoid,
}
"""Logits (N, K) and labels int64 (N,) -> the mean over the images. The answer is the largest logit
in each of them."""
