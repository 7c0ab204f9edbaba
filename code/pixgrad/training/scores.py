"""What is measured of a network's answers."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn.functional import cross_entropy

from pixgrad.results.calibration import calibration_error
from pixgrad.results.statistics import f1_scores
from pixgrad.training.losses import LOSSES

Score = Callable[[Tensor, Tensor], float]
SCORES: dict[str, Score] = {
    "loss": lambda logits, labels: cross_entropy(logits, labels).item(),
    "accuracy": lambda logits, labels: (logits.argmax(1) == labels).float().mean().item(),
    "macro_f1": lambda logits, labels: float(
        f1_scores(labels.numpy(), logits.argmax(1).numpy(), logits.shape[1]).mean()
    ),
    "calibration_error": lambda logits, labels: calibration_error(
        logits.softmax(1).numpy(), labels.numpy()
    ),
}
"""What can be measured of logits float32 (N, K) and labels int64 (N,)."""


def measure(last: str, scores: Sequence[str], logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Some of ``SCORES``; "loss" is that of ``last``, see :mod:`pixgrad.training.losses`."""
    own = SCORES | {"loss": lambda logits, labels: LOSSES[last](logits, labels).item()}
    return {score: own[score](logits, labels) for score in scores}
