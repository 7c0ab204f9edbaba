"""The loss of distillation against sums of exponentials, its gradient against Hinton's formula."""

from __future__ import annotations

import numpy as np
import torch

from pixgrad.compression import distil


def softmax(z: np.ndarray) -> np.ndarray:
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def test_loss_and_gradient():
    rng = np.random.default_rng(5)
    student, teacher = 3 * rng.standard_normal((2, 6, 4))
    labels = rng.integers(0, 4, 6)
    T, a = 4.0, 0.7
    soft, told, plain = softmax(teacher / T), softmax(student / T), softmax(student)
    divergence = (soft * np.log(soft / told)).sum(axis=1).mean()
    expected = (1 - a) * -np.log(plain[range(6), labels]).mean() + a * T**2 * divergence
    z = torch.tensor(student, requires_grad=True)
    found = distil.loss(z, torch.tensor(teacher), torch.tensor(labels), T, a)
    np.testing.assert_allclose(found.item(), expected)
    found.backward()
    # Section 2 of the paper: the soft part gives (q − p) / T, here times T² and the mean over N.
    hard = plain - np.eye(4)[labels]
    np.testing.assert_allclose(z.grad, ((1 - a) * hard + a * T * (told - soft)) / 6)


def test_without_a_teacher_it_is_cross_entropy():
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    y = torch.tensor([0, 1, 2, 0, 1])
    found = distil.loss(z, torch.zeros(5, 3), y, temperature=2.0, share=0.0)
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(z, y))
