"""Distillation: a small network learns not the labels alone but the answers of a large one.

References
----------
Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network" (2015), sections 1 and 2.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div


def loss(
    student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, share: float
) -> Tensor:
    """(1 − λ) · cross entropy with the labels + λ T² · KL(teacher at T ‖ student at T).

    The gradient of the second part falls as 1 / T², hence its factor.

    Parameters
    ----------
    student, teacher : logits (N, O); of the teacher without a gradient.
    labels : int64 (N,).
    temperature : T; logits are divided by it before the softmax, so the probabilities of wrong
        classes grow and can be learnt from.
    share : λ, of the teacher, 0 … 1.

    Returns
    -------
    Scalar, the mean over the batch.

    Examples
    --------
    >>> import torch
    >>> same, labels = torch.zeros(2, 3), torch.tensor([0, 1])
    >>> round(float(loss(same, same, labels, temperature=4.0, share=1.0)), 6)
    0.0
    """
    expected = (teacher / temperature).softmax(1)
    answered = (student / temperature).log_softmax(1)
    from_teacher = kl_div(answered, expected, reduction="batchmean")
    from_labels = cross_entropy(student, labels)
    return (1 - share) * from_labels + share * temperature**2 * from_teacher
