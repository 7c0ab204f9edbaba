"""Skip connections: option A."""

import pytest

torch = pytest.importorskip("torch")

from pixgrad.nets.blocks import Subsample  # noqa: E402  (needs torch)


def test_option_a_by_hand():
    x = torch.arange(2 * 5 * 5, dtype=torch.float32).reshape(1, 2, 5, 5)
    y = Subsample(2, 4, 2)(x)
    assert y.shape == (1, 4, 3, 3)
    assert not y[0, [0, 3]].any()
    assert y[0, 1].tolist() == [[0, 2, 4], [10, 12, 14], [20, 22, 24]]
    assert torch.equal(y[0, 2], y[0, 1] + 25)
