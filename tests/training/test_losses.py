"""Losses of the last layer against torch's own and against sums by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pixgrad.training.losses import LOSSES

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([0, 3, 1, 1, 2, 0])
TRUTH = nn.functional.one_hot(LABELS, 4).double()


def test_against_torch_and_by_hand():
    probability = LOGITS.sigmoid()
    own = probability[range(6), LABELS]
    expected = {
        "softmax": nn.CrossEntropyLoss()(LOGITS, LABELS),
        "sigmoid": 4 * nn.BCELoss()(probability, TRUTH),
        "identity": 4 * nn.MSELoss()(LOGITS, TRUTH),
        "tanh": 4 * nn.MSELoss()(LOGITS.tanh(), 2 * TRUTH - 1),
        "sigmoid, loss of softmax": -(own / probability.sum(1)).log().mean(),
    }
    assert set(expected) == set(LOSSES)
    for name, value in expected.items():
        torch.testing.assert_close(LOSSES[name](LOGITS, LABELS), value)


@pytest.mark.parametrize("name", LOSSES)
def test_the_right_answer_costs_less(name):
    sure = torch.where(TRUTH.bool(), 2.0, -2.0)
    assert LOSSES[name](sure, LABELS) < LOSSES[name](-sure, LABELS)
